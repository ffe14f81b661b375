namespace Sendoff.Engine.Storage;

/// <summary>The servers that share the database, and the takeover of work. With SQLite there is only one server.</summary>
public interface IServers
{
    /// <summary>Whether other servers can use the database too.</summary>
    bool IsShared { get; }

    /// <summary>Whether this server may start work that must end before another server takes it over. False if the lease was not renewed in
    /// time.</summary>
    bool MayBegin { get; }

    /// <summary>Renews this server's lease. Returns null if the server is no longer listed and others have its work.</summary>
    Task<Renewal?> RenewAsync(ServerLoad load, CancellationToken ct);

    /// <summary>Removes servers whose lease has ended, and makes a limited part of the work without a server this server's, as far as it
    /// has its roles. Call again while it returns some.</summary>
    /// <param name="full">Workflows of which this server has enough runs.</param>
    Task<Takeover> TakeOverAsync(IReadOnlyCollection<WorkflowId> full, CancellationToken ct);

    /// <summary>The number of unfinished runs that no server has taken yet, for each workflow.</summary>
    Task<IReadOnlyDictionary<WorkflowId, int>> CountUntakenAsync(CancellationToken ct);

    Task<IReadOnlyList<ListedServer>> ListServersAsync(CancellationToken ct);

    /// <summary>Takes a turn, a permission that only one server has at a time. Returns false if another server has it, and notifies that
    /// server.</summary>
    /// <param name="key">For executing runs: the id of the workflow. Other turns have negative numbers.</param>
    Task<bool> TryTakeTurnAsync(long key, CancellationToken ct);

    /// <summary>The turns of this server that other servers wait for.</summary>
    Task<IReadOnlyList<long>> ListWantedTurnsAsync(CancellationToken ct);

    Task PassTurnAsync(long key, CancellationToken ct);
}

/// <summary>Content that servers cache from the store. Each change increments its revision.</summary>
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

/// <summary>A cache of the store's content.</summary>
public interface IStoreCache
{
    Cached Content { get; }

    /// <summary>Reads the content again, because another server may have changed it.</summary>
    Task RefreshAsync(CancellationToken ct);
}

/// <param name="Senders">The number of servers that make deliveries.</param>
/// <param name="Roles">The roles of all servers together.</param>
/// <param name="Revisions">Of what servers cache.</param>
public sealed record Renewal(int Senders, ServerRoles Roles, IReadOnlyDictionary<Cached, long> Revisions);

/// <param name="Runs">Queued and executing runs.</param>
/// <param name="Deliveries">Deliveries that are queued in memory or in flight.</param>
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
    /// <summary>Writes of this server may have been stored without a response, so it may have work that is not in its memory.</summary>
    public bool MayLack { get; init; }

    public static readonly Takeover None = new([], 0, 0, 0, new Dictionary<string, DeliveryId>());

    public bool IsEmpty => Runs + New == 0 && Interrupted == 0 && Pending.Count == 0;
}

/// <param name="LeaseEndsIn">Negative if the lease has expired; null for a single server, which has none.</param>
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
