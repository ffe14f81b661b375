namespace Sendoff.Engine.Storage.Postgres;

/// <summary>What makes this server the owner of its work: its epoch, the slot that its ids contain, and the end of its lease.</summary>
internal sealed class ServerLease(EngineLimits limits)
{
    // What begins must have ended before the lease has: an attempt, its record, and the difference of two clocks.
    readonly TimeSpan margin = limits.DeliveryDeadline + TimeSpan.FromSeconds(2);
    long renewedAt;

    public long Epoch { get; private set; }

    public int Slot { get; private set; }

    public bool MayBegin => BootClock.Now - new TimeSpan(Volatile.Read(ref renewedAt)) < limits.ServerLease - margin;

    /// <summary>Call once, before any transaction: a server that joins again is a new one.</summary>
    public void Take(long epoch, int slot) => (Epoch, Slot) = (epoch, slot);

    /// <param name="start">When the renewal was requested, by <see cref="BootClock"/>.</param>
    public void Renewed(TimeSpan start) => Volatile.Write(ref renewedAt, start.Ticks);
}
