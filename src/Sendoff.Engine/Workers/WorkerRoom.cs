namespace Sendoff.Engine.Workers;

/// <summary>The private folder of one worker. Its program's files are copied there when it is assigned. Removed on dispose.</summary>
/// <param name="folder">Its path on this machine.</param>
/// <param name="seenAs">Its path in the worker.</param>
/// <param name="readable">Folders that workers see at their own paths; programs there are not copied.</param>
/// <param name="packages">The folder of installed packages, one for each lock; null if there are none.</param>
internal sealed class WorkerRoom(string folder, string seenAs, IReadOnlyList<string> readable, string? packages) : IDisposable
{
    /// <summary>The subfolder for the packages of its program.</summary>
    const string Packages = ".packages";

    public string Folder => folder;

    /// <summary>It has a copy of the program's files.</summary>
    public bool HasFiles { get; private set; }

    public void Create()
    {
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(folder);
        else
            Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    /// <summary>Copies the program's files and returns their path in the worker. If a file cannot be copied, loading reports it as
    /// missing.</summary>
    public string Lay(string root)
    {
        if (readable.Any(open => IsIn(open, root)))
            return root;
        try
        {
            Copy(new DirectoryInfo(root), folder, depth: 0);
            HasFiles = true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The worker reports the missing file.
        }
        return seenAs;
    }

    static bool IsIn(string folder, string path) =>
        (Path.GetFullPath(path) + Path.DirectorySeparatorChar).StartsWith(
            folder.TrimEnd(Path.DirectorySeparatorChar) + Path.DirectorySeparatorChar,
            StringComparison.Ordinal
        );

    // Copies instead of links, so that changes in a worker's folder cannot change a version.
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

    /// <param name="depth">Number of folders between this folder and the link.</param>
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

    // Hard links, because there may be thousands of files, of which a run reads a few. The sandbox or the permission model prevents the
    // worker from writing to them.
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
                File.CreateSymbolicLink(target, entry.LinkTarget!); // created by npm, inside the packages
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
