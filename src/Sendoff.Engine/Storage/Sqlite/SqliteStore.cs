using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;

namespace Sendoff.Engine.Storage.Sqlite;

/// <summary>The store in one file, for one process (G1). One thread writes, in group commits with <c>synchronous=FULL</c>; a few
/// connections read concurrently. Rows and lists are read in SqliteStore.Reads.cs, deploys are in SqliteStore.Workflows.cs, the hot writes
/// in SqliteWriter.cs, pruning in SqlitePruner.cs, data stores in SqliteStore.DataStores.cs. The layout is docs/decisions/0006.</summary>
internal sealed partial class SqliteStore : IStore
{
    readonly string path;
    readonly FileStream processLock;
    readonly SqliteSession session;
    readonly SqliteReaders readers;
    readonly SqlitePruner pruner;
    readonly DiskWatch disk;
    readonly UnfinishedRuns unfinished = new();
    readonly LiveWorkflows workflows = new();
    readonly GroupCommit commits;
    readonly SqliteWriter writer;
    readonly Concealment concealment;
    readonly IdSequence ids;
    readonly EngineLimits limits;
    readonly TimeProvider time;
    readonly ILogger log;
    int closed;

    SqliteStore(
        string path,
        FileStream processLock,
        DiskWatch disk,
        SqliteSession session,
        Concealment concealment,
        IdSequence ids,
        EngineLimits limits,
        TimeProvider time,
        ILogger log
    )
    {
        (this.path, this.processLock, this.disk, this.session, this.concealment, this.ids) = (
            path,
            processLock,
            disk,
            session,
            concealment,
            ids
        );
        (this.limits, this.time, this.log) = (limits, time, log);
        readers = new(path, limits.StoreReaders);
        pruner = new(limits);
        unfinished.Load(ReadUnfinished(session));
        workflows.Load(session.Sql("SELECT id FROM workflows").All(static row => row.Long(0)));
        writer = new SqliteWriter(session, unfinished, workflows, ids, time, limits);
        commits = new(writer.Commit, Explain, limits, log);
        ids.StartAfter(ReadHighestId(session, unfinished));
        commits.Start();
    }

    /// <summary>Opens the database, creates it if necessary, and upgrades its schema.</summary>
    /// <param name="ids">Continues above all ids in the database.</param>
    /// <exception cref="StoreUnavailableException">It cannot be opened; the message gives the reason and the remedy.</exception>
    public static async Task<SqliteStore> OpenAsync(
        string path,
        Concealment concealment,
        IdSequence ids,
        EngineLimits limits,
        TimeProvider time,
        ILogger<SqliteStore> log,
        CancellationToken ct
    )
    {
        path = Path.GetFullPath(path);
        return await Task.Run(() => Open(path, concealment, ids, limits, time, log), ct);
    }

    internal static SqliteStore Open(
        string path,
        Concealment concealment,
        IdSequence ids,
        EngineLimits limits,
        TimeProvider time,
        ILogger log
    )
    {
        var processLock = TakeLock(path);
        SqliteSession? session = null;
        var disk = new DiskWatch(path, limits, time, log);
        try
        {
            disk.Start();
            DatabaseFiles.Check(path);
            DatabaseFiles.Protect(path, log);
            session = OpenWriter(path);
            disk.Follow();
            int schema = Migrator.Run(session.Connection, "Storage/Sqlite/Migrations/", log);
            var store = new SqliteStore(path, processLock, disk, session, concealment, ids, limits, time, log);
            log.StoreOpened(path, schema, store.unfinished.Count);
            if (
                IdSequence.MomentOf(ReadHighestId(session, store.unfinished)) is var newest
                && newest > time.GetUtcNow() + limits.ClockTolerance
            )
                log.IdsAhead(path, newest);
            return store;
        }
        catch (Exception error)
        {
            session?.Dispose();
            disk.Dispose();
            processLock.Dispose();
            if (SqliteErrors.Explain(error, path) is { } unavailable)
                throw unavailable;
            throw;
        }
    }

    StoreUnavailableException? Explain(Exception error)
    {
        var reason = SqliteErrors.Explain(error, path);
        if (reason is not null)
            disk.GiveUpIfFull();
        return reason;
    }

