using System.IO.Compression;
using System.Reflection;
using System.Security.Cryptography;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Sqlite;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Storage;

/// <summary>Databases of earlier versions are opened as they are, and migrations are compared one by one.</summary>
public sealed class SqliteSchemaTests : IDisposable
{
    readonly StoreFolder folder = new();

    static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => folder.Dispose();

    Task<SqliteStore> OpenAsync(IdSequence? ids = null, ILogger<SqliteStore>? log = null) =>
        SqliteStore.OpenAsync(
            folder.Database,
            TestSecrets.Concealment(),
            ids ?? new IdSequence(TimeProvider.System),
            new EngineLimits(),
            TimeProvider.System,
            log ?? NullLogger<SqliteStore>.Instance,
            Ct
        );

    sealed class Lines : ILogger<SqliteStore>
    {
        public List<string> All { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel,
            Microsoft.Extensions.Logging.EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        ) => All.Add(formatter(state, exception));
    }

    static IEnumerable<string> Resources =>
        Assembly.GetExecutingAssembly().GetManifestResourceNames().Where(static name => name.EndsWith(".db.gz", StringComparison.Ordinal));

    public static TheoryData<string> OlderSchemas => [.. Resources.Order()];

    [Theory]
    [MemberData(nameof(OlderSchemas))]
    public async Task A_database_of_an_older_schema_is_opened_read_continued_and_pruned(string schema)
    {
        Unpack(schema);
        var ids = new IdSequence(TimeProvider.System);
        await using var store = await OpenAsync(ids);

        var runs = (await store.ListRunsAsync(new("orders", null, null, null, null, 50), Ct)).Items;
        Assert.Equal(5, runs.Count);
        Assert.Equal([RunStatus.Failed], runs.Where(run => run.Message is "no").Select(run => run.Status));
        var failed = (await store.GetRunAsync(runs.Single(run => run.Message is "no").Id, Ct))!;
        Assert.Equal([500, 503], Assert.Single(failed.Deliveries).Attempts.Select(attempt => attempt.Response!.Status));
        Assert.Equal(
            (2L, 2L),
            (await store.ListUsageAsync(DateOnly.MinValue, Ct)).Single() is var used ? (used.Runs, used.Deliveries) : default
        );
        Assert.Equal("hook", (await store.GetWorkflowAsync("orders", Ct))!.Triggers[0].Key);

        foreach (var held in await store.ListHeldAsync(10, Ct))
            Assert.NotNull(await store.ReleaseAsync(held, Ct));
        var left = await store.ListUnfinishedRunsAsync(10, null, Ct);
        Assert.Contains(left, run => run.Replay);
        foreach (var run in left)
            Assert.True(await store.FinishRunAsync(End(run), [], Ct));
        var pending = Assert.Single(await store.ListPendingAsync("https://sink.example:443", null, 10, Ct));
        Assert.Equal([pending.Id], await store.MarkSendingAsync([pending.Id], Ct));
        Assert.Equal(1, await store.InterruptSendingAsync(Ct));

        await store.CheckAsync(Ct);
        var workflow = (await store.GetWorkflowAsync("orders", Ct))!;
        Assert.True(
            await store.AcceptAsync(
                new(
                    new(ids.Next()),
                    new(new(ids.Next()), WorkspaceId.Default, workflow.Id, "http", TimeProvider.System.GetUtcNow(), "{}"u8.ToArray()),
                    1
                ),
                Ct
            )
        );
        Assert.True(await store.DeleteWorkflowAsync("orders", Ct));
        while ((await store.PruneAsync(DateTimeOffset.MaxValue, 0, Ct)).More) { }
        await SqlitePlans.AssertGoodAsync(store, folder.Database);
        Assert.Equal(
            0,
            await store.WriteAsync(
                OutageRule.Probe,
                static session =>
                    session.Number(
                        """
                        SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM runs) + (SELECT count(*) FROM deliveries) + (SELECT count(*) FROM attempts)
                        """
                    ),
                Ct
            )
        );
    }

