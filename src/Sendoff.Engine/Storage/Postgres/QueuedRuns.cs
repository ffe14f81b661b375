using Sendoff.Engine.Storage.Sql;

namespace Sendoff.Engine.Storage.Postgres;

/// <summary>The unfinished runs as rows, each with the server that owns it.</summary>
/// <param name="roles">Of this server. Without the role to run them, new runs belong to nobody.</param>
internal sealed class QueuedRuns(ServerRoles roles) : UnfinishedRuns
{
    const int LeftByOther = 1,
        NotStarted = 2;

    readonly string owner = roles.HasFlag(ServerRoles.Run) ? "sendoff_epoch()" : "0";
    readonly int left = roles.HasFlag(ServerRoles.Run) ? 0 : NotStarted;

    const string Columns = """
        q.run_id, q.event_id, q.workflow_id, q.version, q.trigger, q.received_at, q.replay, q.captured, q.continues,
        EXISTS (SELECT 1 FROM held h WHERE h.run_id = q.run_id), q.is_left
        """;

    static UnfinishedRun Read(SqlStatement row) =>
        new(
            row.Long(0),
            row.Long(1),
            row.Long(2),
            row.Int(3),
            row.Text(4),
            row.Long(5),
            row.Int(6) != 0,
            row.Int(7) != 0,
            row.Long(8),
            row.Int(9) != 0,
            row.Int(10) == LeftByOther
        );

    public override void Accept(SqlSession session, in UnfinishedRun run) =>
        session
            .Sql(
                $"""
                INSERT INTO queue(run_id, event_id, workflow_id, version, trigger, received_at, replay, captured, continues, owner, is_left)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, {owner}, {left})
                """
            )
            .Set(run.RunId)
            .Set(run.EventId)
            .Set(run.WorkflowId)
            .Set(run.Version)
            .Set(run.Trigger)
            .Set(run.ReceivedAt)
            .Set(run.Replay)
            .Set(run.Captured)
            .Set(run.Continues)
            .Post();

    public override bool Finish(SqlSession session, long run) =>
        session.Sql($"DELETE FROM queue WHERE run_id = ?{session.Dialect.Own}").Set(run).Run() == 1;

    public override void Release(SqlSession session, in UnfinishedRun run) =>
        session.Sql($"UPDATE queue SET owner = {owner}, is_left = {left} WHERE run_id = ?").Set(run.RunId).Post();

    public override void Forget(SqlSession session, long workflow)
    {
        session.Sql("DELETE FROM recoveries WHERE run_id IN (SELECT run_id FROM queue WHERE workflow_id = ?)").Set(workflow).Post();
        session.Sql("DELETE FROM queue WHERE workflow_id = ?").Set(workflow).Post();
        session.Sql("DELETE FROM turns WHERE key = ?").Set(workflow).Post();
    }

    public override UnfinishedRun? Find(SqlSession session, long run) =>
        session.Sql($"SELECT {Columns} FROM queue q WHERE q.run_id = ?").Set(run).FirstOrDefault(static row => (UnfinishedRun?)Read(row));

    public override List<UnfinishedRun> List(SqlSession session, UnfinishedFilter filter)
    {
        const string isHeld = "EXISTS (SELECT 1 FROM held h WHERE h.run_id = q.run_id)";
        string held = filter.Held switch
        {
            true => " AND " + isHeld,
            false => " AND NOT " + isHeld,
            null => "",
        };
        return session
            .Sql(
                $"""
                SELECT {Columns} FROM queue q WHERE q.run_id >= ?1 AND q.run_id < ?2 AND (?3 IS NULL OR q.workflow_id = ?3)
                    AND (?4 IS NULL OR q.event_id = ?4){held} ORDER BY q.run_id DESC LIMIT ?5
                """
            )
            .Set(filter.First)
            .Set(filter.End)
            .Set(filter.Workflow)
            .Set(filter.Event)
            .Set(filter.Limit)
            .All(Read);
    }

    public override List<UnfinishedRun> ListLast(SqlSession session) =>
        session.Sql($"SELECT {Columns} FROM queue q WHERE q.run_id IN (SELECT max(run_id) FROM queue GROUP BY workflow_id)").All(Read);

    public override List<long> ListHeld(SqlSession session, int limit) =>
        session
            .Sql("SELECT run_id FROM held WHERE run_id IN (SELECT run_id FROM queue) ORDER BY run_id LIMIT ?")
            .Set(limit)
            .All(static row => row.Long(0));

    public override List<UnfinishedRun> ListLeft(SqlSession session, long after, int limit) =>
        session
            .Sql(
                $"""
                SELECT {Columns} FROM queue q WHERE q.run_id > ?{session.Dialect.Own} AND q.is_left > 0
                    AND NOT EXISTS (SELECT 1 FROM held h WHERE h.run_id = q.run_id) ORDER BY q.run_id LIMIT ?
                """
            )
            .Set(after)
            .Set(limit)
            .All(Read);
}
