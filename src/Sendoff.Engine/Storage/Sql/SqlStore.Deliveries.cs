namespace Sendoff.Engine.Storage.Sql;

internal abstract partial class SqlStore
{
    const string DeliveryColumns = """
        d.id, d.run_id, d.workspace_id, d.workflow_id, d.step, d.idx, d.destination, d.method, d.url, d.headers, d.body, d.status, d.error
        """;

    static Delivery ReadDelivery(SqlStatement row) =>
        ReadDelivery(row, new HttpSend(row.Text(7), row.Text(8), StoredJson.ReadHeaders(row.Blob(9)), row.Blob(10).ToArray()));

    static Delivery ReadDelivery(SqlStatement row, HttpSend request) =>
        new(
            new(row.Long(0)),
            new(row.Long(1)),
            new(row.Int(2)),
            new(row.Long(3)),
            row.Int(4),
            row.Int(5),
            row.Text(6),
            request,
            (DeliveryStatus)row.Int(11),
            StoredJson.ReadAttemptError(row.Blob(12))
        );

    /// <summary>The columns of <see cref="ReadDelivery"/>, without a body that the budget always omits, so that the database does not read
    /// it. The last column is its length.</summary>
    const string BriefColumns = """
        d.id, d.run_id, d.workspace_id, d.workflow_id, d.step, d.idx, d.destination, d.method, d.url, d.headers,
        CASE WHEN length(d.body) <= ? THEN d.body END, d.status, d.error, coalesce(length(d.body), 0)
        """;

    static Delivery ReadBrief(SqlStatement row, ContentBudget budget)
    {
        int bodyBytes = row.Int(13);
        if (!budget.TryTake(row.Blob(9).Length, bodyBytes))
            return ReadDelivery(
                row,
                new HttpSend(row.Text(7), row.Text(8), [], default) { HeadersLeftOut = true, BodyLeftOut = bodyBytes }
            );
        var delivery = ReadDelivery(row);
        return bodyBytes <= budget.MaxBodyBytes ? delivery : delivery with { Request = delivery.Request with { BodyLeftOut = bodyBytes } };
    }

    public Task<StoredDelivery?> GetDeliveryAsync(DeliveryId delivery, CancellationToken ct) =>
        readers.ReadAsync(session => ReadWhole(session, delivery), ct);

