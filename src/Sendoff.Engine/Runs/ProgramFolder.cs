using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Runs;

/// <summary>Lays a version's files out on disk, where Node.js imports them by their own names, so that every error names the user's file
/// and line.</summary>
/// <param name="root">The folder that holds one folder for each version. The store has them all: what is here lasts as long as the
/// server.</param>
public sealed class ProgramFolder(string root)
{
    /// <summary>Removes what an earlier server has left, whole or not: after a power cut a folder may hold empty files. Call it before
    /// anything else.</summary>
    public void Clear() => Remove("*");

    /// <summary>Removes the folders of all versions of a workflow.</summary>
    public void Remove(WorkflowId workflow) => Remove($"{workflow}-*");

    // A folder that is there is whole: it loses its name before its first file.
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
                // Somebody has a file of it open. The next start removes it.
            }
        }
    }

    /// <summary>The folder of a deployed version, written when it is not there yet. A version never changes, so it is written
    /// once.</summary>
    /// <param name="packages">By their names in <c>node_modules</c>, the folders that they are installed in.</param>
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

    /// <summary>A folder that goes when it is disposed.</summary>
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

/// <summary>Files laid out for a check.</summary>
public sealed class TrialFolder(string root) : IDisposable
{
    public string Root { get; } = root;

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
