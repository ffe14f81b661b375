namespace Sendoff.Engine.Storage;

/// <summary>
/// The one seam to a database. Every write completes when it is durable. Callers call singly; a driver commits what waits in one
/// transaction (group commit). What is written is masked, and comes back masked; its sealed original goes through <see cref="Concealment"/>
/// (C8). One suite, StoreConformanceTests, states what every driver does.
/// </summary>
public interface IStore : IDataStores, IPublications, IAlertStore, IAccountStore, IAsyncDisposable
{
    // The straight line, in its order.

    /// <summary>Stores an event and its queued run. The event is durable on completion (E1). A replay stores the run only. Answers false
    /// when the workflow is deleted, or the run's due time is settled or its schedule gone or off, or the emitted event has started a run
    /// of the workflow: then nothing is stored. A due time is settled in the same transaction, so that it starts one run, whoever
    /// asks.</summary>
    Task<bool> AcceptAsync(QueuedRun run, CancellationToken ct);

    /// <summary>Stores an event that starts no run. Answers false when the workflow is deleted: then nothing is stored.</summary>
    Task<bool> KeepEventAsync(Event received, CancellationToken ct);

    /// <summary>Commits a run's end and all of its deliveries, or neither (B1); with <see cref="Run.ReleasesCaptured"/>, what its earlier
    /// segments captured becomes pending. Answers false when the workflow is deleted: then nothing is stored, or it goes with the
    /// workflow's history, and nothing may be sent.</summary>
    Task<bool> FinishRunAsync(Run run, IReadOnlyList<Delivery> deliveries, CancellationToken ct);

    /// <summary>Marks pending deliveries as sending, before their first byte (C7). Answers those that were pending and whose workflow
    /// exists.</summary>
    Task<IReadOnlyList<DeliveryId>> MarkSendingAsync(IReadOnlyList<DeliveryId> deliveries, CancellationToken ct);

    /// <summary>Stores an attempt, and its status and error as the delivery's.</summary>
    Task RecordAttemptAsync(Attempt attempt, CancellationToken ct);

    /// <summary>Makes a delivery that has ended pending again, and returns it; null when there is none, or its status is not one of
    /// <paramref name="from"/>.</summary>
    Task<Delivery?> RequeueAsync(DeliveryId delivery, IReadOnlyList<DeliveryStatus> from, CancellationToken ct);

    /// <summary>Ends a pending or sending delivery without an attempt: blocked before it was dialled.</summary>
    Task RecordBlockedAsync(DeliveryId delivery, AttemptError error, CancellationToken ct);

    // After a start.

    /// <summary>Turns what an earlier server left as sending into interrupted (C7) and answers how many; call once, before any delivery
    /// starts.</summary>
    Task<int> InterruptSendingAsync(CancellationToken ct);

    /// <summary>Runs that were accepted and have no end (E1), oldest first, flagged recovered.</summary>
    Task<IReadOnlyList<QueuedRun>> ListUnfinishedRunsAsync(int limit, RunId? after, CancellationToken ct);

    /// <summary>Notes durably that a recovered run is about to start, and answers how often it has been noted, this time included (E1). 0
    /// when its workflow is deleted.</summary>
    Task<int> StartRecoveredRunAsync(RunId run, CancellationToken ct);

    /// <summary>Takes back a noted start of each run, as the server shuts down in order: only what a crash cuts off counts (E1).</summary>
    Task TakeBackStartsAsync(IReadOnlyList<RunId> runs, CancellationToken ct);

    /// <summary>Destinations that have pending deliveries.</summary>
    Task<IReadOnlyList<string>> ListPendingDestinationsAsync(CancellationToken ct);

    /// <summary>Pending deliveries of one destination in call order, from above <paramref name="after"/>.</summary>
    Task<IReadOnlyList<Delivery>> ListPendingAsync(string destination, DeliveryId? after, int limit, CancellationToken ct);

    // Runs that are held over quota (E6). AcceptAsync stores them.

    /// <summary>Oldest first.</summary>
    Task<IReadOnlyList<RunId>> ListHeldAsync(int limit, CancellationToken ct);

