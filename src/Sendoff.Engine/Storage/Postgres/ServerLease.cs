namespace Sendoff.Engine.Storage.Postgres;

/// <summary>What makes this server the owner of its work: its epoch, and the slot that its ids contain.</summary>
internal sealed class ServerLease
{
    long epoch;
    int slot;

    public long Epoch => Volatile.Read(ref epoch);

    public int Slot => slot;

    public void Take(long epoch, int slot)
    {
        this.slot = slot;
        Volatile.Write(ref this.epoch, epoch);
    }
}
