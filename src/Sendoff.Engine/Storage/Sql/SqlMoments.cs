namespace Sendoff.Engine.Storage.Sql;

/// <summary>Converts a time range to a range of ids, even if ids were created while the clock was ahead, because later ids are
/// higher.</summary>
internal static class SqlMoments
{
    /// <summary>The lowest id that a row created at this time or later can have.</summary>
    /// <param name="tolerance">How far the times of a row and its id may differ with a correct clock.</param>
    public static long LowestAt(SqlSession session, DateTimeOffset moment, TimeSpan tolerance)
    {
        long lowest = IdSequence.LowestAt(moment);
        if (From(session, lowest) is not { } first || !IsAhead(first, tolerance))
            return lowest;
        // These ids do not contain the correct time, but are ordered like the times of the runs.
        long low = first.Id,
            high = session.Sql("SELECT max(id) FROM runs").Number()!.Value + 1,
            sought = SqlTime.From(moment);
        while (low < high)
        {
            long middle = low + (high - low) / 2;
            if (From(session, middle) is not { } run || run.Id >= high || Made(run, tolerance) >= sought)
                high = middle;
            else
                low = run.Id + 1;
        }
        return Math.Max(lowest, After(session, low - 1));
    }

    readonly record struct RunTime(long Id, long StartedAt);

    static RunTime? From(SqlSession session, long id) =>
        session
            .Sql("SELECT id, started_at FROM runs WHERE id >= ? ORDER BY id LIMIT 1")
            .Set(id)
            .FirstOrDefault(static row => (RunTime?)new RunTime(row.Long(0), row.Long(1)));

    static bool IsAhead(RunTime run, TimeSpan tolerance) => run.StartedAt < OfId(run) - SqlTime.From(tolerance);

    static long Made(RunTime run, TimeSpan tolerance) => IsAhead(run, tolerance) ? run.StartedAt : OfId(run);

    static long OfId(RunTime run) => SqlTime.From(IdSequence.MomentOf(run.Id));

    /// <summary>The lowest id after all ids of the last run.</summary>
    static long After(SqlSession session, long run) =>
        session
            .Sql(
                $"""
                SELECT {session.Dialect.Greatest(
                    "id",
                    $"first_delivery + (delivery_count - 1) * {IdSequence.Stride}"
                )} + 1 FROM runs WHERE id <= ? ORDER BY id DESC LIMIT 1
                """
            )
            .Set(run)
            .Number()
        ?? run + 1;
}
