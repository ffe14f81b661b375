using Microsoft.Extensions.Logging;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Deliveries;

/// <summary>Takes committed deliveries to their attempts: fairly by destination, bounded in each and in total (B5).</summary>
/// <remarks>
/// (1) <see cref="Reserve"/>: where a sender is free, the delivery is committed as sending at once, which saves a write  (2) <see cref="Start"/>, after the
/// commit: those go out, the others wait in their destination's lane  (3) a sender that becomes free goes to the next lane in turn; what it takes is marked as
/// sending first (C7)  (4) the attempt  (5) its record. More waits in the store than in memory when a destination is slow; it is read back in call order.
/// </remarks>
public sealed class DeliveryDispatcher : IDisposable
{
    const int ReadAtOnce = 500;

    readonly IStore store;
    readonly DeliverySender sender;
    readonly EngineContext engine;
    readonly ILogger<DeliveryDispatcher> log;
    readonly CancellationTokenSource cutOff = new();
    readonly TaskCompletionSource idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly Lock gate = new();
    readonly Dictionary<string, DestinationLane> lanes = [];
    readonly Queue<DestinationLane> turn = new();
    int senders, recording;
    bool stopping;

    internal DeliveryDispatcher(IStore store, DeliverySender sender, EngineContext engine, ILogger<DeliveryDispatcher> log) =>
        (this.store, this.sender, this.engine, this.log) = (store, sender, engine, log);

    /// <summary>Takes up what an earlier server left: what was in mid-flight is interrupted (C7), what was not started goes out. Call once, first.</summary>
    public async Task StartAsync(CancellationToken ct)
    {
        int interrupted = await store.InterruptSendingAsync(ct).ConfigureAwait(false);
        if (interrupted > 0) log.DeliveriesInterrupted(interrupted);
        foreach (string destination in await store.ListPendingDestinationsAsync(ct).ConfigureAwait(false))
        {
            DestinationLane lane;
            lock (gate)
            {
                lane = LaneOf(destination);
                lane.HasMoreInStore = lane.IsReading = true;
            }
            _ = ReadBackAsync(lane);
        }
    }

    /// <summary>Starts nothing more and waits for what is on the wire; the rest stays pending. When <paramref name="ct"/> ends the patience, attempts are cut off.</summary>
    public async Task StopAsync(CancellationToken ct)
    {
        lock (gate)
        {
            stopping = true;
            if (senders + recording == 0) return;
        }
        using var patience = ct.Register(cutOff.Cancel);
        await idle.Task.ConfigureAwait(false);
    }

    /// <summary>(1) Before the commit: pending deliveries become sending where a sender is free for them.</summary>
    public void Reserve(Delivery[] deliveries)
    {
        lock (gate)
        {
            if (stopping) return;
            for (int i = 0; i < deliveries.Length; i++)
            {
                if (deliveries[i].Status != DeliveryStatus.Pending) continue;
                var lane = LaneOf(deliveries[i].Destination);
                if (lane.Waiting > 0 || lane.HasMoreInStore || !HasPlace(lane)) continue;
                lane.Senders++;
                senders++;
                deliveries[i] = deliveries[i] with { Status = DeliveryStatus.Sending };
            }
        }
    }

    /// <summary>The commit failed: nothing is sent, and what was reserved is free again.</summary>
    public void Release(Delivery[] deliveries)
    {
        foreach (var delivery in deliveries)
        {
            if (delivery.Status == DeliveryStatus.Sending) Free(delivery.Destination, null);
        }
    }

    /// <summary>(2) After the commit.</summary>
    public void Start(Delivery[] deliveries)
    {
        long now = engine.Time.GetTimestamp();
        bool anyWaits = false;
        foreach (var delivery in deliveries)
        {
            if (delivery.Status == DeliveryStatus.Sending) _ = AttemptAsync(delivery, now, TakePace(delivery.Destination));
            else anyWaits |= delivery.Status == DeliveryStatus.Pending;
        }
        if (!anyWaits) return;
        lock (gate)
        {
            foreach (var delivery in deliveries)
            {
                if (delivery.Status == DeliveryStatus.Pending) Wait(LaneOf(delivery.Destination), delivery, now);
            }
            GrantInTurn();
        }
    }