    /// <summary>Queues a held run and returns it without its event's body. Returns null if it is not held.</summary>
    Task<QueuedRun?> ReleaseAsync(RunId run, CancellationToken ct);

    // Runs that are suspended by their steps (B3). FinishRunAsync stores the suspension, AcceptAsync that the run is resumed.

    /// <summary>Returns a run's suspension with its state sealed. Returns null if there is none, or the next segment has ended.</summary>
    Task<Suspension?> GetSuspensionAsync(RunId run, CancellationToken ct);

    /// <summary>Lists suspended runs, earliest due first, without those of the workflows in <paramref name="except"/>.</summary>
    Task<IReadOnlyList<Suspension>> ListSuspendedAsync(int limit, IReadOnlyCollection<WorkflowId> except, CancellationToken ct);

    /// <summary>Destinations of the pending deliveries of a run and its earlier segments (B2, B3), each with the oldest of them.</summary>
    Task<IReadOnlyDictionary<string, DeliveryId>> ListReleasedAsync(RunId run, CancellationToken ct);

    /// <summary>Ends a suspended run as failed. Returns false if it is not suspended.</summary>
    Task<bool> CancelAsync(RunId run, StepError why, CancellationToken ct);

    // A server on hold.

    /// <summary>When the server was put on hold; null when it is not.</summary>
    Task<DateTimeOffset?> GetHoldAsync(CancellationToken ct);

    /// <summary>Puts the server on hold, or releases it with null.</summary>
    Task SetHoldAsync(DateTimeOffset? since, CancellationToken ct);

    // Workflows.

    /// <summary>Stores a new version, made the current one. Triggers without a key keep the one that they had, or get one; a key that
    /// another workflow holds throws <see cref="TriggerKeyTakenException"/>.</summary>
    Task<Workflow> DeployAsync(
        string name,
        IReadOnlyDictionary<string, string> files,
        IReadOnlyList<Trigger> triggers,
        CancellationToken ct
    );
    Task<IReadOnlyList<Workflow>> ListWorkflowsAsync(CancellationToken ct);
    Task<Workflow?> GetWorkflowAsync(string name, CancellationToken ct);

    /// <summary>The files of a version with when it was deployed; null when there is none.</summary>
    Task<StoredVersion?> GetVersionAsync(WorkflowId workflow, int version, CancellationToken ct);

    /// <summary>The version of each workflow that new events start, in one read.</summary>
    Task<IReadOnlyList<StoredVersion>> ListCurrentVersionsAsync(CancellationToken ct);

    /// <summary>The distinct texts that versions and drafts have of a file.</summary>
    Task<IReadOnlyList<string>> ListFileTextsAsync(string file, CancellationToken ct);

    /// <summary>Without drafts, newest first.</summary>
    Task<IReadOnlyList<StoredVersion>> ListVersionsAsync(WorkflowId workflow, CancellationToken ct);

    /// <summary>Stores files as the workflow's draft and returns it, or null if the workflow is deleted. It replaces a draft that is not
    /// fixed, and is the newest draft if that has these files already. A number of old drafts is kept for the runs that they
    /// made.</summary>
    /// <param name="isFixed">A run is made of it: it does not change any more.</param>
    /// <param name="since">When the files were read, where they are those of a test: another draft that was saved later stays the
    /// newest.</param>
    Task<StoredVersion?> SaveDraftAsync(
        WorkflowId workflow,
        IReadOnlyDictionary<string, string> files,
        bool isFixed,
        CancellationToken ct,
        DateTimeOffset? since = null
    );

    /// <summary>The newest draft, deployed or not; null when there is none. Its number is below 0.</summary>
    Task<StoredVersion?> GetDraftAsync(WorkflowId workflow, CancellationToken ct);

    /// <summary>Answers false when there is no such workflow.</summary>
    Task<bool> SetEnabledAsync(string name, bool enabled, CancellationToken ct);

    /// <summary>Removes a workflow. From its commit on, nothing of it is shown, stored or marked as sending any more; its versions and its
    /// history are deleted by <see cref="PruneAsync"/>. Answers false when there is none.</summary>
    Task<bool> DeleteWorkflowAsync(string name, CancellationToken ct);

