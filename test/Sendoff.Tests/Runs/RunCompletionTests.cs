using System.Text;
using Sendoff.Engine;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Runs;

/// <summary>Faults on the way of a run: what the store refuses, what is deleted meanwhile, what a stop or a crash cuts off.</summary>
public sealed class RunCompletionTests : IDisposable
{
    readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    static StoreUnavailableException Outage() => new("the disk is full");

    [Fact]
    public async Task Run_whose_version_cannot_be_read_now_is_tried_again_and_not_left_until_the_next_start()
    {
        await using var rig = await RunRig.StartAsync(folder.Path);
        var old = await rig.DeployAsync("orders", "return 1");
        await rig.DeployAsync("orders", "return 2"); // the older version is read again when it is needed
        rig.Failing.Fail(nameof(IStore.GetVersionAsync), Outage());
        var run = await rig.AcceptAsync(old);
        var end = await rig.EndOfAsync(run.Run.Id);
        Assert.Equal((RunStatus.Succeeded, 1), (end.Run.Status, end.Run.Version));
    }

    [Fact]
    public async Task Run_that_the_store_cannot_take_for_a_fault_of_its_own_ends_failed_and_sends_nothing()
    {
        await using var sink = Sink.Start();
        await using var rig = await RunRig.StartAsync(folder.Path);
        var version = await rig.DeployAsync(
            "orders",
            $$"""$send.http({ method: "GET", url: "{{sink.Url}}" }); $respond({ status: 201 })""",
            response: "custom"
        );
        rig.Failing.Fail(nameof(IStore.FinishRunAsync), new InvalidOperationException("a value that does not fit"));
        var run = await rig.AcceptAsync(version);
        await Assert.ThrowsAsync<InvalidOperationException>(() => run.Response.WithinLimitAsync());

        var end = await rig.EndOfAsync(run.Run.Id);
        Assert.Equal((RunStatus.Failed, "internal"), (end.Run.Status, end.Run.Error!.Code));
        Assert.Contains("a value that does not fit", end.Run.Message);
        Assert.Equal(RunStatus.Succeeded, (await rig.EndOfAsync((await rig.AcceptAsync(version)).Run.Id)).Run.Status);
        Assert.Single(sink.Requests);
    }

    [Fact]
    public async Task Runs_of_a_deleted_workflow_send_nothing_and_leave_nothing()
    {
        await using var sink = Sink.Start();
        await using var gate = Sink.Start(hold: true);
        await using var rig = await RunRig.StartAsync(folder.Path, new EngineLimits { RunsExecuting = 1 });
        var version = await rig.DeployAsync(
            "orders",
            $$"""await fetch("{{gate.Url}}"); $send.http({ method: "GET", url: "{{sink.Url}}" })"""
        );
        var runs = new List<AcceptedRun>();
        for (int i = 0; i < 4; i++)
            runs.Add(await rig.AcceptAsync(version));
        await gate.WaitForRequestsAsync(1);
        Assert.True(await rig.Catalog.DeleteAsync("orders", default));
        gate.Release();
        await Wait.UntilAsync(() => rig.Pacing.Load == 0);
        Assert.Empty(sink.Requests);
        Assert.Equal(0, rig.Pacing.Load);
        Assert.Empty((await rig.Store.ListDeliveriesAsync(new(null, null, null, null, null, null, null, 10), default)).Items);
        foreach (var run in runs)
            Assert.Null(await rig.Store.GetRunAsync(run.Run.Id, default));
    }

