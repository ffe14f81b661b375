using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Runs;

/// <summary>How the queue stops: what is in flight ends, the rest waits for the next start (C7, E1).</summary>
public sealed partial class RunQueue
{
    /// <summary>From now on no event is accepted and no further run starts; a caller who waits for a run that has not started is told so.</summary>
    public void Refuse()
    {
        stopping = true;
        Interlocked.MemoryBarrier(); // whoever ends now sees it, or is seen
        foreach (var lane in lanes.Values)
        foreach (var response in lane.Unstarted())
            response.TrySetException(Stopped());
    }

    /// <summary>Starts no further run and waits for those in flight. When <paramref name="ct"/> fires they are cut off, and run again after the next start, which
    /// never counts as a crash (E1). What the store has not accepted within <see cref="EngineLimits.StoreClosing"/> is abandoned (G3).</summary>
    public async Task StopAsync(CancellationToken ct)
    {
        Refuse();
        // At the beginning: should the process be killed before it has ended in order, this was no crash.
        var takenBack = TakeBackStartsAsync();
        if (Volatile.Read(ref executing) > 0)
        {
            await idle.Task.WaitAsync(ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!idle.Task.IsCompleted)
                CutOff();
            await idle
                .Task.WaitAsync(engine.Limits.StoreClosing, engine.Time, CancellationToken.None)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        await takenBack
            .WaitAsync(engine.Limits.StoreClosing, engine.Time, CancellationToken.None)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    void CutOff()
    {
        if (InFlight is > 0 and var count)
            log.RunsCutOff(engine.Limits.ShutdownTimeout.TotalSeconds, count);
        killed.Cancel();
    }

    async Task TakeBackStartsAsync()
    {
        RunId[] all = [.. noted.Keys.Where(run => noted.TryRemove(run, out _))];
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

    static StoreUnavailableException Stopped() => new("the server stopped before the run had ended; it runs again after the next start");

    // Whoever removes a run from those noted takes its start back: the shutdown, or this run when the shutdown has passed it by.
    async Task NoteInFlightAsync(RunId run)
    {
        noted[run] = true;
        Interlocked.MemoryBarrier();
        if (!stopping)
            return;
        await TakeBackStartsAsync().ConfigureAwait(false);
        throw new OperationCanceledException("the server stops");
    }

    public async ValueTask DisposeAsync()
    {
        stopping = true;
        await killed.CancelAsync().ConfigureAwait(false);
        killed.Dispose();
    }

    void Enter() => Interlocked.Increment(ref executing);

    void Leave()
    {
        if (Interlocked.Decrement(ref executing) == 0 && stopping)
            idle.TrySetResult();
    }
}
