using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Cluster;

/// <summary>Keeps this server among the servers of a database, takes over the work of those that have ended, and follows what others
/// change. With SQLite it does nothing.</summary>
/// <remarks>
/// Each second: (1) renew the lease  (2) follow the others: caches whose revision has changed, streams, the quota
/// (3) take over work without a server  (4) after an outage, take up own work that memory lacks, because the answer to its commit was
/// lost.
/// </remarks>
public sealed class ClusterWatch(
    IStore store,
    RunLanes lanes,
    RunCompletion runs,
    RunRecovery recovery,
    DeliveryDispatcher dispatcher,
    Quota quota,
    PublicationBell bell,
    Turns turns,
    IEnumerable<IStoreCache> caches,
    EngineContext engine,
    IHostApplicationLifetime lifetime,
    ILogger<ClusterWatch> log
)
{
    static readonly TimeSpan rest = TimeSpan.FromSeconds(1);

    readonly CancellationTokenSource stop = new();
    Task running = Task.CompletedTask;
    IReadOnlyDictionary<Cached, long> known = new Dictionary<Cached, long>();
    bool isBehind;

    /// <summary>Others have this server's work, because its lease ended. It has to stop everything and join again.</summary>
    public bool IsRemoved { get; private set; }

    /// <summary>Starts. Call once, before the first event.</summary>
    public async Task StartAsync(CancellationToken ct)
    {
        if (!store.IsShared)
            return;
        // What changes from now on is noticed, even while the caches are loaded.
        if (await store.RenewAsync(default, ct).ConfigureAwait(false) is { } first)
            Follow(first);
        running = RunAsync();
    }

    public async Task StopAsync()
    {
        await stop.CancelAsync().ConfigureAwait(false);
        await running.ConfigureAwait(false);
    }

    async Task RunAsync()
    {
        while (!stop.IsCancellationRequested)
        {
            await Task.Delay(rest, engine.Time, stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (stop.IsCancellationRequested)
                return;
            try
            {
                await LookAsync().ConfigureAwait(false);
            }
            catch (Exception x)
            {
                if (!isBehind)
                    log.ClusterUnreachable(x.Message);
                isBehind = true;
            }
            if (!IsRemoved)
                continue;
            log.ServerRemoved();
            lifetime.StopApplication();
            return;
        }
    }

    async Task LookAsync()
    {
        // (1)
        if (await store.RenewAsync(Load, stop.Token).ConfigureAwait(false) is not { } renewal)
        {
            IsRemoved = true;
            return;
        }
        // (2)
        foreach (var cache in caches)
            if (renewal.Revisions.GetValueOrDefault(cache.Content) != known.GetValueOrDefault(cache.Content))
                await cache.RefreshAsync(stop.Token).ConfigureAwait(false);
        Follow(renewal);
        bell.RingAll();
        await turns.PassWantedAsync(stop.Token).ConfigureAwait(false);
        if (quota.IsLimited)
            quota.Follow(await store.ListUsageAsync(quota.Today, stop.Token).ConfigureAwait(false));
        // (3)
        await TakeOverAsync().ConfigureAwait(false);
        // (4)
        if (!isBehind)
            return;
        recovery.Look();
        await dispatcher.TakeUpAsync(stop.Token).ConfigureAwait(false);
        isBehind = false;
    }

    void Follow(Renewal renewal)
    {
        known = renewal.Revisions;
        dispatcher.ShareWith(renewal.Servers);
    }

    async Task TakeOverAsync()
    {
        while (true)
        {
            var taken = await store.TakeOverAsync(stop.Token).ConfigureAwait(false);
            foreach (string name in taken.Ended)
                log.ServerEnded(name);
            isBehind |= taken.MayLack;
            if (taken.IsEmpty)
                return;
            log.WorkTakenOver(taken.Runs, taken.Pending.Count, taken.Interrupted);
            if (taken.Runs > 0)
                recovery.Look();
            dispatcher.TakeUp(taken.Pending);
        }
    }

    /// <summary>The servers of the database, this one with its load of now.</summary>
    public async Task<IReadOnlyList<ListedServer>> ListAsync(CancellationToken ct) =>
        [
            .. (await store.ListServersAsync(ct).ConfigureAwait(false)).Select(server =>
                server.IsThis ? server with { Load = Load } : server
            ),
        ];

    ServerLoad Load => new(runs.InFlight + lanes.Unstarted.Sum(static lane => lane.Runs), dispatcher.InFlight + dispatcher.Waiting.Count);
}