    [Fact]
    public async Task Workflow_that_is_deleted_while_its_run_is_being_committed_sends_nothing_and_leaves_nothing()
    {
        await using var sink = Sink.Start();
        await using var rig = await RunRig.StartAsync(folder.Path, new EngineLimits { DeliveryMaxPerDestination = 1 });
        var version = await rig.DeployAsync(
            "orders",
            $$"""$respond({ status: 201 }); $send.http({ method: "GET", url: "{{sink.Url}}" })""",
            response: "custom"
        );
        var gate = rig.Failing.Hold(nameof(IStore.FinishRunAsync));
        var run = await rig.AcceptAsync(version);
        await Wait.UntilAsync(() => rig.Failing.CallsOf(nameof(IStore.FinishRunAsync)) > 0);
        Assert.True(await rig.Catalog.DeleteAsync("orders", default));
        gate.SetResult();

        Assert.Equal(201, (await run.Response.WithinLimitAsync())!.Status);
        Assert.Null(await rig.Store.GetRunAsync(run.Run.Id, default));
        Assert.Empty((await rig.Store.ListDeliveriesAsync(new(null, null, null, null, null, null, null, 10), default)).Items);
        // The sender that was reserved is free again.
        var next = await rig.DeployAsync("next", $$"""$send.http({ method: "POST", url: "{{sink.Url}}" })""");
        await rig.EndOfAsync((await rig.AcceptAsync(next)).Run.Id);
        Assert.Equal("POST", Assert.Single(sink.Requests).Method);
    }

    [Fact]
    public async Task Event_for_a_workflow_that_was_deleted_a_moment_ago_is_not_accepted()
    {
        await using var rig = await RunRig.StartAsync(folder.Path, new EngineLimits { RunsQueued = 1 });
        var version = await rig.DeployAsync("orders", "return 1");
        Assert.True(await rig.Store.DeleteWorkflowAsync("orders", default));
        // Twice: the first gave its place back.
        Assert.Null(await rig.Acceptance.AcceptAsync(version, "http", "{}"u8.ToArray(), default));
        Assert.Null(await rig.Acceptance.AcceptAsync(version, "http", "{}"u8.ToArray(), default));
        Assert.Empty((await rig.Store.ListEventsAsync(new(null, null, null, null, 10), default)).Items);
    }

    [Fact]
    public async Task Deletion_that_is_given_up_half_way_still_closes_the_trigger()
    {
        await using var rig = await RunRig.StartAsync(folder.Path);
        var version = await rig.DeployAsync("orders", "return 1");
        await rig.EndOfAsync((await rig.AcceptAsync(version)).Run.Id);
        using var hangup = new CancellationTokenSource();
        var deleting = rig.Catalog.DeleteAsync("orders", hangup.Token);
        await hangup.CancelAsync();
        await deleting.ContinueWith(_ => { }, TaskScheduler.Default);
        Assert.Equal((await rig.Store.GetWorkflowAsync("orders", default)) is null, rig.Catalog.FindTrigger("orders") is null);
    }

    [Fact]
    public async Task Run_on_a_version_that_this_server_cannot_read_any_more_ends_failed_with_a_clear_message()
    {
        RunId id;
        await using (var rig = await RunRig.StartAsync(folder.Path))
        {
            var version = await rig.DeployAsync("orders", "return 1");
            // As a later version of Sendoff might leave it.
            await rig.Store.DeployAsync(
                "orders",
                new Dictionary<string, string> { ["workflow.yaml"] = "steps: 7" },
                version.Definition.Triggers,
                default
            );
            var run = new QueuedRun(
                new(version.WorkflowId.Value + 1_000_000),
                new(
                    new(version.WorkflowId.Value + 999_999),
                    WorkspaceId.Default,
                    version.WorkflowId,
                    "http",
                    DateTimeOffset.UtcNow,
                    "{}"u8.ToArray()
                ),
                2
            );
            await rig.Store.AcceptAsync(run, default);
            id = run.Id;
        }
        await using var next = await RunRig.StartAsync(folder.Path);
        var end = await next.EndOfAsync(id);
        Assert.Equal((RunStatus.Failed, "version_unreadable"), (end.Run.Status, end.Run.Error!.Code));
    }

    [Fact]
    public async Task Run_whose_draft_is_not_stored_any_more_ends_failed_and_does_not_wait_for_ever()
    {
        RunId id;
        await using (var rig = await RunRig.StartAsync(folder.Path))
        {
            var version = await rig.DeployAsync("orders", "return 1");
            var received = new Event(
                new(version.WorkflowId.Value + 999_999),
                WorkspaceId.Default,
                version.WorkflowId,
                "test",
                DateTimeOffset.UtcNow,
                "{}"u8.ToArray()
            );
            var run = new QueuedRun(new(version.WorkflowId.Value + 1_000_000), received, -7);
            await rig.Store.AcceptAsync(run, default);
            id = run.Id;
        }
        await using var next = await RunRig.StartAsync(folder.Path);
        var end = await next.EndOfAsync(id);
        Assert.Equal((RunStatus.Failed, "not_stored"), (end.Run.Status, end.Run.Error!.Code));
        Assert.Contains("its draft is no longer stored", end.Run.Message);
    }

