using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine.Storage.Sql;

namespace Sendoff.Engine.Storage.Sqlite;

/// <summary>A database that no server uses, with the current schema, for reading all rows.</summary>
internal sealed class SqliteSource : IDisposable
{
    readonly FileStream processLock;
    readonly SqliteSession session;

    SqliteSource(FileStream processLock, SqliteSession session, TimeProvider time)
    {
        (this.processLock, this.session) = (processLock, session);
        var unfinished = new MemoryRuns(time);
        unfinished.Load(session);
        UnfinishedRuns = unfinished.List(session, new());
    }

    public IReadOnlyList<UnfinishedRun> UnfinishedRuns { get; }

    /// <exception cref="StoreUnavailableException">The database cannot be read, or a server uses it.</exception>
    public static SqliteSource Open(string path, TimeProvider time)
    {
        var processLock = SqliteStore.TakeLock(path);
        SqliteSession? session = null;
        try
        {
            DatabaseFiles.Check(path);
            session = SqliteStore.OpenWriter(path);
            Migrator.Run(session.Connection, "Storage/Sqlite/Migrations/", NullLogger.Instance);
            return new(processLock, session, time);
        }
        catch (Exception error)
        {
            session?.Dispose();
            processLock.Dispose();
            if (SqliteErrors.Explain(error, path) is { } unavailable)
                throw unavailable;
            throw;
        }
    }

    public HashSet<string> Columns(string table)
    {
        var names = Rows($"SELECT name FROM pragma_table_info('{table}')").Select(static row => (string)row[0]!);
        return [.. names];
    }

    /// <summary>The rows, read one after another: numbers as long, texts, and bytes.</summary>
    public IEnumerable<object?[]> Rows(string sql)
    {
        using var command = session.Connection.CreateCommand();
        command.CommandText = sql;
        using var row = command.ExecuteReader();
        while (row.Read())
        {
            object?[] values = new object?[row.FieldCount];
            for (int i = 0; i < values.Length; i++)
                values[i] = row.IsDBNull(i) ? null : row.GetValue(i);
            yield return values;
        }
    }

    public void Dispose()
    {
        session.Dispose();
        processLock.Dispose();
    }
}
