namespace Sendoff.Engine.Storage;

/// <summary>The servers that share the database, and the work of those that have ended. With SQLite there is one server.</summary>
public interface IServers
{
    /// <summary>Whether other servers can use the database too.</summary>
    bool IsShared { get; }

    /// <summary>Whether this server may begin something that must have ended before another one takes its work over. False if the lease was
    /// not renewed in time.</summary>
    bool MayBegin { get; }

    /// <summary>Renews this server's lease. Returns null if the server is no longer listed: others have its work.</summary>
    Task<Renewal?> RenewAsync(ServerLoad load, CancellationToken ct);

    /// <summary>Removes servers whose lease has ended, and makes a limited part of the work without a server this server's, as far as it
    /// has its roles. Call again while it returns some.</summary>
    /// <param name="full">Workflows of which this server has enough runs.</param>
    Task<Takeover> TakeOverAsync(IReadOnlyCollection<WorkflowId> full, CancellationToken ct);

    /// <summary>The number of unfinished runs that no server has taken yet, for each workflow.</summary>
    Task<IReadOnlyDictionary<WorkflowId, int>> CountUntakenAsync(CancellationToken ct);

    Task<IReadOnlyList<ListedServer>> ListServersAsync(CancellationToken ct);

    /// <summary>Takes a right that one server at a time has. Returns false if another one has it, which then learns that it is
    /// wanted.</summary>
    /// <param name="key">The id of a workflow, for the right to execute its runs; other rights have numbers below 0.</param>
    Task<bool> TryTakeTurnAsync(long key, CancellationToken ct);

    /// <summary>The turns that this server has and others want.</summary>
    Task<IReadOnlyList<long>> ListWantedTurnsAsync(CancellationToken ct);

    Task PassTurnAsync(long key, CancellationToken ct);
}

/// <summary>What servers cache from the store. A change of it increases its revision.</summary>
public enum Cached
{
    Workflows = 1,
    Secrets = 2,
    Accounts = 3,
    Alerts = 4,
    Tokens = 5,
    Sessions = 6,
    Hold = 7,
}

/// <summary>A cache that follows the revisions of the store.</summary>
public interface IStoreCache
{
    Cached Content { get; }

    /// <summary>Reads the content again, after another server may have changed it.</summary>
    Task RefreshAsync(CancellationToken ct);
}

/// <param name="Senders">The number of servers that make deliveries.</param>
/// <param name="Roles">The roles of all servers together.</param>
/// <param name="Revisions">Of what servers cache.</param>
public sealed record Renewal(int Senders, ServerRoles Roles, IReadOnlyDictionary<Cached, long> Revisions);

/// <param name="Runs">Runs that are queued or execute.</param>
/// <param name="Deliveries">Deliveries that wait in memory or are in flight.</param>
public readonly record struct ServerLoad(int Runs, int Deliveries);

/// <summary>The work without a server that this server has taken.</summary>
/// <param name="Ended">The names of servers whose lease has ended.</param>
/// <param name="Runs">Runs of servers that have ended. They start again, flagged recovered (E1).</param>
/// <param name="New">Runs that no server has started yet.</param>
/// <param name="Interrupted">Deliveries that were in flight (C7).</param>
/// <param name="Pending">The destinations of pending deliveries, each with the oldest of them.</param>
public sealed record Takeover(
    IReadOnlyList<string> Ended,
    int Runs,
    int New,
    int Interrupted,
    IReadOnlyDictionary<string, DeliveryId> Pending
)
{
    /// <summary>Writes of this server may have been stored although it got no answer: it has work that it does not know of.</summary>
    public bool MayLack { get; init; }

    public static readonly Takeover None = new([], 0, 0, 0, new Dictionary<string, DeliveryId>());

    public bool IsEmpty => Runs + New == 0 && Interrupted == 0 && Pending.Count == 0;
}

/// <param name="LeaseEndsIn">Negative if it has ended; null if it has none, because the server is the only one.</param>
public sealed record ListedServer(
    int Slot,
    string Name,
    string Version,
    DateTimeOffset JoinedAt,
    TimeSpan? LeaseEndsIn,
    ServerRoles Roles,
    ServerLoad Load,
    bool IsThis
);
