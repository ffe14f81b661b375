using Microsoft.Extensions.Time.Testing;
using Sendoff.Engine;
using Sendoff.Engine.Runs;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Runs;

/// <summary>Daily quotas (E6): what is over is held, not lost, and starts at the reset or by hand.</summary>
public sealed class QuotaTests : IDisposable
{
    static CancellationToken Ct => TestContext.Current.CancellationToken;
    readonly TempFolder folder = new();

    // Of today: workers tell the real time, and what they used counts for its day.
    static readonly DateTimeOffset today = new(TimeProvider.System.GetUtcNow().UtcDateTime.Date, TimeSpan.Zero);
    readonly FakeTimeProvider clock = new(today.AddHours(22));

    public void Dispose() => folder.Dispose();

    async Task<RunRig> StartAsync(EngineLimits limits)
    {
        var rig = await RunRig.StartAsync(folder.Path, limits, clock);
        await rig.QuotaReset.StartAsync(releases: true, Ct);
        return rig;
    }

    static async Task<RunStatus> StatusAsync(RunRig rig, RunId run) => (await rig.Store.GetRunAsync(run, Ct))!.Run.Status;

    [Fact]
    public async Task What_is_over_the_days_invocations_is_held_and_starts_oldest_first_at_the_reset()
    {
        await using var rig = await StartAsync(new() { QuotaInvocations = 2 });
        var version = await rig.DeployAsync("orders", "return event.n");
        var runs = new List<RunId>();
        for (int n = 0; n < 5; n++)
            runs.Add((await rig.AcceptAsync(version, $$"""{"n":{{n}}}""")).Run.Id);
        foreach (var run in runs.Take(2))
            Assert.Equal(RunStatus.Succeeded, (await rig.EndOfAsync(run)).Run.Status);

        Assert.Equal(
            [RunStatus.Held, RunStatus.Held, RunStatus.Held],
            [await StatusAsync(rig, runs[2]), await StatusAsync(rig, runs[3]), await StatusAsync(rig, runs[4])]
        );
        Assert.Equal(runs.Skip(2), await rig.Store.ListHeldAsync(10, Ct));
        Assert.Equal(
            [runs[4], runs[3], runs[2]],
            (await rig.Store.ListRunsAsync(new(null, [RunStatus.Held], null, null, null, 10), Ct)).Items.Select(run => run.Id)
        );
        Assert.Empty((await rig.Store.ListRunsAsync(new(null, [RunStatus.Queued], null, null, null, 10), Ct)).Items);

        clock.Advance(TimeSpan.FromHours(2));
        await Wait.UntilAsync(async () =>
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            return await StatusAsync(rig, runs[3]) == RunStatus.Succeeded;
        });
        Assert.Equal((RunStatus.Succeeded, RunStatus.Held), (await StatusAsync(rig, runs[2]), await StatusAsync(rig, runs[4])));
        Assert.False((await rig.Store.GetRunAsync(runs[2], Ct))!.Run.Recovered);
    }

    [Fact]
    public async Task What_is_over_the_days_compute_time_is_held_and_what_is_under_way_ends()
    {
        await using var rig = await StartAsync(new() { QuotaCompute = TimeSpan.FromMilliseconds(20) });
        var version = await rig.DeployAsync("orders", "const end = Date.now() + 40; while (Date.now() < end); return 1");
        var first = await rig.AcceptAsync(version);
        Assert.Equal(RunStatus.Succeeded, (await rig.EndOfAsync(first.Run.Id)).Run.Status);

        var second = await rig.AcceptAsync(version);
        Assert.True(second.Run.IsHeld);
        Assert.True(rig.Quota.Use is { Invocations: 1 } use && use.Compute >= TimeSpan.FromMilliseconds(20));
        Assert.Equal(today.AddDays(1), rig.Quota.ResetAt);
    }

    [Fact]
    public async Task A_held_run_outlives_a_crash_and_is_released_by_hand_once()
    {
        RunId held;
        await using (var rig = await StartAsync(new() { QuotaInvocations = 1 }))
        {
            var version = await rig.DeployAsync("orders", "return event.n");
            await rig.EndOfAsync((await rig.AcceptAsync(version)).Run.Id);
            held = (await rig.AcceptAsync(version, """{"n":7}""")).Run.Id;
        }
        await using var next = await StartAsync(new() { QuotaInvocations = 1 });
        Assert.Equal(RunStatus.Held, await StatusAsync(next, held));

        Assert.True(await next.QuotaReset.ReleaseAsync(held));
        var end = await next.EndOfAsync(held);
        Assert.Equal(
            (RunStatus.Succeeded, "7"),
            (end.Run.Status, System.Text.Json.JsonElement.Parse(end.Run.Steps[0].Exports.Span).GetProperty("$return_value").GetRawText())
        );
        Assert.False(await next.QuotaReset.ReleaseAsync(held));
        Assert.Equal(2, next.Quota.Use.Invocations);
    }

    [Fact]
    public async Task All_runs_that_are_held_start_at_one_reset_however_many_there_are()
    {
        await using var rig = await RunRig.StartAsync(folder.Path, new() { QuotaInvocations = 1_000 }, clock);
        var version = await rig.DeployAsync("orders", "return 1");
        for (int i = 0; i < 205; i++)
        {
            var received = new Event(
                new(rig.Ids.Next()),
                WorkspaceId.Default,
                version.WorkflowId,
                "http",
                clock.GetUtcNow(),
                "{}"u8.ToArray()
            );
            Assert.True(await rig.Store.AcceptAsync(new(new(rig.Ids.Next()), received, 1) { IsHeld = true }, Ct));
        }
        await rig.QuotaReset.StartAsync(releases: true, Ct);

        await Wait.UntilAsync(async () => (await rig.Store.ListHeldAsync(1, Ct)).Count == 0);
        Assert.Equal(205, rig.Quota.Use.Invocations);
    }

    [Fact]
    public async Task What_is_started_by_hand_counts_and_is_not_held()
    {
        await using var rig = await StartAsync(new() { QuotaInvocations = 1 });
        var version = await rig.DeployAsync("orders", "return 1");
        var first = await rig.AcceptAsync(version);
        await rig.EndOfAsync(first.Run.Id);
        var replay = (await rig.Acceptance.ReplayAsync(first.Run.Id, null, captured: false, Ct))!;
        var manual = (await rig.Acceptance.AcceptAsync(version, QueuedRun.ManualTrigger, "{}"u8.ToArray(), Ct))!;

        Assert.Equal(
            (RunStatus.Succeeded, RunStatus.Succeeded),
            ((await rig.EndOfAsync(replay.Run.Id)).Run.Status, (await rig.EndOfAsync(manual.Run.Id)).Run.Status)
        );
        Assert.Equal(3, rig.Quota.Use.Invocations);
    }

    [Fact]
    public async Task What_the_store_does_not_take_is_not_counted()
    {
        await using var rig = await StartAsync(new() { QuotaInvocations = 1 });
        var version = await rig.DeployAsync("orders", "return 1");
        rig.Failing.Fail(
            nameof(Sendoff.Engine.Storage.IStore.AcceptAsync),
            new Sendoff.Engine.Storage.StoreUnavailableException("the disk is full"),
            1
        );

        await Assert.ThrowsAsync<Sendoff.Engine.Storage.StoreUnavailableException>(() => rig.AcceptAsync(version));
        Assert.False((await rig.AcceptAsync(version)).Run.IsHeld);

        // What would have been held has taken nothing, and gives nothing back.
        rig.Failing.Fail(
            nameof(Sendoff.Engine.Storage.IStore.AcceptAsync),
            new Sendoff.Engine.Storage.StoreUnavailableException("the disk is full"),
            1
        );
        await Assert.ThrowsAsync<Sendoff.Engine.Storage.StoreUnavailableException>(() => rig.AcceptAsync(version));
        Assert.Equal(1, rig.Quota.Use.Invocations);
        Assert.True((await rig.AcceptAsync(version)).Run.IsHeld);
    }

    [Fact]
    public async Task A_release_that_fails_does_not_count()
    {
        await using var rig = await StartAsync(new() { QuotaInvocations = 1 });
        var version = await rig.DeployAsync("orders", "return 1");
        await rig.EndOfAsync((await rig.AcceptAsync(version)).Run.Id);
        var held = (await rig.AcceptAsync(version)).Run.Id;
        rig.Failing.Fail(
            nameof(Sendoff.Engine.Storage.IStore.ReleaseAsync),
            new Sendoff.Engine.Storage.StoreUnavailableException("the disk is full"),
            1
        );

        clock.Advance(TimeSpan.FromHours(2));
        await Wait.UntilAsync(async () =>
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            return await StatusAsync(rig, held) == RunStatus.Succeeded;
        });
        Assert.Equal(1, rig.Quota.Use.Invocations);
    }

    [Fact]
    public void Compute_and_invocations_begin_anew_at_midnight_and_count_again_when_the_clock_is_set_back()
    {
        var quota = new Quota(new() { QuotaCompute = TimeSpan.FromSeconds(10), QuotaInvocations = 3 }, clock);
        Assert.True(quota.TryTake());
        quota.AddCompute(TimeSpan.FromSeconds(9.9));
        Assert.True(quota.TryTake());
        quota.AddCompute(TimeSpan.FromSeconds(0.1));
        Assert.False(quota.TryTake());
        clock.Advance(TimeSpan.FromHours(2) - TimeSpan.FromTicks(1));
        Assert.False(quota.TryTake());

        clock.Advance(TimeSpan.FromTicks(1));
        Assert.True(quota.TryTake());
        Assert.Equal((TimeSpan.Zero, 1L), (quota.Use.Compute, quota.Use.Invocations));
        Assert.True(quota.TryTake() && quota.TryTake());
        Assert.False(quota.TryTake());

        clock.AdjustTime(clock.GetUtcNow().AddHours(-1));
        Assert.False(quota.TryTake());
        Assert.Equal((TimeSpan.FromSeconds(10), 5L), (quota.Use.Compute, quota.Use.Invocations));
    }

    [Fact]
    public void Quota_begins_with_what_was_used_on_this_day_only()
    {
        var quota = new Quota(new() { QuotaInvocations = 100, QuotaCompute = TimeSpan.FromHours(1) }, clock);
        var day = DateOnly.FromDateTime(today.UtcDateTime);
        quota.Load([
            new(day.AddDays(-1), "a", 1, 10, 0, 0),
            new(day, "a", 2, 20, 0, 0),
            new(day, "b", 4, 40, 0, 0),
            new(day.AddDays(1), "a", 8, 80, 0, 0),
        ]);
        Assert.Equal((6L, TimeSpan.FromMilliseconds(60)), (quota.Use.Invocations, quota.Use.Compute));
    }

    [Fact]
    public async Task Held_runs_go_with_their_workflow_and_start_when_the_quota_is_lifted()
    {
        RunId held;
        await using (var rig = await StartAsync(new() { QuotaInvocations = 1 }))
        {
            var version = await rig.DeployAsync("orders", "return 1");
            var other = await rig.DeployAsync("other", "return 2");
            await rig.EndOfAsync((await rig.AcceptAsync(version)).Run.Id);
            var gone = (await rig.AcceptAsync(version)).Run.Id;
            held = (await rig.AcceptAsync(other)).Run.Id;
            Assert.True(await rig.Catalog.DeleteAsync("orders", Ct));
            Assert.Equal([held], await rig.Store.ListHeldAsync(10, Ct));
            Assert.False(await rig.QuotaReset.ReleaseAsync(gone));
        }
        await using var next = await StartAsync(new());
        Assert.Equal(RunStatus.Succeeded, (await next.EndOfAsync(held)).Run.Status);
    }
}
