using System.Text;
using System.Text.Json;
using Sendoff.Engine;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Runs;

/// <summary>Runs that are held and go on (B3), over restarts and crashes.</summary>
public sealed class SuspensionTests : IDisposable
{
    readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    async Task<RunRig> StartAsync(EngineLimits? limits = null)
    {
        var rig = await RunRig.StartAsync(folder.Path, limits);
        rig.Suspensions.Start();
        return rig;
    }

    static string Component(string body) => $"export default defineComponent({{ async run({{ steps, $ }}) {{ {body} }} }})";

    static async Task<Sendoff.Engine.Workflows.WorkflowVersion> DeployAsync(RunRig rig, params string[] bodies)
    {
        var files = bodies.Select((body, i) => (Path: $"s{i + 1}.mjs", Text: Component(body))).ToDictionary(file => file.Path, file => file.Text);
        files["workflow.yaml"] = "triggers: [ { type: http, key: held } ]\nsteps:\n" + string.Concat(bodies.Select((_, i) => $"  - {{ namespace: s{i + 1}, uses: ./s{i + 1}.mjs }}\n"));
        var deployed = await rig.Catalog.DeployAsync("held", files, default);
        Assert.Empty(deployed.Problems);
        return rig.Catalog.FindTrigger("held")!.Version;
    }

    static string Send(Sink sink, string what) => $"$.send.http({{ method: 'POST', url: '{sink.Url}', data: {what} }});";

    static async Task<StoredRun> HeldAsync(RunRig rig, RunId run)
    {
        var held = await rig.EndOfAsync(run);
        Assert.Equal(RunStatus.Suspended, held.Run.Status);
        return held;
    }

    /// <summary>The run that goes on from a held one, at its end.</summary>
    static async Task<StoredRun> NextAsync(RunRig rig, RunId held)
    {
        RunId? next = null;
        await Wait.UntilAsync(async () => (next = (await rig.Store.GetRunAsync(held, default))!.Run.ContinuedBy) is not null, $"what continues {held}");
        return await rig.EndOfAsync(next!.Value);
    }

    static JsonElement Returned(StoredRun run, int step) => JsonElement.Parse(run.Run.Steps[step].Exports.Span).GetProperty("$return_value");

    [Fact]
    public async Task All_runs_that_are_due_end_at_one_look_however_many_there_are()
    {
        await using var rig = await RunRig.StartAsync(folder.Path);
        var version = await DeployAsync(rig, "return 1");
        var now = TimeProvider.System.GetUtcNow();
        for (int i = 0; i < 205; i++)
        {
            var run = new QueuedRun(new(rig.Ids.Next()), new(new(rig.Ids.Next()), WorkspaceId.Default, version.WorkflowId, "http", now, "{}"u8.ToArray()), 1);
            Assert.True(await rig.Store.AcceptAsync(run, default));
            var held = new Suspension(run.Id, version.WorkflowId, Engine.Workers.HoldKind.Suspend, 0, now.AddSeconds(i < 204 ? -1 : 3_600), new byte[] { 1 });
            Assert.True(await rig.Store.FinishRunAsync(
                new(run.Id, run.Event.Id, WorkspaceId.Default, version.WorkflowId, 1, "http", RunStatus.Suspended, now, default, default, false, false, null, null, null, []) { Suspension = held }, [], default));
        }
        using var looked = new SemaphoreSlim(0);
        rig.Suspensions.Looked += () => looked.Release();

        rig.Suspensions.Start();
        Assert.True(await looked.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken));

