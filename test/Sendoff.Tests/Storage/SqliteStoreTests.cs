using System.Collections.Concurrent;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Sqlite;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Storage;

/// <summary>A folder for one test, gone after it.</summary>
internal sealed class StoreFolder : IDisposable
{
    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("sendoff-store-");

    public string Database => Path.Combine(folder.FullName, "sendoff.db");

    /// <summary>The files as a crash would leave them now.</summary>
    /// <param name="of">The database that is served; null is <see cref="Database"/>.</param>
    public string CopyAsAfterCrash(string? of = null)
    {
        of ??= Database;
        string copy = Path.Combine(folder.CreateSubdirectory(Path.GetRandomFileName()).FullName, "sendoff.db");
        // The log first: what a checkpoint moves into the database meanwhile is then in both.
        foreach (string suffix in new[] { "-wal", "" })
            if (File.Exists(of + suffix))
                File.Copy(of + suffix, copy + suffix);
        return copy;
    }

    public void Dispose() => folder.Delete(recursive: true);
}

public sealed class SqliteStoreConformanceTests : StoreConformanceTests
{
    readonly StoreFolder folder = new();
    string? path;

    protected override async Task<IStore> OpenAsync(IdSequence ids) =>
        await SqliteStore.OpenAsync(
            path ??= folder.Database,
            TestSecrets.Concealment(),
            ids,
            new EngineLimits(),
            Clock,
            NullLogger<SqliteStore>.Instance,
            Ct
        );

    protected override Task<IStore> OpenAfterCrashAsync(IdSequence ids)
    {
        path = folder.CopyAsAfterCrash(path);
        return OpenAsync(ids);
    }

    public override async ValueTask DisposeAsync()
    {
        await SqlitePlans.AssertGoodAsync((SqliteStore)Store, path!);
        await base.DisposeAsync();
        folder.Dispose();
    }
}

/// <summary>What only a file can do: shrink, fill its disk, be locked, be damaged.</summary>
public sealed class SqliteStoreTests : IDisposable
{
    readonly StoreFolder folder = new();
    readonly LogLines log = new();
    readonly IdSequence ids = new(TimeProvider.System);

    static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => folder.Dispose();

    Task<SqliteStore> OpenAsync(string? path = null, int pruneRuns = 300)
    {
        var limits = new EngineLimits
        {
            StoreRetry = TimeSpan.FromMilliseconds(50),
            StoreClosing = TimeSpan.FromMilliseconds(500),
            PruneRuns = pruneRuns,
        };
        return SqliteStore.OpenAsync(path ?? folder.Database, TestSecrets.Concealment(), ids, limits, TimeProvider.System, log, Ct);
    }

    static Task<Workflow> DeployAsync(SqliteStore store) =>
        store.DeployAsync("orders", new Dictionary<string, string> { ["a"] = "b" }, [], Ct);

    QueuedRun NewRun(Workflow workflow, int bytes = 4_000) =>
        new(
            new(ids.Next()),
            new(new(ids.Next()), WorkspaceId.Default, workflow.Id, "http", TimeProvider.System.GetUtcNow(), new byte[bytes]),
            1
        );

    static Run End(QueuedRun run) =>
        new(
            run.Id,
            run.Event.Id,
            run.Event.WorkspaceId,
            run.Event.WorkflowId,
            1,
            "http",
            RunStatus.Succeeded,
            TimeProvider.System.GetUtcNow(),
            TimeSpan.Zero,
            TimeSpan.Zero,
            false,
            false,
            null,
            null,
            null,
            []
        );

    Delivery NewDelivery(QueuedRun run, int bytes = 4_000) =>
        new(
            new(ids.Next()),
            run.Id,
            run.Event.WorkspaceId,
            run.Event.WorkflowId,
            0,
            0,
            "https://sink.example:443",
            new("POST", "https://sink.example/", [], new byte[bytes]),
            DeliveryStatus.Captured
        );

