using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Runs;

/// <summary>Queues runs that an earlier server accepted and did not end, and counts how often each of them has started (E1). Also queues
/// runs that this server has taken from one that does not execute any.</summary>
public sealed class RunRecovery(IStore store, RunLanes lanes, ServerHold hold, EngineContext engine, ILogger<RunRecovery> log) : IDisposable
{
    const int ReadAtOnce = 100;
    static readonly TimeSpan rest = TimeSpan.FromSeconds(1);

    readonly CancellationTokenSource stop = new();

    // Recovered runs in flight: if the server crashes now, each start counts.
    readonly ConcurrentDictionary<RunId, bool> started = [];

    // Runs that were queued and have not ended.
    readonly ConcurrentDictionary<RunId, bool> queued = [];
    readonly SemaphoreSlim look = new(1);
    Task queueing = Task.CompletedTask;

    /// <summary>Starts queueing the runs while new events are served. Call once, before the first event.</summary>
    public void Start() => queueing = Task.Run(QueueAsync);

    /// <summary>Looks for further runs that this server has taken over.</summary>
    internal void Look() => look.Release();

    /// <summary>Counts a start of a recovered run. Returns the number of starts, or 0 if the run was deleted with its workflow.</summary>
    /// <exception cref="OperationCanceledException">The server is shutting down; the start does not count.</exception>
    internal async ValueTask<int> StartRunAsync(RunId run)
    {
        int starts = await store.StartRecoveredRunAsync(run, CancellationToken.None).ConfigureAwait(false);
        if (starts == 0 || starts > engine.Limits.RunRecoveries)
            return starts;
        started[run] = true;
        Interlocked.MemoryBarrier();
        if (!lanes.IsClosed)
            return starts;
        // Either the shutdown has already taken this start back, or this call does.
        await TakeBackStartsAsync().ConfigureAwait(false);
        throw new OperationCanceledException("the server is shutting down");
    }

    /// <summary>Called at the end of a run, after which a crash can no longer interrupt it.</summary>
    internal void EndRun(RunId run)
    {
        started.TryRemove(run, out _);
        queued.TryRemove(run, out _);
    }

    /// <summary>Queues no more runs. Interrupting the runs in flight from now on does not count as a crash.</summary>
    internal async Task StopAsync()
    {
        var takingBack = TakeBackStartsAsync();
        await stop.CancelAsync().ConfigureAwait(false);
        await takingBack.ConfigureAwait(false);
        await queueing.ConfigureAwait(false);
    }

    public void Dispose() => stop.Cancel();

    async Task QueueAsync()
    {
        await hold.Released.WaitAsync(stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        while (!stop.IsCancellationRequested)
        {
            await look.WaitAsync(stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await QueueLeftAsync().ConfigureAwait(false);
        }
    }

    async Task QueueLeftAsync()
    {
        RunId? after = null;
        for (int found = 0; !stop.IsCancellationRequested; )
        {
            try
            {
                var page = await store.ListUnfinishedRunsAsync(ReadAtOnce, after, stop.Token).ConfigureAwait(false);
                foreach (var run in page)
                {
                    if (!queued.TryAdd(run.Id, true))
                        continue;
                    lanes.QueueLeft(run);
                    found++;
                }
                if (page is [.., var last])
                {
                    after = last.Id;
                    continue;
                }
                if (found > 0)
                    log.RecoveredRuns(found);
                return;
            }
            catch (Exception x)
            {
                if (!stop.IsCancellationRequested)
                    log.RecoveryPutOff(x.Message);
            }
            await Task.Delay(rest, engine.Time, stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    async Task TakeBackStartsAsync()
    {
        RunId[] all = [.. started.Keys.Where(run => started.TryRemove(run, out _))];
        if (all.Length == 0)
            return;
        try
        {
            await store.TakeBackStartsAsync(all, CancellationToken.None).ConfigureAwait(false);
        }
        catch (StoreUnavailableException x)
        {
            log.StartsNotTakenBack(all.Length, x.Message);
        }
    }
}
