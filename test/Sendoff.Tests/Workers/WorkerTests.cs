using Sendoff.Engine;
using Sendoff.Engine.Workers;

namespace Sendoff.Tests.Workers;

/// <summary>What a run in a real worker leaves behind, however it ends (B2, E4, E5).</summary>
public sealed class WorkerTests
{
    const string Send = "$send.http({ method: 'POST', url: 'https://example.com/a?b=1', headers: { 'X-One': '1' }, data: { n: 1 } });";

    [Fact]
    public async Task Run_that_succeeds_has_its_sends_exports_and_logs_under_their_steps()
    {
        await using var rig = new WorkerRig();
        var program = rig.Program([
            "console.log('hello'); this.x = 7; " + Send,
            "export default { async run({ steps, $ }) { $.export('y', steps.step1.x + 1); return steps.trigger.event.a; } }",
        ]);

        var run = await rig.RunAsync(program, """{"a":"b"}""");

        Assert.Equal(WorkerEnd.Succeeded, run.End);
        var send = Assert.Single(run.Sends);
        Assert.Equal((0, 0), (send.Step, send.Index));
        Assert.Equal(("POST", "https://example.com/a?b=1"), (send.Send.Method, send.Send.Url));
        Assert.Contains(send.Send.Headers, header => header is { Name: "X-One", Value: "1" });
        Assert.Contains(send.Send.Headers, header => header.Name == "content-type" && header.Value.StartsWith("application/json"));
        Assert.Equal("""{"n":1}""", run.Body(0));
        Assert.Equal([StepStatus.Succeeded, StepStatus.Succeeded], run.Steps.Select(step => step.Status));
        Assert.Equal(7, run.Exports(0).GetProperty("x").GetInt32());
        Assert.Equal(8, run.Exports(1).GetProperty("y").GetInt32());
        Assert.Equal("b", run.Exports(1).GetProperty("$return_value").GetString());
        Assert.Equal(("log", "hello"), (run.Steps[0].Logs.Single().Level, run.Steps[0].Logs.Single().Text));
        Assert.True(run.Compute > TimeSpan.Zero);
    }

    [Fact]
    public async Task Step_that_throws_fails_with_line_and_column_and_later_steps_are_skipped()
    {
        await using var rig = new WorkerRig();
        var run = await rig.RunAsync(rig.Program([Send + "\n  throw new RangeError('no');", Send]));

        Assert.Equal(WorkerEnd.Failed, run.End);
        Assert.Equal([StepStatus.Failed, StepStatus.Skipped], run.Steps.Select(step => step.Status));
        Assert.Equal(("RangeError", "no", 2), (run.Steps[0].Error!.Name, run.Steps[0].Error!.Message, run.Steps[0].Error!.Line));
        Assert.Single(run.Sends);
    }

    [Fact]
    public async Task Infinite_loop_is_killed_at_the_timeout_and_keeps_the_sends_made_before()
    {
        await using var rig = new WorkerRig();
        var run = await rig.RunAsync(rig.Program([Send, Send + Send + "for (;;);", Send]), timeoutSeconds: 2);

        Assert.Equal(WorkerEnd.TimedOut, run.End);
        Assert.Equal([(0, 0), (1, 0), (1, 1)], run.Sends.Select(send => (send.Step, send.Index)));
        Assert.Equal([StepStatus.Succeeded, StepStatus.TimedOut, StepStatus.Skipped], run.Steps.Select(step => step.Status));
        Assert.Equal("TimeoutError", run.Steps[1].Error!.Name);
        Assert.Contains("2,000 ms", run.Steps[1].Error!.Message);
        Assert.True(run.Compute.TotalSeconds >= 2, $"{run.Compute}");
    }

    [Theory]
    [InlineData("const all = []; for (;;) all.push(new Array(1000).fill({ a: Math.random() }));")]
    [InlineData("const all = []; for (;;) all.push(Buffer.alloc(4e6, 1));")]
    public async Task Memory_bomb_on_or_off_the_heap_is_out_of_memory_and_keeps_the_sends_made_before(string bomb)
    {
        await using var rig = new WorkerRig();
        var run = await rig.RunAsync(rig.Program(Send + bomb));

        Assert.Equal(WorkerEnd.OutOfMemory, run.End);
        Assert.Single(run.Sends);
        Assert.Equal("OutOfMemoryError", run.Steps[0].Error!.Name);
        Assert.Contains("64 MB", run.Steps[0].Error!.Message);
        Assert.Equal(StepStatus.Failed, run.Steps[0].Status);
    }