        Assert.Single(await rig.Store.ListSuspendedAsync(300, default));
    }

    [Fact]
    public async Task A_delayed_run_commits_its_sends_and_goes_on_with_the_next_step()
    {
        await using var sink = Sink.Start();
        await using var rig = await StartAsync();
        var version = await DeployAsync(rig, "$.flow.delay(50, { c: 1 }); " + Send(sink, "'first'") + " return { n: 1 }",
            Send(sink, "'second'") + " return [steps.s1, $.context.trace_id, $.context.run, steps.trigger.event]");

        var first = await rig.AcceptAsync(version, """{"e":1}""");
        var end = await NextAsync(rig, first.Run.Id);
        var before = await rig.EndOfAsync(first.Run.Id);

        Assert.Equal((RunStatus.Succeeded, RunStatus.Succeeded), (before.Run.Status, end.Run.Status));
        Assert.Equal((end.Run.Id, first.Run.Id), (before.Run.ContinuedBy!.Value, end.Run.Continues!.Value));
        Assert.Equal(["s1"], before.Run.Steps.Select(step => step.Name));
        Assert.Equal(["s1", "s2"], end.Run.Steps.Select(step => step.Name));
        Assert.Equal($$$"""[{"$return_value":{"n":1}},"{{{first.Run.Id}}}",{"runs":1,"context":{"c":1}},{"e":1}]""", Returned(end, 1).GetRawText());
        Assert.Equal([(0, 0), (1, 0)], end.Deliveries.Select(d => (d.Delivery.Step, d.Delivery.Index)));
        Assert.Equal(2, sink.Requests.Count);
    }

    [Fact]
    public async Task A_suspended_run_goes_on_with_the_request_that_let_it_once()
    {
        await using var rig = await StartAsync();
        var version = await DeployAsync(rig, "$.flow.suspend(); return 1", "return [steps.s1.$resume_data.body, $.context.run.callback_request.body]");
        var first = await rig.AcceptAsync(version);
        await HeldAsync(rig, first.Run.Id);

        var released = await rig.Suspensions.ResumeAsync(first.Run.Id, Encoding.UTF8.GetBytes("""{"body":"go"}"""), default);
        var again = await rig.Suspensions.ResumeAsync(first.Run.Id, Encoding.UTF8.GetBytes("{}"), default);

        Assert.True(released.IsDone);
        Assert.Equal((false, RunStatus.Succeeded), (again.IsDone, again.Status));
        Assert.Equal("""["go","go"]""", Returned(await rig.EndOfAsync(released.Next!.Value), 1).GetRawText());
    }

    [Fact]
    public async Task A_rerun_step_counts_its_runs_and_its_sends_on_and_gives_way_in_the_end()
    {
        await using var sink = Sink.Start();
        await using var rig = await StartAsync();
        var version = await DeployAsync(rig, Send(sink, "$.context.run.runs") + " if ($.context.run.runs < 9) $.flow.rerun(1, null, 2); return $.context.run.runs", "return steps.s1.$return_value");

        var run = await rig.AcceptAsync(version);
        var end = await NextAsync(rig, run.Run.Id);
        while (end.Run.ContinuedBy is not null || end.Run.Status == RunStatus.Suspended) end = await NextAsync(rig, end.Run.Id);

        Assert.Equal("3", Returned(end, 1).GetRawText());
        Assert.Equal([(0, 0), (0, 1), (0, 2)], end.Deliveries.Select(d => (d.Delivery.Step, d.Delivery.Index)));
        Assert.Equal(["1", "2", "3"], end.Deliveries.Select(d => Encoding.UTF8.GetString(d.Delivery.Request.Body.Span)));
        Assert.Equal(3, sink.Requests.Count);
    }

    [Fact]
    public async Task A_rerun_step_may_make_more_sends_in_all_than_one_run_may()
    {
        await using var sink = Sink.Start();
        await using var rig = await StartAsync(new EngineLimits { SendsPerRun = 2 });
        var version = await DeployAsync(rig, $"{Send(sink, "1")} {Send(sink, "2")} if ($.context.run.runs < 4) $.flow.rerun(1, null, 4)");

        var end = await NextAsync(rig, (await rig.AcceptAsync(version)).Run.Id);
        while (end.Run.ContinuedBy is not null || end.Run.Status == RunStatus.Suspended) end = await NextAsync(rig, end.Run.Id);

        Assert.True(end.Run.Status == RunStatus.Succeeded, end.Run.Message);
        Assert.Equal(Enumerable.Range(0, 8), end.Deliveries.Select(d => d.Delivery.Index));
    }

    [Fact]
    public async Task A_run_that_nobody_lets_go_on_is_ended_when_its_time_is_over()
    {
        await using var rig = await StartAsync();
        var run = await rig.AcceptAsync(await DeployAsync(rig, "$.flow.suspend(30)", "return 2"));

        StoredRun end = null!;
        await Wait.UntilAsync(async () => (end = await rig.EndOfAsync(run.Run.Id)).Run.Status != RunStatus.Suspended);

        Assert.Equal((RunStatus.Failed, "suspension_timed_out"), (end.Run.Status, end.Run.Error!.Code));
        Assert.Contains("resume_url", end.Run.Message);
    }

    [Fact]
    public async Task A_canceled_run_does_not_go_on()
    {
        await using var rig = await StartAsync();
        var run = await rig.AcceptAsync(await DeployAsync(rig, "$.flow.delay(60000)", "return 2"));
        await HeldAsync(rig, run.Run.Id);

        Assert.True((await rig.Suspensions.CancelAsync(run.Run.Id, default)).IsDone);

        Assert.Equal((RunStatus.Failed, "canceled"), (await rig.EndOfAsync(run.Run.Id)) is var end ? (end.Run.Status, end.Run.Error!.Code) : default);
        Assert.False((await rig.Suspensions.ResumeAsync(run.Run.Id, default, default)).IsDone);
    }

    [Fact]
    public async Task A_held_run_outlives_a_crash_and_a_redeploy_with_the_values_that_its_record_hides()
    {
        const string secret = "a-secret-of-the-workspace";
        await using var sink = Sink.Start();
        RunId held;
        await using (var rig = await StartAsync())
        {
            await rig.Secrets.SetAsync("KEY", secret, isSecret: true, default);
            var version = await DeployAsync(rig, Send(sink, "'first'") + " $.flow.suspend(); return process.env.KEY", Send(sink, "steps.s1.$return_value"));
            held = (await rig.AcceptAsync(version)).Run.Id;
            var record = await HeldAsync(rig, held);
            Assert.DoesNotContain(secret, Encoding.UTF8.GetString(record.Run.Steps[0].Exports.Span));
            await DeployAsync(rig, "return 'other'");
        }
        await using (var rig = await StartAsync())
        {
            Assert.Equal(RunStatus.Suspended, (await rig.Store.GetRunAsync(held, default))!.Run.Status);
            var released = await rig.Suspensions.ResumeAsync(held, Encoding.UTF8.GetBytes("{}"), default);
            var end = await rig.EndOfAsync(released.Next!.Value);

            Assert.Equal((RunStatus.Succeeded, 1), (end.Run.Status, end.Run.Version));
            Assert.DoesNotContain(secret, Encoding.UTF8.GetString(end.Run.Steps[0].Exports.Span));
        }
        Assert.Equal(["first", secret], sink.Requests.Select(request => Encoding.UTF8.GetString(request.Body)));
    }

    [Fact]
    public async Task Credentials_of_the_requests_that_let_a_run_go_on_are_in_no_record()
    {
        const string first = "Bearer the-first-token-of-all", second = "session=the-second-cookie";
        await using var sink = Sink.Start();
        await using var rig = await StartAsync();
        var version = await DeployAsync(rig, "$.flow.suspend()", "$.flow.suspend(); return steps.s1.$resume_data.headers", Send(sink, "[steps.s1.$resume_data, steps.s2.$resume_data]"));
        var run = await rig.AcceptAsync(version);
        await HeldAsync(rig, run.Run.Id);
        var one = await rig.Suspensions.ResumeAsync(run.Run.Id, Encoding.UTF8.GetBytes($$"""{"headers":{"authorization":"{{first}}"} }"""), default);
        await HeldAsync(rig, one.Next!.Value);
        var two = await rig.Suspensions.ResumeAsync(one.Next.Value, Encoding.UTF8.GetBytes($$"""{"headers":{"cookie":"{{second}}"} }"""), default);
        var end = await rig.EndOfAsync(two.Next!.Value);

        Assert.Equal(RunStatus.Succeeded, end.Run.Status);
        foreach (var record in new[] { await rig.EndOfAsync(one.Next.Value), end })
            Assert.All([.. record.Run.Steps.Select(step => step.Exports), .. record.Deliveries.Select(d => d.Delivery.Request.Body)], bytes =>
                Assert.DoesNotMatch("the-first-token|the-second-cookie", Encoding.UTF8.GetString(bytes.Span)));
        string sent = Encoding.UTF8.GetString(Assert.Single(sink.Requests).Body);
        Assert.Contains(first, sent);
        Assert.Contains(second, sent);
    }

    [Fact]
    public async Task A_delay_that_ended_while_the_server_was_down_goes_on_after_the_start()
    {
        RunId held;
        await using (var rig = await RunRig.StartAsync(folder.Path))
        {
            held = (await rig.AcceptAsync(await DeployAsync(rig, "$.flow.delay(1)", "return 2"))).Run.Id;
            await HeldAsync(rig, held);
        }
        await using var next = await StartAsync();
        Assert.Equal("2", Returned(await NextAsync(next, held), 1).GetRawText());
    }

    [Fact]
    public async Task A_segment_that_a_crash_cut_off_runs_again_and_nothing_is_sent_twice()
    {
        await using var sink = Sink.Start();
        string gate = Path.Combine(folder.Path, "go");
        RunId held;
        await using (var rig = await StartAsync())
        {
            var version = await DeployAsync(rig, Send(sink, "'first'") + " $.flow.suspend(); return 1",
                Send(sink, "'second'") + $" const fs = await import('node:fs'); while (!fs.existsSync({JsonSerializer.Serialize(gate)})) await new Promise(go => setTimeout(go, 10)); return $.context.run.runs");
            held = (await rig.AcceptAsync(version)).Run.Id;
            await HeldAsync(rig, held);
            Assert.True((await rig.Suspensions.ResumeAsync(held, Encoding.UTF8.GetBytes("""{"body":1}"""), default)).IsDone);
            // It ends here as a crash does, in the middle of the second segment.
        }
        File.WriteAllText(gate, "");
        await using var next = await StartAsync();
        var end = await NextAsync(next, held);

        Assert.Equal((RunStatus.Succeeded, true), (end.Run.Status, end.Run.Recovered));
        Assert.Equal(2, end.Deliveries.Count);
        Assert.Equal(["first", "second"], sink.Requests.Select(request => Encoding.UTF8.GetString(request.Body)));
    }

    [Fact]
    public async Task A_request_that_comes_before_the_run_is_held_waits_for_it()
    {
        await using var gate = Sink.Start(hold: true);
        await using var rig = await StartAsync();
        var version = await DeployAsync(rig, $"$.flow.suspend(); await fetch('{gate.Url}'); return 1", "return 2");
        var run = await rig.AcceptAsync(version);
        await gate.WaitForRequestsAsync(1);

        var releasing = rig.Suspensions.ResumeAsync(run.Run.Id, Encoding.UTF8.GetBytes("{}"), default);
        Assert.False(releasing.IsCompleted);
        gate.Release();
        var released = await releasing;

        Assert.Equal("2", Returned(await rig.EndOfAsync(released.Next!.Value), 1).GetRawText());
    }

    [Fact]
    public async Task A_run_that_was_not_held_cannot_go_on()
    {
        await using var rig = await StartAsync();
        var run = await rig.AcceptAsync(await DeployAsync(rig, "return 1"));
        await rig.EndOfAsync(run.Run.Id);

        Assert.Equal(new Release(RunStatus.Succeeded), await rig.Suspensions.ResumeAsync(run.Run.Id, default, default));
        Assert.Equal(new Release(null), await rig.Suspensions.CancelAsync(new RunId(1), default));
    }

    [Fact]
    public async Task A_test_stays_one_when_it_goes_on_and_a_deleted_workflow_takes_its_held_runs_along()
    {
        await using var sink = Sink.Start();
        await using var rig = await StartAsync();
        var version = await DeployAsync(rig, "$.flow.delay(1)", Send(sink, "1"), "$.flow.suspend()");
        var run = (await rig.Queue.AcceptAsync(version, QueuedRun.TestTrigger, "{}"u8.ToArray(), default))!;
        var end = await NextAsync(rig, run.Run.Id);

        Assert.Equal((RunStatus.Suspended, "test", Sendoff.Engine.Deliveries.DeliveryStatus.Captured), (end.Run.Status, end.Run.Trigger, end.Deliveries[0].Delivery.Status));
        Assert.Empty(sink.Requests);
        Assert.True(await rig.Catalog.DeleteAsync("held", default));
        Assert.Null(await rig.Store.GetSuspensionAsync(end.Run.Id, default));
        Assert.Empty(await rig.Store.ListSuspendedAsync(10, default));
        Assert.False((await rig.Suspensions.ResumeAsync(end.Run.Id, default, default)).IsDone);
    }

    [Fact]
    public async Task Pruning_leaves_a_held_run_and_what_it_needs()
    {
        await using var rig = await StartAsync();
        var run = await rig.AcceptAsync(await DeployAsync(rig, "$.flow.suspend(); return 1", "return steps.s1.$return_value + 1"));
        await HeldAsync(rig, run.Run.Id);
        while ((await rig.Store.PruneAsync(DateTimeOffset.MaxValue, 0, default)).More) { }

        var released = await rig.Suspensions.ResumeAsync(run.Run.Id, Encoding.UTF8.GetBytes("{}"), default);
        Assert.Equal("2", Returned(await rig.EndOfAsync(released.Next!.Value), 1).GetRawText());
        while ((await rig.Store.PruneAsync(DateTimeOffset.MaxValue, 0, default)).More) { }
        Assert.Null(await rig.Store.GetRunAsync(run.Run.Id, default));
        Assert.Empty((await rig.Store.ListEventsAsync(new(null, null, null, null, 10), default)).Items);
    }
}
