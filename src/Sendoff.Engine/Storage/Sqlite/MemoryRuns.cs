using Sendoff.Engine.Storage.Sql;

namespace Sendoff.Engine.Storage.Sqlite;

/// <summary>The unfinished runs, kept in memory, because a run has a row only when it has ended. A start reads them from the events above
/// the low-water mark.</summary>
internal sealed class MemoryRuns(TimeProvider time) : UnfinishedRuns
{
    static readonly TimeSpan markEvery = TimeSpan.FromSeconds(1);

    readonly Dictionary<long, UnfinishedRun> runs = [];
    readonly List<Change> batch = [];
    long[] left = [];
    long mark,
        newMark,
        highestMark,
        batchMark = long.MaxValue,
        markedAt;

    enum ChangeKind
    {
        Accepted,
        Finished,
        Released,
        Forgotten,
    }

    readonly record struct Change(ChangeKind Kind, UnfinishedRun Run);

    public int Count
    {
        get
        {
            lock (runs)
                return runs.Count;
        }
    }

    /// <summary>Events from the low-water mark on whose run has no row, and replays likewise. Without its workflow, a run cannot
    /// start.</summary>
    public void Load(SqlSession session)
    {
        mark = session.Number(LowWater.Read);
        var found = session
            .Sql(
                """
                SELECT run_id, id, workflow_id, run_version, trigger, received_at, 0, 0, 0, EXISTS (SELECT 1 FROM held WHERE run_id = e.run_id) FROM events e
                WHERE id >= ?1 AND run_id <> 0 AND workflow_id IN (SELECT id FROM workflows) AND NOT EXISTS (SELECT 1 FROM runs WHERE id = e.run_id)
                UNION ALL
                SELECT p.run_id, e.id, e.workflow_id, p.version, e.trigger, e.received_at, p.continues = 0, p.captured, p.continues, 0 FROM replays p JOIN events e ON e.id = p.event_id
                WHERE p.run_id >= ?1 AND e.workflow_id IN (SELECT id FROM workflows) AND NOT EXISTS (SELECT 1 FROM runs WHERE id = p.run_id)
                """
            )
            .Set(mark)
            .All(static row => new UnfinishedRun(
                row.Long(0),
                row.Long(1),
                row.Long(2),
                row.Int(3),
                row.Text(4),
                row.Long(5),
                Replay: row.Int(6) != 0,
                Captured: row.Int(7) != 0,
                Continues: row.Long(8),
                Held: row.Int(9) != 0,
                Left: true
            ));
        foreach (var run in found)
            runs.Add(run.RunId, run);
        left = [.. runs.Keys.Order()];
    }

    public override void Accept(SqlSession session, in UnfinishedRun run)
    {
        batch.Add(new(ChangeKind.Accepted, run));
        batchMark = Math.Min(batchMark, MarkOf(run));
    }

    public override bool Finish(SqlSession session, long run)
    {
        if (Find(session, run) is null)
            return false;
        batch.Add(new(ChangeKind.Finished, new() { RunId = run }));
        return true;
    }

    public override void Release(SqlSession session, in UnfinishedRun run) => batch.Add(new(ChangeKind.Released, run));

    public override void Forget(SqlSession session, long workflow)
    {
        foreach (long run in session.Sql("SELECT run_id FROM recoveries").All(static row => row.Long(0)))
            if (Find(session, run)?.WorkflowId == workflow)
                session.Sql("DELETE FROM recoveries WHERE run_id = ?").Set(run).Run();
        batch.Add(new(ChangeKind.Forgotten, new() { WorkflowId = workflow }));
    }

