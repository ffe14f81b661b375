namespace Sendoff.Engine.Workers;

/// <summary>The folder of one worker, which no other sees: the files of its program are laid there when it is bound to one. Gone when it is disposed.</summary>
/// <param name="folder">Where it is on this machine.</param>
/// <param name="seenAs">Where the worker sees it.</param>
/// <param name="readable">Folders that workers see as they are: a program there stays where it is.</param>
internal sealed class WorkerRoom(string folder, string seenAs, IReadOnlyList<string> readable) : IDisposable
{
    public string Folder => folder;

    public void Create()
    {
        if (OperatingSystem.IsWindows()) Directory.CreateDirectory(folder);
        else Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    /// <summary>Lays the program's files there and answers where the worker finds them. What cannot be laid is missing when the worker loads, and named then.</summary>
    public string Lay(string root)
    {
        if (readable.Any(open => IsIn(open, root))) return root;
        try
        {
            Copy(new DirectoryInfo(root), folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The worker says which file is not there.
        }
        return seenAs;
    }

    static bool IsIn(string folder, string path) => (Path.GetFullPath(path) + Path.DirectorySeparatorChar).StartsWith(folder.TrimEnd(Path.DirectorySeparatorChar) + Path.DirectorySeparatorChar, StringComparison.Ordinal);

    // Copies, not links: a version's own files are out of reach then, whatever a worker finds to do with its folder.
    static void Copy(DirectoryInfo from, string to)
    {
        foreach (var entry in from.EnumerateFileSystemInfos())
        {
            string target = Path.Combine(to, entry.Name);
            if (entry.LinkTarget is not null) Link(entry, target);
            else if (entry is DirectoryInfo inner)
            {
                Directory.CreateDirectory(target);
                Copy(inner, target);
            }
            else File.Copy(entry.FullName, target);
        }
    }

    static void Link(FileSystemInfo entry, string target)
    {
        string points = entry.ResolveLinkTarget(returnFinalTarget: false)!.FullName;
        if (entry is DirectoryInfo) Directory.CreateSymbolicLink(target, points);
        else File.CreateSymbolicLink(target, points);
    }

    public void Dispose()
    {
        try
        {
            Directory.Delete(folder, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The next start of the server removes it.
        }
    }
}
