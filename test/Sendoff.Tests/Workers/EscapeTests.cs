using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Sendoff.Engine;
using Sendoff.Engine.Workers;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Workers;

/// <summary>What hostile steps try, on real workers: in the sandbox, and with Node.js's permission model alone.</summary>
public sealed class EscapeTests(SharedRigs rigs) : IClassFixture<SharedRigs>
{
    public static TheoryData<string> OutOfReach =>
        [
            "fs.readFileSync('/etc/shadow')",
            "fs.readFileSync(data + '/sendoff.db')",
            "fs.readFileSync(data + '/secret-key')",
            "fs.readFileSync(data + '/admin-token')",
            "fs.readFileSync(data + '/versions/other/step.js')",
            "fs.readdirSync(data + '/workers')",
            "fs.readFileSync('/proc/' + process.ppid + '/root' + data + '/secret-key')",
            "fs.openSync(data + '/sendoff.db', 'r+')",
            "fs.writeFileSync(data + '/x', 'x')",
            "fs.writeFileSync(__filename, 'x')",
            "fs.writeFileSync(__dirname + '/x', 'x')",
            "fs.openSync('/proc/sys/kernel/core_pattern', fs.constants.O_WRONLY)",
            "fs.writeFileSync('/dev/shm/sendoff-x', 'x')",
            "fs.writeFileSync('/sendoff-x', 'x')",
            "fs.writeFileSync('/usr/sendoff-x', 'x')",
            "fs.mkdirSync('/etc/sendoff-x')",
            "fs.symlinkSync(data, '/tmp/sendoff-link-' + process.hrtime.bigint()); fs.readFileSync(data + '/secret-key')",
            "require('child_process').execSync('id')",
            "require('child_process').spawn('id')",
            "require('child_process').fork(__filename)",
            "new (require('child_process').ChildProcess)().spawn({ file: '/usr/bin/id', args: ['id'] })",
            "process.binding('spawn_sync').spawn({ file: '/usr/bin/id', args: ['id'], stdio: [] })",
            "new (require('worker_threads').Worker)('0', { eval: true })",
            "require('inspector').open(0); if (require('inspector').url()) return 'REACHED'; throw Object.assign(new Error(), { code: "
                + "'CLOSED' })",
            "new (require('wasi').WASI)({ version: 'preview1', preopens: { '/': '/' } })",
            "new (require('node:sqlite').DatabaseSync)(data + '/sendoff.db').exec('select 1 from sqlite_master')",
            "new (process.getBuiltinModule('node:sqlite').DatabaseSync)(data + '/planted')",
            "new (require('node:sqlite').DatabaseSync)(':memory:').exec(`vacuum into '${data}/planted'`)",
            "new (require('node:sqlite').DatabaseSync)(':memory:').exec(`attach '${data}/planted' as other; create table other.t (x)`)",
            "require('v8').setFlagsFromString('--trace-turbo-cfg-file=' + data + '/planted'); "
                + "require('v8').setFlagsFromString('--trace-turbo')",
            "require('v8').setFlagsFromString('--allow-natives-syntax')",
            "require('v8').writeHeapSnapshot(data + '/planted')",
            "process.report.writeReport(data + '/planted')",
            "process.report.directory = data; process.report.writeReport('planted')",
            "process.chdir(data)",
            "process.loadEnvFile(data + '/secret-key')",
            "require('module').createRequire(data + '/x.js')('./admin-token')",
            "require('crypto').setEngine(data + '/x.so')",
            "require('tls').createSecureContext({ clientCertEngine: data + '/x.so' })",
            "process.execve('/usr/bin/id', ['id'])",
            "process.kill(process.ppid, 0)",
            "process._kill(process.ppid, 0)",
            "process.kill(0, 0)",
            "process.kill(-process.pid, 0)",
            "process._debugProcess(process.pid)",
            "require('os').setPriority(process.ppid, require('os').getPriority(process.ppid))",
        ];

    [Theory]
    [MemberData(nameof(OutOfReach))]
    public Task In_the_sandbox_a_step_does_not_get_there(string code) => RefusesAsync(inSandbox: true, code);

    [Theory]
    [MemberData(nameof(OutOfReach))]
    public Task With_the_permission_model_alone_a_step_does_not_get_there(string code) => RefusesAsync(inSandbox: false, code);

