namespace Sendoff.Engine.Deliveries;

/// <summary>Pending deliveries in the store: loaded at a start, and read back when memory is free.</summary>
public sealed partial class DeliveryDispatcher
{
    /// <summary>Loads deliveries of an earlier server: those in flight become interrupted (C7), pending ones are sent, or wait while the
    /// server is on hold. Call once, first.</summary>
    public async Task StartAsync(CancellationToken ct)
    {
        if (!sends)
            return;
        int interrupted = await store.InterruptSendingAsync(ct).ConfigureAwait(false);
        if (interrupted > 0)
            log.DeliveriesInterrupted(interrupted);
        if (hold.IsOn)
            _ = TakeUpReleasedAsync();
        else
            await TakeUpAsync(ct).ConfigureAwait(false);
    }

    /// <summary>Loads all pending deliveries that are not in memory.</summary>
    internal async Task TakeUpAsync(CancellationToken ct)
    {
        if (!sends)
            return;
        foreach (string destination in await store.ListPendingDestinationsAsync(ct).ConfigureAwait(false))
        {
            lock (gate)
                ReadFrom(LaneOf(destination), default);
        }
    }

    /// <summary>Loads pending deliveries that this server did not have before.</summary>
    /// <param name="pending">Their destinations, each with the oldest of them.</param>
    internal void TakeUp(IReadOnlyDictionary<string, DeliveryId> pending)
    {
        if (StaysInStore)
            return;
        lock (gate)
        {
            foreach (var (destination, first) in pending)
                ReadFrom(LaneOf(destination), first);
        }
    }

    async Task TakeUpReleasedAsync()
    {
        await hold.Released.ConfigureAwait(false);
        while (!Volatile.Read(ref stopping))
        {
            try
            {
                await TakeUpAsync(CancellationToken.None).ConfigureAwait(false);
                return;
            }
            catch (Exception x)
            {
                log.PendingNotRead("any destination", x.Message);
            }
            await Task.Delay(rest, engine.Time, cutOff.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>After the commit of a run whose success has made deliveries of its earlier segments pending.</summary>
    public void StartReleased(RunId run) => _ = StartReleasedAsync(run);

    async Task StartReleasedAsync(RunId run)
    {
        while (!Volatile.Read(ref stopping) && !StaysInStore)
        {
            try
            {
                var released = await store.ListReleasedAsync(run, CancellationToken.None).ConfigureAwait(false);
                TakeUp(released);
                return;
            }
            catch (Exception x)
            {
                log.PendingNotRead(run.ToString(), x.Message);
                await Task.Delay(rest, engine.Time, cutOff.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    void ReadFrom(DestinationLane lane, DeliveryId first)
    {
        lane.Backlog.LeaveFrom(first);
        if (lane.Backlog.State == BacklogState.InStore)
            _ = ReadBackAsync(lane, lane.Backlog.BeginRead());
    }

    bool ShouldRead(DestinationLane lane) => lane.Backlog.State == BacklogState.InStore && !stopping && HasRoom(lane, part: 2);

    async Task ReadBackAsync(DestinationLane lane, DeliveryId after)
    {
        while (true)
        {
            var page = await ReadPendingAsync(lane.Destination, after, lane.Backlog.PageSize).ConfigureAwait(false);
            lock (gate)
            {
                long now = engine.Time.GetTimestamp();
                lane.Backlog.EndRead(page, delivery => Wait(lane, delivery, now));
                GrantInTurn();
                if (!ShouldRead(lane))
                {
                    Forget(lane.Destination);
                    return;
                }
                after = lane.Backlog.BeginRead();
            }
        }
    }

    async Task<IReadOnlyList<Delivery>> ReadPendingAsync(string destination, DeliveryId after, int most)
    {
        await Task.Yield(); // out of the gate
        while (!Volatile.Read(ref stopping))
        {
            await readers.WaitAsync(CancellationToken.None).ConfigureAwait(false);
            try
            {
                return await store.ListPendingAsync(destination, after, most, CancellationToken.None).ConfigureAwait(false);
            }
            catch (Exception x)
            {
                log.PendingNotRead(destination, x.Message);
            }
            finally
            {
                readers.Release();
            }
            await Task.Delay(rest, engine.Time, cutOff.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        return [];
    }
}
