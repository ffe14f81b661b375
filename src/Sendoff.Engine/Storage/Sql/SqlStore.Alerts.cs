using System.Text;

namespace Sendoff.Engine.Storage.Sql;

internal abstract partial class SqlStore
{
    public Task<IReadOnlyList<AlertRule>> ListAlertsAsync(CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<AlertRule>>(
            session =>
                session
                    .Sql(
                        "SELECT id, name, workflow, causes, kind, target, quiet_us, recovered, backlog_us, "
                            + "backlog_runs FROM alerts ORDER BY name"
                    )
                    .All(ReadAlert),
            ct
        );

    AlertRule ReadAlert(SqlStatement row)
    {
        long id = row.Long(0);
        string target = Encoding.UTF8.GetString(concealment.Cipher.Open(row.Blob(5), id));
        return new(
            new(id),
            row.Text(1),
            row.TextOrNull(2),
            (AlertCauses)row.Int(3),
            (AlertKind)row.Int(4),
            target.Length == 0 ? [] : target.Split('\n'),
            SqlTime.Span(row.Long(6)),
            row.Int(7) != 0,
            row.LongOrNull(8) is { } age ? SqlTime.Span(age) : null,
            (int?)row.LongOrNull(9)
        );
    }

    public Task SaveAlertAsync(AlertRule rule, CancellationToken ct)
    {
        byte[] target = concealment.Cipher.Seal(Encoding.UTF8.GetBytes(string.Join('\n', rule.Target)), rule.Id.Value);
        return GrowAsync(
            session =>
                session
                    .Sql(
                        """
                        INSERT INTO alerts(id, workspace_id, causes, kind, quiet_us, recovered, backlog_us, backlog_runs, workflow, name, target)
                        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                        ON CONFLICT(id) DO UPDATE SET causes = excluded.causes, kind = excluded.kind, quiet_us = excluded.quiet_us,
                            recovered = excluded.recovered, backlog_us = excluded.backlog_us, backlog_runs = excluded.backlog_runs,
                            workflow = excluded.workflow, name = excluded.name, target = excluded.target
                        """
                    )
                    .Set(rule.Id.Value)
                    .Set(WorkspaceId.Default.Value)
                    .Set((int)rule.Causes)
                    .Set((int)rule.Kind)
                    .Set(SqlTime.From(rule.Quiet))
                    .Set(rule.Recovered)
                    .Set(rule.BacklogAge is { } age ? SqlTime.From(age) : null)
                    .Set(rule.BacklogRuns)
                    .Set(rule.Workflow)
                    .Set(rule.Name)
                    .Set(target)
                    .Run(),
            ct
        );
    }

    public Task<bool> DeleteAlertAsync(AlertId alert, CancellationToken ct) =>
        WriteAsync(
            OutageRule.Refuse,
            session =>
            {
                session.Sql("DELETE FROM alert_states WHERE alert_id = ?").Set(alert.Value).Run();
                return session.Sql("DELETE FROM alerts WHERE id = ?").Set(alert.Value).Run() == 1;
            },
            ct
        );

    public Task<IReadOnlyList<AlertState>> ListAlertStatesAsync(CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<AlertState>>(
            static session =>
                session
                    .Sql(
                        """
                        SELECT alert_id, workflow_id, quiet_until, told_at, failing, recovered, runs, deliveries, backlogs, run_id, delivery_id
                        FROM alert_states WHERE workflow_id IN (SELECT id FROM workflows)
                        """
                    )
                    .All(static row => new AlertState(
                        new(row.Long(0)),
                        new(row.Long(1)),
                        SqlTime.Moment(row.Long(2)),
                        SqlTime.Moment(row.Long(3)),
                        (AlertCauses)row.Int(4),
                        (AlertCauses)row.Int(5),
                        row.Int(6),
                        row.Int(7),
                        row.Int(8),
                        row.LongOrNull(9) is { } run ? new RunId(run) : null,
                        row.LongOrNull(10) is { } delivery ? new DeliveryId(delivery) : null
                    )),
            ct
        );

    public Task SaveAlertStatesAsync(IReadOnlyList<AlertState> states, CancellationToken ct) =>
        WriteAsync(OutageRule.Refuse, session => states.Count(state => Save(session, state)), ct);

    // Deleting a rule or a workflow deletes its state.
    bool Save(SqlSession session, AlertState state) =>
        workflows.Has(session, state.Workflow.Value)
        && session
            .Sql(
                """
                INSERT INTO alert_states(alert_id, workflow_id, quiet_until, told_at, failing, recovered, runs, deliveries, backlogs, run_id, delivery_id)
                SELECT id, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM alerts WHERE id = ?
                ON CONFLICT(alert_id, workflow_id) DO UPDATE SET quiet_until = excluded.quiet_until, told_at = excluded.told_at,
                    failing = excluded.failing, recovered = excluded.recovered, runs = excluded.runs, deliveries = excluded.deliveries,
                    backlogs = excluded.backlogs, run_id = excluded.run_id, delivery_id = excluded.delivery_id
                """
            )
            .Set(state.Workflow.Value)
            .Set(SqlTime.From(state.QuietUntil))
            .Set(SqlTime.From(state.ToldAt))
            .Set((int)state.Failing)
            .Set((int)state.Over)
            .Set(state.Runs)
            .Set(state.Deliveries)
            .Set(state.Backlogs)
            .Set(state.Run?.Value)
            .Set(state.Delivery?.Value)
            .Set(state.Alert.Value)
            .Run() == 1;

    public Task<bool> TellAsync(AlertState? told, Event received, Run run, IReadOnlyList<Delivery> deliveries, CancellationToken ct)
    {
        var masked = concealment.Conceal(received);
        var finish = new FinishRunWrite(run, deliveries, concealment);
        return GrowAsync(
            session =>
            {
                if (told is not null && !Save(session, told))
                    return false;
                writer.Insert(masked, run.Id, run.Version);
                writer.Finish(finish);
                return true;
            },
            ct
        );
    }

    public Task<IReadOnlyList<PendingBacklog>> ListBacklogAsync(DeliveryId before, int limit, CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<PendingBacklog>>(
            session =>
                session
                    .Sql(
                        """
                        SELECT workflow_id, count(*), min(id) FROM (SELECT id, workflow_id FROM deliveries WHERE status = 2 AND +id < ? LIMIT ?) AS found
                        WHERE workflow_id <> ? AND workflow_id IN (SELECT id FROM workflows) GROUP BY workflow_id
                        """
                    )
                    .Set(before.Value)
                    .Set(limit)
                    .Set(SystemWorkflow.Alerts.Value)
                    .All(static row => new PendingBacklog(new(row.Long(0)), row.Int(1), new(row.Long(2)))),
            ct
        );
}
