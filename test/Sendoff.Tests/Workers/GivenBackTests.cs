using Sendoff.Engine.Workers;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Workers;

/// <summary>Runs that are handed to a worker behind others, and what becomes of them when it gives them back (E1, E6).</summary>
public sealed class GivenBackTests
{
    [Fact]
    public async Task Time_of_a_start_that_was_given_back_counts_against_the_timeout_and_as_compute()
    {
        await using var workers = new ScriptedWorkers();
        var worker = await workers.ShortAsync();
        var (first, _) = workers.Run();
        var (ended, run) = workers.Run(timeoutSeconds: 10);
        int before = await worker.ReadRunAsync(),
            number = await worker.ReadRunAsync(ahead: true);

        await worker.EndAsync(before);
        await first.WithinLimitAsync();
        workers.Time.Advance(TimeSpan.FromSeconds(6));
        await worker.GiveBackAsync(ScriptedWorker.Expired, number);
        await worker.ReadRunAsync();
        workers.Time.Advance(TimeSpan.FromSeconds(6));
        await ended.WithinLimitAsync();

        Assert.Equal((WorkerEnd.TimedOut, TimeSpan.FromSeconds(12)), (run.End, run.Compute));
    }

    [Fact]
    public async Task Time_of_a_start_that_was_given_back_counts_when_the_next_start_succeeds()
    {
        await using var workers = new ScriptedWorkers();
        var worker = await workers.ShortAsync();
        var (first, _) = workers.Run();
        var (ended, run) = workers.Run(timeoutSeconds: 10);
        int before = await worker.ReadRunAsync(),
            number = await worker.ReadRunAsync(ahead: true);

        await worker.EndAsync(before);
        await first.WithinLimitAsync();
        workers.Time.Advance(TimeSpan.FromSeconds(6));
        await worker.GiveBackAsync(ScriptedWorker.Expired, number);
        await worker.EndAsync(await worker.ReadRunAsync());
        await ended.WithinLimitAsync();

        Assert.Equal((WorkerEnd.Succeeded, TimeSpan.FromSeconds(6)), (run.End, run.Compute));
    }

    [Theory]
    [InlineData(ScriptedWorker.Log)]
    [InlineData(ScriptedWorker.Call)]
    public async Task Run_that_was_handed_ahead_and_has_said_something_cannot_be_given_back(byte said)
    {
        await using var workers = new ScriptedWorkers();
        var worker = await workers.ShortAsync();
        var (first, _) = workers.Run();
        var (ended, run) = workers.Run();
        int before = await worker.ReadRunAsync(),
            number = await worker.ReadRunAsync(ahead: true);

        await worker.EndAsync(before);
        await (said == ScriptedWorker.Log ? worker.SayAsync(number) : worker.CallAsync(number));
        await worker.GiveBackAsync(ScriptedWorker.Expired, number);
        await ended.WithinLimitAsync();
        await first;

        Assert.Equal(WorkerEnd.Died, run.End);
        Assert.Contains($"run {number} returned after it had started", run.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_that_was_given_back_when_its_turn_had_come_is_not_handed_ahead_again()
    {
        await using var workers = new ScriptedWorkers();
        var worker = await workers.ShortAsync();
        // Each is as long as none may be called long, and all together so long that those behind them are late.
        Task[] before = [.. Enumerable.Range(0, 14).Select(_ => workers.Run().Ended)];
        var (ended, run) = workers.Run();
        var (last, _) = workers.Run();
        for (int i = 0; i < before.Length; i++)
        {
            int next = await worker.ReadRunAsync(ahead: i > 0);
            workers.Time.Advance(TimeSpan.FromMilliseconds(20));
            await worker.EndAsync(next);
            await before[i].WithinLimitAsync();
        }

        await worker.GiveBackAsync(ScriptedWorker.Expired, await worker.ReadRunAsync(ahead: true));
        await worker.EndAsync(await worker.ReadRunAsync(ahead: true));
        await last.WithinLimitAsync();

        // An idle worker has it now, which cannot give it back.
        int again = await worker.ReadRunAsync(ahead: false);
        await worker.GiveBackAsync(ScriptedWorker.Expired, again);
        await ended.WithinLimitAsync();
        Assert.Equal(WorkerEnd.Died, run.End);
        Assert.Contains($"run {again} returned after it had started", run.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_that_was_cancelled_while_it_was_ahead_ends_its_worker_when_its_turn_comes_before_the_answer()
    {
        await using var workers = new ScriptedWorkers();
        var worker = await workers.ShortAsync();
        using var cancel = new CancellationTokenSource();
        var (first, _) = workers.Run();
        var (cancelled, _) = workers.Run(ct: cancel.Token);
        int before = await worker.ReadRunAsync(),
            number = await worker.ReadRunAsync(ahead: true);

        await cancel.CancelAsync();
        Assert.Equal(number, (await worker.ReadAsync(ScriptedWorker.Revoke)).GetProperty("runs")[0].GetInt32());
        await worker.EndAsync(before); // and it begins the next one
        await first.WithinLimitAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled.WithinLimitAsync());
        await worker.GoneAsync();
    }

    [Fact]
    public async Task Run_that_was_cancelled_while_it_was_ahead_is_given_back_and_its_worker_stays()
    {
        await using var workers = new ScriptedWorkers();
        var worker = await workers.ShortAsync();
        using var cancel = new CancellationTokenSource();
        var (first, _) = workers.Run();
        var (cancelled, _) = workers.Run(ct: cancel.Token);
        int before = await worker.ReadRunAsync(),
            number = await worker.ReadRunAsync(ahead: true);

        await cancel.CancelAsync();
        await worker.ReadAsync(ScriptedWorker.Revoke);
        await worker.GiveBackAsync(ScriptedWorker.Revoked, number);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled.WithinLimitAsync());
        await worker.EndAsync(before);
        await first.WithinLimitAsync();

        var (later, _) = workers.Run();
        await worker.EndAsync(await worker.ReadRunAsync());
        await later.WithinLimitAsync();
    }

    [Fact]
    public async Task Call_of_a_run_that_has_ended_is_not_put_to_the_run_that_executes_now()
    {
        var calls = new Counted();
        await using var workers = new ScriptedWorkers(calls: _ => calls);
        var worker = await workers.ShortAsync();
        var (first, _) = workers.Run();
        var (second, run) = workers.Run();
        int before = await worker.ReadRunAsync(),
            number = await worker.ReadRunAsync(ahead: true);

        await worker.EndAsync(before);
        await worker.CallAsync(before);
        await worker.EndAsync(number);
        await Task.WhenAll(first, second).WithinLimitAsync();

        Assert.Equal((WorkerEnd.Succeeded, 0), (run.End, calls.Count));
    }

    [Fact]
    public async Task Call_of_a_run_that_has_not_started_ends_the_worker()
    {
        var calls = new Counted();
        await using var workers = new ScriptedWorkers(calls: _ => calls);
        var worker = await workers.ShortAsync();
        var (first, run) = workers.Run();
        int number = await worker.ReadRunAsync();

        await worker.CallAsync(number + 1);
        await first.WithinLimitAsync();

        Assert.Equal((WorkerEnd.Died, 0), (run.End, calls.Count));
        Assert.Contains($"a call of run {number + 1}, which has not started", run.Message, StringComparison.Ordinal);
    }

    sealed class Counted : IStepCalls
    {
        public int Count { get; private set; }

        public Task<ReadOnlyMemory<byte>> CallAsync(string method, ReadOnlyMemory<byte> args)
        {
            Count++;
            return Task.FromResult<ReadOnlyMemory<byte>>("1"u8.ToArray());
        }
    }
}
