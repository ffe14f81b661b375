using Sendoff.Engine.Storage;

namespace Sendoff.Tests.Storage;

/// <summary>What was stored while the clock was a year ahead does not wait for a year once it is right.</summary>
public abstract partial class StoreConformanceTests
{
    static readonly TimeSpan wrong = TimeSpan.FromDays(365);

    void SetAhead() => Clock.Advance(wrong);

    void SetRight() => Clock.AdjustTime(Clock.GetUtcNow() - wrong);

    [Fact]
    public async Task History_from_the_future_is_pruned_by_its_age_from_the_correction_on()
    {
        SetAhead();
        var runs = new List<RunId>();
        for (int i = 0; i < 3; i++)
            runs.Add((await DeliverAsync()).Run.Id);
        var alone = NewRun().Event;
        Assert.True(await Store.KeepEventAsync(alone, Ct));
        SetRight();
        var (right, _) = await DeliverAsync();

        Assert.True(await Store.CorrectTimesAsync(Ct) >= 4);
        Assert.All(
            await Task.WhenAll(runs.Select(run => Store.GetRunAsync(run, Ct))),
            run => Assert.Equal(Clock.GetUtcNow(), run!.Run.StartedAt)
        );
        Assert.Equal(0, await Store.CorrectTimesAsync(Ct));
        await PruneAllAsync(Clock.GetUtcNow());
        Assert.NotNull(await Store.GetRunAsync(runs[0], Ct));

        Clock.Advance(TimeSpan.FromDays(8));
        await PruneAllAsync(Clock.GetUtcNow().AddDays(-7));
        foreach (var run in runs.Append(right.Id))
            Assert.Null(await Store.GetRunAsync(run, Ct));
        Assert.Null(await Store.GetEventAsync(alone.Id, Ct));
    }

    [Fact]
    public async Task A_span_of_time_is_of_the_right_clock_though_ids_stay_above_the_wrong_one()
    {
        var times = new List<DateTimeOffset>();
        var made = new List<(RunId Run, EventId Event, DeliveryId[] Deliveries)>();
        async Task MakeAsync()
        {
            times.Add(Clock.GetUtcNow());
            var (run, deliveries) = await DeliverAsync();
            made.Add((run.Id, run.Event.Id, [.. deliveries.Select(delivery => delivery.Id)]));
            Clock.Advance(TimeSpan.FromMinutes(10));
        }
        await MakeAsync();
        SetAhead();
        await MakeAsync();
        SetRight();
        times[1] = Clock.GetUtcNow();
        await Store.CorrectTimesAsync(Ct);
        Clock.Advance(TimeSpan.FromMinutes(10));
        for (int i = 0; i < 3; i++)
            await MakeAsync();
        var waiting = await AcceptAsync(); // has no row of its own
        // The wrong time has passed: ids grow with the clock again.
        Clock.Advance(wrong + TimeSpan.FromHours(2));
        for (int i = 0; i < 2; i++)
            await MakeAsync();

        foreach (
            var (since, until) in times.SelectMany(_ => times, (since, until) => (Since: since.AddMinutes(-1), Until: until.AddMinutes(1)))
        )
        {
            var expected = made.Where((_, i) => times[i] >= since && times[i] < until).Reverse().ToList();
            Assert.Equal(
                expected.Select(one => one.Run),
                (await Store.ListRunsAsync(Runs(status: RunStatus.Succeeded) with { Since = since, Until = until }, Ct)).Items.Select(run =>
                    run.Id
                )
            );
            Assert.Equal(
                expected.SelectMany(one => one.Deliveries.Reverse()),
                (await Store.ListDeliveriesAsync(Deliveries() with { Since = since, Until = until }, Ct)).Items.Select(one =>
                    one.Delivery.Id
                )
            );
            Assert.Equal(
                expected.Select(one => one.Event),
                (await Store.ListEventsAsync(new(null, since, until, null, 100), Ct))
                    .Items.Select(one => one.Id)
                    .Where(id => id != waiting.Event.Id)
            );
        }
        Assert.Equal(
            [waiting.Id],
            (
                await Store.ListRunsAsync(Runs(status: RunStatus.Queued) with { Since = times[4].AddMinutes(5), Until = times[5] }, Ct)
            ).Items.Select(run => run.Id)
        );
        Assert.Empty((await Store.ListRunsAsync(Runs(status: RunStatus.Queued) with { Since = times[5] }, Ct)).Items);
    }

