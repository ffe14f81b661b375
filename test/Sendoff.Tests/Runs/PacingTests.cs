using Microsoft.Extensions.Time.Testing;
using Sendoff.Engine;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Runs;

public sealed class PacingTests
{
    static readonly EngineLimits limits = new() { PacingLoad = 4, PacingMax = TimeSpan.FromMilliseconds(100) };
    readonly FakeTimeProvider time = new();
    readonly PaceShare share = new(slowMs: 500);
    readonly Pacing pacing;

    public PacingTests() => pacing = new Pacing(limits, time);

    PaceTicket[] Begin(int count) => [.. Enumerable.Range(0, count).Select(_ => pacing.Begin(share))];

    [Fact]
    public void Answer_goes_at_once_while_little_is_under_way()
    {
        Begin(3);
        Assert.True(pacing.WaitAsync(default).AsTask().IsCompletedSuccessfully);
    }

    [Fact]
    public async Task Answer_is_held_back_until_something_ends()
    {
        var tickets = Begin(4);
        var answer = pacing.WaitAsync(default).AsTask();
        Assert.False(answer.IsCompleted);
        pacing.End(tickets[0]);
        await answer.WithinLimitAsync();
    }

    [Fact]
    public async Task Answer_is_held_back_no_longer_than_its_bound_and_nothing_of_it_stays()
    {
        Begin(4);
        var answers = Enumerable.Range(0, 100).Select(_ => pacing.WaitAsync(default).AsTask()).ToArray();
        Assert.Equal(100, pacing.Held);
        time.Advance(limits.PacingMax);
        await Task.WhenAll(answers).WithinLimitAsync();
        Assert.Equal(0, pacing.Held);
    }

    [Fact]
    public async Task Answer_that_was_cancelled_takes_nobodys_turn()
    {
        var tickets = Begin(4);
        using var gone = new CancellationTokenSource();
        var cancelled = pacing.WaitAsync(gone.Token).AsTask();
        var next = pacing.WaitAsync(default).AsTask();
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        pacing.End(tickets[0]);
        await next.WithinLimitAsync();
    }

    [Fact]
    public async Task All_answers_go_when_the_load_is_gone()
    {
        var tickets = Begin(4);
        var answers = Enumerable.Range(0, 50).Select(_ => pacing.WaitAsync(default).AsTask()).ToArray();
        foreach (var ticket in tickets)
            pacing.End(ticket);
        await Task.WhenAll(answers).WithinLimitAsync();
        Assert.Equal(0, pacing.Load);
    }

    [Fact]
    public async Task What_never_answers_stops_counting_before_its_first_end_is_known()
    {
        var tickets = Begin(4);
        var first = pacing.WaitAsync(default).AsTask();
        time.Advance(TimeSpan.FromMilliseconds(501));
        await first.WithinLimitAsync();
        Assert.True(pacing.WaitAsync(default).AsTask().IsCompletedSuccessfully);
        Assert.Equal(0, pacing.Load);
        Assert.Equal(default, pacing.Begin(share));

        foreach (var ticket in tickets)
            pacing.End(ticket);
        Assert.Equal(0, pacing.Load);
    }

    [Fact]
    public async Task Share_that_turns_out_slow_lets_the_held_answers_go()
    {
        var tickets = Begin(4);
        var answer = pacing.WaitAsync(default).AsTask();
        pacing.Measure(share, 60_000);
        await answer.WithinLimitAsync();
        foreach (var ticket in tickets)
            pacing.End(ticket);
        Assert.Equal(0, pacing.Load);
    }

    [Fact]
    public void Share_that_was_slow_counts_again_once_it_is_quick()
    {
        pacing.Measure(share, 6_000);
        Assert.Equal(default, pacing.Begin(share));
        for (int i = 0; i < 3; i++)
            pacing.Measure(share, 1);
        pacing.Begin(share);
        Assert.Equal(1, pacing.Load);
    }

    [Fact]
    public async Task Load_is_nothing_when_all_that_began_has_ended_whatever_was_measured_meanwhile()
    {
        var shares = Enumerable.Range(0, 4).Select(_ => new PaceShare(1)).ToArray();
        await Task.WhenAll(
            Enumerable
                .Range(0, 8)
                .Select(worker =>
                    Task.Run(async () =>
                    {
                        for (int i = 0; i < 5_000; i++)
                        {
                            var mine = shares[i % shares.Length];
                            var ticket = pacing.Begin(mine);
                            if (i % 7 == 0)
                                pacing.Measure(mine, i % 2 == 0 ? 100 : 0);
                            if (i % 50 == 0)
                                time.Advance(TimeSpan.FromMilliseconds(2));
                            if (i % 100 == 0)
                                await pacing
                                    .WaitAsync(new CancellationTokenSource(TimeSpan.FromMilliseconds(1)).Token)
                                    .AsTask()
                                    .ContinueWith(_ => { }, TaskScheduler.Default);
                            pacing.End(ticket);
                        }
                    })
                )
        );
        Assert.Equal((0, 0), (pacing.Load, pacing.Held));
    }
}
