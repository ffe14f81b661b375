namespace Sendoff.Commands;

/// <summary>The folder that holds the database, the versions' files and the admin token.</summary>
static class DataDirectory
{
    /// <summary>Its full path. A folder that cannot be made or written is one clear line.</summary>
    public static string Prepare(string path)
    {
        string full = Path.GetFullPath(path);
        try
        {
            Directory.CreateDirectory(full);
            if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(full, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            string probe = Path.Combine(full, ".write-" + Guid.NewGuid().ToString("N"));
            File.WriteAllBytes(probe, []);
            File.Delete(probe);
            return full;
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"the data directory {full} cannot be written: {x.Message} Give another with --data", ExitCode.Usage);
        }
    }
}
