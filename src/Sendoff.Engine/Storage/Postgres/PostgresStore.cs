using Microsoft.Extensions.Logging;
using Npgsql;
using Sendoff.Engine.Storage.Sql;

namespace Sendoff.Engine.Storage.Postgres;

/// <summary>The store in a PostgreSQL database, for any number of servers. All work has an owner: the epoch of a server. The first
/// statement of each writing transaction requires that its server is still listed, and locks its row until the transaction ends; work is
/// taken over only after the row was removed. Each statement that changes work compares its owner too, because a server that has joined
/// again must not change work of its earlier epoch (docs/decisions/0036).</summary>
internal sealed class PostgresStore : SqlStore
{
    const int MostConflicts = 5;

    readonly PostgresSession session;
    readonly Membership membership;
    readonly string where;
    readonly PostgresServers servers;

    PostgresStore(
        string connection,
        string where,
        Membership membership,
        PostgresDialect dialect,
        PostgresSession session,
        StoreParts parts
    )
        : base(
            parts,
            session,
            () => new PostgresSession(connection, dialect, membership.Lease),
            new PostgresPruner(parts.Limits),
            new QueuedRuns(dialect.Roles),
            new LockedWorkflows()
        ) => (this.where, this.membership, this.session, servers) = (where, membership, session, new(this, membership, dialect.Roles));

    /// <summary>Connects, upgrades the schema if necessary, and joins the other servers.</summary>
    /// <exception cref="StoreUnavailableException">The database cannot be used. The message gives the reason and the remedy.</exception>
    public static PostgresStore Open(string connection, ServerIdentity identity, StoreParts parts)
    {
        var settings = ConnectionSettings.Of(connection);
        string where = ConnectionSettings.Describe(settings);
        // Its calls end well before the lease expires.
        var brief = new NpgsqlConnectionStringBuilder(settings.ConnectionString)
        {
            CommandTimeout = Math.Max(1, (int)(parts.Limits.ServerLease.TotalSeconds / 3)),
        };
        var membership = new Membership(brief.ConnectionString, identity, parts.Limits);
        PostgresSession? session = null;
        try
        {
            int schema = Upgrade(settings, parts.Log);
            membership.Join();
            var dialect = new PostgresDialect(identity.Roles);
            session = new(settings.ConnectionString, dialect, membership.Lease);
            session.Open();
            parts.Ids.UseSlot(membership.Lease.Slot);
            var store = new PostgresStore(settings.ConnectionString, where, membership, dialect, session, parts);
            parts.Log.ServerJoined(where, schema, membership.Lease.Slot, membership.Lease.Epoch);
            return store;
        }
        catch (Exception error)
        {
            session?.Dispose();
            membership.Dispose();
            if (PostgresErrors.Explain(error, where) is { } unavailable)
                throw unavailable;
            throw;
        }
    }

    static int Upgrade(NpgsqlConnectionStringBuilder settings, ILogger log)
    {
        using var connection = Prepare(settings, log);
        using var command = new NpgsqlCommand("SELECT max(number) FROM migrations", connection);
        return (int)command.ExecuteScalar()!;
    }

    /// <summary>Connects, and upgrades the schema if necessary. No other server does so until the connection is closed.</summary>
    internal static NpgsqlConnection Prepare(NpgsqlConnectionStringBuilder settings, ILogger log)
    {
        var connection = new NpgsqlConnection(settings.ConnectionString);
        try
        {
            connection.Open();
            if (connection.PostgreSqlVersion.Major < 15)
                throw new StoreUnavailableException(
                    $"the database {ConnectionSettings.Describe(settings)} is PostgreSQL {connection.PostgreSqlVersion}; "
                        + "Sendoff requires version 15 or later"
                );
            using (var command = new NpgsqlCommand("SELECT pg_advisory_lock(7367646601)", connection))
                command.ExecuteNonQuery();
            Migrator.Run(connection, "Storage/Postgres/Migrations/", log);
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    protected override StoreUnavailableException? Explain(Exception error) => PostgresErrors.Explain(error, where);

    // A conflict with another server's transaction fails the batch without changes.
    protected override void Commit(SqlWriter writer, ReadOnlySpan<StoreWrite> writes)
    {
        for (int i = 1; ; i++)
            try
            {
                writer.Commit(writes);
                return;
            }
            catch (Exception error) when (i < MostConflicts && PostgresErrors.IsConflict(error)) { }
    }

    /// <summary>Size of the database on the disk of its server.</summary>
    public override Task<long> SizeBytesAsync(CancellationToken ct) =>
        ReadAsync(static session => session.Number("SELECT pg_database_size(current_database())"), ct);

    public override IServers Servers => servers;

    protected override void Doubt(RunId run) => servers.Doubt(run);

    internal Task<T> WriteSoonAsync<T>(Func<SqlSession, T> apply, CancellationToken ct) => WriteAsync(OutageRule.Refuse, apply, ct);

    internal new Task<T> ReadAsync<T>(Func<SqlSession, T> read, CancellationToken ct) => base.ReadAsync(read, ct);

    internal new int Outages => base.Outages;

    internal async Task<T> ExplainAsync<T>(Func<T> action, CancellationToken ct)
    {
        try
        {
            return await Task.Run(action, ct);
        }
        catch (Exception error) when (Explain(error) is { } unavailable)
        {
            throw unavailable;
        }
    }

    // Releases the unfinished work of this server now, instead of when its lease expires.
    protected override ValueTask CloseAsync()
    {
        try
        {
            membership.Leave();
        }
        catch (Exception error) when (Explain(error) is not null)
        {
            // Then other servers wait until the lease expires.
        }
        session.Dispose();
        membership.Dispose();
        return ValueTask.CompletedTask;
    }
}

/// <summary>PostgreSQL reuses the space of deleted rows automatically.</summary>
internal sealed class PostgresPruner(EngineLimits limits) : SqlPruner(limits)
{
    protected override long UsedBytes(SqlSession session) => 0;

    protected override bool GiveBack(SqlSession session, long maxBytes) => false;
}
