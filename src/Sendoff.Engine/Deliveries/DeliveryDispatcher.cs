using Microsoft.Extensions.Logging;
using Sendoff.Engine.Secrets;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Deliveries;

/// <summary>Starts the attempts of committed deliveries, with fair queueing by destination and limits per destination and in total
/// (B5).</summary>
/// <remarks>
/// (1) if a sender is free, the delivery is committed as sending, which saves a write  (2) after the commit those are sent, and the others
/// wait in their destination's lane  (3) a sender that becomes free takes from the next lane in turn, and marks what it takes as sending
/// first (C7)  (4) the attempt  (5) its record. When a destination is slow, more waits in the store than in memory
/// (<see cref="LaneBacklog"/>).
/// </remarks>
public sealed partial class DeliveryDispatcher : IDisposable
{
    static readonly TimeSpan rest = TimeSpan.FromSeconds(1),
        leaseRest = TimeSpan.FromMilliseconds(50);

    readonly IStore store;
    readonly DeliverySenders sender;
    readonly EngineContext engine;
    readonly Concealment concealment;
    readonly ServerHold hold;
    readonly ILogger<DeliveryDispatcher> log;
    readonly CancellationTokenSource cutOff = new();
    readonly TaskCompletionSource idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly Lock gate = new();
    readonly Dictionary<string, DestinationLane> lanes = [];
    readonly Queue<DestinationLane> turn = new();
    readonly SemaphoreSlim readers;
    long waitingBytes;
    int senders,
        recording;
    bool stopping;
    volatile int mostPerDestination;
    readonly bool sends;

    internal DeliveryDispatcher(
        IStore store,
        DeliverySenders sender,
        EngineContext engine,
        Concealment concealment,
        ServerHold hold,
        ILogger<DeliveryDispatcher> log
    )
    {
        (this.store, this.sender, this.engine, this.concealment, this.hold, this.log) = (store, sender, engine, concealment, hold, log);
        readers = new(engine.Limits.DeliveryReaders);
        mostPerDestination = engine.Limits.DeliveryMaxPerDestination;
        sends = engine.Limits.ServerRoles.HasFlag(ServerRoles.Deliver);
    }

    /// <summary>Queued deliveries in memory, over all destinations.</summary>
    internal (int Count, long Bytes) Waiting
    {
        get
        {
            lock (gate)
                return (lanes.Values.Sum(static lane => lane.Backlog.Count), waitingBytes);
        }
    }

    /// <summary>Deliveries in flight, or about to start.</summary>
    internal int InFlight
    {
        get
        {
            lock (gate)
                return senders;
        }
    }