    [Fact]
    public async Task A_suspended_run_from_the_future_keeps_what_is_left_of_its_time_and_one_that_is_long_keeps_all()
    {
        async Task<QueuedRun> SuspendAsync(TimeSpan time)
        {
            var run = await AcceptAsync();
            var end = End(run, RunStatus.Suspended) with
            {
                Suspension = new(run.Id, workflow.Id, HoldKind.Delay, 0, Clock.GetUtcNow() + time, new byte[] { 1 }),
            };
            Assert.True(await Store.FinishRunAsync(end, [], Ct));
            return run;
        }
        var years = await SuspendAsync(TimeSpan.FromDays(700));
        SetAhead();
        var hour = await SuspendAsync(TimeSpan.FromHours(1));
        SetRight();

        Assert.True(await Store.CorrectTimesAsync(Ct) > 0);

        var held = await Store.ListSuspendedAsync(10, [], Ct);
        Assert.Equal(
            [(hour.Id, Clock.GetUtcNow().AddHours(1)), (years.Id, Start.AddDays(700))],
            held.Select(one => (one.RunId, one.Until))
        );
    }

    [Fact]
    public async Task Usage_values_and_replaced_secrets_from_the_future_are_of_now()
    {
        var store = new StoreName(default, "data");
        await DeliverAsync();
        await Store.SaveSecretAsync(new(1, WorkspaceId.Default, "A", true, new byte[] { 1 }, Clock.GetUtcNow()), Ct);
        SetAhead();
        await DeliverAsync();
        await Store.SetValueAsync(
            store,
            new("short", "1"u8.ToArray(), Clock.GetUtcNow(), Clock.GetUtcNow().AddMinutes(10)),
            new(10, 1_000, 1_000),
            Ct
        );
        await Store.SaveSecretAsync(new(2, WorkspaceId.Default, "A", true, new byte[] { 2 }, Clock.GetUtcNow()), Ct);
        SetRight();
        await Store.SetValueAsync(
            store,
            new("long", "1"u8.ToArray(), Clock.GetUtcNow(), Clock.GetUtcNow().AddDays(400)),
            new(10, 1_000, 1_000),
            Ct
        );

        await Store.CorrectTimesAsync(Ct);

        var used = Assert.Single(await Store.ListUsageAsync(DateOnly.FromDateTime(Start.UtcDateTime), Ct));
        Assert.Equal((DateOnly.FromDateTime(Start.UtcDateTime), 2L, 2L), (used.Day, used.Runs, used.Deliveries));
        Assert.Equal(Clock.GetUtcNow(), (await Store.ListSecretsAsync(Ct)).Single(secret => secret.Id == 1).ReplacedAt);
        Clock.Advance(TimeSpan.FromMinutes(11));
        Assert.Null(await Store.GetValueAsync(store, "short", Ct));
        Clock.Advance(TimeSpan.FromDays(399));
        Assert.NotNull(await Store.GetValueAsync(store, "long", Ct));
    }

    [Fact]
    public async Task A_due_time_that_was_settled_in_the_future_settles_nothing()
    {
        var clock = await DeployAsync("clock", Every(5));
        SetAhead();
        Assert.True(await AcceptDueAsync(clock, Start.AddDays(365)));
        SetRight();
        Assert.False(await AcceptDueAsync(clock, Start.AddDays(365))); // that time itself is settled

        Assert.True(await AcceptDueAsync(clock, Start));
        Assert.False(await AcceptDueAsync(clock, Start));
        Assert.False(await AcceptDueAsync(clock, Start.AddMinutes(-5)));
    }

    [Fact]
    public async Task Times_that_are_less_than_a_minute_ahead_stay()
    {
        Clock.Advance(TimeSpan.FromSeconds(59));
        var (run, _) = await DeliverAsync();
        Clock.AdjustTime(Start);
        Assert.Equal(0, await Store.CorrectTimesAsync(Ct));
        Assert.Equal(Start.AddSeconds(59), (await Store.GetRunAsync(run.Id, Ct))!.Run.StartedAt);
    }

