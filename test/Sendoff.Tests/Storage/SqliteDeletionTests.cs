using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Sqlite;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Storage;

/// <summary>A deletion that shares its transaction with other writes of the same workflow, before them and behind them.</summary>
public sealed class SqliteDeletionTests : IAsyncLifetime
{
    readonly StoreFolder folder = new();
    readonly IdSequence ids = new(TimeProvider.System);
    SqliteStore store = null!;
    Workflow workflow = null!;

    static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        store = await SqliteStore.OpenAsync(
            folder.Database,
            TestSecrets.Concealment(),
            ids,
            new EngineLimits(),
            TimeProvider.System,
            NullLogger<SqliteStore>.Instance,
            Ct
        );
        workflow = await DeployAsync("orders");
    }

    public async ValueTask DisposeAsync()
    {
        await store.DisposeAsync();
        folder.Dispose();
    }

    Task<Workflow> DeployAsync(string name) => store.DeployAsync(name, new Dictionary<string, string> { ["a"] = "b" }, [], Ct);

    QueuedRun NewRun(Workflow? of = null) =>
        new(
            new(ids.Next()),
            new(new(ids.Next()), WorkspaceId.Default, (of ?? workflow).Id, "http", TimeProvider.System.GetUtcNow(), "{}"u8.ToArray()),
            1
        );

    async Task<QueuedRun> AcceptAsync(Workflow? of = null)
    {
        var run = NewRun(of);
        Assert.True(await store.AcceptAsync(run, Ct));
        return run;
    }

    Task<bool> FinishAsync(QueuedRun run, DeliveryStatus status = DeliveryStatus.Sending) => FinishAsync(run, NewDelivery(run, status));

    Task<bool> FinishAsync(QueuedRun run, Delivery delivery) =>
        store.FinishRunAsync(
            new(
                run.Id,
                run.Event.Id,
                WorkspaceId.Default,
                run.Event.WorkflowId,
                1,
                "http",
                RunStatus.Succeeded,
                TimeProvider.System.GetUtcNow(),
                default,
                default,
                false,
                run.Replay,
                null,
                null,
                null,
                []
            ),
            [delivery],
            Ct
        );

    Delivery NewDelivery(QueuedRun run, DeliveryStatus status) =>
        new(
            new(ids.Next()),
            run.Id,
            WorkspaceId.Default,
            run.Event.WorkflowId,
            0,
            0,
            "https://sink.example:443",
            new("POST", "https://sink.example/", [], default),
            status
        );

    /// <summary>Holds the writer while writes are queued, so that they become one batch, in their order.</summary>
    async Task<(T First, TOther Second)> TogetherAsync<T, TOther>(Func<Task<T>> first, Func<Task<TOther>> second, bool swap = false)
    {
        using var gate = new SemaphoreSlim(0);
        var holds = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var holding = store.WriteAsync(
            OutageRule.Keep,
            _ =>
            {
                holds.SetResult();
                return gate.Wait(Wait.Limit);
            },
            Ct
        );
        await holds.Task;
        long batches = store.Measured.Batches;
        Task<TOther>? other = swap ? second() : null;
        var one = first();
        other ??= second();
        gate.Release();
        await holding;
        await Task.WhenAll(one, other);
        Assert.True(store.Measured.Batches > batches);
        return (await one, await other);
    }

    Task<bool> DeleteAsync() => store.DeleteWorkflowAsync("orders", Ct);

    async Task AssertNothingIsLeftAsync()
    {
        while ((await store.PruneAsync(DateTimeOffset.MinValue, 0, Ct)).More) { }
        Assert.Equal(
            0,
            await store.WriteAsync(
                OutageRule.Keep,
                static session =>
                    session.Number(
                        """
                        SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM replays) + (SELECT count(*) FROM recoveries) + (SELECT count(*) FROM runs)
                            + (SELECT count(*) FROM deliveries) + (SELECT count(*) FROM attempts) + (SELECT count(*) FROM usage) + (SELECT count(*) FROM deletions)
                        """
                    ),
                Ct
            )
        );
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_end_of_a_run_beside_the_deletion_leaves_nothing_and_may_not_be_sent(bool deletionFirst)
    {
        var run = await AcceptAsync();
        Assert.Equal((false, true), await TogetherAsync(() => FinishAsync(run), DeleteAsync, deletionFirst));
        Assert.Null(await store.GetRunAsync(run.Id, Ct));
        await AssertNothingIsLeftAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_event_beside_the_deletion_is_not_accepted(bool deletionFirst)
    {
        var run = NewRun();
        Assert.Equal((false, true), await TogetherAsync(() => store.AcceptAsync(run, Ct), DeleteAsync, deletionFirst));
        Assert.Null(await store.GetRunAsync(run.Id, Ct));
        await AssertNothingIsLeftAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_replay_beside_the_deletion_is_not_accepted(bool deletionFirst)
    {
        var run = await AcceptAsync();
        Assert.True(await FinishAsync(run, DeliveryStatus.Captured));
        var replay = run with { Id = new(ids.Next()), Replay = true };
        Assert.Equal((false, true), await TogetherAsync(() => store.AcceptAsync(replay, Ct), DeleteAsync, deletionFirst));
        await AssertNothingIsLeftAsync();
    }

    [Fact]
    public async Task What_a_failed_batch_deleted_is_there_for_the_writes_before_it()
    {
        var run = NewRun();
        var (isAccepted, (isDeleted, bad)) = await TogetherAsync(
            () => store.AcceptAsync(run, Ct),
            async () =>
            {
                var deleting = store.DeleteWorkflowAsync("orders", Ct);
                var failing = store.WriteAsync<int>(OutageRule.Keep, _ => throw new InvalidOperationException("bad"), Ct);
                return (await deleting, await Record.ExceptionAsync(() => failing));
            }
        );

        Assert.True(isAccepted);
        Assert.True(isDeleted);
        Assert.IsType<InvalidOperationException>(bad);
    }

    [Fact]
    public async Task Behind_the_deletion_nothing_is_marked_as_sending_sent_again_or_started_again()
    {
        var (left, run, other) = (await AcceptAsync(), await AcceptAsync(), await AcceptAsync());
        Delivery pending = NewDelivery(run, DeliveryStatus.Pending),
            ended = NewDelivery(other, DeliveryStatus.Captured);
        Assert.True(await FinishAsync(run, pending));
        Assert.True(await FinishAsync(other, ended));
        Assert.Equal(1, await store.StartRecoveredRunAsync(left.Id, Ct));

        var (answers, _) = await TogetherAsync(
            async () =>
            {
                Task<IReadOnlyList<DeliveryId>> marked = store.MarkSendingAsync([pending.Id], Ct);
                var (requeued, starts) = (
                    store.RequeueAsync(ended.Id, Enum.GetValues<DeliveryStatus>(), Ct),
                    store.StartRecoveredRunAsync(left.Id, Ct)
                );
                return ((await marked).Count, await requeued, await starts);
            },
            DeleteAsync,
            swap: true
        );

        Assert.Equal((0, null, 0), answers);
        await AssertNothingIsLeftAsync();
    }

    [Fact]
    public async Task A_bad_write_in_the_batch_of_the_deletion_fails_alone()
    {
        var kept = await DeployAsync("kept");
        var finished = await AcceptAsync(kept);
        Assert.True(await FinishAsync(finished, DeliveryStatus.Captured));
        var run = await AcceptAsync();

        var (_, stored) = await TogetherAsync(
            () => Assert.ThrowsAnyAsync<Exception>(() => store.AcceptAsync(finished, Ct)),
            async () =>
            {
                var (deleted, ended, accepted) = (DeleteAsync(), FinishAsync(run), store.AcceptAsync(NewRun(kept), Ct));
                return (await deleted, await ended, await accepted);
            }
        );

        Assert.Equal((true, false, true), stored);
        Assert.NotNull(await store.GetRunAsync(finished.Id, Ct));
    }

    [Fact]
    public async Task A_workflow_deployed_again_under_the_name_of_a_deleted_one_takes_events()
    {
        var old = await AcceptAsync();
        Assert.True(await DeleteAsync());
        var again = await DeployAsync("orders");
        var run = await AcceptAsync(again);
        Assert.True(await FinishAsync(run));
        Assert.False(await FinishAsync(old));
    }
}
