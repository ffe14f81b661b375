namespace Sendoff.Engine.Model;

/// <summary>A run that is suspended after a segment (B3): until a time, until it is resumed, or until it is canceled.</summary>
/// <param name="Step">The step that suspended it.</param>
/// <param name="State">State for the next segment, see <see cref="Resumption"/>. The store encrypts it, because its values are not masked
/// (C8).</param>
public sealed record Suspension(
    RunId RunId,
    WorkflowId WorkflowId,
    HoldKind Kind,
    int Step,
    DateTimeOffset Until,
    ReadOnlyMemory<byte> State
)
{
    /// <summary>The run that resumed it.</summary>
    public RunId? ContinuedBy { get; init; }

    /// <summary>The request that resumed it; encrypted in the store.</summary>
    public ReadOnlyMemory<byte> Callback { get; init; }
}

/// <summary>How a step suspended its run.</summary>
/// <remarks>The numbers are stored.</remarks>
public enum HoldKind
{
    Suspend = 1,
    Delay = 2,
    Rerun = 3,
}

/// <summary>A request of a step to <c>$.flow</c>, which ends the segment of the run after the step (B3).</summary>
/// <param name="Runs">Number of starts of the next segment's first step, including the next one.</param>
/// <param name="Context">JSON; empty if there is none.</param>
public sealed record RunHold(HoldKind Kind, int Step, TimeSpan For, int Runs, ReadOnlyMemory<byte> Context);

/// <summary>A suspended run that a new run resumes.</summary>
/// <param name="Callback">The resume request as event JSON; empty when a delay elapsed.</param>
public sealed record Continuation(RunId Run, ReadOnlyMemory<byte> Callback = default);

/// <summary>The state with which a segment begins.</summary>
/// <param name="From">The first step of the segment.</param>
/// <param name="Runs">Number of starts of that step, including this one.</param>
/// <param name="Sends">Number of sends of that step in earlier segments.</param>
/// <param name="Trace">The first run's id: <c>trace_id</c> is the same in all segments.</param>
/// <param name="Steps">The results of the steps before.</param>
/// <param name="Context">The context passed to <c>$.flow</c>, JSON; empty if there is none.</param>
/// <param name="Callback">The resume request, JSON; empty if there is none.</param>
/// <param name="Credentials">Credentials of the event and the resume requests, which are masked in the record (C8).</param>
public sealed record Resumption(
    HoldKind Kind,
    int From,
    int Runs,
    int Sends,
    string Trace,
    IReadOnlyList<StepResult> Steps,
    ReadOnlyMemory<byte> Context,
    ReadOnlyMemory<byte> Callback,
    IReadOnlyList<string> Credentials
);