    /// <summary>The low-water mark: unfinished runs are not below it, so a start searches from there. It is raised lazily, and lowered in
    /// the batch that stores an event below it, because ids are created before their events reach the writer.</summary>
    public override void BeforeCommit(SqlSession session)
    {
        newMark = mark;
        if (batchMark < mark)
        {
            newMark = batchMark;
        }
        else if (time.GetElapsedTime(markedAt) >= markEvery)
        {
            markedAt = time.GetTimestamp();
            newMark = Math.Max(mark, Math.Min(LowestMark() ?? highestMark + 1, batchMark));
        }
        if (newMark != mark)
            session.Sql(LowWater.Write).Set(newMark).Run();
    }

    public override void Committed()
    {
        mark = newMark;
        batchMark = long.MaxValue;
        lock (runs)
            foreach (var change in batch)
                Apply(change);
        batch.Clear();
    }

    void Apply(Change change)
    {
        switch (change.Kind)
        {
            case ChangeKind.Accepted:
                runs[change.Run.RunId] = change.Run;
                highestMark = Math.Max(highestMark, MarkOf(change.Run));
                break;
            case ChangeKind.Finished:
                runs.Remove(change.Run.RunId);
                break;
            case ChangeKind.Released:
                if (runs.ContainsKey(change.Run.RunId))
                    runs[change.Run.RunId] = change.Run with { Held = false, Left = false };
                break;
            case ChangeKind.Forgotten:
                foreach (var run in runs.Values.Where(run => run.WorkflowId == change.Run.WorkflowId).ToList())
                    runs.Remove(run.RunId);
                break;
        }
    }

    public override void RolledBack()
    {
        batch.Clear();
        batchMark = long.MaxValue;
    }

    public override UnfinishedRun? Find(SqlSession session, long run)
    {
        lock (runs)
            return runs.TryGetValue(run, out var found) ? found : null;
    }

    public override List<UnfinishedRun> List(SqlSession session, UnfinishedFilter filter)
    {
        lock (runs)
            return
            [
                .. runs
                    .Values.Where(run =>
                        run.RunId >= filter.First
                        && run.RunId < filter.End
                        && (filter.Workflow is null || run.WorkflowId == filter.Workflow)
                        && (filter.Event is null || run.EventId == filter.Event)
                        && (filter.Held is null || run.Held == filter.Held)
                    )
                    .OrderByDescending(static run => run.RunId)
                    .Take(filter.Limit),
            ];
    }

    public override List<UnfinishedRun> ListLast(SqlSession session)
    {
        lock (runs)
            return [.. runs.Values.GroupBy(static run => run.WorkflowId).Select(static runs => runs.MaxBy(static run => run.RunId))];
    }

    public override List<long> ListHeld(SqlSession session, int limit)
    {
        lock (runs)
            return [.. runs.Values.Where(static run => run.Held).Select(static run => run.RunId).Order().Take(limit)];
    }

    /// <summary>Only runs of an earlier server: runs that this server accepted are already in its queue and must not start twice.</summary>
    public override List<UnfinishedRun> ListLeft(SqlSession session, long after, int limit)
    {
        int start = Array.BinarySearch(left, after + 1);
        lock (runs)
            return [.. left.Skip(start < 0 ? ~start : start).Where(IsLeft).Take(limit).Select(id => runs[id])];
    }

    // A held run is queued when it is released; it is then no longer a run of an earlier server.
    bool IsLeft(long run) => runs.TryGetValue(run, out var found) && found is { Left: true, Held: false };

    public long HighestRun()
    {
        lock (runs)
            return runs.Count == 0 ? 0 : runs.Keys.Max();
    }

    long? LowestMark()
    {
        lock (runs)
            return runs.Count == 0 ? null : runs.Values.Min(static run => MarkOf(run));
    }

    // The id from which a search after a start finds it.
    static long MarkOf(in UnfinishedRun run) => run.Replay || run.Continues != 0 ? run.RunId : run.EventId;
}

internal static class LowWater
{
    public const string Read = "SELECT value FROM meta WHERE name = 'low_water'";
    public const string Write =
        "INSERT INTO meta(name, value) VALUES ('low_water', ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value";
}
