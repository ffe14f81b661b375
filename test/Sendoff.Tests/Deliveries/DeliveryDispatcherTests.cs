using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Sqlite;
using Sendoff.Tests.Runs;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

/// <summary>The dispatcher on the real store and real sockets.</summary>
public sealed partial class DeliveryDispatcherTests : IAsyncLifetime
{
    const string Ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("sendoff-dispatcher-");
    readonly List<DeliveryDispatcher> dispatchers = [];
    IdSequence ids = new(TimeProvider.System);
    IStore store = null!;
    ChangeFeed changes = new();
    Workflow workflow = null!;

    public async ValueTask InitializeAsync()
    {
        store = await OpenAsync();
        workflow = await store.DeployAsync("orders", new Dictionary<string, string> { ["workflow.yaml"] = "name: orders" }, [], default);
    }

    async Task<IStore> OpenAsync() =>
        await SqliteStore.OpenAsync(
            Path.Combine(folder.FullName, "sendoff.db"),
            TestSecrets.Concealment(),
            ids = new(TimeProvider.System),
            new EngineLimits(),
            TimeProvider.System,
            NullLogger<SqliteStore>.Instance,
            default
        );

    public async ValueTask DisposeAsync()
    {
        foreach (var dispatcher in dispatchers)
            await dispatcher.StopAsync(new CancellationToken(true)).WithinLimitAsync();
        await store.DisposeAsync();
        folder.Delete(recursive: true);
    }

    DeliveryDispatcher NewDispatcher(EngineLimits? limits = null)
    {
        limits ??= new EngineLimits();
        changes = new ChangeFeed();
        var dispatcher = new DeliveryDispatcher(
            store,
            new DeliverySender(Sending.Loopback, limits, TimeProvider.System),
            new EngineContext(ids, limits, TimeProvider.System, changes, new Pacing(limits, TimeProvider.System)),
            TestSecrets.Concealment(),
            new ServerHold(),
            NullLogger<DeliveryDispatcher>.Instance
        );
        dispatchers.Add(dispatcher);
        return dispatcher;
    }

    async Task<Delivery[]> MakeAsync(params IEnumerable<string> urls)
    {
        var received = new Event(
            new EventId(ids.Next()),
            WorkspaceId.Default,
            workflow.Id,
            "http",
            DateTimeOffset.UtcNow,
            "{}"u8.ToArray()
        );
        var run = new RunId(ids.Next());
        await store.AcceptAsync(new QueuedRun(run, received, 1), default);
        long first = ids.NextBlock(urls.Count());
        return
        [
            .. urls.Select(
                (url, i) =>
                    new Delivery(
                        new DeliveryId(first + i * IdSequence.Stride),
                        run,
                        WorkspaceId.Default,
                        workflow.Id,
                        0,
                        i,
                        Destination.Of(url),
                        Sending.Post(url, $"body {i}"),
                        DeliveryStatus.Pending
                    )
            ),
        ];
    }

    Task CommitAsync(Delivery[] deliveries) =>
        store.FinishRunAsync(
            new Run(
                deliveries[0].RunId,
                default,
                WorkspaceId.Default,
                workflow.Id,
                1,
                "http",
                RunStatus.Succeeded,
                DateTimeOffset.UtcNow,
                default,
                default,
                false,
                false,
                null,
                null,
                null,
                []
            ),
            deliveries,
            default
        );

    async Task<Delivery[]> SendAsync(DeliveryDispatcher dispatcher, params IEnumerable<string> urls)
    {
        var deliveries = await MakeAsync(urls);
        await dispatcher.CommitAsync(
            deliveries,
            async () =>
            {
                await CommitAsync(deliveries);
                return true;
            }
        );
        return deliveries;
    }

    async Task<StoredDelivery> EndOfAsync(Delivery delivery, int attempts = 1)
    {
        StoredDelivery stored = null!;
        await Wait.UntilAsync(
            async () =>
                (stored = (await store.GetDeliveryAsync(delivery.Id, default))!).Delivery.Status
                    is not (DeliveryStatus.Pending or DeliveryStatus.Sending)
                && stored.Attempts.Count >= attempts,
            $"{attempts} attempts of {delivery.Id}"
        );
        return stored;
    }

    static Receiver Silent(TaskCompletionSource? arrived = null) =>
        Receiver.Start(async connection =>
        {
            await connection.ReadRequestAsync();
            arrived?.TrySetResult();
            await connection.HoldAsync();
        });