    async Task<List<QueuedRun>> FillAsync(SqliteStore store, Workflow workflow, int runs)
    {
        var made = Enumerable.Range(0, runs).Select(_ => NewRun(workflow)).ToList();
        await Task.WhenAll(made.Select(run => store.AcceptAsync(run, Ct)));
        await Task.WhenAll(made.Select(run => store.FinishRunAsync(End(run), [NewDelivery(run)], Ct)));
        return made;
    }

    static async Task<int> PruneAllAsync(SqliteStore store, DateTimeOffset before, long maxBytes)
    {
        int slices = 1;
        while ((await store.PruneAsync(before, maxBytes, Ct)).More)
            slices++;
        return slices;
    }

    // G2

    [Fact]
    public async Task Pruning_by_age_shrinks_the_file_in_slices()
    {
        await using var store = await OpenAsync();
        await FillAsync(store, await DeployAsync(store), 2_000);
        long full = await store.SizeBytesAsync(Ct);

        int slices = await PruneAllAsync(store, DateTimeOffset.MaxValue, 0);

        Assert.True(slices > 5);
        Assert.True(full > 16_000_000);
        Assert.InRange(new FileInfo(folder.Database).Length, 1, full / 10);
        Assert.InRange(await store.SizeBytesAsync(Ct), 1, full / 10);
    }

    [Fact]
    public async Task Pruning_by_size_brings_the_file_under_its_limit_and_keeps_the_newest()
    {
        await using var store = await OpenAsync();
        var made = await FillAsync(store, await DeployAsync(store), 2_000);
        long limit = await store.SizeBytesAsync(Ct) / 2;

        await PruneAllAsync(store, DateTimeOffset.MinValue, limit);

        Assert.InRange(await store.SizeBytesAsync(Ct), limit / 3, limit);
        Assert.Null(await store.GetRunAsync(made[0].Id, Ct));
        Assert.NotNull(await store.GetRunAsync(made[^1].Id, Ct));
    }

    [Fact]
    public async Task Events_are_accepted_and_read_while_history_is_pruned()
    {
        await using var store = await OpenAsync(pruneRuns: 20);
        var workflow = await DeployAsync(store);
        await FillAsync(store, workflow, 2_000);
        var before = TimeProvider.System.GetUtcNow();

        var pruning = PruneAllAsync(store, before, 0);
        var accepted = new List<QueuedRun>();
        do
        {
            accepted.Add(NewRun(workflow));
            await store.AcceptAsync(accepted[^1], Ct);
            Assert.NotEmpty((await store.ListRunsAsync(new(null, null, null, null, null, 10), Ct)).Items);
        } while (!pruning.IsCompleted);

        await pruning;
        Assert.True(accepted.Count > 10);
        foreach (var run in accepted)
            Assert.NotNull(await store.GetEventAsync(run.Event.Id, Ct));
    }

    [Fact]
    public async Task A_deletion_that_a_crash_cut_off_is_finished_by_pruning()
    {
        await using (var store = await OpenAsync())
        {
            await FillAsync(store, await DeployAsync(store), 700);
            await store.WriteAsync(
                OutageRule.Keep,
                static session =>
                    session
                        .Sql(
                            """
                            INSERT INTO deletions(workflow_id) SELECT id FROM workflows WHERE name = 'orders'
                            """
                        )
                        .Run() + session.Sql("DELETE FROM workflows").Run(),
                Ct
            );
        }
        await using var after = await OpenAsync();

        await PruneAllAsync(after, DateTimeOffset.MinValue, 0);

        Assert.Equal(
            0,
            await after.WriteAsync(
                OutageRule.Keep,
                static session =>
                    session.Number(
                        """
                        SELECT (SELECT count(*) FROM runs) + (SELECT count(*) FROM events) + (SELECT count(*) FROM deliveries) + (SELECT count(*) FROM deletions)
                        """
                    ),
                Ct
            )
        );
    }

    [Fact]
    public async Task A_reader_does_not_hold_up_pruning()
    {
        await using var store = await OpenAsync();
        await FillAsync(store, await DeployAsync(store), 300);
        using var reader = new SqliteConnection($"Data Source={folder.Database};Mode=ReadOnly;Pooling=False");
        reader.Open();
        using var transaction = reader.BeginTransaction(deferred: true);
        using var read = reader.CreateCommand();
        read.CommandText = "SELECT count(*) FROM runs";
        Assert.Equal(300L, read.ExecuteScalar());

        await PruneAllAsync(store, DateTimeOffset.MaxValue, 0).WithinLimitAsync();

        Assert.Equal(300L, read.ExecuteScalar());
    }