    [Fact]
    public async Task An_upgrade_is_said_before_it_begins_and_a_later_start_has_none()
    {
        Unpack(OlderSchemas.First());
        var log = new Lines();
        await using (await OpenAsync(log: log)) { }
        Assert.Matches("^Upgrading the database .* from schema [0-9]+ to [0-9]+; it may take minutes", log.All[0]);

        var again = new Lines();
        await using (await OpenAsync(log: again)) { }
        Assert.DoesNotContain(again.All, static line => line.StartsWith("Upgrading", StringComparison.Ordinal));
    }

    [Fact]
    public void There_is_a_database_of_every_schema_but_the_newest()
    {
        int[] numbers = [.. MigrationFiles("Sqlite").Select(static file => file.Number).Order()];
        Assert.Equal(
            numbers[..^1],
            Resources.Select(static name => int.Parse(name.Split('.')[^3][..4])).Distinct().Order().Where(n => n < numbers[^1])
        );
    }

    // A database has applied it already, and does not apply what is added to it.
    [Fact]
    public void A_migration_is_never_edited()
    {
        var known = File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Storage", "Schemas", "migrations.sha256"))
            .Select(static line => line.Split("  "))
            .ToDictionary(static line => line[1], static line => line[0]);
        foreach (var (_, name, sql) in MigrationFiles("Sqlite").Concat(MigrationFiles("Postgres")))
            Assert.Equal(
                (name, Convert.ToHexStringLower(SHA256.HashData(sql))),
                (name, known.GetValueOrDefault(name, "add it to Storage/Schemas/migrations.sha256"))
            );
    }

    static IEnumerable<(int Number, string Name, byte[] Sql)> MigrationFiles(string database)
    {
        var engine = typeof(IStore).Assembly;
        foreach (string resource in engine.GetManifestResourceNames())
        {
            if (!resource.Replace('\\', '/').StartsWith($"Storage/{database}/Migrations/", StringComparison.Ordinal))
                continue;
            using var content = new MemoryStream();
            engine.GetManifestResourceStream(resource)!.CopyTo(content);
            string name = Path.GetFileName(resource.Replace('\\', '/'));
            string listed = database == "Sqlite" ? name : $"{database}/{name}";
            yield return (int.Parse(name.AsSpan(0, 4)), listed, content.ToArray());
        }
    }

    [Fact]
    public async Task A_lower_migration_that_a_database_lacks_is_applied()
    {
        await (await OpenAsync()).DisposeAsync();
        Execute("DELETE FROM migrations WHERE number = 12; DROP TABLE held");

        await using var store = await OpenAsync();

        Assert.Empty(await store.ListHeldAsync(1, Ct));
        Assert.Equal(
            1,
            await store.WriteAsync(
                OutageRule.Probe,
                static session => session.Number("SELECT count(*) FROM migrations WHERE number = 12"),
                Ct
            )
        );
        Assert.Equal(0, await store.WriteAsync(OutageRule.Probe, static session => session.Number("SELECT count(*) FROM held"), Ct));
    }

    [Fact]
    public async Task A_lower_migration_that_this_program_does_not_have_is_refused_and_nothing_is_applied()
    {
        await (await OpenAsync()).DisposeAsync();
        Execute(
            "INSERT INTO migrations(number, name) VALUES (4, '0004_of_another_branch'); DELETE FROM migrations WHERE number = 12; "
                + "DROP TABLE held"
        );

        var refused = await Assert.ThrowsAsync<StoreUnavailableException>(() => OpenAsync());

        Assert.Contains("has schema 4 of a newer Sendoff", refused.Message);
        Execute("CREATE TABLE held(run_id INTEGER PRIMARY KEY)"); // was not made again
    }

    static Run End(QueuedRun run) =>
        new(
            run.Id,
            run.Event.Id,
            run.Event.WorkspaceId,
            run.Event.WorkflowId,
            run.Version,
            "http",
            RunStatus.Succeeded,
            TimeProvider.System.GetUtcNow(),
            TimeSpan.Zero,
            TimeSpan.Zero,
            run.Recovered,
            run.Replay,
            null,
            null,
            null,
            []
        );

    void Unpack(string resource)
    {
        using var packed = Assembly.GetExecutingAssembly().GetManifestResourceStream(resource)!;
        using var unpacked = new GZipStream(packed, CompressionMode.Decompress);
        using var file = File.Create(folder.Database);
        unpacked.CopyTo(file);
    }

    void Execute(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={folder.Database};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}
