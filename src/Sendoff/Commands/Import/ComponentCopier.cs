using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;
using Sendoff.Engine.Packages;

namespace Sendoff.Commands.Import;

/// <summary>An action and all files that it imports from its source, as files of a workflow.</summary>
/// <param name="Path">The path of the action's own file in <paramref name="Files"/>.</param>
/// <param name="Files">The files by path: <c>APP/...</c>.</param>
sealed record CopiedComponent(string Path, IReadOnlyDictionary<string, string> Files)
{
    public string Code => Files[Path];

    /// <summary>The version of the component; null if its code does not contain it.</summary>
    public string? Version { get; init; }

    /// <summary>The code of the action and its app. It shows which fields of an account are read.</summary>
    public string CodeWithApp =>
        string.Join(
            '\n',
            Files.Where(file => file.Key != Path && ComponentFolder.IsAppFile(file.Key)).Select(static file => file.Value).Prepend(Code)
        );
}

/// <summary>Copies an action with the files that it imports, including files of other apps. Package versions are written into the imports,
/// as the range of the app's <c>package.json</c>, because two apps of one workflow may need two versions of a package.</summary>
/// <param name="open">Returns the folder of an app by its name, or null if the source does not have it.</param>
sealed partial class ComponentCopier(Func<string, ComponentFolder?> open)
{
    static readonly string[] endings = ["", ".mjs", ".js", ".ts", ".json", "/index.mjs", "/index.js", "/index.ts"];

    readonly Dictionary<string, string> files = new(StringComparer.Ordinal);
    readonly Dictionary<string, ComponentFolder> folders = new(StringComparer.Ordinal);
    readonly Queue<(ComponentFolder Folder, string Path)> waiting = new();
    readonly HashSet<string> seen = new(StringComparer.Ordinal);
    long bytes;

    /// <exception cref="ComponentException">The action cannot be copied completely.</exception>
    public CopiedComponent Copy(ComponentFolder app, string path)
    {
        folders[app.App] = app;
        Want(app, path);
        while (waiting.TryDequeue(out var next))
            CopyFile(next.Folder, next.Path);
        foreach (var folder in seen.Select(static file => file.Split('/')[0]).Distinct().Select(name => folders[name]).ToList())
        {
            Add($"{folder.App}/package.json", Manifest(folder));
            if (folder.Read("LICENSE") is { } license)
                Add($"{folder.App}/LICENSE.txt", license);
        }
        string own = $"{app.App}/{path}";
        return new(own, files) { Version = ComponentFolder.VersionOf(files[own]) };
    }

    void CopyFile(ComponentFolder folder, string path)
    {
        string from = $"{folder.App}/{path}",
            code = folder.Read(path)!;
        bool isData = path.EndsWith(".json", StringComparison.Ordinal);
        Add(from, isData ? code : ImportRewriting.Rewrite(from, code, specifier => Resolve(folder, from, specifier)));
    }

    void Add(string path, string text)
    {
        files[path] = text;
        bytes += Encoding.UTF8.GetByteCount(text);
        if (bytes > ComponentLimits.CopiedBytes)
            throw new ComponentException($"its files have more than {ComponentLimits.CopiedBytes:N0} bytes");
        if (files.Count > ComponentLimits.CopiedFiles)
            throw new ComponentException($"it has more than {ComponentLimits.CopiedFiles:N0} files");
    }

    void Want(ComponentFolder folder, string path)
    {
        if (seen.Add($"{folder.App}/{path}"))
            waiting.Enqueue((folder, path));
    }

    /// <summary>The specifier in the copy for <paramref name="specifier"/>.</summary>
    string Resolve(ComponentFolder folder, string from, string specifier)
    {
        if (specifier.StartsWith('/') || specifier.StartsWith("file:", StringComparison.Ordinal))
            throw Outside(from, specifier);
        if (specifier.StartsWith('.'))
            return Local(from, specifier, Absolute(from, specifier));
        if (AppPackage().Match(specifier) is { Success: true } match && Folder(match.Groups["app"].Value) is { AppFile: { } main } other)
            return Local(from, specifier, $"{other.App}/{(match.Groups["path"] is { Success: true } sub ? sub.Value : main)}");
        return ImportRewriting.Pin(specifier, folder.Dependencies.GetValueOrDefault);
    }

    string Local(string from, string specifier, string? target)
    {
        if (target is null || target.IndexOf('/') is not (> 0 and var slash))
            throw Outside(from, specifier);
        string app = target[..slash],
            wanted = target[(slash + 1)..];
        string? found = Folder(app) is { } folder ? Candidates(wanted).FirstOrDefault(folder.Has) : null;
        if (found is null)
            throw new ComponentException($"{from} imports '{specifier}', which does not exist in the source");
        Want(folders[app], found);
        return Relative(from, $"{app}/{found}");
    }

    static ComponentException Outside(string from, string specifier) => new($"{from} imports '{specifier}', which is outside the source");

    // TypeScript can import a file by the name of its compiled form.
    static IEnumerable<string> Candidates(string path)
    {
        var found = endings.Select(ending => path + ending);
        return CompiledName().Match(path) is { Success: true } compiled ? found.Append(compiled.Groups["name"].Value + ".ts") : found;
    }

    ComponentFolder? Folder(string app)
    {
        if (folders.TryGetValue(app, out var known))
            return known;
        if (!AppName().IsMatch(app) || open(app) is not { } folder)
            return null;
        return folders[app] = folder;
    }

    /// <summary>The path relative to the folder of all apps; null for a path outside that folder.</summary>
    static string? Absolute(string from, string specifier)
    {
        var parts = new List<string>(from.Split('/')[..^1]);
        foreach (string part in specifier.Split('/'))
        {
            if (part is "." or "")
                continue;
            if (part != "..")
                parts.Add(part);
            else if (parts.Count > 0)
                parts.RemoveAt(parts.Count - 1);
            else
                return null;
        }
        return string.Join('/', parts);
    }

    static string Relative(string from, string target)
    {
        string[] here = from.Split('/')[..^1],
            there = target.Split('/');
        int same = here.Zip(there).TakeWhile(static pair => pair.First == pair.Second).Count();
        return (same == here.Length ? "./" : string.Concat(Enumerable.Repeat("../", here.Length - same))) + string.Join('/', there[same..]);
    }

    // The origin of the files, and whether .js files are modules.
    static string Manifest(ComponentFolder folder)
    {
        var manifest = new Dictionary<string, object> { ["name"] = $"@pipedream/{folder.App}" };
        if (folder.Version is { } version)
            manifest["version"] = version;
        if (folder.License is { } license)
            manifest["license"] = license;
        if (folder.Type is { } type)
            manifest["type"] = type;
        if (folder.Dependencies.Count > 0)
            manifest["dependencies"] = folder.Dependencies;
        return JsonSerializer.Serialize(manifest, indented) + "\n";
    }

    static readonly JsonSerializerOptions indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    [GeneratedRegex("^@pipedream/(?<app>[A-Za-z0-9_-]+)(?:/(?<path>.+))?\\z")]
    private static partial Regex AppPackage();

    [GeneratedRegex("^[A-Za-z0-9_-]+\\z")]
    private static partial Regex AppName();

    [GeneratedRegex(@"^(?<name>.+)\.[mc]?js\z")]
    private static partial Regex CompiledName();
}
