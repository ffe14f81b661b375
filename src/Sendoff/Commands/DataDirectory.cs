using Sendoff.Engine;
using Sendoff.Server.Auth;

namespace Sendoff.Commands;

/// <summary>The folder with the database, the versions' files and the admin token.</summary>
static class DataDirectory
{
    /// <summary>The warning if the directory was used before but has no database, otherwise null.</summary>
    public static string? LostDatabase(string folder)
    {
        if (!DatabaseState.In(folder).IsEmpty)
            return null;
        string database = DatabaseState.PathIn(folder);
        string? trace = new[] { SecretKey.FileName, AdminToken.FileName }.FirstOrDefault(name => File.Exists(Path.Combine(folder, name)));
        return trace is null
            ? null
            : $"{database} is {(File.Exists(database) ? "empty" : "missing")}, but {folder} was used before: it has a file {trace}. "
                + "A start creates a new, empty database. To keep the history, restore the database from a backup first.";
    }

    /// <summary>Creates the folder and returns its full path. If the folder cannot be created or written, throws a one-line
    /// error.</summary>
    public static string Prepare(string path)
    {
        string full = Path.GetFullPath(path);
        try
        {
            Directory.CreateDirectory(full);
            if (!OperatingSystem.IsWindows())
                File.SetUnixFileMode(full, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            string probe = Path.Combine(full, ".write-" + Guid.NewGuid().ToString("N"));
            File.WriteAllBytes(probe, []);
            File.Delete(probe);
            return full;
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException)
        {
            throw new CommandException(
                $"the data directory {full} cannot be written: {x.Message} Set another one with --data",
                ExitCode.Usage
            );
        }
    }
}