    [Fact]
    public async Task Run_that_is_cut_off_is_run_again_flagged_recovered_and_sends_once()
    {
        await using var sink = Sink.Start();
        await using var gate = Sink.Start(hold: true);
        RunId id;
        await using (var rig = await RunRig.StartAsync(folder.Path))
        {
            var version = await rig.DeployAsync(
                "orders",
                $$"""$send.http({ method: "GET", url: "{{sink.Url}}" }); await fetch("{{gate.Url}}"); return event.n"""
            );
            id = (await rig.AcceptAsync(version, """{"n":7}""")).Run.Id;
            await gate.WaitForRequestsAsync(1);
        }
        Assert.Empty(sink.Requests);
        gate.Release();
        await using var next = await RunRig.StartAsync(folder.Path);
        var end = await next.EndOfAsync(id);
        Assert.Equal((RunStatus.Succeeded, true), (end.Run.Status, end.Run.Recovered));
        Assert.Single(sink.Requests);

        // It has ended: a shutdown has no start of it to take back.
        await Wait.UntilAsync(() => next.Completion.InFlight == 0);
        await next.StopAsync(default);
        Assert.Equal(0, next.Failing.CallsOf(nameof(IStore.TakeBackStartsAsync)));
    }

    [Fact]
    public async Task Run_that_is_cut_off_in_three_recoveries_ends_failed_with_a_clear_message_and_sends_nothing()
    {
        await using var sink = Sink.Start();
        await using var gate = Sink.Start(hold: true);
        RunId id = default;
        for (int start = 0; start <= 3; start++)
        {
            await using var rig = await RunRig.StartAsync(folder.Path);
            if (start == 0)
            {
                var version = await rig.DeployAsync(
                    "orders",
                    $$"""$send.http({ method: "GET", url: "{{sink.Url}}" }); await fetch("{{gate.Url}}")"""
                );
                id = (await rig.AcceptAsync(version)).Run.Id;
            }
            await gate.WaitForRequestsAsync(1);
        }
        await using var last = await RunRig.StartAsync(folder.Path);
        var end = await last.EndOfAsync(id);
        Assert.Equal((RunStatus.Failed, true, "recovered_too_often"), (end.Run.Status, end.Run.Recovered, end.Run.Error!.Code));
        Assert.Contains("3 times", end.Run.Message);
        Assert.Empty(end.Deliveries);
        Assert.Empty(sink.Requests);
    }

    [Fact]
    public async Task Run_that_orderly_shutdowns_cut_off_never_counts_as_crashed()
    {
        await using var sink = Sink.Start();
        await using var gate = Sink.Start(hold: true);
        RunId id = default;
        for (int start = 0; start <= 4; start++)
        {
            await using var rig = await RunRig.StartAsync(folder.Path);
            if (start == 0)
            {
                var version = await rig.DeployAsync(
                    "orders",
                    $$"""$send.http({ method: "GET", url: "{{sink.Url}}" }); await fetch("{{gate.Url}}")"""
                );
                id = (await rig.AcceptAsync(version)).Run.Id;
            }
            await gate.WaitForRequestsAsync(1);
            await rig.StopAsync(new CancellationToken(true));
        }
        gate.Release();
        await using var last = await RunRig.StartAsync(folder.Path);
        var end = await last.EndOfAsync(id);
        Assert.Equal((RunStatus.Succeeded, true), (end.Run.Status, end.Run.Recovered));
        Assert.Single(sink.Requests);
    }

