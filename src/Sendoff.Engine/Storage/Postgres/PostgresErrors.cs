using System.Net.Sockets;
using Npgsql;

namespace Sendoff.Engine.Storage.Postgres;

/// <summary>Distinguishes an outage from an invalid write, and describes the outage and its remedy (G3).</summary>
internal static class PostgresErrors
{
    /// <summary>Error code: another server has taken over the work of this server.</summary>
    public const string Fenced = "SD001";

    /// <summary>Error code: the connection lacks the settings that were made when it was opened.</summary>
    const string NoSettings = "SD002";

    /// <summary>Two transactions conflicted. One of them succeeds when it is repeated.</summary>
    public static bool IsConflict(Exception error) =>
        error
            is PostgresException
            {
                SqlState: PostgresErrorCodes.SerializationFailure
                    or PostgresErrorCodes.DeadlockDetected
                    or PostgresErrorCodes.UniqueViolation
            };

    /// <summary>Null if the error is caused by the written data.</summary>
    /// <param name="where">The database without its password.</param>
    public static StoreUnavailableException? Explain(Exception error, string where) =>
        error switch
        {
            StoreUnavailableException known => known,
            PostgresException server => Reason(server) is { } reason ? new($"the database {where} {reason}", error) : null,
            NpgsqlException or SocketException or TimeoutException or IOException or ObjectDisposedException => new(
                $"the database {where} cannot be reached ({Innermost(error)}); "
                    + "check that PostgreSQL runs there and accepts connections from this machine",
                error
            ),
            _ => null,
        };

    static string Innermost(Exception error) => error.InnerException is { } inner ? Innermost(inner) : error.Message;

    static string? Reason(PostgresException error) =>
        error.SqlState switch
        {
            Fenced =>
                "no longer lists this server: its lease expired, and another server has taken over its work; it joins again automatically",
            NoSettings => "loses the settings of a connection; connect to PostgreSQL directly, not to a pooler in transaction mode",
            PostgresErrorCodes.InvalidPassword or PostgresErrorCodes.InvalidAuthorizationSpecification =>
                $"refuses the user ({error.MessageText}); check Username and Password",
            PostgresErrorCodes.InvalidCatalogName =>
                $"does not exist; create it with: createdb {error.MessageText.Split('"').ElementAtOrDefault(1)}",
            PostgresErrorCodes.InsufficientPrivilege =>
                $"does not permit this ({error.MessageText}); make the user its owner with: ALTER DATABASE … OWNER TO …",
            PostgresErrorCodes.DiskFull or PostgresErrorCodes.OutOfMemory or PostgresErrorCodes.InsufficientResources =>
                $"has no space ({error.MessageText}); free space, and Sendoff continues automatically",
            PostgresErrorCodes.TooManyConnections => "has no free connection; raise max_connections (a server uses up to 7)",
            PostgresErrorCodes.ReadOnlySqlTransaction => "is a standby and cannot be written; connect to the primary",
            PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CrashShutdown or PostgresErrorCodes.CannotConnectNow =>
                $"is not available ({error.MessageText}); Sendoff retries automatically",
            "25P03" or PostgresErrorCodes.LockNotAvailable or PostgresErrorCodes.QueryCanceled =>
                $"took too long ({error.MessageText}); Sendoff retries automatically",
            ['0', '8', ..] or ['5', '7', ..] or ['5', '3', ..] or ['5', '8', ..] => $"is not available ({error.MessageText})",
            _ => null,
        };
}
