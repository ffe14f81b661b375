using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;

namespace Sendoff.Engine.Storage.Sqlite;

/// <summary>The database as files: who may read them, and what is there before it is served.</summary>
internal static class DatabaseFiles
{
    const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Bytes of the header that every database of SQLite begins with. SQLite takes a file of some bytes for an empty database, and
    /// a history that was cut off would be forgotten.</summary>
    const int HeaderBytes = 100;

    /// <summary>What stands where the database should be, and is none; null when there is nothing, or something that SQLite is to look
    /// at.</summary>
    static string? FindForeign(string path) =>
        Directory.Exists(path) ? $"{path} is a folder but must be the database file; move the folder"
        : new FileInfo(path) is { Exists: true, Length: > 0 and < HeaderBytes } file
            ? $"the database {path} has {file.Length} bytes and is not a SQLite database; restore a backup, "
                + "or move the file so that a new one is created"
        : null;

    /// <exception cref="StoreUnavailableException">What is there is no database.</exception>
    public static void Check(string path)
    {
        if (FindForeign(path) is { } foreign)
            throw new StoreUnavailableException(foreign);
    }

    /// <summary>Makes the database and everything beside it that begins with its name (its log, copies of it) readable by the server's user
    /// only. SQLite gives the files that it makes later the database's mode.</summary>
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

    /// <summary>Looks at a database without serving it, also while another process does.</summary>
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
