using System.Text.Json;

namespace Sendoff.Tests.Workers;

/// <summary>
/// Every built-in module of Node.js was looked at for ways around the permission model. A module that Node.js adds fails this test: look at
/// it, then write it into the table.
/// </summary>
public sealed class BuiltInModuleTests
{
    const string Checked = "the permission model checks what it reads and writes",
        Refused = "the permission model refuses what starts processes, threads or native code",
        Computes = "computes within the process",
        OwnMemory = "sees and changes this process only",
        Network = "open: steps call APIs. Unix sockets of programs of the same user are in reach too, and the start says so";

    /// <summary>Why a module is harmless without bubblewrap, or what keeps it so. <see cref="EscapeTests.OutOfReach"/> tries what is said
    /// to be kept.</summary>
    static readonly Dictionary<string, string> Known = new()
    {
        ["_http_agent"] = Network,
        ["_http_client"] = Network,
        ["_http_common"] = Computes,
        ["_http_incoming"] = Network,
        ["_http_outgoing"] = Network,
        ["_http_server"] = Network,
        ["_stream_duplex"] = Computes,
        ["_stream_passthrough"] = Computes,
        ["_stream_readable"] = Computes,
        ["_stream_transform"] = Computes,
        ["_stream_wrap"] = Network,
        ["_stream_writable"] = Computes,
        ["_tls_common"] = Network,
        ["_tls_wrap"] = Network,
        ["assert"] = Computes,
        ["assert/strict"] = Computes,
        ["async_hooks"] = OwnMemory,
        ["buffer"] = Computes,
        ["child_process"] = Refused,
        ["cluster"] = Refused,
        ["console"] = Computes,
        ["constants"] = Computes,
        ["crypto"] = "engines, which are native code, are refused; keys are read from memory, and OpenSSL's stores are refused",
        ["dgram"] = Network,
        ["diagnostics_channel"] = OwnMemory,
        ["dns"] = Network,
        ["dns/promises"] = Network,
        ["domain"] = Computes,
        ["events"] = Computes,
        ["fs"] = Checked,
        ["fs/promises"] = Checked,
        ["http"] = Network,
        ["http2"] = Network,
        ["https"] = Network,
        ["inspector"] = "the permission model refuses it; a signal does not open it (--disable-sigusr1)",
        ["inspector/promises"] = "as inspector",
        ["module"] = Checked + "; that a package.json exists can be seen at any path",
        ["net"] = Network,
        ["os"] = "reads figures of the machine; setPriority of other processes is refused by the harness",
        ["path"] = Computes,
        ["path/posix"] = Computes,
        ["path/win32"] = Computes,
        ["perf_hooks"] = OwnMemory,
        ["process"] =
            Checked
            + "; binding, dlopen, execve and chdir are refused; signals to other processes and _debugProcess are refused by the harness",
        ["punycode"] = Computes,
        ["querystring"] = Computes,
        ["readline"] = Computes,
        ["readline/promises"] = Computes,
        ["repl"] = "its history is written by fs",
        ["stream"] = Computes,
        ["stream/consumers"] = Computes,
        ["stream/promises"] = Computes,
        ["stream/web"] = Computes,
        ["string_decoder"] = Computes,
        ["sys"] = Computes,
        ["timers"] = Computes,
        ["timers/promises"] = Computes,
        ["tls"] = Network + "; engines are refused",
        ["trace_events"] = "writes node_trace.N.log into the working folder, which is the temporary one, and chdir leads to no other",
        ["tty"] = OwnMemory,
        ["url"] = Computes,
        ["util"] = Computes,
        ["util/types"] = Computes,
        ["v8"] = Checked + "; changes of its flags, some of which write files, are refused by the harness",
        ["vm"] = Computes,
        ["wasi"] = Refused,
        ["worker_threads"] = Refused,
        ["zlib"] = Computes,
        ["node:sea"] = Computes,
        ["node:sqlite"] = "not checked: absent without bubblewrap (--no-experimental-sqlite)",
        ["node:test"] = "runs in this process; what starts processes is refused",
        ["node:test/reporters"] = Computes,
    };

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Every_built_in_module_has_a_reason_why_it_is_no_way_around_the_permission_model(bool inSandbox)
    {
        await using var rig = await SandboxRig.StartAsync(inSandbox);
        string[] modules = JsonSerializer.Deserialize<string[]>(
            await rig.AskAsync("return JSON.stringify(require('module').builtinModules);")
        )!;
        Assert.DoesNotContain(modules, module => !Known.ContainsKey(module));
    }

    [Theory]
    [InlineData(true, "function")]
    [InlineData(false, "ERR_UNKNOWN_BUILTIN_MODULE")]
    public async Task Sqlite_is_there_in_the_sandbox_alone(bool inSandbox, string answer)
    {
        await using var rig = await SandboxRig.StartAsync(inSandbox);
        Assert.Equal(answer, await rig.AskAsync("try { return typeof require('node:sqlite').DatabaseSync; } catch (e) { return e.code; }"));
    }
}
