using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Sendoff.Engine.Packages;

/// <summary>The exact packages of a version, as text that is stored with its files: npm's lock, with what was asked for beside it.</summary>
internal static class PackageLock
{
    const string Asked = "asked";
    static readonly JsonSerializerOptions indented = new() { WriteIndented = true };

    /// <summary>Makes npm's lock into the stored text: what was asked for by tag or range is asked for in the exact version from now on.</summary>
    public static string From(string npmLock, JsonObject asked)
    {
        var document = JsonNode.Parse(npmLock)!.AsObject();
        var packages = document["packages"]!.AsObject();
        var exact = packages[""]!["dependencies"]!.AsObject();
        foreach (string name in asked.Select(a => a.Key).ToList())
        {
            var installed = packages[$"node_modules/{name}"]!;
            string version = installed["version"]!.GetValue<string>();
            exact[name] = installed["name"] is { } real ? $"npm:{real.GetValue<string>()}@{version}" : version;
        }
        document[Asked] = asked.DeepClone();
        return document.ToJsonString(indented) + "\n";
    }

    /// <summary>The dependencies in exact versions when a stored text is of just what is asked for; else null.</summary>
    public static JsonObject? Exact(string text, JsonObject asked)
    {
        try
        {
            var document = JsonNode.Parse(text);
            return JsonNode.DeepEquals(document?[Asked], asked) && document!["packages"] is JsonObject packages && packages.All(IsFromRegistry)
                ? packages[""]?["dependencies"]?.DeepClone() as JsonObject : null;
        }
        catch (Exception x) when (x is JsonException or InvalidOperationException or ArgumentException)
        {
            return null;
        }
    }

    // Whoever deploys may write a lock: it leads nowhere but to the registry, and into its own folder.
    static bool IsFromRegistry(KeyValuePair<string, JsonNode?> entry) =>
        entry.Key.Length == 0 || (entry.Key.StartsWith("node_modules/", StringComparison.Ordinal) && !entry.Key.Split('/').Contains("..")
            && entry.Value is JsonObject package && package["link"] is null && package["resolved"] is null && package["integrity"] is not null);

    /// <summary>The packages that have install scripts.</summary>
    public static IReadOnlyList<string> WithScripts(string text) =>
    [
        .. JsonNode.Parse(text)!["packages"]!.AsObject().Where(p => p.Value?["hasInstallScript"] is not null)
            .Select(p => p.Value!["name"]?.GetValue<string>() ?? p.Key[(p.Key.LastIndexOf("node_modules/", StringComparison.Ordinal) + 13)..]).Distinct().Order(StringComparer.Ordinal),
    ];

    public static int Count(string text) => JsonNode.Parse(text)!["packages"]!.AsObject().Count - 1;

    /// <summary>What the folder of the installed packages is called: the same content, the same folder.</summary>
    public static string FolderName(string text, IEnumerable<string> scripts)
    {
        string content = $"{text}\n{string.Join(' ', scripts)}\n{System.Runtime.InteropServices.RuntimeInformation.RuntimeIdentifier}";
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(content)))[..32];
    }
}
