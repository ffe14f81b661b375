using Sendoff.Engine.Storage;
using Sendoff.Engine.Workflows;
using EventId = Sendoff.Engine.Model.EventId;

namespace Sendoff.Engine.Runs;

/// <summary>An accepted event. <see cref="Response"/> completes with the response passed to <c>$.respond</c>, or null if it was never
/// called.</summary>
public sealed record AcceptedRun(QueuedRun Run, Task<RunResponse?> Response);

/// <summary>Accepts events: stores each with its run, then queues the run (E1: durable, then acknowledged).</summary>
public sealed class RunAcceptance(
    IStore store,
    WorkflowCatalog catalog,
    RunLanes lanes,
    Concealment concealment,
    Quota quota,
    EngineContext engine
)
{
    static readonly Task<RunResponse?> noResponse = Task.FromResult<RunResponse?>(null);

    /// <summary>Stores the event, then queues its run. Both are durable on completion (E1). Waits for a short time if the server cannot
    /// keep up. Returns null if the workflow was deleted meanwhile.</summary>
    /// <param name="keep">False: prune the event and the run after every delivery has ended.</param>
    /// <param name="due">The due time of a schedule. Also returns null if another server has claimed it, or the schedule is deleted or
    /// disabled.</param>
    /// <param name="emitted">The delivery that emitted the event. Also returns null if it has already started this run. Also accepted
    /// during a shutdown: the next server executes the run.</param>
    public async Task<AcceptedRun?> AcceptAsync(
        WorkflowVersion version,
        string trigger,
        EventContent content,
        CancellationToken ct,
        DueTime? due = null,
        bool keep = true,
        Emission? emitted = null
    )
    {
        await engine.Pacing.WaitAsync(ct).ConfigureAwait(false);
        if (emitted is null)
            RefuseIfClosed();
        var lane = lanes.Admit(version.WorkflowId, version.Name);
        var received = NewEvent(version, trigger, content);
        bool isAwaited =
            SourceCall.Of(trigger) is { Hook: not null }
            || version.Definition.Triggers.Any(t => t is HttpTrigger { Response.FromRun: true });
        var response = isAwaited ? new TaskCompletionSource<RunResponse?>(TaskCreationOptions.RunContinuationsAsynchronously) : null;
        var run = new QueuedRun(new(engine.Ids.Next()), received, version.Number, Due: due, Keep: keep, Emitted: emitted)
        {
            IsHeld = IsOverQuota(trigger),
        };
        return await StoreAndQueueAsync(lane, new(run, response)).ConfigureAwait(false);
    }

    // E6: a run that somebody starts by hand, or by a deploy, counts and is not held.
    bool IsOverQuota(string trigger)
    {
        if (trigger is not (QueuedRun.ManualTrigger or QueuedRun.TestTrigger) && SourceCall.Of(trigger) is not { Hook: not null })
            return !quota.TryTake();
        quota.Take();
        return false;
    }

    Event NewEvent(WorkflowVersion version, string trigger, in EventContent content)
    {
        var received = new Event(
            content.Id ?? new(engine.Ids.Next()),
            WorkspaceId.Default,
            version.WorkflowId,
            trigger,
            engine.Time.GetUtcNow(),
            content.Json
        )
        {
            Raw = content.Raw,
        };
        return FileLinks.FindSign(concealment, received) is { } sign ? received with { Credentials = [sign] } : received;
    }

    /// <summary>Stores an event that starts no run. Returns null if the workflow was deleted meanwhile.</summary>
    public async Task<EventId?> KeepEventAsync(WorkflowVersion version, string trigger, EventContent content)
    {
        RefuseIfClosed();
        var received = NewEvent(version, trigger, content);
        return await store.KeepEventAsync(received, CancellationToken.None).ConfigureAwait(false) ? received.Id : null;
    }

    /// <summary>Executes a version with a stored event again. Returns null if the run or its workflow does not exist.</summary>
    /// <param name="version">Null for the workflow's current version.</param>
    /// <param name="captured">Whether its sends are captured.</param>
    public async Task<AcceptedRun?> ReplayAsync(RunId run, WorkflowVersion? version, bool captured, CancellationToken ct)
    {
        if (await store.FindRunAsync(run, ct).ConfigureAwait(false) is not { } head)
            return null;
        if (await store.GetEventAsync(head.EventId, ct).ConfigureAwait(false) is not { } received)
            return null;
        received = concealment.Open(received);
        version ??= (await catalog.FindCurrentAsync(received.WorkflowId, ct).ConfigureAwait(false))?.Version;
        if (version is null || version.WorkflowId != received.WorkflowId)
            return null;
        RefuseIfClosed();
        var lane = lanes.Admit(received.WorkflowId, version.Name);
        quota.Take();
        return await StoreAndQueueAsync(
                lane,
                new(new(new(engine.Ids.Next()), received, version.Number, Replay: true, Captured: captured), null)
            )
            .ConfigureAwait(false);
    }

    /// <summary>Releases a run that was held over quota (E6), regardless of the number of queued runs. Returns false if it is not
    /// held.</summary>
    public async Task<bool> ReleaseAsync(RunId run)
    {
        RefuseIfClosed();
        if (await store.ReleaseAsync(run, CancellationToken.None).ConfigureAwait(false) is not { } released)
            return false;
        lanes.Queue(lanes.AdmitAlways(released.Event.WorkflowId), new(released, null));
        return true;
    }

    /// <summary>Resumes a suspended run as a new run with the same event and version. Returns null if it does not exist or is no longer
    /// suspended.</summary>
    /// <param name="callback">The resume request as event JSON; empty if the delay elapsed.</param>
    public async Task<AcceptedRun?> ResumeAsync(RunId run, ReadOnlyMemory<byte> callback, CancellationToken ct)
    {
        if (await store.FindRunAsync(run, ct).ConfigureAwait(false) is not { Status: RunStatus.Suspended } suspended)
            return null;
        RefuseIfClosed();
        var lane = lanes.Admit(suspended.WorkflowId, suspended.WorkflowName);
        quota.Take();
        // The event is read when the run starts.
        var received = new Event(suspended.EventId, suspended.WorkspaceId, suspended.WorkflowId, suspended.Trigger, default, default);
        var next = new QueuedRun(new(engine.Ids.Next()), received, suspended.Version) { Continues = new(run, callback) };
        if (await StoreAndQueueAsync(lane, new(next, null)).ConfigureAwait(false) is not { } accepted)
            return null;
        engine.Changes.Publish(run, RunStatus.Succeeded);
        return accepted;
    }

    // From here on, the caller cannot cancel, because the event may already be durable.
    async Task<AcceptedRun?> StoreAndQueueAsync(RunLane lane, Waiting waiting)
    {
        bool isStored = false;
        try
        {
            isStored = await store.AcceptAsync(waiting.Run, CancellationToken.None).ConfigureAwait(false);
        }
        finally
        {
            if (!isStored)
                lane.Leave();
            if (!isStored && !waiting.Run.IsHeld)
                quota.GiveBack();
        }
        if (!isStored)
            return null;
        // E6: it is queued when it is released.
        if (waiting.Run.IsHeld)
        {
            lane.Leave();
            engine.Changes.Publish(waiting.Run.Id, RunStatus.Held);
            return new(waiting.Run, noResponse);
        }
        lanes.Queue(lane, waiting);
        return new(waiting.Run, waiting.Response?.Task ?? noResponse);
    }

    void RefuseIfClosed()
    {
        if (lanes.IsClosed)
            throw new StoreUnavailableException("the server is stopping");
    }
}
