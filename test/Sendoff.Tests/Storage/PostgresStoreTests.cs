using Microsoft.Extensions.Time.Testing;
using Npgsql;
using Sendoff.Engine.Cluster;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Postgres;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Storage;

public sealed class PostgresStoreConformanceTests : StoreConformanceTests
{
    readonly string database = PostgresServer.Shared.NewDatabase();

    protected override async Task<IStore> OpenAsync(IdSequence ids) =>
        await Task.Run(() => PostgresStore.Open(database, new("one", "one", "0"), TestSecrets.Parts(ids, Clock)), Ct);

    // The earlier process is still connected, and its data folder in use by the new one.
    protected override Task<IStore> OpenAfterCrashAsync(IdSequence ids) => OpenAsync(ids);
}

/// <summary>What only a database that several servers use can do.</summary>
public sealed class PostgresStoreTests
{
    readonly string database = PostgresServer.Shared.NewDatabase();
    readonly FakeTimeProvider clock = new(DateTimeOffset.Parse("2026-11-23T08:00:00Z"));

    static CancellationToken Ct => TestContext.Current.CancellationToken;

    PostgresStore Open(string instance, string? connection = null) =>
        PostgresStore.Open(connection ?? database, new(instance, instance, "0"), TestSecrets.Parts(new(clock), clock));

    async Task<QueuedRun> AcceptAsync(PostgresStore store, WorkflowId workflow)
    {
        var ids = new IdSequence(clock);
        ids.UseSlot(500 + Interlocked.Increment(ref slots));
        var run = new QueuedRun(
            new(ids.Next()),
            new(new(ids.Next()), WorkspaceId.Default, workflow, "http", clock.GetUtcNow(), "{}"u8.ToArray()),
            1
        );
        Assert.True(await store.AcceptAsync(run, Ct));
        return run;
    }

    int slots;

    Run End(QueuedRun run) =>
        new(
            run.Id,
            run.Event.Id,
            WorkspaceId.Default,
            run.Event.WorkflowId,
            run.Version,
            run.Event.Trigger,
            RunStatus.Succeeded,
            clock.GetUtcNow(),
            TimeSpan.Zero,
            TimeSpan.Zero,
            Recovered: false,
            Replay: false,
            Error: null,
            Message: null,
            Response: null,
            Steps: []
        );

    Delivery Send(QueuedRun run, DeliveryStatus status, string destination = "https://a.example:443") =>
        new(
            new(run.Id.Value + 2 * IdSequence.Stride),
            run.Id,
            WorkspaceId.Default,
            run.Event.WorkflowId,
            0,
            0,
            destination,
            new("POST", "https://a.example/", [], default),
            status
        );

    static Task<Workflow> DeployAsync(PostgresStore store) =>
        store.DeployAsync("orders", new Dictionary<string, string> { ["workflow.yaml"] = "" }, [], Ct);

    void Remove(int slot)
    {
        using var connection = new NpgsqlConnection(database + ";Pooling=false");
        connection.Open();
        using var command = new NpgsqlCommand($"DELETE FROM servers WHERE slot = {slot}", connection);
        Assert.Equal(1, command.ExecuteNonQuery());
    }

    [Fact]
    public async Task A_server_that_is_no_longer_listed_stores_nothing()
    {
        await using var first = Open("first");
        await using var second = Open("second");
        var workflow = await DeployAsync(first);
        var run = await AcceptAsync(first, workflow.Id);
        Remove(slot: 0);

        var error = await Assert.ThrowsAsync<StoreUnavailableException>(() => AcceptAsync(first, workflow.Id));
        Assert.Contains("its lease expired, and another server has taken over its work", error.Message);
        Assert.Null(await first.Servers.RenewAsync(default, Ct));
        var taken = await second.Servers.TakeOverAsync([], Ct);
        Assert.Equal(1, taken.Runs);
        Assert.Equal([run.Id], (await second.ListUnfinishedRunsAsync(10, null, Ct)).Select(static left => left.Id));
        Assert.True(await second.FinishRunAsync(End(run), [], Ct));
    }

    [Fact]
    public async Task Work_of_another_server_is_not_ended_marked_or_recorded()
    {
        await using var first = Open("first");
        await using var second = Open("second");
        var workflow = await DeployAsync(first);
        var (run, sent) = (await AcceptAsync(first, workflow.Id), await AcceptAsync(first, workflow.Id));
        var delivery = Send(sent, DeliveryStatus.Pending);
        Assert.True(await first.FinishRunAsync(End(sent), [delivery], Ct));

        Assert.False(await second.FinishRunAsync(End(run), [], Ct));
        Assert.Empty(await second.MarkSendingAsync([delivery.Id], Ct));
        Assert.Empty(await second.ListPendingDestinationsAsync(Ct));
        await second.RecordBlockedAsync(delivery.Id, new(AttemptErrorCode.Internal, AttemptPhase.Dns, "no"), Ct);
        Assert.Equal(DeliveryStatus.Pending, (await first.GetDeliveryAsync(delivery.Id, Ct))!.Delivery.Status);
        Assert.True((await second.Servers.TakeOverAsync([], Ct)).IsEmpty);
        Assert.Equal([delivery.Id], await first.MarkSendingAsync([delivery.Id], Ct));
        Assert.True(await first.FinishRunAsync(End(run), [], Ct));
    }

