using Npgsql;
using Sendoff.Engine.Storage.Sql;

namespace Sendoff.Engine.Storage.Postgres;

/// <summary>A connection that is opened anew by the first transaction after it was lost. Statements without a result are sent together with
/// the next one that has a result, so that a transaction of many inserts needs few round trips.</summary>
internal sealed class PostgresSession(string connectionString, PostgresDialect dialect, ServerLease lease) : SqlSession(dialect)
{
    /// <summary>Maximum number of collected statements, to limit the memory for their parameters.</summary>
    const int MostPosted = 200;

    readonly List<NpgsqlBatchCommand> posted = [];
    NpgsqlConnection? connection;

    /// <summary>Begins a writing transaction of this server. It fails if another server has taken over this server's work, and prevents a
    /// takeover until it ends.</summary>
    public override void Begin()
    {
        Open();
        Post(new("BEGIN"));
        Post(new("SELECT sendoff_alive()"));
    }

    public override void BeginRead()
    {
        Open();
        Post(new("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
    }

    public override void Commit() => Run(new("COMMIT"));

    public override void Rollback()
    {
        posted.Clear();
        try
        {
            if (IsOpen)
                Run(new("ROLLBACK"));
        }
        catch (NpgsqlException)
        {
            // The connection is lost, with its transaction.
            Close();
        }
    }

    public override void Serialize(long key) => Sql("SELECT pg_advisory_xact_lock(?)").Set(key).Post();

    protected override SqlStatement Prepare(string sql) => new PostgresStatement(this, sql);

    /// <summary>Opens the connection if it is not open.</summary>
    public void Open()
    {
        if (IsOpen)
            return;
        Close();
        connection = new(connectionString);
        connection.Open();
        // A server that is frozen in a transaction must not keep its locks longer than its lease.
        Run(new("SELECT set_config('idle_in_transaction_session_timeout', '10s', false), set_config('lock_timeout', '20s', false)"));
        Run(new($"SELECT set_config('sendoff.epoch', '{lease.Epoch}', false), set_config('sendoff.slot', '{lease.Slot}', false)"));
    }

    bool IsOpen => connection is { FullState: System.Data.ConnectionState.Open };

    public void Post(NpgsqlBatchCommand command)
    {
        posted.Add(command);
        if (posted.Count >= MostPosted)
            Flush(null).Dispose();
    }

    public int Run(NpgsqlBatchCommand command)
    {
        Flush(command).Dispose();
        return command.RecordsAffected;
    }

    /// <summary>Sends the collected statements, and <paramref name="last"/>, whose rows are returned.</summary>
    public NpgsqlDataReader Flush(NpgsqlBatchCommand? last)
    {
        if (!IsOpen)
            throw new NpgsqlException("the connection was lost during the transaction");
        using var batch = new NpgsqlBatch(connection);
        // A statement with rows has a result, even if there are none.
        int results = posted.Count(static command => command.CommandText.StartsWith("SELECT", StringComparison.Ordinal));
        foreach (var command in posted)
            batch.BatchCommands.Add(command);
        if (last is not null)
            batch.BatchCommands.Add(last);
        posted.Clear();
        // A synchronous call with many statements would use a thread that keeps the process alive for seconds.
        var reader = batch.BatchCommands.Count > 2 ? batch.ExecuteReaderAsync().GetAwaiter().GetResult() : batch.ExecuteReader();
        try
        {
            for (int i = 0; i < results; i++)
                reader.NextResult();
            return reader;
        }
        catch
        {
            reader.Dispose();
            throw;
        }
    }

    void Close()
    {
        posted.Clear();
        connection?.Dispose();
        connection = null;
    }

    public override void Dispose() => Close();
}
