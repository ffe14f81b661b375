using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Storage;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Storage;

public sealed class GroupCommitTests
{
    sealed class Numbered(int number, OutageRule outage = OutageRule.Keep) : StoreWrite(outage)
    {
        public int Number => number;
    }

    readonly ManualResetEventSlim open = new(true);
    readonly List<int> stored = [];
    readonly List<int> groups = [];
    volatile int bad = -1,
        small = -1;
    volatile bool down;

    static CancellationToken Ct => TestContext.Current.CancellationToken;

    GroupCommit Start(int queue = 1_000, int batch = 100)
    {
        var limits = new EngineLimits
        {
            StoreQueue = queue,
            StoreBatch = batch,
            StoreRetry = TimeSpan.FromMilliseconds(20),
        };
        var commits = new GroupCommit(Commit, error => error as StoreUnavailableException, limits, NullLogger.Instance);
        commits.Start();
        return commits;
    }

    void Commit(ReadOnlySpan<StoreWrite> writes)
    {
        open.Wait();
        var numbers = new List<int>();
        foreach (Numbered write in writes)
            numbers.Add(write.Number);
        if (down && !numbers.SequenceEqual([small]))
            throw new StoreUnavailableException("down");
        if (numbers.Contains(bad))
            throw new InvalidOperationException("bad");
        stored.AddRange(numbers);
        groups.Add(numbers.Count);
    }

    [Fact]
    public async Task What_waits_is_committed_together_up_to_the_limit_in_order()
    {
        open.Reset();
        await using var commits = Start();
        var writes = Enumerable.Range(0, 351).Select(number => commits.WriteAsync(new Numbered(number), Ct)).ToList();
        open.Set();
        await Task.WhenAll(writes);

        Assert.Equal(Enumerable.Range(0, 351), stored);
        Assert.True(groups.Count <= 6, string.Join(' ', groups));
        Assert.True(groups.Max() <= 100);
    }

    [Fact]
    public async Task One_bad_write_fails_alone_and_the_others_keep_their_order()
    {
        open.Reset();
        bad = 37;
        await using var commits = Start();
        var writes = Enumerable.Range(0, 100).Select(number => commits.WriteAsync(new Numbered(number), Ct)).ToList();
        open.Set();
        await Assert.ThrowsAsync<InvalidOperationException>(() => Task.WhenAll(writes));

        Assert.Equal([37], Enumerable.Range(0, 100).Where(number => writes[number].IsFaulted));
        Assert.Equal(Enumerable.Range(0, 100).Where(number => number != 37), stored);
    }

    [Fact]
    public async Task Callers_wait_when_the_queue_is_full_and_may_give_up()
    {
        open.Reset();
        await using var commits = Start(queue: 5);
        var writes = Enumerable.Range(0, 8).Select(number => commits.WriteAsync(new Numbered(number), Ct)).ToList();
        using var impatient = new CancellationTokenSource();
        var given = commits.WriteAsync(new Numbered(99), impatient.Token);
        await impatient.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => given);
        open.Set();
        await Task.WhenAll(writes);

        Assert.Equal(Enumerable.Range(0, 8), stored.Order());
    }

    [Fact]
    public async Task In_an_outage_events_are_refused_and_ends_are_kept_in_order()
    {
        down = true;
        await using var commits = Start();
        var kept = Enumerable.Range(0, 250).Select(number => commits.WriteAsync(new Numbered(number), Ct)).ToList();
        await Assert.ThrowsAsync<StoreUnavailableException>(() => commits.WriteAsync(new Numbered(-2, OutageRule.Refuse), Ct));
        await Assert.ThrowsAsync<StoreUnavailableException>(() => commits.WriteAsync(new Numbered(-3, OutageRule.Probe), Ct));
        Assert.NotNull(commits.Outage);
        down = false;
        await Task.WhenAll(kept);
        await commits.WriteAsync(new Numbered(250), Ct);

        Assert.Equal(Enumerable.Range(0, 251), stored);
        Assert.Null(commits.Outage);
    }

    [Fact]
    public async Task Probe_that_finds_room_does_not_end_the_outage_for_events()
    {
        (down, small) = (true, 99);
        await using var commits = Start();
        var kept = commits.WriteAsync(new Numbered(0), Ct);
        await commits.WriteAsync(new Numbered(99, OutageRule.Probe), Ct);

        Assert.NotNull(commits.Outage);
        await Assert.ThrowsAsync<StoreUnavailableException>(() => commits.WriteAsync(new Numbered(1, OutageRule.Refuse), Ct));
        Assert.False(kept.IsCompleted);
        down = false;
        await kept;
        Assert.Null(commits.Outage);
    }

    [Fact]
    public async Task Closing_fails_those_that_still_wait_for_room_or_commits_them()
    {
        open.Reset();
        var commits = Start(queue: 5);
        var writes = Enumerable.Range(0, 20).Select(number => commits.WriteAsync(new Numbered(number), Ct)).ToList();
        var closed = commits.DisposeAsync();
        open.Set();
        await closed;
        await Task.WhenAll(writes).ContinueWith(_ => { }, TaskScheduler.Default).WithinLimitAsync(); // failed or not

        Assert.All(writes, write => Assert.True(write.IsCompleted));
        Assert.Equal(stored.Count, writes.Count(write => write.IsCompletedSuccessfully));
        Assert.All(
            writes.Where(write => write.IsFaulted),
            write => Assert.IsType<ObjectDisposedException>(write.Exception!.InnerException)
        );
    }
}