    // G3

    [Fact]
    public async Task A_full_disk_refuses_new_events_at_once_and_keeps_the_end_of_a_run_until_it_fits()
    {
        await using var store = await OpenAsync();
        var workflow = await DeployAsync(store);
        var running = NewRun(workflow);
        await store.AcceptAsync(running, Ct);
        await store.WriteAsync(OutageRule.Probe, static session => session.Number("PRAGMA max_page_count = 60"), Ct);

        var finish = store.FinishRunAsync(End(running), [NewDelivery(running, bytes: 1_000_000)], Ct);
        var refused = await Assert.ThrowsAsync<StoreUnavailableException>(() => store.AcceptAsync(NewRun(workflow, 1_000_000), Ct));

        Assert.Contains("the disk is full", refused.Message);
        Assert.Contains(folder.Database, refused.Message);
        Assert.False(finish.IsCompleted);
        await Assert.ThrowsAsync<StoreUnavailableException>(() => store.AcceptAsync(NewRun(workflow), Ct));
        await Assert.ThrowsAsync<StoreUnavailableException>(() => store.CheckAsync(Ct));
        Assert.Equal(RunStatus.Queued, (await store.GetRunAsync(running.Id, Ct))!.Run.Status);

        await store.WriteAsync(OutageRule.Probe, static session => session.Number("PRAGMA max_page_count = 1000000"), Ct);
        await finish.WithinLimitAsync();

        await store.AcceptAsync(NewRun(workflow), Ct);
        Assert.Single((await store.GetRunAsync(running.Id, Ct))!.Deliveries);
        Assert.Single(log.Lines, line => line.StartsWith("3000 Warning", StringComparison.Ordinal));
        Assert.Single(log.Lines, line => line.StartsWith("3001", StringComparison.Ordinal));
    }

    [Fact]
    public async Task After_a_full_disk_with_nothing_kept_new_events_are_tried_again()
    {
        await using var store = await OpenAsync();
        var workflow = await DeployAsync(store);
        await store.WriteAsync(OutageRule.Probe, static session => session.Number("PRAGMA max_page_count = 60"), Ct);
        await Assert.ThrowsAsync<StoreUnavailableException>(() => store.AcceptAsync(NewRun(workflow, 1_000_000), Ct));
        await store.WriteAsync(OutageRule.Probe, static session => session.Number("PRAGMA max_page_count = 1000000"), Ct);

        await Wait.UntilAsync(() => TakesAsync(store, NewRun(workflow, 1_000_000)));
    }

    static async Task<bool> TakesAsync(SqliteStore store, QueuedRun run)
    {
        try
        {
            await store.AcceptAsync(run, Ct);
            return true;
        }
        catch (StoreUnavailableException)
        {
            return false;
        }
    }

    [Fact]
    public async Task Pruning_on_a_full_disk_makes_room_for_what_was_kept()
    {
        await using var store = await OpenAsync();
        var workflow = await DeployAsync(store);
        await FillAsync(store, workflow, 300);
        var running = NewRun(workflow);
        await store.AcceptAsync(running, Ct);
        // The least there can be is what there is.
        await store.WriteAsync(OutageRule.Probe, static session => session.Number("PRAGMA max_page_count = 1"), Ct);
        var finish = store.FinishRunAsync(End(running), [NewDelivery(running, 300_000)], Ct);
        await Wait.UntilAsync(() => log.Lines.Any(line => line.StartsWith("3000 Warning", StringComparison.Ordinal)));
        Assert.False(finish.IsCompleted);

        Assert.True((await store.PruneAsync(DateTimeOffset.MaxValue, 0, Ct)).Rows > 0);

        await finish.WithinLimitAsync();
    }

