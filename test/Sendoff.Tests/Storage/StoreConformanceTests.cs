using System.Text;
using Microsoft.Extensions.Time.Testing;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workflows;

namespace Sendoff.Tests.Storage;

/// <summary>What every driver does. A driver's suite derives from this and says how to open, to open again and to crash.</summary>
public abstract partial class StoreConformanceTests : IAsyncLifetime
{
    protected static readonly DateTimeOffset Start = DateTimeOffset.Parse("2026-11-23T08:00:00Z");

    protected FakeTimeProvider Clock { get; } = new(Start);
    protected IdSequence Ids { get; private set; } = null!;
    protected IStore Store { get; private set; } = null!;
    Workflow workflow = null!;

    protected abstract Task<IStore> OpenAsync(IdSequence ids);

    /// <summary>The state on disk as a crash would leave it now, opened anew.</summary>
    protected abstract Task<IStore> OpenAfterCrashAsync(IdSequence ids);

    protected static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Ids = new(Clock);
        Store = await OpenAsync(Ids);
        workflow = await DeployAsync("orders");
    }

    public virtual async ValueTask DisposeAsync()
    {
        await Store.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    protected async Task ReopenAsync()
    {
        await Store.DisposeAsync();
        Ids = new(Clock);
        Store = await OpenAsync(Ids);
    }

    async Task CrashAsync()
    {
        var after = await OpenAfterCrashAsync(Ids = new(Clock));
        await Store.DisposeAsync();
        Store = after;
    }

    /// <summary>All statuses from which a delivery can be sent again.</summary>
    static readonly DeliveryStatus[] Ended =
    [
        DeliveryStatus.Succeeded,
        DeliveryStatus.Failed,
        DeliveryStatus.Blocked,
        DeliveryStatus.Interrupted,
        DeliveryStatus.Captured,
    ];

    protected Task<Workflow> DeployAsync(string name, params Trigger[] triggers) =>
        Store.DeployAsync(name, new Dictionary<string, string> { ["workflow.yaml"] = "name: " + name }, triggers, Ct);

    [Fact]
    public async Task Current_versions_and_the_texts_of_a_file_are_read_at_once()
    {
        foreach (string text in (string[])["first \"lock\"", "second", "second"])
            await Store.DeployAsync(
                "bills",
                new Dictionary<string, string> { ["a.js"] = "sendoff-lock.json", ["sendoff-lock.json"] = text },
                [],
                Ct
            );
        await Store.SaveDraftAsync(
            workflow.Id,
            new Dictionary<string, string> { ["sendoff-lock.json"] = "of a draft" },
            isFixed: false,
            Ct
        );
        await Store.DeployAsync("mentions", new Dictionary<string, string> { ["a.js"] = "sendoff-lock.json" }, [], Ct);

        var current = await Store.ListCurrentVersionsAsync(Ct);
        Assert.Equal([("bills", 3), ("mentions", 1), ("orders", 1)], current.Select(version => (version.Name, version.Number)).Order());
        Assert.Equal("name: orders", current.Single(version => version.Name == "orders").Files["workflow.yaml"]);
        Assert.Equal(["first \"lock\"", "of a draft", "second"], (await Store.ListFileTextsAsync("sendoff-lock.json", Ct)).Order());
    }

    protected QueuedRun NewRun(Workflow? of = null, string json = """{"body":{"a":1}}""")
    {
        var received = new Event(
            new(Ids.Next()),
            WorkspaceId.Default,
            (of ?? workflow).Id,
            "http",
            Clock.GetUtcNow(),
            Encoding.UTF8.GetBytes(json)
        );
        return new(new(Ids.Next()), received, 1);
    }

    protected async Task<QueuedRun> AcceptAsync(Workflow? of = null)
    {
        var run = NewRun(of);
        Assert.True(await Store.AcceptAsync(run, Ct));
        return run;
    }

    protected Run End(QueuedRun queued, RunStatus status = RunStatus.Succeeded) =>
        new(
            queued.Id,
            queued.Event.Id,
            queued.Event.WorkspaceId,
            queued.Event.WorkflowId,
            queued.Version,
            queued.Event.Trigger,
            status,
            Clock.GetUtcNow(),
            TimeSpan.FromMilliseconds(20),
            TimeSpan.FromMilliseconds(12.5),
            queued.Recovered,
            queued.Replay,
            null,
            null,
            null,
            []
        );

    protected Delivery[] Sends(QueuedRun run, int count = 1, string host = "sink.example", DeliveryStatus status = DeliveryStatus.Pending)
    {
        long first = Ids.NextBlock(count);
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(i => new Delivery(
                    new(first + i * IdSequence.Stride),
                    run.Id,
                    run.Event.WorkspaceId,
                    run.Event.WorkflowId,
                    0,
                    i,
                    $"https://{host}:443",
                    new(
                        "POST",
                        $"https://{host}/in/{i}?q=100%25",
                        [new("Content-Type", "application/json"), new("X-A", "ü")],
                        Encoding.UTF8.GetBytes("""{"n":1}""")
                    ),
                    status
                )),
        ];
    }

    protected Attempt AttemptOf(
        Delivery delivery,
        DeliveryStatus status = DeliveryStatus.Succeeded,
        int number = 1,
        AttemptError? error = null
    ) =>
        new(
            delivery.Id,
            number,
            Clock.GetUtcNow(),
            status,
            [new("host", "sink.example"), new("content-length", "7")],
            error is null
                ? new(200, "1.1", [new("content-type", "text/plain")], "ok"u8.ToArray(), BodyIsText: true, BodyBytes: 2, Truncated: false)
                : null,
            error,
            new(0.1, 1.5, 2.25, null, 0.05, 3, 0.5, 7.3),
            "10.0.0.1:5000",
            "192.0.2.1:443",
            ConnectionReused: true
        );

    async Task<(QueuedRun Run, Delivery[] Deliveries)> FinishAsync(
        Workflow? of = null,
        RunStatus status = RunStatus.Succeeded,
        int sends = 1,
        string host = "sink.example"
    )
    {
        var run = await AcceptAsync(of);
        var deliveries = Sends(run, sends, host);
        Assert.True(await Store.FinishRunAsync(End(run, status), deliveries, Ct));
        return (run, deliveries);
    }

    async Task<(QueuedRun Run, Delivery[] Deliveries)> DeliverAsync(Workflow? of = null, int sends = 1)
    {
        var (run, deliveries) = await FinishAsync(of, sends: sends);
        await Store.MarkSendingAsync([.. deliveries.Select(one => one.Id)], Ct);
        foreach (var delivery in deliveries)
            await Store.RecordAttemptAsync(AttemptOf(delivery), Ct);
        return (run, deliveries);
    }

    static RunFilter Runs(string? of = null, RunStatus? status = null, long? before = null, int limit = 50) =>
        new(of, status is { } one ? [one] : null, null, null, before, limit);

    static DeliveryFilter Deliveries(
        string? of = null,
        DeliveryStatus? status = null,
        string? host = null,
        string? text = null,
        long? before = null,
        int limit = 50
    ) => new(of, status, host, text, null, null, before, limit);

    [Fact]
    public async Task Runs_of_several_statuses_are_one_list_also_page_by_page_and_in_a_search()
    {
        RunStatus[] made = [RunStatus.Failed, RunStatus.Succeeded, RunStatus.TimedOut, RunStatus.OutOfMemory, RunStatus.Failed];
        List<RunId> failures = [];
        foreach (var status in made)
        {
            var (run, _) = await FinishAsync(status: status);
            if (status.IsFailure())
                failures.Insert(0, run.Id);
        }
        var queued = await AcceptAsync();
        var filter = Runs(limit: 3) with { Statuses = RunStatuses.Failures };

        var first = await Store.ListRunsAsync(filter, Ct);
        var second = await Store.ListRunsAsync(filter with { Before = first.Next }, Ct);
        Assert.Equal(failures, first.Items.Concat(second.Items).Select(run => run.Id));
        Assert.Null(second.Next);
        Assert.Equal(failures, (await Store.ListRunsAsync(filter with { Limit = 10, Text = "n" }, Ct)).Items.Select(run => run.Id));
        var waiting = filter with { Statuses = [RunStatus.Succeeded, RunStatus.Queued] };
        Assert.Equal([RunStatus.Queued, RunStatus.Succeeded], (await Store.ListRunsAsync(waiting, Ct)).Items.Select(run => run.Status));
        Assert.Equal(queued.Id, (await Store.ListRunsAsync(waiting, Ct)).Items[0].Id);
    }

    // Acceptance and end.

    [Fact]
    public async Task An_accepted_event_is_read_back_with_its_queued_run()
    {
        var queued = await AcceptAsync();

        var received = await Store.GetEventAsync(queued.Event.Id, Ct);
        var run = await Store.GetRunAsync(queued.Id, Ct);

        Assert.Equal(queued.Event.Json.ToArray(), received!.Json.ToArray());
        Assert.Equal(queued.Event with { Json = default }, received with { Json = default });
        Assert.Equal(RunStatus.Queued, run!.Run.Status);
        Assert.Equal("orders", run.WorkflowName);
        Assert.Empty(run.Run.Steps);
        Assert.Empty(run.Deliveries);
    }

    [Fact]
    public async Task Accepted_events_and_unfinished_work_outlive_a_crash()
    {
        var queued = await AcceptAsync();
        var (finished, deliveries) = await FinishAsync(sends: 2);

        await CrashAsync();

        var unfinished = Assert.Single(await Store.ListUnfinishedRunsAsync(10, null, Ct));
        Assert.Equal(queued.Id, unfinished.Id);
        Assert.True(unfinished.Recovered);
        Assert.Equal(queued.Event.Json.ToArray(), unfinished.Event.Json.ToArray());
        Assert.Equal(
            deliveries.Select(one => one.Id),
            (await Store.ListPendingAsync("https://sink.example:443", null, 10, Ct)).Select(one => one.Id)
        );
        Assert.Equal(2, (await Store.GetRunAsync(finished.Id, Ct))!.Deliveries.Count);
    }

    [Fact]
    public async Task A_thousand_concurrent_accepts_are_all_durable()
    {
        var runs = Enumerable.Range(0, 1_000).Select(_ => NewRun()).ToList();
        await Task.WhenAll(runs.Select(run => Task.Run(() => Store.AcceptAsync(run, Ct), Ct)));

        await CrashAsync();

        var found = new List<RunId>();
        while (await Store.ListUnfinishedRunsAsync(300, found.Count == 0 ? null : found[^1], Ct) is { Count: > 0 } page)
            found.AddRange(page.Select(run => run.Id));
        Assert.Equal(runs.Select(run => run.Id).OrderBy(id => id.Value), found);
    }

    [Fact]
    public async Task A_run_that_ended_is_read_back_whole()
    {
        var queued = await AcceptAsync();
        var at = Clock.GetUtcNow();
        var step = new StepResult(
            "first",
            0,
            StepStatus.Failed,
            12.5,
            """{"deep":[1,2,{"a":null}],"big":12345678901234567890}"""u8.ToArray(),
            default,
            [new("warn", "look out\n", at)],
            [new("unknown_send_option", "did you mean `data`?", 3, 7)],
            new("TypeError", "no", "E1", "at x", 1, 2)
        );
        var run = End(queued, RunStatus.Failed) with
        {
            Error = new("TypeError", "no", null, null, 1, 2),
            Message = "gave up",
            Steps = [step],
            Trigger = "http",
            Response = new(201, [new("x-a", "1"), new("x-a", "2")], new byte[] { 0, 255 }),
        };
        await Store.FinishRunAsync(run, [], Ct);

        var read = (await Store.GetRunAsync(queued.Id, Ct))!.Run;

        Assert.Equal(run with { Steps = read.Steps, Response = read.Response }, read);
        Assert.Equal(run.Response.Headers, read.Response!.Headers);
        Assert.Equal(run.Response.Body.ToArray(), read.Response.Body.ToArray());
        var readStep = Assert.Single(read.Steps);
        Assert.Equal(step.Exports.ToArray(), readStep.Exports.ToArray());
        Assert.True(readStep.Inputs.IsEmpty);
        Assert.Equal(step.Logs, readStep.Logs);
        Assert.Equal(step.Warnings, readStep.Warnings);
        Assert.Equal(step.Error, readStep.Error);
    }

    [Fact]
    public async Task Exports_may_be_nested_deeper_than_parsers_like()
    {
        var queued = await AcceptAsync();
        byte[] deep = Encoding.UTF8.GetBytes(new string('[', 300) + new string(']', 300));
        await Store.FinishRunAsync(
            End(queued) with
            {
                Steps = [new("a", 0, StepStatus.Succeeded, 1, deep, default, [], [], null)],
            },
            [],
            Ct
        );

        Assert.Equal(deep, (await Store.GetRunAsync(queued.Id, Ct))!.Run.Steps[0].Exports.ToArray());
    }

    [Theory]
    [InlineData(5_000)]
    [InlineData(0)]
    public async Task A_run_ends_even_with_exports_that_cannot_be_read_back(int depth)
    {
        var queued = await AcceptAsync();
        byte[] bad = Encoding.UTF8.GetBytes(depth == 0 ? "{\"a\":" : new string('[', depth) + new string(']', depth));
        await Store.FinishRunAsync(End(queued) with { Steps = [new("a", 0, StepStatus.Succeeded, 1, bad, default, [], [], null)] }, [], Ct);

        Assert.Equal((byte)'"', (await Store.GetRunAsync(queued.Id, Ct))!.Run.Steps[0].Exports.Span[0]);
    }

    [Fact]
    public async Task A_run_and_its_deliveries_are_stored_together_or_not_at_all()
    {
        var (_, taken) = await FinishAsync();
        var queued = await AcceptAsync();
        var deliveries = Sends(queued, 2);
        deliveries =
        [
            taken[0] with
            {
                RunId = queued.Id,
                Id = new(taken[0].Id.Value - IdSequence.Stride),
            },
            taken[0] with
            {
                RunId = queued.Id,
                Index = 1,
            },
        ];

        var neighbour = AcceptAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => Store.FinishRunAsync(End(queued), deliveries, Ct));
        await neighbour;

        Assert.Equal(RunStatus.Queued, (await Store.GetRunAsync(queued.Id, Ct))!.Run.Status);
        Assert.Null(await Store.GetDeliveryAsync(deliveries[0].Id, Ct));
        await CrashAsync();
        Assert.Contains(await Store.ListUnfinishedRunsAsync(10, null, Ct), run => run.Id == queued.Id);
    }

    [Fact]
    public async Task A_run_ends_once()
    {
        var (run, _) = await FinishAsync();

        Assert.False(await Store.FinishRunAsync(End(run), [], Ct));

        Assert.Single((await Store.GetRunAsync(run.Id, Ct))!.Deliveries);
    }

    [Fact]
    public async Task One_bad_write_fails_alone_in_its_group()
    {
        var first = NewRun();
        var same = NewRun() with { Event = first.Event };
        var others = Enumerable.Range(0, 50).Select(_ => NewRun()).ToList();

        var writes = others.Take(25).Append(first).Append(same).Concat(others.Skip(25)).Select(run => Store.AcceptAsync(run, Ct)).ToList();
        await Assert.ThrowsAnyAsync<Exception>(() => Task.WhenAll(writes));

        Assert.Equal(1, writes.Count(write => write.IsFaulted));
        Assert.True(writes[26].IsFaulted);
    }

    [Fact]
    public async Task A_replay_runs_a_stored_event_again_and_outlives_a_crash()
    {
        var (run, _) = await DeliverAsync();
        var replay = new QueuedRun(new(Ids.Next()), run.Event, 1, Replay: true);
        await Store.AcceptAsync(replay, Ct);

        Assert.Equal(RunStatus.Queued, (await Store.GetRunAsync(replay.Id, Ct))!.Run.Status);
        await CrashAsync();
        var unfinished = Assert.Single(await Store.ListUnfinishedRunsAsync(10, null, Ct));
        Assert.True(unfinished.Replay);
        Assert.Equal(run.Event.Id, unfinished.Event.Id);
        await Store.FinishRunAsync(End(unfinished), [], Ct);
        Assert.True((await Store.GetRunAsync(replay.Id, Ct))!.Run is { Replay: true, Recovered: true });
    }

    [Fact]
    public async Task That_a_replay_is_captured_outlives_a_crash()
    {
        var (run, _) = await DeliverAsync();
        await Store.AcceptAsync(new(new(Ids.Next()), run.Event, 1, Replay: true, Captured: true), Ct);

        await CrashAsync();
        Assert.Equal(
            (true, "test"),
            Assert.Single(await Store.ListUnfinishedRunsAsync(10, null, Ct)) is var left ? (left.Captured, left.Trigger) : default
        );
    }

    [Fact]
    public async Task A_replay_of_an_event_that_is_gone_fails() =>
        await Assert.ThrowsAnyAsync<InvalidOperationException>(() => Store.AcceptAsync(NewRun() with { Replay = true }, Ct));

    // After a start.

    [Fact]
    public async Task Recoveries_are_counted_durably()
    {
        var queued = await AcceptAsync();

        Assert.Equal(1, await Store.StartRecoveredRunAsync(queued.Id, Ct));
        await CrashAsync();
        Assert.Equal(2, await Store.StartRecoveredRunAsync(queued.Id, Ct));
        Assert.Equal(3, await Store.StartRecoveredRunAsync(queued.Id, Ct));
    }

    [Fact]
    public async Task Start_that_is_taken_back_does_not_count()
    {
        var queued = await AcceptAsync();
        await Store.TakeBackStartsAsync([queued.Id], Ct); // none is noted
        Assert.Equal(1, await Store.StartRecoveredRunAsync(queued.Id, Ct));
        Assert.Equal(2, await Store.StartRecoveredRunAsync(queued.Id, Ct));
        await Store.TakeBackStartsAsync([queued.Id], Ct);
        await CrashAsync();
        Assert.Equal(2, await Store.StartRecoveredRunAsync(queued.Id, Ct));
    }

    [Fact]
    public async Task Unfinished_runs_are_found_however_old_and_whatever_came_after()
    {
        var low = NewRun();
        var old = await AcceptAsync();
        for (int i = 0; i < 20; i++)
        {
            await FinishAsync();
            Clock.Advance(TimeSpan.FromSeconds(2));
        }
        await Store.AcceptAsync(low, Ct);

        await CrashAsync();

        Assert.Equal([low.Id, old.Id], (await Store.ListUnfinishedRunsAsync(10, null, Ct)).Select(run => run.Id));
    }

    [Fact]
    public async Task A_late_event_with_a_low_id_is_found_after_a_crash()
    {
        var low = NewRun();
        for (int i = 0; i < 5; i++)
        {
            await FinishAsync();
            Clock.Advance(TimeSpan.FromSeconds(2));
        }
        await Store.AcceptAsync(low, Ct);

        await CrashAsync();

        Assert.Equal(low.Id, Assert.Single(await Store.ListUnfinishedRunsAsync(10, null, Ct)).Id);
    }

    [Fact]
    public async Task Runs_of_this_server_are_not_listed_as_left_by_an_earlier_one()
    {
        await AcceptAsync();

        Assert.Empty(await Store.ListUnfinishedRunsAsync(10, null, Ct));
    }

    [Fact]
    public async Task Ids_start_above_all_that_is_stored()
    {
        var (_, deliveries) = await DeliverAsync(sends: 3);
        var queued = await AcceptAsync();
        Clock.AdjustTime(Start.AddDays(-30));

        await ReopenAsync();

        Assert.True(await Store.HighestIdAsync(Ct) >= queued.Id.Value);
        Assert.True(Ids.Next() > Math.Max(queued.Id.Value, deliveries[^1].Id.Value));
    }

    // Deliveries.

    [Fact]
    public async Task Only_pending_deliveries_are_marked_sending()
    {
        var (_, deliveries) = await FinishAsync(sends: 3);
        await Store.MarkSendingAsync([deliveries[1].Id], Ct);

        var marked = await Store.MarkSendingAsync([.. deliveries.Select(one => one.Id), new DeliveryId(1)], Ct);

        Assert.Equal([deliveries[0].Id, deliveries[2].Id], marked);
        Assert.Empty(await Store.ListPendingDestinationsAsync(Ct));
        Assert.Equal(DeliveryStatus.Sending, (await Store.GetDeliveryAsync(deliveries[2].Id, Ct))!.Delivery.Status);
    }

    [Fact]
    public async Task Deliveries_may_be_committed_as_sending_already()
    {
        var run = await AcceptAsync();
        var deliveries = Sends(run, 2, status: DeliveryStatus.Sending);
        await Store.FinishRunAsync(End(run), deliveries, Ct);

        Assert.Empty(await Store.ListPendingDestinationsAsync(Ct));
        Assert.Equal(2, await Store.InterruptSendingAsync(Ct));
    }

    [Fact]
    public async Task What_was_sending_at_a_crash_is_interrupted_and_not_pending()
    {
        var (_, deliveries) = await FinishAsync(sends: 3);
        await Store.MarkSendingAsync([deliveries[0].Id], Ct);
        await CrashAsync();

        Assert.Equal(1, await Store.InterruptSendingAsync(Ct));
        Assert.Equal(0, await Store.InterruptSendingAsync(Ct));

        var interrupted = (await Store.GetDeliveryAsync(deliveries[0].Id, Ct))!.Delivery;
        Assert.Equal(DeliveryStatus.Interrupted, interrupted.Status);
        Assert.Equal(AttemptErrorCode.Interrupted, interrupted.Error!.Code);
        Assert.Equal(2, (await Store.ListPendingAsync(deliveries[0].Destination, null, 10, Ct)).Count);
    }

    [Fact]
    public async Task Pending_deliveries_are_listed_by_destination_in_call_order()
    {
        var (_, first) = await FinishAsync(sends: 3, host: "a.example");
        await FinishAsync(sends: 1, host: "b.example");
        var (_, more) = await FinishAsync(sends: 2, host: "a.example");

        Assert.Equal(["https://a.example:443", "https://b.example:443"], await Store.ListPendingDestinationsAsync(Ct));
        var page = await Store.ListPendingAsync("https://a.example:443", null, 2, Ct);
        var rest = await Store.ListPendingAsync("https://a.example:443", page[^1].Id, 10, Ct);
        Assert.Equal(first.Concat(more).Select(one => one.Id), page.Concat(rest).Select(one => one.Id));
        Assert.Equal(first[0].Request.Headers, page[0].Request.Headers);
        Assert.Equal(first[0].Request.Body.ToArray(), page[0].Request.Body.ToArray());
        Assert.Equal(first[0].Request.Url, page[0].Request.Url);
    }

    [Fact]
    public async Task An_attempt_is_read_back_whole_and_gives_the_delivery_its_status()
    {
        var (run, deliveries) = await FinishAsync();
        var attempt = AttemptOf(deliveries[0]);
        await Store.RecordAttemptAsync(attempt, Ct);

        var stored = (await Store.GetDeliveryAsync(deliveries[0].Id, Ct))!;

        Assert.Equal(DeliveryStatus.Succeeded, stored.Delivery.Status);
        Assert.Equal("orders", stored.WorkflowName);
        var read = Assert.Single(stored.Attempts);
        Assert.Equal(attempt with { Response = read.Response, RequestHeaders = read.RequestHeaders }, read);
        Assert.Equal(attempt.RequestHeaders, read.RequestHeaders);
        Assert.Equal(attempt.Response!.Headers, read.Response!.Headers);
        Assert.Equal("ok"u8.ToArray(), read.Response.Body.ToArray());
        Assert.Equal(attempt.Response with { Headers = read.Response.Headers, Body = read.Response.Body }, read.Response);
        Assert.Single((await Store.GetRunAsync(run.Id, Ct))!.Deliveries[0].Attempts);
    }

    [Fact]
    public async Task Redirects_of_an_attempt_are_read_back_in_order()
    {
        var (_, deliveries) = await FinishAsync();
        RedirectHop[] hops =
        [
            new("POST", "http://a/x?é", 302, "192.0.2.1:80", "https://b/"),
            new("GET", "https://b/", 307, null, "https://b/c"),
        ];
        await Store.RecordAttemptAsync(AttemptOf(deliveries[0]) with { Redirects = hops }, Ct);

        Assert.Equal(hops, Assert.Single((await Store.GetDeliveryAsync(deliveries[0].Id, Ct))!.Attempts).Redirects);
    }

    [Fact]
    public async Task A_resend_adds_an_attempt_and_its_outcome_replaces_the_error()
    {
        var (run, deliveries) = await FinishAsync(sends: 2);
        var error = new AttemptError(AttemptErrorCode.Timeout, AttemptPhase.Read, "timed out after 5,000 ms");
        await Store.RecordAttemptAsync(AttemptOf(deliveries[0], DeliveryStatus.Failed, error: error), Ct);
        Assert.Equal(error, (await Store.GetDeliveryAsync(deliveries[0].Id, Ct))!.Delivery.Error);

        await Store.RecordAttemptAsync(AttemptOf(deliveries[0], number: 2), Ct);

        var stored = (await Store.GetRunAsync(run.Id, Ct))!.Deliveries[0];
        Assert.Equal(DeliveryStatus.Succeeded, stored.Delivery.Status);
        Assert.Null(stored.Delivery.Error);
        Assert.Equal([1, 2], stored.Attempts.Select(attempt => attempt.Number));
        Assert.Equal(error, stored.Attempts[0].Error);
    }

    [Theory]
    [InlineData(DeliveryStatus.Pending, false)]
    [InlineData(DeliveryStatus.Sending, false)]
    [InlineData(DeliveryStatus.Succeeded, true)]
    [InlineData(DeliveryStatus.Failed, true)]
    [InlineData(DeliveryStatus.Blocked, true)]
    [InlineData(DeliveryStatus.Interrupted, true)]
    [InlineData(DeliveryStatus.Captured, true)]
    public async Task A_delivery_is_made_pending_again_only_from_a_status_that_is_named(DeliveryStatus status, bool canBe)
    {
        var run = await AcceptAsync();
        var delivery = Sends(run, status: status)[0];
        await Store.FinishRunAsync(End(run), [delivery], Ct);

        Assert.Null(await Store.RequeueAsync(delivery.Id, [.. Enum.GetValues<DeliveryStatus>().Where(other => other != status)], Ct));
        Assert.Equal(status, (await Store.GetDeliveryAsync(delivery.Id, Ct))!.Delivery.Status);
        Assert.Equal(
            canBe,
            await Store.RequeueAsync(delivery.Id, Enum.GetValues<DeliveryStatus>(), Ct) is { Status: DeliveryStatus.Pending }
        );
    }

    [Fact]
    public async Task What_earlier_segments_captured_becomes_pending_with_the_success_of_the_last_and_with_nothing_else()
    {
        var (first, other) = (await AcceptAsync(), await AcceptAsync());
        var unrelated = Sends(other, status: DeliveryStatus.Captured);
        await Store.FinishRunAsync(End(other), unrelated, Ct);
        var segments = new List<Delivery[]>();
        var run = first;
        for (int i = 0; i < 3; i++)
        {
            segments.Add(Sends(run, 2, $"s{i}.example", DeliveryStatus.Captured));
            var held = new Suspension(run.Id, workflow.Id, HoldKind.Delay, 0, Clock.GetUtcNow(), "the state"u8.ToArray());
            await Store.FinishRunAsync(End(run, RunStatus.Suspended) with { Suspension = held, IsContinuation = i > 0 }, segments[i], Ct);
            run = Next(run);
            Assert.True(await Store.AcceptAsync(run, Ct));
        }
        Assert.Empty(await Store.ListReleasedAsync(run.Id, Ct));

        await Store.FinishRunAsync(End(run) with { IsContinuation = true, ReleasesCaptured = true }, [], Ct);

        Assert.Equal(
            segments.Select(static sends => KeyValuePair.Create(sends[0].Destination, sends[0].Id)),
            (await Store.ListReleasedAsync(run.Id, Ct)).OrderBy(static one => one.Key)
        );
        Assert.Equal(2, (await Store.ListPendingAsync(segments[1][0].Destination, null, 10, Ct)).Count);
        Assert.Equal(DeliveryStatus.Captured, (await Store.GetDeliveryAsync(unrelated[0].Id, Ct))!.Delivery.Status);
    }

    [Fact]
    public async Task An_interrupted_delivery_that_is_sent_again_loses_its_error()
    {
        var (_, deliveries) = await FinishAsync();
        await Store.MarkSendingAsync([deliveries[0].Id], Ct);
        await Store.InterruptSendingAsync(Ct);
        await Store.RecordAttemptAsync(AttemptOf(deliveries[0]), Ct);

        var stored = (await Store.GetDeliveryAsync(deliveries[0].Id, Ct))!.Delivery;
        Assert.Equal((DeliveryStatus.Succeeded, null), (stored.Status, stored.Error));
    }

    [Fact]
    public async Task A_blocked_delivery_ends_with_its_reason_and_no_attempt()
    {
        var (_, deliveries) = await FinishAsync();
        var error = new AttemptError(AttemptErrorCode.BlockedByEgressPolicy, AttemptPhase.Dns, "127.0.0.1 is loopback");
        await Store.RecordBlockedAsync(deliveries[0].Id, error, Ct);

        var stored = (await Store.GetDeliveryAsync(deliveries[0].Id, Ct))!;
        Assert.Equal((DeliveryStatus.Blocked, error), (stored.Delivery.Status, stored.Delivery.Error));
        Assert.Empty(stored.Attempts);
        Assert.Empty(await Store.ListPendingDestinationsAsync(Ct));
    }

    // Runs that are held.

    async Task<QueuedRun> HoldAsync(TimeSpan time)
    {
        var run = await AcceptAsync();
        var held = new Suspension(run.Id, workflow.Id, HoldKind.Delay, 0, Clock.GetUtcNow() + time, "the state"u8.ToArray());
        await Store.FinishRunAsync(End(run, RunStatus.Suspended) with { Suspension = held }, [], Ct);
        return run;
    }

    QueuedRun Next(QueuedRun held, string callback = "{}") =>
        new(new(Ids.Next()), held.Event, 1) { Continues = new(held.Id, Encoding.UTF8.GetBytes(callback)) };

    [Fact]
    public async Task Held_runs_are_listed_by_when_they_are_due_and_outlive_a_crash()
    {
        var late = await HoldAsync(TimeSpan.FromHours(2));
        var soon = await HoldAsync(TimeSpan.FromHours(1));
        await CrashAsync();

        Assert.Equal([soon.Id, late.Id], (await Store.ListSuspendedAsync(10, [], Ct)).Select(held => held.RunId));
        Assert.Empty(await Store.ListSuspendedAsync(10, [workflow.Id], Ct));
        Assert.Empty(await Store.ListUnfinishedRunsAsync(10, null, Ct));
        var stored = (await Store.GetRunAsync(soon.Id, Ct))!.Run;
        Assert.Equal((RunStatus.Suspended, Start.AddHours(1)), (stored.Status, stored.Suspension!.Until));
        Assert.DoesNotContain("the state", Encoding.UTF8.GetString((await Store.GetSuspensionAsync(soon.Id, Ct))!.State.Span));
    }

    [Fact]
    public async Task A_held_run_goes_on_once_and_its_state_lasts_until_the_next_has_ended()
    {
        var held = await HoldAsync(TimeSpan.FromHours(1));
        var next = Next(held);
        Assert.True(await Store.AcceptAsync(next, Ct));
        Assert.False(await Store.AcceptAsync(Next(held), Ct));
        await CrashAsync();

        var left = Assert.Single(await Store.ListUnfinishedRunsAsync(10, null, Ct));
        Assert.Equal((next.Id, held.Id, false), (left.Id, left.Continues!.Run, left.Replay));
        Assert.Equal(
            (RunStatus.Succeeded, next.Id),
            ((await Store.GetRunAsync(held.Id, Ct))!.Run is var before ? (before.Status, before.ContinuedBy) : default)
        );
        Assert.Empty(await Store.ListSuspendedAsync(10, [], Ct));
        Assert.NotNull(await Store.GetSuspensionAsync(held.Id, Ct));
        await Store.FinishRunAsync(End(left) with { IsContinuation = true }, [], Ct);
        Assert.Null(await Store.GetSuspensionAsync(held.Id, Ct));
        Assert.Equal(held.Id, (await Store.GetRunAsync(next.Id, Ct))!.Run.Continues);
    }

    [Fact]
    public async Task A_canceled_run_has_ended_and_does_not_go_on()
    {
        var held = await HoldAsync(TimeSpan.FromHours(1));
        var why = new StepError("Canceled", "no more", "canceled", null, null, null);

        Assert.True(await Store.CancelAsync(held.Id, why, Ct));
        Assert.False(await Store.CancelAsync(held.Id, why, Ct));
        Assert.False(await Store.AcceptAsync(Next(held), Ct));
        Assert.Equal(
            (RunStatus.Failed, "no more", why),
            (await Store.GetRunAsync(held.Id, Ct))!.Run is var run ? (run.Status, run.Message, run.Error) : default
        );
    }

    // Workflows.

    static Dictionary<string, string> Text(string text) => new() { ["a.mjs"] = text };

    [Fact]
    public async Task A_draft_is_changed_until_it_is_fixed_and_is_no_version()
    {
        Assert.Null(await Store.GetDraftAsync(workflow.Id, Ct));
        Assert.Equal(-1, (await Store.SaveDraftAsync(workflow.Id, Text("1"), isFixed: false, Ct))!.Number);
        Assert.Equal(-1, (await Store.SaveDraftAsync(workflow.Id, Text("2"), isFixed: false, Ct))!.Number);
        Assert.Equal(-1, (await Store.SaveDraftAsync(workflow.Id, Text("2"), isFixed: true, Ct))!.Number);
        Assert.Equal(-1, (await Store.SaveDraftAsync(workflow.Id, Text("2"), isFixed: false, Ct))!.Number);
        Assert.Equal(-2, (await Store.SaveDraftAsync(workflow.Id, Text("3"), isFixed: false, Ct))!.Number);

        Assert.Equal("2", (await Store.GetVersionAsync(workflow.Id, -1, Ct))!.Files["a.mjs"]);
        Assert.Equal("3", (await Store.GetDraftAsync(workflow.Id, Ct))!.Files["a.mjs"]);
        Assert.Equal([1], (await Store.ListVersionsAsync(workflow.Id, Ct)).Select(version => version.Number));
        Assert.Equal(1, (await Store.GetWorkflowAsync("orders", Ct))!.Version);
    }

    [Fact]
    public async Task A_test_leaves_a_draft_that_was_saved_meanwhile_the_newest()
    {
        var mine = (await Store.SaveDraftAsync(workflow.Id, Text("mine"), isFixed: false, Ct))!;
        Clock.Advance(TimeSpan.FromSeconds(1));
        await Store.SaveDraftAsync(workflow.Id, Text("theirs"), isFixed: false, Ct);

        var tested = (await Store.SaveDraftAsync(workflow.Id, Text("mine with its lock"), isFixed: true, Ct, mine.DeployedAt))!;
        Assert.Equal("mine with its lock", (await Store.GetVersionAsync(workflow.Id, tested.Number, Ct))!.Files["a.mjs"]);
        var theirs = (await Store.GetDraftAsync(workflow.Id, Ct))!;
        Assert.Equal("theirs", theirs.Files["a.mjs"]);

        Assert.Equal(
            theirs.Number,
            (await Store.SaveDraftAsync(workflow.Id, Text("theirs"), isFixed: true, Ct, theirs.DeployedAt))!.Number
        );
    }

    [Fact]
    public async Task Fifty_drafts_are_kept()
    {
        for (int i = 1; i <= 51; i++)
            await Store.SaveDraftAsync(workflow.Id, Text($"{i}"), isFixed: true, Ct);

        Assert.Null(await Store.GetVersionAsync(workflow.Id, -1, Ct));
        Assert.Equal("2", (await Store.GetVersionAsync(workflow.Id, -2, Ct))!.Files["a.mjs"]);
    }

    [Fact]
    public async Task A_deleted_workflow_takes_no_draft()
    {
        await Store.DeleteWorkflowAsync("orders", Ct);
        Assert.Null(await Store.SaveDraftAsync(workflow.Id, Text("1"), isFixed: false, Ct));
    }

    [Fact]
    public async Task A_deploy_makes_a_new_current_version_and_keeps_the_old_ones()
    {
        Clock.Advance(TimeSpan.FromMinutes(1));
        var second = await Store.DeployAsync("orders", new Dictionary<string, string> { ["a.mjs"] = "1" }, [], Ct);

        Assert.Equal((workflow.Id, 2, true, Start.AddMinutes(1)), (second.Id, second.Version, second.Enabled, second.DeployedAt));
        Assert.Equal([2, 1], (await Store.ListVersionsAsync(workflow.Id, Ct)).Select(version => version.Number));
        Assert.Equal("1", (await Store.GetVersionAsync(workflow.Id, 2, Ct))!.Files["a.mjs"]);
        Assert.Equal("name: orders", (await Store.GetVersionAsync(workflow.Id, 1, Ct))!.Files["workflow.yaml"]);
        Assert.Null(await Store.GetVersionAsync(workflow.Id, 3, Ct));
        Assert.Equal(2, (await Store.GetWorkflowAsync("orders", Ct))!.Version);
        Assert.Null(await Store.GetWorkflowAsync("none", Ct));
        Assert.Single(await Store.ListWorkflowsAsync(Ct));
    }

    static HttpTrigger Http(string? key = null) => new(key, TriggerResponse.Default);

    [Fact]
    public async Task Triggers_without_a_key_get_one_that_survives_redeploys()
    {
        var first = await DeployAsync("keys", Http(), Http());
        var second = await DeployAsync("keys", Http(), Http(), Http());
        await ReopenAsync();
        var third = (await Store.GetWorkflowAsync("keys", Ct))!;

        Assert.All(first.Triggers, trigger => Assert.Matches("^[a-z2-7]{20,}$", trigger.Key));
        Assert.Equal(first.Triggers, second.Triggers.Take(2));
        Assert.Equal(second.Triggers, third.Triggers);
        Assert.Equal(3, third.Triggers.Distinct().Count());
    }

    [Fact]
    public async Task A_key_that_the_workflow_names_is_used_and_belongs_to_it()
    {
        var first = await DeployAsync("a", Http("my-hook"));
        var taken = await Assert.ThrowsAsync<TriggerKeyTakenException>(() => DeployAsync("b", Http("my-hook")));

        Assert.Equal("my-hook", Assert.Single(first.Triggers).Key);
        Assert.Equal("my-hook", taken.Key);
        Assert.Contains("'a'", taken.Message);
        Assert.Null(await Store.GetWorkflowAsync("b", Ct));
        Assert.Equal("my-hook", Assert.Single((await DeployAsync("a", Http())).Triggers).Key);
    }

    [Fact]
    public async Task A_workflow_is_switched_off_and_on()
    {
        Assert.True(await Store.SetEnabledAsync("orders", false, Ct));
        Assert.False((await Store.GetWorkflowAsync("orders", Ct))!.Enabled);
        Assert.False((await DeployAsync("orders")).Enabled);
        Assert.True(await Store.SetEnabledAsync("orders", true, Ct));
        Assert.True((await Store.GetWorkflowAsync("orders", Ct))!.Enabled);
        Assert.False(await Store.SetEnabledAsync("none", true, Ct));
    }

    [Fact]
    public async Task A_deleted_workflow_takes_its_history_with_it_and_leaves_the_others()
    {
        var other = await DeployAsync("other", Http("hook"));
        var (run, deliveries) = await DeliverAsync(other, sends: 2);
        var queued = await AcceptAsync(other);
        var (kept, _) = await DeliverAsync();

        Assert.True(await Store.DeleteWorkflowAsync("other", Ct));
        Assert.False(await Store.DeleteWorkflowAsync("other", Ct));

        Assert.Null(await Store.GetWorkflowAsync("other", Ct));
        Assert.Null(await Store.GetRunAsync(run.Id, Ct));
        Assert.Null(await Store.GetRunAsync(queued.Id, Ct));
        Assert.Null(await Store.GetDeliveryAsync(deliveries[1].Id, Ct));
        Assert.Null(await Store.GetEventAsync(run.Event.Id, Ct));
        Assert.Equal(kept.Id, Assert.Single((await Store.ListRunsAsync(Runs(), Ct)).Items).Id);
        await Store.RecordAttemptAsync(AttemptOf(deliveries[0]), Ct);
        await CrashAsync();
        Assert.Empty(await Store.ListUnfinishedRunsAsync(10, null, Ct));
        Assert.Equal("hook", (await DeployAsync("third", Http("hook"))).Triggers[0].Key);
    }

    [Fact]
    public async Task A_deleted_workflow_takes_no_events_and_ends_no_runs_any_more()
    {
        var other = await DeployAsync("other");
        var (run, deliveries) = await FinishAsync(other);
        var executing = await AcceptAsync(other);
        await Store.DeleteWorkflowAsync("other", Ct);

        Assert.False(await Store.FinishRunAsync(End(executing), Sends(executing), Ct));
        Assert.False(await Store.AcceptAsync(NewRun(other), Ct));
        Assert.False(await Store.AcceptAsync(run with { Id = new(Ids.Next()), Replay = true }, Ct));
        Assert.Empty(await Store.MarkSendingAsync([deliveries[0].Id], Ct));
        Assert.Null(await Store.RequeueAsync(deliveries[0].Id, Ended, Ct));
        Assert.Equal(0, await Store.StartRecoveredRunAsync(executing.Id, Ct));

        await CrashAsync();
        Assert.Null(await Store.GetRunAsync(executing.Id, Ct));
        Assert.Null(await Store.GetEventAsync(executing.Event.Id, Ct));
        Assert.Empty(await Store.ListUnfinishedRunsAsync(10, null, Ct));
        Assert.Empty(await Store.ListPendingAsync(deliveries[0].Destination, null, 10, Ct));
        await PruneAllAsync(DateTimeOffset.MinValue);
        Assert.Empty(await Store.ListPendingDestinationsAsync(Ct));
        Assert.Empty(await Store.ListUsageAsync(DateOnly.MinValue, Ct));
        Assert.True(await Store.AcceptAsync(NewRun(), Ct));
    }

    // Lists.

    [Fact]
    public async Task Runs_are_listed_newest_first_in_pages_with_those_still_queued()
    {
        var expected = new List<RunId>();
        for (int i = 0; i < 7; i++)
            expected.Add(i % 3 == 0 ? (await AcceptAsync()).Id : (await DeliverAsync()).Run.Id);
        expected.Reverse();

        var listed = new List<RunSummary>();
        long? before = null;
        do
        {
            var page = await Store.ListRunsAsync(Runs(before: before, limit: 3), Ct);
            listed.AddRange(page.Items);
            before = page.Next;
        } while (before is not null);

        Assert.Equal(expected, listed.Select(run => run.Id));
        Assert.Equal(3, listed.Count(run => run.Status == RunStatus.Queued));
    }

    [Fact]
    public async Task Runs_are_filtered_by_workflow_status_and_time()
    {
        var other = await DeployAsync("other");
        var (ok, _) = await DeliverAsync();
        var (bad, _) = await FinishAsync(status: RunStatus.Failed);
        Clock.Advance(TimeSpan.FromHours(1));
        var (late, _) = await FinishAsync(other, RunStatus.Failed);
        var queued = await AcceptAsync(other);

        async Task<IEnumerable<RunId>> List(RunFilter filter) => (await Store.ListRunsAsync(filter, Ct)).Items.Select(run => run.Id);

        Assert.Equal([queued.Id, late.Id], await List(Runs("other")));
        Assert.Equal([late.Id, bad.Id], await List(Runs(status: RunStatus.Failed)));
        Assert.Equal([bad.Id], await List(Runs("orders", RunStatus.Failed)));
        Assert.Equal([ok.Id], await List(Runs(status: RunStatus.Succeeded)));
        Assert.Equal([queued.Id], await List(Runs(status: RunStatus.Queued)));
        Assert.Empty(await List(Runs(status: RunStatus.TimedOut)));
        Assert.Empty(await List(Runs("none")));
        Assert.Equal([queued.Id, late.Id], await List(Runs() with { Since = Start.AddMinutes(30) }));
        Assert.Equal([bad.Id, ok.Id], await List(Runs() with { Until = Start.AddMinutes(30) }));
    }

    [Fact]
    public async Task A_run_in_a_list_says_how_its_sends_stand()
    {
        var run = await AcceptAsync();
        var deliveries = Sends(run, 7);
        deliveries[6] = deliveries[6] with { Status = DeliveryStatus.Captured };
        await Store.FinishRunAsync(End(run), deliveries, Ct);
        await Store.RecordAttemptAsync(AttemptOf(deliveries[0]), Ct);
        await Store.RecordAttemptAsync(AttemptOf(deliveries[1]), Ct);
        await Store.RecordAttemptAsync(AttemptOf(deliveries[2], DeliveryStatus.Failed), Ct);
        await Store.RecordBlockedAsync(deliveries[3].Id, new(AttemptErrorCode.BlockedByEgressPolicy, AttemptPhase.Connect, "refused"), Ct);
        await Store.MarkSendingAsync([deliveries[4].Id], Ct);

        var summary = Assert.Single((await Store.ListRunsAsync(Runs(), Ct)).Items);

        Assert.Equal((7, 2, 2, 1), (summary.Sends, summary.SendsDelivered, summary.SendsFailed, summary.SendsCaptured));
        Assert.Equal((run.Id, run.Event.Id, "orders", "http"), (summary.Id, summary.EventId, summary.WorkflowName, summary.Trigger));
    }

    [Fact]
    public async Task Runs_are_found_by_what_is_in_their_event_and_by_sends_that_failed()
    {
        var ada = NewRun(json: """{"body":{"customer":"Ada_L"}}""");
        var bob = NewRun(json: """{"body":{"customer":"AdaXL"}}""");
        foreach (var run in new[] { ada, bob })
        {
            await Store.AcceptAsync(run, Ct);
            var sends = Sends(run);
            await Store.FinishRunAsync(End(run) with { Message = $"told {run.Id}" }, sends, Ct);
            await Store.RecordAttemptAsync(AttemptOf(sends[0], run == bob ? DeliveryStatus.Failed : DeliveryStatus.Succeeded), Ct);
        }
        async Task<IEnumerable<RunId>> List(RunFilter filter) => (await Store.ListRunsAsync(filter, Ct)).Items.Select(run => run.Id);

        Assert.Equal([ada.Id], await List(Runs() with { Text = "ada_l" }));
        Assert.Equal([bob.Id, ada.Id], await List(Runs() with { Text = "customer" }));
        Assert.Equal([bob.Id], await List(Runs() with { Text = bob.Id.ToString() }));
        Assert.Equal([bob.Id], await List(Runs() with { HasFailedSends = true }));
        Assert.Empty(await List(Runs() with { HasFailedSends = true, Text = "ada_l" }));
        Assert.Null((await Store.ListRunsAsync(Runs() with { Text = "nowhere" }, Ct)).Next);
    }

    [Fact]
    public async Task Runs_are_found_by_the_urls_and_bodies_of_their_sends()
    {
        var quiet = await AcceptAsync();
        await Store.FinishRunAsync(End(quiet), [], Ct);
        var run = await AcceptAsync();
        var sends = Sends(run, 2);
        sends[1] = sends[1] with
        {
            Request = sends[1].Request with
            {
                Url = "https://hooks.example/orders/4711",
                Body = Encoding.UTF8.GetBytes("""{"buyer":"Grace"}"""),
            },
        };
        await Store.FinishRunAsync(End(run), sends, Ct);
        var attempt = AttemptOf(sends[1]);
        await Store.RecordAttemptAsync(attempt with { Response = attempt.Response! with { Body = "queued as Z9"u8.ToArray() } }, Ct);

        foreach (string text in new[] { "orders/4711", "HOOKS.example", "grace", "queued as z9" })
            Assert.Equal([run.Id], (await Store.ListRunsAsync(Runs() with { Text = text }, Ct)).Items.Select(one => one.Id));
    }

    [Fact]
    public async Task An_outline_has_the_heads_of_a_runs_sends_with_what_came_of_them()
    {
        var (run, sends) = await FinishAsync(sends: 2);
        await Store.RecordAttemptAsync(
            AttemptOf(sends[0], DeliveryStatus.Failed, error: new(AttemptErrorCode.Timeout, AttemptPhase.Wait, "late")),
            Ct
        );
        await Store.RequeueAsync(sends[0].Id, Ended, Ct);
        await Store.RecordAttemptAsync(AttemptOf(sends[0], number: 2), Ct);

        var outline = await Store.GetRunOutlineAsync(run.Id, Ct);

        Assert.Equal("orders", outline!.WorkflowName);
        Assert.Equal(
            [
                new(sends[0].Id, 0, 0, DeliveryStatus.Succeeded, "POST", sends[0].Request.Url, 200, 7.3),
                new(sends[1].Id, 0, 1, DeliveryStatus.Pending, "POST", sends[1].Request.Url, null, 0),
            ],
            outline.Sends.Select(send => send with { First = null })
        );
        Assert.Equal(
            [(7.3, Start), null],
            outline.Sends.Select(send => send.First is { } first ? (first.TotalMs, first.StartedAt) : ((double, DateTimeOffset)?)null)
        );
        Assert.Empty((await Store.GetRunOutlineAsync((await AcceptAsync()).Id, Ct))!.Sends);
        Assert.Null(await Store.GetRunOutlineAsync(new(1), Ct));
    }

    [Fact]
    public async Task Heads_of_runs_and_deliveries_and_the_last_run_of_each_workflow_are_read_without_their_content()
    {
        var (run, sends) = await FinishAsync(sends: 2);
        Assert.Equal(
            new(run.Id, run.Event.Id, WorkspaceId.Default, run.Event.WorkflowId, "orders", run.Version, "http", RunStatus.Succeeded),
            await Store.FindRunAsync(run.Id, Ct)
        );
        Assert.Equal(new(sends[1].Id, run.Id, DeliveryStatus.Pending), await Store.FindDeliveryAsync(sends[1].Id, Ct));
        Assert.Equal(
            [sends[1].Id, sends[0].Id],
            (await Store.GetDeliveriesAsync([sends[1].Id, new(1), sends[0].Id], Ct)).Select(one => one.Delivery.Id)
        );
        Assert.Equal(run.Id, Assert.Single(await Store.ListLastRunsAsync(Ct)).Id);

        var queued = await AcceptAsync();
        Assert.Equal(RunStatus.Queued, (await Store.FindRunAsync(queued.Id, Ct))!.Status);
        var last = Assert.Single(await Store.ListLastRunsAsync(Ct));
        Assert.Equal((queued.Id, RunStatus.Queued), (last.Id, last.Status));
        Assert.Null(await Store.FindRunAsync(new(1), Ct));
        Assert.Null(await Store.FindDeliveryAsync(new(1), Ct));
    }

    [Fact]
    public async Task Failures_are_listed_newest_first_with_their_reasons()
    {
        var (_, sends) = await FinishAsync(sends: 3);
        await Store.RecordAttemptAsync(AttemptOf(sends[0]), Ct);
        var late = new AttemptError(AttemptErrorCode.Timeout, AttemptPhase.Wait, "late");
        await Store.RecordAttemptAsync(AttemptOf(sends[1], DeliveryStatus.Failed, error: late), Ct);

        var failure = Assert.Single(await Store.ListFailuresAsync(Start, 10, Ct));

        Assert.Equal((sends[1].Id, sends[1].Destination, late, 7.3), (failure.Id, failure.Destination, failure.Error, failure.TotalMs));
        Assert.Null(failure.Code);
        await Store.RecordBlockedAsync(sends[2].Id, new(AttemptErrorCode.BlockedByEgressPolicy, AttemptPhase.Connect, "refused"), Ct);
        Assert.Equal([sends[2].Id, sends[1].Id], (await Store.ListFailuresAsync(Start, 10, Ct)).Select(one => one.Id));
        Assert.Equal([sends[2].Id], (await Store.ListFailuresAsync(Start, 1, Ct)).Select(one => one.Id));
        Assert.Empty(await Store.ListFailuresAsync(Start.AddHours(1), 10, Ct));
    }

    [Fact]
    public async Task Runs_and_deliveries_are_counted_by_the_hour_with_those_that_failed()
    {
        var (_, sends) = await FinishAsync(status: RunStatus.TimedOut, sends: 2);
        await Store.RecordAttemptAsync(AttemptOf(sends[0], DeliveryStatus.Failed), Ct);
        await Store.RecordAttemptAsync(AttemptOf(sends[1]), Ct);
        await FinishAsync(sends: 0);
        Clock.Advance(TimeSpan.FromHours(1));
        await FinishAsync(sends: 0);

        var rows = await Store.ListHoursAsync(Start, Ct);

        Assert.Equal(
            [("orders", 2L, 1L, 2L, 1L), ("orders", 1L, 0L, 0L, 0L)],
            rows.Select(row => (row.Workflow, row.Runs, row.RunsFailed, row.Deliveries, row.DeliveriesFailed))
        );
        Assert.Equal(TimeSpan.FromHours(1), rows[1].Hour - rows[0].Hour);
        Assert.Single(await Store.ListHoursAsync(Start.AddHours(1), Ct));
    }

    [Fact]
    public async Task Deliveries_are_filtered_by_workflow_status_host_text_and_time()
    {
        var other = await DeployAsync("other");
        var (_, a) = await FinishAsync(sends: 2, host: "a.example");
        await Store.RecordAttemptAsync(AttemptOf(a[0], DeliveryStatus.Failed), Ct);
        Clock.Advance(TimeSpan.FromHours(1));
        var (_, b) = await FinishAsync(other, host: "b.a_example");

        async Task<IEnumerable<DeliveryId>> List(DeliveryFilter filter)
        {
            DeliveryId[] found = [.. (await Store.ListDeliveriesAsync(filter, Ct)).Items.Select(one => one.Delivery.Id)];
            Assert.Equal(found, (await Store.ListDeliveryIdsAsync(filter, Ct)).Items);
            return found;
        }

        Assert.Equal([b[0].Id, a[1].Id, a[0].Id], await List(Deliveries()));
        Assert.Equal([b[0].Id], await List(Deliveries("other")));
        Assert.Equal([a[0].Id], await List(Deliveries(status: DeliveryStatus.Failed)));
        Assert.Equal([b[0].Id, a[1].Id], await List(Deliveries(status: DeliveryStatus.Pending)));
        Assert.Equal([a[0].Id], await List(Deliveries() with { AnyOf = [DeliveryStatus.Failed, DeliveryStatus.Blocked] }));
        Assert.Equal(
            [b[0].Id, a[1].Id, a[0].Id],
            await List(Deliveries() with { AnyOf = [DeliveryStatus.Failed, DeliveryStatus.Pending] })
        );
        Assert.Equal([a[1].Id], await List(Deliveries("orders", DeliveryStatus.Pending)));
        Assert.Equal([a[1].Id, a[0].Id], await List(Deliveries(host: "a.example")));
        Assert.Equal([a[1].Id, a[0].Id], await List(Deliveries(host: "a.example:443")));
        Assert.Empty(await List(Deliveries(host: "a.example:80")));
        Assert.Equal([a[1].Id], await List(Deliveries(text: "A.EXAMPLE/in/1")));
        Assert.Equal([b[0].Id], await List(Deliveries(text: "a_ex")));
        Assert.Equal(3, (await List(Deliveries(text: "100%"))).Count());
        Assert.Empty(await List(Deliveries(text: "x%y")));
        Assert.Equal([b[0].Id], await List(Deliveries() with { Since = Start.AddMinutes(30) }));
        Assert.Equal([a[1].Id, a[0].Id], await List(Deliveries() with { Until = Start.AddMinutes(30) }));
    }

    [Fact]
    public async Task Deliveries_are_filtered_by_the_code_of_their_last_response_and_the_phase_of_their_error()
    {
        var (_, sends) = await FinishAsync(sends: 4);
        Attempt Answer(Delivery of, int code, int number = 1)
        {
            var attempt = AttemptOf(of, number: number);
            return attempt with { Response = attempt.Response! with { Status = code } };
        }
        await Store.RecordAttemptAsync(Answer(sends[0], 503), Ct);
        await Store.RecordAttemptAsync(Answer(sends[1], 404), Ct);
        await Store.RequeueAsync(sends[1].Id, Ended, Ct);
        await Store.RecordAttemptAsync(Answer(sends[1], 200, number: 2), Ct);
        await Store.RecordAttemptAsync(
            AttemptOf(sends[2], DeliveryStatus.Failed, error: new(AttemptErrorCode.Timeout, AttemptPhase.Wait, "said \"phase\":\"Dns\"")),
            Ct
        );
        await Store.RecordBlockedAsync(sends[3].Id, new(AttemptErrorCode.BlockedByEgressPolicy, AttemptPhase.Connect, "no"), Ct);
        async Task<IEnumerable<int>> List(DeliveryFilter filter) =>
            (await Store.ListDeliveriesAsync(filter, Ct)).Items.Select(one => one.Delivery.Index);

        Assert.Equal([0], await List(Deliveries() with { Code = new(500, 599) }));
        Assert.Equal([0], await List(Deliveries() with { Code = new(503, 503) }));
        Assert.Equal([1], await List(Deliveries() with { Code = new(200, 299) }));
        Assert.Empty(await List(Deliveries() with { Code = new(404, 404) }));
        Assert.Equal([2], await List(Deliveries() with { Phase = AttemptPhase.Wait }));
        Assert.Equal(
            [3],
            await List(Deliveries("orders", DeliveryStatus.Blocked, "sink.example", "in/3") with { Phase = AttemptPhase.Connect })
        );
        Assert.Empty(await List(Deliveries() with { Phase = AttemptPhase.Dns }));
        Assert.Empty(await List(Deliveries() with { Phase = AttemptPhase.Wait, Code = new(100, 599) }));
    }

    [Fact]
    public async Task A_search_of_deliveries_looks_through_so_many_and_says_where_it_has_come_to()
    {
        var (_, old) = await FinishAsync(host: "sought.example");
        var (_, many) = await FinishAsync(sends: DeliveryFilter.Searched);

        var first = await Store.ListDeliveriesAsync(Deliveries(host: "sought.example"), Ct);
        var second = await Store.ListDeliveriesAsync(Deliveries(host: "sought.example", before: first.Next), Ct);

        Assert.Empty(first.Items);
        Assert.Equal(many[0].Id.Value, first.Next);
        Assert.Equal(old[0].Id, Assert.Single(second.Items).Delivery.Id);
        Assert.Null(second.Next);
    }

    [Fact]
    public async Task Deliveries_are_listed_in_pages_with_their_attempts()
    {
        var (_, deliveries) = await DeliverAsync(sends: 5);

        var first = await Store.ListDeliveriesAsync(Deliveries(limit: 3), Ct);
        var second = await Store.ListDeliveriesAsync(Deliveries(limit: 3, before: first.Next), Ct);

        Assert.Equal(deliveries.Reverse().Select(one => one.Id), first.Items.Concat(second.Items).Select(one => one.Delivery.Id));
        Assert.Null(second.Next);
        Assert.All(first.Items, one => Assert.Single(one.Attempts));
    }

    [Fact]
    public async Task Events_are_listed_newest_first_and_filtered()
    {
        var other = await DeployAsync("other");
        var first = await AcceptAsync();
        Clock.Advance(TimeSpan.FromHours(1));
        var second = await AcceptAsync(other);
        var third = await AcceptAsync();

        async Task<IEnumerable<EventId>> List(EventFilter filter) => (await Store.ListEventsAsync(filter, Ct)).Items.Select(one => one.Id);
        var all = new EventFilter(null, null, null, null, 50);

        Assert.Equal([third.Event.Id, second.Event.Id, first.Event.Id], await List(all));
        Assert.Equal([second.Event.Id], await List(all with { Workflow = "other" }));
        Assert.Equal([first.Event.Id], await List(all with { Until = Start.AddMinutes(1) }));
        Assert.Equal([third.Event.Id, second.Event.Id], await List(all with { Since = Start.AddMinutes(1) }));
        var page = await Store.ListEventsAsync(all with { Limit = 2 }, Ct);
        Assert.Equal([first.Event.Id], await List(all with { Before = page.Next }));
    }

    [Fact]
    public async Task Usage_counts_compute_and_delivery_time_apart_by_workflow_and_day()
    {
        await DeliverAsync(sends: 2);
        await DeliverAsync();
        Clock.Advance(TimeSpan.FromDays(1));
        await DeliverAsync();

        var rows = await Store.ListUsageAsync(new(2026, 11, 23), Ct);

        Assert.Equal(
            [new(new(2026, 11, 23), "orders", 2, 25, 3, 21.9), new(new(2026, 11, 24), "orders", 1, 12.5, 1, 7.3)],
            rows.Select(row => row with { DeliveryMs = Math.Round(row.DeliveryMs, 3) })
        );
        Assert.Single(await Store.ListUsageAsync(new(2026, 11, 24), Ct));
    }

    [Fact]
    public async Task Usage_is_not_counted_for_what_was_not_stored()
    {
        var (run, _) = await FinishAsync();
        Assert.False(await Store.FinishRunAsync(End(run), [], Ct));

        Assert.Equal(1, Assert.Single(await Store.ListUsageAsync(new(2026, 11, 23), Ct)).Runs);
    }

    // Keeping house.

    protected async Task<long> PruneAllAsync(DateTimeOffset before, long maxBytes = 0)
    {
        long rows = 0;
        while (true)
        {
            var result = await Store.PruneAsync(before, maxBytes, Ct);
            rows += result.Rows;
            if (!result.More)
                return rows;
        }
    }

    [Fact]
    public async Task Pruning_by_age_removes_the_old_with_all_that_belongs_to_it_and_keeps_the_new()
    {
        var (old, deliveries) = await DeliverAsync(sends: 2);
        await Store.RecordAttemptAsync(AttemptOf(deliveries[0], number: 2), Ct);
        Clock.Advance(TimeSpan.FromDays(2));
        var (young, _) = await DeliverAsync();

        long rows = await PruneAllAsync(Clock.GetUtcNow().AddDays(-1));

        Assert.Equal(1 + 2 + 3 + 1, rows);
        Assert.Null(await Store.GetRunAsync(old.Id, Ct));
        Assert.Null(await Store.GetEventAsync(old.Event.Id, Ct));
        Assert.Null(await Store.GetDeliveryAsync(deliveries[0].Id, Ct));
        Assert.NotNull(await Store.GetRunAsync(young.Id, Ct));
        Assert.NotNull(await Store.GetEventAsync(young.Event.Id, Ct));
    }

    [Fact]
    public async Task Pruning_keeps_what_is_unfinished()
    {
        var queued = await AcceptAsync();
        var (pending, _) = await FinishAsync(sends: 2);
        var (sending, deliveries) = await FinishAsync();
        await Store.MarkSendingAsync([deliveries[0].Id], Ct);
        await DeliverAsync();

        await PruneAllAsync(Clock.GetUtcNow().AddDays(1), maxBytes: 1);

        Assert.Equal([sending.Id, pending.Id, queued.Id], (await Store.ListRunsAsync(Runs(), Ct)).Items.Select(run => run.Id));
        Assert.NotNull(await Store.GetEventAsync(queued.Event.Id, Ct));
        await Store.RecordAttemptAsync(AttemptOf(deliveries[0]), Ct);
        await PruneAllAsync(Clock.GetUtcNow().AddDays(1));
        Assert.Null(await Store.GetRunAsync(sending.Id, Ct));
    }

    [Fact]
    public async Task An_event_stays_as_long_as_one_of_its_runs()
    {
        var (run, _) = await DeliverAsync();
        Clock.Advance(TimeSpan.FromDays(2));
        var replay = new QueuedRun(new(Ids.Next()), run.Event, 1, Replay: true);
        await Store.AcceptAsync(replay, Ct);
        await Store.FinishRunAsync(End(replay), [], Ct);

        await PruneAllAsync(Clock.GetUtcNow().AddDays(-1));
        Assert.Null(await Store.GetRunAsync(run.Id, Ct));
        Assert.NotNull(await Store.GetEventAsync(run.Event.Id, Ct));
        await CrashAsync();
        Assert.Empty(await Store.ListUnfinishedRunsAsync(10, null, Ct));

        await PruneAllAsync(Clock.GetUtcNow().AddDays(1));
        Assert.Null(await Store.GetEventAsync(run.Event.Id, Ct));
    }

    [Fact]
    public async Task The_store_can_be_checked_and_knows_its_size()
    {
        await Store.CheckAsync(Ct);

        Assert.True(await Store.SizeBytesAsync(Ct) > 0);
    }

    [Fact]
    public async Task Closing_commits_what_is_queued()
    {
        var runs = Enumerable.Range(0, 200).Select(_ => NewRun()).ToList();
        var writes = runs.Select(run => Store.AcceptAsync(run, Ct)).ToList();

        await ReopenAsync();

        await Task.WhenAll(writes);
        Assert.Equal(200, (await Store.ListUnfinishedRunsAsync(1_000, null, Ct)).Count);
    }

    [Fact]
    public async Task A_cancelled_write_is_not_stored()
    {
        var run = NewRun();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Store.AcceptAsync(run, new CancellationToken(true)));

        Assert.Null(await Store.GetRunAsync(run.Id, Ct));
    }

    // Due times of schedules.

    static Trigger Every(int minutes) => new ScheduleTrigger(TimeSpan.FromMinutes(minutes), TimeZoneInfo.Utc);

    Task<bool> AcceptDueAsync(Workflow of, DateTimeOffset at, string? key = null) =>
        Store.AcceptAsync(NewRun(of) with { Due = new(key ?? of.Triggers[0].Key, at) }, Ct);

    [Fact]
    public async Task A_due_time_starts_one_run_also_after_a_crash_and_an_earlier_one_none()
    {
        var clock = await DeployAsync("clock", Every(5));
        Assert.Equal(Start, clock.Triggers[0].SettledAt);

        Assert.False(await AcceptDueAsync(clock, Start));
        Clock.Advance(TimeSpan.FromMinutes(10));
        var asked = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => AcceptDueAsync(clock, Start.AddMinutes(5))));
        Assert.Single(asked, stored => stored);
        await CrashAsync();
        Assert.False(await AcceptDueAsync(clock, Start.AddMinutes(5)));
        Assert.False(await AcceptDueAsync(clock, Start.AddMinutes(4)));
        Assert.True(await AcceptDueAsync(clock, Start.AddMinutes(10)));

        Assert.Equal(Start.AddMinutes(10), (await Store.GetWorkflowAsync("clock", Ct))!.Triggers[0].SettledAt);
        Assert.Equal(2, (await Store.ListEventsAsync(new("clock", null, null, null, 50), Ct)).Items.Count);
    }

    [Fact]
    public async Task A_schedule_keeps_its_key_and_what_is_settled_over_a_redeploy_and_a_changed_one_does_not()
    {
        var clock = await DeployAsync("clock", Every(5));
        Assert.True(await AcceptDueAsync(clock, Start.AddMinutes(5)));
        Clock.Advance(TimeSpan.FromHours(1));

        var moved = await DeployAsync("clock", Every(7), Every(5));
        Assert.Equal(clock.Triggers[0] with { SettledAt = Start.AddMinutes(5) }, moved.Triggers[1]);
        Assert.Equal(Start.AddHours(1), moved.Triggers[0].SettledAt);
        await DeployAsync("clock", Every(7));
        Assert.False(await AcceptDueAsync(clock, Start.AddHours(2), clock.Triggers[0].Key));
    }

    [Fact]
    public async Task A_schedule_of_a_disabled_or_deleted_workflow_starts_nothing_and_missed_nothing()
    {
        var clock = await DeployAsync("clock", Every(5));
        await Store.SetEnabledAsync("clock", false, Ct);
        Assert.False(await AcceptDueAsync(clock, Start.AddMinutes(5)));
        Clock.Advance(TimeSpan.FromHours(1));
        await Store.SetEnabledAsync("clock", true, Ct);
        Assert.Equal(Start.AddHours(1), (await Store.GetWorkflowAsync("clock", Ct))!.Triggers[0].SettledAt);
        Clock.Advance(TimeSpan.FromHours(1));
        await Store.SetEnabledAsync("clock", true, Ct);
        Assert.Equal(Start.AddHours(1), (await Store.GetWorkflowAsync("clock", Ct))!.Triggers[0].SettledAt);
        await Store.DeleteWorkflowAsync("clock", Ct);
        Assert.False(await AcceptDueAsync(clock, Start.AddHours(3)));
    }

    [Fact]
    public async Task An_event_kept_without_a_run_is_pruned_by_age_and_never_runs()
    {
        var received = NewRun().Event;
        Assert.True(await Store.KeepEventAsync(received, Ct));
        await CrashAsync();
        Assert.Empty(await Store.ListUnfinishedRunsAsync(10, null, Ct));
        await PruneAllAsync(Start);
        Assert.NotNull(await Store.GetEventAsync(received.Id, Ct));
        await PruneAllAsync(Start.AddSeconds(1));
        Assert.Null(await Store.GetEventAsync(received.Id, Ct));

        await Store.DeleteWorkflowAsync("orders", Ct);
        Assert.False(await Store.KeepEventAsync(NewRun().Event, Ct));
    }

    [Fact]
    public async Task A_run_that_is_not_to_be_kept_stays_until_its_deliveries_have_ended_also_over_a_crash()
    {
        var run = NewRun() with { Keep = false };
        await Store.AcceptAsync(run, Ct);
        await CrashAsync();
        await PruneAllAsync(default);
        var left = Assert.Single(await Store.ListUnfinishedRunsAsync(10, null, Ct));
        var deliveries = Sends(left, 2);
        Assert.True(await Store.FinishRunAsync(End(left), deliveries, Ct));
        await Store.MarkSendingAsync([deliveries[0].Id], Ct);
        await Store.RecordAttemptAsync(AttemptOf(deliveries[0]), Ct);
        await PruneAllAsync(default);
        Assert.NotNull(await Store.GetRunAsync(run.Id, Ct));

        await Store.MarkSendingAsync([deliveries[1].Id], Ct);
        await Store.RecordAttemptAsync(AttemptOf(deliveries[1]), Ct);
        await PruneAllAsync(default);

        Assert.Null(await Store.GetRunAsync(run.Id, Ct));
        Assert.Null(await Store.GetEventAsync(run.Event.Id, Ct));
    }
}
