using Npgsql;

namespace Sendoff.Engine.Storage.Postgres;

/// <summary>This server's row among the servers that are alive. Has a connection of its own, so that a lease is renewed while other
/// transactions wait.</summary>
internal sealed class Membership(string connectionString, ServerIdentity identity, EngineLimits limits) : IDisposable
{
    readonly object gate = new();
    NpgsqlConnection? connection;

    public ServerLease Lease { get; } = new();

    /// <summary>Adds the server with the lowest free slot and a new epoch. An earlier process of the same instance has ended, so its work
    /// becomes free.</summary>
    public void Join()
    {
        lock (gate)
        {
            var open = Open();
            using var transaction = open.BeginTransaction();
            Execute("SELECT pg_advisory_xact_lock(7367646602)");
            Execute("DELETE FROM servers WHERE instance = $1", identity.Instance);
            using var command = Command(
                """
                INSERT INTO servers(epoch, slot, instance, name, version, lease_until)
                SELECT nextval('epochs'), (SELECT min(slot) FROM generate_series(0, 1023) AS slot WHERE slot NOT IN (SELECT slot FROM servers)), $1, $2, $3, now() + $4
                RETURNING epoch, slot
                """,
                identity.Instance,
                identity.Name,
                identity.Version,
                limits.ServerLease
            );
            long epoch;
            int slot;
            using (var row = command.ExecuteReader())
            {
                row.Read();
                (epoch, slot) = (row.GetInt64(0), (int)row.GetInt64(1));
            }
            Claim(epoch);
            transaction.Commit();
            Lease.Take(epoch, slot);
        }
    }

    // Work whose owner is not listed belongs to nobody. Runs before deliveries.
    void Claim(long epoch)
    {
        Execute("UPDATE queue SET owner = $1, is_left = 1 WHERE owner NOT IN (SELECT epoch FROM servers)", epoch);
        Execute("UPDATE deliveries SET owner = $1 WHERE status = 2 AND owner NOT IN (SELECT epoch FROM servers)", epoch);
        Execute("UPDATE deliveries SET owner = $1 WHERE status = 3 AND owner NOT IN (SELECT epoch FROM servers)", epoch);
    }

    NpgsqlConnection Open()
    {
        if (connection is { FullState: System.Data.ConnectionState.Open })
            return connection;
        connection?.Dispose();
        connection = new(connectionString);
        connection.Open();
        return connection;
    }

    int Execute(string sql, params object[] values)
    {
        using var command = Command(sql, values);
        return command.ExecuteNonQuery();
    }

    NpgsqlCommand Command(string sql, params object[] values)
    {
        var command = new NpgsqlCommand(sql, Open());
        foreach (object value in values)
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        return command;
    }

    public void Dispose()
    {
        lock (gate)
            connection?.Dispose();
    }
}

/// <param name="Instance">The data folder, which one process at a time uses.</param>
/// <param name="Name">The name of the machine.</param>
internal sealed record ServerIdentity(string Instance, string Name, string Version);
