using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using Sendoff.Engine;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workflows;
using Sendoff.Tests.Runs;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Alerts;

/// <summary>What is told of failures, under a clock that the test moves, on a real store and real sockets.</summary>
public sealed class AlertWatchTests : IAsyncLifetime
{
    const string Fails = """if (event.ok) return 1; throw new Error("boom")""";
    static readonly TimeSpan quiet = TimeSpan.FromMinutes(15);

    readonly TempFolder folder = new();
    readonly FakeTimeProvider clock = new(DateTimeOffset.Parse("2026-11-23T08:00:30Z"));
    readonly Sink told = Sink.Start();
    RunRig rig = null!;

    static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await StartAsync();

    async Task StartAsync(EngineLimits? limits = null)
    {
        rig = await RunRig.StartAsync(folder.Path, limits, clock);
        await rig.Alerts.LoadAsync(Ct);
        await rig.AlertWatch.StartAsync(Ct);
    }

    public async ValueTask DisposeAsync()
    {
        await rig.DisposeAsync();
        await told.DisposeAsync();
        folder.Dispose();
    }

    async Task<AlertRule> AddAsync(
        AlertCauses causes = AlertCauses.RunFailed,
        string? workflow = null,
        AlertKind kind = AlertKind.Webhook,
        string? url = null,
        bool recovered = true,
        string name = "ops",
        int? runs = null
    )
    {
        var rule = new AlertRule(new(rig.Ids.Next()), name, workflow, causes, kind, [url ?? told.Url], quiet, recovered, BacklogRuns: runs);
        Assert.Null(await rig.Alerts.SaveAsync(rule, Ct));
        // From here on the watch listens.
        await Wait.UntilAsync(() => rig.Changes.Ends is not null);
        return rule;
    }

    /// <summary>Runs to the end, what it has noted included.</summary>
    async Task<StoredRun> RunAsync(WorkflowVersion version, string json = "{}")
    {
        var end = await rig.EndOfAsync((await rig.AcceptAsync(version, json)).Run.Id);
        await Wait.UntilAsync(() => rig.Pacing.Load == 0 && rig.Dispatcher.InFlight == 0);
        // What fails again is noted once a second.
        clock.Advance(TimeSpan.FromSeconds(1));
        return end;
    }

    /// <summary>The next messages, once each was delivered.</summary>
    async Task<List<JsonElement>> MessagesAsync(int count)
    {
        int before = told.Requests.Count;
        await Wait.UntilAsync(
            async () =>
            {
                if ((await DeliveriesAsync()).Count(d => d.Status == DeliveryStatus.Succeeded) >= count)
                    return true;
                clock.Advance(TimeSpan.FromSeconds(1)); // the watch may have been busy when the clock was moved
                return false;
            },
            $"{count} messages, not {before}"
        );
        var messages = told.Requests.Select(request => JsonElement.Parse(request.Body)).ToList();
        Assert.Equal(count, messages.Count);
        return messages;
    }

    async Task<List<Delivery>> DeliveriesAsync() =>
        [
            .. (
                await rig.Store.ListDeliveriesAsync(new(SystemWorkflow.AlertsName, null, null, null, null, null, null, 100), Ct)
            ).Items.Select(d => d.Delivery),
        ];

    static string Text(JsonElement message, string field) => message.GetProperty(field).GetString()!;

    [Fact]
    public async Task A_failed_run_is_told_once_with_its_error_and_a_link()
    {
        await AddAsync();
        var orders = await rig.DeployAsync("orders", Fails);
        var failed = await RunAsync(orders);
        var message = Assert.Single(await MessagesAsync(1));

        Assert.Equal("orders: 1 run failed", Text(message, "subject"));
        Assert.Contains("boom", Text(message, "text"));
        Assert.Equal($"http://sendoff.test/runs/{failed.Run.Id}", Text(message, "link"));
        Assert.Equal(
            ("orders", 1, false),
            (Text(message, "workflow"), message.GetProperty("failedRuns").GetInt32(), message.GetProperty("test").GetBoolean())
        );
        // Recorded as any delivery, of a run of its own.
        var delivery = Assert.Single(await DeliveriesAsync());
        var run = (await rig.Store.GetRunAsync(delivery.RunId, Ct))!;
        Assert.Equal((SystemWorkflow.AlertsName, "alert", RunStatus.Succeeded), (run.WorkflowName, run.Run.Trigger, run.Run.Status));
        Assert.Equal(200, Assert.Single(Assert.Single(run.Deliveries).Attempts).Response!.Status);
    }

