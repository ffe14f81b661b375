using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;

namespace Sendoff.Engine.Storage.Sqlite;

/// <summary>The files of the database: their permissions, and checks before the server opens it.</summary>
internal static class DatabaseFiles
{
    const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Size of the SQLite header. SQLite treats a shorter file as an empty database, so a truncated history would be
    /// lost.</summary>
    const int HeaderBytes = 100;

    /// <summary>The error if the path is not a database; null if there is no file, or a file that SQLite must check.</summary>
    static string? FindForeign(string path) =>
        Directory.Exists(path) ? $"{path} is a folder but must be the database file; move the folder"
        : new FileInfo(path) is { Exists: true, Length: > 0 and < HeaderBytes } file
            ? $"the database {path} has {file.Length} bytes and is not a SQLite database; restore a backup, "
                + "or move the file so that a new one is created"
        : null;

    /// <exception cref="StoreUnavailableException">The file is not a database.</exception>
    public static void Check(string path)
    {
        if (FindForeign(path) is { } foreign)
            throw new StoreUnavailableException(foreign);
    }

    /// <summary>Makes the database and files that begin with its name (log, copies) readable only by the server's user. SQLite creates
    /// later files with the database's mode.</summary>
    public static void Protect(string path, ILogger log)
    {
        if (OperatingSystem.IsWindows())
            return;
        new FileStream(
            path,
            new FileStreamOptions
            {
                Mode = FileMode.OpenOrCreate,
                Access = FileAccess.ReadWrite,
                Share = FileShare.ReadWrite,
                UnixCreateMode = OwnerOnly,
            }
        ).Dispose();
        foreach (string file in Directory.EnumerateFiles(Path.GetDirectoryName(path)!, Path.GetFileName(path) + "*"))
        {
            try
            {
                if (File.GetUnixFileMode(file) != OwnerOnly)
                    File.SetUnixFileMode(file, OwnerOnly);
            }
            catch (Exception x) when (x is IOException or UnauthorizedAccessException)
            {
                log.FileNotProtected(file, x.Message);
            }
        }
    }

    /// <summary>Reads a database without opening it as a server, also while another process uses it.</summary>
    public static DatabaseState Look(string path)
    {
        if (FindForeign(path) is { } foreign)
            return new(true, 1, null, foreign);
        if (new FileInfo(path) is not { Exists: true, Length: > 0 } file)
            return new(File.Exists(path), 0, null, null);
        try
        {
            using var session = SqliteSession.Open(path, SqliteOpenMode.ReadOnly, "busy_timeout=2000");
            bool hasMeta = session.Number("SELECT count(*) FROM sqlite_schema WHERE name = 'meta'") > 0;
            return new(
                true,
                file.Length,
                hasMeta ? session.Sql("SELECT value FROM meta WHERE name = 'key_fingerprint'").Number() : null,
                null
            );
        }
        catch (SqliteException x)
        {
            return new(true, file.Length, null, SqliteErrors.Explain(x, path)?.Message ?? x.Message);
        }
    }
}
