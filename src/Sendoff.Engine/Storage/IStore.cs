namespace Sendoff.Engine.Storage;

/// <summary>The interface to a database. Every write completes when it is durable. Callers write single items; a driver commits all waiting
/// writes in one transaction (group commit). Records are written and returned masked; <see cref="Concealment"/> decrypts the originals
/// (C8). StoreConformanceTests specifies the behaviour of all drivers.</summary>
public interface IStore : IDataStores, IPublications, IAlertStore, IAccountStore, ISourceStore, IAsyncDisposable
{
    /// <summary>The servers that share the database.</summary>
    IServers Servers { get; }

    // From accepted event to recorded attempt, in this order.

    /// <summary>Stores an event and its queued run. The event is durable on completion (E1). A replay stores only the run. Returns false
    /// and stores nothing if the workflow is deleted, the run's due time is settled, its schedule is removed or disabled, or the emitted
    /// event has already started a run of the workflow, or another hook of its source runs. The same transaction settles the due time, so
    /// that it starts only one run.</summary>
    Task<bool> AcceptAsync(QueuedRun run, CancellationToken ct);

    /// <summary>Stores an event that starts no run. Returns false and stores nothing if the workflow is deleted.</summary>
    Task<bool> KeepEventAsync(Event received, CancellationToken ct);

    /// <summary>Commits a run's end and all of its deliveries, or neither (B1). With <see cref="Run.ReleasesCaptured"/>, captured
    /// deliveries of its earlier segments become pending. Returns false if the workflow is deleted, or the run has ended or belongs to
    /// another server: then nothing may be sent.</summary>
    Task<bool> FinishRunAsync(Run run, IReadOnlyList<Delivery> deliveries, CancellationToken ct);

    /// <summary>Marks pending deliveries as sending, before their first byte (C7). Returns those that were pending and whose workflow
    /// exists.</summary>
    Task<IReadOnlyList<DeliveryId>> MarkSendingAsync(IReadOnlyList<DeliveryId> deliveries, CancellationToken ct);

    /// <summary>Stores an attempt and copies its status and error to the delivery.</summary>
    Task RecordAttemptAsync(Attempt attempt, CancellationToken ct);

    /// <summary>Makes a finished delivery pending again and returns it. Returns null if it does not exist or its status is not one of
    /// <paramref name="from"/>.</summary>
    Task<Delivery?> RequeueAsync(DeliveryId delivery, IReadOnlyList<DeliveryStatus> from, CancellationToken ct);

    /// <summary>Ends a pending or sending delivery without an attempt, because it was blocked before a connection was made.</summary>
    Task RecordBlockedAsync(DeliveryId delivery, AttemptError error, CancellationToken ct);

    // At a start.

    /// <summary>Marks deliveries that an earlier server left as sending as interrupted (C7), and returns their number. Call once, before
    /// any delivery starts.</summary>
    Task<int> InterruptSendingAsync(CancellationToken ct);

    /// <summary>Runs that were accepted and have no end (E1), oldest first, flagged recovered.</summary>
    Task<IReadOnlyList<QueuedRun>> ListUnfinishedRunsAsync(int limit, RunId? after, CancellationToken ct);

    /// <summary>Counts a start of a recovered run durably, before it starts, and returns the count (E1). Returns 0 if its workflow is
    /// deleted.</summary>
    Task<int> StartRecoveredRunAsync(RunId run, CancellationToken ct);

    /// <summary>Undoes one counted start of each run at an orderly shutdown, because only crashes count (E1).</summary>
    Task TakeBackStartsAsync(IReadOnlyList<RunId> runs, CancellationToken ct);

    /// <summary>Destinations that have pending deliveries.</summary>
    Task<IReadOnlyList<string>> ListPendingDestinationsAsync(CancellationToken ct);

    /// <summary>Pending deliveries of one destination in call order, after <paramref name="after"/>.</summary>
    Task<IReadOnlyList<Delivery>> ListPendingAsync(string destination, DeliveryId? after, int limit, CancellationToken ct);