    [Fact]
    public async Task A_database_that_another_program_locks_is_waited_out()
    {
        await using var store = await OpenAsync();
        var workflow = await DeployAsync(store);
        var running = NewRun(workflow);
        await store.AcceptAsync(running, Ct);
        using var other = new SqliteConnection($"Data Source={folder.Database};Pooling=False");
        other.Open();
        using (var transaction = other.BeginTransaction())
        {
            var finish = store.FinishRunAsync(End(running), [], Ct);
            var refused = await Assert.ThrowsAsync<StoreUnavailableException>(() => store.AcceptAsync(NewRun(workflow), Ct));
            Assert.Contains("locked by another program", refused.Message);
            Assert.False(finish.IsCompleted);
            transaction.Rollback();
            await finish.WithinLimitAsync();
        }
        Assert.Equal(RunStatus.Succeeded, (await store.GetRunAsync(running.Id, Ct))!.Run.Status);
    }

    [Fact]
    public async Task Closing_during_an_outage_gives_up_after_a_while_and_says_so()
    {
        var store = await OpenAsync();
        var running = NewRun(await DeployAsync(store));
        await store.AcceptAsync(running, Ct);
        await store.WriteAsync(OutageRule.Probe, static session => session.Number("PRAGMA max_page_count = 1"), Ct);
        var finish = store.FinishRunAsync(End(running), [NewDelivery(running, 1_000_000)], Ct);

        await store.DisposeAsync().AsTask().WithinLimitAsync();

        await Assert.ThrowsAsync<StoreUnavailableException>(() => finish);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => store.AcceptAsync(running, Ct));
    }

    // Opening

    [Fact]
    public async Task One_process_serves_a_database()
    {
        await using (await OpenAsync())
        {
            var refused = await Assert.ThrowsAsync<StoreUnavailableException>(() => OpenAsync());
            Assert.Contains("in use by another Sendoff process", refused.Message);
            Assert.Contains(folder.Database, refused.Message);
        }
        await (await OpenAsync()).DisposeAsync();
    }

    [Fact]
    public async Task A_database_of_a_newer_program_is_refused_and_left_alone()
    {
        await (await OpenAsync()).DisposeAsync();
        Execute("INSERT INTO migrations(number, name) VALUES (9999, '9999_future')");

        var refused = await Assert.ThrowsAsync<StoreUnavailableException>(() => OpenAsync());

        Assert.Contains("schema 9999 of a newer Sendoff", refused.Message);
        Execute("DELETE FROM migrations WHERE number = 9999");
        await (await OpenAsync()).DisposeAsync();
    }

    [Fact]
    public async Task A_file_that_is_no_database_is_refused_and_left_alone()
    {
        await File.WriteAllTextAsync(folder.Database, new string('x', 5_000), Ct);

        var refused = await Assert.ThrowsAsync<StoreUnavailableException>(() => OpenAsync());

        Assert.Contains("is not a SQLite database", refused.Message);
        Assert.Equal(5_000, new FileInfo(folder.Database).Length);
    }

    [Fact]
    public async Task A_data_folder_that_cannot_be_written_is_a_clear_error()
    {
        await File.WriteAllTextAsync(folder.Database, "a file", Ct);

        var refused = await Assert.ThrowsAsync<StoreUnavailableException>(() =>
            OpenAsync(Path.Combine(folder.Database, "data", "sendoff.db"))
        );

        Assert.Contains("cannot be written", refused.Message);
    }

    [Fact]
    public async Task A_commit_is_flushed_to_the_disk_and_the_file_can_shrink()
    {
        await using var store = await OpenAsync();

        Assert.Equal(
            (2, 2L),
            await store.WriteAsync(
                OutageRule.Probe,
                static session => ((int)session.Number("PRAGMA synchronous"), session.Number("PRAGMA auto_vacuum")),
                Ct
            )
        );
        Assert.True(File.Exists(folder.Database + "-wal"));
    }

    void Execute(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={folder.Database};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    sealed class LogLines : ILogger<SqliteStore>
    {
        public ConcurrentQueue<string> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel,
            Microsoft.Extensions.Logging.EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        ) => Lines.Enqueue($"{eventId.Id} {logLevel} {formatter(state, exception)}");
    }
}
