using Npgsql;

namespace Sendoff.Engine.Storage.Postgres;

/// <summary>This server's row in the list of servers. It has a separate connection, so that the lease is renewed while other transactions
/// wait.</summary>
internal sealed class Membership(string connectionString, ServerIdentity identity, EngineLimits limits) : IDisposable
{
    readonly object gate = new();
    NpgsqlConnection? connection;

    public ServerLease Lease { get; } = new(limits);

    /// <summary>Adds the server with the lowest free slot and a new epoch. An earlier process of the same instance has ended, so its work
    /// is released.</summary>
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
                INSERT INTO servers(epoch, slot, instance, name, version, lease_until, roles, egress)
                SELECT nextval('epochs'), min(free), $1, $2, $3, now() + $4, $5, $6
                FROM generate_series(0, 1023) AS free WHERE free NOT IN (SELECT slot FROM servers)
                RETURNING epoch, slot
                """,
                identity.Instance,
                identity.Name,
                identity.Version,
                limits.ServerLease,
                (long)identity.Roles,
                string.Join(',', identity.Egress)
            );
            var start = BootClock.Now;
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
            Lease.Renewed(start);
        }
    }

    // Runs before deliveries.
    void Claim(long epoch)
    {
        if (identity.Roles.HasFlag(ServerRoles.Run))
            Execute($"UPDATE queue SET owner = $1, is_left = {FreeWork.Left} WHERE {FreeWork.IsFree}", epoch);
        if (!identity.Roles.HasFlag(ServerRoles.Deliver))
            return;
        foreach (int status in new[] { (int)DeliveryStatus.Pending, (int)DeliveryStatus.Sending })
            Execute($"UPDATE deliveries SET owner = $1 WHERE status = {status} AND {FreeWork.IsFree}", epoch);
    }

    /// <summary>Returns null if the server is no longer listed.</summary>
    public Renewal? Renew(ServerLoad load)
    {
        lock (gate)
        {
            // Taken before the request, because the database sets the end of the lease later.
            var start = BootClock.Now;
            using var command = Command(
                """
                WITH renewed AS (
                    UPDATE servers SET lease_until = clock_timestamp() + $2, runs = $3, deliveries = $4,
                        steady_since = CASE WHEN lease_until >= clock_timestamp() THEN steady_since ELSE clock_timestamp() END
                    WHERE epoch = $1 RETURNING epoch)
                SELECT name, value, (SELECT count(*) FROM servers WHERE roles & 4 <> 0), (SELECT bit_or(roles) FROM servers)
                FROM revisions WHERE EXISTS (SELECT 1 FROM renewed)
                """,
                Lease.Epoch,
                limits.ServerLease,
                (long)load.Runs,
                (long)load.Deliveries
            );
            var revisions = new Dictionary<Cached, long>();
            var (senders, roles) = (0, ServerRoles.None);
            using (var row = command.ExecuteReader())
                for (; row.Read(); (senders, roles) = ((int)row.GetInt64(2), (ServerRoles)row.GetInt64(3)))
                    revisions.Add((Cached)row.GetInt64(0), row.GetInt64(1));
            if (revisions.Count == 0)
                return null;
            Lease.Renewed(start);
            return new(senders, roles, revisions);
        }
    }

    /// <summary>Removes servers whose lease has expired, and returns their names. In an outage of the database all leases expire, so this
    /// server must first have renewed its own lease for the duration of a whole lease. A server in a transaction is alive.</summary>
    public List<string> RemoveEnded()
    {
        lock (gate)
        {
            using var command = Command(
                """
                DELETE FROM servers WHERE epoch IN (
                    SELECT ended.epoch FROM servers AS ended WHERE ended.epoch <> $1 AND ended.lease_until < clock_timestamp()
                        AND EXISTS (SELECT 1 FROM servers AS own WHERE own.epoch = $1 AND own.lease_until > clock_timestamp()
                            AND own.steady_since < clock_timestamp() - $2)
                    FOR UPDATE OF ended SKIP LOCKED)
                RETURNING name
                """,
                Lease.Epoch,
                limits.ServerLease
            );
            var names = new List<string>();
            using var row = command.ExecuteReader();
            while (row.Read())
                names.Add(row.GetString(0));
            return names;
        }
    }

    public List<ListedServer> List()
    {
        lock (gate)
        {
            using var command = Command(
                """
                SELECT epoch, slot, name, version, joined_at, lease_until - clock_timestamp(), runs, deliveries, roles FROM servers
                ORDER BY slot
                """
            );
            var servers = new List<ListedServer>();
            using var row = command.ExecuteReader();
            while (row.Read())
                servers.Add(
                    new(
                        (int)row.GetInt64(1),
                        row.GetString(2),
                        row.GetString(3),
                        row.GetFieldValue<DateTimeOffset>(4),
                        row.GetTimeSpan(5),
                        (ServerRoles)row.GetInt64(8),
                        new((int)row.GetInt64(6), (int)row.GetInt64(7)),
                        row.GetInt64(0) == Lease.Epoch
                    )
                );
            return servers;
        }
    }

    /// <summary>Releases this server's work to the other servers.</summary>
    public void Leave()
    {
        lock (gate)
            Execute("DELETE FROM servers WHERE epoch = $1", Lease.Epoch);
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