    // The workspace's variables and secrets.

    /// <summary>All of them, those that were replaced too: they are masked still.</summary>
    Task<IReadOnlyList<StoredSecret>> ListSecretsAsync(CancellationToken ct);

    /// <summary>Stores a value in place of the one of that name.</summary>
    Task SaveSecretAsync(StoredSecret secret, CancellationToken ct);

    /// <summary>Answers false when there is none of that name.</summary>
    Task<bool> DeleteSecretAsync(WorkspaceId workspace, string name, CancellationToken ct);

    /// <summary>Remembers which key this database is under, unless it knows already, and answers what it remembers.</summary>
    Task<long> KeepFingerprintAsync(long fingerprint, CancellationToken ct);

    // Tokens for the API.

    Task<IReadOnlyList<StoredToken>> ListTokensAsync(CancellationToken ct);
    Task SaveTokenAsync(StoredToken token, CancellationToken ct);

    /// <summary>Answers false when there is none.</summary>
    Task<bool> DeleteTokenAsync(TokenId token, CancellationToken ct);

    // Browsers that are signed in.

    Task<IReadOnlyList<StoredSession>> ListSessionsAsync(CancellationToken ct);
    Task SaveSessionAsync(StoredSession session, CancellationToken ct);

    /// <summary>Returns false if there is none.</summary>
    Task<bool> DeleteSessionAsync(SessionId session, CancellationToken ct);

    // Reads.

    /// <summary>The workflow of a run, by one look at the run's own row; null when there is no such run.</summary>
    Task<WorkflowId?> FindWorkflowAsync(RunId run, CancellationToken ct);

    /// <summary>What a run is, without its steps and deliveries; null when there is no such run.</summary>
    Task<RunHead?> FindRunAsync(RunId run, CancellationToken ct);

    /// <summary>Where a delivery belongs, without its content; null when there is no such delivery.</summary>
    Task<DeliveryHead?> FindDeliveryAsync(DeliveryId delivery, CancellationToken ct);

    /// <summary>A run with its deliveries. Bodies over <see cref="EngineLimits.DocumentBodyBytes"/>, and what is over
    /// <see cref="EngineLimits.DocumentBytes"/> in all, are left out, and say so: <see cref="GetDeliveryAsync"/> has them.</summary>
    Task<StoredRun?> GetRunAsync(RunId run, CancellationToken ct);

    /// <summary>A run with the heads of its sends, whatever their bodies weigh.</summary>
    Task<RunOutline?> GetRunOutlineAsync(RunId run, CancellationToken ct);

    /// <summary>A search looks through <see cref="RunFilter.Searched"/> runs at a time: a page with few or none may have a next
    /// one.</summary>
    Task<Page<RunSummary>> ListRunsAsync(RunFilter filter, CancellationToken ct);

    /// <summary>The newest run of each workflow, in one read.</summary>
    Task<IReadOnlyList<RunSummary>> ListLastRunsAsync(CancellationToken ct);

    /// <summary>Deliveries as <see cref="GetDeliveryAsync"/> has them, in one read, in the order of <paramref name="deliveries"/>. Unknown
    /// ones are left out.</summary>
    Task<IReadOnlyList<StoredDelivery>> GetDeliveriesAsync(IReadOnlyList<DeliveryId> deliveries, CancellationToken ct);

    /// <summary>A delivery with all that is kept of it.</summary>
    Task<StoredDelivery?> GetDeliveryAsync(DeliveryId delivery, CancellationToken ct);

    /// <summary>What is large is left out, as of <see cref="GetRunAsync"/>. A search looks through <see cref="DeliveryFilter.Searched"/>
    /// deliveries at a time: a page with few or none may have a next one.</summary>
    Task<Page<StoredDelivery>> ListDeliveriesAsync(DeliveryFilter filter, CancellationToken ct);

    /// <summary>As <see cref="ListDeliveriesAsync"/>, the ids only: whatever their bodies weigh.</summary>
    Task<Page<DeliveryId>> ListDeliveryIdsAsync(DeliveryFilter filter, CancellationToken ct);

