using Sendoff.Engine.Storage;

namespace Sendoff.Tests.Storage;

/// <summary>How the deliveries to each destination went, as the database counts it.</summary>
public abstract partial class StoreConformanceTests
{
    Task<DestinationSummary> SummarizeAsync(string? destination = null, int most = 1_000, int mostDestinations = 10) =>
        Store.SummarizeDestinationsAsync(
            new(Start, Start.AddHours(4), destination, 4)
            {
                Most = most,
                MostDestinations = mostDestinations,
                LastFailures = 2,
            },
            Ct
        );

    Attempt Took(Delivery delivery, double ms, int? code = 200, int number = 1, AttemptError? error = null)
    {
        var attempt = AttemptOf(delivery, code is >= 200 and < 300 ? DeliveryStatus.Succeeded : DeliveryStatus.Failed, number, error);
        return attempt with
        {
            Timing = attempt.Timing with { TotalMs = ms },
            Response = code is { } status ? new(status, "1.1", [], default, true, 0, false) : null,
        };
    }

    [Fact]
    public async Task Destinations_are_counted_with_their_times_errors_and_parts_of_the_time()
    {
        var (_, sends) = await FinishAsync(sends: 8, host: "a.example");
        var late = new AttemptError(AttemptErrorCode.Timeout, AttemptPhase.Wait, "late");
        await Store.RecordAttemptAsync(Took(sends[0], 10), Ct);
        await Store.RecordAttemptAsync(Took(sends[1], 20), Ct);
        await Store.RecordAttemptAsync(Took(sends[2], 5_000, null, error: late), Ct);
        await Store.RecordAttemptAsync(Took(sends[3], 30, 503), Ct);
        await Store.RecordAttemptAsync(Took(sends[4], 5_000, null, error: late), Ct);
        await Store.RecordBlockedAsync(sends[5].Id, new(AttemptErrorCode.BlockedByEgressPolicy, AttemptPhase.Dns, "refused"), Ct);
        Clock.Advance(TimeSpan.FromHours(2.5));
        var (_, others) = await FinishAsync(sends: 1, host: "b.example");
        await Store.RecordAttemptAsync(Took(others[0], 1), Ct);

        var all = await SummarizeAsync();

        Assert.Equal(["https://a.example:443", "https://b.example:443"], all.Destinations.Select(one => one.Destination));
        var first = all.Destinations[0];
        Assert.Equal(
            ("orders", 8, 2, 4, 30.0, 5_000.0),
            (first.Workflow, first.Deliveries, first.Succeeded, first.Failed, first.P50Ms, first.P99Ms)
        );
        Assert.Equal(
            [
                new(AttemptErrorCode.Timeout, AttemptPhase.Wait, null, DeliveryStatus.Failed, 2),
                new(AttemptErrorCode.BlockedByEgressPolicy, AttemptPhase.Dns, null, DeliveryStatus.Blocked, 1),
                new(null, null, 5, DeliveryStatus.Failed, 1),
            ],
            first.Errors.OrderByDescending(one => one.Count).ThenBy(one => one.CodeClass is not null)
        );
        Assert.Equal(sends[5].Id, first.LastFailure!.Id);
        Assert.Equal((1, 0, null), (all.Destinations[1].Deliveries, all.Destinations[1].Failed, all.Destinations[1].LastFailure));
        Assert.Equal([new(8, 4), default, new(1, 0), default], all.Parts);
        Assert.Equal((false, false, 0), (all.IsCut, all.AreMore, all.LastFailures.Count));
    }

    [Fact]
    public async Task One_destination_is_counted_alone_with_its_last_failures()
    {
        var (_, sends) = await FinishAsync(sends: 4, host: "a.example");
        await FinishAsync(sends: 1, host: "b.example");
        for (int i = 0; i < 3; i++)
            await Store.RecordAttemptAsync(Took(sends[i], i, 500 + i), Ct);

        var one = await SummarizeAsync("https://a.example:443");

        Assert.Equal((4, 3), (Assert.Single(one.Destinations).Deliveries, one.Parts[0].Failed));
        Assert.Equal([502, 501], one.LastFailures.Select(failure => failure.Code));
        Assert.Empty((await SummarizeAsync("https://nobody.example:443")).Destinations);
    }

    [Fact]
    public async Task The_last_attempt_of_a_delivery_counts()
    {
        var (_, sends) = await FinishAsync(sends: 1, host: "a.example");
        await Store.RecordAttemptAsync(Took(sends[0], 900, 503), Ct);
        await Store.RequeueAsync(sends[0].Id, Ended, Ct);
        await Store.RecordAttemptAsync(Took(sends[0], 5, number: 2), Ct);

        var one = Assert.Single((await SummarizeAsync()).Destinations);

        Assert.Equal((1, 1, 0, 5.0), (one.Deliveries, one.Succeeded, one.Failed, one.P50Ms));
        Assert.Empty(one.Errors);
    }

    [Fact]
    public async Task The_newest_deliveries_and_the_worst_destinations_are_kept_when_there_are_more()
    {
        var (_, old) = await FinishAsync(sends: 1, host: "old.example");
        await Store.RecordAttemptAsync(Took(old[0], 1, 500), Ct);
        var (_, bad) = await FinishAsync(sends: 1, host: "bad.example");
        await Store.RecordAttemptAsync(Took(bad[0], 1, 500), Ct);
        await FinishAsync(sends: 2, host: "good.example");

        var cut = await SummarizeAsync(most: 3);
        var fewer = await SummarizeAsync(mostDestinations: 2);

        Assert.Equal(["https://bad.example:443", "https://good.example:443"], cut.Destinations.Select(one => one.Destination));
        Assert.Equal((true, false), (cut.IsCut, cut.AreMore));
        Assert.Equal(["https://bad.example:443", "https://old.example:443"], fewer.Destinations.Select(one => one.Destination));
        Assert.Equal((false, true, 4), (fewer.IsCut, fewer.AreMore, fewer.Parts[0].Deliveries));
        Assert.False((await SummarizeAsync(most: 4)).IsCut);
    }
}
