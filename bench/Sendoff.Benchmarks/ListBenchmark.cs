using System.Diagnostics;
using Sendoff.Engine.Storage;

namespace Sendoff.Benchmarks;

/// <summary>Reads one page of every list over many rows. The worst filters match few rows or none.</summary>
internal static class ListBenchmark
{
    public static async Task<int> RunAsync(string[] args)
    {
        int rows = args.Length > 0 ? int.Parse(args[0]) : 200_000,
            left = rows;
        await using var load = await StoreLoad.OpenAsync(args.Length > 1 ? args[1] : null);
        var rare = await load.DeployAsync("rare");
        for (int i = 0; i < 5; i++)
            await load.RunAsync(rare, mark: false, RunStatus.Failed, "https://rare.example:443");
        var workflow = await load.DeployAsync("orders");
        await Task.WhenAll(
            Enumerable
                .Range(0, 256)
                .Select(_ =>
                    Task.Run(async () =>
                    {
                        while (Interlocked.Decrement(ref left) >= 0)
                            await load.RunAsync(workflow, mark: false);
                    })
                )
        );
        Console.WriteLine($"{rows:N0} runs, {await load.Store.SizeBytesAsync(CancellationToken.None) / 1048576.0:N0} MiB");

        Console.WriteLine($"opened after a crash in {(await load.CrashAsync()).TotalMilliseconds:N1} ms");

        foreach (string? name in (string?[])[null, "orders", "rare"])
        foreach (
            var statuses in (RunStatus[]?[])
                [null, [RunStatus.Succeeded], [RunStatus.Failed], [RunStatus.TimedOut], [.. RunStatuses.Failures]]
        )
            await Measure(
                $"runs of {name ?? "any"}, {Words(statuses)}",
                async () => (await load.Store.ListRunsAsync(new(name, statuses, null, null, null, 50), CancellationToken.None)).Items.Count
            );
        await Measure("runs, a page in the middle", async () => await Runs(new(null, null, null, null, await MiddleAsync(), 50)));
        foreach (string text in (string[])["order", "nowhere"])
        foreach (var statuses in (RunStatus[]?[])[null, [RunStatus.Failed]])
            await Measure(
                $"runs with the text '{text}', {Words(statuses)}",
                async () => await Runs(new(null, statuses, null, null, null, 50) { Text = text })
            );
        await Measure("runs with failed sends", async () => await Runs(new(null, null, null, null, null, 50) { HasFailedSends = true }));
        await Measure(
            "hours of a day",
            async () => (await load.Store.ListHoursAsync(TimeProvider.System.GetUtcNow().AddDays(-1), CancellationToken.None)).Count
        );
        await Measure(
            "the failed of a day: 5 runs",
            async () => await Runs(new(null, RunStatuses.Failures, TimeProvider.System.GetUtcNow().AddDays(-1), null, null, 5))
        );
        await Measure(
            "the failed of a day: 5 sends",
            async () => (await load.Store.ListFailuresAsync(TimeProvider.System.GetUtcNow().AddDays(-1), 5, CancellationToken.None)).Count
        );
        await Measure("the last run of each workflow", async () => (await load.Store.ListLastRunsAsync(CancellationToken.None)).Count);
        await Measure(
            "destinations of 200,000 deliveries",
            async () =>
                (
                    await load.Store.SummarizeDestinationsAsync(
                        new(TimeProvider.System.GetUtcNow().AddDays(-7), TimeProvider.System.GetUtcNow(), null, 48),
                        CancellationToken.None
                    )
                )
                    .Destinations
                    .Count
        );
        foreach (string? name in (string?[])[null, "orders", "rare"])
        foreach (
            DeliveryStatus? status in (DeliveryStatus?[])[null, DeliveryStatus.Pending, DeliveryStatus.Succeeded, DeliveryStatus.Failed]
        )
            await Measure(
                $"deliveries of {name ?? "any"}, {status?.ToString() ?? "any"}",
                async () => await Deliveries(new(name, status, null, null, null, null, null, 50))
            );
        await Measure("deliveries to 127.0.0.1", async () => await Deliveries(new(null, null, "127.0.0.1", null, null, null, null, 50)));
        await Measure(
            "deliveries to rare.example",
            async () => await Deliveries(new(null, null, "rare.example", null, null, null, null, 50))
        );
        await Measure("deliveries with the text 'rare'", async () => await Deliveries(new(null, null, null, "rare", null, null, null, 50)));
        await Measure(
            "events of rare",
            async () => (await load.Store.ListEventsAsync(new("rare", null, null, null, 50), CancellationToken.None)).Items.Count
        );
        long start = Stopwatch.GetTimestamp();
        int slices = 1;
        while ((await load.Store.PruneAsync(DateTimeOffset.MaxValue, 0, CancellationToken.None)).More)
            slices++;
        Console.WriteLine(
            $"pruned all in {slices:N0} slices of {Stopwatch.GetElapsedTime(start).TotalMilliseconds / slices:N1} ms, "
                + $"left {await load.Store.SizeBytesAsync(CancellationToken.None) / 1048576.0:N1} MiB"
        );
        return 0;

        static string Words(RunStatus[]? statuses) => statuses is null ? "any" : string.Join(", ", statuses);

        async Task<int> Runs(RunFilter filter) => (await load.Store.ListRunsAsync(filter, CancellationToken.None)).Items.Count;

        // Ids grow with time, so the middle between the newest and the oldest run is the middle of the list.
        async Task<long> MiddleAsync() =>
            (long)
                (await load.Store.ListRunsAsync(new(null, null, null, null, null, 1), CancellationToken.None))
                    .Items.Concat((await load.Store.ListRunsAsync(new("rare", null, null, null, null, 1), CancellationToken.None)).Items)
                    .Average(run => (decimal)run.Id.Value);

        async Task<int> Deliveries(DeliveryFilter filter) =>
            (await load.Store.ListDeliveriesAsync(filter, CancellationToken.None)).Items.Count;
    }

    static async Task Measure(string what, Func<Task<int>> read)
    {
        long start = Stopwatch.GetTimestamp();
        int items = await read();
        double first = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        start = Stopwatch.GetTimestamp();
        await read();
        Console.WriteLine(
            $"{what, -40} {items, 3} rows  first {first, 8:N1} ms  again {Stopwatch.GetElapsedTime(start).TotalMilliseconds, 8:N1} ms"
        );
    }
}
