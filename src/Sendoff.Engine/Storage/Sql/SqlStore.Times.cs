namespace Sendoff.Engine.Storage.Sql;

/// <summary>Corrects times that were stored while the clock was ahead. Otherwise they would delay pruning, suspended runs and
/// expiry.</summary>
internal abstract partial class SqlStore
{
    const int TimesAtOnce = 1_000;

    public async Task<long> CorrectTimesAsync(CancellationToken ct)
    {
        long corrected = await WriteAsync(OutageRule.Probe, CorrectFew, ct);
        // Ids contain the time too, so only rows with ids of the future can have such times. Rows are checked only once.
        long? after = Math.Max(
            IdSequence.LowestAt(time.GetUtcNow() + limits.ClockTolerance) - 1,
            await readers.ReadAsync(static session => session.Number(CorrectedTo), ct)
        );
        while (after is { } from)
        {
            var (last, count) = await WriteAsync(OutageRule.Probe, session => CorrectRuns(session, from), ct);
            (after, corrected) = (last, corrected + count);
        }
        if (corrected > 0)
            log.TimesCorrected(corrected);
        return corrected;
    }

    const string CorrectedTo = "SELECT value FROM meta WHERE name = 'times_corrected_to'";

    (long? Last, int Corrected) CorrectRuns(SqlSession session, long after)
    {
        long now = Now,
            ahead = now + SqlTime.From(limits.ClockTolerance);
        var runs = session
            .Sql("SELECT id, started_at FROM runs WHERE id > ? ORDER BY id LIMIT ?")
            .Set(after)
            .Set(TimesAtOnce)
            .All(static row => (Id: row.Long(0), StartedAt: row.Long(1)));
        if (runs.Count == 0)
            return (null, 0);
        int corrected = 0;
        foreach (var (id, startedAt) in runs.Where(run => run.StartedAt > ahead))
        {
            // The remaining time of a suspension does not change.
            session
                .Sql("UPDATE suspensions SET until = until - ? WHERE run_id = ? AND continued_by IS NULL")
                .Set(startedAt - now)
                .Set(id)
                .Run();
            corrected += session.Sql("UPDATE runs SET started_at = ? WHERE id = ?").Set(now).Set(id).Run();
        }
        session
            .Sql("INSERT INTO meta(name, value) VALUES ('times_corrected_to', ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value")
            .Set(runs[^1].Id)
            .Run();
        return (runs[^1].Id, corrected);
    }

    /// <summary>Tables that are small or have an index.</summary>
    long CorrectFew(SqlSession session)
    {
        long now = Now,
            ahead = now + SqlTime.From(limits.ClockTolerance);
        return session.Sql("UPDATE secrets SET replaced_at = ? WHERE replaced_at > ?").Set(now).Set(ahead).Run()
            + session
                .Sql($"UPDATE events {session.Dialect.Index("events_alone")} SET received_at = ? WHERE run_id = 0 AND received_at > ?")
                .Set(now)
                .Set(ahead)
                .Run()
            + session
                .Sql(
                    "UPDATE store_values SET expires_at = expires_at - (changed_at - ?1), "
                        + "changed_at = ?1 WHERE expires_at > ?2 AND changed_at > ?2"
                )
                .Set(now)
                .Set(ahead)
                .Run()
            + CorrectUsage(session, SqlTime.Hour(time.GetUtcNow() + limits.ClockTolerance));
    }

    public const string UsageColumns = "workflow_id, hour, runs, runs_failed, compute_us, deliveries, deliveries_failed, delivery_us";

    public static string AddToUsage(SqlDialect dialect) =>
        $"""
            ON CONFLICT{dialect.UsageKey} DO UPDATE SET runs = usage.runs + excluded.runs, runs_failed = usage.runs_failed + excluded.runs_failed,
                compute_us = usage.compute_us + excluded.compute_us, deliveries = usage.deliveries + excluded.deliveries,
                deliveries_failed = usage.deliveries_failed + excluded.deliveries_failed, delivery_us = usage.delivery_us + excluded.delivery_us
            """;

    // Usage in future hours is moved to now, and counts towards the daily quota.
    static long CorrectUsage(SqlSession session, long hour)
    {
        session
            .Sql(
                $"""
                INSERT INTO usage({UsageColumns})
                SELECT w.id, ?1, sum(u.runs), sum(u.runs_failed), sum(u.compute_us), sum(u.deliveries), sum(u.deliveries_failed), sum(u.delivery_us)
                FROM workflows w {session.Dialect.Join} usage u ON u.workflow_id = w.id WHERE u.hour > ?1 GROUP BY w.id {AddToUsage(
                    session.Dialect
                )}
                """
            )
            .Set(hour)
            .Run();
        return session.Sql("DELETE FROM usage WHERE workflow_id IN (SELECT id FROM workflows) AND hour > ?").Set(hour).Run();
    }
}
