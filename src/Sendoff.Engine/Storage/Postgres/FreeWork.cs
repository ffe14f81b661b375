using Sendoff.Engine.Storage.Sql;

namespace Sendoff.Engine.Storage.Postgres;

/// <summary>Work whose owner is not listed: its server has ended. Any server may take it.</summary>
internal static class FreeWork
{
    /// <summary>Rows taken at once, so that several servers share them.</summary>
    const int Most = 500;

    public const string IsFree = "owner NOT IN (SELECT epoch FROM servers)";

    /// <summary>Runs before deliveries, because a run's end may make deliveries of its earlier segments pending.</summary>
    /// <param name="doubtful">Runs that this server may have stored without an answer: nobody else starts them.</param>
    public static Takeover Claim(SqlSession session, IReadOnlyCollection<long> doubtful)
    {
        int runs = doubtful.Sum(run =>
            session.Sql("UPDATE queue SET is_left = 1 WHERE run_id = ? AND owner = sendoff_epoch()").Set(run).Run()
        );
        runs += session
            .Sql(
                $"""
                UPDATE queue SET owner = sendoff_epoch(), is_left = 1 WHERE run_id IN (
                    SELECT run_id FROM queue WHERE {IsFree} ORDER BY run_id LIMIT {Most} FOR UPDATE SKIP LOCKED)
                """
            )
            .Run();
        var error = StoredJson.AttemptError(SqlStore.Interruption);
        // Emitted and streamed events are published only once, however often they are sent.
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
        return new(
            [],
            runs,
            sending.Count(static one => one.Status == (int)DeliveryStatus.Interrupted),
            sending
                .Concat(pending)
                .Where(static one => one.Status == (int)DeliveryStatus.Pending)
                .GroupBy(static one => one.Destination, static one => one.Id)
                .ToDictionary(static one => one.Key, static one => new DeliveryId(one.Min()))
        );
    }
}
