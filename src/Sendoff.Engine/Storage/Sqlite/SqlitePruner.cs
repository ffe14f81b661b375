using Sendoff.Engine.Storage.Sql;
using SQLitePCL;

namespace Sendoff.Engine.Storage.Sqlite;

internal sealed class SqlitePruner(EngineLimits limits) : SqlPruner(limits)
{
    /// <summary>Free pages to keep for new rows.</summary>
    const int SparePages = 64;

    /// <summary>Bytes in the file that new rows can use.</summary>
    public static long FreeBytes(SqlSession session) => session.Number("PRAGMA freelist_count") * session.Number("PRAGMA page_size");

    protected override long UsedBytes(SqlSession session) =>
        (session.Number("PRAGMA page_count") - session.Number("PRAGMA freelist_count")) * session.Number("PRAGMA page_size");

    /// <summary>Moves pages from the end of the file to free ones and truncates the file.</summary>
    protected override bool GiveBack(SqlSession session, long maxBytes)
    {
        if (!IsWorthwhile(session, maxBytes))
            return false;
        long free = session.Number("PRAGMA freelist_count");
        ((SqliteSession)session).Execute($"PRAGMA incremental_vacuum({Limits.PrunePages})");
        // A file that was created without auto_vacuum never shrinks and must not be retried forever.
        return session.Number("PRAGMA freelist_count") < free && IsWorthwhile(session, maxBytes);
    }

    static bool IsWorthwhile(SqlSession session, long maxBytes)
    {
        long free = session.Number("PRAGMA freelist_count"),
            pages = session.Number("PRAGMA page_count");
        if (free <= SparePages)
            return false;
        return free > pages / 20 || (maxBytes > 0 && pages * session.Number("PRAGMA page_size") > maxBytes);
    }

    /// <summary>The file shrinks when the log is copied into it. Does not wait: if a reader or an error prevents it, the next call does
    /// it.</summary>
    public static void Checkpoint(SqliteSession session)
    {
        var database = session.Connection.Handle!;
        raw.sqlite3_busy_timeout(database, 0);
        raw.sqlite3_wal_checkpoint_v2(database, null, raw.SQLITE_CHECKPOINT_TRUNCATE, out _, out _);
        raw.sqlite3_busy_timeout(database, 2_000);
    }
}