    [Fact]
    public async Task Ten_failures_in_the_quiet_time_are_one_further_message_with_their_number()
    {
        await AddAsync();
        var orders = await rig.DeployAsync("orders", Fails);
        await RunAsync(orders);
        await MessagesAsync(1);
        for (int i = 0; i < 10; i++)
            await RunAsync(orders);
        Assert.Single(told.Requests);
        clock.Advance(quiet);
        var messages = await MessagesAsync(2);
        Assert.Equal("orders: 10 runs failed", Text(messages[1], "subject"));
        Assert.Equal("http://sendoff.test/?workflow=orders", Text(messages[1], "link"));
        clock.Advance(quiet);
        clock.Advance(quiet);
        Assert.Equal(2, told.Requests.Count);
    }

    [Fact]
    public async Task The_first_success_after_a_failure_is_told_and_the_next_ones_are_not()
    {
        await AddAsync();
        var orders = await rig.DeployAsync("orders", Fails);
        await RunAsync(orders, """{"ok":true}""");
        await RunAsync(orders);
        await MessagesAsync(1);
        await RunAsync(orders, """{"ok":true}""");
        var messages = await MessagesAsync(2);
        Assert.Equal(("orders: recovered", true), (Text(messages[1], "subject"), messages[1].GetProperty("recovered").GetBoolean()));
        await RunAsync(orders, """{"ok":true}""");
        clock.Advance(quiet);
        // A failure after the quiet time is told, so whatever would have been told before it was.
        await RunAsync(orders);
        Assert.Equal("orders: 1 run failed", Text((await MessagesAsync(3))[2], "subject"));
    }

    [Fact]
    public async Task What_failed_again_and_recovered_in_the_quiet_time_is_one_message()
    {
        await AddAsync();
        var orders = await rig.DeployAsync("orders", Fails);
        await RunAsync(orders);
        await MessagesAsync(1);
        await RunAsync(orders);
        await RunAsync(orders, """{"ok":true}""");
        clock.Advance(quiet);
        var message = (await MessagesAsync(2))[1];
        Assert.Equal(("orders: 1 run failed, recovered", true), (Text(message, "subject"), message.GetProperty("recovered").GetBoolean()));
    }

    [Fact]
    public async Task A_rule_that_does_not_tell_of_recovery_stays_silent()
    {
        await AddAsync(recovered: false);
        var orders = await rig.DeployAsync("orders", Fails);
        await RunAsync(orders);
        await MessagesAsync(1);
        await RunAsync(orders, """{"ok":true}""");
        clock.Advance(quiet);
        await RunAsync(orders);
        Assert.Equal("orders: 1 run failed", Text((await MessagesAsync(2))[1], "subject"));
    }

    [Fact]
    public async Task A_rule_of_one_workflow_is_told_of_that_one_only_and_each_workflow_has_its_own_quiet_time()
    {
        var orders = await rig.DeployAsync("orders", Fails);
        var bills = await rig.DeployAsync("bills", Fails);
        var only = await AddAsync(workflow: "bills");
        await RunAsync(orders);
        await RunAsync(bills);
        Assert.Equal("bills: 1 run failed", Text(Assert.Single(await MessagesAsync(1)), "subject"));

        Assert.True(await rig.Alerts.DeleteAsync(only.Id, Ct));
        await AddAsync(name: "all");
        await RunAsync(orders);
        await RunAsync(bills);
        Assert.Equal(
            ["bills: 1 run failed", "orders: 1 run failed"],
            (await MessagesAsync(3)).Skip(1).Select(m => Text(m, "subject")).Order()
        );
    }

    [Fact]
    public async Task A_rule_that_is_changed_or_deleted_in_the_quiet_time_tells_nothing_of_what_it_watches_no_more()
    {
        var orders = await rig.DeployAsync("orders", Fails);
        var bills = await rig.DeployAsync("bills", Fails);
        var rule = await AddAsync();
        await RunAsync(orders);
        await RunAsync(orders);
        Assert.Null(await rig.Alerts.SaveAsync(rule with { Workflow = "bills" }, Ct));
        clock.Advance(quiet);
        await RunAsync(orders);
        await RunAsync(bills);
        Assert.Equal(["orders: 1 run failed", "bills: 1 run failed"], (await MessagesAsync(2)).Select(m => Text(m, "subject")));
        Assert.True(await rig.Alerts.DeleteAsync(rule.Id, Ct));
        await Wait.UntilAsync(() => rig.Changes.Ends is null);
        Assert.Empty(await rig.Store.ListAlertStatesAsync(Ct));
    }