    // Runs held over quota (E6). AcceptAsync stores them.

    /// <summary>Oldest first.</summary>
    Task<IReadOnlyList<RunId>> ListHeldAsync(int limit, CancellationToken ct);

    /// <summary>Queues a held run and returns it without its event's body. Returns null if it is not held.</summary>
    Task<QueuedRun?> ReleaseAsync(RunId run, CancellationToken ct);

    // Runs suspended by their steps (B3). FinishRunAsync stores the suspension, AcceptAsync resumes it.

    /// <summary>Returns a run's suspension with its state encrypted. Returns null if there is none, or the next segment has
    /// ended.</summary>
    Task<Suspension?> GetSuspensionAsync(RunId run, CancellationToken ct);

    /// <summary>Lists suspended runs, earliest due first, without those of the workflows in <paramref name="except"/>.</summary>
    Task<IReadOnlyList<SuspensionHead>> ListSuspendedAsync(int limit, IReadOnlyCollection<WorkflowId> except, CancellationToken ct);

    /// <summary>Destinations of the pending deliveries of a run and its earlier segments (B2, B3), each with the oldest of them.</summary>
    Task<IReadOnlyDictionary<string, DeliveryId>> ListReleasedAsync(RunId run, CancellationToken ct);

    /// <summary>Ends a suspended run as failed. Returns false if it is not suspended.</summary>
    Task<bool> CancelAsync(RunId run, StepError why, CancellationToken ct);

    // The hold of a server.

    /// <summary>The start of the hold; null if the server is not on hold.</summary>
    Task<DateTimeOffset?> GetHoldAsync(CancellationToken ct);

    /// <summary>Puts the server on hold, or releases it with null.</summary>
    Task SetHoldAsync(DateTimeOffset? since, CancellationToken ct);

    // Workflows.

    /// <summary>Stores a new version and makes it the current one. Triggers without a key keep their previous key or get a new one; a key
    /// of another workflow throws <see cref="TriggerKeyTakenException"/>.</summary>
    Task<Workflow> DeployAsync(
        string name,
        IReadOnlyDictionary<string, string> files,
        IReadOnlyList<Trigger> triggers,
        CancellationToken ct
    );
    Task<IReadOnlyList<Workflow>> ListWorkflowsAsync(CancellationToken ct);
    Task<Workflow?> GetWorkflowAsync(string name, CancellationToken ct);

    /// <summary>The files of a version and the time of its deployment; null if it does not exist.</summary>
    Task<StoredVersion?> GetVersionAsync(WorkflowId workflow, int version, CancellationToken ct);

    /// <summary>The current version of each workflow, in one read.</summary>
    Task<IReadOnlyList<StoredVersion>> ListCurrentVersionsAsync(CancellationToken ct);

    /// <summary>The distinct contents of a file over all versions and drafts.</summary>
    Task<IReadOnlyList<string>> ListFileTextsAsync(string file, CancellationToken ct);

    /// <summary>Lists versions without drafts, newest first.</summary>
    Task<IReadOnlyList<StoredVersion>> ListVersionsAsync(WorkflowId workflow, CancellationToken ct);

    /// <summary>Stores files as the workflow's draft and returns it, or null if the workflow is deleted. It replaces the newest draft
    /// unless that is fixed, and returns the newest draft if that already has these files. Some old drafts are kept for their
    /// runs.</summary>
    /// <param name="isFixed">A run uses the draft, so it must no longer change.</param>
    /// <param name="since">For files of a test: the time at which they were read. A draft that was saved later stays the newest.</param>
    Task<StoredVersion?> SaveDraftAsync(
        WorkflowId workflow,
        IReadOnlyDictionary<string, string> files,
        bool isFixed,
        CancellationToken ct,
        DateTimeOffset? since = null
    );