    /// <summary>How the newest deliveries ended that are no older than <paramref name="since"/>, newest first.</summary>
    Task<IReadOnlyList<Outcome>> ListOutcomesAsync(DateTimeOffset since, bool onlyFailed, int limit, CancellationToken ct);
    Task<Event?> GetEventAsync(EventId id, CancellationToken ct);
    Task<Page<Event>> ListEventsAsync(EventFilter filter, CancellationToken ct);

    /// <summary>As <see cref="ListEventsAsync"/>, with the beginning of each event only.</summary>
    Task<Page<EventHead>> ListEventHeadsAsync(EventFilter filter, CancellationToken ct);

    /// <summary>The newest runs of an event, replays included.</summary>
    Task<IReadOnlyList<RunSummary>> ListRunsOfEventAsync(EventId id, int limit, CancellationToken ct);

    /// <summary>Compute and delivery time apart (E6), a row for each workflow and UTC day.</summary>
    Task<IReadOnlyList<UsageRow>> ListUsageAsync(DateOnly since, CancellationToken ct);

    /// <summary>Runs and deliveries by workflow and UTC hour.</summary>
    Task<IReadOnlyList<HourRow>> ListHoursAsync(DateTimeOffset since, CancellationToken ct);

    // Keeping house.

    /// <summary>Deletes a slice of the history that is older than <paramref name="before"/>, or the oldest when the database is larger than
    /// <paramref name="maxBytes"/> (0: no limit), and gives disk space back; of what is not to be kept, all that has ended.
    /// Unfinished work stays, except that of deleted workflows, whose history goes first. Call until it answers no more work
    /// (G2).</summary>
    Task<PruneResult> PruneAsync(DateTimeOffset before, long maxBytes, CancellationToken ct);

    /// <summary>Sets times that have not come to now: the clock was ahead when they were stored. What was to last a while from then lasts
    /// as long from now. Answers how many. Due times of schedules need none of this: one that is settled in the future counts as not
    /// settled.</summary>
    Task<long> CorrectTimesAsync(CancellationToken ct);

    /// <summary>Completes when there is something to prune before the next round: a workflow was deleted.</summary>
    Task PruneWanted { get; }

    /// <summary>Throws <see cref="StoreUnavailableException"/> unless the store can be read and written.</summary>
    Task CheckAsync(CancellationToken ct);
    Task<long> SizeBytesAsync(CancellationToken ct);

    /// <summary>The highest id of any row, for <see cref="IdSequence.StartAfter"/>.</summary>
    Task<long> HighestIdAsync(CancellationToken ct);
}

/// <param name="Sealed">The value, sealed for the id.</param>
/// <param name="IsSecret">Masked everywhere; else a variable that may be shown.</param>
public sealed record StoredSecret(
    long Id,
    WorkspaceId WorkspaceId,
    string Name,
    bool IsSecret,
    ReadOnlyMemory<byte> Sealed,
    DateTimeOffset ChangedAt,
    DateTimeOffset? ReplacedAt = null
);

/// <summary>What a token may do: look; change workflows, runs and deliveries; all, tokens and secrets included.</summary>
public enum TokenScope
{
    Read = 2,
    Write = 3,
    Admin = 4,
}

/// <param name="Hash">SHA-256 of the token, which nobody keeps.</param>
public sealed record StoredToken(
    TokenId Id,
    WorkspaceId WorkspaceId,
    string Name,
    TokenScope Scope,
    ReadOnlyMemory<byte> Hash,
    DateTimeOffset CreatedAt
);

/// <summary>A browser that signed in.</summary>
/// <param name="Client">What the browser said that it is.</param>
/// <param name="Hash">SHA-256 of the cookie's value, which only the browser keeps.</param>
/// <param name="Mark">Of the admin token that it signed in under: another token ends the session.</param>
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

/// <summary>A run with all that belongs to it. Before its end, <paramref name="Run"/> has no steps and its status is queued.</summary>
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

public sealed record DeliveryHead(DeliveryId Id, RunId RunId, DeliveryStatus Status);

public sealed record RunOutline(Run Run, string WorkflowName, IReadOnlyList<SendHead> Sends);