    [Fact]
    public async Task A_clock_that_is_set_back_keeps_nobody_quiet_for_longer_than_the_rule_says()
    {
        clock.Advance(TimeSpan.FromDays(1));
        await AddAsync();
        var orders = await rig.DeployAsync("orders", Fails);
        await RunAsync(orders);
        await MessagesAsync(1);
        await rig.StopAsync(Ct);
        await rig.DisposeAsync();
        clock.AdjustTime(clock.GetUtcNow() - TimeSpan.FromDays(1));
        await StartAsync();
        await RunAsync(rig.Catalog.FindTrigger("orders")!.Version);
        clock.Advance(quiet);
        Assert.Equal("orders: 1 run failed", Text((await MessagesAsync(2))[1], "subject"));
    }

    [Fact]
    public async Task A_failed_delivery_is_told_and_recovers_with_one_that_succeeds()
    {
        await AddAsync(AlertCauses.DeliveryFailed);
        await using var broken = Sink.Start(status: 503);
        await using var well = Sink.Start();
        var orders = await rig.DeployAsync("orders", """$send.http({ method: "GET", url: event.url })""");
        var failed = await RunAsync(orders, $$"""{"url":"{{broken.Url}}"}""");
        var message = Assert.Single(await MessagesAsync(1));
        Assert.Equal("orders: 1 delivery failed", Text(message, "subject"));
        Assert.Contains("503", Text(message, "text"));
        Assert.Equal($"http://sendoff.test/runs/{failed.Run.Id}?send={failed.Deliveries[0].Delivery.Id}", Text(message, "link"));
        await RunAsync(orders, $$"""{"url":"{{well.Url}}"}""");
        Assert.Equal("orders: recovered", Text((await MessagesAsync(2))[1], "subject"));
    }

    [Fact]
    public async Task Runs_that_recover_while_a_delivery_fails_recover_alone()
    {
        await AddAsync(AlertCauses.RunFailed | AlertCauses.DeliveryFailed);
        await using var broken = Sink.Start(status: 503);
        var orders = await rig.DeployAsync("orders", """$send.http({ method: "GET", url: event.url })""");
        await RunAsync(orders);
        await MessagesAsync(1);
        await RunAsync(orders);
        await RunAsync(orders, $$"""{"url":"{{broken.Url}}"}""");
        clock.Advance(quiet);
        var message = (await MessagesAsync(2))[1];
        Assert.Equal("orders: 1 run failed, 1 delivery failed, runs recovered", Text(message, "subject"));
        Assert.False(message.GetProperty("recovered").GetBoolean());
    }

