using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Events;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workers;
using Sendoff.Engine.Workflows;

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
public sealed class RunQueue(
    IStore store, WorkflowCatalog catalog, RunExecutor executor, DeliveryDispatcher dispatcher, EngineContext engine, ILogger<RunQueue> log) : IAsyncDisposable
{
    readonly ConcurrentDictionary<WorkflowId, RunLane> lanes = [];
    readonly CancellationTokenSource killed = new();
    readonly TaskCompletionSource idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    int executing;
    volatile bool stopping;

    /// <summary>Queues what an earlier server accepted and did not end (E1). Call once, before the first event.</summary>
    public async Task RecoverAsync(CancellationToken ct)
    {
        RunId? after = null;
        while (await store.ListUnfinishedRunsAsync(limit: 1_000, after, ct).ConfigureAwait(false) is { Count: > 0 } page)
        {
            foreach (var run in page) Enqueue(Lane(run.Event.WorkflowId), new Waiting(run, null));
            after = page[^1].Id;
            log.RecoveredRuns(page.Count);
        }
    }

    /// <summary>Stores the event, then queues its run. Durable on completion (E1). Waits a little when completing cannot keep up.</summary>
    /// <param name="eventJson">The <c>event</c> that steps see.</param>
    public async Task<AcceptedRun> AcceptAsync(WorkflowVersion version, string trigger, ReadOnlyMemory<byte> eventJson, CancellationToken ct)
    {
        await engine.Pacing.WaitAsync(ct).ConfigureAwait(false);
        var lane = Admit(version.WorkflowId, version.Name);
        var received = new Event(
            new(engine.Ids.Next()), WorkspaceId.Default, version.WorkflowId, trigger, engine.Time.GetUtcNow(), eventJson);
        var response = version.Definition.Triggers.Any(t => t is HttpTrigger { Response.FromRun: true }) ? NewResponse() : null;
        return await StoreAndQueueAsync(lane, new(new(new(engine.Ids.Next()), received, version.Number), response)).ConfigureAwait(false);
    }

    /// <summary>Runs a stored event again on the workflow's current version. Null when there is no such run.</summary>
    public async Task<AcceptedRun?> ReplayAsync(RunId run, CancellationToken ct)
    {
        if (await store.GetRunAsync(run, ct).ConfigureAwait(false) is not { } stored) return null;
        if (await store.GetEventAsync(stored.Run.EventId, ct).ConfigureAwait(false) is not { } received) return null;
        if (await catalog.FindCurrentAsync(received.WorkflowId, ct).ConfigureAwait(false) is not { } current) return null;
        var lane = Admit(received.WorkflowId, current.Version.Name);
        return await StoreAndQueueAsync(lane, new(new(new(engine.Ids.Next()), received, current.Version.Number, Replay: true), null)).ConfigureAwait(false);
    }

    /// <summary>Starts no further run and waits for those that execute; when <paramref name="ct"/> ends the patience, they are cut off and run again
    /// after the next start.</summary>
    public async Task StopAsync(CancellationToken ct)
    {
        stopping = true;
        if (Volatile.Read(ref executing) == 0) return;
        using var patience = ct.Register(killed.Cancel);
        await idle.Task.ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        stopping = true;
        await killed.CancelAsync().ConfigureAwait(false);
        killed.Dispose();
    }

    RunLane Lane(WorkflowId workflow) => lanes.GetOrAdd(workflow, static _ => new());

    RunLane Admit(WorkflowId workflow, string name)
    {
        if (stopping) throw new StoreUnavailableException("the server is stopping");
        var lane = Lane(workflow);
        return lane.TryAdmit(engine.Limits.RunsQueued) ? lane : throw new RunQueueFullException(name, engine.Limits.RunsQueued);
    }

    // (1) From here on nothing is cancelled with the caller: the event may be durable although the caller has gone.
    async Task<AcceptedRun> StoreAndQueueAsync(RunLane lane, Waiting waiting)
    {
        try
        {
            await store.AcceptAsync(waiting.Run, CancellationToken.None).ConfigureAwait(false);
        }
        catch
        {
            lane.Leave();
            throw;
        }
        var accepted = new AcceptedRun(waiting.Run, waiting.Response?.Task ?? noResponse);
        Queue(lane, waiting);
        return accepted;
    }

    void Enqueue(RunLane lane, Waiting waiting)
    {
        lane.Enter();
        Queue(lane, waiting);
    }

    void Queue(RunLane lane, Waiting waiting)
    {
        engine.Changes.Publish(waiting.Run.Id, RunStatus.Queued);
        if (!lane.IsSlow)
        {
            engine.Pacing.Add();
            waiting = waiting with { IsPaced = true };
        }
        if (lane.TryStart(waiting, engine.Limits.RunsExecuting)) _ = ExecuteLaneAsync(lane, waiting);
    }

    // One place of a lane: it takes the lane's next run as soon as it has ended one.
    async Task ExecuteLaneAsync(RunLane lane, Waiting? next)
    {
        Interlocked.Increment(ref executing);
        for (; next is not null; next = stopping ? null : lane.Next())
        {
            try
            {
                await ExecuteAsync(lane, next).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (killed.IsCancellationRequested)
            {
                break;
            }
            catch (Exception x)
            {
                log.RunLost(x, next.Run.Id);
            }
            next.Response?.TrySetResult(null);
            if (next.IsPaced) engine.Pacing.Remove();
            lane.Leave();
        }
        if (Interlocked.Decrement(ref executing) == 0 && stopping) idle.TrySetResult();
    }

    async Task ExecuteAsync(RunLane lane, Waiting waiting)
    {
        var (queued, deployment) = await PrepareAsync(waiting.Run).ConfigureAwait(false);
        if (queued is null) return;

        // (2)
        var executed = await ExecuteInWorkerAsync(queued, deployment!, waiting.Response).ConfigureAwait(false);

        lane.Measure(executed.Run.Compute);

        // (3)
        dispatcher.Reserve(executed.Deliveries);
        try
        {
            await store.FinishRunAsync(executed.Run, executed.Deliveries, CancellationToken.None).ConfigureAwait(false);
        }
        catch
        {
            dispatcher.Release(executed.Deliveries);
            throw;
        }

        // (4)
        dispatcher.Start(executed.Deliveries);
        engine.Changes.Publish(executed.Run.Id, executed.Run.Status);
        waiting.Response?.TrySetResult(executed.Run.Response);
    }

    // Null when the run came to its end here: started too often (E1), or without anything left to run.
    async ValueTask<(QueuedRun?, Deployment?)> PrepareAsync(QueuedRun queued)
    {
        if (queued.Recovered && await store.StartRecoveredRunAsync(queued.Id, CancellationToken.None).ConfigureAwait(false) is var starts && starts > engine.Limits.RunRecoveries)
        {
            await store.FinishRunAsync(executor.GiveUp(queued, starts), [], CancellationToken.None).ConfigureAwait(false);
            return default;
        }
        var deployment = await catalog.FindAsync(queued.Event.WorkflowId, queued.Version, CancellationToken.None).ConfigureAwait(false);
        if (deployment is null) return default; // deleted meanwhile, with its history
        if (!queued.Event.Json.IsEmpty) return (queued, deployment);
        var stored = await store.GetEventAsync(queued.Event.Id, CancellationToken.None).ConfigureAwait(false);
        return stored is null ? default : (queued with { Event = stored }, deployment);
    }

    // A server without workers loses nothing: the run waits until there is one.
    async Task<ExecutedRun> ExecuteInWorkerAsync(QueuedRun queued, Deployment deployment, TaskCompletionSource<RunResponse?>? response)
    {
        Action<RunResponse>? onImmediate = response is null ? null : given => response.TrySetResult(given);
        while (true)
        {
            try
            {
                return await executor.ExecuteAsync(queued, deployment.Version, deployment.Program, onImmediate, killed.Token).ConfigureAwait(false);
            }
            catch (WorkerUnavailableException x)
            {
                log.RunsWaitForWorker(x.Message);
                await Task.Delay(TimeSpan.FromSeconds(1), engine.Time, killed.Token).ConfigureAwait(false);
            }
        }
    }

    static readonly Task<RunResponse?> noResponse = Task.FromResult<RunResponse?>(null);
    static TaskCompletionSource<RunResponse?> NewResponse() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
