namespace Sendoff.Engine.Storage.Sql;

/// <summary>Deletes history in slices, and returns the pages to the disk (G2). Runs on the writer's thread, as part of its
/// batches.</summary>
internal abstract class SqlPruner(EngineLimits limits)
{
    protected EngineLimits Limits => limits;

    /// <summary>Rows of other tables deleted in one slice; versions are few and wide.</summary>
    const int SliceRows = 1_000,
        SliceVersions = 10;

    /// <summary>The end of the previous slice, among all runs and among no-store runs: rows that cannot be deleted yet are skipped once per
    /// round.</summary>
    long passed,
        passedUnkept;

    public PruneResult Slice(SqlSession session, long before, long maxBytes)
    {
        // The history of deleted workflows is deleted first.
        if (session.Sql("SELECT workflow_id FROM deletions LIMIT 1").Number() is { } deleted)
        {
            DeleteHistory(session, deleted);
            GiveBack(session, maxBytes);
            return new(0, More: true);
        }
        session.Sql("DELETE FROM secrets WHERE replaced_at < ?").Set(before).Run();
        bool tooLarge = maxBytes > 0 && UsedBytes(session) > maxBytes;
        bool moreUnkept = DeleteUnkept(session),
            moreAlone = DeleteAlone(session, tooLarge ? long.MaxValue : before);
        var oldest = session
            .Sql("SELECT id, event_id, first_delivery, delivery_count, started_at FROM runs WHERE id > ? ORDER BY id LIMIT ?")
            .Set(passed)
            .Set(limits.PruneRuns)
            .All(ReadRun);
        var doomed = oldest.TakeWhile(run => tooLarge || run.StartedAt < before).ToList();
        long rows = doomed.Where(run => !HasUnfinished(session, run)).Sum(run => Delete(session, run));
        bool more = doomed.Count == limits.PruneRuns;
        passed = more ? doomed[^1].Id : 0;
        return new(rows, GiveBack(session, maxBytes) || more || moreUnkept || moreAlone);
    }

    /// <summary>Prunes a slice of no-store runs. The outer join makes a database start with those instead of all runs.</summary>
    bool DeleteUnkept(SqlSession session)
    {
        var slice = session
            .Sql(
                """
                SELECT u.run_id, r.event_id, r.first_delivery, r.delivery_count, r.started_at, r.id IS NOT NULL
                FROM unkept u LEFT JOIN runs r ON r.id = u.run_id WHERE u.run_id > ? ORDER BY u.run_id LIMIT ?
                """
            )
            .Set(passedUnkept)
            .Set(limits.PruneRuns)
            .All(static row => (Run: ReadRun(row), HasEnded: row.Int(5) != 0));
        foreach (var (run, hasEnded) in slice)
            if (hasEnded && !HasUnfinished(session, run))
                Delete(session, run);
        bool more = slice.Count == limits.PruneRuns;
        passedUnkept = more ? slice[^1].Run.Id : 0;
        return more;
    }

    bool DeleteAlone(SqlSession session, long before) =>
        session
            .Sql(
                """
                DELETE FROM events WHERE id IN (
                    SELECT id FROM events WHERE run_id = 0 AND received_at < ? AND NOT EXISTS (SELECT 1 FROM replays WHERE event_id = events.id)
                    ORDER BY received_at LIMIT ?)
                """
            )
            .Set(before)
            .Set(limits.PruneRuns)
            .Run() == limits.PruneRuns;

    /// <summary>Deletes a slice of a deleted workflow's data, finished or not.</summary>
    void DeleteHistory(SqlSession session, long workflow)
    {
        if (DeleteRuns(session, workflow) || DeleteEvents(session, workflow) || DeleteRest(session, workflow))
            return;
        session.Sql("DELETE FROM deletions WHERE workflow_id = ?").Set(workflow).Run();
    }

    bool DeleteRuns(SqlSession session, long workflow)
    {
        var runs = session
            .Sql("SELECT id, event_id, first_delivery, delivery_count, started_at FROM runs WHERE workflow_id = ? LIMIT ?")
            .Set(workflow)
            .Set(limits.PruneRuns)
            .All(ReadRun);
        foreach (var run in runs)
            Delete(session, run);
        return runs.Count > 0;
    }

    /// <summary>Events with unfinished runs, and the data of those.</summary>
    bool DeleteEvents(SqlSession session, long workflow)
    {
        var events = session
            .Sql("SELECT id, run_id FROM events WHERE workflow_id = ? LIMIT ?")
            .Set(workflow)
            .Set(limits.PruneRuns)
            .All(static row => (Id: row.Long(0), Run: row.Long(1)));
        foreach (var (id, run) in events)
        {
            session.Sql("DELETE FROM held WHERE run_id = ?").Set(run).Run();
            session.Sql("DELETE FROM unkept WHERE run_id = ?").Set(run).Run();
            session.Sql("DELETE FROM replays WHERE event_id = ?").Set(id).Run();
            session.Sql("DELETE FROM emissions WHERE event_id = ?").Set(id).Run();
            session.Sql("DELETE FROM events WHERE id = ?").Set(id).Run();
        }
        return events.Count > 0;
    }

