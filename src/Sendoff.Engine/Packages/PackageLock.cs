using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Sendoff.Engine.Packages;

/// <summary>The exact packages of a version, as text that is stored with its files: npm's lock, and the requested imports.</summary>
/// <remarks>
/// A deploy may contain a lock. So every field that could lead npm to a source must describe a package of the registry, and npm gets only
/// these fields. </remarks>
internal static partial class PackageLock
{
    const string Asked = "asked",
        Modules = "node_modules/";
    static readonly string[] dependencyFields = ["dependencies", "optionalDependencies", "peerDependencies"];

    /// <summary>Fields that identify a package, but not its source.</summary>
    static readonly string[] harmless =
    [
        "engines",
        "os",
        "cpu",
        "libc",
        "optional",
        "peer",
        "dev",
        "devOptional",
        "hasInstallScript",
        "inBundle",
        "bundleDependencies",
        "peerDependenciesMeta",
    ];
    static readonly JsonSerializerOptions indented = new() { WriteIndented = true };

    /// <summary>Converts npm's lock to the stored text. Tags and ranges of the requested imports are replaced by exact versions.</summary>
    public static string From(string npmLock, JsonObject asked)
    {
        var document = JsonSyntax.ParseForeignNode(npmLock)!.AsObject();
        var packages = document["packages"]!.AsObject();
        var exact = packages[""]!["dependencies"]!.AsObject();
        foreach (string name in asked.Select(a => a.Key).ToList())
        {
            var installed = packages[$"{Modules}{name}"]!;
            string version = installed["version"]!.GetValue<string>();
            exact[name] = installed["name"] is { } real ? $"npm:{real.GetValue<string>()}@{version}" : version;
        }
        document[Asked] = asked.DeepClone();
        return document.ToJsonString(indented) + "\n";
    }

    /// <summary>The dependencies in exact versions, if the stored text matches the request exactly and uses only the registry; otherwise
    /// null.</summary>
    public static JsonObject? Exact(string text, JsonObject asked) =>
        Read(text) is { } document
        && JsonNode.DeepEquals(document[Asked], asked)
        && document["packages"] is JsonObject packages
        && WhyForeign(packages) is null
            ? packages[""]?["dependencies"]?.DeepClone() as JsonObject
            : null;

    /// <summary>Describes an entry of a lock that is not from the registry; null if all are.</summary>
    public static string? WhyForeign(string text) =>
        Read(text)?["packages"] is JsonObject packages ? WhyForeign(packages) : "npm wrote no lock";

    /// <summary>The lock for npm.</summary>
    public static string ForNpm(string text)
    {
        var packages = new JsonObject();
        foreach (var (path, package) in Read(text)!["packages"]!.AsObject())
        {
            var kept = new JsonObject();
            foreach (string name in (string[])["name", "version", "integrity", "bin", .. dependencyFields, .. harmless])
                if (package![name] is { } value)
                    kept[name] = value.DeepClone();
            packages[path] = kept;
        }
        return new JsonObject
        {
            ["name"] = "packages",
            ["lockfileVersion"] = 3,
            ["requires"] = true,
            ["packages"] = packages,
        }.ToJsonString();
    }

    static string? WhyForeign(JsonObject packages)
    {
        foreach (var (path, package) in packages)
            if (WhyForeign(path, package) is { } why)
                return $"{(path.Length > 0 ? path : "the root")} {why}";
        return null;
    }

