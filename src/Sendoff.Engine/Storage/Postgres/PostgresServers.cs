using System.Collections.Concurrent;

namespace Sendoff.Engine.Storage.Postgres;

/// <summary>The servers that share a database.</summary>
internal sealed class PostgresServers(PostgresStore store, Membership membership, ServerRoles roles) : IServers
{
    // Runs whose commit got no response.
    readonly ConcurrentDictionary<long, bool> doubtful = [];
    int seenOutages;

    public bool IsShared => true;

    public bool MayBegin => membership.Lease.MayBegin;

    public Task<Renewal?> RenewAsync(ServerLoad load, CancellationToken ct) => store.ExplainAsync(() => membership.Renew(load), ct);

    public Task<IReadOnlyList<ListedServer>> ListServersAsync(CancellationToken ct) =>
        store.ExplainAsync<IReadOnlyList<ListedServer>>(membership.List, ct);

    public async Task<Takeover> TakeOverAsync(IReadOnlyCollection<WorkflowId> full, CancellationToken ct)
    {
        int outages = store.Outages;
        bool mayLack = outages != seenOutages;
        long[] doubted = [.. doubtful.Keys];
        var ended = await store.ExplainAsync(membership.RemoveEnded, ct);
        var claimed = await store.WriteSoonAsync(session => FreeWork.Claim(session, roles, doubted, full), ct);
        foreach (long run in doubted)
            doubtful.TryRemove(run, out _);
        seenOutages = outages;
        return claimed with { Ended = ended, MayLack = mayLack };
    }

    public Task<IReadOnlyDictionary<WorkflowId, int>> CountUntakenAsync(CancellationToken ct) =>
        store.ReadAsync<IReadOnlyDictionary<WorkflowId, int>>(
            static session =>
                session
                    .Sql("SELECT workflow_id, count(*) FROM queue WHERE owner = 0 GROUP BY workflow_id")
                    .All(static row => (Workflow: new WorkflowId(row.Long(0)), Runs: row.Int(1)))
                    .ToDictionary(static one => one.Workflow, static one => one.Runs),
            ct
        );

    /// <summary>A run may have been stored as this server's, although the answer was lost.</summary>
    public void Doubt(RunId run) => doubtful[run.Value] = true;

    public Task<bool> TryTakeTurnAsync(long key, CancellationToken ct) =>
        store.WriteSoonAsync(
            session =>
                session
                    .Sql(
                        """
                        INSERT INTO turns(key, owner, wanted) VALUES (?, sendoff_epoch(), 0) ON CONFLICT (key) DO UPDATE SET
                            wanted = CASE WHEN turns.owner <> sendoff_epoch() AND turns.owner IN (SELECT epoch FROM servers) THEN 1 ELSE 0 END,
                            owner = CASE WHEN turns.owner IN (SELECT epoch FROM servers) THEN turns.owner ELSE sendoff_epoch() END
                        RETURNING owner = sendoff_epoch()
                        """
                    )
                    .Set(key)
                    .Number() == 1,
            ct
        );

    public Task<IReadOnlyList<long>> ListWantedTurnsAsync(CancellationToken ct) =>
        store.WriteSoonAsync<IReadOnlyList<long>>(
            static session =>
                session.Sql("SELECT key FROM turns WHERE owner = sendoff_epoch() AND wanted = 1").All(static row => row.Long(0)),
            ct
        );

    public Task PassTurnAsync(long key, CancellationToken ct) =>
        store.WriteSoonAsync(
            session => session.Sql("UPDATE turns SET owner = 0, wanted = 0 WHERE key = ? AND owner = sendoff_epoch()").Set(key).Run(),
            ct
        );
}