    [Fact]
    public async Task Process_exit_fails_the_run_and_the_next_run_gets_a_new_worker()
    {
        await using var rig = new WorkerRig();
        var program = rig.Program(Send + "if (event.exit) process.exit(3); return process.pid;");
        var before = await rig.RunAsync(program);
        var run = await rig.RunAsync(program, """{"exit":true}""");
        var after = await rig.RunAsync(program);

        Assert.Equal((WorkerEnd.Failed, 1), (run.End, run.Sends.Count));
        Assert.Contains("process.exit", run.Steps[0].Error!.Message);
        Assert.Equal(WorkerEnd.Succeeded, after.End);
        Assert.NotEqual(
            before.Exports(0).GetProperty("$return_value").GetInt32(),
            after.Exports(0).GetProperty("$return_value").GetInt32()
        );
    }

    [Fact]
    public async Task Killed_process_is_died_and_keeps_the_sends_made_before()
    {
        await using var rig = new WorkerRig();
        var run = await rig.RunAsync(rig.Program(Send + Send + "process.kill(process.pid, 'SIGKILL'); for (;;);"));

        Assert.Equal((WorkerEnd.Died, 2), (run.End, run.Sends.Count));
        Assert.Equal("WorkerDiedError", run.Steps[0].Error!.Name);
        Assert.Contains("signal 9", run.Steps[0].Error!.Message);
    }

    [Fact]
    public async Task Endless_console_output_is_bounded_and_says_so()
    {
        await using var rig = new WorkerRig(new EngineLimits { RunLogBytes = 10_000 });
        var run = await rig.RunAsync(
            rig.Program(
                "const line = 'x'.repeat(1 << 20); for (let i = 0; i < 2000; i++) { console.log(''); console.log('short'); "
                    + "console.log(line); process.stdout.write(line); }"
            )
        );

        Assert.Equal(WorkerEnd.Succeeded, run.End);
        Assert.InRange(run.Steps[0].Logs.Sum(line => line.Text.Length), 1, 11_000);
        Assert.InRange(run.Steps[0].Logs.Count, 1, 1_000);
        Assert.Contains("Runs:MaxLogBytes", run.Steps[0].Logs[^1].Text);
    }

    [Fact]
    public async Task Output_past_the_console_is_drained_and_does_not_stop_the_step()
    {
        await using var rig = new WorkerRig();
        var run = await rig.RunAsync(
            rig.Program(
                """
                const fs = require('fs'); const chunk = Buffer.alloc(1 << 16, 120); let left = 200 * 1024 * 1024;
                while (left > 0) { try { left -= fs.writeSync(1, chunk); left -= fs.writeSync(2, chunk); } catch (e) { if (e.code !== 'EAGAIN') throw e; } }
                return 'done';
                """
            )
        );

        Assert.Equal("done", run.Exports(0).GetProperty("$return_value").GetString());
    }

    [Fact]
    public async Task Exports_of_a_run_over_their_limit_fail_it()
    {
        await using var rig = new WorkerRig(new EngineLimits { RunExportBytes = 10_000 });
        var run = await rig.RunAsync(
            rig.Program("export default { async run({ $ }) { $.export('a', 'x'.repeat(9000)); $.export('b', 'x'.repeat(9000)); } }")
        );

        Assert.Equal((WorkerEnd.Failed, "LimitError"), (run.End, run.Steps[0].Error!.Name));
        Assert.Contains("Runs:MaxExportBytes", run.Steps[0].Error!.Message);
    }