    /// <summary>The newest draft, deployed or not; null if there is none. Its number is below 0.</summary>
    Task<StoredVersion?> GetDraftAsync(WorkflowId workflow, CancellationToken ct);

    /// <summary>Returns false if the workflow does not exist.</summary>
    Task<bool> SetEnabledAsync(string name, bool enabled, CancellationToken ct);

    /// <summary>Deletes a workflow. After the commit, its data is no longer shown, stored or sent; <see cref="PruneAsync"/> deletes its
    /// versions and history. Returns false if it does not exist.</summary>
    Task<bool> DeleteWorkflowAsync(string name, CancellationToken ct);

    // The workspace's variables and secrets.

    /// <summary>Lists all values, including replaced ones, which are still masked.</summary>
    Task<IReadOnlyList<StoredSecret>> ListSecretsAsync(CancellationToken ct);

    /// <summary>Stores a value and replaces the one with the same name.</summary>
    Task SaveSecretAsync(StoredSecret secret, CancellationToken ct);

    /// <summary>Returns false if the name does not exist.</summary>
    Task<bool> DeleteSecretAsync(WorkspaceId workspace, string name, CancellationToken ct);

    /// <summary>Stores the fingerprint of the database's key if there is none yet, and returns the stored one.</summary>
    Task<long> KeepFingerprintAsync(long fingerprint, CancellationToken ct);

    // Tokens for the API.

    Task<IReadOnlyList<StoredToken>> ListTokensAsync(CancellationToken ct);
    Task SaveTokenAsync(StoredToken token, CancellationToken ct);

    /// <summary>Returns false if it does not exist.</summary>
    Task<bool> DeleteTokenAsync(TokenId token, CancellationToken ct);

    // Sessions of signed-in browsers.

    Task<IReadOnlyList<StoredSession>> ListSessionsAsync(CancellationToken ct);
    Task SaveSessionAsync(StoredSession session, CancellationToken ct);

    /// <summary>Returns false if it does not exist.</summary>
    Task<bool> DeleteSessionAsync(SessionId session, CancellationToken ct);

    // Reads.

    /// <summary>The workflow of a run, read from the run's row only; null if the run does not exist.</summary>
    Task<WorkflowId?> FindWorkflowAsync(RunId run, CancellationToken ct);

    /// <summary>A run without its steps and deliveries; null if it does not exist.</summary>
    Task<RunHead?> FindRunAsync(RunId run, CancellationToken ct);

    /// <summary>The run and workflow of a delivery, without its content; null if it does not exist.</summary>
    Task<DeliveryHead?> FindDeliveryAsync(DeliveryId delivery, CancellationToken ct);

    /// <summary>A run with its deliveries. Bodies over <see cref="EngineLimits.DocumentBodyBytes"/>, and data beyond
    /// <see cref="EngineLimits.DocumentBytes"/> in total, are omitted and marked: <see cref="GetDeliveryAsync"/> returns them.</summary>
    Task<StoredRun?> GetRunAsync(RunId run, CancellationToken ct);

    /// <summary>A run with the heads of its sends, without bodies.</summary>
    Task<RunOutline?> GetRunOutlineAsync(RunId run, CancellationToken ct);

    /// <summary>A search reads <see cref="RunFilter.Searched"/> runs per page, so a page with few or no results may have a next
    /// page.</summary>
    Task<Page<RunSummary>> ListRunsAsync(RunFilter filter, CancellationToken ct);

    /// <summary>The newest run of each workflow, in one read.</summary>
    Task<IReadOnlyList<RunSummary>> ListLastRunsAsync(CancellationToken ct);

    /// <summary>Deliveries as returned by <see cref="GetDeliveryAsync"/>, in one read, in the order of <paramref name="deliveries"/>.
    /// Unknown ones are omitted.</summary>
    Task<IReadOnlyList<StoredDelivery>> GetDeliveriesAsync(IReadOnlyList<DeliveryId> deliveries, CancellationToken ct);