    /// <summary>Starts nothing more and waits for the deliveries in flight; the rest stays pending. When <paramref name="ct"/> fires,
    /// attempts are aborted. Records that the store has not accepted within <see cref="EngineLimits.StoreClosing"/> are abandoned (G3);
    /// those deliveries become interrupted at the next start.</summary>
    public async Task StopAsync(CancellationToken ct)
    {
        lock (gate)
        {
            stopping = true;
            Interlocked.MemoryBarrier(); // whoever has recorded now sees it, or is seen
            if (senders + recording == 0)
                return;
        }
        await idle.Task.WaitAsync(ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!idle.Task.IsCompleted)
            await cutOff.CancelAsync().ConfigureAwait(false);
        await idle
            .Task.WaitAsync(engine.Limits.StoreClosing, engine.Time, CancellationToken.None)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>Commits deliveries with their run, then sends them. If nothing was stored, nothing is sent.</summary>
    /// <param name="deliveries">The pending ones for which a sender is free become sending before the commit.</param>
    /// <param name="commit">Returns false if it has stored nothing.</param>
    /// <returns>The result of <paramref name="commit"/>.</returns>
    public async Task<bool> CommitAsync(Delivery[] deliveries, Func<Task<bool>> commit)
    {
        Reserve(deliveries);
        bool isStored = false;
        try
        {
            isStored = await commit().ConfigureAwait(false);
        }
        finally
        {
            if (!isStored)
                Release(deliveries);
        }
        if (isStored)
            Start(deliveries);
        return isStored;
    }

    // On hold, deliveries are loaded when the hold ends. A server that makes none leaves them to others (J8).
    bool StaysInStore => !sends || hold.IsOn;

    // (1)
    void Reserve(Delivery[] deliveries)
    {
        lock (gate)
        {
            if (stopping || StaysInStore)
                return;
            for (int i = 0; i < deliveries.Length; i++)
            {
                if (deliveries[i].Status != DeliveryStatus.Pending)
                    continue;
                var lane = LaneOf(deliveries[i].Destination);
                if (!lane.Backlog.IsEmpty || !HasPlace(lane))
                    continue;
                lane.Senders++;
                senders++;
                deliveries[i] = deliveries[i] with { Status = DeliveryStatus.Sending };
            }
        }
    }

    void Release(Delivery[] deliveries)
    {
        foreach (var delivery in deliveries)
        {
            if (delivery.Status == DeliveryStatus.Sending)
                Free(delivery.Destination, null);
        }
        lock (gate)
        {
            foreach (var delivery in deliveries)
                Forget(delivery.Destination);
        }
    }

    // (2)
    void Start(Delivery[] deliveries)
    {
        long now = engine.Time.GetTimestamp();
        bool anyWaits = false;
        foreach (var delivery in deliveries)
        {
            if (delivery.Status == DeliveryStatus.Sending)
                _ = AttemptAsync(delivery, now, TakePace(delivery.Destination));
            else
                anyWaits |= delivery.Status == DeliveryStatus.Pending;
        }
        if (!anyWaits || StaysInStore)
            return;
        lock (gate)
        {
            foreach (var delivery in deliveries)
            {
                if (delivery.Status == DeliveryStatus.Pending)
                    Wait(LaneOf(delivery.Destination), delivery, now);
            }
            GrantInTurn();
        }
    }

    /// <summary>Resends a delivery, as a new attempt of the same delivery. Returns false if it does not exist or its status is not one of
    /// <paramref name="from"/>.</summary>
    public async Task<bool> ResendAsync(DeliveryId delivery, IReadOnlyList<DeliveryStatus> from, CancellationToken ct)
    {
        if (await store.RequeueAsync(delivery, from, ct).ConfigureAwait(false) is not { } queued)
            return false;
        engine.Changes.Publish(queued.RunId, queued.Id, DeliveryStatus.Pending);
        Start([queued]);
        return true;
    }

    public void Dispose() => cutOff.Dispose();

    PaceTicket TakePace(string destination)
    {
        lock (gate)
            return engine.Pacing.Begin(LaneOf(destination).Pace);
    }

    DestinationLane LaneOf(string destination)
    {
        if (!lanes.TryGetValue(destination, out var lane))
            lanes[destination] = lane = new(destination);
        return lane;
    }

    void Wait(DestinationLane lane, Delivery delivery, long since)
    {
        if (!lane.Backlog.Takes(delivery.Id, HasRoom(lane, part: 1)))
            return;
        var waiting = new WaitingDelivery(delivery, since, engine.Pacing.Begin(lane.Pace));
        lane.Backlog.Add(waiting);
        waitingBytes += waiting.Bytes;
        Queue(lane);
    }

    /// <summary>B5: a limit per lane and in total. A lane can use an eighth of the remaining bytes, so that others have space, but always
    /// one delivery, so that every lane continues.</summary>
    bool HasRoom(DestinationLane lane, int part) =>
        lane.Backlog.Count == 0
        || (
            lane.Backlog.Count < engine.Limits.DeliveryQueuePerDestination / part
            && lane.Backlog.Bytes < (engine.Limits.DeliveryQueueBytes - waitingBytes) / 8 / part
        );

    void Queue(DestinationLane lane)
    {
        if (lane.IsInTurn || lane.Backlog.Count == 0 || lane.Senders >= MostOf(lane))
            return;
        lane.IsInTurn = true;
        turn.Enqueue(lane);
    }

    int MostOf(DestinationLane lane) => lane.IsSerial ? 1 : mostPerDestination;

    /// <summary>Several servers share the limit of a destination; each has an equal part, rounded up.</summary>
    internal void ShareWith(int servers) =>
        mostPerDestination = (engine.Limits.DeliveryMaxPerDestination + Math.Max(1, servers) - 1) / Math.Max(1, servers);

    /// <summary>B5: a lane can use an eighth of the free senders, so that dozens of unresponsive destinations leave capacity for
    /// others.</summary>
    bool HasPlace(DestinationLane lane)
    {
        int free = engine.Limits.DeliveryMaxConcurrent - senders;
        return free > 0 && lane.Senders < Math.Max(1, Math.Min(MostOf(lane), free / 8));
    }

    // (3) One sender for each lane in turn, so that a long lane waits for a short one and not the other way round.
    void GrantInTurn()
    {
        for (int passed = 0; !stopping && passed < turn.Count && senders < engine.Limits.DeliveryMaxConcurrent; )
        {
            var lane = turn.Dequeue();
            lane.IsInTurn = false;
            if (!HasPlace(lane))
            {
                Queue(lane);
                passed++;
                continue;
            }
            passed = 0;
            senders++;
            waitingBytes -= lane.Grant().Bytes;
            if (!lane.IsMarking)
            {
                lane.IsMarking = true;
                _ = MarkAndSendAsync(lane);
            }
            Queue(lane);
            if (ShouldRead(lane))
                _ = ReadBackAsync(lane, lane.Backlog.BeginRead());
        }
    }

    async Task MarkAndSendAsync(DestinationLane lane)
    {
        await Task.Yield(); // out of the gate; more is granted meanwhile
        while (true)
        {
            List<WaitingDelivery> granted;
            lock (gate)
            {
                granted = lane.TakeGranted();
                lane.IsMarking = granted.Count > 0;
            }
            if (granted.Count == 0)
                return;
            var marked = await MarkAsync(lane.Destination, granted).ConfigureAwait(false);
            lock (gate)
                lane.Backlog.Forget(granted);
            foreach (var (delivery, since, pace) in granted)
            {
                if (marked.Contains(delivery.Id))
                {
                    _ = AttemptAsync(delivery, since, pace);
                    continue;
                }
                // It was already sent or deleted, or the server is stopping and it stays pending.
                engine.Pacing.End(pace);
                Free(lane.Destination, null);
            }
        }
    }

    // Retried until it succeeds, because nothing else would process them before the next start.
    async Task<HashSet<DeliveryId>> MarkAsync(string destination, List<WaitingDelivery> granted)
    {
        while (!Volatile.Read(ref stopping))
        {
            try
            {
                return
                [
                    .. await store.MarkSendingAsync([.. granted.Select(g => g.Delivery.Id)], CancellationToken.None).ConfigureAwait(false),
                ];
            }
            catch (Exception x)
            {
                log.DeliveriesNotMarked(x, destination);
                await Task.Delay(rest, engine.Time, cutOff.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
        return [];
    }

    // (4) and (5)
    async Task AttemptAsync(Delivery delivery, long since, PaceTicket pace)
    {
        if (!store.Servers.MayBegin)
            await BeginAsync().ConfigureAwait(false);
        double queueMs = engine.Time.GetElapsedTime(since).TotalMilliseconds;
        var attempt = await SendAsync(delivery, delivery.Attempts + 1, queueMs).ConfigureAwait(false);
        engine.Pacing.End(pace);
        bool isBehind = Interlocked.Increment(ref recording) > engine.Limits.DeliveryRecordsOutstanding;
        var record = RecordAsync(attempt);
        // The sender is free once the record is queued, unless the store is slow.
        if (!isBehind)
            Free(delivery.Destination, attempt);
        try
        {
            await record.ConfigureAwait(false);
            engine.Changes.Publish(delivery, attempt.Status);
        }
        catch (Exception x)
        {
            log.DeliveryNotRecorded(x, delivery.Id);
        }
        Interlocked.Decrement(ref recording);
        if (isBehind)
            Free(delivery.Destination, attempt);
        EndIfIdle();
    }

    // Without a lease, another server may have taken the delivery over, and recorded it as interrupted.
    async Task BeginAsync()
    {
        while (!store.Servers.MayBegin && !cutOff.IsCancellationRequested)
            await Task.Delay(leaseRest, engine.Time, cutOff.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    // Deliveries from the store are masked; the original is decrypted for the attempt (C8).
    Task<Attempt> SendAsync(Delivery delivery, int number, double queueMs)
    {
        try
        {
            return sender.SendAsync(concealment.Open(delivery), number, queueMs, cutOff.Token);
        }
        catch (SealedException x)
        {
            return Task.FromResult(sender.Unreadable(delivery, number, queueMs, x));
        }
    }

    // Async, so that a store that throws synchronously fails only the record.
    async Task RecordAsync(Attempt attempt)
    {
        if (attempt.Status == DeliveryStatus.Blocked)
            await store.RecordBlockedAsync(attempt.DeliveryId, attempt.Error!, CancellationToken.None).ConfigureAwait(false);
        else
            await store.RecordAttemptAsync(attempt, CancellationToken.None).ConfigureAwait(false);
    }

    void Free(string destination, Attempt? attempt)
    {
        lock (gate)
        {
            senders--;
            var lane = lanes[destination];
            lane.Senders--;
            if (attempt is not null)
                engine.Pacing.Measure(lane.Pace, attempt.Timing.TotalMs);
            Queue(lane);
            GrantInTurn();
            Forget(destination);
        }
        EndIfIdle();
    }

    void Forget(string destination)
    {
        if (lanes.TryGetValue(destination, out var lane) && lane.IsIdle)
            lanes.Remove(destination);
    }

    void EndIfIdle()
    {
        if (!Volatile.Read(ref stopping))
            return;
        lock (gate)
        {
            if (senders + Volatile.Read(ref recording) == 0)
                idle.TrySetResult();
        }
    }
}