    [Fact]
    public async Task A_delivery_that_is_committed_while_a_page_of_pending_is_read_is_sent_too()
    {
        await using var receiver = Receiver.Answering(Ok);
        var pending = await MakeAsync(receiver.Url);
        await CommitAsync(pending);
        var (held, hold) = FailingStore.Of(store);
        store = held;
        var (isRead, letGo) = hold.HoldAnswer(nameof(IStore.ListPendingAsync));
        var dispatcher = NewDispatcher();
        await dispatcher.StartAsync(default);
        await isRead.WithinLimitAsync();

        var late = await SendAsync(dispatcher, receiver.Url);
        Assert.Equal(DeliveryStatus.Pending, late[0].Status);
        letGo.SetResult();

        Assert.Equal(DeliveryStatus.Succeeded, (await EndOfAsync(pending[0])).Delivery.Status);
        Assert.Equal(DeliveryStatus.Succeeded, (await EndOfAsync(late[0])).Delivery.Status);
        Assert.Equal(2, receiver.Requests.Count);
    }

    [Fact]
    public async Task Committed_delivery_is_sent_and_recorded()
    {
        await using var receiver = Receiver.Answering(Ok);
        var stored = await EndOfAsync((await SendAsync(NewDispatcher(), receiver.Url))[0]);

        var attempt = Assert.Single(stored.Attempts);
        Assert.Equal((DeliveryStatus.Succeeded, DeliveryStatus.Succeeded, 1), (stored.Delivery.Status, attempt.Status, attempt.Number));
        Assert.EndsWith("\r\n\r\nbody 0", receiver.Request);
    }

    [Fact]
    public async Task Free_place_is_committed_as_sending_and_a_failed_commit_gives_it_back()
    {
        await using var receiver = Receiver.Answering(Ok);
        var dispatcher = NewDispatcher(new EngineLimits { DeliveryMaxPerDestination = 1 });
        var deliveries = await MakeAsync(receiver.Url, receiver.Url);
        await Assert.ThrowsAsync<StoreUnavailableException>(() =>
            dispatcher.CommitAsync(
                deliveries,
                () =>
                {
                    Assert.Equal([DeliveryStatus.Sending, DeliveryStatus.Pending], deliveries.Select(d => d.Status));
                    throw new StoreUnavailableException("the disk is full");
                }
            )
        );

        var next = await MakeAsync(receiver.Url);
        bool isStored = await dispatcher.CommitAsync(
            next,
            () =>
            {
                Assert.Equal(DeliveryStatus.Sending, next[0].Status);
                return Task.FromResult(false);
            }
        );
        Assert.False(isStored);
        Assert.Equal(0, dispatcher.InFlight);
        Assert.Empty(receiver.Requests);
    }

    [Fact]
    public async Task Deliveries_start_in_call_order()
    {
        await using var receiver = Receiver.Answering(Ok);
        var dispatcher = NewDispatcher(new EngineLimits { DeliveryMaxPerDestination = 1 });
        var deliveries = await SendAsync(dispatcher, Enumerable.Repeat(receiver.Url, 50));
        foreach (var delivery in deliveries)
            await EndOfAsync(delivery);
        Assert.Equal(Enumerable.Range(0, 50).Select(i => $"body {i}"), receiver.Requests.Select(request => request.Split("\r\n\r\n")[1]));
    }

    [Fact]
    public async Task One_destination_has_no_more_on_the_wire_than_its_bound()
    {
        const int bound = 4;
        int now = 0,
            most = 0;
        var full = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var receiver = Receiver.Start(async connection =>
        {
            while (await connection.ReadRequestAsync() is not null)
            {
                int seen = Interlocked.Increment(ref now);
                lock (folder)
                    most = Math.Max(most, seen);
                if (seen == bound)
                    full.TrySetResult();
                await full.Task.WaitAsync(connection.Stop);
                Interlocked.Decrement(ref now);
                await connection.WriteAsync(Ok);
            }
        });
        var deliveries = await SendAsync(
            NewDispatcher(new EngineLimits { DeliveryMaxPerDestination = bound }),
            Enumerable.Repeat(receiver.Url, 60)
        );
        foreach (var delivery in deliveries)
            await EndOfAsync(delivery);
        Assert.Equal((bound, 60), (most, receiver.Requests.Count));
    }

