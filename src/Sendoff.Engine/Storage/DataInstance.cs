namespace Sendoff.Engine.Storage;

/// <summary>The identity of a data folder: a random name in a file that is locked while a process uses it. So a process that gets the lock
/// knows that the earlier process has ended, and takes over its work immediately.</summary>
internal static class DataInstance
{
    static readonly Dictionary<string, FileStream> taken = [];

    /// <summary>Locks the folder until the process ends. The same process can call it again.</summary>
    /// <exception cref="StoreUnavailableException">Another process uses the folder, or it cannot be written.</exception>
    public static ServerIdentity Take(string folder)
    {
        string path = Path.Combine(Path.GetFullPath(folder), "instance");
        lock (taken)
        {
            if (!taken.TryGetValue(path, out var file))
                taken[path] = file = Open(path);
            return new(NameIn(file), Environment.MachineName, ServerIdentity.ProgramVersion);
        }
    }

    static FileStream Open(string path)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            return new(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new StoreUnavailableException(
                $"{path} cannot be locked ({error.Message}); each server needs a separate data folder (setting Data)",
                error
            );
        }
    }

    static string NameIn(FileStream file)
    {
        file.Position = 0;
        string name = new StreamReader(file, leaveOpen: true).ReadToEnd();
        if (name.Length > 0)
            return name;
        name = Guid.NewGuid().ToString("N");
        file.Write(System.Text.Encoding.ASCII.GetBytes(name));
        file.Flush(flushToDisk: true);
        return name;
    }
}