/// <summary>A delivery as its tab shows it. <paramref name="Code"/> is the last response's status.</summary>
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
    /// <summary>When it was first tried; null when it was not.</summary>
    public FirstAttempt? First { get; init; }
}

/// <param name="QueueMs">How long it waited before.</param>
public sealed record FirstAttempt(DateTimeOffset StartedAt, double QueueMs, double TotalMs)
{
    public DateTimeOffset QueuedAt => StartedAt.AddMilliseconds(-QueueMs);
    public DateTimeOffset EndedAt => StartedAt.AddMilliseconds(TotalMs);
}

public sealed record StoredDelivery(Delivery Delivery, string WorkflowName, IReadOnlyList<Attempt> Attempts);

/// <summary>A run in a list. Of its sends, failed ones are those that failed, were blocked or interrupted; the rest of the sum is under
/// way.</summary>
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
public sealed record RunFilter(string? Workflow, RunStatus? Status, DateTimeOffset? Since, DateTimeOffset? Until, long? Before, int Limit)
{
    /// <summary>How many runs one search looks through, and how many sends of them, so that none takes long however much is kept.</summary>
    public const int Searched = 20_000;

    /// <summary>How much of a request's or response's body a search looks through.</summary>
    public const int SearchedBodyBytes = 8_192;

    /// <summary>
    /// Sought in the event's JSON, the run's message, and of its sends in URLs, the beginnings of requests' bodies, and of the first
    /// attempts' responses; whatever the case of ASCII letters.
    /// </summary>
    public string? Text { get; init; }

    /// <summary>Only runs with a send that failed, was blocked or interrupted.</summary>
    public bool HasFailedSends { get; init; }

    public bool IsSearch => Text is not null || HasFailedSends;
}

/// <summary><paramref name="Text"/> is sought in URL and destination.</summary>
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
    /// <summary>How many deliveries one search looks through.</summary>
    public const int Searched = RunFilter.Searched;

    /// <summary>How many deliveries this search looks through for one page.</summary>
    public int SearchedAtOnce { get; init; } = Searched;

    /// <summary>Any of these, where <see cref="Status"/> is null.</summary>
    public IReadOnlyList<DeliveryStatus>? AnyOf { get; init; }

    /// <summary>The status codes of the last attempt's response.</summary>
    public CodeRange? Code { get; init; }

    /// <summary>Where the last attempt died, or the delivery before its first.</summary>
    public AttemptPhase? Phase { get; init; }

    public bool IsSearch => Host is not null || Text is not null || Code is not null || Phase is not null;
}

/// <summary>One status code, or a class of them: both ends belong to it.</summary>
public readonly record struct CodeRange(int First, int Last);

public sealed record EventFilter(string? Workflow, DateTimeOffset? Since, DateTimeOffset? Until, long? Before, int Limit);

/// <param name="Bytes">Of the event's JSON.</param>
/// <param name="Beginning">The first <see cref="BeginningChars"/> characters of it.</param>
public sealed record EventHead(EventId Id, string WorkflowName, string Trigger, DateTimeOffset ReceivedAt, long Bytes, string Beginning)
{
    public const int BeginningChars = 200;
}

public sealed record Page<T>(IReadOnlyList<T> Items, long? Next);

public sealed record UsageRow(DateOnly Day, string Workflow, long Runs, double ComputeMs, long Deliveries, double DeliveryMs);

public sealed record HourRow(string Workflow, DateTimeOffset Hour, long Runs, long RunsFailed, long Deliveries, long DeliveriesFailed);

/// <summary>How a delivery ended, or that it has not. <paramref name="Error"/> and <paramref name="Code"/> are the last
/// attempt's.</summary>
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

/// <summary>The store cannot take a write now: the disk is full, the database locked or lost (G3). Nothing was changed.</summary>
public sealed class StoreUnavailableException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>An HTTP trigger asked for a key that another workflow holds.</summary>
public sealed class TriggerKeyTakenException(string key, string workflow)
    : Exception($"the trigger key '{key}' belongs to the workflow '{workflow}'; choose another key")
{
    public string Key { get; } = key;
}
