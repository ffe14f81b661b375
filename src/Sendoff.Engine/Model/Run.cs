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

/// <summary>A due time of a schedule, which the trigger's key names.</summary>
public sealed record DueTime(string Key, DateTimeOffset At);

/// <summary>A delivery that emitted an event, and how many workflows stand in the row of emitted events before the run that it
/// starts.</summary>
public sealed record Emission(DeliveryId Delivery, int Hops);

/// <summary>A run that is accepted and durable, and has no end yet.</summary>
/// <param name="Due">What it settles when it is stored.</param>
/// <param name="Emitted">What it claims when it is stored: an emitted event starts one run of a workflow.</param>
/// <param name="Keep">False prunes it with its event once every delivery has ended.</param>
/// <param name="Captured">A replay that sends nothing, whatever its event was.</param>
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
    /// <summary>The day's quota is used up: it waits until it is released (E6).</summary>
    public bool IsHeld { get; init; }

    /// <summary>The suspended run that it continues.</summary>
    public Continuation? Continues { get; init; }

    /// <summary>What it goes on with; known when it is about to execute.</summary>
    public Resumption? Resumption { get; init; }

    /// <summary>The trigger of events and runs that send nothing: their sends are captured, of replays and after a crash too.</summary>
    public const string TestTrigger = "test";

    /// <summary>The trigger of an event that somebody gave by hand.</summary>
    public const string ManualTrigger = "manual";

    /// <summary>What the run is recorded as started by.</summary>
    public string Trigger => Captured ? TestTrigger : Event.Trigger;
}

/// <summary>A run at its committed end. Compute time (E6) is its time in workers; deliveries are metered apart.</summary>
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
    /// <summary>What the event's credential headers held: it is not to show in the record, and is not stored (C8).</summary>
    public IReadOnlyList<string> Credentials { get; init; } = [];

    /// <summary>Whether it continues a suspended run (B3).</summary>
    public bool IsContinuation { get; init; }

    /// <summary>The run that it went on from; null as well when that is pruned.</summary>
    public RunId? Continues { get; init; }

    /// <summary>It delivers on success only, and has succeeded: what its earlier segments captured is to be sent.</summary>
    public bool ReleasesCaptured { get; init; }

    /// <summary>The run that went on from this one.</summary>
    public RunId? ContinuedBy { get; init; }

    /// <summary>Why and until when it is or was suspended. Its state is written with the run and not read back with it.</summary>
    public Suspension? Suspension { get; init; }
}