    // The marks and conditions of the hot writes.

    [Fact]
    public async Task Only_a_pending_delivery_is_marked_as_sending_whatever_it_has_come_to()
    {
        var run = await AcceptAsync();
        var deliveries = Sends(run, 8);
        Assert.True(
            await Store.FinishRunAsync(
                End(run),
                [.. deliveries.Select((delivery, i) => i == 7 ? delivery with { Status = DeliveryStatus.Captured } : delivery)],
                Ct
            )
        );
        var ids = deliveries.Select(delivery => delivery.Id).ToList();
        await Store.MarkSendingAsync(ids[1..5], Ct); // stays sending: 1
        await Store.RecordAttemptAsync(AttemptOf(deliveries[2]), Ct);
        await Store.RecordAttemptAsync(AttemptOf(deliveries[3], DeliveryStatus.Failed), Ct);
        await Store.RecordAttemptAsync(
            AttemptOf(deliveries[4], DeliveryStatus.Interrupted, error: new(AttemptErrorCode.Interrupted, AttemptPhase.Write, "cut off")),
            Ct
        );
        await Store.RecordBlockedAsync(ids[5], new(AttemptErrorCode.BlockedByEgressPolicy, AttemptPhase.Connect, "no"), Ct);
        var statuses = (await Store.GetRunAsync(run.Id, Ct))!.Deliveries.Select(one => one.Delivery.Status).ToList();
        Assert.Equal(
            [
                DeliveryStatus.Pending,
                DeliveryStatus.Sending,
                DeliveryStatus.Succeeded,
                DeliveryStatus.Failed,
                DeliveryStatus.Interrupted,
                DeliveryStatus.Blocked,
                DeliveryStatus.Pending,
                DeliveryStatus.Captured,
            ],
            statuses
        );
        Assert.Equal(Enum.GetValues<DeliveryStatus>().Length, statuses.Distinct().Count()); // every one is tried

        Assert.Equal([ids[0], ids[6]], await Store.MarkSendingAsync(ids, Ct));
        Assert.Empty(await Store.MarkSendingAsync(ids, Ct));

        await Store.RecordBlockedAsync(ids[3], new(AttemptErrorCode.BlockedByEgressPolicy, AttemptPhase.Connect, "late"), Ct);
        Assert.Equal(DeliveryStatus.Failed, (await Store.GetDeliveryAsync(ids[3], Ct))!.Delivery.Status);
    }

    [Fact]
    public async Task Only_a_delivery_that_has_ended_is_requeued()
    {
        var run = await AcceptAsync();
        var deliveries = Sends(run, 4);
        Assert.True(
            await Store.FinishRunAsync(
                End(run),
                [.. deliveries.Select((delivery, i) => i == 3 ? delivery with { Status = DeliveryStatus.Captured } : delivery)],
                Ct
            )
        );
        await Store.MarkSendingAsync([deliveries[1].Id, deliveries[2].Id], Ct);
        await Store.RecordAttemptAsync(AttemptOf(deliveries[2], DeliveryStatus.Failed), Ct);

        Assert.Null(await Store.RequeueAsync(deliveries[0].Id, Enum.GetValues<DeliveryStatus>(), Ct));
        Assert.Null(await Store.RequeueAsync(deliveries[1].Id, Enum.GetValues<DeliveryStatus>(), Ct));
        var again = await Store.RequeueAsync(deliveries[2].Id, Enum.GetValues<DeliveryStatus>(), Ct);
        Assert.Equal((DeliveryStatus.Pending, 1), (again!.Status, again.Attempts));
        Assert.Null(await Store.RequeueAsync(deliveries[2].Id, Enum.GetValues<DeliveryStatus>(), Ct));
        Assert.Null(await Store.RequeueAsync(new(Ids.Next()), Enum.GetValues<DeliveryStatus>(), Ct));
    }

