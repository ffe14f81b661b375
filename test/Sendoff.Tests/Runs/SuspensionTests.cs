using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
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
        var files = bodies
            .Select((body, i) => (Path: $"s{i + 1}.mjs", Text: Component(body)))
            .ToDictionary(file => file.Path, file => file.Text);
        files["workflow.yaml"] =
            "triggers: [ { type: http, key: held } ]\nsteps:\n"
            + string.Concat(bodies.Select((_, i) => $"  - {{ namespace: s{i + 1}, uses: ./s{i + 1}.mjs }}\n"));
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
        await Wait.UntilAsync(
            async () => (next = (await rig.Store.GetRunAsync(held, default))!.Run.ContinuedBy) is not null,
            $"what continues {held}"
        );
        return await rig.EndOfAsync(next!.Value);
    }

    static JsonElement Returned(StoredRun run, int step) =>
        JsonElement.Parse(run.Run.Steps[step].Exports.Span).GetProperty("$return_value");

    [Fact]
    public void Address_that_a_workflow_signs_decides_over_its_own_run_and_only_what_it_says()
    {
        var links = new FlowLinks(TestSecrets.Concealment(), "http://localhost");
        var (own, other, run) = (new WorkflowId(1), new WorkflowId(2), new RunId(7));
        string SignOf(WorkflowId workflow, string what) =>
            System.Buffers.Text.Base64Url.EncodeToString(
                System.Security.Cryptography.HMACSHA256.HashData(
                    links.For(workflow).Key.Span,
                    System.Text.Encoding.UTF8.GetBytes($"{what} {run}")
                )
            )[..22];

        string sign = SignOf(own, FlowLinks.Resume);
        Assert.True(links.IsOwn(own, run, FlowLinks.Resume, sign));
        Assert.False(links.IsOwn(own, run, FlowLinks.Cancel, sign));
        Assert.False(links.IsOwn(own, new(8), FlowLinks.Resume, sign));
        Assert.False(links.IsOwn(other, run, FlowLinks.Resume, sign));
        Assert.False(links.IsOwn(own, run, FlowLinks.Resume, SignOf(other, FlowLinks.Resume)));
        foreach (string cut in (string[])["", sign[..1], sign[..21], sign + "A"])
            Assert.False(links.IsOwn(own, run, FlowLinks.Resume, cut));
    }

    [Fact]
    public async Task All_runs_that_are_due_end_at_one_look_however_many_there_are()
    {
        await using var rig = await RunRig.StartAsync(folder.Path);
        var version = await DeployAsync(rig, "return 1");
        var now = TimeProvider.System.GetUtcNow();
        for (int i = 0; i < 205; i++)
        {
            var run = new QueuedRun(
                new(rig.Ids.Next()),
                new(new(rig.Ids.Next()), WorkspaceId.Default, version.WorkflowId, "http", now, "{}"u8.ToArray()),
                1
            );
            Assert.True(await rig.Store.AcceptAsync(run, default));
            var held = new Suspension(
                run.Id,
                version.WorkflowId,
                HoldKind.Suspend,
                0,
                now.AddSeconds(i < 204 ? -1 : 3_600),
                new byte[] { 1 }
            );
            Assert.True(
                await rig.Store.FinishRunAsync(
                    new(
                        run.Id,
                        run.Event.Id,
                        WorkspaceId.Default,
                        version.WorkflowId,
                        1,
                        "http",
                        RunStatus.Suspended,
                        now,
                        default,
                        default,
                        false,
                        false,
                        null,
                        null,
                        null,
                        []
                    )
                    {
                        Suspension = held,
                    },
                    [],
                    default
                )
            );
        }
        using var looked = new SemaphoreSlim(0);
        rig.Suspensions.Looked += () => looked.Release();

        rig.Suspensions.Start();
        await Wait.ForAsync(looked);

        Assert.Single(await rig.Store.ListSuspendedAsync(300, [], default));
    }

    [Fact]
    public async Task A_delayed_run_commits_its_sends_and_goes_on_with_the_next_step()
    {
        await using var sink = Sink.Start();
        await using var rig = await StartAsync();
        var version = await DeployAsync(
            rig,
            "$.flow.delay(50, { c: 1 }); " + Send(sink, "'first'") + " return { n: 1 }",
            Send(sink, "'second'") + " return [steps.s1, $.context.trace_id, $.context.run, steps.trigger.event]"
        );

        var first = await rig.AcceptAsync(version, """{"e":1}""");
        var end = await NextAsync(rig, first.Run.Id);
        var before = await rig.EndOfAsync(first.Run.Id);

        Assert.Equal((RunStatus.Succeeded, RunStatus.Succeeded), (before.Run.Status, end.Run.Status));
        Assert.Equal((end.Run.Id, first.Run.Id), (before.Run.ContinuedBy!.Value, end.Run.Continues!.Value));
        Assert.Equal(["s1"], before.Run.Steps.Select(step => step.Name));
        Assert.Equal(["s1", "s2"], end.Run.Steps.Select(step => step.Name));
        Assert.Equal(
            $$$"""[{"$return_value":{"n":1}},"{{{first.Run.Id}}}",{"runs":1,"context":{"c":1}},{"e":1}]""",
            Returned(end, 1).GetRawText()
        );
        Assert.Equal([(0, 0), (1, 0)], end.Deliveries.Select(d => (d.Delivery.Step, d.Delivery.Index)));
        Assert.Equal(2, sink.Requests.Count);
    }

    [Fact]
    public async Task A_suspended_run_goes_on_with_the_request_that_let_it_once()
    {
        await using var rig = await StartAsync();
        var version = await DeployAsync(
            rig,
            "$.flow.suspend(); return 1",
            "return [steps.s1.$resume_data.body, $.context.run.callback_request.body]"
        );
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
        var version = await DeployAsync(
            rig,
            Send(sink, "$.context.run.runs") + " if ($.context.run.runs < 9) $.flow.rerun(1, null, 2); return $.context.run.runs",
            "return steps.s1.$return_value"
        );

        var run = await rig.AcceptAsync(version);
        var end = await NextAsync(rig, run.Run.Id);
        while (end.Run.ContinuedBy is not null || end.Run.Status == RunStatus.Suspended)
            end = await NextAsync(rig, end.Run.Id);

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
        while (end.Run.ContinuedBy is not null || end.Run.Status == RunStatus.Suspended)
            end = await NextAsync(rig, end.Run.Id);

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

        Assert.Equal(
            (RunStatus.Failed, "canceled"),
            (await rig.EndOfAsync(run.Run.Id)) is var end ? (end.Run.Status, end.Run.Error!.Code) : default
        );
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
            var version = await DeployAsync(
                rig,
                Send(sink, "'first'") + " $.flow.suspend(); return process.env.KEY",
                Send(sink, "steps.s1.$return_value")
            );
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
        const string first = "Bearer the-first-token-of-all",
            second = "session=the-second-cookie";
        await using var sink = Sink.Start();
        await using var rig = await StartAsync();
        var version = await DeployAsync(
            rig,
            "$.flow.suspend()",
            "$.flow.suspend(); return steps.s1.$resume_data.headers",
            Send(sink, "[steps.s1.$resume_data, steps.s2.$resume_data]")
        );
        var run = await rig.AcceptAsync(version);
        await HeldAsync(rig, run.Run.Id);
        var one = await rig.Suspensions.ResumeAsync(
            run.Run.Id,
            Encoding.UTF8.GetBytes($$"""{"headers":{"authorization":"{{first}}"} }"""),
            default
        );
        await HeldAsync(rig, one.Next!.Value);
        var two = await rig.Suspensions.ResumeAsync(
            one.Next.Value,
            Encoding.UTF8.GetBytes($$"""{"headers":{"cookie":"{{second}}"} }"""),
            default
        );
        var end = await rig.EndOfAsync(two.Next!.Value);

        Assert.Equal(RunStatus.Succeeded, end.Run.Status);
        foreach (var record in new[] { await rig.EndOfAsync(one.Next.Value), end })
            Assert.All(
                [.. record.Run.Steps.Select(step => step.Exports), .. record.Deliveries.Select(d => d.Delivery.Request.Body)],
                bytes => Assert.DoesNotMatch("the-first-token|the-second-cookie", Encoding.UTF8.GetString(bytes.Span))
            );
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
            var version = await DeployAsync(
                rig,
                Send(sink, "'first'") + " $.flow.suspend(); return 1",
                Send(sink, "'second'")
                    + $" const fs = await import('node:fs'); while (!fs.existsSync({JsonSerializer.Serialize(gate)})) await new "
                    + "Promise(go => setTimeout(go, 10)); return $.context.run.runs"
            );
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
        var run = (await rig.Acceptance.AcceptAsync(version, QueuedRun.TestTrigger, "{}"u8.ToArray(), default))!;
        var end = await NextAsync(rig, run.Run.Id);

        Assert.Equal(
            (RunStatus.Suspended, "test", DeliveryStatus.Captured),
            (end.Run.Status, end.Run.Trigger, end.Deliveries[0].Delivery.Status)
        );
        Assert.Empty(sink.Requests);
        Assert.True(await rig.Catalog.DeleteAsync("held", default));
        Assert.Null(await rig.Store.GetSuspensionAsync(end.Run.Id, default));
        Assert.Empty(await rig.Store.ListSuspendedAsync(10, [], default));
        Assert.False((await rig.Suspensions.ResumeAsync(end.Run.Id, default, default)).IsDone);
    }

    const string DelayOrWait =
        "if (steps.trigger.event.gate) await fetch(steps.trigger.event.gate); else if ($.context.run.runs === 1) $.flow.rerun(1, null, 2);";

    static async Task<Sendoff.Engine.Workflows.WorkflowVersion> DeployNamedAsync(RunRig rig, string name, string body)
    {
        var deployed = await rig.Catalog.DeployAsync(
            name,
            new Dictionary<string, string>
            {
                ["workflow.yaml"] = $"triggers: [ {{ type: http, key: {name} }} ]\nsteps: [ {{ namespace: s1, uses: ./s1.mjs }} ]",
                ["s1.mjs"] = Component(body),
            },
            default
        );
        Assert.Empty(deployed.Problems);
        return rig.Catalog.FindTrigger(name)!.Version;
    }

    /// <summary>A run of "full" that is suspended, and one that takes the only place of its queue until the gate is released.</summary>
    static async Task<AcceptedRun> FillAsync(RunRig rig, Sink gate, string body)
    {
        var full = await DeployNamedAsync(rig, "full", body);
        var held = await rig.AcceptAsync(full);
        await HeldAsync(rig, held.Run.Id);
        await WhenFreeAsync(() => rig.AcceptAsync(full, $$"""{"gate":"{{gate.Url}}"}"""));
        await gate.WaitForRequestsAsync(1);
        return held;
    }

    /// <summary>A run's place is free a moment after its end is stored.</summary>
    static async Task<T> WhenFreeAsync<T>(Func<Task<T>> ask)
    {
        var patience = Wait.Token;
        while (true)
        {
            try
            {
                return await ask();
            }
            catch (RunQueueFullException)
            {
                await Task.Delay(5, patience);
            }
        }
    }

    [Fact]
    public async Task A_workflow_whose_queue_is_full_keeps_no_other_workflow_from_resuming_what_is_due_and_is_tried_again_soon()
    {
        await using var gate = Sink.Start(hold: true);
        var clock = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var rig = await RunRig.StartAsync(folder.Path, new EngineLimits { RunsQueued = 1 }, clock);
        var stuck = await FillAsync(rig, gate, DelayOrWait);
        var other = await DeployNamedAsync(rig, "other", DelayOrWait);
        var due = await rig.AcceptAsync(other);
        await HeldAsync(rig, due.Run.Id);
        clock.Advance(TimeSpan.FromMinutes(1));
        using var looked = new SemaphoreSlim(0);
        rig.Suspensions.Looked += () => looked.Release();

        rig.Suspensions.Start();
        await Wait.ForAsync(looked);
        Assert.Equal(RunStatus.Succeeded, (await NextAsync(rig, due.Run.Id)).Run.Status);
        Assert.Equal(RunStatus.Suspended, (await rig.Store.GetRunAsync(stuck.Run.Id, default))!.Run.Status);
        gate.Release();
        await Wait.UntilAsync(() => rig.Completion.InFlight == 0);
        // Far less than the minute after which it looks in any case; a place is free a moment after a run has ended.
        for (int tries = 0; tries < 3 && (await rig.Store.GetRunAsync(stuck.Run.Id, default))!.Run.Status == RunStatus.Suspended; tries++)
        {
            clock.Advance(TimeSpan.FromSeconds(5));
            await Wait.ForAsync(looked);
        }
        Assert.NotEqual(RunStatus.Suspended, (await rig.Store.GetRunAsync(stuck.Run.Id, default))!.Run.Status);
        Assert.Equal(RunStatus.Succeeded, (await NextAsync(rig, stuck.Run.Id)).Run.Status);
    }

    [Fact]
    public async Task A_resume_that_finds_the_queue_full_is_refused_leaves_no_listener_and_works_later()
    {
        await using var gate = Sink.Start(hold: true);
        await using var rig = await RunRig.StartAsync(folder.Path, new EngineLimits { RunsQueued = 1 });
        var held = await FillAsync(
            rig,
            gate,
            "if (steps.trigger.event.gate) await fetch(steps.trigger.event.gate); else if ($.context.run.runs === 1) $.flow.suspend();"
        );

        for (int i = 0; i < 3; i++)
            await Assert.ThrowsAsync<RunQueueFullException>(() =>
                rig.Suspensions.ResumeAsync(held.Run.Id, Encoding.UTF8.GetBytes("{}"), default)
            );
        Assert.Equal(0, rig.Changes.Listeners);
        rig.Failing.Fail(nameof(IStore.FindRunAsync), new StoreUnavailableException("the disk is full"));
        await Assert.ThrowsAsync<StoreUnavailableException>(() => rig.Suspensions.CancelAsync(held.Run.Id, default));
        Assert.Equal(0, rig.Changes.Listeners);

        gate.Release();
        var released = await WhenFreeAsync(() => rig.Suspensions.ResumeAsync(held.Run.Id, Encoding.UTF8.GetBytes("{}"), default));
        Assert.Equal(RunStatus.Succeeded, (await rig.EndOfAsync(released.Next!.Value)).Run.Status);
        Assert.Equal(0, rig.Changes.Listeners);
    }

    [Fact]
    public async Task A_suspended_test_goes_on_with_its_own_draft_however_many_were_saved_since()
    {
        await using var rig = await RunRig.StartAsync(folder.Path);
        var version = await DeployNamedAsync(rig, "held", "return 'deployed'");
        var drafts = new Drafts(rig.Store, rig.Catalog, rig.Acceptance);
        var files = version.Files.ToDictionary();
        files["s1.mjs"] = Component("if ($.context.run.runs === 1) $.flow.rerun(3600000, null, 2); return 'its draft'");
        await drafts.SaveAsync("held", files, default);
        var test = (await drafts.TestAsync("held", "{}"u8.ToArray(), captured: true, default))!.Run!;
        await HeldAsync(rig, test.Run.Id);
        for (int i = 0; i < 60; i++)
            Assert.NotNull(
                await rig.Store.SaveDraftAsync(
                    version.WorkflowId,
                    new Dictionary<string, string>(files) { ["s1.mjs"] = Component($"return {i}") },
                    isFixed: true,
                    default
                )
            );

        var released = await rig.Suspensions.ResumeAsync(test.Run.Id, Encoding.UTF8.GetBytes("{}"), default);
        Assert.Equal("\"its draft\"", Returned(await rig.EndOfAsync(released.Next!.Value), 0).GetRawText());
    }

    static Task<Sendoff.Engine.Workflows.WorkflowVersion> DeployOnSuccessAsync(RunRig rig, Sink sink, string end)
    {
        var bodies = new[]
        {
            Send(sink, "'first'") + " $.flow.suspend()",
            Send(sink, "'second'") + " $.flow.suspend()",
            Send(sink, "'third'") + end,
        };
        var files = bodies
            .Select((body, i) => (Path: $"s{i + 1}.mjs", Text: Component(body)))
            .ToDictionary(file => file.Path, file => file.Text);
        files["workflow.yaml"] =
            "triggers: [ { type: http, key: held } ]\nsettings: { deliver: success }\nsteps:\n"
            + string.Concat(bodies.Select((_, i) => $"  - {{ namespace: s{i + 1}, uses: ./s{i + 1}.mjs }}\n"));
        return DeployFilesAsync(rig, files);
    }

    static async Task<Sendoff.Engine.Workflows.WorkflowVersion> DeployFilesAsync(RunRig rig, Dictionary<string, string> files)
    {
        var deployed = await rig.Catalog.DeployAsync("held", files, default);
        Assert.Empty(deployed.Problems);
        return rig.Catalog.FindTrigger("held")!.Version;
    }

    static async Task<StoredRun> ResumeAsync(RunRig rig, RunId run) =>
        await rig.EndOfAsync((await rig.Suspensions.ResumeAsync(run, Encoding.UTF8.GetBytes("{}"), default)).Next!.Value);

    [Fact]
    public async Task Sends_of_suspended_segments_are_delivered_when_the_run_succeeds_in_the_end()
    {
        await using var sink = Sink.Start();
        await using var rig = await RunRig.StartAsync(folder.Path);
        var first = await rig.AcceptAsync(await DeployOnSuccessAsync(rig, sink, ""));
        var held = await HeldAsync(rig, first.Run.Id);
        Assert.Equal(DeliveryStatus.Captured, held.Deliveries[0].Delivery.Status);
        var second = await ResumeAsync(rig, first.Run.Id);
        Assert.Empty(sink.Requests);

        var end = await ResumeAsync(rig, second.Run.Id);
        Assert.Equal(RunStatus.Succeeded, end.Run.Status);
        Assert.All(end.Deliveries, static one => Assert.Equal(DeliveryStatus.Succeeded, one.Delivery.Status));
        Assert.Equal(["first", "second", "third"], sink.Requests.Select(static request => Encoding.UTF8.GetString(request.Body)).Order());
    }

    [Fact]
    public async Task Sends_of_suspended_segments_stay_captured_when_the_run_fails_in_the_end_or_is_a_test()
    {
        await using var sink = Sink.Start();
        await using var rig = await RunRig.StartAsync(folder.Path);
        var version = await DeployOnSuccessAsync(rig, sink, " if (steps.trigger.event.fail) throw new Error('no')");
        var failing = await rig.AcceptAsync(version, """{"fail":true}""");
        var test = (await rig.Acceptance.AcceptAsync(version, QueuedRun.TestTrigger, "{}"u8.ToArray(), default))!;
        foreach (var run in new[] { failing, test })
        {
            await HeldAsync(rig, run.Run.Id);
            var end = await ResumeAsync(rig, (await ResumeAsync(rig, run.Run.Id)).Run.Id);
            Assert.Equal(run == failing ? RunStatus.Failed : RunStatus.Succeeded, end.Run.Status);
            Assert.Equal(3, end.Deliveries.Count);
            Assert.All(end.Deliveries, static one => Assert.Equal(DeliveryStatus.Captured, one.Delivery.Status));
        }
        Assert.Empty(sink.Requests);
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
