namespace Sendoff.Engine.Storage.Sql;

internal abstract partial class SqlStore
{
    // At a start.

    public Task<IReadOnlyList<QueuedRun>> ListUnfinishedRunsAsync(int limit, RunId? after, CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<QueuedRun>>(
            session =>
                [
                    .. unfinished
                        .ListLeft(session, after?.Value ?? 0, limit)
                        .Select(run => (Run: run, Event: ReadEvent(session, run.EventId)))
                        .Where(static found => found.Event is not null)
                        .Select(static found => new QueuedRun(
                            new(found.Run.RunId),
                            found.Event!,
                            found.Run.Version,
                            found.Run.Replay,
                            Recovered: found.Run.Left,
                            Captured: found.Run.Captured
                        )
                        {
                            Continues = found.Run.Continues == 0 ? null : new(new(found.Run.Continues)),
                        }),
                ],
            ct
        );

    /// <summary>Skips from one destination to the next in the index of pending deliveries.</summary>
    public Task<IReadOnlyList<string>> ListPendingDestinationsAsync(CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<string>>(
            static session =>
                session
                    .Sql(
                        $"""
                        WITH RECURSIVE found(destination) AS (
                            SELECT min(destination) FROM deliveries WHERE status = 2{session.Dialect.Own}
                            UNION ALL
                            SELECT (SELECT min(destination) FROM deliveries WHERE status = 2{session.Dialect.Own} AND destination > found.destination) FROM found
                            WHERE found.destination IS NOT NULL)
                        SELECT destination FROM found WHERE destination IS NOT NULL
                        """
                    )
                    .All(static row => row.Text(0)),
            ct
        );

    public Task<IReadOnlyList<Delivery>> ListPendingAsync(string destination, DeliveryId? after, int limit, CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<Delivery>>(
            session =>
                session
                    .Sql(
                        $"""
                        SELECT {DeliveryColumns}, {LastAttempt}, sealed FROM deliveries d
                        WHERE status = 2{session.Dialect.Own} AND destination = ? AND id > ? AND +workflow_id IN (SELECT id FROM workflows) ORDER BY id LIMIT ?
                        """
                    )
                    .Set(destination)
                    .Set(after?.Value ?? 0)
                    .Set(limit)
                    .All(ReadPending),
            ct
        );

    const string LastAttempt = """
        (SELECT coalesce(max(number), 0) FROM (
            SELECT number FROM attempts WHERE id = d.id UNION ALL SELECT number FROM attempts WHERE delivery_id = d.id AND number > 1) AS numbers)
        """;

    static Delivery ReadPending(SqlStatement row) => ReadDelivery(row) with { Attempts = row.Int(13), Sealed = row.Bytes(14) };

    // Runs.

    // Unfinished runs are read first, because a run that ends in between is then found among the others.
    public Task<StoredRun?> GetRunAsync(RunId run, CancellationToken ct)
    {
        var budget = new ContentBudget(limits);
        return readers.ReadAsync(
            session =>
            {
                var queued = unfinished.Find(session, run.Value);
                return ReadRun(session, run) is { } ended
                        ? new StoredRun(
                            ended.Run,
                            ended.Name,
                            [.. ended.Blocks.SelectMany(block => ReadDeliveries(session, ended.Name, block, budget))]
                        )
                    : queued is { } found && ReadQueued(session, found) is { } waiting ? new StoredRun(waiting.Run, waiting.Name, [])
                    : null;
            },
            ct
        );
    }

    public Task<RunOutline?> GetRunOutlineAsync(RunId run, CancellationToken ct) =>
        readers.ReadAsync(
            session =>
            {
                var queued = unfinished.Find(session, run.Value);
                return ReadRun(session, run) is { } ended
                        ? new RunOutline(ended.Run, ended.Name, [.. ended.Blocks.SelectMany(block => ReadHeads(session, block))])
                    : queued is { } found && ReadQueued(session, found) is { } waiting ? new RunOutline(waiting.Run, waiting.Name, [])
                    : null;
            },
            ct
        );

    /// <summary>A run's end with the blocks of its deliveries' ids: its own and those of the segments before.</summary>
    static (Run Run, string Name, List<Block> Blocks)? ReadRun(SqlSession session, RunId id)
    {
        var (run, name, first, count) = session
            .Sql(
                """
                SELECT r.id, r.event_id, r.workspace_id, r.workflow_id, r.version, r.trigger, r.status, r.started_at, r.duration_us, r.compute_us, r.flags,
                    r.error, r.message, r.response, r.steps, w.name, r.first_delivery, r.delivery_count
                FROM runs r JOIN workflows w ON w.id = r.workflow_id WHERE r.id = ?
                """
            )
            .Set(id.Value)
            .FirstOrDefault(static row => (ReadRun(row), row.Text(15), row.Long(16), row.Int(17)));
        return run is null ? null : WithSegments(session, run, name, new(first, count));
    }

    public Task<IReadOnlyList<RunId>> ListHeldAsync(int limit, CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<RunId>>(
            session => [.. unfinished.ListHeld(session, limit).Select(static run => new RunId(run))],
            ct
        );

    public async Task<QueuedRun?> ReleaseAsync(RunId run, CancellationToken ct)
    {
        UnfinishedRun? released = null;
        bool isReleased;
        try
        {
            isReleased = await WriteAsync(
                OutageRule.Refuse,
                session =>
                {
                    released = unfinished.Find(session, run.Value);
                    if (released is not { Held: true } || session.Sql("DELETE FROM held WHERE run_id = ?").Set(run.Value).Run() == 0)
                        return false;
                    unfinished.Release(session, released.Value);
                    return true;
                },
                ct,
                session => released = released is { } one && workflows.Has(session, one.WorkflowId) ? one : null
            );
        }
        catch (StoreUnavailableException)
        {
            Doubt(run);
            throw;
        }
        if (!isReleased || released is not { } held)
            return null;
        var received = new Event(
            new(held.EventId),
            WorkspaceId.Default,
            new(held.WorkflowId),
            held.Trigger,
            SqlTime.Moment(held.ReceivedAt),
            default
        );
        return new(run, received, held.Version);
    }

    const string SuspensionColumns = "run_id, workflow_id, kind, step, until, state, callback, continued_by";

    /// <summary>Maximum number of segments whose deliveries are shown, the last ones.</summary>
    const int SegmentsShown = 100;

    static Suspension ReadSuspension(SqlStatement row) =>
        new(new(row.Long(0)), new(row.Long(1)), (HoldKind)row.Int(2), row.Int(3), SqlTime.Moment(row.Long(4)), row.Bytes(5))
        {
            Callback = row.Bytes(6),
            ContinuedBy = row.Long(7) is var next and not 0 ? new RunId(next) : null,
        };

    // B3: its suspension, and the deliveries of earlier segments.
    static (Run, string, List<Block>) WithSegments(SqlSession session, Run run, string name, Block own)
    {
        var held = session
            .Sql($"SELECT {SuspensionColumns} FROM suspensions WHERE run_id = ?")
            .Set(run.Id.Value)
            .FirstOrDefault(ReadSuspension);
        List<Block> blocks = [own];
        RunId? continues = null;
        var at = run.Id.Value;
        for (int i = 0; run.IsContinuation && i < SegmentsShown; i++)
        {
            var (before, first, count) = session
                .Sql(
                    """
                    SELECT r.id, r.first_delivery, r.delivery_count FROM suspensions s JOIN runs r ON r.id = s.run_id WHERE s.continued_by = ?
                    """
                )
                .Set(at)
                .FirstOrDefault(static row => (row.Long(0), row.Long(1), row.Int(2)));
            if (before == 0)
                break;
            continues ??= new RunId(before);
            blocks.Insert(0, new(first, count));
            at = before;
        }
        run = run with
        {
            Continues = continues,
            Suspension = held is null ? null : held with { State = default, Callback = default },
            ContinuedBy = held?.ContinuedBy,
        };
        return (run, name, blocks);
    }

    /// <summary>The ids of a run's deliveries.</summary>
    readonly record struct Block(long First, int Count)
    {
        public long Last => First + (Count - 1) * IdSequence.Stride;
    }

    public Task<Suspension?> GetSuspensionAsync(RunId run, CancellationToken ct) =>
        readers.ReadAsync(
            session =>
                session
                    .Sql(
                        $"""
                        SELECT {SuspensionColumns} FROM suspensions WHERE run_id = ? AND state IS NOT NULL AND workflow_id IN (SELECT id FROM workflows)
                        """
                    )
                    .Set(run.Value)
                    .FirstOrDefault(ReadSuspension),
            ct
        );

    public Task<IReadOnlyList<SuspensionHead>> ListSuspendedAsync(
        int limit,
        IReadOnlyCollection<WorkflowId> except,
        CancellationToken ct
    ) =>
        readers.ReadAsync<IReadOnlyList<SuspensionHead>>(
            session =>
                session
                    .Sql(
                        $"""
                        SELECT run_id, workflow_id, kind, until FROM suspensions {session.Dialect.Index("suspensions_due")}
                        WHERE continued_by IS NULL AND workflow_id IN (SELECT id FROM workflows) AND NOT ({session.Dialect.IsIn(
                            "workflow_id",
                            "?"
                        )})
                        ORDER BY until LIMIT ?
                        """
                    )
                    .Set(string.Join(',', except.Select(static workflow => workflow.Value)))
                    .Set(limit)
                    .All(static row => new SuspensionHead(
                        new(row.Long(0)),
                        new(row.Long(1)),
                        (HoldKind)row.Int(2),
                        SqlTime.Moment(row.Long(3))
                    )),
            ct
        );

    /// <summary>The run of a continuation, and those of its earlier segments.</summary>
    public const string Segments = """
        WITH RECURSIVE segments(id) AS (VALUES (?) UNION ALL SELECT s.run_id FROM segments JOIN suspensions s ON s.continued_by = segments.id)
        """;

    public static readonly string DeliveriesOfSegments = $"""
        segments JOIN runs r ON r.id = segments.id
            JOIN deliveries d ON d.id BETWEEN r.first_delivery AND r.first_delivery + (r.delivery_count - 1) * {IdSequence.Stride}
        """;

    public Task<IReadOnlyDictionary<string, DeliveryId>> ListReleasedAsync(RunId run, CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyDictionary<string, DeliveryId>>(
            session =>
                session
                    .Sql(
                        $"{Segments} SELECT d.destination, min(d.id) FROM {DeliveriesOfSegments} WHERE d.status = 2 GROUP BY d.destination"
                    )
                    .Set(run.Value)
                    .All(static row => (Destination: row.Text(0), First: new DeliveryId(row.Long(1))))
                    .ToDictionary(static one => one.Destination, static one => one.First),
            ct
        );

    public Task<bool> CancelAsync(RunId run, StepError why, CancellationToken ct) =>
        WriteAsync(
            OutageRule.Refuse,
            session =>
            {
                if (session.Sql("DELETE FROM suspensions WHERE run_id = ? AND continued_by IS NULL").Set(run.Value).Run() == 0)
                    return false;
                session
                    .Sql("UPDATE runs SET status = ?, message = ?, error = ? WHERE id = ?")
                    .Set((int)RunStatus.Failed)
                    .Set(why.Message)
                    .Set(StoredJson.StepError(why))
                    .Set(run.Value)
                    .Run();
                return true;
            },
            ct
        );

    static Run ReadRun(SqlStatement row) =>
        new(
            new(row.Long(0)),
            new(row.Long(1)),
            new(row.Int(2)),
            new(row.Long(3)),
            row.Int(4),
            row.Text(5),
            (RunStatus)row.Int(6),
            SqlTime.Moment(row.Long(7)),
            SqlTime.Span(row.Long(8)),
            SqlTime.Span(row.Long(9)),
            Recovered: (row.Int(10) & 1) != 0,
            Replay: (row.Int(10) & 2) != 0,
            StoredJson.ReadStepError(row.Blob(11)),
            row.TextOrNull(12),
            StoredJson.ReadResponse(row.Blob(13)),
            StoredJson.ReadSteps(row.Blob(14))
        )
        {
            IsContinuation = (row.Int(10) & 4) != 0,
        };

    static (Run Run, string Name)? ReadQueued(SqlSession session, UnfinishedRun queued)
    {
        if (WorkflowName(session, queued.WorkflowId) is not { } name || ReadEvent(session, queued.EventId) is not { } received)
            return null;
        var run = new Run(
            new(queued.RunId),
            received.Id,
            received.WorkspaceId,
            received.WorkflowId,
            queued.Version,
            received.Trigger,
            queued.Status,
            received.ReceivedAt,
            TimeSpan.Zero,
            TimeSpan.Zero,
            queued.Left,
            queued.Replay,
            Error: null,
            Message: null,
            Response: null,
            Steps: []
        );
        return (run, name);
    }

    public Task<Page<RunSummary>> ListRunsAsync(RunFilter filter, CancellationToken ct) =>
        readers.ReadAsync(session => ListRuns(session, filter), ct);

    Page<RunSummary> ListRuns(SqlSession session, RunFilter filter)
    {
        if (!TryFindWorkflow(session, filter.Workflow, out long? workflow))
            return new([], null);
        var span = IdsOf(session, filter.Since, filter.Until);
        var queued = ListQueued(session, filter, workflow, span);
        // The index of unsuccessful runs can be used for one status at a time.
        SqlFilter[] parts =
        [
            .. (filter.Statuses is { } statuses ? statuses.Distinct().Select(static status => (RunStatus?)status) : [null])
                .Where(static status => status is not (RunStatus.Queued or RunStatus.Held))
                .Select(status => EndedFilter(filter, status, workflow, span)),
        ];
        long? searchedTo = filter.IsSearch ? parts.Max(part => SearchedTo(session, part, filter, workflow, span)) : null;
        var ended = parts.SelectMany(part => ListEnded(session, part, filter, span, searchedTo)).ToList();
        var known = ended.Select(static run => run.Id.Value).ToHashSet();
        var waiting = SummariesOf(session, queued.Where(run => !known.Contains(run.RunId)));
        var newest = ended.Concat(waiting).OrderByDescending(static run => run.Id.Value).Take(filter.Limit + 1).ToList();
        var page = PageOf(newest, filter.Limit, static run => run.Id.Value);
        return page with { Next = page.Next ?? searchedTo };
    }

    List<UnfinishedRun> ListQueued(SqlSession session, RunFilter filter, long? workflow, (long First, long End) span)
    {
        bool queued = filter.Has(RunStatus.Queued),
            held = filter.Has(RunStatus.Held);
        if (filter.IsSearch || !queued && !held)
            return [];
        long end = Math.Min(filter.Before ?? long.MaxValue, span.End);
        return unfinished.List(session, new(span.First, end, workflow, Held: queued && held ? null : held, Limit: filter.Limit + 1));
    }

    /// <summary>The last run of a search; null if it reaches the end.</summary>
    static long? SearchedTo(SqlSession session, SqlFilter where, RunFilter filter, long? workflow, (long First, long End) span)
    {
        long? byRuns = where
            .Set(session.Sql($"SELECT id FROM runs WHERE {where} ORDER BY id DESC LIMIT 1 OFFSET {RunFilter.Searched - 1}"))
            .Number();
        if (filter.Text is null)
            return byRuns;
        // A run may have a thousand sends, which are searched too.
        var sends = new SqlFilter().Ids(filter.Before, span).And("workflow_id = ?", workflow);
        long? bySends = sends
            .Set(session.Sql($"SELECT run_id FROM deliveries WHERE {sends} ORDER BY id DESC LIMIT 1 OFFSET {RunFilter.Searched - 1}"))
            .Number();
        return bySends > (byRuns ?? 0) ? bySends : byRuns;
    }

    static SqlFilter EndedFilter(RunFilter filter, RunStatus? status, long? workflow, (long First, long End) span)
    {
        var where = new SqlFilter().Ids(filter.Before, span).And("workflow_id = ?", workflow);
        // SQLite uses a partial index only if the query repeats its condition.
        if (status is not null)
            where.And((status is RunStatus.Succeeded ? "" : "status <> 2 AND ") + $"status = {(int)status}");
        return where;
    }

    /// <summary>Lists unfinished runs, without those of deleted workflows.</summary>
    static IEnumerable<RunSummary> SummariesOf(SqlSession session, IEnumerable<UnfinishedRun> runs) =>
        runs.Select(run => Summary(run, WorkflowName(session, run.WorkflowId))).OfType<RunSummary>();

    static RunSummary? Summary(UnfinishedRun run, string? name) =>
        name is null
            ? null
            : new(
                new(run.RunId),
                new(run.EventId),
                name,
                run.Version,
                run.Trigger,
                run.Status,
                SqlTime.Moment(run.ReceivedAt),
                TimeSpan.Zero,
                Message: null,
                Sends: 0,
                SendsDelivered: 0,
                SendsFailed: 0,
                SendsCaptured: 0
            );

    static readonly string lastDelivery = $"r.first_delivery + (r.delivery_count - 1) * {IdSequence.Stride}";

    static List<RunSummary> ListEnded(SqlSession session, SqlFilter where, RunFilter filter, (long First, long End) span, long? searchedTo)
    {
        // Reads from the newest to the end of the page, with an id as the bound, so that no sorting is needed.
        where.And("id >= ?", searchedTo);
        if (filter.HasFailedSends && SinceWithFewFailures(session, searchedTo ?? span.First) is { } oldest)
            where.And("id IN (SELECT run_id FROM deliveries WHERE status > 4 AND status IN (5, 6, 7) AND id >= ?)", oldest);
        else if (filter.HasFailedSends)
            where.And(
                $"delivery_count > 0 AND EXISTS (SELECT 1 FROM deliveries d WHERE d.id BETWEEN r.first_delivery AND {lastDelivery} AND "
                    + "+d.status IN (5, 6, 7))"
            );
        if (filter.Text is { } text)
        {
            string like = SqlFilter.Like("%", text, "%");
            var (finds, body) = (session.Dialect.Like, session.Dialect.Text("e.body"));
            string sent = session.Dialect.Text($"substr(d.body, 1, {RunFilter.SearchedBodyBytes})"),
                received = session.Dialect.Text($"substr(a.body, 1, {RunFilter.SearchedBodyBytes})");
            where.And(
                $"""
                (message {finds} ? ESCAPE '\' OR EXISTS (SELECT 1 FROM events e WHERE e.id = r.event_id AND {body} {finds} ? ESCAPE '\')
                OR delivery_count > 0 AND EXISTS (SELECT 1 FROM deliveries d LEFT JOIN attempts a ON a.id = d.id WHERE d.id BETWEEN r.first_delivery AND {lastDelivery} AND (
                    d.url {finds} ? ESCAPE '\' OR {sent} {finds} ? ESCAPE '\'
                    OR {received} {finds} ? ESCAPE '\')))
                """,
                like,
                like,
                like,
                like,
                like
            );
        }
        string ids = $"SELECT id FROM runs r WHERE {where} ORDER BY id DESC LIMIT ?";
        return where
            .Set(session.Sql($"{SelectSummaries(session)} WHERE r.id IN ({ids}) ORDER BY r.id DESC"))
            .Set(filter.Limit + 1)
            .All(ReadSummary);
    }

    static string SelectSummaries(SqlSession session) =>
        $"""
            SELECT r.id, r.event_id, w.name, r.version, r.trigger, r.status, r.started_at, r.duration_us, r.message, r.delivery_count,
                (SELECT count(*) FROM deliveries d WHERE d.id BETWEEN r.first_delivery AND {lastDelivery} AND +d.status = 4),
                (SELECT count(*) FROM deliveries d WHERE d.id BETWEEN r.first_delivery AND {lastDelivery} AND +d.status IN (5, 6, 7)),
                (SELECT count(*) FROM deliveries d WHERE d.id BETWEEN r.first_delivery AND {lastDelivery} AND +d.status = 8)
            FROM runs r {session.Dialect.Join} workflows w ON w.id = r.workflow_id
            """;

    static RunSummary ReadSummary(SqlStatement row) =>
        new(
            new(row.Long(0)),
            new(row.Long(1)),
            row.Text(2),
            row.Int(3),
            row.Text(4),
            (RunStatus)row.Int(5),
            SqlTime.Moment(row.Long(6)),
            SqlTime.Span(row.Long(7)),
            row.TextOrNull(8),
            row.Int(9),
            row.Int(10),
            row.Int(11),
            row.Int(12)
        );

    const int FewFailures = 2_000;

    /// <summary>The oldest id to read if few deliveries have failed since, so that their runs are read from them. Otherwise null: reading
    /// the runs fills a page soon. A delivery's id is above that of its run.</summary>
    static long? SinceWithFewFailures(SqlSession session, long since) =>
        session
            .Sql(
                $"""
                SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE status > 4 AND status IN (5, 6, 7) AND id >= ? LIMIT {FewFailures}) AS found
                """
            )
            .Set(since)
            .Number() < FewFailures
            ? since
            : null;

    // Events.

    const string EventColumns = "id, workspace_id, workflow_id, trigger, received_at, body";

    static Event ReadEvent(SqlStatement row) =>
        new(new(row.Long(0)), new(row.Int(1)), new(row.Long(2)), row.Text(3), SqlTime.Moment(row.Long(4)), row.Blob(5).ToArray());

    static Event? ReadEvent(SqlSession session, long id) =>
        session
            .Sql($"SELECT {EventColumns}, sealed, raw FROM events WHERE id = ? AND workflow_id IN (SELECT id FROM workflows)")
            .Set(id)
            .FirstOrDefault(static row => ReadEvent(row) with { Sealed = row.Bytes(6), Raw = row.Bytes(7) });

    public Task<Event?> GetEventAsync(EventId id, CancellationToken ct) => readers.ReadAsync(session => ReadEvent(session, id.Value), ct);

    public Task<Page<Event>> ListEventsAsync(EventFilter filter, CancellationToken ct) =>
        readers.ReadAsync(session => ListEvents(session, filter), ct);

    Page<Event> ListEvents(SqlSession session, EventFilter filter)
    {
        if (!TryFindWorkflow(session, filter.Workflow, out long? workflow))
            return new([], null);
        var where = new SqlFilter().Ids(filter.Before, IdsOf(session, filter.Since, filter.Until)).And("workflow_id = ?", workflow);
        var rows = where
            .Set(
                session.Sql(
                    $"""
                    SELECT {EventColumns} FROM events WHERE {where} AND +workflow_id IN (SELECT id FROM workflows) ORDER BY id DESC LIMIT ?
                    """
                )
            )
            .Set(filter.Limit + 1)
            .All(ReadEvent);
        return PageOf(rows, filter.Limit, static one => one.Id.Value);
    }

    // Common parts of lists.

    /// <summary>The ids of a time range.</summary>
    (long First, long End) IdsOf(SqlSession session, DateTimeOffset? since, DateTimeOffset? until) =>
        (
            since is { } early ? SqlMoments.LowestAt(session, early, limits.ClockTolerance) : 0,
            until is { } late ? SqlMoments.LowestAt(session, late, limits.ClockTolerance) : long.MaxValue
        );

    static Page<T> PageOf<T>(List<T> rows, int limit, Func<T, long> id)
    {
        if (rows.Count <= limit)
            return new(rows, null);
        rows.RemoveRange(limit, rows.Count - limit);
        return new(rows, id(rows[^1]));
    }

    /// <summary>Returns false if the workflow does not exist.</summary>
    static bool TryFindWorkflow(SqlSession session, string? name, out long? id)
    {
        id = name is null ? null : session.Sql("SELECT id FROM workflows WHERE name = ?").Set(name).Number();
        return name is null || id is not null;
    }

    static string? WorkflowName(SqlSession session, long id) =>
        session.Sql("SELECT name FROM workflows WHERE id = ?").Set(id).FirstOrDefault(static row => row.Text(0));

    public Task<IReadOnlyList<UsageRow>> ListUsageAsync(DateOnly since, CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<UsageRow>>(
            session =>
                session
                    .Sql(
                        $"""
                        SELECT u.hour / 24 AS day, w.name, sum(u.runs), sum(u.compute_us), sum(u.deliveries), sum(u.delivery_us)
                        FROM workflows w {session.Dialect.Join} usage u ON u.workflow_id = w.id
                        WHERE u.hour >= ? GROUP BY day, w.name ORDER BY day, w.name
                        """
                    )
                    .Set((since.DayNumber - epochDay) * 24L)
                    .All(static row => new UsageRow(
                        DateOnly.FromDayNumber(epochDay + row.Int(0)),
                        row.Text(1),
                        row.Long(2),
                        row.Long(3) / 1_000.0,
                        row.Long(4),
                        row.Long(5) / 1_000.0
                    )),
            ct
        );

    public Task<IReadOnlyList<HourRow>> ListHoursAsync(DateTimeOffset since, CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<HourRow>>(
            session =>
                session
                    .Sql(
                        $"""
                        SELECT w.name, u.hour, sum(u.runs), sum(u.runs_failed), sum(u.deliveries), sum(u.deliveries_failed)
                        FROM workflows w {session.Dialect.Join} usage u ON u.workflow_id = w.id
                        WHERE u.hour >= ? GROUP BY u.hour, w.name ORDER BY u.hour, w.name
                        """
                    )
                    .Set(SqlTime.Hour(since))
                    .All(static row => new HourRow(
                        row.Text(0),
                        DateTimeOffset.UnixEpoch.AddHours(row.Long(1)),
                        row.Long(2),
                        row.Long(3),
                        row.Long(4),
                        row.Long(5)
                    )),
            ct
        );

    static readonly int epochDay = new DateOnly(1970, 1, 1).DayNumber;

    // Maintenance.

    public Task<PruneResult> PruneAsync(DateTimeOffset before, long maxBytes, CancellationToken ct) =>
        WriteAsync(OutageRule.Probe, session => pruner.Slice(session, SqlTime.From(before), maxBytes), ct, Pruned);

    public Task<long> HighestIdAsync(CancellationToken ct) => readers.ReadAsync(HighestId, ct);

    protected static long HighestId(SqlSession session) =>
        new[]
        {
            "id) FROM events",
            "run_id) FROM events",
            "id) FROM runs",
            "id) FROM deliveries",
            "id) FROM attempts",
            "run_id) FROM replays",
            "id) FROM workflows",
        }.Max(part => session.Number("SELECT max(" + part));
}
