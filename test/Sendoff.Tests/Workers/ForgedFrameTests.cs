using Sendoff.Engine;
using Sendoff.Engine.Workers;

namespace Sendoff.Tests.Workers;

/// <summary>A hostile step finds the socket and writes frames of its own.</summary>
public sealed class ForgedFrameTests
{
    /// <summary>Defines <c>frame(kind, json, body)</c>, which writes to the descriptor that is the socket.</summary>
    const string Forge = """
        const fs = require('fs');
        const frame = (kind, head, body) => {
          head = Buffer.from(typeof head === 'string' ? head : JSON.stringify(head));
          const payload = body === undefined ? head : Buffer.concat([u32(head.length), head, Buffer.from(body)]);
          raw(Buffer.concat([u32(payload.length + 1), Buffer.from([kind]), payload]));
        };
        const u32 = n => { const b = Buffer.alloc(4); b.writeUInt32LE(n); return b; };
        const fds = Array.from({ length: 61 }, (_, i) => i + 3).filter(n => { try { return fs.fstatSync(n).isSocket(); } catch { return false; } });
        const raw = bytes => { for (const fd of fds) for (let at = 0; at < bytes.length;) try { at += fs.writeSync(+fd, bytes, at); } catch (e) { if (e.code !== 'EAGAIN') throw e; } };
        const send = more => ({ run: 1, step: 0, index: 0, method: 'GET', url: 'http://a.example/', headers: [], ...more });
        const hold = () => new Promise(go => setTimeout(go, 20000));

        """;

