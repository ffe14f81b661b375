namespace Sendoff.Engine.Model;

/// <summary>A run that is suspended after a segment (B3): until a time, until it is resumed, or until it is canceled.</summary>
/// <param name="Step">The step that suspended it.</param>
/// <param name="State">What the next segment needs, see <see cref="Resumption"/>. The store seals it, because its values are not masked
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

    /// <summary>The request that resumed it; sealed in the store.</summary>
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

/// <summary>What a step asked <c>$.flow</c> for: the run ends its segment after it (B3).</summary>
/// <param name="Runs">How often the next segment's first step will have been started.</param>
/// <param name="Context">JSON; empty is none.</param>
public sealed record RunHold(HoldKind Kind, int Step, TimeSpan For, int Runs, ReadOnlyMemory<byte> Context);

/// <summary>A suspended run that a new run resumes.</summary>
/// <param name="Callback">The resume request as event JSON; empty when a delay elapsed.</param>
public sealed record Continuation(RunId Run, ReadOnlyMemory<byte> Callback = default);

/// <summary>What a segment begins with.</summary>
/// <param name="From">The step that comes next.</param>
/// <param name="Runs">How often that step will have been started.</param>
/// <param name="Sends">How many sends it made in earlier segments.</param>
/// <param name="Trace">The first run's id: <c>trace_id</c> is the same over all segments.</param>
/// <param name="Steps">The results of the steps before.</param>
/// <param name="Context">What <c>$.flow</c> was given, JSON; empty is nothing.</param>
/// <param name="Callback">The resume request, JSON; empty is none.</param>
/// <param name="Credentials">What the event and these requests carried of credentials: the record does not show them (C8).</param>
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
