using System.Diagnostics;
using System.Net;
using Microsoft.Extensions.Time.Testing;
using Sendoff.Engine;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Runs;

/// <summary>Runs as their owners see them.</summary>
public sealed class RunBehaviourTests : IDisposable
{
    readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("throw new Error('no')")]
    [InlineData("process.exit(3)")]
    [InlineData("while (true) {}")]
    public async Task Deliver_success_captures_the_sends_of_a_run_that_did_not_succeed(string ending)
    {
        await using var sink = Sink.Start();
        await using var rig = await RunRig.StartAsync(folder.Path);
        string send = $$"""$send.http({ method: "GET", url: "{{sink.Url}}" });""";
        var onSuccess = await rig.DeployAsync(
            "careful",
            $"{send} if (event.fail) {{ {ending} }}",
            settings: "{ deliver: success, timeout: 1s }"
        );
        var always = await rig.DeployAsync("always", $"{send} {ending}", settings: "{ timeout: 1s }");

        var failed = await rig.EndOfAsync((await rig.AcceptAsync(onSuccess, """{"fail":true}""")).Run.Id);
        Assert.NotEqual(RunStatus.Succeeded, failed.Run.Status);
        Assert.Equal(DeliveryStatus.Captured, Assert.Single(failed.Deliveries).Delivery.Status);
        Assert.Empty(sink.Requests);

        Assert.Equal(
            DeliveryStatus.Succeeded,
            Assert.Single((await rig.EndOfAsync((await rig.AcceptAsync(onSuccess)).Run.Id)).Deliveries).Delivery.Status
        );
        Assert.Equal(
            DeliveryStatus.Succeeded,
            Assert.Single((await rig.EndOfAsync((await rig.AcceptAsync(always)).Run.Id)).Deliveries).Delivery.Status
        );
    }

    [Fact]
    public async Task Immediate_response_is_given_while_the_run_goes_on_and_any_other_after_its_commit()
    {
        await using var gate = Sink.Start(hold: true);
        await using var server = await TestServer.StartAsync();
        string wait = $"await fetch('{gate.Url}');";
        string immediate = await server.DeployAsync(
            "immediate",
            "$respond({ status: 202, body: 'now', immediate: true }); " + wait,
            "step.js",
            response: "custom"
        );
        string late = await server.DeployAsync("late", "$respond({ status: 203, body: 'then' }); " + wait, "step.js", response: "custom");
        string never = await server.DeployAsync("never", "return 1", "step.js", response: "custom");

        var early = await CallAsync(server, immediate);
        Assert.Equal((202, "now", "queued"), (early.Status, early.Body, early.RunStatus));
        var waiting = CallAsync(server, late);
        await gate.WaitForRequestsAsync(2);
        Assert.False(waiting.IsCompleted);
        gate.Release();
        var after = await waiting;
        Assert.Equal((203, "then", "succeeded"), (after.Status, after.Body, after.RunStatus));
        Assert.Equal("succeeded", (await server.EndOfAsync(early.Run)).Status);
        using (var answer = await server.Http.PostAsync(never, null))
            Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
    }

    /// <summary>The response to an event, and the status of its run at that moment.</summary>
    static async Task<(int Status, string Body, string Run, string RunStatus)> CallAsync(TestServer server, string hook)
    {
        using var answer = await server.Http.PostAsync(hook, null);
        string run = answer.Headers.GetValues("sendoff-run").Single();
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(), run, (await server.GetRunAsync(run)).Status);
    }

    [Fact]
    public async Task Full_queue_is_429_with_the_time_to_come_again_and_other_workflows_go_on()
    {
        await using var gate = Sink.Start(hold: true);
        await using var server = await TestServer.StartAsync(new EngineLimits { RunsQueued = 3 });
        string slow = await server.DeployAsync("slow", $"await fetch('{gate.Url}')", "step.js");
        string quick = await server.DeployAsync("quick", "return 1", "step.js");
        var runs = new List<string>();
        for (int i = 0; i < 3; i++)
            runs.Add(await server.PostAsync(slow));
        using var refused = await server.Http.PostAsync(slow, null);
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.Equal(1, refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds);
        Assert.Contains("Runs:MaxQueued", await refused.Content.ReadAsStringAsync());
        Assert.Equal("succeeded", (await server.RunAsync(quick)).Status);
        gate.Release();
        foreach (string run in runs)
            Assert.Equal("succeeded", (await server.EndOfAsync(run)).Status);
        Assert.Equal("succeeded", (await server.RunAsync(slow)).Status);
    }

    [Fact]
    public async Task Events_of_one_workflow_do_not_starve_those_of_another()
    {
        await using var rig = await RunRig.StartAsync(folder.Path);
        var busy = await rig.DeployAsync("busy", "const end = Date.now() + 50; while (Date.now() < end); return 1");
        var other = await rig.DeployAsync("other", "return 1");
        await rig.EndOfAsync((await rig.AcceptAsync(other)).Run.Id);
        var flood = await Task.WhenAll(Enumerable.Range(0, 1_000).Select(_ => rig.AcceptAsync(busy)));
        for (int i = 0; i < 5; i++)
        {
            await rig.EndOfAsync((await rig.AcceptAsync(other)).Run.Id);
            Assert.Equal(RunStatus.Queued, (await rig.Store.GetRunAsync(flood[^1].Run.Id, default))!.Run.Status);
        }
    }

    [Fact]
    public async Task Slow_workflow_does_not_slow_the_answers_of_a_quick_one()
    {
        await using var gate = Sink.Start(hold: true);
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        await using var rig = await RunRig.StartAsync(folder.Path, time: clock);
        var slow = await rig.DeployAsync("slow", $"await fetch('{gate.Url}')");
        var quick = await rig.DeployAsync("quick", "return 1");
        var flood = Task.WhenAll(Enumerable.Range(0, 400).Select(_ => rig.AcceptAsync(slow)));
        await Wait.UntilAsync(() =>
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            return flood.IsCompleted;
        });

        // The clock stands still: an answer that is held back would be held for ever.
        for (int i = 0; i < 40; i++)
            await rig.AcceptAsync(quick).WithinLimitAsync();
    }

    [Fact]
    public async Task Deliveries_begin_with_the_end_of_the_run_and_wait_for_no_timer()
    {
        await using var sink = Sink.Start();
        // The clock of the engine stands still.
        await using var rig = await RunRig.StartAsync(folder.Path, time: new FakeTimeProvider(DateTimeOffset.UtcNow));
        var version = await rig.DeployAsync("orders", $$"""$send.http({ method: "GET", url: "{{sink.Url}}" })""");
        for (int i = 0; i < 10; i++)
        {
            var end = await rig.EndOfAsync((await rig.AcceptAsync(version)).Run.Id);
            Assert.Equal(DeliveryStatus.Succeeded, Assert.Single(end.Deliveries).Delivery.Status);
        }
    }

    [Fact]
    public async Task Compute_and_delivery_time_are_metered_apart()
    {
        const int steps = 50;
        await using var sink = Sink.Start(hold: true);
        await using var rig = await RunRig.StartAsync(folder.Path);
        var version = await rig.DeployAsync(
            "orders",
            $$"""const end = Date.now() + {{steps}}; while (Date.now() < end); for (let i = 0; i < 3; i++) $send.http({ method: "GET", url: "{{sink.Url}}" })"""
        );
        var run = (await rig.AcceptAsync(version)).Run.Id;
        await sink.WaitForRequestsAsync(3);
        long arrived = Stopwatch.GetTimestamp();
        var compute = (await rig.Store.GetRunAsync(run, default))!.Run.Compute;
        double taken = Stopwatch.GetElapsedTime(arrived).TotalMilliseconds;
        sink.Release();
        var end = await rig.EndOfAsync(run);
        var usage = Assert.Single(await rig.Store.ListUsageAsync(DateOnly.FromDateTime(DateTime.UtcNow.AddDays(-1)), default));
        Assert.Equal((1, 3), (usage.Runs, usage.Deliveries));
        Assert.True(compute.TotalMilliseconds >= steps * 0.9, $"{compute}");
        Assert.Equal((compute, compute.TotalMilliseconds), (end.Run.Compute, usage.ComputeMs));
        Assert.True(usage.DeliveryMs >= 3 * taken, $"{usage.DeliveryMs} ms, and the receiver took {taken} ms for each of three");
        Assert.Equal(end.Deliveries.Sum(d => d.Attempts[0].Timing.TotalMs), usage.DeliveryMs, tolerance: 1);
    }

    [Fact]
    public async Task Disabled_workflow_takes_no_events_and_its_accepted_ones_come_to_their_end()
    {
        await using var gate = Sink.Start(hold: true);
        await using var server = await TestServer.StartAsync(new EngineLimits { RunsExecuting = 1 });
        string hook = await server.DeployAsync("orders", $"await fetch('{gate.Url}')", "step.js");
        var runs = new List<string>();
        for (int i = 0; i < 3; i++)
            runs.Add(await server.PostAsync(hook));
        using var disabled = await server.Http.PostAsync("/api/v1/workflows/orders/disable", null);
        Assert.True(disabled.IsSuccessStatusCode, await disabled.Content.ReadAsStringAsync());
        Assert.Equal(HttpStatusCode.NotFound, (await server.Http.PostAsync(hook, null)).StatusCode);
        gate.Release();
        foreach (string run in runs)
            Assert.Equal("succeeded", (await server.EndOfAsync(run)).Status);
    }
}
