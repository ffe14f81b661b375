namespace Sendoff.Engine.Storage.Postgres;

/// <summary>What makes this server the owner of its work: its epoch, the slot that its ids contain, and the end of its lease.</summary>
internal sealed class ServerLease(EngineLimits limits)
{
    // What begins must have ended before the lease has: an attempt, its record, and the difference of two clocks.
    readonly TimeSpan margin = limits.DeliveryDeadline + TimeSpan.FromSeconds(2);
    long epoch,
        renewedAt;
    int slot;

    public long Epoch => Volatile.Read(ref epoch);

    public int Slot => slot;

    public bool MayBegin => BootClock.Now - new TimeSpan(Volatile.Read(ref renewedAt)) < limits.ServerLease - margin;

    public void Take(long epoch, int slot)
    {
        this.slot = slot;
        Volatile.Write(ref this.epoch, epoch);
    }

    /// <param name="start">When the renewal was requested, by <see cref="BootClock"/>.</param>
    public void Renewed(TimeSpan start) => Volatile.Write(ref renewedAt, start.Ticks);
}
