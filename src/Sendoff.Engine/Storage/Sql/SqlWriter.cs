using System.Globalization;
using System.Runtime.InteropServices;

namespace Sendoff.Engine.Storage.Sql;

/// <summary>Any other write: its action on the database, and its result.</summary>
/// <param name="committed">Called after the commit, outside of any transaction. Must not throw.</param>
internal sealed class SqlWrite<T>(OutageRule outage, Func<SqlSession, T> apply, Action<SqlSession>? committed = null) : SqlWrite(outage)
{
    public T Result { get; private set; } = default!;

    public override void Apply(SqlSession session) => Result = apply(session);

    public override void Committed(SqlSession session) => committed?.Invoke(session);
}

internal abstract class SqlWrite(OutageRule outage) : StoreWrite(outage)
{
    public abstract void Apply(SqlSession session);
    public abstract void Committed(SqlSession session);
}

/// <summary>The write connection, used only by the writer's thread.</summary>
/// <remarks>A batch: (1) begin  (2) apply each write  (3) write the usage  (4) commit  (5) update the state in memory.</remarks>
internal sealed class SqlWriter(
    SqlSession session,
    UnfinishedRuns unfinished,
    LiveWorkflows workflows,
    IdSequence ids,
    TimeProvider time,
    EngineLimits limits
)
{
    readonly Dictionary<(long Workflow, long Hour), Usage> usage = [];
    readonly string mark = Mark("status = 2", session.Dialect),
        markAgain = Mark("status IN (2, 3)", session.Dialect),
        readRecorded = $"SELECT workflow_id, error IS NOT NULL FROM deliveries WHERE id = ?{session.Dialect.Own}",
        insertDelivery =
            $"""
                INSERT INTO deliveries(id, run_id, workspace_id, workflow_id, step, idx, status, destination, method, url, error, headers, body, sealed{session.Dialect.Owner.Column})
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?{session.Dialect.Owner.Value})
                """,
        block = $"UPDATE deliveries SET status = 6, error = ? WHERE id = ? AND status IN (2, 3){session.Dialect.Own}",
        addUsage = $"INSERT INTO usage({SqlStore.UsageColumns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) {SqlStore.AddToUsage(session.Dialect)}";

    public void Commit(ReadOnlySpan<StoreWrite> writes)
    {
        try
        {
            session.Begin();
            foreach (var write in writes)
                Apply(write);
            AddUsage();
            unfinished.BeforeCommit(session);
            session.Commit();
        }
        catch
        {
            usage.Clear();
            unfinished.RolledBack();
            workflows.RolledBack();
            session.Rollback();
            throw;
        }
        unfinished.Committed();
        foreach (var write in writes)
            Remember(write);
        workflows.Committed();
    }

    void Apply(StoreWrite write)
    {
        switch (write)
        {
            case AcceptWrite accept:
                accept.IsClaimed = TryAccept(accept);
                break;
            case FinishRunWrite finish:
                finish.IsApplied = FinishOnce(finish);
                break;
            case MarkSendingWrite mark:
                mark.Marked = MarkSending(mark);
                break;
            case RecordAttemptWrite record:
                Record(record);
                break;
            case RecordBlockedWrite blocked:
                Block(blocked);
                break;
            case SqlWrite other:
                other.Apply(session);
                break;
        }
    }

    // The state after the batch: a later deletion in the same batch deletes the rows of a run, and its sends must not start.
    void Remember(StoreWrite write)
    {
        if (write is FinishRunWrite finish)
            finish.IsStored = finish.IsApplied && workflows.Has(session, finish.Run.WorkflowId.Value);
        else if (write is AcceptWrite accept)
            accept.IsStored = accept.IsClaimed && workflows.Has(session, accept.Run.Event.WorkflowId.Value);
        else if (write is SqlWrite other)
            other.Committed(session);
    }

    bool TryAccept(AcceptWrite write)
    {
        var run = write.Run;
        if (
            !workflows.Has(session, run.Event.WorkflowId.Value)
            || run.Due is { } due && !Claim(run.Event.WorkflowId, due)
            || run.Emitted is { } emitted && !Claim(run.Event, emitted)
            || run.Hook is { Source: var source } && !SourceCommits.Claim(session, run.Event.WorkflowId, source, run.Id)
        )
            return false;
        if (run.Continues is { } held && !Continue(run.Id, held.Run, write.Callback))
            return false;
        if (run.Replay || run.Continues is not null)
            AcceptFurther(run);
        else
            Insert(run.Event, run.Id, run.Version);
        if (run.IsHeld)
            session.Sql("INSERT INTO held(run_id) VALUES (?)").Set(run.Id.Value).Post();
        if (!run.Keep)
            session.Sql("INSERT INTO unkept(run_id) VALUES (?)").Set(run.Id.Value).Post();
        unfinished.Accept(
            session,
            new(
                run.Id.Value,
                run.Event.Id.Value,
                run.Event.WorkflowId.Value,
                run.Version,
                run.Event.Trigger,
                SqlTime.From(run.Event.ReceivedAt),
                run.Replay,
                run.Captured,
                run.Continues?.Run.Value ?? 0,
                run.IsHeld,
                Left: false
            )
        );
        return true;
    }

    /// <param name="run">The queued run; 0 for none.</param>
    public void Insert(Event received, RunId run, int version) =>
        session
            .Sql(
                """
                INSERT INTO events(id, workspace_id, workflow_id, run_id, run_version, received_at, trigger, body, sealed, raw) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """
            )
            .Set(received.Id.Value)
            .Set(received.WorkspaceId.Value)
            .Set(received.WorkflowId.Value)
            .Set(run.Value)
            .Set(version)
            .Set(SqlTime.From(received.ReceivedAt))
            .Set(received.Trigger)
            .Set(received.Json.Span)
            .Set(OrNull(received.Sealed))
            .Set(OrNull(received.Raw))
            .Post();

    /// <summary>The caller that moves the mark past a due time has claimed it. A deleted or disabled schedule has no due times. A mark in
    /// the future was set while the clock was ahead and is ignored.</summary>
    bool Claim(WorkflowId workflow, DueTime due) =>
        session
            .Sql(
                """
                UPDATE triggers SET settled_at = ?1 WHERE workflow_id = ?2 AND key = ?3 AND (settled_at < ?1 OR settled_at > ?4 AND settled_at <> ?1)
                    AND EXISTS (SELECT 1 FROM workflows WHERE id = ?2 AND enabled = 1)
                """
            )
            .Set(SqlTime.From(due.At))
            .Set(workflow.Value)
            .Set(due.Key)
            .Set(SqlTime.From(time.GetUtcNow() + limits.ClockTolerance))
            .Run() == 1;

    /// <summary>An emitted event starts one run of a workflow, even if the attempt is repeated.</summary>
    bool Claim(Event received, Emission emitted) =>
        session
            .Sql("INSERT INTO emissions(delivery_id, workflow_id, event_id, hops) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING")
            .Set(emitted.Delivery.Value)
            .Set(received.WorkflowId.Value)
            .Set(received.Id.Value)
            .Set(emitted.Hops)
            .Run() == 1;

    /// <summary>The first caller resumes a suspended run. The new run is kept no longer than the previous one.</summary>
    bool Continue(RunId next, RunId held, byte[]? callback)
    {
        if (
            session
                .Sql("UPDATE suspensions SET continued_by = ?, callback = ? WHERE run_id = ? AND continued_by IS NULL")
                .Set(next.Value)
                .Set(callback)
                .Set(held.Value)
                .Run() == 0
        )
            return false;
        session.Sql("UPDATE runs SET status = ? WHERE id = ?").Set((int)RunStatus.Succeeded).Set(held.Value).Post();
        session.Sql("INSERT INTO unkept(run_id) SELECT ? FROM unkept WHERE run_id = ?").Set(next.Value).Set(held.Value).Post();
        return true;
    }

    void AcceptFurther(QueuedRun run)
    {
        int rows = session
            .Sql("INSERT INTO replays(run_id, event_id, version, captured, continues) SELECT ?, id, ?, ?, ? FROM events WHERE id = ?")
            .Set(run.Id.Value)
            .Set(run.Version)
            .Set(run.Captured ? 1 : 0)
            .Set(run.Continues?.Run.Value ?? 0)
            .Set(run.Event.Id.Value)
            .Run();
        if (rows == 0)
            throw new InvalidOperationException($"the event {run.Event.Id} is no longer stored, so it cannot be replayed");
    }

    /// <summary>Stores a run's end once, even if the response to an earlier commit was lost. Returns false if another server has taken over
    /// the run.</summary>
    bool FinishOnce(FinishRunWrite write)
    {
        bool isOwn = unfinished.Finish(session, write.Run.Id.Value);
        if ((!isOwn || write.IsRepeated) && HasEnded(write))
            return true;
        if (isOwn)
            Finish(write);
        return isOwn;
    }

    // The ids of the deliveries show whether this server or another one has committed them.
    bool HasEnded(FinishRunWrite write) =>
        write.Run.Source is not null
            ? session.Sql("SELECT 1 FROM runs WHERE id = ?").Set(write.Run.Id.Value).Number() is not null
            : session
                .Sql("SELECT 1 FROM runs WHERE id = ? AND first_delivery IS NOT DISTINCT FROM ?")
                .Set(write.Run.Id.Value)
                .Set(write.Deliveries.Length == 0 ? null : write.Deliveries[0].Id.Value)
                .Number()
                is not null;

    public void Finish(FinishRunWrite write)
    {
        var (run, deliveries) = (write.Run, write.Deliveries);
        if (!workflows.Has(session, run.WorkflowId.Value))
            return;
        bool[]? isNew = run.Source is { } source ? SourceCommits.Commit(session, write, source, limits) : null;
        var (first, last) = isNew is null ? (0, deliveries.Length - 1) : (Array.IndexOf(isNew, true), Array.LastIndexOf(isNew, true));
        session
            .Sql(
                """
                INSERT INTO runs(id, event_id, workspace_id, workflow_id, version, status, flags, started_at, duration_us, compute_us,
                    first_delivery, delivery_count, trigger, message, error, response, steps)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """
            )
            .Set(run.Id.Value)
            .Set(run.EventId.Value)
            .Set(run.WorkspaceId.Value)
            .Set(run.WorkflowId.Value)
            .Set(run.Version)
            .Set((int)run.Status)
            .Set((run.Recovered ? 1 : 0) + (run.Replay ? 2 : 0) + (run.IsContinuation ? 4 : 0))
            .Set(SqlTime.From(run.StartedAt))
            .Set(SqlTime.From(run.Duration))
            .Set(SqlTime.From(run.Compute))
            .Set(last < 0 ? null : deliveries[first].Id.Value)
            .Set(last < 0 ? 0 : last - first + 1)
            .Set(run.Trigger)
            .Set(run.Message ?? DroppedOf(isNew))
            .Set(write.Error)
            .Set(write.Response)
            .Set(write.Steps)
            .Post();
        for (int i = 0; i < deliveries.Length; i++)
            if (isNew is null || isNew[i])
                Insert(deliveries[i], write.Headers[i]);
        if (run.Recovered)
            session.Sql("DELETE FROM recoveries WHERE run_id = ?").Set(run.Id.Value).Post();
        if (run.IsContinuation)
            session.Sql("UPDATE suspensions SET state = NULL, callback = NULL WHERE continued_by = ?").Set(run.Id.Value).Post();
        if (run.ReleasesCaptured)
            session
                .Sql(
                    $"""
                    {SqlStore.Segments} UPDATE deliveries SET status = 2{session.Dialect.Take} WHERE id IN (SELECT d.id FROM {SqlStore.DeliveriesOfSegments} WHERE d.status = 8)
                    """
                )
                .Set(run.Id.Value)
                .Post();
        if (run.Suspension is { } held)
            session
                .Sql("INSERT INTO suspensions(run_id, workflow_id, kind, step, until, state) VALUES (?, ?, ?, ?, ?, ?)")
                .Set(run.Id.Value)
                .Set(run.WorkflowId.Value)
                .Set((int)held.Kind)
                .Set(held.Step)
                .Set(SqlTime.From(held.Until))
                .Set(write.State)
                .Post();
        // An alert's message does not count as an invocation.
        if (run.WorkflowId == SystemWorkflow.Alerts)
            return;
        ref var used = ref UsageOf(run.WorkflowId.Value, run.StartedAt);
        used.Runs++;
        if (run.Status.IsFailure())
            used.RunsFailed++;
        used.ComputeUs += SqlTime.From(run.Compute);
    }

    /// <summary>The message of a run that emitted events again.</summary>
    static string? DroppedOf(bool[]? isNew) =>
        isNew?.Count(static one => !one) is > 0 and var dropped
            ? string.Create(CultureInfo.InvariantCulture, $"{dropped:N0} of {isNew.Length:N0} events were emitted before and are left out")
            : null;

    void Insert(Delivery delivery, byte[]? headers) =>
        session
            .Sql(insertDelivery)
            .Set(delivery.Id.Value)
            .Set(delivery.RunId.Value)
            .Set(delivery.WorkspaceId.Value)
            .Set(delivery.WorkflowId.Value)
            .Set(delivery.Step)
            .Set(delivery.Index)
            .Set((int)delivery.Status)
            .Set(delivery.Destination)
            .Set(delivery.Request.Method)
            .Set(delivery.Request.Url)
            .Set(StoredJson.AttemptError(delivery.Error))
            .Set(headers)
            .Set(delivery.Request.Body.Span)
            .Set(OrNull(delivery.Sealed))
            .Post();

    static byte[]? OrNull(ReadOnlyMemory<byte> bytes) => bytes.IsEmpty ? null : bytes.ToArray();

    // If the response to an earlier commit was lost, the deliveries may already be marked.
    IReadOnlyList<DeliveryId> MarkSending(MarkSendingWrite write)
    {
        string sql = write.IsRepeated ? markAgain : mark;
        return [.. write.Deliveries.Where(delivery => session.Sql(sql).Set(delivery.Value).Run() == 1)];
    }

    static string Mark(string when, SqlDialect dialect) =>
        $"""
            UPDATE deliveries SET status = 3 WHERE id = ? AND {when}{dialect.Own}
                AND NOT EXISTS (SELECT 1 FROM deletions WHERE workflow_id = deliveries.workflow_id)
            """;

    void Record(RecordAttemptWrite write)
    {
        var attempt = write.Attempt;
        // A delivery that was deleted with its workflow while it was in flight is not recorded.
        var (workflow, hadError) = session
            .Sql(readRecorded)
            .Set(attempt.DeliveryId.Value)
            .FirstOrDefault(static row => (row.Long(0), row.Int(1) != 0));
        if (!workflows.Has(session, workflow))
            return;
        if (write.IsRepeated && IsRecorded(attempt))
            return;
        InsertAttempt(write);
        // An update of only the status keeps the row's size and is written in place. A resend may have to clear an earlier error.
        if (write.Error is null && !hadError)
            session.Sql("UPDATE deliveries SET status = ? WHERE id = ?").Set((int)attempt.Status).Set(attempt.DeliveryId.Value).Post();
        else
            session
                .Sql("UPDATE deliveries SET status = ?, error = ? WHERE id = ?")
                .Set((int)attempt.Status)
                .Set(write.Error)
                .Set(attempt.DeliveryId.Value)
                .Post();
        ref var used = ref UsageOf(workflow, attempt.StartedAt);
        used.Deliveries++;
        if (attempt.Status != DeliveryStatus.Succeeded)
            used.DeliveriesFailed++;
        used.DeliveryUs += SqlTime.From(attempt.Timing.TotalMs);
    }

    bool IsRecorded(Attempt attempt) =>
        session
            .Sql("SELECT 1 FROM attempts WHERE (id = ?1 AND number = 1 OR delivery_id = ?1 AND number > 1) AND number = ?2")
            .Set(attempt.DeliveryId.Value)
            .Set(attempt.Number)
            .Number()
            is not null;

    void InsertAttempt(RecordAttemptWrite write)
    {
        var (attempt, response, timing) = (write.Attempt, write.Attempt.Response, write.Attempt.Timing);
        session
            .Sql(
                """
                INSERT INTO attempts(id, delivery_id, number, status, started_at, queue_us, dns_us, connect_us, tls_us, write_us, wait_us, read_us, total_us,
                    reused, local_address, remote_address, response_status, http_version, body_flags, body_bytes, error, request_headers, response_headers, body,
                    redirects)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """
            )
            .Set(attempt.Number == 1 ? attempt.DeliveryId.Value : ids.Next())
            .Set(attempt.DeliveryId.Value)
            .Set(attempt.Number)
            .Set((int)attempt.Status)
            .Set(SqlTime.From(attempt.StartedAt))
            .Set(SqlTime.From(timing.QueueMs))
            .Set(SqlTime.From(timing.DnsMs))
            .Set(SqlTime.From(timing.ConnectMs))
            .Set(SqlTime.From(timing.TlsMs))
            .Set(SqlTime.From(timing.WriteMs))
            .Set(SqlTime.From(timing.WaitMs))
            .Set(SqlTime.From(timing.ReadMs))
            .Set(SqlTime.From(timing.TotalMs))
            .Set(attempt.ConnectionReused)
            .Set(attempt.LocalAddress)
            .Set(attempt.RemoteAddress)
            .Set(response?.Status)
            .Set(response?.HttpVersion)
            .Set(response is null ? null : (response.BodyIsText ? 1 : 0) + (response.Truncated ? 2 : 0))
            .Set(response?.BodyBytes)
            .Set(write.Error)
            .Set(write.RequestHeaders)
            .Set(write.ResponseHeaders)
            .Set(response is null ? default : response.Body.Span)
            .Set(write.Redirects)
            .Post();
    }

    void Block(RecordBlockedWrite write) => session.Sql(block).Set(write.Error).Set(write.Delivery.Value).Post();

    struct Usage
    {
        public long Runs,
            RunsFailed,
            ComputeUs,
            Deliveries,
            DeliveriesFailed,
            DeliveryUs;
    }

    ref Usage UsageOf(long workflow, DateTimeOffset at) =>
        ref CollectionsMarshal.GetValueRefOrAddDefault(usage, (workflow, SqlTime.Hour(at)), out _);

    /// <summary>E6: exact, because it is part of the batch's transaction, with one statement per workflow and batch instead of one per
    /// event.</summary>
    void AddUsage()
    {
        foreach (var ((workflow, hour), used) in usage)
        {
            if (!workflows.Has(session, workflow))
                continue;
            session
                .Sql(addUsage)
                .Set(workflow)
                .Set(hour)
                .Set(used.Runs)
                .Set(used.RunsFailed)
                .Set(used.ComputeUs)
                .Set(used.Deliveries)
                .Set(used.DeliveriesFailed)
                .Set(used.DeliveryUs)
                .Post();
        }
        usage.Clear();
    }
}

/// <summary>Stored times: durations in microseconds, and moments in microseconds since 1970 UTC.</summary>
internal static class SqlTime
{
    public static long From(DateTimeOffset moment) => (moment.UtcTicks - DateTimeOffset.UnixEpoch.Ticks) / TimeSpan.TicksPerMicrosecond;

    public static long From(TimeSpan span) => span.Ticks / TimeSpan.TicksPerMicrosecond;

    public static long From(double ms) => (long)Math.Round(ms * 1_000);

    public static long? From(double? ms) => ms is { } some ? From(some) : null;

    public static long Hour(DateTimeOffset moment) => From(moment) / (3600L * 1_000_000);

    public static DateTimeOffset Moment(long us) => DateTimeOffset.UnixEpoch.AddTicks(us * TimeSpan.TicksPerMicrosecond);

    public static TimeSpan Span(long us) => TimeSpan.FromTicks(us * TimeSpan.TicksPerMicrosecond);

    public static double? Ms(long? us) => us / 1_000.0;
}
