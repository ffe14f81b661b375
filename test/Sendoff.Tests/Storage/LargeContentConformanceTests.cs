using Sendoff.Engine;

namespace Sendoff.Tests.Storage;

public abstract partial class StoreConformanceTests
{
    static readonly EngineLimits defaults = new();

    [Fact]
    public async Task A_body_that_is_too_large_for_a_document_is_left_out_of_runs_and_lists_and_is_in_the_delivery()
    {
        var run = await AcceptAsync();
        var deliveries = Sends(run, 3);
        byte[] fits = new byte[defaults.DocumentBodyBytes],
            large = new byte[defaults.DocumentBodyBytes + 1];
        deliveries[0] = deliveries[0] with { Request = deliveries[0].Request with { Body = fits } };
        deliveries[1] = deliveries[1] with { Request = deliveries[1].Request with { Body = large } };
        Assert.True(await Store.FinishRunAsync(End(run), deliveries, Ct));
        await Store.MarkSendingAsync([deliveries[2].Id], Ct);
        var attempt = AttemptOf(deliveries[2]);
        await Store.RecordAttemptAsync(attempt with { Response = attempt.Response! with { Body = large, BodyBytes = 7 } }, Ct);

        var inRun = (await Store.GetRunAsync(run.Id, Ct))!.Deliveries;
        var inList = (await Store.ListDeliveriesAsync(Deliveries(), Ct)).Items.Reverse().ToList();

        foreach (var read in new[] { inRun, inList })
        {
            Assert.Equal([fits.Length, 0, 7], read.Select(d => d.Delivery.Request.Body.Length));
            Assert.Equal([0, large.Length, 0], read.Select(d => d.Delivery.Request.BodyLeftOut));
            Assert.All(read, d => Assert.False(d.Delivery.Request.HeadersLeftOut));
            Assert.All(read, d => Assert.Equal(2, d.Delivery.Request.Headers.Count));
            var response = Assert.Single(read[2].Attempts).Response!;
            Assert.Equal(
                (0, large.Length, 7L, 1),
                (response.Body.Length, response.BodyLeftOut, response.BodyBytes, response.Headers.Count)
            );
        }
        var whole = (await Store.GetDeliveryAsync(deliveries[1].Id, Ct))!.Delivery.Request;
        Assert.Equal((large.Length, 0), (whole.Body.Length, whole.BodyLeftOut));
        var answered = Assert.Single((await Store.GetDeliveryAsync(deliveries[2].Id, Ct))!.Attempts).Response!;
        Assert.Equal((large.Length, 0), (answered.Body.Length, answered.BodyLeftOut));
        Assert.Equal(large.Length, (await Store.ListPendingAsync(deliveries[1].Destination, null, 10, Ct))[1].Request.Body.Length);
    }

    [Fact]
    public async Task A_document_holds_no_more_headers_and_bodies_than_its_limit()
    {
        var run = await AcceptAsync();
        int fit = defaults.DocumentBytes / (40 * 1024),
            count = 2 * fit;
        var deliveries = Sends(run, count);
        for (int i = 0; i < count; i++)
            deliveries[i] = deliveries[i] with
            {
                Request = deliveries[i].Request with
                {
                    Headers = [new("x-large", new string('x', 20 * 1024))],
                    Body = new byte[20 * 1024 - 16],
                },
            };
        Assert.True(await Store.FinishRunAsync(End(run), deliveries, Ct));
        await Store.MarkSendingAsync([.. deliveries.Select(d => d.Id)], Ct);
        foreach (var delivery in deliveries)
            await Store.RecordAttemptAsync(AttemptOf(delivery), Ct);

        var read = (await Store.GetRunAsync(run.Id, Ct))!.Deliveries;
        var inList = (await Store.ListDeliveriesAsync(Deliveries(limit: count), Ct)).Items;

        Assert.Equal(Enumerable.Range(0, count).Select(i => i >= fit), read.Select(d => d.Delivery.Request.HeadersLeftOut));
        Assert.InRange(read.Sum(d => d.Delivery.Request.Bytes), defaults.DocumentBytes / 2, defaults.DocumentBytes + count * 100);
        Assert.InRange(inList.Sum(d => d.Delivery.Request.Bytes), defaults.DocumentBytes / 2, defaults.DocumentBytes + count * 100);
        Assert.All(
            read.Skip(fit),
            d =>
                Assert.Equal(
                    (0, 20 * 1024 - 16, 0),
                    (d.Delivery.Request.Body.Length, d.Delivery.Request.BodyLeftOut, d.Delivery.Request.Headers.Count)
                )
        );
        Assert.Equal(deliveries.Select(d => d.Request.Url), read.Select(d => d.Delivery.Request.Url));
        Assert.All(read, d => Assert.Single(d.Attempts));
        Assert.Contains(read, d => d.Attempts[0].ContentLeftOut && d.Attempts[0].Response!.BodyLeftOut == 2);
        var last = (await Store.GetDeliveryAsync(deliveries[^1].Id, Ct))!;
        Assert.Equal(
            (20 * 1024 - 16, 1, false),
            (last.Delivery.Request.Body.Length, last.Delivery.Request.Headers.Count, last.Attempts[0].ContentLeftOut)
        );
    }
}
