using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Cluster;

/// <summary>Keeps this server registered in a shared database, takes over the work of ended servers, and updates caches after changes by
/// others. With SQLite it does nothing.</summary>
/// <remarks>
/// Each second: (1) renew the lease  (2) follow the others  (3) take work without a server  (4) after an outage, take up own work that
/// memory lacks.
/// </remarks>
public sealed class ClusterWatch(
    IStore store,
    SharedWork work,
    SharedState state,
    EngineContext engine,
    IHostApplicationLifetime lifetime,
    ILogger<ClusterWatch> log
)
{
    static readonly TimeSpan rest = TimeSpan.FromSeconds(1),
        shortRest = TimeSpan.FromMilliseconds(100);

    readonly CancellationTokenSource stop = new();
    Task running = Task.CompletedTask;
    bool isBehind;

    /// <summary>Other servers have taken over this server's work, because its lease expired. It must stop everything and join
    /// again.</summary>
    public bool IsRemoved { get; private set; }

    /// <summary>The work that waits because no server takes it; null if there is none.</summary>
    public string? WhatWaits { get; private set; }

    /// <summary>Starts. Call once, before the first event.</summary>
    public async Task StartAsync(CancellationToken ct)
    {
        if (!store.Servers.IsShared)
            return;
        // What changes from now on is noticed, even while the caches are loaded.
        if (await store.Servers.RenewAsync(default, ct).ConfigureAwait(false) is { } first)
        {
            state.Begin(first.Revisions);
            Follow(first);
        }
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
            await Task.Delay(work.IsFull ? shortRest : rest, engine.Time, stop.Token)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
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
        if (await store.Servers.RenewAsync(work.Load, stop.Token).ConfigureAwait(false) is not { } renewal)
        {
            IsRemoved = true;
            return;
        }
        // (2)
        await state.FollowAsync(renewal.Revisions, stop.Token).ConfigureAwait(false);
        Follow(renewal);
        // (3)
        await work.TakeOverAsync(stop.Token).ConfigureAwait(false);
        // (4)
        await work.TakeUpAsync(isBehind, stop.Token).ConfigureAwait(false);
        isBehind = false;
    }

    void Follow(Renewal renewal)
    {
        work.ShareWith(renewal.Senders);
        string? before = WhatWaits;
        WhatWaits = RoleNames.WhatWaits(renewal.Roles);
        if (WhatWaits is { } waits && waits != before)
            log.WorkWaits(waits);
    }

    /// <summary>The servers of the database, with the current load of this one.</summary>
    public async Task<IReadOnlyList<ListedServer>> ListAsync(CancellationToken ct) =>
        [
            .. (await store.Servers.ListServersAsync(ct).ConfigureAwait(false)).Select(server =>
                server.IsThis ? server with { Load = work.Load } : server
            ),
        ];
}