    [Fact]
    public async Task Shutdown_takes_back_the_starts_of_recovered_runs_before_it_waits_for_them()
    {
        await using var gate = Sink.Start(hold: true);
        RunId id;
        await using (var first = await RunRig.StartAsync(folder.Path))
        {
            var version = await first.DeployAsync("orders", $$"""await fetch("{{gate.Url}}")""");
            id = (await first.AcceptAsync(version)).Run.Id;
            await gate.WaitForRequestsAsync(1);
        }
        await using var rig = await RunRig.StartAsync(folder.Path);
        await gate.WaitForRequestsAsync(1);
        using var patience = new CancellationTokenSource();
        var stopping = rig.StopAsync(patience.Token);
        // 1: this start is noted, and the one of the recovered run is not any more.
        Assert.Equal(1, await rig.Store.StartRecoveredRunAsync(id, default));
        Assert.False(stopping.IsCompleted);
        await patience.CancelAsync();
        await stopping.WithinLimitAsync();
    }

    [Fact]
    public async Task Shutdown_answers_callers_whose_runs_have_not_started_and_waits_for_those_in_flight()
    {
        await using var gate = Sink.Start(hold: true);
        await using var rig = await RunRig.StartAsync(folder.Path, new EngineLimits { RunsExecuting = 1 });
        var version = await rig.DeployAsync("orders", $$"""await fetch("{{gate.Url}}"); $respond({ status: 201 })""", response: "custom");
        var inFlight = await rig.AcceptAsync(version);
        await gate.WaitForRequestsAsync(1);
        var waiting = await rig.AcceptAsync(version);

        var stopping = rig.StopAsync(CancellationToken.None);
        await Assert.ThrowsAsync<StoreUnavailableException>(() => waiting.Response.WithinLimitAsync());
        await Assert.ThrowsAsync<StoreUnavailableException>(() => rig.AcceptAsync(version));
        gate.Release();
        Assert.Equal(201, (await inFlight.Response.WithinLimitAsync())!.Status);
        await stopping.WithinLimitAsync();
        Assert.Equal(RunStatus.Queued, (await rig.Store.GetRunAsync(waiting.Run.Id, default))!.Run.Status);
    }

    [Fact]
    public async Task Run_that_only_waited_when_the_server_ended_does_not_use_up_its_starts()
    {
        await using var gate = Sink.Start(hold: true);
        var limits = new EngineLimits { WorkersMax = 1 };
        var ids = new List<RunId>();
        await using (var rig = await RunRig.StartAsync(folder.Path, limits))
        {
            var version = await rig.DeployAsync("orders", $"if (event.waits) await fetch('{gate.Url}'); return 1");
            for (int i = 0; i < 40; i++)
                ids.Add((await rig.AcceptAsync(version, i < 8 ? """{"waits":true}""" : "{}")).Run.Id);
        }
        for (int start = 0; start < 3; start++)
        {
            await using var rig = await RunRig.StartAsync(folder.Path, limits);
            await Wait.UntilAsync(() => rig.Failing.EndedOf(nameof(IStore.StartRecoveredRunAsync)) >= 8);
        }
        await using var last = await RunRig.StartAsync(folder.Path, limits);
        foreach (var id in ids.Skip(8))
            Assert.Equal(RunStatus.Succeeded, (await last.EndOfAsync(id)).Run.Status);
        Assert.All(ids.Take(8), id => Assert.Equal(RunStatus.Failed, last.Store.GetRunAsync(id, default).Result!.Run.Status));
    }

    [Fact]
    public async Task Start_does_not_wait_for_what_an_earlier_server_left_and_serves_new_events_beside_it()
    {
        var ids = new List<RunId>();
        await using (var rig = await RunRig.StartAsync(folder.Path, new EngineLimits { RunsExecuting = 1 }))
        {
            var version = await rig.DeployAsync("orders", "await new Promise(r => setTimeout(r, 30)); return 1");
            for (int i = 0; i < 300; i++)
                ids.Add((await rig.AcceptAsync(version)).Run.Id);
        }
        await using var next = await RunRig.StartAsync(folder.Path, new EngineLimits { RunsRecovering = 2 });
        var fresh = await next.AcceptAsync(next.Catalog.FindTrigger("orders")!.Version);
        await next.EndOfAsync(fresh.Run.Id);
        Assert.Contains(ids, id => next.Store.GetRunAsync(id, default).Result!.Run.Status == RunStatus.Queued);
        foreach (var id in ids)
            Assert.Equal(RunStatus.Succeeded, (await next.EndOfAsync(id)).Run.Status);
    }

