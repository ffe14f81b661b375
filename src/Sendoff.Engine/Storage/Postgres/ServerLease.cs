namespace Sendoff.Engine.Storage.Postgres;

/// <summary>This server's ownership of work: its epoch, the slot in its ids, and the end of its lease.</summary>
internal sealed class ServerLease(EngineLimits limits)
{
    // Started work must end before the lease does: an attempt, its record, and the difference between two clocks.
    readonly TimeSpan margin = limits.DeliveryDeadline + TimeSpan.FromSeconds(2);
    long renewedAt;

    public long Epoch { get; private set; }

    public int Slot { get; private set; }

    public bool MayBegin => BootClock.Now - new TimeSpan(Volatile.Read(ref renewedAt)) < limits.ServerLease - margin;

    /// <summary>Call once, before any transaction. A server that joins again uses a new object.</summary>
    public void Take(long epoch, int slot) => (Epoch, Slot) = (epoch, slot);

    /// <param name="start">The time of the renewal request, by <see cref="BootClock"/>.</param>
    public void Renewed(TimeSpan start) => Volatile.Write(ref renewedAt, start.Ticks);
}