    static string? WhyForeign(string path, JsonNode? entry)
    {
        if (entry is not JsonObject package)
            return "is not an object";
        foreach (string field in dependencyFields)
        {
            if (package[field] is not { } value)
                continue;
            if (value is not JsonObject needed)
                return $"has {field} that are not an object";
            foreach (var (name, range) in needed)
                if (Text(range) is not { } spec || !PackageSpecifier.IsName(name) || !PackageSpecifier.IsFromRegistry(spec))
                    return $"needs {name} from {range?.ToJsonString()}";
        }
        if (path.Length == 0)
            return null;
        if (!PathPattern().IsMatch(path))
            return "is not the path of a package";
        if (package["link"] is not null || package["resolved"] is not null)
            return $"comes from {(package["resolved"] ?? "a link").ToJsonString()}";
        if (Text(package["version"]) is not { } version || !VersionPattern().IsMatch(version))
            return $"has the version {package["version"]?.ToJsonString() ?? "null"}";
        if (package["name"] is { } real && !PackageSpecifier.IsName(Text(real)))
            return $"has the name {real.ToJsonString()}";
        if (package["bin"] is { } bin && !IsInside(bin))
            return "has a command outside its folder";
        // A package inside another package is covered by that package's checksum.
        return IsBundled(package) || (Text(package["integrity"]) is { } sum && IntegrityPattern().IsMatch(sum)) ? null : "has no integrity";
    }

    static bool IsBundled(JsonNode package) => package["inBundle"] is JsonValue bundled && bundled.TryGetValue(out bool inside) && inside;

    static bool IsInside(JsonNode bin) =>
        bin switch
        {
            JsonObject commands => commands.All(command =>
                !command.Key.Contains('/') && !command.Key.Contains('\\') && IsInside(Text(command.Value))
            ),
            _ => IsInside(Text(bin)),
        };

    static bool IsInside(string? path) =>
        path is not null
        && path.Length > 0
        && path[0] != '/'
        && !path.Contains('\\')
        && !path.Contains(':')
        && !path.Split('/').Contains("..");

    static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue(out string? text) ? text : null;

    /// <summary>Null if the text is not a JSON object, or has a duplicate name.</summary>
    static JsonObject? Read(string text)
    {
        try
        {
            return JsonSyntax.ParseForeignNode(text, new() { AllowDuplicateProperties = false }) as JsonObject;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>The packages that have install scripts.</summary>
    public static IReadOnlyList<string> WithScripts(string text) =>
        [.. Scripts(text).Select(static one => one.Name).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>The paths of packages with these names that have install scripts. The name of a folder is not sufficient: an alias, or a
    /// package inside another one, can have any name.</summary>
    public static IReadOnlyList<string> PathsWithScripts(string text, IReadOnlyCollection<string> names) =>
        [
            .. Scripts(text)
                .Where(one => !one.IsBundled && names.Contains(one.Name))
                .Select(static one => one.Path)
                .Order(StringComparer.Ordinal),
        ];

    static IEnumerable<(string Path, string Name, bool IsBundled)> Scripts(string text) =>
        from one in Read(text)?["packages"] as JsonObject ?? []
        where one.Value is JsonObject package && package["hasInstallScript"] is not null
        select (
            one.Key,
            Text(one.Value!["name"]) ?? one.Key[(one.Key.LastIndexOf(Modules, StringComparison.Ordinal) + Modules.Length)..],
            IsBundled(one.Value!)
        );

    /// <summary>Number of packages; null if the text is not a lock.</summary>
    public static int? Count(string text) => Read(text)?["packages"] is JsonObject packages ? packages.Count - 1 : null;

    /// <summary>The name of the folder of the installed packages; the same for the same content.</summary>
    public static string FolderName(string text, IEnumerable<string> scripts)
    {
        string content = $"{text}\n{string.Join(' ', scripts)}\n{System.Runtime.InteropServices.RuntimeInformation.RuntimeIdentifier}";
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(content)))[..32];
    }

    const string OnePath = @"node_modules/(?:@[A-Za-z0-9~_-][A-Za-z0-9._~-]*/)?[A-Za-z0-9~_-][A-Za-z0-9._~-]*";

    [GeneratedRegex(@"\A" + OnePath + "(?:/" + OnePath + ")*" + @"\z")]
    private static partial Regex PathPattern();

    [GeneratedRegex(@"\A[0-9]+\.[0-9]+\.[0-9]+(?:[-+][A-Za-z0-9.+-]*)?\z")]
    private static partial Regex VersionPattern();

    [GeneratedRegex(@"\A(?:sha(?:1|256|384|512)-[A-Za-z0-9+/=]+ ?)+\z")]
    private static partial Regex IntegrityPattern();
}