    [Fact]
    public async Task Deliveries_in_flight_of_a_removed_server_become_interrupted_and_the_others_are_taken()
    {
        await using var first = Open("first");
        await using var second = Open("second");
        var workflow = await DeployAsync(first);
        var sends = new List<Delivery>();
        foreach (
            var (status, destination) in new[]
            {
                (DeliveryStatus.Sending, "https://a.example:443"),
                (DeliveryStatus.Pending, "https://b.example:443"),
                (DeliveryStatus.Sending, "emit:1"),
            }
        )
        {
            var run = await AcceptAsync(first, workflow.Id);
            sends.Add(Send(run, status, destination));
            Assert.True(await first.FinishRunAsync(End(run), [sends[^1]], Ct));
        }
        Remove(slot: 0);

        var taken = await second.Servers.TakeOverAsync([], Ct);
        Assert.Equal((0, 1), (taken.Runs, taken.Interrupted));
        Assert.Equal(
            [KeyValuePair.Create("emit:1", sends[2].Id), KeyValuePair.Create("https://b.example:443", sends[1].Id)],
            taken.Pending.OrderBy(static one => one.Key, StringComparer.Ordinal)
        );
        Assert.Equal(DeliveryStatus.Interrupted, (await second.GetDeliveryAsync(sends[0].Id, Ct))!.Delivery.Status);
        Assert.Equal([sends[1].Id], await second.MarkSendingAsync([sends[1].Id], Ct));
    }

    [Fact]
    public async Task An_instance_takes_the_work_of_its_earlier_process_at_once()
    {
        var first = Open("same");
        var workflow = await DeployAsync(first);
        var run = await AcceptAsync(first, workflow.Id);
        await using var second = Open("same");

        Assert.Equal([run.Id], (await second.ListUnfinishedRunsAsync(10, null, Ct)).Select(static left => left.Id));
        Assert.Single(await second.Servers.ListServersAsync(Ct));
        await Assert.ThrowsAsync<StoreUnavailableException>(() => DeployAsync(first));
        await first.DisposeAsync();
        Assert.Single(await second.Servers.ListServersAsync(Ct));
    }

    [Fact]
    public async Task A_delivery_of_another_server_can_be_sent_again_by_this_one()
    {
        await using var first = Open("first");
        await using var second = Open("second");
        var run = await AcceptAsync(first, (await DeployAsync(first)).Id);
        var delivery = Send(run, DeliveryStatus.Captured);
        Assert.True(await first.FinishRunAsync(End(run), [delivery], Ct));

        Assert.NotNull(await second.RequeueAsync(delivery.Id, [DeliveryStatus.Captured], Ct));
        Assert.Empty(await first.MarkSendingAsync([delivery.Id], Ct));
        Assert.Equal([delivery.Id], await second.MarkSendingAsync([delivery.Id], Ct));
    }

    /// <summary>Whatever a call was doing when its connection was cut, it fails as an outage, and the next one succeeds.</summary>
    [Fact]
    public async Task Connections_that_are_cut_are_an_outage_and_are_opened_again()
    {
        await using var store = Open("one");
        var workflow = (await DeployAsync(store)).Id;
        var run = await AcceptAsync(store, workflow);
        using var done = new CancellationTokenSource();
        var calls = new Func<Task>[]
        {
            () => store.GetRunAsync(run.Id, Ct),
            () => store.ListRunsAsync(new(null, null, null, null, null, 10) { Text = "a" }, Ct),
            () => store.ListPendingDestinationsAsync(Ct),
            () => store.Servers.RenewAsync(default, Ct),
            () => store.Servers.TakeOverAsync([], Ct),
            () => store.SetHoldAsync(null, Ct),
        };
        var users = calls.Select(call => Task.Run(() => CallAsync(call, done.Token), Ct)).ToList();
        for (int i = 0; i < 40; i++)
        {
            Execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            );
            await Task.Yield();
        }
        await done.CancelAsync();
        await Task.WhenAll(users).WithinLimitAsync();

