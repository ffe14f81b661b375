using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Runs;

/// <summary>Writes the files of a version to disk, from which Node.js imports them under their own names, so that errors name the user's
/// file and line.</summary>
/// <param name="root">The folder with one folder for each version. The files are also in the store; these copies are removed at the next
/// start.</param>
public sealed class ProgramFolder(string root)
{
    /// <summary>Removes the folders of an earlier server, because after a power failure they may contain empty files. Call it
    /// first.</summary>
    public void Clear() => Remove("*");

    /// <summary>Removes the folders of all versions of a workflow.</summary>
    public void Remove(WorkflowId workflow) => Remove($"{workflow}-*");

    // An existing folder is complete: deletion renames it first.
    void Remove(string pattern)
    {
        if (!Directory.Exists(root))
            return;
        foreach (string folder in Directory.EnumerateDirectories(root, pattern).ToList())
        {
            string old = Path.Combine(root, "old-" + Guid.NewGuid().ToString("N"));
            try
            {
                Directory.Move(folder, old);
                Directory.Delete(old, recursive: true);
            }
            catch (Exception x) when (x is IOException or UnauthorizedAccessException)
            {
                // A process has one of its files open. The next start removes the folder.
            }
        }
    }

    /// <summary>The folder of a deployed version, written if it does not exist. A version never changes, so it is written once.</summary>
    /// <param name="packages">Maps names in <c>node_modules</c> to installed folders.</param>
    public string Keep(WorkflowVersion version, IReadOnlyDictionary<string, string> packages)
    {
        string target = Path.Combine(root, $"{version.WorkflowId}-{version.Number}");
        if (Directory.Exists(target))
            return target;
        string fresh = Fresh(version.Files, packages);
        try
        {
            Directory.Move(fresh, target);
        }
        catch (IOException) when (Directory.Exists(target))
        {
            Directory.Delete(fresh, recursive: true);
        }
        return target;
    }

    /// <summary>A folder that is deleted when it is disposed.</summary>
    public TrialFolder Trial(IReadOnlyDictionary<string, string> files, IReadOnlyDictionary<string, string> packages) =>
        new(Fresh(files, packages));

    string Fresh(IReadOnlyDictionary<string, string> files, IReadOnlyDictionary<string, string> packages)
    {
        string fresh = Path.Combine(root, "new-" + Guid.NewGuid().ToString("N"));
        Directory.CreateDirectory(fresh);
        try
        {
            Write(fresh, files, packages);
            return fresh;
        }
        catch
        {
            Directory.Delete(fresh, recursive: true);
            throw;
        }
    }

    static void Write(string fresh, IReadOnlyDictionary<string, string> files, IReadOnlyDictionary<string, string> packages)
    {
        foreach (var (path, text) in files)
        {
            string full = Path.GetFullPath(Path.Combine(fresh, path));
            if (!full.StartsWith(fresh + Path.DirectorySeparatorChar, StringComparison.Ordinal))
                throw new ArgumentException($"the file '{path}' leaves the workflow's folder");
            Directory.CreateDirectory(Path.GetDirectoryName(full)!);
            File.WriteAllText(full, text);
        }
        foreach (var (name, folder) in packages)
        {
            string link = Path.Combine(fresh, "node_modules", name);
            Directory.CreateDirectory(Path.GetDirectoryName(link)!);
            Directory.CreateSymbolicLink(link, folder);
        }
    }
}

/// <summary>Files written to disk for a check.</summary>
public sealed class TrialFolder(string root) : IDisposable
{
    public string Root { get; } = root;

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
