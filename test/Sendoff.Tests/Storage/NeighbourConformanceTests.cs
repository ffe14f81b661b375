namespace Sendoff.Tests.Storage;

/// <summary>A write changes the rows that it is about, and none beside them.</summary>
public abstract partial class StoreConformanceTests
{
    async Task<QueuedRun> LeftAsync(QueuedRun run) => (await Store.ListUnfinishedRunsAsync(10, null, Ct)).Single(left => left.Id == run.Id);

    [Fact]
    public async Task Noted_starts_of_a_run_go_with_that_run_only()
    {
        var (first, ended, last, gone) = (
            await AcceptAsync(),
            await AcceptAsync(),
            await AcceptAsync(),
            await AcceptAsync(await DeployAsync("gone"))
        );
        await CrashAsync();
        foreach (var run in (QueuedRun[])[first, ended, last, gone])
            Assert.Equal(1, await Store.StartRecoveredRunAsync(run.Id, Ct));

        Assert.True(await Store.FinishRunAsync(End(await LeftAsync(ended)), [], Ct));
        foreach (var run in (QueuedRun[])[first, last])
            Assert.Equal(2, await Store.StartRecoveredRunAsync(run.Id, Ct));
        await Store.DeleteWorkflowAsync("gone", Ct);
        foreach (var run in (QueuedRun[])[first, last])
            Assert.Equal(3, await Store.StartRecoveredRunAsync(run.Id, Ct));
        Assert.Equal(0, await Store.StartRecoveredRunAsync(gone.Id, Ct));
        // the run that ended and its event: its starts went when it ended
        Assert.Equal(2, await PruneAllAsync(Clock.GetUtcNow().AddDays(1)));
        foreach (var run in (QueuedRun[])[first, last])
            Assert.Equal(4, await Store.StartRecoveredRunAsync(run.Id, Ct));
    }

    [Fact]
    public async Task Start_that_is_taken_back_twice_counts_as_none()
    {
        var run = await AcceptAsync();
        Assert.Equal(1, await Store.StartRecoveredRunAsync(run.Id, Ct));
        await Store.TakeBackStartsAsync([run.Id, run.Id], Ct);

        Assert.Equal(1, await Store.StartRecoveredRunAsync(run.Id, Ct)); // 0 would say that it is gone
    }

    [Fact]
    public async Task Event_without_a_run_is_no_unfinished_run_after_a_crash()
    {
        await Store.KeepEventAsync(NewRun().Event, Ct);
        await CrashAsync();
        Assert.Empty((await Store.ListRunsAsync(Runs(), Ct)).Items);
        Assert.Single((await Store.ListEventsAsync(new(null, null, null, null, 50), Ct)).Items);
    }

    [Theory, InlineData("http"), InlineData("replay"), InlineData("resumption")]
    public async Task Oldest_unfinished_run_is_found_after_a_crash_whatever_started_it(string by)
    {
        var before = by == "resumption" ? await HoldAsync(TimeSpan.FromHours(1)) : (await DeliverAsync()).Run;
        var oldest = by switch
        {
            "http" => NewRun(),
            "replay" => new QueuedRun(new(Ids.Next()), before.Event, 1, Replay: true),
            _ => Next(before),
        };
        Assert.True(await Store.AcceptAsync(oldest, Ct));
        Clock.Advance(TimeSpan.FromSeconds(2));
        await DeliverAsync(); // the store notes where a start has to look from

        await CrashAsync();

        Assert.Equal(oldest.Id, Assert.Single(await Store.ListUnfinishedRunsAsync(10, null, Ct)).Id);
    }

    [Fact]
    public async Task Event_that_is_late_in_the_batch_that_notes_where_to_look_is_found_after_a_crash()
    {
        var late = NewRun();
        await FinishAsync();
        Clock.Advance(TimeSpan.FromSeconds(2));
        await Store.AcceptAsync(late, Ct);

        await CrashAsync();

        Assert.Equal(late.Id, Assert.Single(await Store.ListUnfinishedRunsAsync(10, null, Ct)).Id);
    }

    [Fact]
    public async Task Unfinished_runs_are_listed_from_above_the_last_one()
    {
        var all = new List<RunId>();
        for (int i = 0; i < 5; i++)
            all.Add((await AcceptAsync()).Id);
        await CrashAsync();

        var listed = new List<RunId>();
        while (
            listed.Count <= all.Count
            && await Store.ListUnfinishedRunsAsync(2, listed.Count == 0 ? null : listed[^1], Ct) is { Count: > 0 } page
        )
            listed.AddRange(page.Select(run => run.Id));

        Assert.Equal(all, listed);
    }

    [Fact]
    public async Task Run_that_is_held_over_quota_is_not_listed_as_unfinished_after_a_crash_until_it_is_released()
    {
        var held = NewRun() with { IsHeld = true };
        Assert.True(await Store.AcceptAsync(held, Ct));
        await CrashAsync();
        Assert.Empty(await Store.ListUnfinishedRunsAsync(10, null, Ct));
        Assert.Equal([held.Id], await Store.ListHeldAsync(10, Ct));

        Assert.NotNull(await Store.ReleaseAsync(held.Id, Ct));
        Assert.Null(await Store.ReleaseAsync(held.Id, Ct));
        Assert.Empty(await Store.ListHeldAsync(10, Ct));
        await CrashAsync();
        Assert.Equal(held.Id, Assert.Single(await Store.ListUnfinishedRunsAsync(10, null, Ct)).Id);
    }