    /// <summary>A delivery with all of its stored data.</summary>
    Task<StoredDelivery?> GetDeliveryAsync(DeliveryId delivery, CancellationToken ct);

    /// <summary>Large bodies are omitted, as in <see cref="GetRunAsync"/>. A search reads <see cref="DeliveryFilter.Searched"/> deliveries
    /// per page, so a page with few or no results may have a next page.</summary>
    Task<Page<StoredDelivery>> ListDeliveriesAsync(DeliveryFilter filter, CancellationToken ct);

    /// <summary>Like <see cref="ListDeliveriesAsync"/>, but only the ids.</summary>
    Task<Page<DeliveryId>> ListDeliveryIdsAsync(DeliveryFilter filter, CancellationToken ct);

    /// <summary>Deliveries since <paramref name="since"/> that failed, were blocked or interrupted, newest first.</summary>
    Task<IReadOnlyList<Outcome>> ListFailuresAsync(DateTimeOffset since, int limit, CancellationToken ct);

    /// <summary>Counts, times and errors of deliveries by destination, computed by the database.</summary>
    Task<DestinationSummary> SummarizeDestinationsAsync(DestinationFilter filter, CancellationToken ct);
    Task<Event?> GetEventAsync(EventId id, CancellationToken ct);
    Task<Page<Event>> ListEventsAsync(EventFilter filter, CancellationToken ct);

    /// <summary>Like <see cref="ListEventsAsync"/>, but with only the beginning of each event.</summary>
    Task<Page<EventHead>> ListEventHeadsAsync(EventFilter filter, CancellationToken ct);

    /// <summary>The newest runs of an event, including replays.</summary>
    Task<IReadOnlyList<RunSummary>> ListRunsOfEventAsync(EventId id, int limit, CancellationToken ct);

    /// <summary>Compute and delivery time (E6), one row for each workflow and UTC day.</summary>
    Task<IReadOnlyList<UsageRow>> ListUsageAsync(DateOnly since, CancellationToken ct);

    /// <summary>Runs and deliveries by workflow and UTC hour.</summary>
    Task<IReadOnlyList<HourRow>> ListHoursAsync(DateTimeOffset since, CancellationToken ct);

    // Maintenance.

    /// <summary>Deletes a slice of the history that is older than <paramref name="before"/>, or the oldest if the database is larger than
    /// <paramref name="maxBytes"/> (0: no limit). Also deletes every finished run that was marked no-store, and returns free pages to the
    /// disk. Keeps unfinished work, except that of deleted workflows, whose history is deleted first. Call until there is no more work
    /// (G2).</summary>
    Task<PruneResult> PruneAsync(DateTimeOffset before, long maxBytes, CancellationToken ct);

    /// <summary>Sets stored times in the future to the current time, because the clock was ahead when they were stored. Expiry times that
    /// depend on them move too, so that durations are unchanged. Returns the number of corrected times. Due times of schedules need no
    /// correction: one that was settled in the future counts as not settled.</summary>
    Task<long> CorrectTimesAsync(CancellationToken ct);

    /// <summary>Completes when a workflow was deleted, so that pruning starts before its next round.</summary>
    Task PruneWanted { get; }

    /// <summary>Throws <see cref="StoreUnavailableException"/> if the store cannot be read and written.</summary>
    Task CheckAsync(CancellationToken ct);
    Task<long> SizeBytesAsync(CancellationToken ct);

    /// <summary>The highest id of any row, for <see cref="IdSequence.StartAfter"/>.</summary>
    Task<long> HighestIdAsync(CancellationToken ct);
}

/// <param name="Sealed">The value, encrypted and bound to the id.</param>
/// <param name="IsSecret">True for a secret, which is masked everywhere; false for a variable, which may be shown.</param>
public sealed record StoredSecret(
    long Id,
    WorkspaceId WorkspaceId,
    string Name,
    bool IsSecret,
    ReadOnlyMemory<byte> Sealed,
    DateTimeOffset ChangedAt,
    DateTimeOffset? ReplacedAt = null
);

