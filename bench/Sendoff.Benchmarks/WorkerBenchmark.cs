using System.Diagnostics;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Workers;

namespace Sendoff.Benchmarks;

/// <summary>Round trips through the pool: a ~300-byte event, one step, one send of ~200 bytes. CPU is told apart by host and worker.</summary>
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
        string root = Directory.CreateTempSubdirectory("sendoff-bench-").FullName;
        File.WriteAllText(Path.Combine(root, "step.js"), Step);
        byte[] json = Encoding.UTF8.GetBytes(
            $$"""{"method":"POST","path":"/","query":{},"headers":{"host":"localhost","content-type":"application/json"},"body":{"id":"0123456789","name":"a name","note":"{{new string('x', 130)}}","at":"2026-11-23T00:00:00Z"},"client_ip":"127.0.0.1","url":"http://localhost/"}""");
        var program = new WorkerProgram("bench", "wf_bench", "bench", 1, root, [new("step", "step.js", null, false)], new Dictionary<string, string>(), 256, workers);

        var node = new NodeRuntime(new NodeOptions(), NullLogger<NodeRuntime>.Instance);
        await using var pool = new WorkerPool(node, new EngineLimits { WorkersWarm = 0 }, TimeProvider.System, NullLogger<WorkerPool>.Instance);
        await Load(pool, program, json, Math.Min(runs, 40_000), callers); // warm: both compilers
        for (int round = 1; round <= 3; round++)
        {
            var (host, worker) = Cpu();
            var clock = Stopwatch.StartNew();
            await Load(pool, program, json, runs, callers);
            double seconds = clock.Elapsed.TotalSeconds;
            var (hostAfter, workerAfter) = Cpu();
            Console.WriteLine(
                $"{runs / seconds,9:N0} runs/s   host {(hostAfter - host).TotalMicroseconds / runs,6:N1} us CPU   worker {(workerAfter - worker).TotalMicroseconds / runs,6:N1} us CPU   a run, {callers} callers");
        }
        Directory.Delete(root, recursive: true);
        return 0;
    }

    static async Task Load(WorkerPool pool, WorkerProgram program, byte[] json, int runs, int callers)
    {
        int left = runs;
        await Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(async () =>
        {
            while (Interlocked.Decrement(ref left) >= 0)
            {
                var run = new WorkerRun { Id = "run_0123456789", EventJson = json, ReceivedAt = TimeProvider.System.GetUtcNow(), Timeout = TimeSpan.FromSeconds(30) };
                await pool.RunAsync(program, run, CancellationToken.None);
                if (run.End != WorkerEnd.Succeeded || run.Sends.Count != 1) throw new InvalidOperationException(run.Message ?? run.Steps[0].Error?.Message);
            }
        })));
    }

    /// <summary>CPU of this process, and of its children that live.</summary>
    static (TimeSpan Host, TimeSpan Workers) Cpu()
    {
        int self = Environment.ProcessId;
        var workers = TimeSpan.Zero;
        foreach (var process in Process.GetProcesses())
        {
            string stat;
            try
            {
                stat = File.ReadAllText($"/proc/{process.Id}/stat");
            }
            catch (IOException)
            {
                continue; // it has ended
            }
            if (int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1]) == self) workers += process.TotalProcessorTime;
        }
        return (Process.GetCurrentProcess().TotalProcessorTime, workers);
    }
}
