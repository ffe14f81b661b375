using Sendoff.Engine.Workers;
using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Runs;

/// <summary>An accepted event. <see cref="Response"/> completes with what <c>$.respond</c> gave, null when it never was.</summary>
public sealed record AcceptedRun(QueuedRun Run, Task<RunResponse?> Response);

/// <summary>The workflow has as many runs waiting as it may (E7: 429).</summary>
public sealed class RunQueueFullException(string workflow, int limit)
    : Exception($"the workflow '{workflow}' has {limit:N0} runs waiting, which is its limit (setting Runs:MaxQueued)");

/// <summary>Takes accepted events to their end: durable, run, committed with its sends, delivered.</summary>
public sealed class RunQueue
{
    /// <summary>Stores the event, then queues its run. Durable on completion (E1). Waits a little when completing cannot keep up.</summary>
    /// <param name="eventJson">The <c>event</c> that steps see.</param>
    public Task<AcceptedRun> AcceptAsync(WorkflowVersion version, string trigger, ReadOnlyMemory<byte> eventJson, CancellationToken ct) =>
        throw new NotImplementedException();

    /// <summary>Runs a stored event again on the workflow's current version. Null when there is no such run.</summary>
    public Task<AcceptedRun?> ReplayAsync(RunId run, CancellationToken ct) => throw new NotImplementedException();
}
