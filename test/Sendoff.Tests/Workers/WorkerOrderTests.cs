using Sendoff.Engine;
using Sendoff.Engine.Workers;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Workers;

/// <summary>Frames, cancellations and ends of workers in an order that real workers rarely have.</summary>
public sealed class WorkerOrderTests
{
    static readonly EngineLimits two = new() { WorkersWarm = 0, WorkersMax = 2 };

    [Fact]
    public async Task Worker_that_speaks_before_it_is_ready_does_not_start()
    {
        await using var workers = new ScriptedWorkers();
        var (ended, _) = workers.Run();

        await (await workers.ConnectedAsync()).CallAsync(1);

        var e = await Assert.ThrowsAsync<WorkerUnavailableException>(() => ended.WithinLimitAsync());
        Assert.Contains("a frame of kind 27 before it was ready", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Worker_that_gives_runs_back_unasked_while_it_executes_one_breaks_the_protocol()
    {
        await using var workers = new ScriptedWorkers();
        var worker = await workers.ShortAsync();
        var (ended, run) = workers.Run();
        await worker.ReadRunAsync();

        await worker.GiveBackAsync(ScriptedWorker.Revoked);
        await ended.WithinLimitAsync();

        Assert.Equal(WorkerEnd.Died, run.End);
        Assert.Contains("runs returned without a request, while it executed one", run.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Worker_that_gives_runs_back_unasked_takes_no_more()
    {
        await using var workers = new ScriptedWorkers();
        var worker = await workers.ShortAsync();

        await worker.GiveBackAsync(ScriptedWorker.Revoked);
        await worker.GoneAsync();
        var (ended, run) = workers.Run();
        var next = await workers.LoadedAsync();
        await next.EndAsync(await next.ReadRunAsync());
        await ended.WithinLimitAsync();

        Assert.Equal(WorkerEnd.Succeeded, run.End);
    }

    [Fact]
    public async Task Worker_whose_clock_runs_ahead_is_replaced()
    {
        await using var workers = new ScriptedWorkers();
        var worker = await workers.ShortAsync();
        var (first, _) = workers.Run();
        var (ended, run) = workers.Run();
        int before = await worker.ReadRunAsync(),
            number = await worker.ReadRunAsync(ahead: true);

        await worker.EndAsync(before);
        await worker.GiveBackAsync(ScriptedWorker.Expired, number); // no time has passed
        await worker.GoneAsync();
        var next = await workers.LoadedAsync();
        await next.EndAsync(await next.ReadRunAsync());
        await Task.WhenAll(first, ended).WithinLimitAsync();

        Assert.Equal(WorkerEnd.Succeeded, run.End);
    }

    [Fact]
    public async Task Runs_behind_one_that_kills_its_worker_go_to_the_next_in_their_order()
    {
        await using var workers = new ScriptedWorkers();
        var worker = await workers.ShortAsync();
        var (first, killer) = workers.Run();
        var (second, one) = workers.Run();
        var (third, other) = workers.Run();
        await worker.ReadRunAsync();

        worker.Die();
        await first.WithinLimitAsync();
        var next = await workers.LoadedAsync();
        await next.EndAsync(await next.ReadRunAsync());
        await second.WithinLimitAsync();
        Assert.False(third.IsCompleted);
        await next.EndAsync(await next.ReadRunAsync(ahead: true));
        await third.WithinLimitAsync();

        Assert.Equal((WorkerEnd.Died, WorkerEnd.Succeeded, WorkerEnd.Succeeded), (killer.End, one.End, other.End));
    }

    [Fact]
    public async Task After_a_run_that_lasts_while_others_wait_nothing_is_handed_ahead()
    {
        await using var workers = new ScriptedWorkers();
        var worker = await workers.ShortAsync();
        Task[] all = [workers.Run().Ended, workers.Run().Ended, workers.Run().Ended];
        int lasting = await worker.ReadRunAsync();
        int[] ahead = [await worker.ReadRunAsync(ahead: true), await worker.ReadRunAsync(ahead: true)];

        workers.Time.Advance(TimeSpan.FromMilliseconds(30));
        await worker.ReadAsync(ScriptedWorker.Revoke);
        await worker.GiveBackAsync(ScriptedWorker.Revoked, ahead);
        await worker.EndAsync(lasting);
        await all[0].WithinLimitAsync();
        foreach (var next in all[1..]) // in the order in which they came
        {
            await worker.EndAsync(await worker.ReadRunAsync(ahead: false));
            await next.WithinLimitAsync();
        }
    }

    [Fact]
    public async Task Run_that_is_late_behind_a_loop_starts_elsewhere_and_the_loops_worker_may_say_so_later()
    {
        await using var workers = new ScriptedWorkers(two);
        var looping = await workers.ShortAsync();
        var (loop, _) = workers.Run();
        var (ended, run) = workers.Run();
        int number = await looping.ReadRunAsync(),
            late = await looping.ReadRunAsync(ahead: true);

        workers.Time.Advance(TimeSpan.FromMilliseconds(300));
        await looping.ReadAsync(ScriptedWorker.Revoke);
        var other = await workers.LoadedAsync();
        await other.EndAsync(await other.ReadRunAsync());
        await ended.WithinLimitAsync();
        Assert.Equal((WorkerEnd.Succeeded, false), (run.End, loop.IsCompleted));

        await looping.GiveBackAsync(ScriptedWorker.Expired, late);
        await looping.GiveBackAsync(ScriptedWorker.Revoked);
        await looping.EndAsync(number);
        await loop.WithinLimitAsync();
        var (last, _) = workers.Run();
        await looping.EndAsync(await looping.ReadRunAsync());
        await last.WithinLimitAsync();
    }

    [Fact]
    public async Task Retiring_waits_for_the_run_that_executes_and_ends_its_worker_then()
    {
        await using var workers = new ScriptedWorkers();
        var worker = await workers.ShortAsync();
        var (ended, run) = workers.Run();
        int number = await worker.ReadRunAsync();

        var retired = workers.Pool.RetireAsync(workers.Program.WorkflowId);
        Assert.False(retired.IsCompleted);
        await worker.EndAsync(number);
        await worker.GoneAsync();
        await Task.WhenAll(ended, retired).WithinLimitAsync();

        Assert.Equal(WorkerEnd.Succeeded, run.End);
    }

    [Fact]
    public async Task Retiring_waits_for_a_program_that_is_being_checked()
    {
        await using var workers = new ScriptedWorkers();
        var check = workers.Pool.CheckAsync(workers.Program, TestContext.Current.CancellationToken);
        var worker = await workers.StartedAsync();
        var retired = workers.Pool.RetireAsync(workers.Program.WorkflowId);

        await worker.LoadAsync();
        Assert.Empty((await check.WithinLimitAsync()).Problems);
        workers.Time.Advance(TimeSpan.FromSeconds(1));

        await worker.GoneAsync();
        await retired.WithinLimitAsync();
    }

    [Fact]
    public async Task Run_that_is_cancelled_while_it_waits_leaves_nothing_behind()
    {
        await using var workers = new ScriptedWorkers();
        using var cancel = new CancellationTokenSource();
        var (first, _) = workers.Run();
        var worker = await workers.LoadedAsync();
        int number = await worker.ReadRunAsync();
        var (waiting, _) = workers.Run(ct: cancel.Token);

        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting.WithinLimitAsync());
        await worker.EndAsync(number);
        await first.WithinLimitAsync();
        var (last, run) = workers.Run();
        await worker.EndAsync(await worker.ReadRunAsync());
        await last.WithinLimitAsync();

        Assert.Equal(WorkerEnd.Succeeded, run.End);
        await workers.Pool.RetireAsync(workers.Program.WorkflowId).WithinLimitAsync(); // which waits for what waits
    }

    [Fact]
    public async Task Load_that_kills_its_worker_is_tried_again_also_when_an_earlier_one_did_and_was_followed_by_one_that_succeeded()
    {
        await using var workers = new ScriptedWorkers();
        for (int i = 0; i < 2; i++)
        {
            var (ended, run) = workers.Run();
            var dying = await workers.StartedAsync();
            await dying.ReadAsync(ScriptedWorker.Load);
            dying.Die();
            var worker = await workers.LoadedAsync();
            await worker.EndAsync(await worker.ReadRunAsync());
            await ended.WithinLimitAsync();
            Assert.Equal(WorkerEnd.Succeeded, run.End);
            worker.Die();
            await Wait.UntilAsync(() => workers.Pool.ProcessIds.Count == 0);
        }
    }

    [Theory]
    [InlineData(true, "the worker exited during the run")]
    [InlineData(false, "it did not end within its timeout of 15,000 ms")]
    public async Task Load_that_fails_twice_in_a_row_is_the_programs_problem(bool dies, string says)
    {
        await using var workers = new ScriptedWorkers();
        var (ended, run) = workers.Run();
        for (int i = 0; i < 2; i++)
        {
            var worker = await workers.StartedAsync();
            await worker.ReadAsync(ScriptedWorker.Load);
            if (dies)
                worker.Die();
            else
                workers.Time.Advance(TimeSpan.FromSeconds(15.1));
        }
        await ended.WithinLimitAsync();

        Assert.Equal((WorkerEnd.Failed, StepStatus.Failed), (run.End, run.Steps[0].Status));
        Assert.Contains("while the steps were loaded, " + says, run.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Answer_to_a_run_that_has_ended_is_dropped()
    {
        var calls = new Held();
        await using var workers = new ScriptedWorkers(calls: _ => calls);
        var worker = await workers.ShortAsync();
        var (first, _) = workers.Run();
        int number = await worker.ReadRunAsync();

        await worker.CallAsync(number);
        await worker.EndAsync(number);
        await first.WithinLimitAsync();
        calls.Answer.SetResult("1"u8.ToArray());

        var (second, _) = workers.Run();
        await worker.EndAsync(await worker.ReadRunAsync()); // the next frame, and not the answer
        await second.WithinLimitAsync();
    }

    [Fact]
    public async Task Run_may_call_as_often_as_it_likes_when_its_calls_are_answered()
    {
        var calls = new Held();
        calls.Answer.SetResult("1"u8.ToArray());
        await using var workers = new ScriptedWorkers(calls: _ => calls);
        var worker = await workers.ShortAsync();
        var (ended, run) = workers.Run();
        int number = await worker.ReadRunAsync();

        for (int i = 0; i <= WorkerJob.MostCalls; i++)
        {
            await worker.CallAsync(number);
            await worker.ReadAsync(ScriptedWorker.Answer);
        }
        await worker.EndAsync(number);
        await ended.WithinLimitAsync();

        Assert.Equal(WorkerEnd.Succeeded, run.End);
    }

    sealed class Held : IStepCalls
    {
        // Whoever gives the answer has sent it, too, when that is done.
        public TaskCompletionSource<ReadOnlyMemory<byte>> Answer { get; } = new();

        public Task<ReadOnlyMemory<byte>> CallAsync(string method, ReadOnlyMemory<byte> args) => Answer.Task;
    }

    [Fact]
    public async Task Sends_of_a_step_that_goes_on_are_counted_from_where_it_was_held()
    {
        await using var workers = new ScriptedWorkers(
            new()
            {
                WorkersWarm = 0,
                WorkersMax = 1,
                SendsPerRun = 3,
            }
        );
        var (ended, run) = workers.Run(resume: new(0, 10, "{}"u8.ToArray()));
        var worker = await workers.LoadedAsync();
        int number = await worker.ReadRunAsync();

        await worker.SendAsync(number, 12); // comes first of three, as those before it have bodies that are read
        await worker.SendAsync(number, 10);
        await worker.SendAsync(number, 13); // is out of reach: the next one that is free
        await worker.EndAsync(number);
        await ended.WithinLimitAsync();

        Assert.Equal([10, 12, 13], run.Sends.Select(send => send.Index));
        Assert.Empty(run.Steps[0].Warnings);
    }
}
