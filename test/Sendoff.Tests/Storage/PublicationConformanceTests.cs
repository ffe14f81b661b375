using Sendoff.Engine.Deliveries;

namespace Sendoff.Tests.Storage;

/// <remarks>What workflows emit and stream (F7).</remarks>
public abstract partial class StoreConformanceTests
{
    async Task<Delivery[]> PublishAsync(string url, int count = 1, DeliveryStatus status = DeliveryStatus.Succeeded)
    {
        var run = await AcceptAsync();
        var deliveries = Sends(run, count, status: status);
        for (int i = 0; i < count; i++)
            deliveries[i] = deliveries[i] with
            {
                Destination = Destination.Of(url, workflow.Id),
                Request = deliveries[i].Request with { Method = "SEND", Url = url },
            };
        Assert.True(await Store.FinishRunAsync(End(run), deliveries, Ct));
        return deliveries;
    }

    [Fact]
    public async Task Publications_are_numbered_once_an_attempt_and_the_newest_are_kept()
    {
        var streamed = await PublishAsync("sse:news", 5);
        foreach (var delivery in streamed)
            Assert.True(await Store.PublishAsync(delivery.Id, 1, 3, Ct));
        Assert.True(await Store.PublishAsync(streamed[4].Id, 1, 3, Ct)); // again, as after a crash
        var kept = await Store.ListPublicationsAsync(workflow.Id, SendKind.Sse, 0, 100, Ct);
        Assert.Equal(streamed[2..].Select(d => d.Id), kept.Select(p => p.Delivery.Id));
        Assert.Equal(
            ("sse:news", """{"n":1}"""),
            (kept[0].Delivery.Request.Url, System.Text.Encoding.UTF8.GetString(kept[0].Delivery.Request.Body.Span))
        );

        await Store.PublishAsync(streamed[0].Id, 2, 3, Ct); // a resend goes out anew
        Assert.Equal(
            streamed[0].Id,
            Assert.Single(await Store.ListPublicationsAsync(workflow.Id, SendKind.Sse, kept[^1].Number, 100, Ct)).Delivery.Id
        );
        Assert.Empty(await Store.ListPublicationsAsync(workflow.Id, SendKind.Emit, 0, 100, Ct));
        Assert.False(await Store.PublishAsync(new(Ids.Next()), 1, 3, Ct));
    }

    [Fact]
    public async Task Publications_stay_when_history_is_pruned_and_go_with_their_workflow()
    {
        var emitted = Assert.Single(await PublishAsync("emit:"));
        await Store.PublishAsync(emitted.Id, 0, 100, Ct);
        while ((await Store.PruneAsync(Clock.GetUtcNow().AddDays(1), 0, Ct)).More) { }
        Assert.Null(await Store.GetDeliveryAsync(emitted.Id, Ct));
        Assert.Single(await Store.ListPublicationsAsync(workflow.Id, SendKind.Emit, 0, 100, Ct));
        await Store.DeleteWorkflowAsync("orders", Ct);
        Assert.Empty(await Store.ListPublicationsAsync(workflow.Id, SendKind.Emit, 0, 100, Ct));
    }

    [Fact]
    public async Task Emitted_event_is_accepted_once_a_workflow_over_a_crash_and_counts_its_hops()
    {
        var emitted = Assert.Single(await PublishAsync("emit:"));
        var listener = await DeployAsync("listener");
        var first = NewRun(listener) with { Emitted = new(emitted.Id, 3) };
        Assert.True(await Store.AcceptAsync(first, Ct));
        await CrashAsync();
        Assert.False(await Store.AcceptAsync(NewRun(listener) with { Emitted = new(emitted.Id, 3) }, Ct));
        Assert.True(await Store.AcceptAsync(NewRun(workflow) with { Emitted = new(emitted.Id, 3) }, Ct));

        await Store.FinishRunAsync(End(first), [], Ct);
        Assert.Equal((3, 0), (await Store.CountHopsAsync(first.Id, Ct), await Store.CountHopsAsync(emitted.RunId, Ct)));
    }

    [Fact]
    public async Task What_stays_in_the_server_goes_on_after_a_crash_in_mid_send()
    {
        var emitted = Assert.Single(await PublishAsync("emit:", status: DeliveryStatus.Sending));
        var streamed = Assert.Single(await PublishAsync("sse:c", status: DeliveryStatus.Sending));
        var ofSource = Assert.Single(await PublishAsync("source:feed", status: DeliveryStatus.Sending));
        var mailed = Assert.Single(await PublishAsync("email:", status: DeliveryStatus.Sending));
        await CrashAsync();
        Assert.Equal(1, await Store.InterruptSendingAsync(Ct));
        Assert.Equal(
            [$"emit:{workflow.Id}", $"source:{workflow.Id}", $"sse:{workflow.Id}"],
            (await Store.ListPendingDestinationsAsync(Ct)).Order()
        );
        Assert.Equal(emitted.Id, Assert.Single(await Store.ListPendingAsync(emitted.Destination, null, 10, Ct)).Id);
        Assert.Equal(streamed.Id, Assert.Single(await Store.ListPendingAsync(streamed.Destination, null, 10, Ct)).Id);
        Assert.Equal(ofSource.Id, Assert.Single(await Store.ListPendingAsync(ofSource.Destination, null, 10, Ct)).Id);
        Assert.Equal(DeliveryStatus.Interrupted, (await Store.GetDeliveryAsync(mailed.Id, Ct))!.Delivery.Status);
    }
}
