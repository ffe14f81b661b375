using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Sendoff.Engine.Storage.Sqlite;

/// <summary>Distinguishes an outage from an invalid write, and describes the outage and its remedy (G3).</summary>
internal static class SqliteErrors
{
    /// <summary>Null if the error is caused by the written data.</summary>
    public static StoreUnavailableException? Explain(Exception error, string path) =>
        error is SqliteException sqlite && Reason(sqlite) is { } reason ? new($"the database {path} {reason}", error) : null;

    static string? Reason(SqliteException error) =>
        error.SqliteErrorCode switch
        {
            raw.SQLITE_FULL => "cannot grow: the disk is full; free space on it, and Sendoff continues automatically, "
                + "or start it again with a lower Retention:Age or Retention:Size",
            raw.SQLITE_BUSY or raw.SQLITE_LOCKED or raw.SQLITE_PROTOCOL => "is locked by another program; close that program",
            raw.SQLITE_IOERR => $"cannot be read or written ({error.Message}); check the disk",
            raw.SQLITE_CANTOPEN => "cannot be opened; check that its folder exists and that Sendoff has write access to it",
            raw.SQLITE_READONLY or raw.SQLITE_PERM => "cannot be written; give Sendoff write access to the file and its folder",
            raw.SQLITE_NOTADB => "is not a SQLite database; set another file, or move this one so that a new one is created",
            raw.SQLITE_CORRUPT => "is damaged; stop Sendoff and restore a backup, or repair it with 'sqlite3 .recover'",
            raw.SQLITE_NOMEM => "ran out of memory",
            _ => null,
        };
}