    [Fact]
    public async Task Dead_destination_does_not_delay_a_good_one()
    {
        await using var dead = Silent();
        await using var good = Receiver.Answering(Ok);
        var dispatcher = NewDispatcher(
            new EngineLimits
            {
                DeliveryMaxPerDestination = 8,
                DeliveryQueuePerDestination = 20,
                DeliveryDeadline = TimeSpan.FromHours(1),
            }
        );
        await SendAsync(dispatcher, Enumerable.Repeat(dead.Url, 200));
        var deliveries = await SendAsync(dispatcher, Enumerable.Repeat(good.Url, 200));
        var ended = new List<StoredDelivery>();
        foreach (var delivery in deliveries)
            ended.Add(await EndOfAsync(delivery));

        Assert.All(ended, stored => Assert.Equal(DeliveryStatus.Succeeded, stored.Delivery.Status));
        Assert.InRange(dead.Requests.Count, 1, 8);
    }

    [Fact]
    public async Task Many_dead_destinations_do_not_take_the_last_place()
    {
        var dead = Enumerable.Range(0, 10).Select(_ => Silent()).ToArray();
        await using var good = Receiver.Answering(Ok);
        var dispatcher = NewDispatcher(
            new EngineLimits
            {
                DeliveryMaxPerDestination = 8,
                DeliveryMaxConcurrent = 40,
                DeliveryDeadline = TimeSpan.FromHours(1),
            }
        );
        await SendAsync(dispatcher, dead.SelectMany(receiver => Enumerable.Repeat(receiver.Url, 8)));
        var stored = await EndOfAsync((await SendAsync(dispatcher, good.Url))[0]);

        Assert.Equal(DeliveryStatus.Succeeded, stored.Delivery.Status);
        foreach (var receiver in dead)
            await receiver.DisposeAsync();
    }

    [Fact]
    public async Task What_does_not_fit_in_memory_waits_in_the_store_and_goes_out_in_order()
    {
        await using var receiver = Receiver.Answering(Ok);
        var dispatcher = NewDispatcher(new EngineLimits { DeliveryMaxPerDestination = 1, DeliveryQueuePerDestination = 5 });
        var first = await SendAsync(dispatcher, Enumerable.Repeat(receiver.Url, 60));
        var second = await SendAsync(dispatcher, Enumerable.Repeat(receiver.Url, 60));
        foreach (var delivery in first.Concat(second))
            await EndOfAsync(delivery);
        Assert.Equal(
            Enumerable.Range(0, 120).Select(i => $"body {i % 60}"),
            receiver.Requests.Select(request => request.Split("\r\n\r\n")[1])
        );
    }

    [Fact]
    public async Task Many_runs_at_once_have_each_delivery_on_the_wire_once()
    {
        await using var receiver = Receiver.Answering(Ok);
        var dispatcher = NewDispatcher(new EngineLimits { DeliveryMaxPerDestination = 8, DeliveryQueuePerDestination = 10 });
        var runs = await Task.WhenAll(
            Enumerable
                .Range(0, 40)
                .Select(run => Task.Run(() => SendAsync(dispatcher, Enumerable.Range(0, 10).Select(i => $"{receiver.Url}{run}/{i}"))))
        );
        foreach (var delivery in runs.SelectMany(run => run))
            Assert.Single((await EndOfAsync(delivery)).Attempts);
        Assert.Equal(400, receiver.Requests.Count);
        Assert.Equal(400, receiver.Requests.Select(request => request.Split(' ')[1]).Distinct().Count());
    }

    [Fact]
    public async Task Pending_goes_out_after_a_restart_and_what_was_on_the_wire_is_interrupted()
    {
        await using var receiver = Receiver.Answering(Ok);
        var sending = await MakeAsync(receiver.Url);
        sending[0] = sending[0] with { Status = DeliveryStatus.Sending };
        await CommitAsync(sending);
        var pending = await MakeAsync(receiver.Url, receiver.Url);
        await CommitAsync(pending);
        await store.DisposeAsync();
        store = await OpenAsync();

        await NewDispatcher().StartAsync(default);
        foreach (var delivery in pending)
            Assert.Equal(DeliveryStatus.Succeeded, (await EndOfAsync(delivery)).Delivery.Status);
        var interrupted = (await store.GetDeliveryAsync(sending[0].Id, default))!;
        Assert.Equal(
            (DeliveryStatus.Interrupted, AttemptErrorCode.Interrupted),
            (interrupted.Delivery.Status, interrupted.Delivery.Error!.Code)
        );
        Assert.Equal(2, receiver.Requests.Count);
    }

