using Microsoft.Extensions.Logging;

namespace Sendoff.Engine.Storage.Sql;

/// <summary>A store in a SQL database. One thread writes, in group commits; a few connections read concurrently. The statements are the
/// same for every database, with the differences in <see cref="SqlDialect"/>. Rows and lists are read in SqlStore.Reads.cs, deploys are in
/// SqlStore.Workflows.cs, the hot writes in SqlWriter.cs, pruning in SqlPruner.cs, data stores in SqlStore.DataStores.cs. The layout is
/// docs/decisions/0006, the sharing docs/decisions/0035.</summary>
internal abstract partial class SqlStore : IStore
{
    readonly SqlReaders readers;
    readonly SqlPruner pruner;
    readonly UnfinishedRuns unfinished;
    readonly LiveWorkflows workflows;
    readonly GroupCommit commits;
    readonly SqlWriter writer;
    readonly Concealment concealment;
    readonly IdSequence ids;
    readonly EngineLimits limits;
    readonly TimeProvider time;
    readonly ILogger log;
    int closed;

    /// <param name="session">Used by the writer only.</param>
    protected SqlStore(
        StoreParts parts,
        SqlSession session,
        Func<SqlSession> openReader,
        SqlPruner pruner,
        UnfinishedRuns unfinished,
        LiveWorkflows workflows
    )
    {
        (concealment, ids, limits, time, log) = parts;
        (this.pruner, this.unfinished, this.workflows) = (pruner, unfinished, workflows);
        readers = new(openReader, limits.StoreReaders, Explain);
        writer = new SqlWriter(session, unfinished, workflows, ids, time, limits);
        commits = new(writes => Commit(writer, writes), Explain, limits, log);
        ids.StartAfter(HighestId(session));
        commits.Start();
    }

    /// <summary>Converts an error to an outage; null if the written data caused it.</summary>
    protected abstract StoreUnavailableException? Explain(Exception error);

    /// <summary>Commits all writes or none.</summary>
    protected virtual void Commit(SqlWriter writer, ReadOnlySpan<StoreWrite> writes) => writer.Commit(writes);

    protected Task<T> ReadAsync<T>(Func<SqlSession, T> read, CancellationToken ct) => readers.ReadAsync(read, ct);

    /// <summary>A run may have been stored with this server as its owner, although the response was lost.</summary>
    protected virtual void Doubt(RunId run) { }

    /// <summary>The number of outages so far.</summary>
    protected int Outages => commits.Outages;

    /// <summary>Throws if the database must not grow.</summary>
    /// <param name="anew">Checks again instead of using the last result.</param>
    protected virtual void EnsureRoom(bool anew = false) { }

    /// <summary>After pruning, outside of a transaction.</summary>
    protected virtual void Pruned(SqlSession session) { }

    public abstract Task<long> SizeBytesAsync(CancellationToken ct);

    public abstract IServers Servers { get; }

    public async Task<bool> AcceptAsync(QueuedRun run, CancellationToken ct)
    {
        EnsureRoom();
        var write = new AcceptWrite(run, concealment);
        try
        {
            await commits.WriteAsync(write, ct);
            return write.IsStored;
        }
        catch (StoreUnavailableException)
        {
            Doubt(run.Id);
            throw;
        }
    }

    public Task<bool> KeepEventAsync(Event received, CancellationToken ct)
    {
        var masked = concealment.Conceal(received);
        return GrowAsync(
            session =>
            {
                bool lives = workflows.Has(session, received.WorkflowId.Value);
                if (lives)
                    writer.Insert(masked, default, 0);
                return lives;
            },
            ct
        );
    }

    public async Task<bool> FinishRunAsync(Run run, IReadOnlyList<Delivery> deliveries, CancellationToken ct)
    {
        // Only the run's row has the range of its deliveries.
        for (int i = 1; i < deliveries.Count; i++)
            if (deliveries[i].Id.Value != deliveries[0].Id.Value + i * IdSequence.Stride)
                throw new ArgumentException("the ids of a run's deliveries are one block, in call order", nameof(deliveries));
        var write = new FinishRunWrite(run, deliveries, concealment);
        await commits.WriteAsync(write, ct);
        return write.IsStored;
    }

    public async Task<IReadOnlyList<DeliveryId>> MarkSendingAsync(IReadOnlyList<DeliveryId> deliveries, CancellationToken ct)
    {
        var write = new MarkSendingWrite(deliveries);
        await commits.WriteAsync(write, ct);
        return write.Marked;
    }

    public Task RecordAttemptAsync(Attempt attempt, CancellationToken ct) =>
        commits.WriteAsync(new RecordAttemptWrite(attempt, concealment), ct);

    public Task RecordBlockedAsync(DeliveryId delivery, AttemptError error, CancellationToken ct) =>
        commits.WriteAsync(new RecordBlockedWrite(delivery, error, concealment), ct);