    [Fact]
    public async Task Only_what_an_earlier_server_was_sending_over_the_wire_is_interrupted()
    {
        var run = await AcceptAsync();
        var deliveries = Sends(run, 3);
        await Store.FinishRunAsync(End(run), deliveries, Ct);
        await Store.MarkSendingAsync([deliveries[1].Id, deliveries[2].Id], Ct);
        await Store.RecordAttemptAsync(AttemptOf(deliveries[2]), Ct);

        Assert.Equal(1, await Store.InterruptSendingAsync(Ct));

        Assert.Equal(
            [DeliveryStatus.Pending, DeliveryStatus.Interrupted, DeliveryStatus.Succeeded],
            (await Store.GetRunAsync(run.Id, Ct))!.Deliveries.Select(one => one.Delivery.Status)
        );
        Assert.Equal(0, await Store.InterruptSendingAsync(Ct));
    }

    [Fact]
    public async Task Pending_deliveries_are_listed_from_above_the_last_one_of_their_destination_only()
    {
        var run = await AcceptAsync();
        var deliveries = Sends(run, 4);
        await Store.FinishRunAsync(End(run), deliveries, Ct);
        await Store.MarkSendingAsync([deliveries[2].Id], Ct);
        string destination = deliveries[0].Destination;

        Assert.Equal(
            [deliveries[1].Id, deliveries[3].Id],
            (await Store.ListPendingAsync(destination, deliveries[0].Id, 10, Ct)).Select(one => one.Id)
        );
        Assert.Equal([deliveries[0].Id], (await Store.ListPendingAsync(destination, null, 1, Ct)).Select(one => one.Id));
        Assert.Empty(await Store.ListPendingAsync(destination, deliveries[3].Id, 10, Ct));
        Assert.Empty(await Store.ListPendingAsync("https://other.example:443", null, 10, Ct));
    }

    [Fact]
    public async Task Pruning_goes_by_the_moment_and_leaves_what_is_exactly_that_old()
    {
        var (run, _) = await DeliverAsync();
        await PruneAllAsync(Start);
        Assert.NotNull(await Store.GetRunAsync(run.Id, Ct));
        await PruneAllAsync(Start + TimeSpan.FromMicroseconds(1));
        Assert.Null(await Store.GetRunAsync(run.Id, Ct));
    }

    [Fact]
    public async Task A_run_with_a_suspension_that_goes_on_is_kept_until_the_next_has_ended()
    {
        var held = await AcceptAsync();
        await Store.FinishRunAsync(
            End(held, RunStatus.Suspended) with
            {
                Suspension = new(held.Id, workflow.Id, HoldKind.Delay, 0, Clock.GetUtcNow(), new byte[] { 1 }),
            },
            [],
            Ct
        );
        await PruneAllAsync(Clock.GetUtcNow().AddDays(1), maxBytes: 1);
        Assert.NotNull(await Store.GetRunAsync(held.Id, Ct));

        var next = new QueuedRun(new(Ids.Next()), held.Event, 1) { Continues = new(held.Id) };
        Assert.True(await Store.AcceptAsync(next, Ct));
        await PruneAllAsync(Clock.GetUtcNow().AddDays(1));
        Assert.NotNull(await Store.GetRunAsync(held.Id, Ct));

        await Store.FinishRunAsync(End(next) with { IsContinuation = true }, [], Ct);
        await PruneAllAsync(Clock.GetUtcNow().AddDays(1));
        Assert.Null(await Store.GetRunAsync(held.Id, Ct));
        Assert.Null(await Store.GetRunAsync(next.Id, Ct));
        Assert.Null(await Store.GetEventAsync(held.Event.Id, Ct));
    }

    [Fact]
    public async Task What_is_not_to_be_kept_is_pruned_behind_many_that_are_under_way()
    {
        for (int i = 0; i < 310; i++)
            await Store.AcceptAsync(NewRun() with { Keep = false }, Ct);
        var ended = NewRun() with { Keep = false };
        await Store.AcceptAsync(ended, Ct);
        await Store.FinishRunAsync(End(ended), [], Ct);

        await PruneAllAsync(DateTimeOffset.MinValue);

        Assert.Null(await Store.GetRunAsync(ended.Id, Ct));
        Assert.Equal(310, (await Store.ListRunsAsync(Runs(status: RunStatus.Queued, limit: 400), Ct)).Items.Count);
    }
}
