namespace Sendoff.Engine.Model;

public enum RunStatus
{
    Queued,
    Running,
    Succeeded,
    Failed,
    TimedOut,
    OutOfMemory,
    Suspended,
    Held,
}

/// <summary>Groups of statuses.</summary>
public static class RunStatuses
{
    /// <summary>The statuses that count as failed, in usage, alerts and the lists of failed runs.</summary>
    public static IReadOnlyList<RunStatus> Failures { get; } = [RunStatus.Failed, RunStatus.TimedOut, RunStatus.OutOfMemory];

    public static bool IsFailure(this RunStatus status) => status is RunStatus.Failed or RunStatus.TimedOut or RunStatus.OutOfMemory;
}

/// <summary>A due time of a schedule, identified by the trigger's key.</summary>
public sealed record DueTime(string Key, DateTimeOffset At);

/// <summary>A delivery that emitted an event, and the number of emits that led to it.</summary>
public sealed record Emission(DeliveryId Delivery, int Hops);

/// <summary>A run that is accepted and durable, but has not ended.</summary>
/// <param name="Due">The due time that storing the run settles.</param>
/// <param name="Emitted">The emitted event that storing the run claims: it starts one run of each workflow.</param>
/// <param name="Keep">False if the run and its event are pruned once every delivery has ended.</param>
/// <param name="Captured">A replay whose sends are captured.</param>
public sealed record QueuedRun(
    RunId Id,
    Event Event,
    int Version,
    bool Replay = false,
    bool Recovered = false,
    DueTime? Due = null,
    bool Keep = true,
    bool Captured = false,
    Emission? Emitted = null
)
{
    /// <summary>Held over the daily quota until it is released (E6).</summary>
    public bool IsHeld { get; init; }

    /// <summary>The suspended run that it continues.</summary>
    public Continuation? Continues { get; init; }

    /// <summary>The state that it resumes with; set before it executes.</summary>
    public Resumption? Resumption { get; init; }

    /// <summary>The hook of an event source that it calls (K4); null for other runs, and for a replay.</summary>
    public SourceCall? Hook => !Replay && SourceCall.Of(Event.Trigger) is { Hook: not null } call ? call : null;

    /// <summary>The trigger of tests: their sends are captured, also in replays and after a crash.</summary>
    public const string TestTrigger = "test";

    /// <summary>The trigger of an event that was created manually.</summary>
    public const string ManualTrigger = "manual";

    /// <summary>The trigger in the record of the run.</summary>
    public string Trigger => Captured ? TestTrigger : Event.Trigger;
}

/// <summary>A run at its committed end. Compute time (E6) is its time in workers; delivery time is measured separately.</summary>
public sealed record Run(
    RunId Id,
    EventId EventId,
    WorkspaceId WorkspaceId,
    WorkflowId WorkflowId,
    int Version,
    string Trigger,
    RunStatus Status,
    DateTimeOffset StartedAt,
    TimeSpan Duration,
    TimeSpan Compute,
    bool Recovered,
    bool Replay,
    StepError? Error,
    string? Message,
    RunResponse? Response,
    IReadOnlyList<StepResult> Steps
)
{
    /// <summary>Values of the event's credential headers, which are masked in the record and not stored (C8).</summary>
    public IReadOnlyList<string> Credentials { get; init; } = [];

    /// <summary>Whether it continues a suspended run (B3).</summary>
    public bool IsContinuation { get; init; }

    /// <summary>The run that it continues; also null if that was pruned.</summary>
    public RunId? Continues { get; init; }

    /// <summary>The workflow delivers only on success, and the run has succeeded: captured sends of earlier segments are now
    /// sent.</summary>
    public bool ReleasesCaptured { get; init; }

    /// <summary>The run that continues this one.</summary>
    public RunId? ContinuedBy { get; init; }

    /// <summary>Set for the run of an event source whose effects are stored. Written with the run, but not read with it.</summary>
    public SourceCommit? Source { get; init; }

    /// <summary>The suspension of the run. Its state is written with the run, but not read with it.</summary>
    public Suspension? Suspension { get; init; }
}
