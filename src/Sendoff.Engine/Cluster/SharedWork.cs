using Microsoft.Extensions.Logging;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Cluster;

/// <summary>The work of this server among the servers: it takes what has no server, and knows its own load.</summary>
public sealed class SharedWork(
    IStore store,
    RunLanes lanes,
    RunCompletion runs,
    RunRecovery recovery,
    DeliveryDispatcher dispatcher,
    ILogger<SharedWork> log
)
{
    /// <summary>Runs of one workflow that wait for this server. It takes no more, so that others share them.</summary>
    const int Enough = 200;

    /// <summary>Writes of this server may have been stored without an answer.</summary>
    bool mayLack;

    /// <summary>This server had enough runs of a workflow, so that others of it may wait for a server.</summary>
    public bool IsFull { get; private set; }

    public ServerLoad Load =>
        new(runs.InFlight + lanes.Unstarted.Sum(static lane => lane.Runs), dispatcher.InFlight + dispatcher.Waiting.Count);

    /// <summary>The limit of a destination is divided among the servers that make deliveries.</summary>
    public void ShareWith(int senders) => dispatcher.ShareWith(senders);

    /// <summary>Takes all that has no server.</summary>
    public async Task TakeOverAsync(CancellationToken ct)
    {
        if (!lanes.Execute)
            lanes.Follow(await store.Servers.CountUntakenAsync(ct).ConfigureAwait(false));
        while (true)
        {
            var full = lanes.Unstarted.Where(static lane => lane.Runs >= Enough).Select(static lane => lane.Workflow).ToList();
            IsFull = full.Count > 0;
            var taken = await store.Servers.TakeOverAsync(full, ct).ConfigureAwait(false);
            foreach (string name in taken.Ended)
                log.ServerEnded(name);
            mayLack |= taken.MayLack;
            if (taken.IsEmpty)
                return;
            if (taken.Runs + taken.Interrupted > 0 || taken.Ended.Count > 0)
                log.WorkTakenOver(taken.Runs, taken.Pending.Count, taken.Interrupted);
            if (taken.Runs + taken.New > 0)
                recovery.Look();
            dispatcher.TakeUp(taken.Pending);
        }
    }

    /// <summary>Takes up own work that memory lacks, because the answer to its commit was lost.</summary>
    /// <param name="wasAway">The database could not be reached.</param>
    public async Task TakeUpAsync(bool wasAway, CancellationToken ct)
    {
        if (!mayLack && !wasAway)
            return;
        recovery.Look();
        await dispatcher.TakeUpAsync(ct).ConfigureAwait(false);
        mayLack = false;
    }
}
