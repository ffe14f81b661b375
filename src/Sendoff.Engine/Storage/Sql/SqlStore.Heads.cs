namespace Sendoff.Engine.Storage.Sql;

/// <summary>Reads of few columns.</summary>
internal abstract partial class SqlStore
{
    // A run that ends in between is then found among the ended runs.
    public Task<WorkflowId?> FindWorkflowAsync(RunId run, CancellationToken ct) =>
        readers.ReadAsync<WorkflowId?>(
            session =>
                unfinished.Find(session, run.Value) is { } queued ? new WorkflowId(queued.WorkflowId)
                : session.Sql("SELECT workflow_id FROM runs WHERE id = ?").Set(run.Value).Number() is { } found ? new WorkflowId(found)
                : null,
            ct
        );

    public Task<RunHead?> FindRunAsync(RunId run, CancellationToken ct) =>
        readers.ReadAsync(
            session =>
            {
                var queued = unfinished.Find(session, run.Value);
                return session
                        .Sql(
                            """
                            SELECT r.id, r.event_id, r.workspace_id, r.workflow_id, w.name, r.version, r.trigger, r.status FROM runs r JOIN workflows w ON w.id = r.workflow_id WHERE r.id = ?
                            """
                        )
                        .Set(run.Value)
                        .FirstOrDefault(static row => new RunHead(
                            new(row.Long(0)),
                            new(row.Long(1)),
                            new(row.Int(2)),
                            new(row.Long(3)),
                            row.Text(4),
                            row.Int(5),
                            row.Text(6),
                            (RunStatus)row.Int(7)
                        ))
                    ?? (queued is { } found && WorkflowName(session, found.WorkflowId) is { } name ? HeadOf(found, name) : null);
            },
            ct
        );

    static RunHead HeadOf(UnfinishedRun run, string name) =>
        new(new(run.RunId), new(run.EventId), WorkspaceId.Default, new(run.WorkflowId), name, run.Version, run.Trigger, run.Status);

    public Task<DeliveryHead?> FindDeliveryAsync(DeliveryId delivery, CancellationToken ct) =>
        readers.ReadAsync(
            session =>
                session
                    .Sql("SELECT d.id, d.run_id, d.status FROM deliveries d JOIN workflows w ON w.id = d.workflow_id WHERE d.id = ?")
                    .Set(delivery.Value)
                    .FirstOrDefault(static row => new DeliveryHead(new(row.Long(0)), new(row.Long(1)), (DeliveryStatus)row.Int(2))),
            ct
        );

    public Task<Page<EventHead>> ListEventHeadsAsync(EventFilter filter, CancellationToken ct) =>
        readers.ReadAsync(
            session =>
            {
                if (!TryFindWorkflow(session, filter.Workflow, out long? workflow))
                    return new([], null);
                var where = new SqlFilter().Ids(filter.Before, IdsOf(session, filter.Since, filter.Until)).And("workflow_id = ?", workflow);
                var rows = where
                    .Set(
                        session.Sql(
                            $"""
                            SELECT e.id, w.name, e.trigger, e.received_at, length(e.body), substr({session.Dialect.Text(
                                $"substr(e.body, 1, {4 * EventHead.BeginningChars})"
                            )}, 1, {EventHead.BeginningChars})
                            FROM events e {session.Dialect.Join} workflows w ON w.id = e.workflow_id
                            WHERE e.id IN (SELECT id FROM events WHERE {where} AND +workflow_id IN (SELECT id FROM workflows) ORDER BY id DESC LIMIT ?) ORDER BY e.id DESC
                            """
                        )
                    )
                    .Set(filter.Limit + 1)
                    .All(static row => new EventHead(
                        new(row.Long(0)),
                        row.Text(1),
                        row.Text(2),
                        SqlTime.Moment(row.Long(3)),
                        row.LongOrNull(4) ?? 0,
                        row.TextOrNull(5) ?? ""
                    ));
                return PageOf(rows, filter.Limit, static one => one.Id.Value);
            },
            ct
        );

    public Task<IReadOnlyList<RunSummary>> ListRunsOfEventAsync(EventId id, int limit, CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<RunSummary>>(
            session =>
            {
                var queued = unfinished.List(session, new(Event: id.Value, Limit: limit));
                return
                [
                    .. session
                        .Sql(
                            $"""
                            {SelectSummaries(
                                session
                            )} WHERE r.id IN (SELECT run_id FROM events WHERE id = ?1 UNION SELECT run_id FROM replays WHERE event_id = ?1) ORDER BY r.id DESC LIMIT ?2
                            """
                        )
                        .Set(id.Value)
                        .Set(limit)
                        .All(ReadSummary)
                        .Concat(SummariesOf(session, queued))
                        .DistinctBy(static run => run.Id)
                        .OrderByDescending(static run => run.Id.Value)
                        .Take(limit),
                ];
            },
            ct
        );

    public Task<IReadOnlyList<RunSummary>> ListLastRunsAsync(CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<RunSummary>>(
            session =>
            {
                var queued = unfinished.ListLast(session);
                return
                [
                    .. session
                        .Sql(
                            $"""
                            {SelectSummaries(session)} WHERE r.id IN (
                                SELECT (SELECT id FROM runs WHERE workflow_id = workflows.id ORDER BY id DESC LIMIT 1) FROM workflows)
                            """
                        )
                        .All(ReadSummary)
                        .Concat(SummariesOf(session, queued))
                        .GroupBy(static run => run.WorkflowName)
                        .Select(static runs => runs.MaxBy(static run => run.Id.Value)!),
                ];
            },
            ct
        );
}
