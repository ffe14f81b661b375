using System.Text;

namespace Sendoff.Engine.Packages;

/// <summary>Rewrites the imports of a file. The rest of the file is not changed, and no code is executed.</summary>
public static class ImportRewriting
{
    /// <param name="replace">Returns the replacement for each specifier, in order.</param>
    public static string Rewrite(string file, string source, Func<string, string> replace)
    {
        var text = new StringBuilder(source.Length);
        int copied = 0;
        foreach (var import in ImportScanner.Scan(file, source))
        {
            // The position is that of the quote. A specifier with escapes is not recognised as an import.
            int start = import.LineStart + import.Column;
            text.Append(source, copied, start - copied).Append(replace(import.Specifier));
            copied = start + import.Specifier.Length;
        }
        return text.Append(source, copied, source.Length - copied).ToString();
    }

    /// <summary>Adds a version range to a package that is imported without one: <c>lodash/get</c> becomes
    /// <c>lodash@^4.17.21/get</c>.</summary>
    /// <param name="rangeOf">The range of a package by its name; null for an unknown package.</param>
    /// <returns>The unchanged specifier if it is not a package, already has a version, or the range cannot be written in an
    /// import.</returns>
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
