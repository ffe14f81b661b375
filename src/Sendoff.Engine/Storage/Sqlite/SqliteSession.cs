using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Sendoff.Engine.Storage.Sqlite;

/// <summary>A connection with its prepared statements, for one thread at a time.</summary>
internal sealed class SqliteSession : IDisposable
{
    readonly Dictionary<string, SqliteStatement> statements = [];

    SqliteSession(SqliteConnection connection) => Connection = connection;

    public SqliteConnection Connection { get; }

    public static SqliteSession Open(string path, SqliteOpenMode mode, params ReadOnlySpan<string> pragmas)
    {
        var connection = new SqliteConnection(
            new SqliteConnectionStringBuilder
            {
                DataSource = path,
                Mode = mode,
                Pooling = false,
            }.ConnectionString
        );
        try
        {
            connection.Open();
            var session = new SqliteSession(connection);
            foreach (string pragma in pragmas)
                session.Execute("PRAGMA " + pragma);
            return session;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>The cached statement, prepared at its first use.</summary>
    public SqliteStatement Sql(string sql)
    {
        if (!statements.TryGetValue(sql, out var statement))
            statements[sql] = statement = new(Connection.Handle!, sql);
        return statement;
    }

    /// <summary>The prepared statements.</summary>
    public IEnumerable<string> Statements => statements.Keys;

    /// <summary>Runs a statement without caching it.</summary>
    public void Execute(string sql)
    {
        using var statement = new SqliteStatement(Connection.Handle!, sql);
        statement.Run();
    }

    public long Number(string sql) => Sql(sql).Number() ?? 0;

    public bool InTransaction => raw.sqlite3_get_autocommit(Connection.Handle!) == 0;

    public void Dispose()
    {
        foreach (var statement in statements.Values)
            statement.Dispose();
        Connection.Dispose();
    }
}

/// <summary>The read connections. In WAL mode, readers and the writer do not block each other.</summary>
internal sealed class SqliteReaders(string path, int count) : IAsyncDisposable
{
    readonly SemaphoreSlim free = new(count);
    readonly Stack<SqliteSession> idle = new();

    /// <summary>Reads in one transaction, so that all of its statements see the same state.</summary>
    public async Task<T> ReadAsync<T>(Func<SqliteSession, T> read, CancellationToken ct)
    {
        await free.WaitAsync(ct);
        try
        {
            var session = Take();
            try
            {
                return InTransaction(session, read);
            }
            finally
            {
                lock (idle)
                    idle.Push(session);
            }
        }
        catch (SqliteException error) when (SqliteErrors.Explain(error, path) is { } unavailable)
        {
            throw unavailable;
        }
        finally
        {
            free.Release();
        }
    }

    SqliteSession Take()
    {
        lock (idle)
            if (idle.TryPop(out var session))
                return session;
        return SqliteSession.Open(path, SqliteOpenMode.ReadOnly, "busy_timeout=2000", "temp_store=MEMORY", "cache_size=-8192");
    }

    static T InTransaction<T>(SqliteSession session, Func<SqliteSession, T> read)
    {
        session.Sql("BEGIN").Run();
        try
        {
            return read(session);
        }
        finally
        {
            session.Sql("COMMIT").Run();
        }
    }

    /// <summary>The prepared statements of idle connections.</summary>
    public IReadOnlyList<string> Statements
    {
        get
        {
            lock (idle)
                return [.. idle.SelectMany(static session => session.Statements)];
        }
    }

    /// <summary>Waits for readers.</summary>
    public async ValueTask DisposeAsync()
    {
        for (int i = 0; i < count; i++)
            await free.WaitAsync();
        while (idle.TryPop(out var session))
            session.Dispose();
    }
}
