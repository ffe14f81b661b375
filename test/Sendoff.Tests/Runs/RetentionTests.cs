using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Sendoff.Engine;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Runs;

/// <summary>Pruning beside the server's work (G2).</summary>
public sealed class RetentionTests : IDisposable
{
    static CancellationToken Ct => TestContext.Current.CancellationToken;
    readonly TempFolder folder = new();
    readonly Clock clock = new();

    /// <summary>A clock that can be set: what has passed stays as it was.</summary>
    sealed class Clock() : FakeTimeProvider(DateTimeOffset.Parse("2026-11-23T08:00:00Z"))
    {
        public TimeSpan SetBack { get; set; }

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() - SetBack;

        public override long GetTimestamp() => base.GetUtcNow().Ticks;
    }

    public void Dispose() => folder.Dispose();

    async Task<Retention> StartAsync(RunRig rig, EngineLimits limits)
    {
        var retention = new Retention(rig.Store, new(rig.Ids, limits, clock, rig.Changes, rig.Pacing), NullLogger<Retention>.Instance);
        await retention.StartAsync(Ct);
        return retention;
    }

    /// <summary>Lets time pass in short steps until the condition is true.</summary>
    Task PassUntilAsync(Func<Task<bool>> condition, TimeSpan step) =>
        Wait.UntilAsync(async () =>
        {
            clock.Advance(step);
            return await condition();
        });

    [Fact]
    public async Task Retention_survives_an_error_that_it_does_not_know()
    {
        await using var rig = await RunRig.StartAsync(folder.Path);
        rig.Failing.Fail(nameof(IStore.PruneAsync), new InvalidOperationException("unknown"));
        using var retention = await StartAsync(rig, new());
        await PassUntilAsync(() => Task.FromResult(rig.Failing.CallsOf(nameof(IStore.PruneAsync)) >= 3), TimeSpan.FromMinutes(1));
        await retention.StopAsync(default);
    }

    [Fact]
    public async Task A_round_goes_on_slice_by_slice_until_nothing_old_is_left()
    {
        var limits = new EngineLimits { PruneRuns = 2 };
        await using var rig = await RunRig.StartAsync(folder.Path, limits, clock);
        var version = await rig.DeployAsync("orders", "return 1");
        for (int i = 0; i < 7; i++)
            Assert.NotNull(await rig.Acceptance.KeepEventAsync(version, "http", "{}"u8.ToArray()));
        clock.Advance(limits.RetentionAge + TimeSpan.FromDays(1));
        var began = clock.GetUtcNow();

        using var retention = await StartAsync(rig, limits);
        await PassUntilAsync(
            async () => (await rig.Store.ListEventsAsync(new(null, null, null, null, 10), Ct)).Items.Count == 0,
            TimeSpan.FromMilliseconds(50)
        );

        Assert.InRange(clock.GetUtcNow() - began, TimeSpan.Zero, TimeSpan.FromSeconds(59)); // in the first round
        await retention.StopAsync(default);
    }

    [Fact]
    public async Task Stored_times_are_looked_at_once_and_again_when_the_clock_was_set_back()
    {
        await using var rig = await RunRig.StartAsync(folder.Path, time: clock);
        using var retention = await StartAsync(rig, new());
        int Looked() => rig.Failing.CallsOf(nameof(IStore.CorrectTimesAsync));
        async Task PassRoundsAsync(int count)
        {
            int before = rig.Failing.CallsOf(nameof(IStore.PruneAsync));
            await PassUntilAsync(
                () => Task.FromResult(rig.Failing.CallsOf(nameof(IStore.PruneAsync)) >= before + count),
                TimeSpan.FromSeconds(30)
            );
        }

        await PassRoundsAsync(3);
        Assert.Equal(1, Looked());
        clock.SetBack = TimeSpan.FromHours(1);
        await PassRoundsAsync(3);
        Assert.Equal(2, Looked());
        await retention.StopAsync(default);
    }
}
