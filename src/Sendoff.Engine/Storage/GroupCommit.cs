using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace Sendoff.Engine.Storage;

/// <summary>The handling of a write during an outage of the store (G3).</summary>
internal enum OutageRule
{
    /// <summary>Retried until it is durable: the end of a run, an attempt.</summary>
    Keep,

    /// <summary>Fails immediately, because it has not been acknowledged.</summary>
    Refuse,

    /// <summary>Tried once during an outage, before all others: a check, or a write that frees space.</summary>
    Probe,
}

/// <summary>A write and the task of its caller, in one object.</summary>
internal abstract class StoreWrite(OutageRule outage) : TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
{
    public OutageRule Outage { get; } = outage;

    /// <summary>An earlier commit failed because of an outage, which may have lost only the response.</summary>
    public bool IsRepeated { get; set; }
}

/// <summary>Group commit: callers submit single writes, and one thread commits all waiting writes in one transaction. During a commit the
/// next group is collected, so groups grow with the load, and an idle store commits immediately.</summary>
/// <param name="commit">Commits all writes or none, and throws if none. Called by one thread only.</param>
/// <param name="explain">Converts an error to an outage; null if one of the writes caused it.</param>
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
    int outages;

    /// <summary>Total time of commits, and number of transactions and writes. Exact while the writer is idle.</summary>
    public (TimeSpan Busy, long Batches, long Writes) Measured { get; private set; }

    /// <summary>The number of outages so far.</summary>
    public int Outages => Volatile.Read(ref outages);

    /// <summary>The reason why the store does not accept new events now; null if it does.</summary>
    public StoreUnavailableException? Outage => outage is { } known ? Again(known) : null;

    public void Start() => new Thread(Loop) { IsBackground = true, Name = "store writer" }.Start();

    /// <summary>Completes when the write is durable.</summary>
    /// <param name="ct">Cancels the wait for space in the queue; a queued write is not cancelled.</param>
    public Task WriteAsync(StoreWrite write, CancellationToken ct)
    {
        if (ct.IsCancellationRequested)
            return Task.FromCanceled(ct);
        if (write.Outage == OutageRule.Refuse && Outage is { } known)
            return Task.FromException(known);
        // A write that ends an outage must not wait behind writes that the outage blocks.
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

    /// <summary>Commits a batch. An invalid write fails separately.</summary>
    /// <returns>The outage, if there is one; then the uncompleted writes must be retried.</returns>
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
            {
                foreach (var write in batch)
                    write.IsRepeated = true;
                return reason;
            }
            if (batch.Length == 1)
                return Fail(batch[0], error);
            // An invalid write must not fail others. Bisection finds it in a few commits and keeps the order.
            int half = batch.Length / 2;
            return CommitBatch(batch[..half]) ?? CommitBatch(batch[half..]);
        }
        // Before callers are notified, because they may submit the next write immediately. A probe proves nothing for other writes.
        if (outage is not null && batch[0].Outage != OutageRule.Probe)
            outage = null;
        foreach (var write in batch)
            Succeed(write);
        if (outage is null)
            Restored();
        return null;
    }

    /// <summary>Waits and retries until all writes that must be kept are durable (G3). Other writes fail without changes.</summary>
    void SitOut(StoreUnavailableException reason, List<StoreWrite> left)
    {
        outage = reason;
        Interlocked.Increment(ref outages);
        if (!outageLogged)
            log.StoreUnavailable(reason.Message);
        outageLogged = true;
        var kept = new List<StoreWrite>();
        Sort(left, kept, reason);
        while (true)
        {
            bool last = !WaitToRetry(ref left);
            Sort(left, kept, reason);
            // If no write is kept, new writes are accepted, and the next commit shows whether the outage is over.
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

    /// <summary>Waits before a retry, less if a probe arrives, and collects new writes.</summary>
    /// <returns>False if the store is closing and has retried for long enough.</returns>
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

    /// <summary>A separate exception for each caller, because a thrown exception has the stack trace of its caller.</summary>
    static StoreUnavailableException Again(StoreUnavailableException reason) => new(reason.Message, reason.InnerException);

    void Restored()
    {
        if (!outageLogged)
            return;
        outageLogged = false;
        log.StoreRestored();
    }

    /// <summary>Commits queued writes and ends. During an outage it stops after a time limit, and the remaining tasks fail.</summary>
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
