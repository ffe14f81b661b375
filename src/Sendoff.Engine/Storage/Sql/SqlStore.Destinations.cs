namespace Sendoff.Engine.Storage.Sql;

internal abstract partial class SqlStore
{
    public Task<DestinationSummary> SummarizeDestinationsAsync(DestinationFilter filter, CancellationToken ct) =>
        readers.ReadAsync(session => Summarize(session, filter), ct);

    DestinationSummary Summarize(SqlSession session, DestinationFilter filter)
    {
        long first = IdsOf(session, filter.Since, null).First;
        long? cut = session
            .Sql("SELECT id FROM deliveries WHERE id >= ? ORDER BY id DESC LIMIT 1 OFFSET ?")
            .Set(first)
            .Set(filter.Most)
            .Number();
        long low = cut + 1 ?? first;
        var rows = ReadTotals(session, filter, low).ToLookup(static row => row.Kind);
        var errors = rows[TotalsKind.Error].ToLookup(static row => row.Destination!, static row => row.ToError());
        var times = rows[TotalsKind.Time].ToDictionary(static row => row.Destination!);
        var found = rows[TotalsKind.Destination]
            .OrderByDescending(static row => row.C)
            .ThenByDescending(static row => row.A)
            .ThenBy(static row => row.Destination, StringComparer.Ordinal)
            .Select(row =>
            {
                TotalsRow? time = times.TryGetValue(row.Destination!, out var measured) ? measured : null;
                return new DestinationTotals(
                    row.Destination!,
                    row.Text!,
                    row.A,
                    row.B,
                    row.C,
                    SqlTime.Ms(time?.A),
                    SqlTime.Ms(time?.B),
                    [.. errors[row.Destination!].OrderByDescending(static error => error.Count)],
                    row.D == 0 ? null : ReadOutcome(session, row.D)
                );
            })
            .ToList();
        return new(
            found.Count > filter.MostDestinations ? found[..filter.MostDestinations] : found,
            PartsOf(filter, rows[TotalsKind.Part]),
            filter.Destination is { } destination ? ListFailures(session, destination, low, filter.LastFailures) : [],
            cut is not null,
            found.Count > filter.MostDestinations
        );
    }

    /// <summary>Ids that were created while the clock was ahead count in the last part.</summary>
    static PartTotals[] PartsOf(DestinationFilter filter, IEnumerable<TotalsRow> rows)
    {
        var parts = new PartTotals[filter.Parts];
        foreach (var row in rows)
        {
            ref var part = ref parts[Math.Clamp(row.A, 0, filter.Parts - 1)];
            part = new(part.Deliveries + row.B, part.Failed + row.C);
        }
        return parts;
    }

    enum TotalsKind
    {
        None,
        Destination,
        Part,
        Error,
        Time,
    }

    readonly record struct TotalsRow(TotalsKind Kind, string? Destination, string? Text, string? Phase, long A, long B, long C, long D)
    {
        public ErrorTotals ToError() =>
            new(
                Text is null ? null : Enum.Parse<AttemptErrorCode>(Text),
                Phase is null ? null : Enum.Parse<AttemptPhase>(Phase),
                B == 0 ? null : (int)B,
                (DeliveryStatus)C,
                A
            );
    }

    /// <summary>Reads each delivery once. Columns of all kinds have the same types, as PostgreSQL requires.</summary>
    static List<TotalsRow> ReadTotals(SqlSession session, DestinationFilter filter, long first)
    {
        var dialect = session.Dialect;
        long start = IdSequence.LowestAt(filter.Since),
            width = Math.Max(1, (IdSequence.LowestAt(filter.Until) - start) / filter.Parts);
        var statement = session
            .Sql(
                $"""
                WITH found AS MATERIALIZED (
                    SELECT d.id, d.destination, w.name, d.status, (d.id - ?1) / ?2 AS part,
                        CASE WHEN d.status IN (4, 5) THEN a.total_us END AS total_us,
                        CASE WHEN d.status IN (5, 6, 7) THEN d.id END AS failed,
                        CASE WHEN d.status IN (5, 6, 7) THEN {dialect.JsonText("d.error", "code")} END AS code,
                        CASE WHEN d.status IN (5, 6, 7) THEN {dialect.JsonText("d.error", "phase")} END AS phase,
                        CASE WHEN d.status IN (5, 6, 7) AND d.error IS NULL THEN a.response_status / 100 END AS class
                    FROM deliveries d {dialect.Join} workflows w ON w.id = d.workflow_id LEFT JOIN attempts a ON a.id = {LastAttemptId}
                    WHERE d.id >= ?3{(filter.Destination is null ? "" : " AND d.destination = ?5")}),
                totals AS MATERIALIZED (
                    SELECT destination, min(name) AS name, count(*) AS deliveries, count(CASE WHEN status = 4 THEN 1 END) AS succeeded,
                        count(failed) AS failures, max(failed) AS last_failed, count(total_us) AS timed
                    FROM found GROUP BY destination ORDER BY count(failed) DESC, count(*) DESC, destination LIMIT ?4),
                ranked AS (
                    SELECT destination, total_us, row_number() OVER (PARTITION BY destination ORDER BY total_us) AS place
                    FROM found WHERE total_us IS NOT NULL)
                SELECT 1, destination, name, NULL, deliveries, succeeded, failures, coalesce(last_failed, 0) FROM totals
                UNION ALL
                SELECT 2, NULL, NULL, NULL, part, count(*), count(failed), 0 FROM found GROUP BY part
                UNION ALL
                SELECT 3, destination, code, phase, count(*), coalesce(class, 0), max(status), 0
                FROM found WHERE failed IS NOT NULL AND destination IN (SELECT destination FROM totals)
                GROUP BY destination, code, phase, class
                UNION ALL
                SELECT 4, totals.destination, NULL, NULL, max(CASE WHEN place = (timed + 1) / 2 THEN total_us END), max(total_us), 0, 0
                FROM totals JOIN ranked ON ranked.destination = totals.destination
                WHERE place IN ((timed + 1) / 2, (99 * timed + 99) / 100) GROUP BY totals.destination
                """
            )
            .Set(start)
            .Set(width)
            .Set(first)
            .Set(filter.MostDestinations + 1);
        return (filter.Destination is { } destination ? statement.Set(destination) : statement).All(static row => new TotalsRow(
            (TotalsKind)row.Int(0),
            row.TextOrNull(1),
            row.TextOrNull(2),
            row.TextOrNull(3),
            row.Long(4),
            row.Long(5),
            row.Long(6),
            row.Long(7)
        ));
    }

    static List<Outcome> ListFailures(SqlSession session, string destination, long first, int limit) =>
        [
            .. session
                .Sql(
                    """
                    SELECT id FROM deliveries WHERE id >= ? AND destination = ? AND status > 4 AND status IN (5, 6, 7)
                    ORDER BY id DESC LIMIT ?
                    """
                )
                .Set(first)
                .Set(destination)
                .Set(limit)
                .All(static row => row.Long(0))
                .Select(id => ReadOutcome(session, id))
                .OfType<Outcome>(),
        ];
}