    static bool DeleteRest(SqlSession session, long workflow)
    {
        long rows =
            session
                .Sql(
                    """
                    DELETE FROM versions WHERE workflow_id = ?1 AND number IN (
                        SELECT number FROM versions WHERE workflow_id = ?1 LIMIT ?2)
                    """
                )
                .Set(workflow)
                .Set(SliceVersions)
                .Run()
            + session
                .Sql("DELETE FROM publications WHERE id IN (SELECT id FROM publications WHERE workflow_id = ? LIMIT ?)")
                .Set(workflow)
                .Set(SliceRows)
                .Run()
            + session
                .Sql(
                    $"""
                    DELETE FROM store_values WHERE id IN (
                        SELECT v.id FROM stores s {session.Dialect.Join} store_values v ON v.store_id = s.id WHERE s.workflow_id = ? LIMIT ?)
                    """
                )
                .Set(workflow)
                .Set(SliceRows)
                .Run()
            + session
                .Sql("DELETE FROM source_ids WHERE id IN (SELECT id FROM source_ids WHERE workflow_id = ? LIMIT ?)")
                .Set(workflow)
                .Set(SliceRows)
                .Run();
        if (rows > 0)
            return true;
        session.Sql("DELETE FROM sources WHERE workflow_id = ?").Set(workflow).Run();
        session.Sql("DELETE FROM stores WHERE workflow_id = ?").Set(workflow).Run();
        session.Sql("DELETE FROM usage WHERE workflow_id = ?").Set(workflow).Run();
        return false;
    }

    readonly record struct PrunedRun(long Id, long EventId, long FirstDelivery, long LastDelivery, long StartedAt);

    static PrunedRun ReadRun(SqlStatement row)
    {
        long first = row.Long(2);
        return new(row.Long(0), row.Long(1), first, first + (row.Long(3) - 1) * IdSequence.Stride, row.Long(4));
    }

    /// <summary>A delivery in flight, or an unfinished next segment.</summary>
    static bool HasUnfinished(SqlSession session, in PrunedRun run) =>
        session
            .Sql("SELECT 1 FROM deliveries WHERE id BETWEEN ? AND ? AND status < 4 LIMIT 1")
            .Set(run.FirstDelivery)
            .Set(run.LastDelivery)
            .Number()
            is not null
        || session.Sql("SELECT 1 FROM suspensions WHERE run_id = ? AND state IS NOT NULL").Set(run.Id).Number() is not null;

    static long Delete(SqlSession session, PrunedRun run)
    {
        long rows = session.Sql("DELETE FROM runs WHERE id = ?").Set(run.Id).Run();
        if (run.LastDelivery >= run.FirstDelivery)
        {
            rows += session.Sql("DELETE FROM deliveries WHERE id BETWEEN ? AND ?").Set(run.FirstDelivery).Set(run.LastDelivery).Run();
            rows += session.Sql("DELETE FROM attempts WHERE id BETWEEN ? AND ?").Set(run.FirstDelivery).Set(run.LastDelivery).Run();
            rows += session
                .Sql("DELETE FROM attempts WHERE number > 1 AND delivery_id BETWEEN ? AND ?")
                .Set(run.FirstDelivery)
                .Set(run.LastDelivery)
                .Run();
        }
        rows += session.Sql("DELETE FROM replays WHERE run_id = ?").Set(run.Id).Run();
        rows += session.Sql("DELETE FROM recoveries WHERE run_id = ?").Set(run.Id).Run();
        session.Sql("DELETE FROM unkept WHERE run_id = ?").Set(run.Id).Run();
        session.Sql("DELETE FROM suspensions WHERE run_id = ?").Set(run.Id).Run();
        return rows + DeleteEvent(session, run);
    }

    /// <summary>An event is deleted with its last run. If its first run is deleted earlier, the event is marked, because a start would
    /// consider it unfinished.</summary>
    static long DeleteEvent(SqlSession session, in PrunedRun run)
    {
        session.Sql("UPDATE events SET run_id = 0 WHERE id = ? AND run_id = ?").Set(run.EventId).Set(run.Id).Run();
        session.Sql("DELETE FROM emissions WHERE event_id = ?").Set(run.EventId).Run();
        return session
            .Sql(
                """
                DELETE FROM events WHERE id = ? AND run_id = 0 AND NOT EXISTS (SELECT 1 FROM replays WHERE event_id = events.id)
                """
            )
            .Set(run.EventId)
            .Run();
    }

    /// <summary>Bytes used by rows.</summary>
    protected abstract long UsedBytes(SqlSession session);

    /// <summary>Returns a limited part of the free space to the disk.</summary>
    /// <returns>Whether there is more free space.</returns>
    protected abstract bool GiveBack(SqlSession session, long maxBytes);
}
