using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Cluster;

/// <summary>Ends the hold of this server when another server releases it.</summary>
sealed class SharedHold(IStore store, ServerHold hold) : IStoreCache
{
    public Cached Content => Cached.Hold;

    public Task RefreshAsync(CancellationToken ct) => hold.FollowAsync(store, ct);
}