    public Task<IReadOnlyList<StoredDelivery>> GetDeliveriesAsync(IReadOnlyList<DeliveryId> deliveries, CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<StoredDelivery>>(
            session => [.. deliveries.Select(id => ReadWhole(session, id)).OfType<StoredDelivery>()],
            ct
        );

    static StoredDelivery? ReadWhole(SqlSession session, DeliveryId delivery) =>
        session
            .Sql($"SELECT {DeliveryColumns}, w.name FROM deliveries d JOIN workflows w ON w.id = d.workflow_id WHERE d.id = ?")
            .Set(delivery.Value)
            .FirstOrDefault(static row => (Delivery: ReadDelivery(row), Name: row.Text(13)))
            is { Delivery: { } found } one
            ? new StoredDelivery(found, one.Name, [.. ReadAttempts(session, delivery.Value, delivery.Value, budget: null)[delivery]])
            : null;

    static List<SendHead> ReadHeads(SqlSession session, Block block) =>
        block.Count == 0
            ? []
            : session
                .Sql(
                    $"""
                    SELECT d.id, d.step, d.idx, d.status, d.method, d.url, a.response_status, coalesce(a.total_us, 0), f.started_at, f.queue_us, f.total_us
                    FROM deliveries d LEFT JOIN attempts a ON a.id = {LastAttemptId} LEFT JOIN attempts f ON f.id = d.id
                    WHERE d.id BETWEEN ? AND ? ORDER BY d.id
                    """
                )
                .Set(block.First)
                .Set(block.Last)
                .All(static row => new SendHead(
                    new(row.Long(0)),
                    row.Int(1),
                    row.Int(2),
                    (DeliveryStatus)row.Int(3),
                    row.Text(4),
                    row.Text(5),
                    (int?)row.LongOrNull(6),
                    row.Long(7) / 1_000.0
                )
                {
                    First = row.LongOrNull(8) is { } started
                        ? new(SqlTime.Moment(started), SqlTime.Ms(row.Long(9))!.Value, SqlTime.Ms(row.Long(10))!.Value)
                        : null,
                });

    public Task<IReadOnlyList<Outcome>> ListFailuresAsync(DateTimeOffset since, int limit, CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<Outcome>>(
            session =>
                session
                    .Sql($"{SelectOutcomes(session)} WHERE d.id IN ({newestFailed}) ORDER BY d.id DESC")
                    .Set(IdSequence.LowestAt(since))
                    .Set(limit)
                    .All(ReadOutcome),
            ct
        );

    static string SelectOutcomes(SqlSession session) =>
        $"""
            SELECT d.id, d.run_id, w.name, d.destination, d.status, a.started_at, a.total_us, a.response_status, d.error
            FROM deliveries d {session.Dialect.Join} workflows w ON w.id = d.workflow_id LEFT JOIN attempts a ON a.id = {LastAttemptId}
            """;

    static Outcome? ReadOutcome(SqlSession session, long delivery) =>
        session.Sql($"{SelectOutcomes(session)} WHERE d.id = ?").Set(delivery).FirstOrDefault(ReadOutcome);

    static Outcome ReadOutcome(SqlStatement row) =>
        new(
            new(row.Long(0)),
            new(row.Long(1)),
            row.Text(2),
            row.Text(3),
            (DeliveryStatus)row.Int(4),
            row.LongOrNull(5) is { } at ? SqlTime.Moment(at) : null,
            SqlTime.Ms(row.LongOrNull(6)),
            (int?)row.LongOrNull(7),
            StoredJson.ReadAttemptError(row.Blob(8))
        );

    /// <summary>Reads the index of failed deliveries from the newest, status by status, up to the limit.</summary>
    static readonly string newestFailed =
        "SELECT id FROM ("
        + string.Join(
            " UNION ALL ",
            new[] { 5, 6, 7 }.Select(static status =>
                $"""
                    SELECT * FROM (
                        SELECT id FROM deliveries WHERE status > 4 AND status = {status} AND id >= ?1 ORDER BY id DESC LIMIT ?2) AS found{status}
                    """
            )
        )
        + ") AS found ORDER BY id DESC LIMIT ?2";

    static IReadOnlyList<StoredDelivery> ReadDeliveries(SqlSession session, string workflow, Block block, ContentBudget budget)
    {
        if (block.Count == 0)
            return [];
        var deliveries = session
            .Sql($"SELECT {BriefColumns} FROM deliveries d WHERE d.id BETWEEN ? AND ? ORDER BY d.id")
            .Set(budget.MaxBodyBytes)
            .Set(block.First)
            .Set(block.Last)
            .All(row => ReadBrief(row, budget));
        var attempts = ReadAttempts(session, block.First, block.Last, budget);
        return deliveries.ConvertAll(delivery => new StoredDelivery(delivery, workflow, [.. attempts[delivery.Id]]));
    }

    /// <summary>The attempts of a block of deliveries: the first ones have their ids, the later ones an index.</summary>
    /// <param name="budget">Null reads all stored data.</param>
    static ILookup<DeliveryId, Attempt> ReadAttempts(SqlSession session, long first, long last, ContentBudget? budget)
    {
        const string columns = """
            delivery_id, number, status, started_at, queue_us, dns_us, connect_us, tls_us, write_us, wait_us, read_us, total_us, reused, local_address,
            remote_address, response_status, http_version, body_flags, body_bytes, error, request_headers, response_headers, body, redirects
            """;
        return session
            .Sql(
                $"""
                SELECT {columns} FROM attempts WHERE id BETWEEN ?1 AND ?2 AND number = 1
                UNION ALL
                SELECT {columns} FROM attempts WHERE delivery_id BETWEEN ?1 AND ?2 AND number > 1
                ORDER BY 1, 2
                """
            )
            .Set(first)
            .Set(last)
            .All(row => ReadAttempt(row, budget))
            .ToLookup(static attempt => attempt.DeliveryId);
    }

    static Attempt ReadAttempt(SqlStatement row, ContentBudget? budget)
    {
        int body = row.Blob(22).Length;
        bool isKept = budget is null || budget.TryTake(row.Blob(20).Length + row.Blob(21).Length + row.Blob(23).Length, body);
        var response = ReadResponse(row, isKept, isKept && (budget is null || body <= budget.MaxBodyBytes));
        return ReadAttempt(row, isKept ? StoredJson.ReadHeaders(row.Blob(20)) : [], response) with
        {
            Redirects = isKept ? StoredJson.ReadRedirects(row.Blob(23)) : [],
            ContentLeftOut = !isKept,
        };
    }

    static Attempt ReadAttempt(SqlStatement row, IReadOnlyList<Header> requestHeaders, AttemptResponse? response) =>
        new(
            new(row.Long(0)),
            row.Int(1),
            SqlTime.Moment(row.Long(3)),
            (DeliveryStatus)row.Int(2),
            requestHeaders,
            response,
            StoredJson.ReadAttemptError(row.Blob(19)),
            new(
                SqlTime.Ms(row.Long(4))!.Value,
                SqlTime.Ms(row.LongOrNull(5)),
                SqlTime.Ms(row.LongOrNull(6)),
                SqlTime.Ms(row.LongOrNull(7)),
                SqlTime.Ms(row.LongOrNull(8)),
                SqlTime.Ms(row.LongOrNull(9)),
                SqlTime.Ms(row.LongOrNull(10)),
                SqlTime.Ms(row.Long(11))!.Value
            ),
            row.TextOrNull(13),
            row.TextOrNull(14),
            row.Int(12) != 0
        );

    static AttemptResponse? ReadResponse(SqlStatement row, bool withHeaders, bool withBody) =>
        row.LongOrNull(15) is not { } status
            ? null
            : new(
                (int)status,
                row.Text(16),
                withHeaders ? StoredJson.ReadHeaders(row.Blob(21)) : [],
                withBody ? row.Blob(22).ToArray() : default,
                BodyIsText: (row.Int(17) & 1) != 0,
                row.Long(18),
                Truncated: (row.Int(17) & 2) != 0
            )
            {
                BodyLeftOut = withBody ? 0 : row.Blob(22).Length,
            };

    public Task<Page<StoredDelivery>> ListDeliveriesAsync(DeliveryFilter filter, CancellationToken ct) =>
        readers.ReadAsync(session => ListDeliveries(session, filter, new(limits)), ct);

    public Task<Page<DeliveryId>> ListDeliveryIdsAsync(DeliveryFilter filter, CancellationToken ct) =>
        readers.ReadAsync(
            session =>
            {
                if (WhereOf(session, filter) is not var (where, searchedTo))
                    return new([], null);
                var ids = where
                    .Set(
                        session.Sql(
                            $"SELECT id FROM deliveries d {IndexFor(session, filter.Status)} WHERE {where} ORDER BY id DESC LIMIT ?"
                        )
                    )
                    .Set(filter.Limit + 1)
                    .All(static row => new DeliveryId(row.Long(0)));
                var page = PageOf(ids, filter.Limit, static id => id.Value);
                return page with { Next = page.Next ?? searchedTo };
            },
            ct
        );

    static string Numbers(IReadOnlyList<DeliveryStatus> statuses) => string.Join(", ", statuses.Select(static status => (int)status));

    /// <summary>The conditions of a filter for deliveries, and the range of a search; null if the workflow does not exist.</summary>
    (SqlFilter Where, long? SearchedTo)? WhereOf(SqlSession session, DeliveryFilter filter)
    {
        if (!TryFindWorkflow(session, filter.Workflow, out long? workflow))
            return null;
        var where = new SqlFilter().Ids(filter.Before, IdsOf(session, filter.Since, filter.Until)).And("workflow_id = ?", workflow);
        // SQLite uses a partial index only if the query repeats its condition.
        if (filter.Status is { } status)
            where.And((status > DeliveryStatus.Succeeded ? "status > 4 AND " : "") + $"status = {(int)status}");
        else if (filter.AnyOf is { } any)
            where.And((any.All(static one => one > DeliveryStatus.Succeeded) ? "status > 4 AND " : "") + $"status IN ({Numbers(any)})");
        long? searchedTo = filter.IsSearch
            ? where
                .Set(
                    session.Sql(
                        $"SELECT id FROM deliveries {IndexFor(session, filter.Status)} WHERE {where} ORDER BY id DESC LIMIT 1 OFFSET ?"
                    )
                )
                .Set(filter.SearchedAtOnce - 1)
                .Number()
            : null;
        where.And("id >= ?", searchedTo);
        if (filter.Host is { } host)
            where.And($"destination {session.Dialect.Like} ? ESCAPE '\\'", SqlFilter.Like("%://", host, host.Contains(':') ? "" : ":%"));
        if (filter.Text is { } text)
            where.And($"(url || ' ' || destination) {session.Dialect.Like} ? ESCAPE '\\'", SqlFilter.Like("%", text, "%"));
        where.And($"{session.Dialect.JsonText("error", "phase")} = ?", filter.Phase?.ToString());
        if (filter.Code is { } code)
            where.And(
                $"(SELECT response_status FROM attempts WHERE id = {LastAttemptId}) BETWEEN ? AND ?",
                (long)code.First,
                (long)code.Last
            );
        return (where, searchedTo);
    }

    Page<StoredDelivery> ListDeliveries(SqlSession session, DeliveryFilter filter, ContentBudget budget)
    {
        if (WhereOf(session, filter) is not var (where, searchedTo))
            return new([], null);
        var found = where
            .Set(
                session
                    .Sql(
                        $"""
                        SELECT {BriefColumns}, w.name FROM deliveries d {session.Dialect.Join} workflows w ON w.id = d.workflow_id
                        WHERE d.id IN (SELECT id FROM deliveries d {IndexFor(
                            session,
                            filter.Status
                        )} WHERE {where} ORDER BY id DESC LIMIT ?) ORDER BY d.id DESC
                        """
                    )
                    .Set(budget.MaxBodyBytes)
            )
            .Set(filter.Limit + 1)
            .All(row => (Delivery: ReadBrief(row, budget), Name: row.Text(14)));
        var rows = found.ConvertAll(one => new StoredDelivery(
            one.Delivery,
            one.Name,
            [.. ReadAttempts(session, one.Delivery.Id.Value, one.Delivery.Id.Value, budget)[one.Delivery.Id]]
        ));
        var page = PageOf(rows, filter.Limit, static one => one.Delivery.Id.Value);
        return page with { Next = page.Next ?? searchedTo };
    }

    /// <summary>Otherwise SQLite scans all rows backwards, which is slow if few are unfinished.</summary>
    static string IndexFor(SqlSession session, DeliveryStatus? status) =>
        status switch
        {
            DeliveryStatus.Pending => session.Dialect.Index("deliveries_pending"),
            DeliveryStatus.Sending => session.Dialect.Index("deliveries_sending"),
            _ => "",
        };

    /// <summary>The last attempt of the delivery d.</summary>
    const string LastAttemptId =
        "coalesce((SELECT id FROM attempts WHERE delivery_id = d.id AND number > 1 ORDER BY number DESC LIMIT 1), d.id)";
}
