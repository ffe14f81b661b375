using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Cluster;

/// <summary>What this server has in memory and others change: caches, streams, turns and the quota.</summary>
public sealed class SharedState(IStore store, IEnumerable<IStoreCache> caches, PublicationBell bell, Turns turns, Quota quota)
{
    IReadOnlyDictionary<Cached, long> known = new Dictionary<Cached, long>();

    /// <summary>The caches have the content of these revisions.</summary>
    public void Begin(IReadOnlyDictionary<Cached, long> revisions) => known = revisions;

    /// <summary>Reads again what has changed.</summary>
    public async Task FollowAsync(IReadOnlyDictionary<Cached, long> revisions, CancellationToken ct)
    {
        foreach (var cache in caches)
            if (revisions.GetValueOrDefault(cache.Content) != known.GetValueOrDefault(cache.Content))
                await cache.RefreshAsync(ct).ConfigureAwait(false);
        known = revisions;
        bell.RingAll();
        await turns.PassWantedAsync(ct).ConfigureAwait(false);
        if (quota.IsLimited)
            quota.Follow(await store.ListUsageAsync(quota.Today, ct).ConfigureAwait(false));
    }
}
