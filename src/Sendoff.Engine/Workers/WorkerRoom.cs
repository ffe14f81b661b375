namespace Sendoff.Engine.Workers;

/// <summary>The folder of one worker, which no other sees: the files of its program are laid there when it is bound to one. Gone when it is
/// disposed.</summary>
/// <param name="folder">Where it is on this machine.</param>
/// <param name="seenAs">Where the worker sees it.</param>
/// <param name="readable">Folders that workers see as they are: a program there stays where it is.</param>
/// <param name="packages">Holds a folder of installed packages for each lock; null has none.</param>
internal sealed class WorkerRoom(string folder, string seenAs, IReadOnlyList<string> readable, string? packages) : IDisposable
{
    /// <summary>Where the room has the packages of its program.</summary>
    const string Packages = ".packages";

    public string Folder => folder;

    public void Create()
    {
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(folder);
        else
            Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    /// <summary>Lays the program's files there and answers where the worker finds them. What cannot be laid is missing when the worker
    /// loads, and named then.</summary>
    public string Lay(string root)
    {
        if (readable.Any(open => IsIn(open, root)))
            return root;
        try
        {
            Copy(new DirectoryInfo(root), folder, depth: 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The worker says which file is not there.
        }
        return seenAs;
    }

    static bool IsIn(string folder, string path) =>
        (Path.GetFullPath(path) + Path.DirectorySeparatorChar).StartsWith(
            folder.TrimEnd(Path.DirectorySeparatorChar) + Path.DirectorySeparatorChar,
            StringComparison.Ordinal
        );

    // Copies, not links: a version's own files are out of reach then, whatever a worker finds to do with its folder.
    void Copy(DirectoryInfo from, string to, int depth)
    {
        foreach (var entry in from.EnumerateFileSystemInfos())
        {
            string target = Path.Combine(to, entry.Name);
            if (IsLink(entry))
                Link(entry, target, depth);
            else if (entry is DirectoryInfo inner)
            {
                Directory.CreateDirectory(target);
                Copy(inner, target, depth + 1);
            }
            else
                File.Copy(entry.FullName, target);
        }
    }

    static bool IsLink(FileSystemInfo entry) => (entry.Attributes & FileAttributes.ReparsePoint) != 0;

    /// <param name="depth">Folders between the room and the link.</param>
    void Link(FileSystemInfo entry, string target, int depth)
    {
        string points = entry.ResolveLinkTarget(returnFinalTarget: false)!.FullName;
        if (packages is not null && IsIn(packages, points))
        {
            string inside = Path.GetRelativePath(packages, points);
            LayPackages(inside.Split(Path.DirectorySeparatorChar)[0]);
            points = Path.Combine([.. Enumerable.Repeat("..", depth), Packages, inside]);
        }
        if (entry is DirectoryInfo)
            Directory.CreateSymbolicLink(target, points);
        else
            File.CreateSymbolicLink(target, points);
    }

    // Second names of the same files: they may be thousands, of which a run reads some. The worker cannot write them: its sandbox, or the
    // permission model, keeps it from that.
    void LayPackages(string name)
    {
        string target = Path.Combine(folder, Packages, name);
        if (Directory.Exists(target))
            return;
        Directory.CreateDirectory(target);
        LinkFiles(new DirectoryInfo(Path.Combine(packages!, name)), target);
    }

    static void LinkFiles(DirectoryInfo from, string to)
    {
        foreach (var entry in from.EnumerateFileSystemInfos())
        {
            string target = Path.Combine(to, entry.Name);
            if (IsLink(entry))
                File.CreateSymbolicLink(target, entry.LinkTarget!); // of npm's own, within the packages
            else if (entry is DirectoryInfo inner)
            {
                Directory.CreateDirectory(target);
                LinkFiles(inner, target);
            }
            else
                HardLink.CreateOrCopy(entry.FullName, target);
        }
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
