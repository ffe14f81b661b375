using System.Text;
using Sendoff.Engine;
using Sendoff.Engine.Workers;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Workers;

/// <summary>Which worker gets which run, and that none is lost or runs twice.</summary>
public sealed class WorkerPoolTests
{
    /// <summary>Notes every start of a run in a file, so that a test sees what ran and how often.</summary>
    const string Noted = "require('fs').appendFileSync(event.file, event.n + '\\n'); ";

    static async Task MakeShortAsync(WorkerRig rig, WorkerProgram program, string file)
    {
        for (int i = 0; i < 60; i++)
            await rig.RunAsync(program, $$"""{"file":"{{file}}","n":"warm"}""");
    }

    [Fact]
    public async Task Crash_with_runs_handed_ahead_runs_exactly_those_again_that_had_not_started()
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersMax = 2 });
        var program = rig.Program(
            Noted + "if (event.crash) process.kill(process.pid, 'SIGKILL'), (() => { for (;;); })();",
            concurrency: 1
        );
        string file = rig.FileIn("starts");
        await MakeShortAsync(rig, program, file);
        await File.WriteAllTextAsync(file, "", TestContext.Current.CancellationToken);

        var runs = await Task.WhenAll(
            Enumerable
                .Range(0, 12)
                .Select(n => rig.RunAsync(program, $$"""{"file":"{{file}}","n":{{n}},"crash":{{(n == 3 ? "true" : "false")}}}"""))
        );

        Assert.Equal(WorkerEnd.Died, runs[3].End);
        Assert.All(runs.Where(run => run != runs[3]), run => Assert.Equal(WorkerEnd.Succeeded, run.End));
        Assert.Equal(
            Enumerable.Range(0, 12).Select(n => n.ToString()),
            await File.ReadAllLinesAsync(file, TestContext.Current.CancellationToken)
        );
    }

    [Fact]
    public async Task Runs_handed_ahead_of_one_that_lasts_go_to_another_worker_and_start_once()
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersMax = 4 });
        string file = rig.FileIn("starts"),
            gate = rig.FileIn("gate");
        var program = rig.Program(
            Noted
                + "if (event.wait) await new Promise(go => { const t = setInterval(() => { if (require('fs').existsSync(event.wait)) { "
                + "clearInterval(t); go(); } }, 2); });"
        );
        await MakeShortAsync(rig, program, file);
        await File.WriteAllTextAsync(file, "", TestContext.Current.CancellationToken);

        var long1 = rig.RunAsync(program, $$"""{"file":"{{file}}","n":"long","wait":"{{gate}}"}""");
        var others = await Task.WhenAll(Enumerable.Range(0, 10).Select(n => rig.RunAsync(program, $$"""{"file":"{{file}}","n":{{n}}}""")));

        Assert.False(long1.IsCompleted);
        await File.WriteAllTextAsync(gate, "", TestContext.Current.CancellationToken);
        Assert.Equal(WorkerEnd.Succeeded, (await long1).End);
        Assert.All(others, run => Assert.Equal(WorkerEnd.Succeeded, run.End));
        string[] starts = await File.ReadAllLinesAsync(file, TestContext.Current.CancellationToken);
        Assert.Equal(11, starts.Length);
        Assert.Equal(11, starts.Distinct().Count());
    }

    [Fact]
    public async Task Runs_handed_ahead_of_a_synchronous_loop_go_to_another_worker_and_start_once()
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersMax = 4 });
        string file = rig.FileIn("starts"),
            gate = rig.FileIn("gate");
        var program = rig.Program(Noted + "if (event.wait) while (!require('fs').existsSync(event.wait)); return process.pid;");
        await MakeShortAsync(rig, program, file);
        await File.WriteAllTextAsync(file, "", TestContext.Current.CancellationToken);

        var loop = rig.RunAsync(program, $$"""{"file":"{{file}}","n":"loop","wait":"{{gate}}"}""", timeoutSeconds: 120);
        var others = await Task.WhenAll(Enumerable.Range(0, 10).Select(n => rig.RunAsync(program, $$"""{"file":"{{file}}","n":{{n}}}""")));

        Assert.False(loop.IsCompleted);
        await File.WriteAllTextAsync(gate, "", TestContext.Current.CancellationToken);
        Assert.Equal(WorkerEnd.Succeeded, (await loop).End);
        Assert.All(others, run => Assert.Equal(WorkerEnd.Succeeded, run.End));
        // What the looping worker still held, it skips, and it goes on with what comes after.
        var later = await Task.WhenAll(Enumerable.Range(10, 40).Select(n => rig.RunAsync(program, $$"""{"file":"{{file}}","n":{{n}}}""")));
        Assert.All(later, run => Assert.Equal(WorkerEnd.Succeeded, run.End));
        string[] starts = await File.ReadAllLinesAsync(file, TestContext.Current.CancellationToken);
        Assert.Equal(
            ["loop", .. Enumerable.Range(0, 50).Select(n => n.ToString())],
            starts.OrderBy(start => start == "loop" ? -1 : int.Parse(start))
        );
    }

    [Fact]
    public async Task Run_handed_ahead_of_a_synchronous_loop_is_cancelled_before_the_loop_ends()
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersMax = 1 });
        string file = rig.FileIn("starts"),
            gate = rig.FileIn("gate");
        var program = rig.Program(Noted + "if (event.wait) while (!require('fs').existsSync(event.wait));");
        await MakeShortAsync(rig, program, file);
        await File.WriteAllTextAsync(file, "", TestContext.Current.CancellationToken);
        using var cancel = new CancellationTokenSource();

        var loop = rig.RunAsync(program, $$"""{"file":"{{file}}","n":"loop","wait":"{{gate}}"}""", timeoutSeconds: 120);
        var behind = rig.Pool.RunAsync(program, WorkerRig.NewRun($$"""{"file":"{{file}}","n":"behind"}"""), cancel.Token);
        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => behind);
        Assert.False(loop.IsCompleted);
        await File.WriteAllTextAsync(gate, "", TestContext.Current.CancellationToken);
        Assert.Equal(WorkerEnd.Succeeded, (await loop).End);
        Assert.Equal(["loop"], await File.ReadAllLinesAsync(file, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Two_programs_never_share_a_worker()
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersMax = 3 });
        var programs = Enumerable.Range(0, 2).Select(_ => rig.Program("return process.pid;")).ToArray();

        var runs = await Task.WhenAll(Enumerable.Range(0, 200).Select(n => rig.RunAsync(programs[n % 2])));

        var pids = runs.Select((run, n) => (Program: n % 2, Pid: run.Exports(0).GetProperty("$return_value").GetInt32()))
            .ToLookup(x => x.Program, x => x.Pid);
        Assert.Empty(pids[0].Intersect(pids[1]));
    }

    [Fact]
    public async Task One_worker_serves_many_programs_in_turn_and_none_starves()
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersMax = 1 });
        var programs = Enumerable.Range(0, 3).Select(_ => rig.Program("return 1;")).ToArray();

        var runs = await Task.WhenAll(Enumerable.Range(0, 90).Select(n => rig.RunAsync(programs[n % 3])));

        Assert.All(runs, run => Assert.Equal(WorkerEnd.Succeeded, run.End));
    }

    [Fact]
    public async Task Busy_program_makes_room_for_one_that_has_no_worker()
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersMax = 1 });
        var busy = rig.Program("await new Promise(go => setTimeout(go, 30)); return 1;");
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        async Task Loop()
        {
            while (!stop.IsCancellationRequested)
                await rig.RunAsync(busy);
        }
        var loops = Enumerable.Range(0, 3).Select(_ => Loop()).ToArray();
        await rig.RunAsync(busy);

        var run = await rig.RunAsync(rig.Program("return 2;"));

        Assert.Equal(WorkerEnd.Succeeded, run.End);
        await stop.CancelAsync();
        await Task.WhenAll(loops);
    }

    [Fact]
    public async Task Short_runs_of_many_callers_stay_in_one_worker()
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersMax = 8, WorkersWarm = 0 });
        var program = rig.Program("return process.pid;");
        await MakeShortAsync(rig, program, "");

        var runs = await Task.WhenAll(Enumerable.Range(0, 500).Select(_ => rig.RunAsync(program)));

        Assert.InRange(runs.Select(run => run.Exports(0).GetProperty("$return_value").GetInt32()).Distinct().Count(), 1, 2);
    }

    [Fact]
    public async Task Runs_that_wait_get_as_many_workers_as_their_concurrency_allows()
    {
        await using var gate = Sink.Start(hold: true);
        await using var rig = new WorkerRig(new EngineLimits { WorkersMax = 8 });
        var program = rig.Program($"await (await fetch('{gate.Url}')).text(); return process.pid;", concurrency: 3);

        var all = Enumerable.Range(0, 12).Select(_ => rig.RunAsync(program)).ToList();
        await gate.WaitForRequestsAsync(3);
        gate.Release();
        var runs = await Task.WhenAll(all);

        Assert.Equal(3, runs.Select(run => run.Exports(0).GetProperty("$return_value").GetInt32()).Distinct().Count());
    }

    [Fact]
    public async Task Tainted_worker_is_replaced()
    {
        await using var rig = new WorkerRig();
        var program = rig.Program("setTimeout(() => {}, 60000); return process.pid;");

        var first = await rig.RunAsync(program);
        var second = await rig.RunAsync(program);

        Assert.Equal((WorkerEnd.Succeeded, WorkerEnd.Succeeded), (first.End, second.End));
        Assert.NotEqual(
            first.Exports(0).GetProperty("$return_value").GetInt32(),
            second.Exports(0).GetProperty("$return_value").GetInt32()
        );
    }

    [Fact]
    public async Task Dispose_leaves_no_process_and_no_socket_and_cancels_what_ran()
    {
        string sockets = Directory.CreateTempSubdirectory("sd").FullName;
        IReadOnlyList<int> processes;
        Task running;
        // The pool's last resort, to stop without what does not end, comes after this long: it must not hide a wait that never ends.
        await using (
            var rig = new WorkerRig(new EngineLimits { WorkersWarm = 2, WorkerStart = TimeSpan.FromMinutes(10) }, sockets: sockets)
        )
        {
            var program = rig.Program("for (;;);");
            await rig.RunAsync(rig.Program("return 1;"));
            running = rig.Pool.RunAsync(program, WorkerRig.NewRun(), TestContext.Current.CancellationToken);
            processes = rig.Pool.ProcessIds;
        }

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        Assert.NotEmpty(processes);
        Assert.All(processes, pid => Assert.False(Directory.Exists($"/proc/{pid}")));
        Assert.Empty(Directory.EnumerateFileSystemEntries(sockets));
    }

    [Fact]
    public async Task Pool_that_closes_while_its_workers_start_ends_and_leaves_nothing()
    {
        string sockets = Directory.CreateTempSubdirectory("sd").FullName;
        for (int i = 0; i < 20; i++)
        {
            var rig = new WorkerRig(
                new EngineLimits
                {
                    WorkersWarm = 3,
                    WorkersMax = 3,
                    WorkerStart = TimeSpan.FromMinutes(5),
                },
                sockets: sockets
            );
            rig.Pool.Warm();
            await Task.Delay(5 * i, TestContext.Current.CancellationToken);
            await rig.DisposeAsync().AsTask().WithinLimitAsync();
        }

        Assert.Empty(Directory.EnumerateFileSystemEntries(sockets));
    }

    [Fact]
    public async Task Guard_that_was_killed_is_replaced_and_ends_with_the_pool()
    {
        int first,
            second;
        await using (var rig = new WorkerRig(new EngineLimits { WorkersWarm = 0 }))
        {
            await rig.RunAsync(rig.Program("return 1;"));
            first = rig.Pool.Guard.ShellId!.Value;
            using var shell = System.Diagnostics.Process.GetProcessById(first);
            shell.Kill();
            await shell.WaitForExitAsync(TestContext.Current.CancellationToken);
            await rig.RunAsync(rig.Program("return 2;"));
            second = rig.Pool.Guard.ShellId!.Value;
            Assert.True(Directory.Exists($"/proc/{second}"));
        }

        Assert.NotEqual(first, second);
        Assert.False(Directory.Exists($"/proc/{second}"));
    }

    [Fact]
    public async Task Cancelled_run_ends_its_worker_and_the_others_go_on()
    {
        await using var rig = new WorkerRig();
        var program = rig.Program("if (event.loop) { $respond({ status: 200, immediate: true }); for (;;); }", concurrency: 1);
        using var cancel = new CancellationTokenSource();
        var began = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var run = new WorkerRun
        {
            Id = "r",
            EventJson = Encoding.UTF8.GetBytes("""{"loop":true}"""),
            ReceivedAt = TimeProvider.System.GetUtcNow(),
            Timeout = TimeSpan.FromSeconds(30),
            OnImmediateResponse = _ => began.SetResult(),
        };
        var running = rig.Pool.RunAsync(program, run, cancel.Token);
        await Task.WhenAny(began.Task, running);
        var waiting = rig.RunAsync(program);
        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        Assert.Equal(WorkerEnd.Succeeded, (await waiting).End);
    }

    [Fact]
    public async Task Program_that_exits_while_it_loads_is_a_problem_and_loses_no_run()
    {
        await using var rig = new WorkerRig();
        var program = rig.Program("import fs from 'node:fs'; process.kill(process.pid, 'SIGKILL'); for (;;); export default { run() {} };");

        var run = await rig.RunAsync(program);

        Assert.Equal((WorkerEnd.Failed, "WorkerDiedError"), (run.End, run.Steps[0].Error!.Name));
        Assert.Contains("while the steps were loaded", run.Steps[0].Error!.Message);
    }

    [Fact]
    public async Task Worker_that_does_not_start_is_unavailable_with_its_reason()
    {
        string harness = Path.Combine(Directory.CreateTempSubdirectory().FullName, "main.mjs");
        await File.WriteAllTextAsync(harness, "throw new Error('broken harness')", TestContext.Current.CancellationToken);
        await using var rig = new WorkerRig(harness: harness);

        var e = await Assert.ThrowsAsync<WorkerUnavailableException>(() => rig.RunAsync(rig.Program("return 1;")));

        Assert.Contains("broken harness", e.Message);
        Assert.Contains("Node.js", e.Message);
    }

    [Fact]
    public async Task Worker_that_breaks_ends_no_more_than_its_own_run_however_often()
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersMax = 3 });
        var program = rig.Program("if (event.n % 10 === 3) process.kill(process.pid, 'SIGKILL'), (() => { for (;;); })(); return event.n;");

        var runs = await Task.WhenAll(Enumerable.Range(0, 100).Select(n => rig.RunAsync(program, $$"""{"n":{{n}}}""")));

        for (int n = 0; n < runs.Length; n++)
            Assert.Equal(n % 10 == 3 ? WorkerEnd.Died : WorkerEnd.Succeeded, runs[n].End);
    }

    [Fact]
    public async Task Worker_that_is_idle_for_long_ends()
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersWarm = 0, WorkerIdle = TimeSpan.FromMilliseconds(200) });
        var run = await rig.RunAsync(rig.Program("return process.pid;"));

        using var process = System.Diagnostics.Process.GetProcessById(run.Exports(0).GetProperty("$return_value").GetInt32());
        await process.WaitForExitAsync(Wait.Token);
    }

    [Fact]
    public async Task However_workers_fare_every_run_starts_exactly_once()
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersMax = 4 });
        string file = rig.FileIn("starts");
        const string step =
            Noted
            + """
                if (event.kind === 1) { process.kill(process.pid, 'SIGKILL'); for (;;); }
                if (event.kind === 2) setTimeout(() => {}, 60000);
                if (event.kind === 3) await new Promise(go => setTimeout(go, 60));
                if (event.kind === 4) { const end = Date.now() + 40; while (Date.now() < end); }
                if (event.kind === 5) process.exit();
                if (event.kind === 6) for (;;);
                if (event.kind === 7) { const end = Date.now() + 150 + event.n; while (Date.now() < end); }
                """;
        var programs = Enumerable.Range(0, 3).Select(_ => rig.Program(step)).ToArray();
        var random = new Random(4711);
        var kinds = Enumerable.Range(0, 500).Select(_ => random.Next(60)).ToArray();

        var runs = await Task.WhenAll(
            kinds.Select(
                (kind, n) =>
                    rig.RunAsync(programs[n % 3], $$"""{"file":"{{file}}","n":{{n}},"kind":{{kind}}}""", timeoutSeconds: kind == 6 ? 1 : 60)
            )
        );

        for (int n = 0; n < runs.Length; n++)
            Assert.Equal(
                kinds[n] switch
                {
                    1 => WorkerEnd.Died,
                    5 => WorkerEnd.Failed,
                    6 => WorkerEnd.TimedOut,
                    _ => WorkerEnd.Succeeded,
                },
                runs[n].End
            );
        var starts = (await File.ReadAllLinesAsync(file, TestContext.Current.CancellationToken)).Select(int.Parse);
        Assert.Equal(Enumerable.Range(0, runs.Length), starts.Order());
    }

    [Fact]
    public async Task Memory_is_watched_while_a_step_loads()
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkerStart = TimeSpan.FromSeconds(60) });
        var program = rig.Program(
            "const m = new WebAssembly.Memory({ initial: 16384 }); new Uint8Array(m.buffer).fill(1); "
                + "await new Promise(go => setTimeout(go, 600_000));\nexport default { run() { } };"
        );

        var check = await rig.Pool.CheckAsync(program, TestContext.Current.CancellationToken);

        Assert.Contains("while the steps were loaded, it used more than its 64 MB of memory", Assert.Single(check.Problems).Message);
    }

    [Fact]
    public async Task Many_programs_called_at_once_take_turns_on_few_workers_and_none_stays_behind()
    {
        await using var rig = new WorkerRig(new EngineLimits { WorkersMax = 2 });
        var programs = Enumerable.Range(0, 12).Select(i => rig.Program($"return {i};")).ToList();

        var runs = await Task.WhenAll(programs.Select(program => rig.RunAsync(program)));

        Assert.All(runs, run => Assert.Equal(WorkerEnd.Succeeded, run.End));
        await Wait.UntilAsync(() => rig.Pool.ProcessIds.Count <= 2);
    }
}
