using System.Text.RegularExpressions;

namespace Sendoff.Engine.Packages;

/// <summary>What an import asks of npm: <c>@scope/name@range/sub</c>. Without a range it is what is newest at the deploy.</summary>
internal sealed partial record PackageSpecifier(string Name, string? Range, string Subpath)
{
    // Node.js's own, which no package can replace.
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

    /// <summary>The name that Node.js looks for in <c>node_modules</c>: with the range, as the import has it.</summary>
    public string Folder => Range is null ? Name : $"{Name}@{Range}";

    /// <summary>Whether a specifier leads to npm at all: no file, no URL, nothing of Node.js's own.</summary>
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

    /// <summary>Whether a dependency is a version, a range or a tag of the registry's, or an alias of one (<c>npm:name@1.2.3</c>): no URL,
    /// no git, no file, no folder.</summary>
    public static bool IsFromRegistry(string dependency)
    {
        if (!dependency.StartsWith("npm:", StringComparison.Ordinal))
            return IsRange(dependency);
        string alias = dependency["npm:".Length..];
        int at = alias.IndexOf('@', 1);
        return at < 0 ? IsName(alias) : IsName(alias[..at]) && IsRange(alias[(at + 1)..]);
    }

    // npm takes a dot in front for a folder, and these endings for a file.
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
