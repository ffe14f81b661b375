using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using Sendoff.Engine.Storage;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Runs;

/// <summary>Schedules under a clock that the test moves, on a real store.</summary>
public sealed class ScheduleTests : IDisposable
{
    readonly TempFolder folder = new();
    readonly FakeTimeProvider clock = new(DateTimeOffset.Parse("2026-11-23T08:00:30Z"));
    readonly SemaphoreSlim looked = new(0);
    RunRig rig = null!;

    static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => folder.Dispose();

    async Task<RunRig> StartAsync()
    {
        rig = await RunRig.StartAsync(folder.Path, time: clock);
        rig.Schedule.Looked += () => looked.Release();
        rig.Schedule.Start();
        await LookAsync();
        return rig;
    }

    Task LookAsync() => Wait.ForAsync(looked);

    // The schedule looks at least once a minute.
    async Task AdvanceAsync(int minutes)
    {
        for (; minutes > 0; minutes--)
        {
            while (looked.Wait(0, Ct)) { }
            clock.Advance(TimeSpan.FromMinutes(1));
            await LookAsync();
        }
    }

    async Task DeployAsync(string trigger = "{ type: schedule, cron: '*/5 * * * *', timezone: Europe/Berlin }", string name = "clock")
    {
        var deployed = await rig.Catalog.DeployAsync(
            name,
            new Dictionary<string, string>
            {
                ["workflow.yaml"] = $"triggers: [ {trigger} ]\nsteps: [ {{ namespace: step, uses: ./step.js }} ]",
                ["step.js"] = "return event.timestamp",
            },
            Ct
        );
        Assert.Empty(deployed.Problems);
        await LookAsync();
    }

    async Task<List<JsonElement>> EventsAsync() =>
        [
            .. (await rig.Store.ListEventsAsync(new EventFilter(null, null, null, null, 200), Ct))
                .Items.Reverse()
                .Select(e => JsonElement.Parse(e.Json.Span)),
        ];

    async Task<List<string>> DueAsync() =>
        [.. (await EventsAsync()).Select(e => DateTimeOffset.FromUnixTimeSeconds(e.GetProperty("timestamp").GetInt64()).ToString("HH:mm"))];

    [Fact]
    public async Task A_due_time_starts_one_run_with_an_event_that_tells_it()
    {
        await using var _ = await StartAsync();
        await DeployAsync();

        await AdvanceAsync(11);

        Assert.Equal(["08:05", "08:10"], await DueAsync());
        var first = (await EventsAsync())[0];
        Assert.Equal("*/5 * * * *", first.GetProperty("cron").GetString());
        Assert.Equal(
            "2026-11-23T09:05:00+01:00",
            first.GetProperty("timezone_configured").GetProperty("iso8601").GetProperty("timestamp").GetString()
        );
        Assert.Equal("2026-11-23", first.GetProperty("timezone_utc").GetProperty("iso8601").GetProperty("date").GetString());
        Assert.False(first.TryGetProperty("missed", out var none));
        var run = (await rig.Store.ListRunsAsync(new(null, null, null, null, null, 10), Ct)).Items[^1];
        Assert.Equal("schedule", run.Trigger);
        Assert.Equal(RunStatus.Succeeded, (await rig.EndOfAsync(run.Id)).Run.Status);
    }

    [Fact]
    public async Task Due_times_while_the_server_was_down_are_told_in_the_next_event_and_not_made_up_for()
    {
        await using (await StartAsync())
        {
            await DeployAsync("{ type: schedule, every: 5m }");
            await AdvanceAsync(6);
        }
        clock.Advance(TimeSpan.FromMinutes(22));
        await using var _ = await StartAsync();
        await AdvanceAsync(2);

        Assert.Equal(["08:05", "08:30"], await DueAsync());
        Assert.Equal(4, (await EventsAsync())[1].GetProperty("missed").GetInt32());
        Assert.Equal(300, (await EventsAsync())[1].GetProperty("interval_seconds").GetInt32());
        await AdvanceAsync(5);
        Assert.False((await EventsAsync())[2].TryGetProperty("missed", out var none));
    }

    [Theory]
    [InlineData(15, true)]
    [InlineData(60, true)]
    [InlineData(60.001, false)]
    public async Task A_restart_over_a_due_time_starts_it_once_when_it_is_no_more_than_a_minute_past(double seconds, bool starts)
    {
        await using (await StartAsync())
        {
            await DeployAsync();
            await AdvanceAsync(4);
        }
        clock.Advance(DateTimeOffset.Parse("2026-11-23T08:05:00Z").AddSeconds(seconds) - clock.GetUtcNow());
        string[] started = starts ? ["08:05"] : [];
        await using (await StartAsync())
            Assert.Equal(started, await DueAsync());
        await using (await StartAsync())
            Assert.Equal(started, await DueAsync());
    }

