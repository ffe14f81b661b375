using System.Runtime.InteropServices;

namespace Sendoff.Engine.Storage.Sqlite;

/// <summary>Any other write: its action on the database, and its result.</summary>
/// <param name="committed">Called after the commit, outside of any transaction. Must not throw.</param>
internal sealed class SqliteWrite<T>(OutageRule outage, Func<SqliteSession, T> apply, Action<SqliteSession>? committed = null)
    : SqliteWrite(outage)
{
    public T Result { get; private set; } = default!;

    public override void Apply(SqliteSession session) => Result = apply(session);

    public override void Committed(SqliteSession session) => committed?.Invoke(session);
}

internal abstract class SqliteWrite(OutageRule outage) : StoreWrite(outage)
{
    public abstract void Apply(SqliteSession session);
    public abstract void Committed(SqliteSession session);
}

/// <summary>The write connection, used only by the writer's thread.</summary>
/// <remarks>A batch: (1) begin  (2) apply each write  (3) write the usage  (4) write the low-water mark  (5) commit  (6) update the state
/// in memory.</remarks>
internal sealed class SqliteWriter(
    SqliteSession session,
    UnfinishedRuns unfinished,
    LiveWorkflows workflows,
    IdSequence ids,
    TimeProvider time,
    EngineLimits limits
)
{
    static readonly TimeSpan markEvery = TimeSpan.FromSeconds(1);

    readonly Dictionary<(long Workflow, long Hour), Usage> usage = [];
    long mark = session.Number(LowWater.Read),
        highestMark,
        batchMark,
        markedAt;

    public void Commit(ReadOnlySpan<StoreWrite> writes)
    {
        session.Sql("BEGIN IMMEDIATE").Run();
        long newMark;
        try
        {
            batchMark = long.MaxValue;
            foreach (var write in writes)
                Apply(write);
            AddUsage();
            newMark = Mark();
            session.Sql("COMMIT").Run();
        }
        catch
        {
            usage.Clear();
            workflows.Rollback();
            // After errors such as a full disk, SQLite has already rolled back.
            if (session.InTransaction)
                session.Sql("ROLLBACK").Run();
            throw;
        }
        mark = newMark;
        workflows.Commit();
        foreach (var write in writes)
            Remember(write);
    }

    void Apply(StoreWrite write)
    {
        switch (write)
        {
            case AcceptWrite accept:
                accept.IsClaimed = TryAccept(accept);
                break;
            case FinishRunWrite finish:
                Finish(finish);
                break;
            case MarkSendingWrite mark:
                mark.Marked = [.. mark.Deliveries.Where(MarkSending)];
                break;
            case RecordAttemptWrite record:
                Record(record);
                break;
            case RecordBlockedWrite blocked:
                Block(blocked);
                break;
            case SqliteWrite other:
                other.Apply(session);
                break;
        }
    }

    void Remember(StoreWrite write)
    {
        if (write is FinishRunWrite finish)
        {
            // The state after the batch: a later deletion in the same batch deletes its rows, and its sends must not start.
            finish.IsStored = workflows.Has(finish.Run.WorkflowId.Value);
            unfinished.Remove(finish.Run.Id.Value);
        }
        else if (write is AcceptWrite { Run: var run } accept)
        {
            accept.IsStored = accept.IsClaimed && workflows.Has(run.Event.WorkflowId.Value);
            if (!accept.IsStored)
                return;
            var accepted = new UnfinishedRun(
                run.Id.Value,
                run.Event.Id.Value,
                run.Event.WorkflowId.Value,
                run.Version,
                run.Event.Trigger,
                SqliteTime.From(run.Event.ReceivedAt),
                run.Replay,
                run.Captured,
                run.Continues?.Run.Value ?? 0,
                run.IsHeld,
                Left: false
            );
            unfinished.Add(accepted);
            highestMark = Math.Max(highestMark, accepted.Mark);
        }
        else if (write is SqliteWrite other)
        {
            other.Committed(session);
        }
    }

    bool TryAccept(AcceptWrite write)
    {
        var run = write.Run;
        if (
            !workflows.Has(run.Event.WorkflowId.Value)
            || run.Due is { } due && !Claim(run.Event.WorkflowId, due)
            || run.Emitted is { } emitted && !Claim(run.Event, emitted)
        )
            return false;
        if (run.Continues is { } held && !Continue(run.Id, held.Run, write.Callback))
            return false;
        bool isFurther = run.Replay || run.Continues is not null;
        batchMark = Math.Min(batchMark, isFurther ? run.Id.Value : run.Event.Id.Value);
        if (isFurther)
            AcceptFurther(run);
        else
            Insert(run.Event, run.Id, run.Version);
        if (run.IsHeld)
            session.Sql("INSERT INTO held(run_id) VALUES (?)").Set(run.Id.Value).Run();
        if (!run.Keep)
            session.Sql("INSERT INTO unkept(run_id) VALUES (?)").Set(run.Id.Value).Run();
        return true;
    }

    /// <param name="run">The queued run; 0 for none.</param>
    public bool Insert(Event received, RunId run, int version) =>
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
            .Set(SqliteTime.From(received.ReceivedAt))
            .Set(received.Trigger)
            .Set(received.Json.Span)
            .Set(OrNull(received.Sealed))
            .Set(OrNull(received.Raw))
            .Run() == 1;

    /// <summary>The caller that moves the mark past a due time has claimed it. A deleted or disabled schedule has no due times. A mark in
    /// the future was set while the clock was ahead and is ignored.</summary>
    bool Claim(WorkflowId workflow, DueTime due) =>
        session
            .Sql(
                """
                UPDATE triggers SET settled_at = ?1 WHERE workflow_id = ?2 AND key = ?3 AND (settled_at < ?1 OR settled_at > ?4 AND settled_at <> ?1)
                    AND EXISTS (SELECT 1 FROM workflows WHERE id = ?2 AND enabled)
                """
            )
            .Set(SqliteTime.From(due.At))
            .Set(workflow.Value)
            .Set(due.Key)
            .Set(SqliteTime.From(time.GetUtcNow() + limits.ClockTolerance))
            .Run() == 1;

    /// <summary>An emitted event starts one run of a workflow, even if the attempt is repeated.</summary>
    bool Claim(Event received, Emission emitted) =>
        session
            .Sql("INSERT OR IGNORE INTO emissions(delivery_id, workflow_id, event_id, hops) VALUES (?, ?, ?, ?)")
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
        session.Sql("UPDATE runs SET status = ? WHERE id = ?").Set((int)RunStatus.Succeeded).Set(held.Value).Run();
        session.Sql("INSERT INTO unkept(run_id) SELECT ? FROM unkept WHERE run_id = ?").Set(next.Value).Set(held.Value).Run();
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
            throw new InvalidOperationException($"the event {run.Event.Id} is not stored any more, so it cannot be replayed");
    }

    public void Finish(FinishRunWrite write)
    {
        var (run, deliveries) = (write.Run, write.Deliveries);
        if (!workflows.Has(run.WorkflowId.Value))
            return;
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
            .Set(SqliteTime.From(run.StartedAt))
            .Set(SqliteTime.From(run.Duration))
            .Set(SqliteTime.From(run.Compute))
            .Set(deliveries.Length == 0 ? null : deliveries[0].Id.Value)
            .Set(deliveries.Length)
            .Set(run.Trigger)
            .Set(run.Message)
            .Set(write.Error)
            .Set(write.Response)
            .Set(write.Steps)
            .Run();
        for (int i = 0; i < deliveries.Length; i++)
            Insert(deliveries[i], write.Headers[i]);
        if (run.Recovered)
            session.Sql("DELETE FROM recoveries WHERE run_id = ?").Set(run.Id.Value).Run();
        if (run.IsContinuation)
            session.Sql("UPDATE suspensions SET state = NULL, callback = NULL WHERE continued_by = ?").Set(run.Id.Value).Run();
        if (run.ReleasesCaptured)
            session
                .Sql(
                    $"""
                    {SqliteStore.Segments} UPDATE deliveries SET status = 2 WHERE id IN (SELECT d.id FROM {SqliteStore.DeliveriesOfSegments} WHERE d.status = 8)
                    """
                )
                .Set(run.Id.Value)
                .Run();
        if (run.Suspension is { } held)
            session
                .Sql("INSERT INTO suspensions(run_id, workflow_id, kind, step, until, state) VALUES (?, ?, ?, ?, ?, ?)")
                .Set(run.Id.Value)
                .Set(run.WorkflowId.Value)
                .Set((int)held.Kind)
                .Set(held.Step)
                .Set(SqliteTime.From(held.Until))
                .Set(write.State)
                .Run();
        // A message of Sendoff itself does not count as an invocation.
        if (run.WorkflowId == SystemWorkflow.Alerts)
            return;
        ref var used = ref UsageOf(run.WorkflowId.Value, run.StartedAt);
        used.Runs++;
        if (run.Status.IsFailure())
            used.RunsFailed++;
        used.ComputeUs += SqliteTime.From(run.Compute);
    }

    void Insert(Delivery delivery, byte[]? headers) =>
        session
            .Sql(
                """
                INSERT INTO deliveries(id, run_id, workspace_id, workflow_id, step, idx, status, destination, method, url, error, headers, body, sealed)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """
            )
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
            .Run();

    static byte[]? OrNull(ReadOnlyMemory<byte> bytes) => bytes.IsEmpty ? null : bytes.ToArray();

    bool MarkSending(DeliveryId delivery) =>
        session
            .Sql(
                """
                UPDATE deliveries SET status = 3 WHERE id = ? AND status = 2 AND NOT EXISTS (SELECT 1 FROM deletions WHERE workflow_id = deliveries.workflow_id)
                """
            )
            .Set(delivery.Value)
            .Run() == 1;

    void Record(RecordAttemptWrite write)
    {
        var attempt = write.Attempt;
        // A delivery that was deleted with its workflow while it was in flight is not recorded.
        var (workflow, hadError) = session
            .Sql("SELECT workflow_id, error IS NOT NULL FROM deliveries WHERE id = ?")
            .Set(attempt.DeliveryId.Value)
            .FirstOrDefault(static row => (row.Long(0), row.Int(1) != 0));
        if (!workflows.Has(workflow))
            return;
        InsertAttempt(write);
        // An update of only the status keeps the row's size and is written in place. A resend may have to clear an earlier error.
        if (write.Error is null && !hadError)
            session.Sql("UPDATE deliveries SET status = ? WHERE id = ?").Set((int)attempt.Status).Set(attempt.DeliveryId.Value).Run();
        else
            session
                .Sql("UPDATE deliveries SET status = ?, error = ? WHERE id = ?")
                .Set((int)attempt.Status)
                .Set(write.Error)
                .Set(attempt.DeliveryId.Value)
                .Run();
        ref var used = ref UsageOf(workflow, attempt.StartedAt);
        used.Deliveries++;
        if (attempt.Status != DeliveryStatus.Succeeded)
            used.DeliveriesFailed++;
        used.DeliveryUs += SqliteTime.From(attempt.Timing.TotalMs);
    }

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
            .Set(SqliteTime.From(attempt.StartedAt))
            .Set(SqliteTime.From(timing.QueueMs))
            .Set(SqliteTime.From(timing.DnsMs))
            .Set(SqliteTime.From(timing.ConnectMs))
            .Set(SqliteTime.From(timing.TlsMs))
            .Set(SqliteTime.From(timing.WriteMs))
            .Set(SqliteTime.From(timing.WaitMs))
            .Set(SqliteTime.From(timing.ReadMs))
            .Set(SqliteTime.From(timing.TotalMs))
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
            .Run();
    }

    void Block(RecordBlockedWrite write) =>
        session
            .Sql("UPDATE deliveries SET status = 6, error = ? WHERE id = ? AND status IN (2, 3)")
            .Set(write.Error)
            .Set(write.Delivery.Value)
            .Run();

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
        ref CollectionsMarshal.GetValueRefOrAddDefault(usage, (workflow, SqliteTime.Hour(at)), out _);

    /// <summary>E6: exact, because it is part of the batch's transaction, with one statement per workflow and batch instead of one per
    /// event.</summary>
    void AddUsage()
    {
        foreach (var ((workflow, hour), used) in usage)
        {
            if (!workflows.Has(workflow))
                continue;
            session
                .Sql(
                    """
                    INSERT INTO usage(workflow_id, hour, runs, runs_failed, compute_us, deliveries, deliveries_failed, delivery_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT DO UPDATE SET runs = runs + excluded.runs, runs_failed = runs_failed + excluded.runs_failed,
                        compute_us = compute_us + excluded.compute_us, deliveries = deliveries + excluded.deliveries,
                        deliveries_failed = deliveries_failed + excluded.deliveries_failed, delivery_us = delivery_us + excluded.delivery_us
                    """
                )
                .Set(workflow)
                .Set(hour)
                .Set(used.Runs)
                .Set(used.RunsFailed)
                .Set(used.ComputeUs)
                .Set(used.Deliveries)
                .Set(used.DeliveriesFailed)
                .Set(used.DeliveryUs)
                .Run();
        }
        usage.Clear();
    }

    /// <summary>The low-water mark: unfinished runs are not below it, so a start searches from there. It is raised lazily, and lowered in
    /// the batch that stores an event below it, because ids are created before their events reach the writer.</summary>
    long Mark()
    {
        if (batchMark < mark)
            return Save(batchMark);
        if (time.GetElapsedTime(markedAt) < markEvery)
            return mark;
        markedAt = time.GetTimestamp();
        long lowest = Math.Min(unfinished.LowestMark() ?? highestMark + 1, batchMark);
        return lowest > mark ? Save(lowest) : mark;
    }

    long Save(long to)
    {
        session.Sql(LowWater.Write).Set(to).Run();
        return to;
    }
}

internal static class LowWater
{
    public const string Read = "SELECT value FROM meta WHERE name = 'low_water'";
    public const string Write = "INSERT INTO meta(name, value) VALUES ('low_water', ?) ON CONFLICT DO UPDATE SET value = excluded.value";
}

/// <summary>Stored times: durations in microseconds, and moments in microseconds since 1970 UTC.</summary>
internal static class SqliteTime
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