    public Task<Delivery?> RequeueAsync(DeliveryId delivery, IReadOnlyList<DeliveryStatus> from, CancellationToken ct) =>
        WriteAsync(
            OutageRule.Refuse,
            session =>
                session
                    .Sql(
                        $"""
                        UPDATE deliveries SET status = 2, error = NULL{session.Dialect.Take}
                        WHERE id = ? AND status IN ({Numbers(from)}) AND status NOT IN (2, 3)
                            AND NOT EXISTS (SELECT 1 FROM deletions WHERE workflow_id = deliveries.workflow_id)
                        """
                    )
                    .Set(delivery.Value)
                    .Run() == 0
                    ? null
                    : session
                        .Sql($"SELECT {DeliveryColumns}, {LastAttempt}, sealed FROM deliveries d WHERE id = ?")
                        .Set(delivery.Value)
                        .FirstOrDefault(ReadPending),
            ct
        );

    /// <summary>Emitted and streamed events stay in the store and are published only once, so they continue after an
    /// interruption.</summary>
    public const string IsPublished = "(destination LIKE 'emit:%' OR destination LIKE 'sse:%' OR destination LIKE 'source:%')";

    public static AttemptError Interruption { get; } =
        new(AttemptErrorCode.Interrupted, AttemptPhase.Write, "the server stopped during the attempt; the request may have been sent");

    public Task<int> InterruptSendingAsync(CancellationToken ct)
    {
        var error = StoredJson.AttemptError(Interruption);
        return WriteAsync(
            OutageRule.Keep,
            session =>
            {
                string own = session.Dialect.Own;
                session.Sql($"UPDATE deliveries SET status = 2 WHERE status = 3{own} AND {IsPublished}").Run();
                return session.Sql($"UPDATE deliveries SET status = 7, error = ? WHERE status = 3{own}").Set(error).Run();
            },
            ct
        );
    }

    public Task<int> StartRecoveredRunAsync(RunId run, CancellationToken ct) =>
        WriteAsync(
            OutageRule.Keep,
            session =>
                IsLeft(session, run)
                    ? (int)
                        session
                            .Sql(
                                """
                                INSERT INTO recoveries(run_id, count) VALUES (?, 1) ON CONFLICT(run_id) DO UPDATE SET count = recoveries.count + 1 RETURNING count
                                """
                            )
                            .Set(run.Value)
                            .Number()!
                            .Value
                    : 0,
            ct
        );

    public Task TakeBackStartsAsync(IReadOnlyList<RunId> runs, CancellationToken ct) =>
        WriteAsync(
            OutageRule.Keep,
            session =>
                runs.Sum(run => session.Sql("UPDATE recoveries SET count = count - 1 WHERE run_id = ? AND count > 0").Set(run.Value).Run()),
            ct
        );

    bool IsLeft(SqlSession session, RunId run) =>
        unfinished.Find(session, run.Value) is { } left && workflows.Has(session, left.WorkflowId);

    /// <summary>A write that grows the database, and is refused while the disk has too little space.</summary>
    async Task<T> GrowAsync<T>(Func<SqlSession, T> apply, CancellationToken ct)
    {
        EnsureRoom();
        return await WriteAsync(OutageRule.Refuse, apply, ct);
    }

    /// <summary>Any other write, in the same group commits.</summary>
    internal async Task<T> WriteAsync<T>(
        OutageRule outage,
        Func<SqlSession, T> apply,
        CancellationToken ct,
        Action<SqlSession>? committed = null
    )
    {
        var write = new SqlWrite<T>(outage, apply, committed);
        await commits.WriteAsync(write, ct);
        return write.Result;
    }

    public async Task CheckAsync(CancellationToken ct)
    {
        EnsureRoom(anew: true);
        await WriteAsync(
            OutageRule.Probe,
            session =>
                session
                    .Sql(
                        """
                        INSERT INTO meta(name, value) VALUES ('checked_at', ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value
                        """
                    )
                    .Set(Now)
                    .Run(),
            ct
        );
        // Such a small write may succeed when an event does not fit.
        if (commits.Outage is { } known)
            throw known;
        await readers.ReadAsync(static session => session.Number("SELECT value FROM meta WHERE name = 'checked_at'"), ct);
    }

    /// <summary>All statements that were used.</summary>
    internal async Task<IReadOnlySet<string>> ListStatementsAsync(CancellationToken ct) =>
        (await WriteAsync(OutageRule.Probe, static session => session.Statements.ToList(), ct)).Concat(readers.Statements).ToHashSet();

    /// <inheritdoc cref="GroupCommit.Measured"/>
    internal (TimeSpan Busy, long Batches, long Writes) Measured => commits.Measured;

    /// <summary>Commits queued writes and closes the connections.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref closed, 1) == 1)
            return;
        await commits.DisposeAsync();
        await readers.DisposeAsync();
        await CloseAsync();
        GC.SuppressFinalize(this);
    }

    /// <summary>Closes what the store has opened, after its last write.</summary>
    protected abstract ValueTask CloseAsync();
}

/// <summary>Dependencies of every store.</summary>
internal sealed record StoreParts(Concealment Concealment, IdSequence Ids, EngineLimits Limits, TimeProvider Time, ILogger Log);
