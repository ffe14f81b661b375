using System.Diagnostics;

namespace Sendoff.Benchmarks;

/// <summary>Measures events per second and the writer's time per event, with synchronous=FULL.</summary>
internal static class StoreBenchmark
{
    public static async Task<int> RunAsync(string[] args)
    {
        int events = args.Length > 0 ? int.Parse(args[0]) : 50_000,
            callers = args.Length > 1 ? int.Parse(args[1]) : 64;
        foreach (bool mark in (bool[])[false, true, false, true, false, true])
        {
            await using var load = await StoreLoad.OpenAsync(args.Length > 2 ? args[2] : null);
            var workflow = await load.DeployAsync("orders");
            await Drive(load, workflow, events / 10, callers, mark);
            var (busy, batches, writes) = load.Store.Measured;
            var cpu = Process.GetCurrentProcess().TotalProcessorTime;
            long start = Stopwatch.GetTimestamp();
            await Drive(load, workflow, events, callers, mark);
            var took = Stopwatch.GetElapsedTime(start);
            cpu = Process.GetCurrentProcess().TotalProcessorTime - cpu;
            var after = load.Store.Measured;
            Console.WriteLine(
                $"{(mark ? "marked apart " : "marked at end")}  {events / took.TotalSeconds, 7:N0} events/s  writer "
                    + $"{(after.Busy - busy).TotalMicroseconds / events, 6:N1} us/event  "
                    + $"cpu {cpu.TotalMicroseconds / events, 6:N1} us/event  batch "
                    + $"{(double)(after.Writes - writes) / (after.Batches - batches), 5:N1} writes  "
                    + $"file {await load.Store.SizeBytesAsync(CancellationToken.None) / 1024.0 / (events * 1.1), 5:N2} KiB/event"
            );
        }
        return 0;
    }

    static Task Drive(StoreLoad load, WorkflowId workflow, int events, int callers, bool mark)
    {
        int left = events;
        return Task.WhenAll(
            Enumerable
                .Range(0, callers)
                .Select(_ =>
                    Task.Run(async () =>
                    {
                        while (Interlocked.Decrement(ref left) >= 0)
                            await load.RunAsync(workflow, mark);
                    })
                )
        );
    }
}