    [Theory]
    [InlineData("raw(u32(16 * 1024 * 1024 + 1))")]
    [InlineData("raw(u32(0))")]
    [InlineData("raw(u32(0xffffffff))")]
    [InlineData("frame(99, {})")]
    [InlineData("frame(1, {})")]
    [InlineData("frame(16, { pid: 1 })")]
    [InlineData("frame(17, { steps: [], problems: [] })")]
    [InlineData("frame(18, { runs: [7] })")]
    [InlineData("frame(18, 'x')")]
    [InlineData("frame(21, { run: 1, step: 0, level: 'shout', text: '' })")]
    [InlineData("frame(21, { run: 1, step: 0, level: 'log', text: 1 })")]
    [InlineData("frame(22, { run: 1, step: 0, name: 'a' })")]
    [InlineData("frame(22, '{\"run\":1,\"step\":0,\"name\":\"a\",\"value\":{]}')")]
    [InlineData("frame(22, '{\"run\":1,\"step\":0,\"name\":\"a\",\"value\":' + '['.repeat(5000) + ']'.repeat(5000) + '}')")]
    [InlineData("frame(24, { run: 1, status: 99, headers: [] }, '')")]
    [InlineData("frame(25, { run: 1, step: 0, status: 'fine', durationMs: 1, exports: {} })")]
    [InlineData("frame(25, { run: 1, step: 0, status: 'succeeded', durationMs: 1, exports: [] })")]
    [InlineData("for (let i = 0; i < 2; i++) frame(25, { run: 1, step: 0, status: 'succeeded', durationMs: 1, exports: {} })")]
    [InlineData("frame(27, { run: 2, step: 0, id: 1, method: 'get', args: {} })")]
    [InlineData("frame(27, { run: 1, step: 0, id: 1, method: 'get' })")]
    [InlineData("frame(27, { run: 1, step: 0, id: 1, method: 'get', args: [] })")]
    [InlineData("frame(26, { run: 2, status: 'succeeded' })")]
    [InlineData("frame(26, { run: 1, status: 'succeeded', durationMs: -1 })")]
    [InlineData("frame(24, { run: 1, status: 200, headers: [['a', '1\\r\\nb: 2']] }, '')")]
    [InlineData("frame(24, { run: 1, status: 200, headers: [['a b', '1']] }, '')")]
    [InlineData("frame(24, { run: 1, status: 200, headers: [['a', 'x'.repeat(64 * 1024 - 4)]] }, '')")]
    [InlineData("frame(26, { run: 1, status: 'succeeded', durationMs: 1, hold: { kind: 'delay', step: 0, runs: 1, ms: 1 } })")]
    [InlineData(
        "frame(25, { run: 1, step: 0, status: 'succeeded', durationMs: 1, exports: {} }); frame(26, { run: 1, status: 'succeeded', "
            + "durationMs: 1, hold: { kind: 'delay', step: 0, runs: 1, ms: 366 * 86400000 } })"
    )]
    [InlineData("frame(21, '\\u0001')")]
    [InlineData("raw(Buffer.concat([u32(4), Buffer.from([21, 0x22, 0xff, 0x22])]))")]
    public async Task Frame_that_breaks_the_protocol_ends_the_worker_and_its_run(string code)
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersWarm = 0 });
        var run = await rig.RunAsync(rig.Program(Forge + code + "; await hold();"), timeoutSeconds: 10);

        Assert.Equal(WorkerEnd.Died, run.End);
        Assert.Contains("worker_protocol", run.Message);
        if (run.Steps[0].Status != StepStatus.Succeeded)
            Assert.Equal(("WorkerDiedError", "worker_protocol"), (run.Steps[0].Error!.Name, run.Steps[0].Error!.Code));
    }

    [Theory]
    [InlineData("send({ run: 2 })")]
    [InlineData("send({ run: undefined })")]
    [InlineData("send({ step: 1 })")]
    [InlineData("send({ step: -1 })")]
    [InlineData("send({ index: -1 })")]
    [InlineData("send({ index: undefined })")]
    [InlineData("send({ method: 'GET /' })")]
    [InlineData("send({ method: '' })")]
    [InlineData("send({ method: 'CONNECT' })")]
    [InlineData("send({ method: 'M'.repeat(65) })")]
    [InlineData("send({ url: 'ftp://a.example/' })")]
    [InlineData("send({ url: '/relative' })")]
    [InlineData("send({ url: 'http://u:p@a.example/' })")]
    [InlineData("send({ url: 'http://a.example/ x' })")]
    [InlineData("send({ url: 'http://a..b/' })")]
    [InlineData("send({ url: 'http://' + 'a'.repeat(300) + '/' })")]
    [InlineData("send({ url: 'http://a.example/' + 'x'.repeat(8192) })")]
    [InlineData("send({ headers: [['a\\r\\nb', '1']] })")]
    [InlineData("send({ headers: [['a', '1\\r\\nb: 2']] })")]
    [InlineData("send({ headers: [['a', '1\\0']] })")]
    [InlineData("send({ headers: [['a']] })")]
    [InlineData("send({ headers: { a: '1' } })")]
    [InlineData("send({ headers: [['a', 'x'.repeat(65536)]] })")]
    [InlineData("'not JSON'")]
    [InlineData("'[]'")]
    [InlineData("send(), Buffer.alloc(1024 * 1024 + 1)")]
    [InlineData("other('emit:'), '{bad'")]
    [InlineData("other('emit:'), '{},{}'")]
    [InlineData("other('emit:'), ''")]
    [InlineData("other('emit:'), '\"' + String.fromCharCode(1) + '\"'")]
    [InlineData("other('emit:'), Buffer.from([0x22, 0xff, 0x22])")]
    [InlineData("other('emit:'), '['.repeat(1001) + ']'.repeat(1001)")]
    [InlineData("other('emit:é'), '{}'")]
    [InlineData("other('emit:', { method: 'GET' }), '{}'")]
    [InlineData("other('sse:a', { headers: [['content-type', 'text/plain; charset=utf-8']] }), Buffer.from([0xff])")]
    [InlineData("other('sse:a%0Adata: b'), '1'")]
    [InlineData("other('sse:a%0D%0A'), '1'")]
    [InlineData("other('email:'), '[]'")]
    [InlineData("other('email:'), '{\"subject\":1}'")]
    [InlineData("other('email:'), '{\"to\":\"a@b\"}'")]
    [InlineData("other('email:'), '{\"to\":[1]}'")]
    [InlineData("other('email:'), '{\"bcc\":\"a@b\"}'")]
    [InlineData("other('email:x'), '{}'")]
    [InlineData("other('s3://bucket'), '{}'")]
    [InlineData("other('s3:///key'), '{}'")]
    [InlineData("other('s3://b$b/key'), '{}'")]
    [InlineData("other('s3://bucket/a/../b'), '{}'")]
    [InlineData("other('s3://bucket/%2e%2e/b'), '{}'")]
    [InlineData("other('s3://bucket/a%00'), '{}'")]
    public async Task Send_that_cannot_be_delivered_is_refused_and_costs_no_other(string arguments)
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersWarm = 0 });
        const string other =
            "const other = (url, more) => send({ method: 'SEND', url, headers: [['content-type', 'application/json']], ...more });\n";
        const string real = "$send.http({ method: 'GET', url: 'http://a.example/real' });";
        var run = await rig.RunAsync(
            rig.Program(
                Forge + other + $"{real} frame(20, {(arguments.Contains("), ") ? arguments : arguments + ", ''")}); {real} return 1;"
            ),
            timeoutSeconds: 10
        );

        Assert.True(run.End == WorkerEnd.Succeeded, run.Message);
        Assert.Equal(["http://a.example/real", "http://a.example/real"], run.Sends.Select(send => send.Send.Url));
        Assert.Equal([0, 1], run.Sends.Select(send => send.Index));
        Assert.Equal("send_refused", Assert.Single(run.Steps[0].Warnings).Code);
    }

    [Theory]
    [InlineData("frame(20, send({ url: 'http://forged.example/' }), '');")]
    [InlineData("frame(20, send({ url: 'http://forged.example/', index: 1 }), '');")]
    [InlineData("frame(20, send({ url: 'http://forged.example/', index: 999 }), '');")]
    [InlineData("frame(20, send({ url: 'http://forged.example/', index: 2147483647 }), '');")]
    public async Task Send_that_takes_the_index_of_another_costs_it_nothing(string forged)
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersWarm = 0 });
        const string real = "for (let i = 0; i < 3; i++) $send.http({ method: 'GET', url: `http://a.example/${i}` });";
        var run = await rig.RunAsync(rig.Program(Forge + forged + real + " return 1;"), timeoutSeconds: 10);

        Assert.Equal(WorkerEnd.Succeeded, run.End);
        Assert.Equal(
            ["http://a.example/0", "http://a.example/1", "http://a.example/2", "http://forged.example/"],
            run.Sends.Select(send => send.Send.Url).Order()
        );
        Assert.Equal(4, run.Sends.Select(send => send.Index).Distinct().Count());
        Assert.Empty(run.Steps[0].Warnings);
    }

    [Fact]
    public async Task Forged_sends_over_the_limits_of_a_run_are_refused()
    {
        await using var rig = new WorkerRig(
            new EngineLimits
            {
                WorkersWarm = 0,
                SendsPerRun = 3,
                SendBytesPerRun = 1_000,
            }
        );
        var many = await rig.RunAsync(
            rig.Program(Forge + "for (let i = 0; i < 5; i++) frame(20, send({ index: i }), '');"),
            timeoutSeconds: 10
        );
        var large = await rig.RunAsync(
            rig.Program(Forge + "for (let i = 0; i < 3; i++) frame(20, send({ index: i }), Buffer.alloc(400));"),
            timeoutSeconds: 10
        );

        Assert.Equal((3, 2), (many.Sends.Count, many.Steps[0].Warnings.Count));
        Assert.Equal((2, 1), (large.Sends.Count, large.Steps[0].Warnings.Count));
        Assert.Contains("Sends:MaxBytesPerRun", large.Steps[0].Warnings[0].Message);
    }

    [Fact]
    public async Task More_unanswered_calls_than_the_harness_makes_end_the_worker()
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersWarm = 0 }, calls: _ => new Silent());
        var run = await rig.RunAsync(
            rig.Program(
                Forge + "for (let id = 0; id < 65; id++) frame(27, { run: 1, step: 0, id, method: 'get', args: {} }); await hold();"
            ),
            timeoutSeconds: 10
        );

        Assert.Equal(WorkerEnd.Died, run.End);
        Assert.Contains("64 unanswered calls", run.Message);
    }

    sealed class Silent : IStepCalls
    {
        public Task<ReadOnlyMemory<byte>> CallAsync(string method, ReadOnlyMemory<byte> args) =>
            new TaskCompletionSource<ReadOnlyMemory<byte>>().Task;
    }

    [Fact]
    public async Task Call_of_a_run_that_has_ended_is_dropped()
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersWarm = 0 });
        var program = rig.Program(Forge + "if (event.late) frame(27, { run: 1, step: 0, id: 1, method: 'get', args: {} }); return 1;");

        Assert.Equal(WorkerEnd.Succeeded, (await rig.RunAsync(program)).End);
        Assert.Equal(WorkerEnd.Succeeded, (await rig.RunAsync(program, """{"late":true}""")).End);
    }

    [Theory]
    [InlineData(18)]
    [InlineData(19)]
    public async Task Run_that_gives_itself_back_is_not_started_again(int kind)
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersWarm = 0 });
        string starts = rig.FileIn("starts");
        var run = await rig.RunAsync(
            rig.Program(Forge + $"fs.appendFileSync('{starts}', 'x'); frame({kind}, {{ runs: [1] }}); await hold();"),
            timeoutSeconds: 10
        );

        Assert.Equal((WorkerEnd.Died, "x"), (run.End, await File.ReadAllTextAsync(starts, TestContext.Current.CancellationToken)));
        Assert.Contains("run 1 returned after it had started", run.Message);
    }

    /// <summary>A run that was handed ahead spins for a while at its first start and then gives itself back.</summary>
    /// <returns>The run, and an x for each of its starts.</returns>
    static async Task<(WorkerRun Run, string Starts)> GiveBackAsync(string first, string second)
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersWarm = 0 });
        string starts = rig.FileIn("starts"),
            go = rig.FileIn("go");
        var program = rig.Program(
            "if (!event.number && !event.wait) return 1;\n"
                + Forge
                + $$"""
                if (event.wait) { while (!fs.existsSync('{{go}}')) {} return 1; }
                const isFirst = !fs.existsSync('{{starts}}'), end = Date.now() + 150;
                fs.appendFileSync('{{starts}}', 'x');
                if (!isFirst) { {{second}} }
                while (Date.now() < end) {}
                {{first}}
                frame(19, { runs: [event.number] });
                await hold();
                """,
            concurrency: 1
        );
        const int shortRuns = 30; // after them, runs are handed ahead
        for (int i = 0; i < shortRuns; i++)
            await rig.RunAsync(program);

        var before = rig.RunAsync(program, """{"wait":true}""");
        var hostile = rig.RunAsync(program, $$"""{"number":{{shortRuns + 2}}}""", timeoutSeconds: 5);
        await File.WriteAllTextAsync(go, "", TestContext.Current.CancellationToken);

        Assert.Equal(WorkerEnd.Succeeded, (await before).End);
        return (await hostile, await File.ReadAllTextAsync(starts, TestContext.Current.CancellationToken));
    }

    // The second start takes no time. On a machine so busy that the run was not handed ahead, or was late, it is not started again.
    [Theory]
    [InlineData("return 2;", WorkerEnd.Succeeded)]
    [InlineData("process.kill(process.pid, 'SIGKILL'); await hold();", WorkerEnd.Died)]
    public async Task Run_that_was_handed_ahead_and_gives_itself_back_is_started_once_more_and_all_of_its_time_counts(
        string second,
        WorkerEnd end
    )
    {
        var (run, starts) = await GiveBackAsync("", second);
        if (starts == "xx")
            Assert.Equal((end, true), (run.End, run.Compute >= TimeSpan.FromMilliseconds(150)));
        else
            Assert.Equal(("x", false), (starts, run.End == WorkerEnd.Succeeded));
    }

    [Fact]
    public async Task Run_that_has_said_something_is_not_started_again()
    {
        var (run, starts) = await GiveBackAsync("console.log('started');", "return 2;");
        Assert.Equal((WorkerEnd.Died, "x"), (run.End, starts));
    }

    [Fact]
    public async Task Run_end_that_a_step_forges_ends_its_own_run_and_harms_no_other()
    {
        await using var rig = new WorkerRig();
        var program = rig.Program(
            Forge
                + "if (event.forge) { frame(26, { run: 1, status: 'succeeded', durationMs: 1, tainted: false }); await hold(); } return 1;"
        );

        var forged = await rig.RunAsync(program, """{"forge":true}""");
        Assert.Equal(WorkerEnd.Succeeded, forged.End);
    }

    [Fact]
    public async Task Run_end_that_a_step_forges_counts_no_more_time_than_has_passed_and_holds_no_failed_run()
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersWarm = 0 });
        const string end =
            "frame(25, { run: 1, step: 0, status: 'succeeded', durationMs: 1, exports: {} }); "
            + "frame(26, { run: 1, status: 'failed', durationMs: 1e9, idleMs: 0, tainted: false, hold: { kind: 'delay', step: 0, runs: 1, "
            + "ms: 1 } }); await hold();";
        long began = TimeProvider.System.GetTimestamp();
        var run = await rig.RunAsync(rig.Program(Forge + end));

        Assert.Equal((WorkerEnd.Failed, null), (run.End, run.Hold));
        Assert.True(run.Compute <= TimeProvider.System.GetElapsedTime(began), $"{run.Compute}");
    }

    [Fact]
    public async Task Only_the_first_response_of_a_run_counts_and_its_warnings_and_lines_are_bounded()
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersWarm = 0, RunLogBytes = 1_000 });
        var run = await rig.RunAsync(
            rig.Program(
                Forge
                    + """
                    for (const status of [201, 202]) frame(24, { run: 1, status, headers: [] }, 'x');
                    frame(23, { run: 1, step: 0, code: 'c', message: 'x'.repeat(16 * 1024 + 1) });
                    for (let i = 0; i < 1100; i++) frame(23, { run: 1, step: 0, code: 'c', message: `m ${i}` });
                    for (let i = 0; i < 100; i++) frame(21, { run: 1, step: 0, level: 'log', text: 'x'.repeat(84), at: 0 });
                    return 1;
                    """
            )
        );

        Assert.Equal((WorkerEnd.Succeeded, 201), (run.End, run.Response!.Status));
        Assert.Equal((1_000, "m 0"), (run.Steps[0].Warnings.Count, run.Steps[0].Warnings[0].Message));
        Assert.Equal(11, run.Steps[0].Logs.Count); // of 100 bytes each, and the line that says why there are no more
        Assert.Contains("Runs:MaxLogBytes", run.Steps[0].Logs[^1].Text, StringComparison.Ordinal);
    }
}
