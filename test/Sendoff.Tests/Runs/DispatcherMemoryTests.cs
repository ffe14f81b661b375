using Sendoff.Engine;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Runs;

/// <summary>What waits for slow destinations takes a bounded part of the memory, and costs the others nothing (B5).</summary>
public sealed class DispatcherMemoryTests : IDisposable
{
    readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    static string Sends(int bytes) =>
        $$"""for (let i = 0; i < event.count; i++) $send.http({ method: "POST", url: event.url, data: "x".repeat({{bytes}}) })""";

    static string To(Sink sink, int count) => $$"""{"url":"{{sink.Url}}","count":{{count}}}""";

    [Fact]
    public async Task Many_slow_destinations_share_the_memory_and_a_quick_one_still_goes_through()
    {
        var limits = new EngineLimits { DeliveryMaxPerDestination = 2, DeliveryQueueBytes = 4 * 1024 * 1024 };
        var slow = Enumerable.Range(0, 12).Select(_ => Sink.Start(hold: true)).ToArray();
        await using var quick = Sink.Start();
        await using var rig = await RunRig.StartAsync(folder.Path, limits);
        var version = await rig.DeployAsync("orders", Sends(100_000));
        foreach (var sink in slow)
            await rig.AcceptAsync(version, To(sink, 40));
        foreach (var sink in slow)
            await sink.WaitForRequestsAsync(2);

        var run = await rig.AcceptAsync(version, To(quick, 100));
        var end = await rig.EndOfAsync(run.Run.Id);
        Assert.All(end.Deliveries, d => Assert.Equal(DeliveryStatus.Succeeded, d.Delivery.Status));
        Assert.Equal(100, quick.Requests.Count);
        Assert.InRange(rig.Dispatcher.Waiting.Bytes, 12, limits.DeliveryQueueBytes + 12 * 101_024);

        foreach (var sink in slow)
            sink.Release();
        await Wait.UntilAsync(() => rig.Dispatcher.Waiting.Count == 0);
        await Wait.UntilAsync(() => slow.All(sink => sink.Requests.Count >= 40));
        Assert.All(slow, sink => Assert.Equal(40, sink.Requests.Count));
        Assert.Equal((0, 0), rig.Dispatcher.Waiting);
        foreach (var sink in slow)
            await sink.DisposeAsync();
    }

    [Fact]
    public async Task What_is_resent_waits_in_the_same_bounded_memory_and_arrives_once()
    {
        const int count = 100;
        var released = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        int arrived = 0;
        // At first it fails at once; what is sent again is held back.
        await using var receiver = Receiver.Start(async connection =>
        {
            while (await connection.ReadRequestAsync() is not null)
            {
                if (Interlocked.Increment(ref arrived) > count)
                    await released.Task.WaitAsync(connection.Stop);
                await connection.WriteAsync("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n");
            }
        });
        var limits = new EngineLimits { DeliveryMaxPerDestination = 2, DeliveryQueueBytes = 1024 * 1024 };
        await using var rig = await RunRig.StartAsync(folder.Path, limits);
        var version = await rig.DeployAsync("orders", Sends(100_000));
        var run = await rig.AcceptAsync(version, $$"""{"url":"{{receiver.Url}}","count":{{count}}}""");
        var failed = await rig.EndOfAsync(run.Run.Id);

        // Newest first: each is older than what the lane has seen.
        foreach (var delivery in failed.Deliveries.Reverse())
            Assert.True(await rig.Dispatcher.ResendAsync(delivery.Delivery.Id, [DeliveryStatus.Failed], default));
        Assert.InRange(rig.Dispatcher.Waiting.Bytes, 1, limits.DeliveryQueueBytes / 8 + 101_024);
        released.SetResult();

        var end = await rig.EndOfAsync(run.Run.Id);
        Assert.All(end.Deliveries, static delivery => Assert.Equal([1, 2], delivery.Attempts.Select(static attempt => attempt.Number)));
        Assert.Equal((2 * count, (0, 0L)), (receiver.Requests.Count, rig.Dispatcher.Waiting));
    }

    [Fact]
    public async Task What_an_earlier_server_left_for_many_destinations_is_read_back_a_bounded_part_at_a_time_and_arrives_once()
    {
        var sinks = Enumerable.Range(0, 30).Select(_ => Sink.Start()).ToArray();
        var runs = new List<RunId>();
        var held = new EngineLimits { DeliveryMaxConcurrent = 0 }; // nothing goes out
        await using (var rig = await RunRig.StartAsync(folder.Path, held))
        {
            var version = await rig.DeployAsync("orders", Sends(50_000));
            foreach (var sink in sinks)
                runs.Add((await rig.AcceptAsync(version, To(sink, 20))).Run.Id);
            foreach (var run in runs)
                await Wait.UntilAsync(async () => (await rig.Store.GetRunAsync(run, default))!.Run.Status != RunStatus.Queued);
        }
        Assert.All(sinks, sink => Assert.Empty(sink.Requests));
        await using var next = await RunRig.StartAsync(
            folder.Path,
            new EngineLimits { DeliveryQueueBytes = 1024 * 1024, DeliveryMaxPerDestination = 2 }
        );
        foreach (var run in runs)
            Assert.All((await next.EndOfAsync(run)).Deliveries, d => Assert.Equal(DeliveryStatus.Succeeded, d.Delivery.Status));
        Assert.All(sinks, sink => Assert.Equal(20, sink.Requests.Count));
        foreach (var sink in sinks)
            await sink.DisposeAsync();
    }
}