    [Fact]
    public async Task What_an_earlier_server_left_is_found_although_the_store_cannot_be_read_at_first()
    {
        await using var gate = Sink.Start(hold: true);
        RunId id;
        await using (var rig = await RunRig.StartAsync(folder.Path))
        {
            id = (await rig.AcceptAsync(await rig.DeployAsync("orders", $"await fetch('{gate.Url}'); return 1"))).Run.Id;
            await gate.WaitForRequestsAsync(1);
        }
        gate.Release();
        var next = await RunRig.StartAsync(folder.Path);
        await using var _ = next;
        next.Failing.Fail(nameof(IStore.GetEventAsync), Outage(), times: 2);
        Assert.Equal(RunStatus.Succeeded, (await next.EndOfAsync(id)).Run.Status);
    }

    [Fact]
    public async Task Orderly_stop_finishes_what_executes_and_leaves_the_rest_for_the_next_start()
    {
        await using var sink = Sink.Start();
        await using var gate = Sink.Start(hold: true);
        var ids = new List<RunId>();
        var limits = new EngineLimits { RunsExecuting = 2 };
        await using (var rig = await RunRig.StartAsync(folder.Path, limits))
        {
            var version = await rig.DeployAsync(
                "orders",
                $$"""await fetch("{{gate.Url}}"); $send.http({ method: "POST", url: "{{sink.Url}}", data: { n: event.n } })"""
            );
            for (int i = 0; i < 10; i++)
                ids.Add((await rig.AcceptAsync(version, $$"""{"n":{{i}}}""")).Run.Id);
            await gate.WaitForRequestsAsync(2);
            var stopping = rig.StopAsync(default);
            gate.Release();
            await stopping.WithinLimitAsync();
            var statuses = ids.Select(id => rig.Store.GetRunAsync(id, default).Result!.Run.Status).ToList();
            Assert.Equal((2, 8), (statuses.Count(s => s == RunStatus.Succeeded), statuses.Count(s => s == RunStatus.Queued)));
            await Assert.ThrowsAsync<StoreUnavailableException>(() => rig.AcceptAsync(version));
        }
        await using var next = await RunRig.StartAsync(folder.Path, limits);
        foreach (var id in ids)
            Assert.Equal(RunStatus.Succeeded, (await next.EndOfAsync(id)).Run.Status);
        Assert.Equal(
            Enumerable.Range(0, 10).Select(n => $$"""{"n":{{n}}}"""),
            sink.Requests.Select(r => Encoding.UTF8.GetString(r.Body)).Order()
        );
    }

    [Fact]
    public async Task Stop_ends_although_the_store_takes_no_writes()
    {
        var rig = await RunRig.StartAsync(folder.Path, new EngineLimits { StoreClosing = TimeSpan.FromMilliseconds(300) });
        await using var _ = rig;
        var version = await rig.DeployAsync("orders", "return 1");
        var gate = rig.Failing.Hold(nameof(IStore.FinishRunAsync));
        var run = await rig.AcceptAsync(version);
        await Wait.UntilAsync(() => rig.Failing.CallsOf(nameof(IStore.FinishRunAsync)) > 0);
        await rig.StopAsync(new CancellationToken(true)).WithinLimitAsync();
        Assert.Equal(RunStatus.Queued, (await rig.Store.GetRunAsync(run.Run.Id, default))!.Run.Status);
        gate.SetResult();
    }

    [Fact]
    public async Task Caller_that_waits_for_the_response_of_a_run_that_is_cut_off_is_told_so()
    {
        await using var gate = Sink.Start(hold: true);
        await using var rig = await RunRig.StartAsync(folder.Path);
        var version = await rig.DeployAsync("orders", $"await fetch('{gate.Url}')", response: "custom");
        var run = await rig.AcceptAsync(version);
        await gate.WaitForRequestsAsync(1);
        await rig.StopAsync(new CancellationToken(true));
        var told = await Assert.ThrowsAsync<StoreUnavailableException>(() => run.Response.WithinLimitAsync());
        Assert.Contains("the run starts again after the next start", told.Message);
    }