    [Fact]
    public async Task Pruning_takes_the_deliveries_of_the_old_run_and_not_those_behind_them()
    {
        var (old, young) = (await AcceptAsync(), await AcceptAsync());
        var (sends, next) = (Sends(old, 2), Sends(young, 2));
        Assert.Equal(sends[^1].Id.Value + IdSequence.Stride, next[0].Id.Value);
        await Store.FinishRunAsync(End(old), sends, Ct);
        Clock.Advance(TimeSpan.FromDays(2));
        await Store.FinishRunAsync(End(young), next, Ct);
        await Store.MarkSendingAsync([.. sends.Concat(next).Select(delivery => delivery.Id)], Ct);
        foreach (var delivery in sends)
            await Store.RecordAttemptAsync(AttemptOf(delivery), Ct);

        await PruneAllAsync(Clock.GetUtcNow().AddDays(-1)); // what is under way behind them keeps nothing

        Assert.Null(await Store.GetRunAsync(old.Id, Ct));
        foreach (var delivery in sends)
            Assert.Null(await Store.GetDeliveryAsync(delivery.Id, Ct));
        foreach (var delivery in next)
            Assert.NotNull(await Store.GetDeliveryAsync(delivery.Id, Ct));
    }

    [Fact]
    public async Task Success_releases_what_was_captured_and_nothing_that_was_sent()
    {
        var first = await AcceptAsync();
        var sends = Sends(first, 5, status: DeliveryStatus.Captured);
        DeliveryStatus[] ended = [DeliveryStatus.Succeeded, DeliveryStatus.Failed, DeliveryStatus.Blocked, DeliveryStatus.Interrupted];
        for (int i = 0; i < ended.Length; i++)
            sends[i] = sends[i] with { Status = ended[i] };
        var held = new Suspension(first.Id, workflow.Id, HoldKind.Delay, 0, Clock.GetUtcNow(), "the state"u8.ToArray());
        await Store.FinishRunAsync(End(first, RunStatus.Suspended) with { Suspension = held }, sends, Ct);
        var last = Next(first);
        await Store.AcceptAsync(last, Ct);

        await Store.FinishRunAsync(End(last) with { IsContinuation = true, ReleasesCaptured = true }, [], Ct);

        Assert.Equal(
            [.. ended, DeliveryStatus.Pending],
            (await Store.GetRunAsync(first.Id, Ct))!.Deliveries.Select(one => one.Delivery.Status)
        );
    }

    [Fact]
    public async Task Run_that_goes_on_from_one_that_is_not_to_be_kept_is_not_kept()
    {
        var first = NewRun() with { Keep = false };
        await Store.AcceptAsync(first, Ct);
        var held = new Suspension(first.Id, workflow.Id, HoldKind.Delay, 0, Clock.GetUtcNow(), "the state"u8.ToArray());
        await Store.FinishRunAsync(End(first, RunStatus.Suspended) with { Suspension = held }, [], Ct);
        var next = Next(first);
        await Store.AcceptAsync(next, Ct);
        await Store.FinishRunAsync(End(next) with { IsContinuation = true }, [], Ct);

        await PruneAllAsync(DateTimeOffset.MinValue);

        Assert.Null(await Store.GetRunAsync(first.Id, Ct));
        Assert.Null(await Store.GetRunAsync(next.Id, Ct));
        Assert.Null(await Store.GetEventAsync(first.Event.Id, Ct));
    }

    [Fact]
    public async Task Publications_of_one_kind_take_no_place_of_another()
    {
        var emitted = await PublishAsync("emit:", 2);
        foreach (var delivery in emitted)
            await Store.PublishAsync(delivery.Id, 0, 2, Ct);
        foreach (var delivery in await PublishAsync("sse:news", 3))
            await Store.PublishAsync(delivery.Id, 0, 2, Ct);

        Assert.Equal(
            emitted.Select(delivery => delivery.Id),
            (await Store.ListPublicationsAsync(workflow.Id, SendKind.Emit, 0, 100, Ct)).Select(one => one.Delivery.Id)
        );
        Assert.Equal(2, (await Store.ListPublicationsAsync(workflow.Id, SendKind.Sse, 0, 100, Ct)).Count);
    }

    [Fact]
    public async Task Correction_of_the_clock_leaves_a_suspension_that_has_gone_on_as_it_was()
    {
        SetAhead();
        var run = await HoldAsync(TimeSpan.FromHours(1));
        Assert.True(await Store.AcceptAsync(Next(run), Ct));
        var until = (await Store.GetSuspensionAsync(run.Id, Ct))!.Until;
        SetRight();

        await Store.CorrectTimesAsync(Ct);

        Assert.Equal(until, (await Store.GetSuspensionAsync(run.Id, Ct))!.Until);
    }
}
