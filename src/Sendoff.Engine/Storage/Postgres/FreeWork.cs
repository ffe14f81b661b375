using Sendoff.Engine.Storage.Sql;

namespace Sendoff.Engine.Storage.Postgres;

/// <summary>Work whose owner is not listed, because its server has ended. Any server may take it over.</summary>
internal static class FreeWork
{
    /// <summary>Maximum number of rows taken over at once, so that several servers share the work.</summary>
    const int Most = 500;

    public const string IsFree = "owner NOT IN (SELECT epoch FROM servers)";

    /// <summary>A run that had no owner was not started by a server that has ended.</summary>
    public const string Left = "CASE WHEN owner = 0 THEN is_left ELSE 1 END";

    /// <summary>Runs before deliveries, because a run's end may make deliveries of its earlier segments pending.</summary>
    /// <param name="doubtful">Runs that this server may have stored without an answer: nobody else starts them.</param>
    /// <param name="full">Workflows of which this server has enough runs.</param>
    public static Takeover Claim(
        SqlSession session,
        ServerRoles roles,
        IReadOnlyCollection<long> doubtful,
        IReadOnlyCollection<WorkflowId> full
    )
    {
        var (runs, added) = roles.HasFlag(ServerRoles.Run) ? ClaimRuns(session, doubtful, full) : (0, 0);
        var taken = new Takeover([], runs, added, 0, Takeover.None.Pending);
        return roles.HasFlag(ServerRoles.Deliver) ? ClaimDeliveries(session, taken) : taken;
    }

    static (int Left, int New) ClaimRuns(SqlSession session, IReadOnlyCollection<long> doubtful, IReadOnlyCollection<WorkflowId> full)
    {
        int added = doubtful.Sum(run =>
            session.Sql("UPDATE queue SET is_left = 2 WHERE run_id = ? AND owner = sendoff_epoch()").Set(run).Run()
        );
        var left = session
            .Sql(
                $"""
                UPDATE queue SET owner = sendoff_epoch(), is_left = {Left} WHERE run_id IN (
                    SELECT run_id FROM queue WHERE {IsFree} AND NOT {session.Dialect.IsIn("workflow_id", "?")}
                    ORDER BY run_id LIMIT {Most} FOR UPDATE SKIP LOCKED)
                RETURNING is_left
                """
            )
            .Set(string.Join(',', full.Select(static workflow => workflow.Value)))
            .All(static row => row.Int(0) == 1);
        int recovered = left.Count(static isLeft => isLeft);
        return (recovered, added + left.Count - recovered);
    }

    static Takeover ClaimDeliveries(SqlSession session, Takeover taken)
    {
        var error = StoredJson.AttemptError(SqlStore.Interruption);
        // Emitted and streamed events are published only once, so they can be sent again.
        var sending = session
            .Sql(
                $"""
                UPDATE deliveries SET owner = sendoff_epoch(), status = CASE WHEN {SqlStore.IsPublished} THEN 2 ELSE 7 END,
                    error = CASE WHEN {SqlStore.IsPublished} THEN error ELSE ? END
                WHERE id IN (SELECT id FROM deliveries WHERE status = 3 AND {IsFree} ORDER BY id LIMIT {Most} FOR UPDATE SKIP LOCKED)
                RETURNING id, destination, status
                """
            )
            .Set(error)
            .All(static row => (Id: row.Long(0), Destination: row.Text(1), Status: row.Int(2)));
        var pending = session
            .Sql(
                $"""
                UPDATE deliveries SET owner = sendoff_epoch() WHERE id IN (
                    SELECT id FROM deliveries WHERE status = 2 AND {IsFree} ORDER BY id LIMIT {Most} FOR UPDATE SKIP LOCKED)
                RETURNING id, destination, status
                """
            )
            .All(static row => (Id: row.Long(0), Destination: row.Text(1), Status: row.Int(2)));
        return taken with
        {
            Interrupted = sending.Count(static one => one.Status == (int)DeliveryStatus.Interrupted),
            Pending = sending
                .Concat(pending)
                .Where(static one => one.Status == (int)DeliveryStatus.Pending)
                .GroupBy(static one => one.Destination, static one => one.Id)
                .ToDictionary(static one => one.Key, static one => new DeliveryId(one.Min())),
        };
    }
}
