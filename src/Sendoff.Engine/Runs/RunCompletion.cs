using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workers;
using EventId = Sendoff.Engine.Model.EventId;

namespace Sendoff.Engine.Runs;

/// <summary>Executes queued runs and commits their results.</summary>
/// <remarks>
/// (1) read the data that the run needs  (2) execute it in a worker  (3) commit its end and its deliveries in one transaction, and send
/// them
/// (4) notify the caller and the pages. </remarks>
public sealed class RunCompletion : IAsyncDisposable
{
    static readonly TimeSpan rest = TimeSpan.FromSeconds(1);

    readonly IStore store;
    readonly RunPreparation preparation;
    readonly RunExecutor executor;
    readonly DeliveryDispatcher dispatcher;
    readonly RunLanes lanes;
    readonly RunRecovery recovery;
    readonly Quota quota;
    readonly EngineContext engine;
    readonly ILogger<RunCompletion> log;

    readonly CancellationTokenSource cutOff = new();
    readonly TaskCompletionSource idle = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Executing runs of events with files: the URLs of these files work meanwhile, whatever the age of the event.
    readonly ConcurrentDictionary<RunId, EventId> filesInUse = [];
    TaskCompletionSource nextSuspended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    int places,
        inFlight;

    internal RunCompletion(
        IStore store,
        RunPreparation preparation,
        RunExecutor executor,
        DeliveryDispatcher dispatcher,
        RunLanes lanes,
        RunRecovery recovery,
        Quota quota,
        EngineContext engine,
        ILogger<RunCompletion> log
    )
    {
        (this.store, this.preparation, this.executor, this.dispatcher) = (store, preparation, executor, dispatcher);
        (this.lanes, this.recovery, this.quota, this.engine, this.log) = (lanes, recovery, quota, engine, log);
        lanes.ExecuteBy(place => _ = ExecuteAsync(place));
    }

    /// <summary>Completes when another run is suspended.</summary>
    internal Task NextSuspended => Volatile.Read(ref nextSuspended).Task;

    /// <summary>Runs that are executing or about to start.</summary>
    internal int InFlight => Volatile.Read(ref inFlight);

    /// <summary>Whether a run of an event with files is executing.</summary>
    public bool ExecutesWithFiles(EventId received) => filesInUse.Values.Contains(received);

    // Executes the lane's runs one after another.
    async Task ExecuteAsync(LanePlace place)
    {
        Interlocked.Increment(ref places);
        var next = place.First;
        for (; next is not null && !lanes.IsClosed; next = place.Next())
        {
            Interlocked.Increment(ref inFlight);
            try
            {
                await CompleteAsync(place.Lane, next).ConfigureAwait(false);
                recovery.EndRun(next.Run.Id);
                next.Response?.TrySetResult(null);
            }
            catch (Exception x) when (lanes.IsClosed || x is StoreUnavailableException)
            {
                if (x is not OperationCanceledException)
                    log.RunLost(x, next.Run.Id);
                next.Response?.TrySetException(RunLanes.Stopped());
            }
            catch (Exception x)
            {
                log.RunFaulted(x, next.Run.Id);
                await EndFaultedAsync(next.Run, x).ConfigureAwait(false);
                recovery.EndRun(next.Run.Id);
                next.Response?.TrySetException(x);
            }
            Interlocked.Decrement(ref inFlight);
            engine.Pacing.End(next.Pace);
        }
        // The run was accepted during the shutdown: it is stored, and starts after the next start.
        next?.Response?.TrySetException(RunLanes.Stopped());
        if (Interlocked.Decrement(ref places) == 0 && lanes.IsClosed)
            idle.TrySetResult();
    }