    /// <summary>An exclusive handle, which the system releases when the process ends for any reason.</summary>
    static FileStream TakeLock(string path)
    {
        string folder = Path.GetDirectoryName(path)!,
            file = path + ".lock";
        try
        {
            Directory.CreateDirectory(folder);
            return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 1);
        }
        catch (UnauthorizedAccessException error)
        {
            throw new StoreUnavailableException(
                $"the data folder {folder} cannot be written; give Sendoff write access to it, or name another",
                error
            );
        }
        catch (IOException error)
        {
            throw File.Exists(file)
                ? new($"the database {path} is in use by another Sendoff process; stop it, or set another data folder", error)
                : new StoreUnavailableException($"the data folder {folder} cannot be written ({error.Message}); name another", error);
        }
    }

    // auto_vacuum has an effect only before the first page is written, so before WAL.
    static SqliteSession OpenWriter(string path) =>
        SqliteSession.Open(
            path,
            SqliteOpenMode.ReadWriteCreate,
            "auto_vacuum=INCREMENTAL",
            "journal_mode=WAL",
            "synchronous=FULL",
            "busy_timeout=2000",
            "temp_store=MEMORY",
            "cache_size=-32768",
            "wal_autocheckpoint=2000",
            "journal_size_limit=67108864"
        );

    public async Task<bool> AcceptAsync(QueuedRun run, CancellationToken ct)
    {
        disk.EnsureRoom();
        var write = new AcceptWrite(run, concealment);
        await commits.WriteAsync(write, ct);
        return write.IsStored;
    }

    public Task<bool> KeepEventAsync(Event received, CancellationToken ct)
    {
        var masked = concealment.Conceal(received);
        return GrowAsync(_ => workflows.Has(received.WorkflowId.Value) && writer.Insert(masked, default, 0), ct);
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
                        UPDATE deliveries SET status = 2, error = NULL
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

    public Task<int> InterruptSendingAsync(CancellationToken ct)
    {
        var error = StoredJson.AttemptError(
            new(AttemptErrorCode.Interrupted, AttemptPhase.Write, "the server stopped during the attempt; it may have been sent")
        );
        return WriteAsync(
            OutageRule.Keep,
            session =>
            {
                // Emitted and streamed events stay in this server and are published only once, so they continue.
                session
                    .Sql("UPDATE deliveries SET status = 2 WHERE status = 3 AND (destination LIKE 'emit:%' OR destination LIKE 'sse:%')")
                    .Run();
                return session.Sql("UPDATE deliveries SET status = 7, error = ? WHERE status = 3").Set(error).Run();
            },
            ct
        );
    }

    public Task<int> StartRecoveredRunAsync(RunId run, CancellationToken ct) =>
        WriteAsync(
            OutageRule.Keep,
            session =>
                IsLeft(run)
                    ? (int)
                        session
                            .Sql(
                                """
                                INSERT INTO recoveries(run_id, count) VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1 RETURNING count
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

    bool IsLeft(RunId run) => unfinished.Find(run.Value) is { } left && workflows.Has(left.WorkflowId);

    /// <summary>A write that grows the database, and is refused while the disk has too little space.</summary>
    async Task<T> GrowAsync<T>(Func<SqliteSession, T> apply, CancellationToken ct)
    {
        disk.EnsureRoom();
        return await WriteAsync(OutageRule.Refuse, apply, ct);
    }

    /// <summary>Any other write, in the same group commits.</summary>
    internal async Task<T> WriteAsync<T>(
        OutageRule outage,
        Func<SqliteSession, T> apply,
        CancellationToken ct,
        Action<SqliteSession>? committed = null
    )
    {
        var write = new SqliteWrite<T>(outage, apply, committed);
        await commits.WriteAsync(write, ct);
        return write.Result;
    }

    public async Task CheckAsync(CancellationToken ct)
    {
        disk.EnsureRoom(anew: true);
        await WriteAsync(
            OutageRule.Probe,
            session =>
                session
                    .Sql(
                        """
                        INSERT INTO meta(name, value) VALUES ('checked_at', ?) ON CONFLICT DO UPDATE SET value = excluded.value
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

    /// <summary>Size of the database on the disk, including its log.</summary>
    public Task<long> SizeBytesAsync(CancellationToken ct) => Task.FromResult(FileBytes(path) + FileBytes(path + "-wal"));

    /// <summary>All statements that were used.</summary>
    internal async Task<IReadOnlySet<string>> ListStatementsAsync(CancellationToken ct) =>
        (await WriteAsync(OutageRule.Probe, static session => session.Statements.ToList(), ct)).Concat(readers.Statements).ToHashSet();

    /// <inheritdoc cref="GroupCommit.Measured"/>
    internal (TimeSpan Busy, long Batches, long Writes) Measured => commits.Measured;

    static long FileBytes(string file) => new FileInfo(file) is { Exists: true, Length: var length } ? length : 0;

    /// <summary>Commits queued writes and closes the file.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref closed, 1) == 1)
            return;
        await commits.DisposeAsync();
        await readers.DisposeAsync();
        session.Dispose();
        disk.Dispose();
        processLock.Dispose();
    }
}
