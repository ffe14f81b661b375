using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Secrets;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workflows;
using EventId = Sendoff.Engine.Model.EventId;

namespace Sendoff.Engine.Runs;

/// <summary>An accepted event. <see cref="Response"/> completes with what <c>$.respond</c> gave, null when it never was.</summary>
public sealed record AcceptedRun(QueuedRun Run, Task<RunResponse?> Response);

/// <summary>The workflow has as many runs waiting as it may (E7: 429).</summary>
public sealed class RunQueueFullException(string workflow, int limit)
    : Exception($"the workflow '{workflow}' has {limit:N0} runs waiting, which is its limit (setting Runs:MaxQueued)");

/// <summary>Takes events to their end.</summary>
/// <remarks>
/// (1) store the event and its queued run: durable, then acknowledged  (2) execute it in a worker  (3) commit its end and its deliveries in one
/// transaction  (4) hand the deliveries over. One lane a workflow, so that none starves another.
/// </remarks>
public sealed partial class RunQueue(
    IStore store,
    WorkflowCatalog catalog,
    RunExecutor executor,
    DeliveryDispatcher dispatcher,
    EngineContext engine,
    Concealment concealment,
    Quota quota,
    ServerHold hold,
    ILogger<RunQueue> log
) : IAsyncDisposable
{
    const int ReadAtOnce = 100;
    static readonly TimeSpan rest = TimeSpan.FromSeconds(1);

    readonly ConcurrentDictionary<WorkflowId, RunLane> lanes = [];
    readonly EventMemory memory = new(engine.Limits.RunsWaitingBytes);
    readonly CancellationTokenSource killed = new();

    // Recovered runs in flight whose start is noted as one that may be cut off by a crash (E1).
    readonly ConcurrentDictionary<RunId, bool> noted = [];
    readonly TaskCompletionSource idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    TaskCompletionSource nextSuspended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    int executing,
        inFlight;
    volatile bool stopping;

    /// <summary>Completes when another run is held.</summary>
    internal Task NextSuspended => Volatile.Read(ref nextSuspended).Task;

    /// <summary>Runs that are executing, or about to.</summary>
    internal int InFlight => Volatile.Read(ref inFlight);

    /// <summary>Runs of each workflow that are accepted and have not started.</summary>
    internal IEnumerable<(WorkflowId Workflow, int Runs)> Unstarted => lanes.Select(static lane => (lane.Key, lane.Value.UnstartedCount));

    /// <summary>Bytes of events that wait in memory.</summary>
    internal long WaitingBytes => memory.Taken;

    /// <summary>Begins to queue what an earlier server accepted and did not end (E1), while new events are served. Call once, before the first event.</summary>
    public void Recover() => _ = Task.Run(RecoverAsync);

    async Task RecoverAsync()
    {
        await hold.Released.WaitAsync(killed.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Enter();
        RunId? after = null;
        for (int found = 0; !stopping; )
        {
            try
            {
                var page = await store.ListUnfinishedRunsAsync(ReadAtOnce, after, killed.Token).ConfigureAwait(false);
                foreach (var run in page)
                    QueueLeft(run);
                found += page.Count;
                if (page is [.., var last])
                {
                    after = last.Id;
                    continue;
                }
                if (found > 0)
                    log.RecoveredRuns(found);
                break;
            }
            catch (Exception x)
            {
                if (!stopping)
                    log.RecoveryPutOff(x.Message);
            }
            await Task.Delay(rest, engine.Time, killed.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        Leave();
    }

    void QueueLeft(QueuedRun run)
    {
        var lane = Lane(run.Event.WorkflowId);
        var first = lane.AddLeft(
            new(run.Id, run.Event.Id, run.Version, run.Replay, run.Captured, run.Continues?.Run),
            engine.Limits.RunsRecovering
        );
        if (first is not null)
            _ = ExecuteLaneAsync(lane, first, lane.NextLeft);
    }

    /// <summary>Stores the event, then queues its run. Durable on completion (E1). Waits a little when completing cannot keep up. Null when the workflow was
    /// deleted meanwhile.</summary>
    /// <param name="keep">False prunes event and run once every delivery has ended.</param>
    /// <param name="due">Of a schedule: null comes back as well when the due time is taken, or the schedule is gone or off.</param>
    /// <param name="emitted">Of an emitted event: null comes back as well when it has started its run. One that a stopping server stores is run by the next.</param>
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
        var lane = Admit(version.WorkflowId, version.Name, evenStopping: emitted is not null);
        var received = NewEvent(version, trigger, content);
        var response = version.Definition.Triggers.Any(t => t is HttpTrigger { Response.FromRun: true }) ? NewResponse() : null;
        var run = new QueuedRun(new(engine.Ids.Next()), received, version.Number, Due: due, Keep: keep, Emitted: emitted)
        {
            IsHeld = IsOverQuota(trigger),
        };
        return await StoreAndQueueAsync(lane, new(run, response)).ConfigureAwait(false);
    }

    // E6: what somebody starts by hand counts, and is not held.
    bool IsOverQuota(string trigger)
    {
        if (trigger is not (QueuedRun.ManualTrigger or QueuedRun.TestTrigger))
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

    /// <summary>Stores an event that starts no run. Null when the workflow was deleted meanwhile.</summary>
    public async Task<EventId?> KeepEventAsync(WorkflowVersion version, string trigger, EventContent content)
    {
        if (stopping)
            throw new StoreUnavailableException("the server is stopping");
        var received = NewEvent(version, trigger, content);
        return await store.KeepEventAsync(received, CancellationToken.None).ConfigureAwait(false) ? received.Id : null;
    }

    /// <summary>Runs a stored event again. Null when there is no such run, or no such workflow any more.</summary>
    /// <param name="version">What it runs; null for the workflow's current version.</param>
    /// <param name="captured">Its sends are captured.</param>
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
        var lane = Admit(received.WorkflowId, version.Name);
        quota.Take();
        return await StoreAndQueueAsync(
                lane,
                new(new(new(engine.Ids.Next()), received, version.Number, Replay: true, Captured: captured), null)
            )
            .ConfigureAwait(false);
    }

    /// <summary>Queues a run that was held over quota (E6), however many wait. Answers false when it is not held.</summary>
    public async Task<bool> ReleaseAsync(RunId run)
    {
        if (stopping)
            throw new StoreUnavailableException("the server is stopping");
        if (await store.ReleaseAsync(run, CancellationToken.None).ConfigureAwait(false) is not { } released)
            return false;
        var lane = Lane(released.Event.WorkflowId);
        lane.TryAdmit(int.MaxValue);
        Queue(lane, new(released, null));
        return true;
    }

    /// <summary>Lets a held run go on, as a run of its own with the same event and version. Null when it is not held any more, or gone.</summary>
    /// <param name="callback">The request that lets it, as an event; empty when its time has come.</param>
    public async Task<AcceptedRun?> ContinueAsync(RunId run, ReadOnlyMemory<byte> callback, CancellationToken ct)
    {
        if (await store.FindRunAsync(run, ct).ConfigureAwait(false) is not { Status: RunStatus.Suspended } suspended)
            return null;
        var lane = Admit(suspended.WorkflowId, suspended.WorkflowName);
        quota.Take();
        // Its event is read when its turn comes.
        var received = new Event(suspended.EventId, suspended.WorkspaceId, suspended.WorkflowId, suspended.Trigger, default, default);
        var next = new QueuedRun(new(engine.Ids.Next()), received, suspended.Version) { Continues = new(run, callback) };
        if (await StoreAndQueueAsync(lane, new(next, null)).ConfigureAwait(false) is not { } accepted)
            return null;
        engine.Changes.Publish(run, RunStatus.Succeeded);
        return accepted;
    }

    RunLane Lane(WorkflowId workflow) => lanes.GetOrAdd(workflow, static (id, memory) => new(id, memory), memory);

    RunLane Admit(WorkflowId workflow, string name, bool evenStopping = false)
    {
        if (stopping && !evenStopping)
            throw new StoreUnavailableException("the server is stopping");
        var lane = Lane(workflow);
        return lane.TryAdmit(engine.Limits.RunsQueued) ? lane : throw new RunQueueFullException(name, engine.Limits.RunsQueued);
    }

    // (1) From here on nothing is cancelled with the caller: the event may be durable although the caller has gone.
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
        // E6: it is kept, and comes to its turn when it is released.
        if (waiting.Run.IsHeld)
        {
            lane.Leave();
            engine.Changes.Publish(waiting.Run.Id, RunStatus.Held);
            return new(waiting.Run, noResponse);
        }
        var accepted = new AcceptedRun(waiting.Run, waiting.Response?.Task ?? noResponse);
        Queue(lane, waiting);
        return accepted;
    }

    void Queue(RunLane lane, Waiting waiting)
    {
        engine.Changes.Publish(waiting.Run.Id, RunStatus.Queued);
        waiting = waiting with { Pace = engine.Pacing.Begin(lane.Pace) };
        if (lane.TryStart(waiting, engine.Limits.RunsExecuting))
            _ = ExecuteLaneAsync(lane, waiting, () => NextOf(lane));
        else if (stopping)
            waiting.Response?.TrySetException(Stopped());
    }

    static Waiting? NextOf(RunLane lane)
    {
        lane.Leave();
        return lane.Next();
    }

    // One place of a lane: it takes the lane's next run as soon as it has ended one.
    async Task ExecuteLaneAsync(RunLane lane, Waiting? next, Func<Waiting?> more)
    {
        Enter();
        for (; next is not null && !stopping; next = more())
        {
            Interlocked.Increment(ref inFlight);
            try
            {
                await ExecuteAsync(lane, next).ConfigureAwait(false);
                next.Response?.TrySetResult(null);
            }
            catch (Exception x) when (stopping || x is StoreUnavailableException)
            {
                if (x is not OperationCanceledException)
                    log.RunLost(x, next.Run.Id);
                next.Response?.TrySetException(Stopped());
            }
            catch (Exception x)
            {
                log.RunFaulted(x, next.Run.Id);
                await EndFaultedAsync(next.Run, x).ConfigureAwait(false);
                next.Response?.TrySetException(x);
            }
            Interlocked.Decrement(ref inFlight);
            engine.Pacing.End(next.Pace);
        }
        // Accepted while the server stops: stored, and run after the next start.
        next?.Response?.TrySetException(Stopped());
        Leave();
    }

    async Task ExecuteAsync(RunLane lane, Waiting waiting)
    {
        if (await PrepareAsync(waiting.Run).ConfigureAwait(false) is not var (queued, deployment))
            return;
        if (queued.Recovered)
            await NoteInFlightAsync(queued.Id).ConfigureAwait(false);

        // (2)
        var executed = await ExecuteInWorkerAsync(queued, deployment, waiting.Response).ConfigureAwait(false);
        engine.Pacing.Measure(lane.Pace, executed.Run.Compute.TotalMilliseconds);

        quota.AddCompute(executed.Run.Compute);

        // (3)
        dispatcher.Reserve(executed.Deliveries);
        bool isStored = false;
        try
        {
            isStored = await store.FinishRunAsync(executed.Run, executed.Deliveries, CancellationToken.None).ConfigureAwait(false);
        }
        finally
        {
            if (!isStored)
                dispatcher.Release(executed.Deliveries);
        }

        // (4) A workflow that was deleted meanwhile took its history with it; its sends are not wanted any more.
        if (isStored)
        {
            dispatcher.Start(executed.Deliveries);
            if (executed.Run.ReleasesCaptured)
                dispatcher.StartReleased(executed.Run.Id);
            engine.Changes.Publish(executed.Run);
            if (executed.Run.Suspension is not null)
                Interlocked.Exchange(ref nextSuspended, new(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
        }
        noted.TryRemove(queued.Id, out _);
        waiting.Response?.TrySetResult(executed.Run.Response);
    }

    // Nothing was started yet, so that what the disk or the store refuses is tried again.
    async ValueTask<(QueuedRun, Deployment)?> PrepareAsync(QueuedRun queued)
    {
        while (true)
        {
            try
            {
                return await TryPrepareAsync(queued).ConfigureAwait(false);
            }
            catch (Exception x) when (!stopping && x is StoreUnavailableException or IOException or UnauthorizedAccessException)
            {
                log.RunPutOff(queued.Id, x.Message);
                await RestAsync().ConfigureAwait(false);
            }
        }
    }

    // Null when the run came to its end here: started too often (E1), or without anything left to run.
    async ValueTask<(QueuedRun, Deployment)?> TryPrepareAsync(QueuedRun queued)
    {
        if (queued.Event.Json.IsEmpty)
        {
            if (await store.GetEventAsync(queued.Event.Id, CancellationToken.None).ConfigureAwait(false) is not { } stored)
                return await EndGoneAsync(queued, "its event").ConfigureAwait(false);
            try
            {
                queued = queued with { Event = concealment.Open(stored) };
            }
            catch (SealedException x)
            {
                await EndAsync(executor.Sealed(queued, x)).ConfigureAwait(false);
                return null;
            }
        }
        if (queued.Continues is { } link)
        {
            if (await store.GetSuspensionAsync(link.Run, CancellationToken.None).ConfigureAwait(false) is not { } held)
                return await EndGoneAsync(queued, $"the suspended run {link.Run}").ConfigureAwait(false);
            try
            {
                queued = queued with { Resumption = concealment.Open(held) };
            }
            catch (SealedException x)
            {
                await EndAsync(executor.Sealed(queued, x)).ConfigureAwait(false);
                return null;
            }
        }
        if (
            await catalog.FindAsync(queued.Event.WorkflowId, queued.Version, CancellationToken.None).ConfigureAwait(false)
            is not { } deployment
        )
        {
            if (await store.GetVersionAsync(queued.Event.WorkflowId, queued.Version, CancellationToken.None).ConfigureAwait(false) is null)
                return await EndGoneAsync(queued, queued.Version < 0 ? "its draft" : $"version {queued.Version} of the workflow")
                    .ConfigureAwait(false);
            await EndAsync(executor.Unreadable(queued)).ConfigureAwait(false);
            return null;
        }
        // Last, so that a start is noted only when the run does start.
        int starts = queued.Recovered ? await store.StartRecoveredRunAsync(queued.Id, CancellationToken.None).ConfigureAwait(false) : 0;
        if (starts > engine.Limits.RunRecoveries)
            await EndAsync(executor.GiveUp(queued, starts)).ConfigureAwait(false);
        // 0 of a recovered run: deleted with its workflow.
        return queued.Recovered && (starts == 0 || starts > engine.Limits.RunRecoveries) ? null : (queued, deployment);
    }

    // The store takes no end of a run that was deleted with its workflow.
    async ValueTask<(QueuedRun, Deployment)?> EndGoneAsync(QueuedRun queued, string what)
    {
        await EndAsync(executor.Gone(queued, what)).ConfigureAwait(false);
        return null;
    }

    async Task EndAsync(Run run)
    {
        if (await store.FinishRunAsync(run, [], CancellationToken.None).ConfigureAwait(false))
            engine.Changes.Publish(run);
    }

    // A fault of the server or of what the run gave back: it would be the same after the next start.
    async Task EndFaultedAsync(QueuedRun queued, Exception fault)
    {
        try
        {
            await EndAsync(executor.Fault(queued, fault)).ConfigureAwait(false);
        }
        catch (Exception x)
        {
            log.RunLost(x, queued.Id);
        }
    }

    async Task RestAsync()
    {
        await Task.Delay(rest, engine.Time, killed.Token).ConfigureAwait(false);
        if (stopping)
            throw new OperationCanceledException("the server stops");
    }

    static readonly Task<RunResponse?> noResponse = Task.FromResult<RunResponse?>(null);

    static TaskCompletionSource<RunResponse?> NewResponse() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
