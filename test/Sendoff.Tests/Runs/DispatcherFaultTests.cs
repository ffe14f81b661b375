using Microsoft.Extensions.Time.Testing;
using Sendoff.Engine;
using Sendoff.Engine.Storage;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Runs;

/// <summary>Faults on the way of a delivery: what the store refuses, and what piles up.</summary>
public sealed class DispatcherFaultTests : IDisposable
{
    readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    static string Sends(string url, int count) =>
        $$"""for (let i = 0; i < {{count}}; i++) $send.http({ method: "POST", url: "{{url}}", data: { i } })""";

    [Fact]
    public async Task Delivery_that_could_not_be_marked_as_sending_is_tried_again()
    {
        await using var sink = Sink.Start();
        await using var rig = await RunRig.StartAsync(folder.Path, new EngineLimits { DeliveryMaxPerDestination = 1 });
        rig.Failing.Fail(nameof(IStore.MarkSendingAsync), new InvalidOperationException("no"), times: 2);
        var run = await rig.AcceptAsync(await rig.DeployAsync("orders", Sends(sink.Url, 5)));
        Assert.All((await rig.EndOfAsync(run.Run.Id)).Deliveries, d => Assert.Equal(DeliveryStatus.Succeeded, d.Delivery.Status));
        Assert.Equal(5, sink.Requests.Count);
    }

    [Fact]
    public async Task Lane_goes_on_after_an_unknown_error_in_reading_back()
    {
        await using var sink = Sink.Start();
        await using var rig = await RunRig.StartAsync(
            folder.Path,
            new EngineLimits { DeliveryMaxPerDestination = 1, DeliveryQueuePerDestination = 4 }
        );
        rig.Failing.Fail(nameof(IStore.ListPendingAsync), new InvalidOperationException("no"), times: 2);
        var run = await rig.AcceptAsync(await rig.DeployAsync("orders", Sends(sink.Url, 30)));
        Assert.All((await rig.EndOfAsync(run.Run.Id)).Deliveries, d => Assert.Equal(DeliveryStatus.Succeeded, d.Delivery.Status));
        Assert.Equal(30, sink.Requests.Count);
    }

    [Fact]
    public async Task Stop_ends_although_the_store_cannot_record_an_attempt()
    {
        await using var sink = Sink.Start();
        await using var rig = await RunRig.StartAsync(folder.Path, new EngineLimits { StoreClosing = TimeSpan.FromMilliseconds(300) });
        var gate = rig.Failing.Hold(nameof(IStore.RecordAttemptAsync));
        await rig.AcceptAsync(await rig.DeployAsync("orders", Sends(sink.Url, 1)));
        await sink.WaitForRequestsAsync(1);
        await Wait.UntilAsync(() => rig.Failing.CallsOf(nameof(IStore.RecordAttemptAsync)) == 1);
        await rig.StopAsync(new CancellationToken(true)).WithinLimitAsync();
        gate.SetResult();
    }

    [Fact]
    public async Task Dead_destination_in_its_first_seconds_does_not_hold_back_answers()
    {
        await using var dead = Sink.Start(hold: true);
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        await using var rig = await RunRig.StartAsync(folder.Path, time: clock);
        await rig.AcceptAsync(await rig.DeployAsync("dead", Sends(dead.Url, 400)));
        var quick = await rig.DeployAsync("quick", "return 1");
        await dead.WaitForRequestsAsync(64);
        await Wait.UntilAsync(() => rig.Pacing.Load >= 192);
        clock.Advance(TimeSpan.FromSeconds(1));
        await rig.AcceptAsync(quick).WithinLimitAsync();
        Assert.InRange(rig.Pacing.Load, 0, 10);
    }

    [Fact]
    public async Task Deleting_a_workflow_drops_what_waits_and_leaves_the_dispatcher_whole()
    {
        await using var sink = Sink.Start(hold: true);
        await using var rig = await RunRig.StartAsync(
            folder.Path,
            new EngineLimits { DeliveryMaxPerDestination = 2, DeliveryQueuePerDestination = 10 }
        );
        await rig.AcceptAsync(await rig.DeployAsync("orders", Sends(sink.Url, 50)));
        await sink.WaitForRequestsAsync(2);
        await rig.Catalog.DeleteAsync("orders", default);
        sink.Release();
        await Wait.UntilAsync(() => rig.Pacing.Load == 0);
        Assert.Equal(2, sink.Requests.Count);

        var run = await rig.AcceptAsync(await rig.DeployAsync("orders", Sends(sink.Url, 50)));
        await rig.EndOfAsync(run.Run.Id);
        Assert.Equal(52, sink.Requests.Count);
    }
}
