using System.IO.Compression;
using System.Text;
using System.Text.RegularExpressions;
using Sendoff.Engine.Workflows;

namespace Sendoff.Commands.Import;

/// <summary>A workflow of a Pipedream project: the name of its folder and its files, including <c>workflow.yaml</c>.</summary>
sealed record SyncedWorkflow(string Folder, IReadOnlyDictionary<string, string> Files)
{
    /// <summary>Warnings in the export, such as an omitted secret.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>Why the project does not contain the workflow, and how to get it; null if the project contains it.</summary>
    public (string What, string Remedy)? Missing { get; init; }
}

/// <summary>Finds the workflows in a GitHub-sync project (a folder or a ZIP of one) or in an export archive.</summary>
static partial class SyncedProject
{
    const int MostFiles = 20_000,
        LongestFolder = 80;
    const long MostBytes = 100 * 1024 * 1024;

    /// <exception cref="CommandException">No workflow was found.</exception>
    public static IReadOnlyList<SyncedWorkflow> Read(string path)
    {
        try
        {
            string full = Path.GetFullPath(path);
            var files =
                Directory.Exists(full) ? ReadFolder(full)
                : File.Exists(full) ? ReadFile(full)
                : throw new CommandException($"{path}: there is no such folder or archive", ExitCode.Usage);
            var found = Synced(files, Path.GetFileNameWithoutExtension(full.TrimEnd(Path.DirectorySeparatorChar)));
            if (found.Count == 0)
                found = ExportArchive.Read(files);
            return found.Count > 0
                ? WithOwnFolders(found)
                : throw (IsJson(full) ? NoProject.File(path) : NoProject.Without(path, files.Keys));
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException or InvalidDataException or ArgumentException)
        {
            throw new CommandException($"{path} cannot be read: {x.Message}", ExitCode.Usage);
        }
    }

    // Two workflows of an archive may have the same name, and a name may not be valid as a folder name.
    static List<SyncedWorkflow> WithOwnFolders(List<SyncedWorkflow> found)
    {
        var taken = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        return found.ConvertAll(workflow =>
        {
            string safe = NotInFolders().Replace(workflow.Folder, "-");
            safe = safe[..Math.Min(safe.Length, LongestFolder)].Trim('-', '.');
            safe = safe.Length == 0 ? "workflow" : safe;
            string folder = safe;
            for (int number = 2; !taken.Add(folder); number++)
                folder = $"{safe}-{number}";
            return workflow with { Folder = folder };
        });
    }

    [GeneratedRegex(@"[^\w.~-]+")]
    private static partial Regex NotInFolders();

    /// <summary>Every folder with a workflow.yaml is a workflow, including the given folder.</summary>
    static List<SyncedWorkflow> Synced(Dictionary<string, string> files, string rootName) =>
        [
            .. files
                .Keys.Where(static file => Path.GetFileName(file) is WorkflowReader.YamlFile or "workflow.yml")
                .Order(StringComparer.Ordinal)
                .Select(yaml =>
                {
                    string folder = yaml.Contains('/') ? yaml[..(yaml.LastIndexOf('/') + 1)] : "";
                    var own = files
                        .Where(file => file.Key.StartsWith(folder, StringComparison.Ordinal))
                        .ToDictionary(file => file.Key[folder.Length..], static file => file.Value);
                    return new SyncedWorkflow(folder.Length == 0 ? rootName : Path.GetFileName(folder.TrimEnd('/')), own);
                }),
        ];

    static Dictionary<string, string> ReadFolder(string root)
    {
        var files = new Dictionary<string, string>(StringComparer.Ordinal);
        long bytes = 0;
        foreach (
            string file in Directory.EnumerateFiles(
                root,
                "*",
                new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint }
            )
        )
        {
            string path = Path.GetRelativePath(root, file).Replace(Path.DirectorySeparatorChar, '/');
            if (!IsWanted(path))
                continue;
            Add(files, path, InputText.ReadBytesOfFolder(file, MostBytes - bytes), ref bytes);
        }
        return files;
    }

    static bool IsJson(string path) => Path.GetExtension(path) == ".json" && File.Exists(path);

    static Dictionary<string, string> ReadFile(string file)
    {
        if (!IsJson(file))
            return ReadZip(file);
        var files = new Dictionary<string, string>(StringComparer.Ordinal);
        long bytes = 0;
        Add(files, Path.GetFileName(file), InputText.ReadBytes(file, MostBytes), ref bytes);
        return files;
    }

    static Dictionary<string, string> ReadZip(string file)
    {
        var files = new Dictionary<string, string>(StringComparer.Ordinal);
        long bytes = 0;
        using var archive = Open(file);
        foreach (var entry in archive.Entries)
        {
            if (entry.Name.Length == 0 || !IsWanted(entry.FullName) || ZipEntries.IsLink(entry))
                continue;
            Add(files, entry.FullName, ZipEntries.Read(entry, MostBytes - bytes), ref bytes);
        }
        return files;
    }

    static ZipArchive Open(string file)
    {
        try
        {
            return ZipFile.OpenRead(file);
        }
        catch (InvalidDataException)
        {
            throw NoProject.File(file);
        }
    }

    // Hidden folders such as .git and installed packages are not part of a workflow. Python and shell steps are, so that the report names
    // them.
    static bool IsWanted(string path) =>
        !path.Split('/').Any(static part => part.StartsWith('.') || part is "node_modules" or "")
        && (
            path.Contains("attachments/", StringComparison.Ordinal)
            || Path.GetExtension(path)
                is ".yaml"
                    or ".yml"
                    or ".js"
                    or ".mjs"
                    or ".cjs"
                    or ".ts"
                    or ".json"
                    or ".py"
                    or ".go"
                    or ".sh"
                    or ".txt"
                    or ".md"
        );

    static void Add(Dictionary<string, string> files, string path, byte[] content, ref long bytes)
    {
        bytes += content.Length;
        if (bytes > MostBytes || files.Count >= MostFiles)
            throw new InvalidDataException(
                $"it has more than {MostFiles:N0} files or {MostBytes / 1024 / 1024} MB; check that it is the right folder or archive"
            );
        // Steps are text files.
        if (System.Text.Unicode.Utf8.IsValid(content) && !files.TryAdd(path, Encoding.UTF8.GetString(content).TrimStart('\uFEFF')))
            throw new InvalidDataException($"it has '{path}' more than once");
    }
}
