using System.Diagnostics;
using System.Net;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Runs;
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
        var onSuccess = await rig.DeployAsync("careful", $"{send} if (event.fail) {{ {ending} }}", settings: "{ deliver: success, timeout: 1s }");
        var always = await rig.DeployAsync("always", $"{send} {ending}", settings: "{ timeout: 1s }");

        var failed = await rig.EndOfAsync((await rig.AcceptAsync(onSuccess, """{"fail":true}""")).Run.Id);
        Assert.NotEqual(RunStatus.Succeeded, failed.Run.Status);
        Assert.Equal(DeliveryStatus.Captured, Assert.Single(failed.Deliveries).Delivery.Status);
        Assert.Empty(sink.Requests);

        Assert.Equal(DeliveryStatus.Succeeded, Assert.Single((await rig.EndOfAsync((await rig.AcceptAsync(onSuccess)).Run.Id)).Deliveries).Delivery.Status);
        Assert.Equal(DeliveryStatus.Succeeded, Assert.Single((await rig.EndOfAsync((await rig.AcceptAsync(always)).Run.Id)).Deliveries).Delivery.Status);
    }

    [Fact]
    public async Task Immediate_response_is_given_while_the_run_goes_on_and_any_other_after_its_commit()
    {
        await using var server = await TestServer.StartAsync();
        string wait = "await new Promise(r => setTimeout(r, 800));";
        string immediate = await server.DeployAsync("immediate", "$respond({ status: 202, body: 'now', immediate: true }); " + wait, "step.js", response: "custom");
        string late = await server.DeployAsync("late", "$respond({ status: 203, body: 'then' }); " + wait, "step.js", response: "custom");
        string never = await server.DeployAsync("never", "return 1", "step.js", response: "custom");

        using (var answer = await server.Http.PostAsync(immediate, null))
        {
            string run = answer.Headers.GetValues("sendoff-run").Single();
            Assert.Equal((HttpStatusCode.Accepted, "now", "queued"), (answer.StatusCode, await answer.Content.ReadAsStringAsync(), (await server.GetRunAsync(run)).Status));
            Assert.Equal("succeeded", (await server.EndOfAsync(run)).Status);
        }
        using (var answer = await server.Http.PostAsync(late, null))
        {
            string run = answer.Headers.GetValues("sendoff-run").Single();
            Assert.Equal((203, "then", "succeeded"), ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(), (await server.GetRunAsync(run)).Status));
        }
        using (var answer = await server.Http.PostAsync(never, null)) Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
    }

    [Fact]
    public async Task Full_queue_is_429_with_the_time_to_come_again_and_other_workflows_go_on()
    {
        await using var server = await TestServer.StartAsync(new EngineLimits { RunsQueued = 3 });
        string slow = await server.DeployAsync("slow", "await new Promise(r => setTimeout(r, 1000))", "step.js");
        string quick = await server.DeployAsync("quick", "return 1", "step.js");
        var runs = new List<string>();
        for (int i = 0; i < 3; i++) runs.Add(await server.PostAsync(slow));
        using var refused = await server.Http.PostAsync(slow, null);
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.Equal(1, refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds);
        Assert.Contains("Runs:MaxQueued", await refused.Content.ReadAsStringAsync());
        Assert.Equal("succeeded", (await server.RunAsync(quick)).Status);
        foreach (string run in runs) Assert.Equal("succeeded", (await server.EndOfAsync(run)).Status);
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
            var watch = Stopwatch.StartNew();
            await rig.EndOfAsync((await rig.AcceptAsync(other)).Run.Id);
            Assert.InRange(watch.Elapsed.TotalSeconds, 0, 8);
            if (i == 0) Assert.Equal(RunStatus.Queued, (await rig.Store.GetRunAsync(flood[^1].Run.Id, default))!.Run.Status);
        }
    }

    [Fact]
    public async Task Slow_workflow_does_not_slow_the_answers_of_a_quick_one()
    {
        await using var rig = await RunRig.StartAsync(folder.Path);
        var slow = await rig.DeployAsync("slow", "await new Promise(r => setTimeout(r, 1000))");
        var quick = await rig.DeployAsync("quick", "return 1");
        await rig.EndOfAsync((await rig.AcceptAsync(quick)).Run.Id);
        await Task.WhenAll(Enumerable.Range(0, 400).Select(_ => rig.AcceptAsync(slow)));
        await Task.Delay(200);
        var waits = new List<double>();
        for (int i = 0; i < 40; i++)
        {
            long begin = Stopwatch.GetTimestamp();
            await rig.AcceptAsync(quick);
            waits.Add(Stopwatch.GetElapsedTime(begin).TotalMilliseconds);
            await Task.Delay(5);
        }
        Assert.InRange(waits.Order().ElementAt(20), 0, 60); // held back, each would take 100 ms
    }

    [Fact]
    public async Task First_byte_is_on_the_wire_soon_after_the_run_ends()
    {
        await using var sink = Sink.Start();
        await using var rig = await RunRig.StartAsync(folder.Path);
        var version = await rig.DeployAsync("orders", $$"""$send.http({ method: "GET", url: "{{sink.Url}}" })""");
        var gaps = new List<double>();
        for (int i = 0; i < 30; i++)
        {
            var end = await rig.EndOfAsync((await rig.AcceptAsync(version)).Run.Id);
            var attempt = Assert.Single(Assert.Single(end.Deliveries).Attempts);
            gaps.Add((attempt.StartedAt - (end.Run.StartedAt + end.Run.Duration)).TotalMilliseconds);
        }
        Assert.InRange(gaps.Order().ElementAt(15), -1, 400);
    }

    [Fact]
    public async Task Compute_and_delivery_time_are_metered_apart()
    {
        await using var sink = Sink.Start(delay: TimeSpan.FromMilliseconds(700));
        await using var rig = await RunRig.StartAsync(folder.Path);
        var version = await rig.DeployAsync("orders", $$"""await new Promise(r => setTimeout(r, 200)); for (let i = 0; i < 3; i++) $send.http({ method: "GET", url: "{{sink.Url}}" })""");
        var end = await rig.EndOfAsync((await rig.AcceptAsync(version)).Run.Id);
        var usage = Assert.Single(await rig.Store.ListUsageAsync(DateOnly.FromDateTime(DateTime.UtcNow.AddDays(-1)), default));
        Assert.Equal((1, 3), (usage.Runs, usage.Deliveries));
        Assert.InRange(end.Run.Compute.TotalMilliseconds, 150, 1_900);
        Assert.InRange(usage.ComputeMs, 150, 1_900);
        Assert.InRange(usage.DeliveryMs, 2_000, 20_000);
    }

    [Fact]
    public async Task Disabled_workflow_takes_no_events_and_its_accepted_ones_come_to_their_end()
    {
        await using var server = await TestServer.StartAsync(new EngineLimits { RunsExecuting = 1 });
        string hook = await server.DeployAsync("orders", "await new Promise(r => setTimeout(r, 300))", "step.js");
        var runs = new List<string>();
        for (int i = 0; i < 3; i++) runs.Add(await server.PostAsync(hook));
        using var disabled = await server.Http.PostAsync("/api/v1/workflows/orders/disable", null);
        Assert.True(disabled.IsSuccessStatusCode, await disabled.Content.ReadAsStringAsync());
        Assert.Equal(HttpStatusCode.NotFound, (await server.Http.PostAsync(hook, null)).StatusCode);
        foreach (string run in runs) Assert.Equal("succeeded", (await server.EndOfAsync(run)).Status);
    }
}