    [Fact]
    public async Task A_message_that_fails_causes_none()
    {
        await using var refusing = Sink.Start(status: 500);
        await AddAsync(AlertCauses.RunFailed | AlertCauses.DeliveryFailed | AlertCauses.Backlog, url: refusing.Url);
        var orders = await rig.DeployAsync("orders", Fails);
        await RunAsync(orders);
        await refusing.WaitForRequestsAsync(1);
        await Wait.UntilAsync(async () => Assert.Single(await DeliveriesAsync()).Status == DeliveryStatus.Failed);
        clock.Advance(quiet);
        clock.Advance(quiet);
        // The next failure is told alone: nothing was counted of the message that failed.
        await RunAsync(orders);
        await Wait.UntilAsync(() =>
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            return refusing.Requests.Count > 1;
        });
        var last = JsonElement.Parse(refusing.Requests.Last().Body);
        Assert.Equal(
            (2, "orders: 1 run failed", 0),
            (refusing.Requests.Count, Text(last, "subject"), last.GetProperty("failedDeliveries").GetInt32())
        );
        Assert.DoesNotContain(await rig.Store.ListAlertStatesAsync(Ct), state => state.Workflow == SystemWorkflow.Alerts);
    }

    [Fact]
    public async Task What_was_told_and_counted_survives_a_restart_in_the_quiet_time()
    {
        await AddAsync();
        var orders = await rig.DeployAsync("orders", Fails);
        await RunAsync(orders);
        await MessagesAsync(1);
        await RunAsync(orders);
        await RunAsync(orders);
        await rig.StopAsync(Ct);
        await rig.DisposeAsync();
        await StartAsync();
        await Wait.UntilAsync(() => rig.Changes.Ends is not null);
        await RunAsync(rig.Catalog.FindTrigger("orders")!.Version);
        Assert.Single(told.Requests);
        clock.Advance(quiet);
        Assert.Equal("orders: 3 runs failed", Text((await MessagesAsync(2))[1], "subject"));
    }

    [Fact]
    public async Task A_run_queue_that_is_too_long_is_a_backlog_until_it_is_drained()
    {
        await using var gate = Sink.Start(hold: true);
        await rig.DisposeAsync();
        await StartAsync(new EngineLimits { WorkersWarm = 0, RunsExecuting = 1 });
        await AddAsync(AlertCauses.Backlog, runs: 2);
        var orders = await rig.DeployAsync("orders", $"""await fetch("{gate.Url}")""");
        var runs = new List<AcceptedRun>();
        for (int i = 0; i < 4; i++)
            runs.Add(await rig.AcceptAsync(orders));
        await gate.WaitForRequestsAsync(1);
        clock.Advance(TimeSpan.FromSeconds(15));
        var message = Assert.Single(await MessagesAsync(1));
        Assert.Equal(("orders: backlog", true), (Text(message, "subject"), message.GetProperty("backlog").GetBoolean()));
        Assert.Contains("3 runs are queued", Text(message, "text"));
        gate.Release();
        foreach (var run in runs)
            await rig.EndOfAsync(run.Run.Id);
        clock.Advance(TimeSpan.FromSeconds(15));
        Assert.Equal("orders: recovered", Text((await MessagesAsync(2))[1], "subject"));
    }

    [Fact]
    public async Task A_delivery_that_is_pending_for_too_long_is_a_backlog()
    {
        await using var gate = Sink.Start(hold: true);
        await rig.DisposeAsync();
        await StartAsync(new EngineLimits { WorkersWarm = 0, DeliveryMaxPerDestination = 1 });
        await AddAsync(AlertCauses.Backlog);
        var orders = await rig.DeployAsync(
            "orders",
            $$"""for (let i = 0; i < 3; i++) $send.http({ method: "GET", url: "{{gate.Url}}" })"""
        );
        await rig.AcceptAsync(orders);
        await gate.WaitForRequestsAsync(1);
        clock.Advance(TimeSpan.FromMinutes(6));
        var message = Assert.Single(await MessagesAsync(1));
        Assert.Equal("orders: backlog", Text(message, "subject"));
        Assert.Contains("2 deliveries have been pending for too long", Text(message, "text"));
        gate.Release();
    }

    [Fact]
    public async Task Slack_gets_its_own_shape_without_mentions_and_its_url_is_masked_in_the_record()
    {
        await AddAsync(kind: AlertKind.Slack, url: told.Url + "services/T0000/B0000/secretsecret");
        var orders = await rig.DeployAsync("orders", """throw new Error("<!channel> a & b")""");
        await RunAsync(orders);
        var message = Assert.Single(await MessagesAsync(1));
        Assert.Equal(["text"], message.EnumerateObject().Select(static field => field.Name));
        Assert.StartsWith("*orders: 1 run failed*\n", Text(message, "text"));
        Assert.Contains("&lt;!channel&gt; a &amp; b", Text(message, "text"));
        Assert.Equal("/services/T0000/B0000/secretsecret", Assert.Single(told.Requests).Target);
        Assert.DoesNotContain("secretsecret", Assert.Single(await DeliveriesAsync()).Request.Url);
    }

    [Fact]
    public async Task Secrets_are_masked_in_messages()
    {
        await rig.Secrets.SetAsync("API_KEY", "sk-very-secret-value", isSecret: true, Ct);
        await AddAsync();
        var orders = await rig.DeployAsync("orders", """throw new Error("refused " + process.env.API_KEY)""");
        await RunAsync(orders);
        await MessagesAsync(1);
        string sent = Encoding.UTF8.GetString(Assert.Single(told.Requests).Body);
        Assert.Contains("refused", sent);
        Assert.DoesNotContain("sk-very-secret-value", sent);
    }

    [Fact]
    public async Task A_test_run_tells_nothing()
    {
        await AddAsync();
        var orders = await rig.DeployAsync("orders", Fails);
        await rig.EndOfAsync((await rig.Acceptance.AcceptAsync(orders, QueuedRun.TestTrigger, "{}"u8.ToArray(), Ct))!.Run.Id);
        await Wait.UntilAsync(() => rig.Pacing.Load == 0);
        // The next failure is the first that is told.
        await RunAsync(orders);
        Assert.Equal("orders: 1 run failed", Text(Assert.Single(await MessagesAsync(1)), "subject"));
    }
}
