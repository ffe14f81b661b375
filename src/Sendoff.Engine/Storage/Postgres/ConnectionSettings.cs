using Npgsql;

namespace Sendoff.Engine.Storage.Postgres;

/// <summary>Reads a connection string such as <c>Host=db;Database=sendoff;Username=sendoff;Password=…</c>.</summary>
internal static class ConnectionSettings
{
    /// <exception cref="StoreUnavailableException">The text is not a connection string, or lacks a part.</exception>
    public static NpgsqlConnectionStringBuilder Of(string connection)
    {
        NpgsqlConnectionStringBuilder settings;
        try
        {
            settings = new(connection);
        }
        catch (Exception error) when (error is ArgumentException or FormatException or KeyNotFoundException)
        {
            throw new StoreUnavailableException($"Database is not a connection string of PostgreSQL: {error.Message}", error);
        }
        if (string.IsNullOrEmpty(settings.Host) || string.IsNullOrEmpty(settings.Database))
            throw new StoreUnavailableException("Database lacks Host or Database; expected: Host=…;Database=…;Username=…;Password=…");
        settings.ApplicationName ??= "Sendoff";
        // The store has only a few connections and keeps them itself.
        settings.Pooling = false;
        settings.MaxAutoPrepare = 300;
        settings.AutoPrepareMinUsages = 2;
        settings.Timeout = 5;
        settings.CommandTimeout = 30;
        settings.KeepAlive = 10;
        settings.IncludeErrorDetail = true;
        return settings;
    }

    public static string Describe(NpgsqlConnectionStringBuilder settings) => $"{settings.Database} on {settings.Host}:{settings.Port}";
}
