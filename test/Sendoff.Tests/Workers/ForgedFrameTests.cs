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
    [InlineData("frame(20, send({ run: 2 }), '')")]
    [InlineData("frame(20, send({ run: undefined }), '')")]
    [InlineData("frame(20, send({ step: 1 }), '')")]
    [InlineData("frame(20, send({ step: -1 }), '')")]
    [InlineData("frame(20, send({ index: 1000 }), '')")]
    [InlineData("frame(20, send(), ''); frame(20, send(), '')")]
    [InlineData("frame(20, send({ method: 'GET /' }), '')")]
    [InlineData("frame(20, send({ method: '' }), '')")]
    [InlineData("frame(20, send({ url: 'ftp://a.example/' }), '')")]
    [InlineData("frame(20, send({ url: '/relative' }), '')")]
    [InlineData("frame(20, send({ url: 'http://u:p@a.example/' }), '')")]
    [InlineData("frame(20, send({ url: 'http://a.example/ x' }), '')")]
    [InlineData("frame(20, send({ headers: [['a\\r\\nb', '1']] }), '')")]
    [InlineData("frame(20, send({ headers: [['a', '1\\r\\nb: 2']] }), '')")]
    [InlineData("frame(20, send({ headers: [['a', '1\\0']] }), '')")]
    [InlineData("frame(20, send({ headers: [['a']] }), '')")]
    [InlineData("frame(20, send({ headers: { a: '1' } }), '')")]
    [InlineData("frame(20, send(), Buffer.alloc(1024 * 1024 + 1))")]
    [InlineData("raw(Buffer.concat([u32(7), Buffer.from([20]), u32(100), Buffer.from('{}')]))")]
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
    [InlineData("frame(21, '\\u0001')")]
    [InlineData("raw(Buffer.concat([u32(4), Buffer.from([21, 0x22, 0xff, 0x22])]))")]
    public async Task Frame_that_breaks_the_protocol_ends_the_worker_and_its_run(string code)
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersWarm = 0 });
        var run = await rig.RunAsync(rig.Program(Forge + code + "; await hold();"), timeoutSeconds: 10);

        Assert.Equal(WorkerEnd.Died, run.End);
        Assert.Contains("worker_protocol", run.Message);
        if (run.Steps[0].Status != StepStatus.Succeeded) Assert.Equal(("WorkerDiedError", "worker_protocol"), (run.Steps[0].Error!.Name, run.Steps[0].Error!.Code));
    }

    [Fact]
    public async Task More_unanswered_calls_than_the_harness_makes_end_the_worker()
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersWarm = 0 }, calls: _ => new Silent());
        var run = await rig.RunAsync(rig.Program(Forge + "for (let id = 0; id < 65; id++) frame(27, { run: 1, step: 0, id, method: 'get', args: {} }); await hold();"), timeoutSeconds: 10);

        Assert.Equal(WorkerEnd.Died, run.End);
        Assert.Contains("64 calls", run.Message);
    }

    sealed class Silent : IStepCalls
    {
        public Task<ReadOnlyMemory<byte>> CallAsync(string method, ReadOnlyMemory<byte> args) => new TaskCompletionSource<ReadOnlyMemory<byte>>().Task;
    }

    [Fact]
    public async Task Call_of_a_run_that_has_ended_is_dropped()
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersWarm = 0 });
        var program = rig.Program(Forge + "if (event.late) frame(27, { run: 1, step: 0, id: 1, method: 'get', args: {} }); return 1;");

        Assert.Equal(WorkerEnd.Succeeded, (await rig.RunAsync(program)).End);
        Assert.Equal(WorkerEnd.Succeeded, (await rig.RunAsync(program, """{"late":true}""")).End);
    }

    [Fact]
    public async Task Run_end_that_a_step_forges_ends_its_own_run_and_harms_no_other()
    {
        await using var rig = new WorkerRig();
        var program = rig.Program(Forge + "if (event.forge) { frame(26, { run: 1, status: 'succeeded', durationMs: 1, tainted: false }); await hold(); } return 1;");

        var forged = await rig.RunAsync(program, """{"forge":true}""");
        Assert.Equal(WorkerEnd.Succeeded, forged.End);
    }
}
