namespace Sendoff.Engine.Storage.Sqlite;

/// <summary>A span of time as a range of ids, also where a clock that was ahead made ids of times that had not come: those made after it
/// was set right are above them.</summary>
internal static class SqliteMoments
{
    /// <summary>No row made at this moment or later has a lower id.</summary>
    /// <param name="tolerance">How far the times of a row and of its id may differ while the clock is right.</param>
    public static long LowestAt(SqliteSession session, DateTimeOffset moment, TimeSpan tolerance)
    {
        long lowest = IdSequence.LowestAt(moment);
        if (From(session, lowest) is not { } first || !IsAhead(first, tolerance))
            return lowest;
        // Ids there do not say when they were made, but grow with the time that the runs do have.
        long low = first.Id,
            high = session.Sql("SELECT max(id) FROM runs").Number()!.Value + 1,
            sought = SqliteTime.From(moment);
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

    static RunTime? From(SqliteSession session, long id) =>
        session
            .Sql("SELECT id, started_at FROM runs WHERE id >= ? ORDER BY id LIMIT 1")
            .Set(id)
            .FirstOrDefault(static row => (RunTime?)new RunTime(row.Long(0), row.Long(1)));

    static bool IsAhead(RunTime run, TimeSpan tolerance) => run.StartedAt < OfId(run) - SqliteTime.From(tolerance);

    static long Made(RunTime run, TimeSpan tolerance) => IsAhead(run, tolerance) ? run.StartedAt : OfId(run);

    static long OfId(RunTime run) => SqliteTime.From(IdSequence.MomentOf(run.Id));

    /// <summary>Above all that the last run made.</summary>
    static long After(SqliteSession session, long run) =>
        session
            .Sql(
                $"""
                SELECT max(id, first_delivery + (delivery_count - 1) * {IdSequence.Stride}) + 1 FROM runs WHERE id <= ? ORDER BY id DESC LIMIT 1
                """
            )
            .Set(run)
            .Number()
        ?? run + 1;
}