    async Task RefusesAsync(bool inSandbox, string code)
    {
        var rig = await rigs.OfAsync(inSandbox);
        Assert.StartsWith(
            "refused",
            await rig.AskAsync($"try {{ {code}; }} catch (e) {{ return 'refused ' + e.code; }} return 'REACHED';")
        );
        rig.AssertUntouched();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Native_code_is_not_loaded(bool inSandbox)
    {
        var rig = await rigs.OfAsync(inSandbox);
        Assert.Equal(
            "ERR_DLOPEN_DISABLED",
            await rig.AskAsync("try { process.dlopen({ exports: {} }, '/usr/lib/x.node'); } catch (e) { return e.code; }")
        );
    }

    [Fact]
    public async Task No_environment_of_the_server_is_in_the_sandbox_and_only_its_own_processes_are_seen()
    {
        var rig = await rigs.OfAsync(inSandbox: true);
        string seen = await rig.AskAsync(
            "const all = fs.readdirSync('/proc').filter(n => /^\\d+$/.test(n)); "
                + "return all.length + ' ' + all.map(n => fs.readFileSync(`/proc/${n}/environ`, 'latin1')).join('').replaceAll('\\0', '');"
        );
        Assert.Matches("^[1-4] (PWD=/tmp)?$", seen); // which bwrap sets
    }

    [Fact]
    public async Task A_step_in_the_sandbox_can_kill_neither_the_server_nor_the_sandbox()
    {
        // With child processes allowed the harness refuses no signal, so that this is the sandbox alone.
        await using var rig = await SandboxRig.StartAsync(options: new() { AllowChildProcesses = true });
        Assert.Equal(
            "ESRCH alive",
            await rig.AskAsync(
                $"let code; try {{ process.kill({Environment.ProcessId}, 'SIGKILL'); }} catch (e) {{ code = e.code; "
                    + "} process.kill(process.ppid, 'SIGKILL'); return code + ' alive';"
            )
        );
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_step_may_signal_itself_and_set_its_own_priority(bool inSandbox)
    {
        var rig = await rigs.OfAsync(inSandbox);
        Assert.Equal(
            "true 5",
            await rig.AskAsync(
                "const os = require('os'); os.setPriority(5); os.setPriority(process.pid, 5); return process.kill(process.pid, "
                    + "0) + ' ' + os.getPriority();"
            )
        );
    }

    [Fact]
    public async Task A_signal_does_not_open_the_inspector()
    {
        var rig = await rigs.OfAsync(inSandbox: false);
        string log = await rig.AskAsync(
            "try { process._debugProcess(process.pid); } catch (e) { return 'closed'; } await new Promise(go => setTimeout(go, 200)); "
                + "return require('inspector').url() ?? 'closed';"
        );
        Assert.Equal("closed", log);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_refused_process_names_the_setting_that_allows_it(bool inSandbox)
    {
        var rig = await rigs.OfAsync(inSandbox);
        var run = await rig.RunAsync("require('child_process').execSync('id');");
        Assert.Contains("Workers:AllowChildProcesses=true", run.Steps[0].Error!.Message);
        Assert.Equal(2, run.Steps[0].Error!.Line);
    }

    [Fact]
    public async Task Processes_of_a_step_write_nowhere_but_in_its_temporary_folder()
    {
        await using var rig = await SandboxRig.StartAsync(options: new() { AllowChildProcesses = true });
        Assert.Equal(
            "/tmp",
            await rig.AskAsync(
                "return require('child_process').execSync('for f in /tmp /dev /dev/shm / /workflow /sendoff /etc /usr; "
                    + "do (echo x > $f/planted) 2>/dev/null && echo $f; done; true').toString().trim()"
            )
        );
    }

    [Fact]
    public async Task Processes_of_a_step_that_may_start_them_end_with_its_worker()
    {
        string mark = $"600.{Random.Shared.Next()}";
        await using (var rig = await SandboxRig.StartAsync(options: new() { AllowChildProcesses = true }))
        {
            Assert.Equal("hello", await rig.AskAsync("return require('child_process').execSync('echo hello').toString().trim()"));
            await rig.RunAsync(
                $"for (let i = 0; i < 500; i++) require('child_process').spawn('sleep', ['{mark}'], {{ detached: true, stdio: "
                    + "'ignore' }).on('error', () => 0).unref();"
            );
        }
        await Wait.UntilAsync(() => !Process.GetProcessesByName("sleep").Any(p => CommandLine(p).Contains(mark)));
    }

    static string CommandLine(Process process)
    {
        try
        {
            return File.ReadAllText($"/proc/{process.Id}/cmdline");
        }
        catch (IOException)
        {
            return ""; // it has ended
        }
    }

    [Fact]
    public async Task Tmp_is_writable_private_and_bounded()
    {
        await using var rig = await SandboxRig.StartAsync(options: new() { TmpBytes = 1024 * 1024 });
        Assert.Equal(
            "0 ENOSPC",
            await rig.AskAsync(
                "const before = fs.readdirSync('/tmp').length; try { for (let i = 0; ; i++) fs.writeFileSync('/tmp/' + i, "
                    + "Buffer.alloc(65536)); } catch (e) { return before + ' ' + e.code; }"
            )
        );
        Assert.Equal(
            "EFBIG",
            await rig.AskAsync("try { fs.writeFileSync('/tmp/large', Buffer.alloc(2 << 20)); } catch (e) { return e.code; }")
        );
    }

    [Fact]
    public async Task Memory_outside_of_the_heap_is_counted_in_the_sandbox_too()
    {
        await using var rig = await SandboxRig.StartAsync();
        var run = await rig.RunAsync(
            "const m = new WebAssembly.Memory({ initial: 16384 }); new Uint8Array(m.buffer).fill(1); "
                + "await new Promise(go => setTimeout(go, 20000));"
        );
        Assert.Equal(WorkerEnd.OutOfMemory, run.End);
    }

    [Fact]
    public async Task Sockets_of_workers_and_of_the_server_are_not_in_the_sandbox()
    {
        var rig = await rigs.OfAsync(inSandbox: true);
        Assert.Equal(
            "ECONNREFUSED",
            await rig.AskAsync(
                "return await new Promise(go => require('net').connect('/sendoff/socket').on('error', e => go(e.code)).on('connect', "
                    + "() => go('REACHED')));"
            )
        );
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Gigabytes_of_output_do_not_fill_the_record_and_another_workflow_goes_on(bool inSandbox)
    {
        await using var rig = await SandboxRig.StartAsync(inSandbox);
        var flood = rig.Workers.RunAsync(
            rig.Workers.Program(
                """
                $send.http({ method: 'GET', url: 'http://a.example/' });
                const line = 'x'.repeat(1 << 20), bytes = Buffer.alloc(1 << 20, 'y');
                for (let i = 0; i < 1024; i++) { console.log(line); process.stdout.write(bytes); try { require('fs').writeSync(1 + i % 2, bytes); } catch { } }
                """
            ),
            timeoutSeconds: 10
        );
        Assert.Equal("fine", await rig.AskAsync("return 'fine';"));

        var run = await flood;
        Assert.Contains(run.End, (WorkerEnd[])[WorkerEnd.Succeeded, WorkerEnd.TimedOut, WorkerEnd.OutOfMemory]);
        Assert.Single(run.Sends);
        Assert.InRange(run.Steps[0].Logs.Sum(log => (long)log.Text.Length), 1, 2 * new EngineLimits().RunLogBytes);
    }

    public static TheoryData<string, bool> Pollution =>
        new()
        {
            {
                "for (const name of ['run', 'step', 'index', 'status', 'url', 'method', 'headers', 'data', 'auth', 'kind', 'toJSON', "
                    + "'then', 'length', '0']) Object.prototype[name] = 'polluted'",
                true
            },
            {
                "for (const name of ['run', 'step', 'url', 'method', 'data', 'headers', "
                    + "'toJSON']) Object.defineProperty(Object.prototype, name, { get() { return 'polluted'; }, set() { } })",
                true
            },
            { "for (const name of ['get', 'set', 'value', 'writable']) Object.prototype[name] = 'polluted'", true },
            { "for (const type of [Array, Map, Set, Promise, String, RegExp, Error]) replaceAll(type.prototype)", true },
            { "for (const type of [JSON, Reflect, Object, Buffer, process, Math]) replaceAll(type)", true },
            // Node.js itself does not outlive these.
            { "Object.prototype.error = 'polluted'", false },
            {
                "for (const type of [Uint8Array.prototype, Function.prototype, require('events').prototype, "
                    + "require('net').Socket.prototype]) replaceAll(type)",
                false
            },
        };

    [Theory]
    [MemberData(nameof(Pollution))]
    public async Task What_a_step_does_to_built_ins_reaches_neither_the_record_nor_the_next_run(string code, bool survives)
    {
        var rig = await rigs.OfAsync(inSandbox: false);
        var program = rig.Workers.Program(
            $$"""
            const seen = [({}).url, ({}).run, [].concat.name, Promise.prototype.then.name].join();
            function replaceAll(target) {
                for (const name of Object.getOwnPropertyNames(target))
                    if (name !== 'constructor' && typeof Object.getOwnPropertyDescriptor(target, name).value === 'function') try { target[name] = () => 'polluted'; } catch { }
            }
            if (event.pollute) { {{code}} }
            $send.http({ method: 'POST', url: 'http://a.example/x', headers: { a: '1' }, data: 'text' });
            return seen;
            """
        );

        var polluted = await rig.Workers.RunAsync(program, """{"pollute":true}""");
        if (survives)
        {
            Assert.True(polluted.End == WorkerEnd.Succeeded, polluted.Message ?? polluted.Steps[0].Error?.Stack);
            var (_, _, send) = Assert.Single(polluted.Sends);
            Assert.Equal(
                ("POST", "http://a.example/x", "text"),
                (send.Method, send.Url, System.Text.Encoding.UTF8.GetString(send.Body.Span))
            );
            Assert.Equal(
                ["a: 1", "content-type: text/plain; charset=utf-8"],
                send.Headers.Select(header => $"{header.Name}: {header.Value}")
            );
        }
        var next = await rig.Workers.RunAsync(program);
        Assert.Equal(",,concat,then", next.Exports(0).GetProperty("$return_value").GetString());
    }

    [Fact]
    public async Task A_step_cannot_come_in_by_the_door_of_a_worker_that_starts()
    {
        string sockets = Directory.CreateTempSubdirectory("sendoff-doors-").FullName;
        using var door = new WorkerDoor(sockets);
        await using var rig = await SandboxRig.StartAsync(inSandbox: false);
        var accept = door.AcceptAsync(Environment.ProcessId, TestContext.Current.CancellationToken);

        Assert.Equal(
            "closed",
            await rig.AskAsync(
                $"return await new Promise(go => require('net').connect('{door.Address}').on('error', e => go('closed')).on('close', "
                    + "() => go('closed')).on('data', () => go('REACHED')));"
            )
        );
        Assert.False(accept.IsCompleted);

        using var own = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await own.ConnectAsync(new UnixDomainSocketEndPoint(door.Address), TestContext.Current.CancellationToken);
        await (await accept).DisposeAsync();
        Directory.Delete(sockets, recursive: true);
    }

    [Fact]
    public async Task The_door_of_another_worker_is_not_in_the_sandbox()
    {
        string sockets = Directory.CreateTempSubdirectory("sendoff-doors-").FullName;
        using (var door = new WorkerDoor(sockets))
        {
            await using var rig = await SandboxRig.StartAsync();
            Assert.Equal(
                "ENOENT",
                await rig.AskAsync(
                    $"return await new Promise(go => require('net').connect('{door.Address}').on('error', e => go(e.code)).on('connect', "
                        + "() => go('REACHED')));"
                )
            );
        }
        Directory.Delete(sockets, recursive: true);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Five_hundred_processes_are_refused_one_by_one(bool inSandbox)
    {
        var rig = await rigs.OfAsync(inSandbox);
        Assert.Equal(
            "500",
            await rig.AskAsync(
                "let refused = 0; for (let i = 0; i < 500; i++) try { require('child_process').spawn('sleep', ['60']); "
                    + "} catch (e) { if (e.code === 'ERR_ACCESS_DENIED') refused++; } return refused;"
            )
        );
    }

    [Fact]
    public async Task Without_a_network_a_step_reaches_nothing_and_its_run_is_reported()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        string connect =
            $"return await new Promise(go => require('net').connect({((IPEndPoint)listener.LocalEndpoint).Port}, '127.0.0.1').on('error', "
            + "e => go(e.code)).on('connect', () => go('REACHED')));";
        await using (var open = await SandboxRig.StartAsync())
            Assert.Equal("REACHED", await open.AskAsync(connect));
        await using var closed = await SandboxRig.StartAsync(options: new() { HasNetwork = false });
        Assert.NotEqual("REACHED", await closed.AskAsync(connect));
    }
}