    async Task CompleteAsync(RunLane lane, Waiting waiting)
    {
        // (1)
        if (await PrepareAsync(waiting.Run).ConfigureAwait(false) is not var (queued, deployment, ended, turn))
            return;
        using var part = turn;
        if (ended is not null)
        {
            await EndAsync(ended).ConfigureAwait(false);
            return;
        }

        // (2)
        var (run, deliveries) = await ExecuteInWorkerAsync(queued, deployment!, waiting.Response).ConfigureAwait(false);
        engine.Pacing.Measure(lane.Pace, run.Compute.TotalMilliseconds);
        quota.AddCompute(run.Compute);

        // (3) If the workflow was deleted meanwhile, its history is gone and nothing is sent.
        if (await CommitAsync(run, deliveries).ConfigureAwait(false))
        {
            if (run.ReleasesCaptured || run.Source is not null && deliveries.Length > 0)
                dispatcher.StartReleased(run.Id);
            // (4)
            engine.Changes.Publish(run);
            if (run.Suspension is not null)
                Interlocked.Exchange(ref nextSuspended, new(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
        }
        waiting.Response?.TrySetResult(run.Response);
    }

    // K3: which events of a source are sent is decided by the commit, so they are read back after it.
    Task<bool> CommitAsync(Run run, Delivery[] deliveries) =>
        run.Source is null
            ? dispatcher.CommitAsync(deliveries, () => store.FinishRunAsync(run, deliveries, CancellationToken.None))
            : store.FinishRunAsync(run, deliveries, CancellationToken.None);

    // Nothing has started yet, so what the disk or the store refuses is tried again.
    async ValueTask<PreparedRun?> PrepareAsync(QueuedRun queued)
    {
        while (true)
        {
            try
            {
                return await preparation.PrepareAsync(queued, cutOff.Token).ConfigureAwait(false);
            }
            catch (Exception x) when (!lanes.IsClosed && x is StoreUnavailableException or IOException or UnauthorizedAccessException)
            {
                log.RunPutOff(queued.Id, x.Message);
                await RestAsync().ConfigureAwait(false);
            }
        }
    }

    async Task<ExecutedRun> ExecuteInWorkerAsync(QueuedRun queued, Deployment deployment, TaskCompletionSource<RunResponse?>? response)
    {
        Action<RunResponse>? onImmediate = response is null ? null : given => response.TrySetResult(given);
        if (queued.Event.Raw.IsEmpty)
            return await TryInWorkerAsync(queued, deployment, onImmediate).ConfigureAwait(false);
        filesInUse[queued.Id] = queued.Event.Id;
        try
        {
            return await TryInWorkerAsync(queued, deployment, onImmediate).ConfigureAwait(false);
        }
        finally
        {
            filesInUse.TryRemove(queued.Id, out _);
        }
    }

    // Without workers, the run waits until there is one.
    async Task<ExecutedRun> TryInWorkerAsync(QueuedRun queued, Deployment deployment, Action<RunResponse>? onImmediate)
    {
        while (true)
        {
            try
            {
                return await executor
                    .ExecuteAsync(queued, deployment.Version, deployment.ProgramOf(queued.Event.Trigger)!, onImmediate, cutOff.Token)
                    .ConfigureAwait(false);
            }
            catch (WorkerUnavailableException x) when (!lanes.IsClosed)
            {
                log.RunsWaitForWorker(x.Message);
                await RestAsync().ConfigureAwait(false);
            }
        }
    }

    async Task EndAsync(Run run)
    {
        if (await store.FinishRunAsync(run, [], CancellationToken.None).ConfigureAwait(false))
            engine.Changes.Publish(run);
    }

    // An internal error, or an invalid result of the run: it would happen again after the next start.
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
        await Task.Delay(rest, engine.Time, cutOff.Token).ConfigureAwait(false);
        if (lanes.IsClosed)
            throw new OperationCanceledException("the server is shutting down");
    }

    /// <summary>Starts no more runs and waits for those in flight. When <paramref name="ct"/> fires, they are aborted and run again after
    /// the next start, which never counts as a crash (E1). Writes that the store has not accepted within <see
    /// cref="EngineLimits.StoreClosing"/> are abandoned (G3).</summary>
    public async Task StopAsync(CancellationToken ct)
    {
        lanes.Close();
        // Done first: if the process is killed before the shutdown is complete, this does not count as a crash.
        var recovered = recovery.StopAsync();
        if (Volatile.Read(ref places) > 0)
        {
            await idle.Task.WaitAsync(ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!idle.Task.IsCompleted)
                Abort();
            await WithinLimitAsync(idle.Task).ConfigureAwait(false);
        }
        await WithinLimitAsync(recovered).ConfigureAwait(false);
    }

    async Task WithinLimitAsync(Task ending) =>
        await ending
            .WaitAsync(engine.Limits.StoreClosing, engine.Time, CancellationToken.None)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    void Abort()
    {
        if (InFlight is > 0 and var count)
            log.RunsCutOff(engine.Limits.ShutdownTimeout.TotalSeconds, count);
        cutOff.Cancel();
    }

    public async ValueTask DisposeAsync()
    {
        lanes.Close();
        await cutOff.CancelAsync().ConfigureAwait(false);
        cutOff.Dispose();
    }
}
