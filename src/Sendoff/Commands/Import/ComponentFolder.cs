using System.IO.Enumeration;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Sendoff.Engine;
using Sendoff.Engine.Workflows;

namespace Sendoff.Commands.Import;

/// <summary>A component cannot be copied. The message is the reason.</summary>
sealed class ComponentException(string message) : Exception(message);

/// <summary>Limits for reading components from a source, which is untrusted input (docs/import.md).</summary>
static class ComponentLimits
{
    /// <summary>Maximum number of files of an action, including imported files.</summary>
    public const int CopiedFiles = 200;

    /// <summary>Maximum total size of these files, in bytes.</summary>
    public const int CopiedBytes = 2 * 1024 * 1024;

    /// <summary>Maximum size of a file, in bytes.</summary>
    public const int FileBytes = 1024 * 1024;

    /// <summary>Maximum number of files of an app that are searched for the key of an action.</summary>
    public const int SearchedFiles = 5_000;

    /// <summary>Maximum depth of the searched folders.</summary>
    public const int SearchedDepth = 16;

    /// <summary>Maximum length of a path in an app's folder, in characters.</summary>
    public const int PathChars = 300;

    /// <summary>Maximum size of a response of Pipedream's API, in bytes.</summary>
    public const int ApiBytes = 4 * 1024 * 1024;

    /// <summary>Timeout of Pipedream's API.</summary>
    public static readonly TimeSpan ApiTimeout = TimeSpan.FromSeconds(30);
}

/// <summary>The folder of an app's components, in an installed package or a clone. Only files inside it are read, never through symbolic
/// links, and none is executed.</summary>
sealed partial class ComponentFolder
{
    readonly string root;

    /// <param name="app">The name of the app, and of its folder in the copy.</param>
    public ComponentFolder(string app, string root)
    {
        (App, this.root) = (app, root);
        if (ReadJson("package.json") is not { } manifest)
            return;
        Version = ExportArchive.Text(manifest, "version");
        Main =
            ExportArchive.Text(manifest, "main") is { } main && main.StartsWith("./", StringComparison.Ordinal)
                ? main[2..]
                : ExportArchive.Text(manifest, "main");
        Type = ExportArchive.Text(manifest, "type");
        License = ExportArchive.Text(manifest, "license");
        if (manifest.TryGetProperty("dependencies", out var all) && all.ValueKind == JsonValueKind.Object)
            Dependencies = all.EnumerateObject()
                .Where(static one => one.Value.ValueKind == JsonValueKind.String)
                .DistinctBy(static one => one.Name)
                .ToDictionary(static one => one.Name, static one => one.Value.GetString()!);
    }

    public string App { get; }
    public string? Version { get; }
    public string? Type { get; }
    public string? License { get; }
    string? Main { get; }

    /// <summary>Version ranges by package name.</summary>
    public IReadOnlyDictionary<string, string> Dependencies { get; } = new Dictionary<string, string>();

    /// <summary>The app file; null for a package that is not an app.</summary>
    public string? AppFile =>
        ((string?[])[Main, $"{App}.app.mjs", $"app/{App}.app.ts", $"{App}.app.js", $"{App}.app.ts"]).FirstOrDefault(file =>
            file is not null && IsAppFile(file) && Has(file)
        );

    public static bool IsAppFile(string path) => AppFilePattern().IsMatch(path);

    /// <summary>Whether this file exists and can be part of a workflow.</summary>
    public bool Has(string path) => WorkflowReader.Belongs(path) && Find(path) is not null;

    /// <summary>The text of a file; null if it does not exist.</summary>
    /// <exception cref="ComponentException">The file cannot be part of a workflow.</exception>
    public string? Read(string path)
    {
        if (Find(path) is not { } file)
            return null;
        try
        {
            byte[] content = InputText.ReadBytesOfFolder(file, ComponentLimits.FileBytes);
            if (content.Length > ComponentLimits.FileBytes)
                throw new ComponentException($"{App}/{path} has more than {ComponentLimits.FileBytes:N0} bytes");
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(content).TrimStart('\uFEFF');
        }
        catch (DecoderFallbackException)
        {
            throw new ComponentException($"{App}/{path} is not UTF-8 text");
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException)
        {
            throw new ComponentException($"{App}/{path} cannot be read: {x.Message}");
        }
    }