/// <summary>Permissions of a token: read; change workflows, runs and deliveries; everything, including tokens and secrets.</summary>
public enum TokenScope
{
    Read = 2,
    Write = 3,
    Admin = 4,
}

/// <param name="Hash">SHA-256 of the token, which is not stored.</param>
public sealed record StoredToken(
    TokenId Id,
    WorkspaceId WorkspaceId,
    string Name,
    TokenScope Scope,
    ReadOnlyMemory<byte> Hash,
    DateTimeOffset CreatedAt
);

/// <summary>A browser session.</summary>
/// <param name="Client">The browser's user agent.</param>
/// <param name="Hash">SHA-256 of the cookie's value, which is not stored.</param>
/// <param name="Mark">Identifies the admin token at sign-in: a new admin token ends the session.</param>
public sealed record StoredSession(
    SessionId Id,
    WorkspaceId WorkspaceId,
    string Client,
    ReadOnlyMemory<byte> Hash,
    ReadOnlyMemory<byte> Mark,
    DateTimeOffset CreatedAt,
    DateTimeOffset ExpiresAt
);

public sealed record StoredVersion(
    WorkflowId WorkflowId,
    string Name,
    int Number,
    DateTimeOffset DeployedAt,
    IReadOnlyDictionary<string, string> Files
);

/// <summary>A run with its event, steps and deliveries. Before its end, <paramref name="Run"/> has no steps and its status is
/// queued.</summary>
public sealed record StoredRun(Run Run, string WorkflowName, IReadOnlyList<StoredDelivery> Deliveries);

public sealed record RunHead(
    RunId Id,
    EventId EventId,
    WorkspaceId WorkspaceId,
    WorkflowId WorkflowId,
    string WorkflowName,
    int Version,
    string Trigger,
    RunStatus Status
);

/// <summary>A suspension without its state, which may have megabytes.</summary>
public sealed record SuspensionHead(RunId RunId, WorkflowId WorkflowId, HoldKind Kind, DateTimeOffset Until);

public sealed record DeliveryHead(DeliveryId Id, RunId RunId, DeliveryStatus Status);

public sealed record RunOutline(Run Run, string WorkflowName, IReadOnlyList<SendHead> Sends);

/// <summary>A delivery as shown in its tab. <paramref name="Code"/> is the last response's status.</summary>
public sealed record SendHead(
    DeliveryId Id,
    int Step,
    int Index,
    DeliveryStatus Status,
    string Method,
    string Url,
    int? Code,
    double TotalMs
)
{
    /// <summary>Time of the first attempt; null if there was none.</summary>
    public FirstAttempt? First { get; init; }
}

/// <param name="QueueMs">Time in the queue before.</param>
public sealed record FirstAttempt(DateTimeOffset StartedAt, double QueueMs, double TotalMs)
{
    public DateTimeOffset QueuedAt => StartedAt.AddMilliseconds(-QueueMs);
    public DateTimeOffset EndedAt => StartedAt.AddMilliseconds(TotalMs);
}

public sealed record StoredDelivery(Delivery Delivery, string WorkflowName, IReadOnlyList<Attempt> Attempts);

/// <summary>A run in a list. Its failed sends include blocked and interrupted ones; the remaining ones are in flight.</summary>
public sealed record RunSummary(
    RunId Id,
    EventId EventId,
    string WorkflowName,
    int Version,
    string Trigger,
    RunStatus Status,
    DateTimeOffset StartedAt,
    TimeSpan Duration,
    string? Message,
    int Sends,
    int SendsDelivered,
    int SendsFailed,
    int SendsCaptured
);

