using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Cluster;

/// <summary>A hold that another server releases ends here too.</summary>
sealed class SharedHold(IStore store, ServerHold hold) : IStoreCache
{
    public Cached Content => Cached.Hold;

    public Task RefreshAsync(CancellationToken ct) => hold.FollowAsync(store, ct);
}