    /// <summary>The file of an action or source: where it usually is, else any whose <c>key</c> is the asked one.</summary>
    public string? Find(RegistryKey key) =>
        Guesses(key).Concat(StepFiles()).FirstOrDefault(path => Read(path) is { } code && HasKey(code, key.Name));

    // TypeScript is compiled into dist/; a checkout has its source.
    static IEnumerable<string> Guesses(RegistryKey key) =>
        from ending in (string[])[".mjs", ".js", ".ts"]
        from folder in (string[])["", "dist/"]
        select $"{folder}{key.Folder}/{key.Action}/{key.Action}{ending}";

    IEnumerable<string> StepFiles()
    {
        var all = new EnumerationOptions
        {
            RecurseSubdirectories = true,
            AttributesToSkip = FileAttributes.ReparsePoint,
            MaxRecursionDepth = ComponentLimits.SearchedDepth,
            IgnoreInaccessible = true,
        };
        // Installed packages in the folder are not files of the app.
        var files = new FileSystemEnumerable<string>(root, static (ref entry) => entry.ToFullPath(), all)
        {
            ShouldIncludePredicate = static (ref entry) => !entry.IsDirectory,
            ShouldRecursePredicate = static (ref entry) => entry.FileName is not "node_modules" && entry.FileName[0] != '.',
        };
        string[] found = [.. files.Take(ComponentLimits.SearchedFiles + 1)];
        if (found.Length > ComponentLimits.SearchedFiles)
            throw new ComponentException($"{App} has more than {ComponentLimits.SearchedFiles:N0} files to search");
        return found
            .Select(file => Path.GetRelativePath(root, file).Replace(Path.DirectorySeparatorChar, '/'))
            .Where(static path => Path.GetExtension(path) is ".mjs" or ".js" or ".ts" && WorkflowReader.Belongs(path))
            .Where(path =>
                !path.EndsWith(".d.ts", StringComparison.Ordinal)
                && new FileInfo(Path.Combine(root, path)).Length <= ComponentLimits.FileBytes
            )
            .OrderBy(static path => path.EndsWith(".ts", StringComparison.Ordinal))
            .ThenBy(static path => path, StringComparer.Ordinal);
    }

    /// <summary>The version in a component's code.</summary>
    public static string? VersionOf(string code) =>
        VersionPattern().Match(code) is { Success: true } match ? match.Groups["version"].Value : null;

    static bool HasKey(string code, string key) => KeyPattern().Matches(code).Any(match => match.Groups["key"].Value == key);

    string? Find(string path)
    {
        if (path.Length > ComponentLimits.PathChars || !path.Split('/').All(IsPlainName))
            return null;
        string file = root;
        foreach (string part in path.Split('/'))
        {
            file = Path.Combine(file, part);
            if (new FileInfo(file).LinkTarget is not null)
                throw new ComponentException($"{App}/{path} is a symbolic link or is inside one");
            if (!Path.Exists(file))
                return null;
        }
        return File.Exists(file) ? file : null;
    }

    static bool IsPlainName(string part) =>
        part is not ("" or "." or "..") && part.IndexOfAny(['\\', ':']) < 0 && !part.Any(char.IsControl);

    JsonElement? ReadJson(string path)
    {
        try
        {
            return Read(path) is { } text && JsonSyntax.ParseForeign(text) is { ValueKind: JsonValueKind.Object } read ? read : null;
        }
        catch (JsonException x)
        {
            throw new ComponentException($"{App}/{path} is not JSON: {x.Message}");
        }
    }

    [GeneratedRegex(@"\.app\.[mc]?[jt]s\z")]
    private static partial Regex AppFilePattern();

    [GeneratedRegex("""(?<![\w.$])["']?key["']?\s*:\s*(["'`])(?<key>[\w-]+)\1""")]
    private static partial Regex KeyPattern();

    [GeneratedRegex("""(?<![\w.$])["']?version["']?\s*:\s*(["'`])(?<version>\d[\w.-]*)\1""")]
    private static partial Regex VersionPattern();
}