/// <summary>Lists are newest first. <paramref name="Before"/> is a cursor: rows below it.</summary>
/// <param name="Statuses">Any of these; null for all.</param>
public sealed record RunFilter(
    string? Workflow,
    IReadOnlyList<RunStatus>? Statuses,
    DateTimeOffset? Since,
    DateTimeOffset? Until,
    long? Before,
    int Limit
)
{
    public bool Has(RunStatus status) => Statuses is null || Statuses.Contains(status);

    /// <summary>Number of runs, and of their sends, that one search reads, so that the size of the history does not matter.</summary>
    public const int Searched = 20_000;

    /// <summary>Bytes of a request or response body that a search reads.</summary>
    public const int SearchedBodyBytes = 8_192;

    /// <summary>Text to find in the event's JSON, the run's message, and the URLs, the beginnings of request bodies and the first attempt's
    /// response bodies of its sends. ASCII letters match in any case.</summary>
    public string? Text { get; init; }

    /// <summary>Only runs with a send that failed, was blocked or interrupted.</summary>
    public bool HasFailedSends { get; init; }

    public bool IsSearch => Text is not null || HasFailedSends;
}

/// <summary><paramref name="Text"/> is searched in URL and destination.</summary>
public sealed record DeliveryFilter(
    string? Workflow,
    DeliveryStatus? Status,
    string? Host,
    string? Text,
    DateTimeOffset? Since,
    DateTimeOffset? Until,
    long? Before,
    int Limit
)
{
    /// <summary>Number of deliveries that one search reads.</summary>
    public const int Searched = RunFilter.Searched;

    /// <summary>Number of deliveries that this search reads for one page.</summary>
    public int SearchedAtOnce { get; init; } = Searched;

    /// <summary>Any of these statuses; used if <see cref="Status"/> is null.</summary>
    public IReadOnlyList<DeliveryStatus>? AnyOf { get; init; }

    /// <summary>The status codes of the last attempt's response.</summary>
    public CodeRange? Code { get; init; }

    /// <summary>Phase in which the last attempt failed, or the delivery before its first attempt.</summary>
    public AttemptPhase? Phase { get; init; }

    public bool IsSearch => Host is not null || Text is not null || Code is not null || Phase is not null;
}

/// <summary>One status code or a class of status codes. Both ends are inclusive.</summary>
public readonly record struct CodeRange(int First, int Last);

public sealed record EventFilter(string? Workflow, DateTimeOffset? Since, DateTimeOffset? Until, long? Before, int Limit);

/// <param name="Bytes">Size of the event's JSON.</param>
/// <param name="Beginning">The first <see cref="BeginningChars"/> characters of the JSON.</param>
public sealed record EventHead(EventId Id, string WorkflowName, string Trigger, DateTimeOffset ReceivedAt, long Bytes, string Beginning)
{
    public const int BeginningChars = 2_000;
}

public sealed record Page<T>(IReadOnlyList<T> Items, long? Next);

public sealed record UsageRow(DateOnly Day, string Workflow, long Runs, double ComputeMs, long Deliveries, double DeliveryMs);

public sealed record HourRow(string Workflow, DateTimeOffset Hour, long Runs, long RunsFailed, long Deliveries, long DeliveriesFailed);

/// <summary>The outcome of a delivery, if it has ended. <paramref name="Error"/> and <paramref name="Code"/> are from the last
/// attempt.</summary>
public sealed record Outcome(
    DeliveryId Id,
    RunId RunId,
    string Workflow,
    string Destination,
    DeliveryStatus Status,
    DateTimeOffset? At,
    double? TotalMs,
    int? Code,
    AttemptError? Error
);

public readonly record struct PruneResult(long Rows, bool More);

/// <summary>The store does not accept writes now: the disk is full, or the database is locked or lost (G3). Nothing was changed.</summary>
public sealed class StoreUnavailableException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>An HTTP trigger has a key that belongs to another workflow.</summary>
public sealed class TriggerKeyTakenException(string key, string workflow)
    : Exception($"the trigger key '{key}' belongs to the workflow '{workflow}'; choose another key")
{
    public string Key { get; } = key;
}