    /// <summary>Sends a delivery again by hand: a new attempt of the same delivery. False when there is none, or it is under way.</summary>
    public async Task<bool> ResendAsync(DeliveryId delivery, CancellationToken ct)
    {
        if (await store.RequeueAsync(delivery, ct).ConfigureAwait(false) is not { } queued) return false;
        engine.Changes.Publish(queued.RunId, queued.Id, DeliveryStatus.Pending);
        Start([queued]);
        return true;
    }

    public void Dispose() => cutOff.Dispose();

    bool TakePace(string destination)
    {
        lock (gate) return TakePace(LaneOf(destination));
    }

    /// <summary>True when the server's pace depends on the delivery.</summary>
    bool TakePace(DestinationLane lane)
    {
        if (lane.IsSlow) return false;
        engine.Pacing.Add();
        return true;
    }

    DestinationLane LaneOf(string destination)
    {
        if (!lanes.TryGetValue(destination, out var lane)) lanes[destination] = lane = new(destination);
        return lane;
    }

    void Wait(DestinationLane lane, Delivery delivery, long since)
    {
        // Behind those in the store it waits there too, unless it is older than what was read back last: then it would be passed over.
        if (lane.Waiting >= engine.Limits.DeliveryQueuePerDestination) lane.HasMoreInStore = true;
        if (lane.HasMoreInStore && delivery.Id.Value > lane.Last.Value)
        {
            lane.HasSkipped = true;
            return;
        }
        lane.Add(new(delivery, since, TakePace(lane)));
        Queue(lane);
    }

    void Queue(DestinationLane lane)
    {
        if (lane.IsInTurn || lane.Waiting == 0 || lane.Senders >= engine.Limits.DeliveryMaxPerDestination) return;
        lane.IsInTurn = true;
        turn.Enqueue(lane);
    }

    /// <summary>
    /// B5: a lane's bound shrinks as senders run out, to an eighth of those that are left: dozens of destinations that never answer
    /// leave a place for one that does.
    /// </summary>
    bool HasPlace(DestinationLane lane)
    {
        int free = engine.Limits.DeliveryMaxConcurrent - senders;
        return free > 0 && lane.Senders < Math.Max(1, Math.Min(engine.Limits.DeliveryMaxPerDestination, free / 8));
    }

