using System.Text;

namespace Sendoff.Engine.Packages;

/// <summary>Rewrites the imports of a file. The rest is not changed, and no code is executed.</summary>
public static class ImportRewriting
{
    /// <param name="replace">Is given each specifier in the order of the text, and returns the one to write.</param>
    public static string Rewrite(string file, string source, Func<string, string> replace)
    {
        var text = new StringBuilder(source.Length);
        int copied = 0;
        foreach (var import in ImportScanner.Scan(file, source))
        {
            // The quote is where the import is; a specifier with escapes is no import to the scanner.
            int start = import.LineStart + import.Column;
            text.Append(source, copied, start - copied).Append(replace(import.Specifier));
            copied = start + import.Specifier.Length;
        }
        return text.Append(source, copied, source.Length - copied).ToString();
    }

    /// <summary>Pins a package that is imported without a version: <c>lodash/get</c> becomes <c>lodash@^4.17.21/get</c>.</summary>
    /// <param name="rangeOf">The range of a package by its name; null for one that is not known.</param>
    /// <returns>The specifier as it was where it leads to no package, has a version, or the range cannot be written in an import.</returns>
    public static string Pin(string specifier, Func<string, string?> rangeOf)
    {
        if (!PackageSpecifier.IsPackage(specifier) || PackageSpecifier.Read(specifier, out var package) is not null)
            return specifier;
        if (package.Range is not null)
            return specifier;
        if (rangeOf(package.Name) is not { } range || !PackageSpecifier.IsFromRegistry(range))
            return specifier;
        string pinned = $"{package.Name}@{range}{package.Subpath}";
        return PackageSpecifier.Read(pinned, out _) is null ? pinned : specifier;
    }
}
