using Npgsql;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Postgres;

namespace Sendoff.Engine.Cluster;

/// <summary>What can be said of a PostgreSQL database without joining its servers.</summary>
/// <param name="Warning">Work that waits, and why; null if there is none.</param>
/// <param name="Text">Where it is, its version, and the number of servers; or the fault.</param>
public sealed record SharedDatabase(DatabaseState State, string Text, string? Warning = null)
{
    /// <summary>Reads the state. Changes nothing in the database.</summary>
    public static SharedDatabase Look(string connection)
    {
        try
        {
            var settings = ConnectionSettings.Of(connection);
            string where = ConnectionSettings.Describe(settings);
            try
            {
                return Look(settings, where);
            }
            catch (Exception error) when (PostgresErrors.Explain(error, where) is { } unavailable)
            {
                return Failed(unavailable.Message);
            }
        }
        catch (StoreUnavailableException unusable)
        {
            return Failed(unusable.Message);
        }
    }

    static SharedDatabase Failed(string fault) => new(new(Exists: false, 0, null, fault), fault);

    static SharedDatabase Look(NpgsqlConnectionStringBuilder settings, string where)
    {
        using var connection = new NpgsqlConnection(settings.ConnectionString);
        connection.Open();
        string text = $"{where}, PostgreSQL {connection.PostgreSqlVersion}";
        if (Number(connection, "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'servers'") == 0)
            return new(new(Exists: true, 0, null, null), text + ", the first start creates its tables");
        long? servers = Number(connection, "SELECT count(*) FROM servers WHERE lease_until > now()"),
            roles = Number(
                connection,
                // Before its next upgrade, a database may lack the column.
                "SELECT bit_or(coalesce((to_jsonb(s) ->> 'roles')::bigint, 7)) FROM servers s WHERE lease_until > now()"
            ),
            bytes = Number(connection, "SELECT pg_database_size(current_database())"),
            fingerprint = Number(connection, "SELECT value FROM meta WHERE name = 'key_fingerprint'");
        return new(
            new(Exists: true, bytes ?? 0, fingerprint, null),
            $"{text}, {servers} servers",
            roles is { } present ? RoleNames.WhatWaits((ServerRoles)present) : null
        );
    }

    static long? Number(NpgsqlConnection connection, string sql)
    {
        using var command = new NpgsqlCommand(sql, connection);
        return command.ExecuteScalar() as long?;
    }
}