        await Wait.UntilAsync(async () => await TryAsync(() => store.CheckAsync(Ct)));
        Assert.Equal(RunStatus.Queued, (await store.GetRunAsync(run.Id, Ct))!.Run.Status);
    }

    static async Task CallAsync(Func<Task> call, CancellationToken until)
    {
        while (!until.IsCancellationRequested)
            await TryAsync(call);
    }

    static async Task<bool> TryAsync(Func<Task> call)
    {
        try
        {
            await call();
            return true;
        }
        catch (StoreUnavailableException)
        {
            return false;
        }
    }

    [Fact]
    public async Task A_turn_belongs_to_one_server_until_it_is_passed_on()
    {
        await using var first = Open("first");
        await using var second = Open("second");
        long workflow = (await DeployAsync(first)).Id.Value;

        Assert.True(await first.Servers.TryTakeTurnAsync(workflow, Ct));
        Assert.Empty(await first.Servers.ListWantedTurnsAsync(Ct));
        Assert.False(await second.Servers.TryTakeTurnAsync(workflow, Ct));
        Assert.Equal([workflow], await first.Servers.ListWantedTurnsAsync(Ct));
        await first.Servers.PassTurnAsync(workflow, Ct);
        Assert.True(await second.Servers.TryTakeTurnAsync(workflow, Ct));
        Remove(slot: 1);
        Assert.True(await first.Servers.TryTakeTurnAsync(workflow, Ct));
    }

    [Fact]
    public async Task A_change_increases_the_revision_of_its_content_only()
    {
        await using var first = Open("first");
        await using var second = Open("second");
        var before = (await second.Servers.RenewAsync(default, Ct))!;
        await DeployAsync(first);
        await first.SaveTokenAsync(new(new(1), WorkspaceId.Default, "t", TokenScope.Read, new byte[32], clock.GetUtcNow()), Ct);
        var after = (await second.Servers.RenewAsync(default, Ct))!;

        Assert.Equal(2, after.Senders);
        Assert.Equal(
            [Cached.Workflows, Cached.Tokens],
            after.Revisions.Where(one => before.Revisions[one.Key] != one.Value).Select(static one => one.Key).Order()
        );
    }

    [Theory]
    [InlineData("Database=sendoff", "Database lacks Host or Database; expected: Host=")]
    [InlineData("Host=/nowhere;Database=a;Colour=blue", "Database is not a connection string of PostgreSQL: ")]
    [InlineData(
        "Host=127.0.0.1;Port=1;Database=a;Username=b",
        "the database a on 127.0.0.1:1 cannot be reached (Connection refused); check that"
    )]
    public void A_connection_string_that_cannot_be_used_is_one_clear_line(string connection, string says)
    {
        var error = Assert.Throws<StoreUnavailableException>(() => Open("one", connection));
        Assert.Contains(says, error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Theory]
    [InlineData("Database", "missing", " does not exist; create it with: createdb missing")]
    [InlineData("Username", "nobody", " refuses the user (role \"nobody\" does not exist); check Username and Password")]
    public void A_database_or_user_that_does_not_exist_is_named_with_the_remedy(string part, string value, string says)
    {
        var connection = new NpgsqlConnectionStringBuilder(database) { [part] = value }.ConnectionString;
        var error = Assert.Throws<StoreUnavailableException>(() => Open("one", connection));
        Assert.Contains(says, error.Message);
    }

    [Fact]
    public void Missing_rights_are_named_with_the_remedy()
    {
        Execute("CREATE ROLE poor LOGIN");
        try
        {
            var connection = new NpgsqlConnectionStringBuilder(PostgresServer.Shared.NewEmptyDatabase())
            {
                Username = "poor",
            }.ConnectionString;
            var error = Assert.Throws<StoreUnavailableException>(() => Open("one", connection));
            Assert.Contains("does not permit this (permission denied for schema public)", error.Message);
        }
        finally
        {
            Execute("DROP ROLE poor");
        }
    }

    /// <summary>As a pooler in transaction mode does it.</summary>
    [Fact]
    public async Task A_connection_that_loses_its_settings_is_named()
    {
        await using var store = Open("one");
        await store.WriteSoonAsync(static session => session.Sql("RESET ALL").Run(), Ct);
        var error = await Assert.ThrowsAsync<StoreUnavailableException>(() => store.SetHoldAsync(null, Ct));
        Assert.Contains("not to a pooler in transaction mode", error.Message);
    }

    [Fact]
    public async Task Doctor_says_what_it_finds_and_joins_nothing()
    {
        Assert.EndsWith(", 0 servers", SharedDatabase.Look(database).Text, StringComparison.Ordinal);
        await using var store = Open("one");
        await store.KeepFingerprintAsync(7, Ct);
        var found = SharedDatabase.Look(database);
        Assert.Equal((7, null), (found.State.KeyFingerprint, found.State.Fault));
        Assert.EndsWith(", 1 servers", found.Text, StringComparison.Ordinal);
        Assert.Single(await store.Servers.ListServersAsync(Ct));
        Assert.EndsWith(
            "the first start creates its tables",
            SharedDatabase.Look(PostgresServer.Shared.NewEmptyDatabase()).Text,
            StringComparison.Ordinal
        );
        Assert.Contains("Database lacks Host", SharedDatabase.Look("Database=a").State.Fault);
    }

    [Fact]
    public void A_database_that_is_newer_is_refused()
    {
        Execute("INSERT INTO migrations(number, name) VALUES (99, '0099_later')");
        var error = Assert.Throws<StoreUnavailableException>(() => Open("one"));
        Assert.Contains("has schema 99 of a newer Sendoff", error.Message);
    }

    void Execute(string sql)
    {
        using var connection = new NpgsqlConnection(database + ";Pooling=false");
        connection.Open();
        using var command = new NpgsqlCommand(sql, connection);
        command.ExecuteNonQuery();
    }
}