    [Fact]
    public async Task A_redeploy_with_the_same_schedule_fires_no_time_twice_and_loses_none()
    {
        await using var _ = await StartAsync();
        await DeployAsync();
        await AdvanceAsync(5);
        await DeployAsync();
        await DeployAsync("{ type: http, key: x }, { type: schedule, cron: '*/5 * * * *', timezone: Europe/Berlin }");
        await AdvanceAsync(5);

        Assert.Equal(["08:05", "08:10"], await DueAsync());
    }

    [Fact]
    public async Task A_schedule_that_is_changed_starts_anew_and_missed_nothing()
    {
        await using var _ = await StartAsync();
        await DeployAsync();
        await AdvanceAsync(30);
        int before = (await EventsAsync()).Count;
        await DeployAsync("{ type: schedule, every: 1m }");
        await AdvanceAsync(2);

        Assert.Equal(["08:31", "08:32"], (await DueAsync()).Skip(before));
        Assert.All(await EventsAsync(), e => Assert.False(e.TryGetProperty("missed", out var none)));
    }

    [Fact]
    public async Task A_schedule_that_is_removed_disabled_or_deleted_stops_and_missed_nothing_when_it_is_enabled_again()
    {
        await using var _ = await StartAsync();
        await DeployAsync("{ type: schedule, every: 1m }");
        string key = Assert.Single(rig.Catalog.Schedules).Key;
        Assert.Equal(DateTimeOffset.Parse("2026-11-23T08:01:00Z"), rig.Schedule.NextDueAt(key));
        await rig.Catalog.SetEnabledAsync("clock", false, Ct);
        await LookAsync();
        Assert.Null(rig.Schedule.NextDueAt(key));
        await AdvanceAsync(10);
        await rig.Catalog.SetEnabledAsync("clock", true, Ct);
        await LookAsync();
        await AdvanceAsync(1);
        Assert.Equal(["08:11"], await DueAsync());
        Assert.False((await EventsAsync())[0].TryGetProperty("missed", out var none));

        await DeployAsync("{ type: http, key: x }");
        await AdvanceAsync(3);
        Assert.Single(await DueAsync());

        await DeployAsync("{ type: schedule, every: 1m }");
        await rig.Catalog.DeleteAsync("clock", Ct);
        await LookAsync();
        await AdvanceAsync(3);
        Assert.Empty(rig.Catalog.Schedules);
    }

    [Fact]
    public async Task A_store_that_refuses_for_a_while_puts_a_due_time_off_and_loses_none()
    {
        await using var _ = await StartAsync();
        await DeployAsync();
        rig.Failing.Fail("AcceptAsync", new StoreUnavailableException("the disk is full"));
        await AdvanceAsync(5);
        clock.Advance(TimeSpan.FromSeconds(5));
        await LookAsync();

        Assert.Equal(["08:05"], await DueAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_clock_that_was_a_year_ahead_and_is_set_right_does_not_stop_a_schedule(bool restarted)
    {
        var wrong = TimeSpan.FromDays(365);
        var running = await StartAsync();
        await DeployAsync("{ type: schedule, every: 5m }");
        clock.Advance(wrong);
        await LookAsync();
        await AdvanceAsync(6);
        Assert.NotEmpty(await EventsAsync());
        int before = (await EventsAsync()).Count;
        if (restarted)
            await running.DisposeAsync();

        clock.AdjustTime(clock.GetUtcNow() - wrong);
        if (restarted)
            running = await StartAsync();
        await using var _ = running;
        await AdvanceAsync(11);

        Assert.Equal(["08:10", "08:15"], (await DueAsync()).Skip(before));
    }

    [Fact]
    public async Task Two_that_ask_for_one_due_time_get_one_run()
    {
        await using var _ = await StartAsync();
        await DeployAsync();
        var target = Assert.Single(rig.Catalog.Schedules);
        var due = new DueTime(target.Key, clock.GetUtcNow().AddMinutes(1));

        var asked = await Task.WhenAll(
            Enumerable.Range(0, 8).Select(_ => rig.Acceptance.AcceptAsync(target.Version, "schedule", "{}"u8.ToArray(), Ct, due))
        );

        Assert.Single(asked, accepted => accepted is not null);
        Assert.Single(await EventsAsync());
    }
}