    [Fact]
    public async Task Orderly_stop_finishes_what_is_on_the_wire_and_leaves_the_rest_pending()
    {
        var arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var answer = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var receiver = Receiver.Start(async connection =>
        {
            await connection.ReadRequestAsync();
            arrived.TrySetResult();
            await answer.Task;
            await connection.WriteAsync(Ok);
        });
        var dispatcher = NewDispatcher(new EngineLimits { DeliveryMaxPerDestination = 1 });
        var deliveries = await SendAsync(dispatcher, receiver.Url, receiver.Url);
        await arrived.Task;
        var stopping = dispatcher.StopAsync(default);
        Assert.False(stopping.IsCompleted);
        answer.SetResult();
        await stopping;

        Assert.Equal(DeliveryStatus.Succeeded, (await store.GetDeliveryAsync(deliveries[0].Id, default))!.Delivery.Status);
        Assert.Equal(DeliveryStatus.Pending, (await store.GetDeliveryAsync(deliveries[1].Id, default))!.Delivery.Status);
        Assert.Single(receiver.Requests);
    }

    [Fact]
    public async Task Stop_out_of_patience_records_what_is_on_the_wire_as_interrupted()
    {
        var arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var receiver = Silent(arrived);
        var dispatcher = NewDispatcher();
        var deliveries = await SendAsync(dispatcher, receiver.Url);
        await arrived.Task;
        await dispatcher.StopAsync(new CancellationToken(canceled: true));

        var stored = (await store.GetDeliveryAsync(deliveries[0].Id, default))!;
        Assert.Equal(
            (DeliveryStatus.Interrupted, AttemptErrorCode.Interrupted),
            (stored.Delivery.Status, Assert.Single(stored.Attempts).Error!.Code)
        );
    }

    [Fact]
    public async Task Resend_is_a_new_attempt_of_the_same_delivery()
    {
        await using var receiver = Receiver.Answering("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n");
        var dispatcher = NewDispatcher();
        var delivery = (await SendAsync(dispatcher, receiver.Url))[0];
        await EndOfAsync(delivery);
        Assert.True(await dispatcher.ResendAsync(delivery.Id, Enum.GetValues<DeliveryStatus>(), default));

        var stored = await EndOfAsync(delivery, attempts: 2);
        Assert.Equal([1, 2], stored.Attempts.Select(attempt => attempt.Number));
        Assert.Equal(2, receiver.Requests.Count);
    }

    [Fact]
    public async Task Resend_of_what_is_under_way_or_unknown_is_refused()
    {
        var arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var receiver = Silent(arrived);
        var dispatcher = NewDispatcher();
        var delivery = (await SendAsync(dispatcher, receiver.Url))[0];
        await arrived.Task;
        Assert.False(await dispatcher.ResendAsync(delivery.Id, Enum.GetValues<DeliveryStatus>(), default));
        Assert.False(await dispatcher.ResendAsync(new DeliveryId(1), Enum.GetValues<DeliveryStatus>(), default));
        Assert.Single(receiver.Requests);
    }

    [Fact]
    public async Task Blocked_delivery_ends_without_an_attempt()
    {
        var dispatcher = NewDispatcher();
        var delivery = (await SendAsync(dispatcher, "http://10.0.0.1/"))[0];
        var stored = await EndOfAsync(delivery, attempts: 0);
        Assert.Equal(
            (DeliveryStatus.Blocked, AttemptErrorCode.BlockedByEgressPolicy),
            (stored.Delivery.Status, stored.Delivery.Error!.Code)
        );
        Assert.Empty(stored.Attempts);
    }

    [Fact]
    public async Task Change_is_told_to_those_who_listen()
    {
        await using var receiver = Receiver.Answering(Ok);
        var dispatcher = NewDispatcher();
        var ct = Wait.Token;
        await using var listening = changes.ListenAsync(ct).GetAsyncEnumerator(ct);
        var next = listening.MoveNextAsync();
        var delivery = (await SendAsync(dispatcher, receiver.Url))[0];
        Assert.True(await next);
        Assert.Equal(new DeliveryChange(delivery.RunId, delivery.Id, DeliveryStatus.Succeeded), listening.Current);
    }
}
