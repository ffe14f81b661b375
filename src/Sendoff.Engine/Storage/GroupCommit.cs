using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace Sendoff.Engine.Storage;

/// <summary>What becomes of a write while the store cannot take any (G3).</summary>
internal enum OutageRule
{
    /// <summary>Tried again until it is durable: the end of a run, an attempt.</summary>
    Keep,

    /// <summary>Fails at once: nobody was told yet that it is durable.</summary>
    Refuse,

    /// <summary>Tried once even then, before all others: a check, or what gives space back.</summary>
    Probe,
}

/// <summary>One write and the task of who waits for it, in one object.</summary>
internal abstract class StoreWrite(OutageRule outage) : TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
{
    public OutageRule Outage { get; } = outage;
}

/// <summary>
/// Group commit: callers write singly, one thread takes all that waits into one transaction. While it commits, the next group gathers,
/// so the group grows with the load and an idle store answers at once.
/// </summary>
/// <param name="commit">Commits all of the writes or none, and throws when it is none. Called by one thread only.</param>
/// <param name="explain">The error as an outage, or null when it is the fault of one of the writes.</param>
internal sealed class GroupCommit(
    GroupCommit.CommitAll commit,
    Func<Exception, StoreUnavailableException?> explain,
    EngineLimits limits,
    ILogger log
) : IAsyncDisposable
{
    public delegate void CommitAll(ReadOnlySpan<StoreWrite> writes);

    readonly object gate = new();
    readonly SemaphoreSlim room = new(limits.StoreQueue);
    readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    List<StoreWrite> waiting = [];
    bool closing;
    long closingUntil;
    volatile StoreUnavailableException? outage;
    bool outageLogged;

    /// <summary>How long the writer was committing, in how many transactions, how many writes. Exact while it stands still.</summary>
    public (TimeSpan Busy, long Batches, long Writes) Measured { get; private set; }

    /// <summary>Why the store takes no new events now; null when it does.</summary>
    public StoreUnavailableException? Outage => outage is { } known ? Again(known) : null;

    public void Start() => new Thread(Loop) { IsBackground = true, Name = "store writer" }.Start();

    /// <summary>Completes when the write is durable.</summary>
    /// <param name="ct">Gives up while the write waits for room; once queued it is not taken back.</param>
    public Task WriteAsync(StoreWrite write, CancellationToken ct)
    {
        if (ct.IsCancellationRequested)
            return Task.FromCanceled(ct);
        if (write.Outage == OutageRule.Refuse && Outage is { } known)
            return Task.FromException(known);
        // What ends an outage must not wait behind what the outage holds up.
        if (write.Outage == OutageRule.Probe || room.Wait(0, CancellationToken.None))
            return Enqueue(write);
        return WaitForRoomAsync(write, ct);
    }

    async Task WaitForRoomAsync(StoreWrite write, CancellationToken ct)
    {
        await room.WaitAsync(ct);
        await Enqueue(write);
    }

    Task Enqueue(StoreWrite write)
    {
        lock (gate)
        {
            if (!closing)
            {
                waiting.Add(write);
                if (waiting.Count == 1 || write.Outage == OutageRule.Probe)
                    Monitor.Pulse(gate);
                return write.Task;
            }
        }
        Fail(write, new ObjectDisposedException(nameof(GroupCommit), "the store is closed"));
        return write.Task;
    }

    void Loop()
    {
        var taken = new List<StoreWrite>();
        while (TakeAll(ref taken))
        {
            CommitInBatches(taken);
            taken.Clear();
        }
        ended.SetResult();
    }

    bool TakeAll(ref List<StoreWrite> taken)
    {
        lock (gate)
        {
            while (waiting.Count == 0)
            {
                if (closing)
                    return false;
                Monitor.Wait(gate);
            }
            (waiting, taken) = (taken, waiting);
            return true;
        }
    }

    void CommitInBatches(List<StoreWrite> writes)
    {
        for (int start = 0; start < writes.Count; start += limits.StoreBatch)
        {
            var batch = CollectionsMarshal.AsSpan(writes).Slice(start, Math.Min(limits.StoreBatch, writes.Count - start));
            if (CommitBatch(batch) is not { } reason)
                continue;
            SitOut(reason, [.. CollectionsMarshal.AsSpan(writes)[start..]]);
            return;
        }
    }

    /// <summary>Commits a batch; one bad write fails alone.</summary>
    /// <returns>The outage, when there is one: then what is not completed stays to be done.</returns>
    StoreUnavailableException? CommitBatch(ReadOnlySpan<StoreWrite> batch)
    {
        long start = Stopwatch.GetTimestamp();
        try
        {
            commit(batch);
            Measured = (Measured.Busy + Stopwatch.GetElapsedTime(start), Measured.Batches + 1, Measured.Writes + batch.Length);
        }
        catch (Exception error)
        {
            if (explain(error) is { } reason)
                return reason;
            if (batch.Length == 1)
                return Fail(batch[0], error);
            // One bad write must not fail its neighbours. Halving finds it in a few commits, and keeps the order.
            int half = batch.Length / 2;
            return CommitBatch(batch[..half]) ?? CommitBatch(batch[half..]);
        }
        // Before anybody learns of it: who was told that a write is durable may offer the next one at once. A probe proves nothing for the
        // others.
        if (outage is not null && batch[0].Outage != OutageRule.Probe)
            outage = null;
        foreach (var write in batch)
            Succeed(write);
        if (outage is null)
            Restored();
        return null;
    }

    /// <summary>Waits and tries again until all that must be kept is durable (G3). Of the others, nothing was changed, and they are
    /// told.</summary>
    void SitOut(StoreUnavailableException reason, List<StoreWrite> left)
    {
        outage = reason;
        if (!outageLogged)
            log.StoreUnavailable(reason.Message);
        outageLogged = true;
        var kept = new List<StoreWrite>();
        Sort(left, kept, reason);
        while (true)
        {
            bool last = !WaitToRetry(ref left);
            Sort(left, kept, reason);
            // With nothing kept, accepts try again, and the next commit says whether the outage is over.
            if (kept.Count == 0)
                break;
            if (RetryKept(kept) is not { } again)
                break;
            outage = reason = again;
            if (!last)
                continue;
            foreach (var write in kept)
                Fail(write, Again(again));
            break;
        }
        outage = null;
    }

    void Sort(List<StoreWrite> left, List<StoreWrite> kept, StoreUnavailableException reason)
    {
        foreach (var write in left)
        {
            if (write.Task.IsCompleted)
                continue;
            if (write.Outage == OutageRule.Keep)
                kept.Add(write);
            else if (write.Outage == OutageRule.Refuse)
                Fail(write, Again(reason));
            else if (CommitBatch([write]) is { } still)
                Fail(write, still);
        }
        left.Clear();
    }

    StoreUnavailableException? RetryKept(List<StoreWrite> kept)
    {
        StoreUnavailableException? reason = null;
        for (int start = 0; start < kept.Count && reason is null; start += limits.StoreBatch)
            reason = CommitBatch(CollectionsMarshal.AsSpan(kept).Slice(start, Math.Min(limits.StoreBatch, kept.Count - start)));
        kept.RemoveAll(static write => write.Task.IsCompleted);
        return reason;
    }

    /// <summary>Waits a little, less when a probe comes, and takes what came meanwhile.</summary>
    /// <returns>False when the store closes and has tried long enough.</returns>
    bool WaitToRetry(ref List<StoreWrite> taken)
    {
        lock (gate)
        {
            long until = Environment.TickCount64 + (long)limits.StoreRetry.TotalMilliseconds;
            while (until - Environment.TickCount64 is > 0 and var rest && !waiting.Exists(static write => write.Outage == OutageRule.Probe))
                Monitor.Wait(gate, TimeSpan.FromMilliseconds(rest));
            (waiting, taken) = (taken, waiting);
            return !closing || Environment.TickCount64 < closingUntil;
        }
    }

    void Succeed(StoreWrite write)
    {
        if (write.Outage != OutageRule.Probe)
            room.Release();
        write.TrySetResult();
    }

    StoreUnavailableException? Fail(StoreWrite write, Exception error)
    {
        if (write.Outage != OutageRule.Probe)
            room.Release();
        write.TrySetException(error);
        return null;
    }

    /// <summary>An exception for each caller: a thrown one keeps where it was thrown.</summary>
    static StoreUnavailableException Again(StoreUnavailableException reason) => new(reason.Message, reason.InnerException);

    void Restored()
    {
        if (!outageLogged)
            return;
        outageLogged = false;
        log.StoreRestored();
    }

    /// <summary>Commits what is queued, then ends. During an outage it gives up after a while, and the tasks of what is left
    /// fail.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (gate)
        {
            if (!closing)
                closingUntil = Environment.TickCount64 + (long)limits.StoreClosing.TotalMilliseconds;
            closing = true;
            Monitor.Pulse(gate);
        }
        await ended.Task;
    }
}