    [Fact]
    public async Task Caller_whose_run_is_stored_while_the_server_shuts_down_is_told_so()
    {
        await using var gate = Sink.Start(hold: true);
        await using var rig = await RunRig.StartAsync(folder.Path, Sending.Patient with { WorkersWarm = 0, RunsExecuting = 1 });
        var version = await rig.DeployAsync("orders", $"await fetch('{gate.Url}')", response: "custom");
        await rig.AcceptAsync(version);
        await gate.WaitForRequestsAsync(1);
        var (isStored, letGo) = rig.Failing.HoldAnswer(nameof(IStore.AcceptAsync));
        var accepting = rig.AcceptAsync(version);
        await isStored.WithinLimitAsync();
        rig.Lanes.Close();
        letGo.SetResult();
        var run = await accepting.WithinLimitAsync();
        Assert.True(run.Response.IsFaulted, "the caller waits for the end of the run before");
        var told = await Assert.ThrowsAsync<StoreUnavailableException>(() => run.Response);
        Assert.Contains("the run starts again after the next start", told.Message);
    }

    [Fact]
    public async Task Replay_runs_the_event_on_the_current_version()
    {
        await using var rig = await RunRig.StartAsync(folder.Path);
        var first = (await rig.AcceptAsync(await rig.DeployAsync("orders", "return event.n"), """{"n":5}""")).Run.Id;
        await rig.EndOfAsync(first);
        await rig.DeployAsync("orders", "return event.n * 2");
        var replay = (await rig.Acceptance.ReplayAsync(first, null, captured: false, default))!;
        var end = await rig.EndOfAsync(replay.Run.Id);
        Assert.Equal((RunStatus.Succeeded, 2, true, false), (end.Run.Status, end.Run.Version, end.Run.Replay, end.Run.Recovered));
        Assert.Null(await rig.Acceptance.ReplayAsync(new RunId(1), null, captured: false, default));
    }

    [Fact]
    public async Task Events_that_wait_take_a_bounded_part_of_the_memory_and_all_come_to_their_end()
    {
        const int events = 400,
            bytes = 100_000;
        var limits = new EngineLimits { RunsExecuting = 4, RunsWaitingBytes = 8 * 1024 * 1024 };
        await using var rig = await RunRig.StartAsync(folder.Path, limits);
        await using var gate = Sink.Start(hold: true);
        var held = await rig.DeployAsync("held", $"await fetch('{gate.Url}'); return event.text.length", settings: "{ timeout: 60s }");
        byte[] json = Encoding.UTF8.GetBytes($$"""{"text":"{{new string('x', bytes)}}"}""");

        for (int i = 0; i < events; i += 100)
            await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => rig.Acceptance.AcceptAsync(held, "http", json.ToArray(), default)));
        Assert.InRange(rig.Lanes.WaitingBytes, limits.RunsWaitingBytes - 2 * bytes, limits.RunsWaitingBytes); // of 40 MB
        gate.Release();

        long ended = 0;
        await Wait.UntilAsync(async () => (ended = (await rig.Store.ListUsageAsync(default, default)).Sum(row => row.Runs)) >= events);
        Assert.Equal(events, ended);
        Assert.Equal(0, rig.Lanes.WaitingBytes);
    }

    [Fact]
    public async Task Places_and_the_pace_are_given_back_whatever_became_of_the_runs()
    {
        await using var rig = await RunRig.StartAsync(folder.Path, new EngineLimits { RunsQueued = 20 });
        var version = await rig.DeployAsync(
            "orders",
            "if (event.n % 3 == 0) throw new Error('no'); if (event.n % 7 == 0) process.exit(); return 1"
        );
        rig.Failing.Fail(nameof(IStore.FinishRunAsync), new InvalidOperationException("no"), times: 2);
        for (int i = 1; i <= 60; i++)
        {
            await Wait.UntilAsync(async () =>
            {
                try
                {
                    await rig.AcceptAsync(version, $$"""{"n":{{i}}}""");
                    return true;
                }
                catch (RunQueueFullException)
                {
                    return false;
                }
            });
        }
        await Wait.UntilAsync(() => rig.Pacing.Load == 0);
        Assert.Equal(0, rig.Pacing.Load);
        for (int i = 0; i < 20; i++)
            await rig.AcceptAsync(version, """{"n":1}""");
    }
}
