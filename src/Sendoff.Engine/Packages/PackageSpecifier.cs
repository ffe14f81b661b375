using System.Text.RegularExpressions;

namespace Sendoff.Engine.Packages;

/// <summary>A package in an import: <c>@scope/name@range/sub</c>. Without a range, it is the newest version at the deploy.</summary>
internal sealed partial record PackageSpecifier(string Name, string? Range, string Subpath)
{
    // Modules of Node.js, which no package can replace.
    static readonly HashSet<string> builtins = new(StringComparer.Ordinal)
    {
        "assert",
        "async_hooks",
        "buffer",
        "child_process",
        "cluster",
        "console",
        "constants",
        "crypto",
        "dgram",
        "diagnostics_channel",
        "dns",
        "domain",
        "events",
        "fs",
        "http",
        "http2",
        "https",
        "inspector",
        "module",
        "net",
        "os",
        "path",
        "perf_hooks",
        "process",
        "punycode",
        "querystring",
        "readline",
        "repl",
        "stream",
        "string_decoder",
        "sys",
        "timers",
        "tls",
        "trace_events",
        "tty",
        "url",
        "util",
        "v8",
        "vm",
        "wasi",
        "worker_threads",
        "zlib",
    };

    /// <summary>The name that Node.js looks for in <c>node_modules</c>: with the range, as in the import.</summary>
    public string Folder => Range is null ? Name : $"{Name}@{Range}";

    /// <summary>Whether a specifier is a package, not a file, a URL or a module of Node.js.</summary>
    public static bool IsPackage(string specifier) =>
        specifier.Length > 0 && specifier[0] is not ('.' or '/' or '#') && !specifier.Contains(':') && !IsBuiltin(specifier);

    static bool IsBuiltin(string specifier) => builtins.Contains(specifier.Split('/')[0]) && !specifier.EndsWith('/');

    /// <summary>Returns the error, or null.</summary>
    public static string? Read(string specifier, out PackageSpecifier package)
    {
        var match = Pattern().Match(specifier);
        package = new(
            match.Groups["name"].Value,
            match.Groups["range"] is { Success: true } range ? range.Value : null,
            match.Groups["sub"].Value
        );
        if (!match.Success || package.Subpath.Split('/').Contains(".."))
            return $"'{specifier}' is not an npm package, a file or a Node.js module";
        if (package.Name.Length > 214)
            return $"the package name in '{specifier}' is longer than npm's 214 characters";
        return package.Range is { } given && !(RangePattern().IsMatch(given) && IsRange(given))
            ? $"'{given}' is not a version, ^range, ~range or tag"
            : null;
    }

    /// <summary>Whether the name is a valid npm package name.</summary>
    public static bool IsName(string? name) => name is { Length: <= 214 } && NamePattern().IsMatch(name);

    /// <summary>Whether a dependency is a version, range or tag of the registry, or an alias of one (<c>npm:name@1.2.3</c>); not a URL,
    /// git, a file or a folder.</summary>
    public static bool IsFromRegistry(string dependency)
    {
        if (!dependency.StartsWith("npm:", StringComparison.Ordinal))
            return IsRange(dependency);
        string alias = dependency["npm:".Length..];
        int at = alias.IndexOf('@', 1);
        return at < 0 ? IsName(alias) : IsName(alias[..at]) && IsRange(alias[(at + 1)..]);
    }

    // npm treats a leading dot as a folder, and these endings as a file.
    static bool IsRange(string range) =>
        RegistryRangePattern().IsMatch(range) && !FileEndings.Any(ending => range.EndsWith(ending, StringComparison.OrdinalIgnoreCase));

    static readonly string[] FileEndings = [".tgz", ".tar", ".tar.gz"];

    [GeneratedRegex(@"\A(?:@[A-Za-z0-9~_-][A-Za-z0-9._~-]*/)?[A-Za-z0-9~_-][A-Za-z0-9._~-]*\z")]
    private static partial Regex NamePattern();

    [GeneratedRegex(@"\A(?!\s*\.)[A-Za-z0-9 .*+<>=~^|_-]*\z")]
    private static partial Regex RegistryRangePattern();

    [GeneratedRegex(
        @"^(?<name>(?:@[A-Za-z0-9~_-][A-Za-z0-9._~-]*/)?[A-Za-z0-9~_-][A-Za-z0-9._~-]*)(?:@(?<range>[^/]*))?(?<sub>(?:/.*)?)\z"
    )]
    private static partial Regex Pattern();

    [GeneratedRegex(@"^[\^~]?[A-Za-z0-9][A-Za-z0-9.+_-]*\z")]
    private static partial Regex RangePattern();
}