    [Fact]
    public async Task Immediate_response_is_reported_before_the_run_ends()
    {
        await using var rig = new WorkerRig();
        var program = rig.Program(
            "$respond({ status: 202, immediate: true, body: 'soon' }); await new Promise(go => { const f = require('fs'); "
                + "const t = setInterval(() => { if (f.existsSync(event.file)) { clearInterval(t); go(); } }, 5); });"
        );
        var early = new TaskCompletionSource<RunResponse>(TaskCreationOptions.RunContinuationsAsynchronously);
        string file = rig.FileIn("go");
        var run = new WorkerRun
        {
            Id = "r",
            EventJson = System.Text.Encoding.UTF8.GetBytes($$"""{"file":"{{file}}"}"""),
            ReceivedAt = TimeProvider.System.GetUtcNow(),
            Timeout = TimeSpan.FromSeconds(20),
            OnImmediateResponse = response => early.SetResult(response),
        };
        var running = rig.Pool.RunAsync(program, run, TestContext.Current.CancellationToken);

        var response = await early.Task.WaitAsync(TestContext.Current.CancellationToken);
        Assert.False(running.IsCompleted);
        Assert.Equal((202, "soon"), (response.Status, System.Text.Encoding.UTF8.GetString(response.Body.Span)));
        await File.WriteAllTextAsync(file, "", TestContext.Current.CancellationToken);
        await running;
        Assert.Same(response, run.Response);
    }

    [Fact]
    public async Task Syntax_error_is_a_problem_with_line_and_column_and_fails_runs()
    {
        await using var rig = new WorkerRig();
        var program = rig.Program(["return 1;", "let a = 1;\nlet b = = 2;"]);

        var problem = Assert.Single((await rig.Pool.CheckAsync(program, TestContext.Current.CancellationToken)).Problems);
        Assert.Equal(("step2", "step2.js", "SyntaxError", 2), (problem.Step, problem.File, problem.Name, problem.Line));
        Assert.True(problem.Column > 1);
        var run = await rig.RunAsync(program);
        Assert.Equal((WorkerEnd.Failed, StepStatus.Failed, 2), (run.End, run.Steps[1].Status, run.Steps[1].Error!.Line));
        Assert.Empty((await rig.Pool.CheckAsync(rig.Program("return 1;"), TestContext.Current.CancellationToken)).Problems);
    }

    [Fact]
    public async Task Program_whose_folder_is_gone_is_a_problem_of_its_first_step()
    {
        await using var rig = new WorkerRig();
        var program = rig.Program("return 1;");
        Directory.Delete(program.Root, recursive: true);

        var run = await rig.RunAsync(program);

        Assert.Equal(
            (WorkerEnd.Failed, "SENDOFF_LOAD", "the file step1.js does not exist"),
            (run.End, run.Steps[0].Error!.Code, run.Steps[0].Error!.Message)
        );
    }

    [Fact]
    public async Task Steps_see_their_own_environment_and_nothing_of_the_server()
    {
        await using var rig = new WorkerRig();
        var run = await rig.RunAsync(rig.Program(["return process.env;"], environment: new() { ["KEY"] = "value" }));

        Assert.Equal("""{"KEY":"value"}""", run.Exports(0).GetProperty("$return_value").GetRawText());
    }

    [Fact]
    public async Task Half_a_surrogate_pair_becomes_a_replacement_character()
    {
        await using var rig = new WorkerRig();
        var run = await rig.RunAsync(rig.Program("""console.log('\ud83d'); console.log('😀 \\ud83d'); this.x = '\ude00'; return '😀';"""));

        Assert.Equal(["\ufffd", "😀 \\ud83d"], run.Steps[0].Logs.Select(line => line.Text));
        Assert.Equal("\ufffd", run.Exports(0).GetProperty("x").GetString());
        Assert.Equal("😀", run.Exports(0).GetProperty("$return_value").GetString());
    }

    [Fact]
    public async Task Blob_that_is_read_late_keeps_its_place_among_the_sends()
    {
        await using var rig = new WorkerRig();
        var run = await rig.RunAsync(
            rig.Program("$send.http({ method: 'PUT', url: 'http://a.example/', data: new Blob(['blob']) });" + Send)
        );

        Assert.Equal(WorkerEnd.Succeeded, run.End);
        Assert.Equal([0, 1], run.Sends.Select(send => send.Index));
        Assert.Equal("blob", run.Body(0));
    }
}