    // (3) One sender for each lane in turn, so that a long lane waits for a short one and not the other way round.
    void GrantInTurn()
    {
        for (int passed = 0; !stopping && passed < turn.Count && senders < engine.Limits.DeliveryMaxConcurrent;)
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
            lane.Grant();
            if (!lane.IsMarking)
            {
                lane.IsMarking = true;
                _ = MarkAndSendAsync(lane);
            }
            Queue(lane);
            if (lane.HasMoreInStore && !lane.IsReading && lane.Waiting < engine.Limits.DeliveryQueuePerDestination / 2)
            {
                lane.IsReading = true;
                _ = ReadBackAsync(lane);
            }
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
            if (granted.Count == 0) return;
            var marked = await MarkAsync(granted).ConfigureAwait(false);
            foreach (var (delivery, since, isPaced) in granted)
            {
                if (marked.Contains(delivery.Id))
                {
                    _ = AttemptAsync(delivery, since, isPaced);
                    continue;
                }
                // It was sent already, or deleted.
                if (isPaced) engine.Pacing.Remove();
                Free(lane.Destination, null);
            }
        }
    }

    async Task<HashSet<DeliveryId>> MarkAsync(List<WaitingDelivery> granted)
    {
        try
        {
            return [.. await store.MarkSendingAsync([.. granted.Select(g => g.Delivery.Id)], CancellationToken.None).ConfigureAwait(false)];
        }
        catch (Exception x)
        {
            log.DeliveryNotRecorded(x, granted[0].Delivery.Id); // they stay pending and go out after the next start
            return [];
        }
    }

    // (4) and (5)
    async Task AttemptAsync(Delivery delivery, long since, bool isPaced)
    {
        double queueMs = engine.Time.GetElapsedTime(since).TotalMilliseconds;
        var attempt = await sender.SendAsync(delivery, delivery.Attempts + 1, queueMs, cutOff.Token).ConfigureAwait(false);
        if (isPaced) engine.Pacing.Remove();
        bool isBehind = Interlocked.Increment(ref recording) > engine.Limits.DeliveryRecordsOutstanding;
        var record = RecordAsync(attempt);
        // The sender is free once the record is on its way, unless the store has fallen behind.
        if (!isBehind) Free(delivery.Destination, attempt);
        try
        {
            await record.ConfigureAwait(false);
            engine.Changes.Publish(delivery.RunId, delivery.Id, attempt.Status);
        }
        catch (Exception x)
        {
            log.DeliveryNotRecorded(x, delivery.Id);
        }
        Interlocked.Decrement(ref recording);
        if (isBehind) Free(delivery.Destination, attempt);
        EndIfIdle();
    }

    // Async, so that a store that throws at once fails the record and not the sender's place.
    async Task RecordAsync(Attempt attempt)
    {
        if (attempt.Status == DeliveryStatus.Blocked) await store.RecordBlockedAsync(attempt.DeliveryId, attempt.Error!, CancellationToken.None).ConfigureAwait(false);
        else await store.RecordAttemptAsync(attempt, CancellationToken.None).ConfigureAwait(false);
    }

    void Free(string destination, Attempt? attempt)
    {
        lock (gate)
        {
            senders--;
            var lane = lanes[destination];
            lane.Senders--;
            if (attempt is not null) lane.Measure(attempt.Timing.TotalMs);
            Queue(lane);
            GrantInTurn();
            if (lane.IsIdle) lanes.Remove(destination);
        }
        EndIfIdle();
    }

    void EndIfIdle()
    {
        if (!Volatile.Read(ref stopping)) return;
        lock (gate)
        {
            if (senders + Volatile.Read(ref recording) == 0) idle.TrySetResult();
        }
    }

    async Task ReadBackAsync(DestinationLane lane)
    {
        for (bool more = true; more;)
        {
            DeliveryId after;
            lock (gate)
            {
                after = lane.Last;
                lane.HasSkipped = false;
            }
            var page = await ReadPendingAsync(lane.Destination, after).ConfigureAwait(false);
            lock (gate)
            {
                lane.HasMoreInStore = false;
                long now = engine.Time.GetTimestamp();
                foreach (var delivery in page) Wait(lane, delivery, now);
                // What was committed while the page was read may not be on it.
                lane.HasMoreInStore |= lane.HasSkipped || page.Count == ReadAtOnce;
                more = lane.HasMoreInStore && lane.Waiting < engine.Limits.DeliveryQueuePerDestination / 2 && !stopping;
                lane.IsReading = more;
                GrantInTurn();
                if (lane.IsIdle) lanes.Remove(lane.Destination);
            }
        }
    }

    async Task<IReadOnlyList<Delivery>> ReadPendingAsync(string destination, DeliveryId after)
    {
        while (true)
        {
            try
            {
                return await store.ListPendingAsync(destination, after, ReadAtOnce, CancellationToken.None).ConfigureAwait(false);
            }
            catch (StoreUnavailableException x)
            {
                log.PendingNotRead(destination, x.Message);
                await Task.Delay(TimeSpan.FromSeconds(1), engine.Time, cutOff.Token).ConfigureAwait(false);
            }
        }
    }
}
