namespace Sendoff.Engine.Storage.Sql;

internal abstract partial class SqlStore
{
    const long PublicationOrder = 7_367_646_603;

    public Task<bool> PublishAsync(DeliveryId delivery, int attempt, int most, CancellationToken ct) =>
        WriteAsync(
            OutageRule.Keep,
            session =>
            {
                string? url = session
                    .Sql("SELECT url FROM deliveries WHERE id = ?")
                    .Set(delivery.Value)
                    .FirstOrDefault(static row => row.Text(0));
                if (url is null)
                    return false;
                int kind = (int)SendKinds.KindOf(url);
                // A reader that has seen a number must not find a lower one later.
                session.Serialize(PublicationOrder);
                session
                    .Sql(
                        """
                        INSERT INTO publications(workflow_id, kind, delivery_id, attempt, run_id, published_at, url, body, sealed)
                        SELECT workflow_id, ?, id, ?, run_id, ?, url, body, sealed FROM deliveries WHERE id = ?
                        ON CONFLICT DO NOTHING
                        """
                    )
                    .Set(kind)
                    .Set(attempt)
                    .Set(Now)
                    .Set(delivery.Value)
                    .Run();
                session
                    .Sql(
                        """
                        DELETE FROM publications WHERE id <= (
                            SELECT id FROM publications WHERE kind = ?1 AND workflow_id = (SELECT workflow_id FROM deliveries WHERE id = ?2) ORDER BY id DESC LIMIT 1 OFFSET ?3)
                        AND kind = ?1 AND workflow_id = (SELECT workflow_id FROM deliveries WHERE id = ?2)
                        """
                    )
                    .Set(kind)
                    .Set(delivery.Value)
                    .Set(most)
                    .Run();
                return true;
            },
            ct
        );

    public Task<IReadOnlyList<Publication>> ListPublicationsAsync(
        WorkflowId workflow,
        SendKind kind,
        long after,
        int most,
        CancellationToken ct
    ) =>
        readers.ReadAsync<IReadOnlyList<Publication>>(
            session =>
                session
                    .Sql(
                        """
                        SELECT id, published_at, delivery_id, run_id, workflow_id, url, body, sealed FROM publications
                        WHERE workflow_id = ?1 AND kind = ?2 AND id > ?3 AND EXISTS (SELECT 1 FROM workflows WHERE id = ?1) ORDER BY id LIMIT ?4
                        """
                    )
                    .Set(workflow.Value)
                    .Set((int)kind)
                    .Set(after)
                    .Set(most)
                    .All(ReadPublication),
            ct
        );

    static Publication ReadPublication(SqlStatement row)
    {
        string url = row.Text(5);
        var workflow = new WorkflowId(row.Long(4));
        return new(
            row.Long(0),
            SqlTime.Moment(row.Long(1)),
            new(
                new(row.Long(2)),
                new(row.Long(3)),
                WorkspaceId.Default,
                workflow,
                0,
                0,
                SendKinds.LaneOf(SendKinds.KindOf(url), workflow),
                new HttpSend("SEND", url, [], row.Blob(6).ToArray()),
                DeliveryStatus.Succeeded,
                Sealed: row.Bytes(7)
            )
        );
    }

    public Task<int> CountHopsAsync(RunId run, CancellationToken ct) =>
        readers.ReadAsync(
            session =>
                (int)(
                    session
                        .Sql("SELECT e.hops FROM runs r JOIN emissions e ON e.event_id = r.event_id WHERE r.id = ?")
                        .Set(run.Value)
                        .Number()
                    ?? 0
                ),
            ct
        );
}
