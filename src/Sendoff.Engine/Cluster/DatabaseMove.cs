using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using NpgsqlTypes;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Postgres;
using Sendoff.Engine.Storage.Sqlite;

namespace Sendoff.Engine.Cluster;

/// <summary>Copies a SQLite database with its history to PostgreSQL, in one transaction. Can be repeated until a server uses the target;
/// each copy replaces the previous one.</summary>
public static class DatabaseMove
{
    /// <summary>Unfinished work of the source has no owner, so the first server takes it over.</summary>
    const long Nobody = 0;

    /// <summary>A slot that no server has, for the usage rows of the source.</summary>
    const long NoSlot = -1;

    /// <param name="copied">Called for each table with its number of rows.</param>
    /// <exception cref="StoreUnavailableException">One of the databases cannot be used; the message gives the reason and the
    /// remedy.</exception>
    public static void Run(string dataDirectory, string target, TimeProvider time, Action<string, long> copied)
    {
        string path = DatabaseState.PathIn(dataDirectory);
        if (DatabaseState.In(dataDirectory) is { IsEmpty: true })
            throw new StoreUnavailableException($"{path} does not exist or is empty; set the data folder with --data");
        using var source = SqliteSource.Open(path, time);
        var settings = ConnectionSettings.Of(target);
        string where = ConnectionSettings.Describe(settings);
        try
        {
            using var connection = PostgresStore.Prepare(settings, NullLogger.Instance);
            RefuseIfServed(connection, where);
            using var transaction = connection.BeginTransaction();
            var tables = Tables(connection);
            Execute(connection, $"TRUNCATE {string.Join(", ", tables)}");
            foreach (string table in tables)
                copied(table, table == "queue" ? CopyQueue(source, connection) : Copy(source, connection, table));
            Continue(connection);
            transaction.Commit();
        }
        catch (Exception error) when (PostgresErrors.Explain(error, where) is { } unavailable)
        {
            throw unavailable;
        }
    }

    // Rows of the source would overwrite changes that a server has made.
    static void RefuseIfServed(NpgsqlConnection connection, string where)
    {
        if (Read(connection, "SELECT is_called::text FROM epochs", static row => row.GetString(0)) is ["true"])
            throw new StoreUnavailableException(
                $"the database {where} has already been used by a server, and a copy would overwrite its changes; create a new database"
            );
    }

    static List<string> Tables(NpgsqlConnection connection) =>
        Read(
            connection,
            """
            SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'
                AND table_name NOT IN ('migrations', 'servers', 'revisions', 'turns') ORDER BY table_name
            """,
            static row => row.GetString(0)
        );

    static long Copy(SqliteSource source, NpgsqlConnection connection, string table)
    {
        var columns = Read(
            connection,
            $"""
            SELECT column_name, data_type FROM information_schema.columns
            WHERE table_schema = current_schema() AND table_name = '{table}'
            """,
            static row => (Name: row.GetString(0), Type: row.GetString(1))
        );
        var shared = columns.Where(column => source.Columns(table).Contains(column.Name)).ToList();
        List<(string Name, long Value)> given =
        [
            .. columns.Any(static column => column.Name == "owner") ? [("owner", Nobody)] : Array.Empty<(string, long)>(),
            .. columns.Any(static column => column.Name == "slot") ? [("slot", NoSlot)] : Array.Empty<(string, long)>(),
        ];
        // Only SQLite uses the low-water mark.
        string where = table == "meta" ? " WHERE name <> 'low_water'" : "";
        return Insert(
            connection,
            table,
            [.. shared.Select(static column => (column.Name, TypeOf(column.Type)))],
            given,
            source.Rows($"SELECT {string.Join(", ", shared.Select(static column => column.Name))} FROM {table}{where}")
        );
    }

    static long CopyQueue(SqliteSource source, NpgsqlConnection connection) =>
        Insert(
            connection,
            "queue",
            [
                ("run_id", NpgsqlDbType.Bigint),
                ("event_id", NpgsqlDbType.Bigint),
                ("workflow_id", NpgsqlDbType.Bigint),
                ("version", NpgsqlDbType.Bigint),
                ("trigger", NpgsqlDbType.Text),
                ("received_at", NpgsqlDbType.Bigint),
                ("replay", NpgsqlDbType.Bigint),
                ("captured", NpgsqlDbType.Bigint),
                ("continues", NpgsqlDbType.Bigint),
            ],
            [("owner", Nobody), ("is_left", 1)],
            source.UnfinishedRuns.Select(static run =>
                new object?[]
                {
                    run.RunId,
                    run.EventId,
                    run.WorkflowId,
                    (long)run.Version,
                    run.Trigger,
                    run.ReceivedAt,
                    run.Replay ? 1L : 0L,
                    run.Captured ? 1L : 0L,
                    run.Continues,
                }
            )
        );

    static NpgsqlDbType TypeOf(string name) =>
        name switch
        {
            "bigint" => NpgsqlDbType.Bigint,
            "text" => NpgsqlDbType.Text,
            "bytea" => NpgsqlDbType.Bytea,
            _ => throw new InvalidOperationException($"columns of the type {name} cannot be copied"),
        };

    /// <param name="given">Further columns, with the same value in each row.</param>
    static long Insert(
        NpgsqlConnection connection,
        string table,
        List<(string Name, NpgsqlDbType Type)> columns,
        List<(string Name, long Value)> given,
        IEnumerable<object?[]> rows
    )
    {
        string names = string.Join(", ", columns.Select(static column => column.Name).Concat(given.Select(static one => one.Name)));
        using var writer = connection.BeginBinaryImport($"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)");
        foreach (object?[] row in rows)
        {
            writer.StartRow();
            for (int i = 0; i < row.Length; i++)
                Write(writer, row[i], columns[i].Type);
            foreach (var (_, value) in given)
                writer.Write(value, NpgsqlDbType.Bigint);
        }
        return (long)writer.Complete();
    }

    static void Write(NpgsqlBinaryImporter writer, object? value, NpgsqlDbType type)
    {
        if (value is null)
            writer.WriteNull();
        else if (value is string text)
            writer.Write(PostgresStatement.Storable(text), type);
        else
            writer.Write(value, type);
    }

    // New rows get numbers above the copied ones.
    static void Continue(NpgsqlConnection connection)
    {
        foreach (string table in new[] { "stores", "store_values", "publications", "source_ids" })
            Execute(
                connection,
                $"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM {table}), false)"
            );
        // A trigger has counted each copied row, in addition to the copied count.
        Execute(
            connection,
            """
            UPDATE stores SET keys = (SELECT count(*) FROM store_values WHERE store_id = stores.id),
                bytes = (SELECT coalesce(sum(length(value)), 0) FROM store_values WHERE store_id = stores.id)
            """
        );
    }

    static List<T> Read<T>(NpgsqlConnection connection, string sql, Func<NpgsqlDataReader, T> read)
    {
        using var command = new NpgsqlCommand(sql, connection);
        using var row = command.ExecuteReader();
        var rows = new List<T>();
        while (row.Read())
            rows.Add(read(row));
        return rows;
    }

    static void Execute(NpgsqlConnection connection, string sql)
    {
        using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        command.ExecuteNonQueryAsync().GetAwaiter().GetResult();
    }
}
