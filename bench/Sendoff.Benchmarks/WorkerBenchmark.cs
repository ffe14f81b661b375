using System.Diagnostics;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Workers;

namespace Sendoff.Benchmarks;

/// <summary>Measures round trips through the pool: a ~300-byte event, one step, one send of ~200 bytes. CPU time is measured separately for
/// host and worker.</summary>
static class WorkerBenchmark
{
    const string Step = """
        $send.http({ method: "POST", url: "http://127.0.0.1:9/sink", data: { id: event.body.id, name: event.body.name, note: event.body.note, at: event.body.at } });
        """;

    public static async Task<int> RunAsync(string[] args)
    {
        int runs = args.Length > 0 ? int.Parse(args[0]) : 200_000;
        int callers = args.Length > 1 ? int.Parse(args[1]) : 64;
        int workers = args.Length > 2 ? int.Parse(args[2]) : 1;
        var isolation = new SandboxOptions
        {
            Mode = args.Length > 3 ? Enum.Parse<SandboxMode>(args[3], ignoreCase: true) : SandboxMode.Auto,
        };
        string root = Directory.CreateTempSubdirectory("sendoff-bench-").FullName;
        File.WriteAllText(Path.Combine(root, "step.js"), Step);
        byte[] json = Encoding.UTF8.GetBytes(
            $$"""{"method":"POST","path":"/","query":{},"headers":{"host":"localhost","content-type":"application/json"},"body":{"id":"0123456789","name":"a name","note":"{{new string('x', 130)}}","at":"2026-11-23T00:00:00Z"},"client_ip":"127.0.0.1","url":"http://localhost/"}"""
        );
        var program = new WorkerProgram(
            "bench",
            "wf_bench",
            "bench",
            1,
            root,
            [new("step", "step.js", null, false)],
            new Dictionary<string, string>(),
            256,
            workers
        );

        var node = new NodeRuntime(new NodeOptions(), NullLogger<NodeRuntime>.Instance);
        await using var pool = new WorkerPool(
            node,
            new EngineLimits { WorkersWarm = 0 },
            TimeProvider.System,
            NullLogger<WorkerPool>.Instance
        )
        {
            Isolation = isolation,
        };
        await Load(pool, program, json, Math.Min(runs, 40_000), callers); // warm: both compilers
        for (int round = 1; round <= 3; round++)
        {
            var (host, worker) = Cpu();
            var clock = Stopwatch.StartNew();
            await Load(pool, program, json, runs, callers);
            double seconds = clock.Elapsed.TotalSeconds;
            var (hostAfter, workerAfter) = Cpu();
            Console.WriteLine(
                $"{runs / seconds, 9:N0} runs/s   host {(hostAfter - host).TotalMicroseconds / runs, 6:N1} us CPU   worker "
                    + $"{(workerAfter - worker).TotalMicroseconds / runs, 6:N1} us CPU   a run, {callers} callers"
            );
        }
        await Cold(node, program, json, isolation);
        Directory.Delete(root, recursive: true);
        return 0;
    }

    /// <summary>The first run of a program, with a prewarmed worker.</summary>
    static async Task Cold(NodeRuntime node, WorkerProgram program, byte[] json, SandboxOptions isolation)
    {
        await using var pool = new WorkerPool(
            node,
            new EngineLimits { WorkersWarm = 1, WorkersMax = 40 },
            TimeProvider.System,
            NullLogger<WorkerPool>.Instance
        )
        {
            Isolation = isolation,
        };
        pool.Warm();
        var times = new List<double>();
        for (int i = 0; i < 15; i++)
        {
            await Task.Delay(300); // the prewarmed worker starts meanwhile
            var run = new WorkerRun
            {
                Id = "run_0123456789",
                EventJson = json,
                ReceivedAt = TimeProvider.System.GetUtcNow(),
                Timeout = TimeSpan.FromSeconds(30),
            };
            var clock = Stopwatch.StartNew();
            await pool.RunAsync(program with { Key = $"cold-{i}" }, run, CancellationToken.None);
            times.Add(clock.Elapsed.TotalMilliseconds);
        }
        times.Sort();
        Console.WriteLine($"first run of a program in a blank worker: p50 {times[times.Count / 2]:N1} ms, worst {times[^1]:N1} ms");
    }

    static async Task Load(WorkerPool pool, WorkerProgram program, byte[] json, int runs, int callers)
    {
        int left = runs;
        await Task.WhenAll(
            Enumerable
                .Range(0, callers)
                .Select(_ =>
                    Task.Run(async () =>
                    {
                        while (Interlocked.Decrement(ref left) >= 0)
                        {
                            var run = new WorkerRun
                            {
                                Id = "run_0123456789",
                                EventJson = json,
                                ReceivedAt = TimeProvider.System.GetUtcNow(),
                                Timeout = TimeSpan.FromSeconds(30),
                            };
                            await pool.RunAsync(program, run, CancellationToken.None);
                            if (run.End != WorkerEnd.Succeeded || run.Sends.Count != 1)
                                throw new InvalidOperationException(run.Message ?? run.Steps[0].Error?.Message);
                        }
                    })
                )
        );
    }

    /// <summary>CPU time of this process and of its living descendants: in a sandbox, Node.js is a child of a child.</summary>
    static (TimeSpan Host, TimeSpan Workers) Cpu()
    {
        var parents = new Dictionary<int, (int Parent, TimeSpan Time)>();
        foreach (var process in Process.GetProcesses())
        {
            try
            {
                string stat = File.ReadAllText($"/proc/{process.Id}/stat");
                parents[process.Id] = (int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1]), process.TotalProcessorTime);
            }
            catch (Exception e) when (e is IOException or InvalidOperationException or System.ComponentModel.Win32Exception)
            {
                continue; // it has ended
            }
        }
        var workers = TimeSpan.Zero;
        foreach (var (id, (_, time)) in parents)
            if (IsBelow(id, parents))
                workers += time;
        return (Process.GetCurrentProcess().TotalProcessorTime, workers);
    }

    static bool IsBelow(int id, Dictionary<int, (int Parent, TimeSpan Time)> parents)
    {
        while (parents.TryGetValue(id, out var entry))
        {
            if (entry.Parent == Environment.ProcessId)
                return true;
            id = entry.Parent;
        }
        return false;
    }
}
