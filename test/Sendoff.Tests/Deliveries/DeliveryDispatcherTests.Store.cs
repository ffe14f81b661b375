using Sendoff.Engine;
using Sendoff.Engine.Storage;
using Sendoff.Tests.Runs;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

/// <summary>What waits in the store and what waits in memory, where the two meet.</summary>
public sealed partial class DeliveryDispatcherTests
{
    /// <summary>A receiver that answers a request for each permit.</summary>
    sealed class Gated : IAsyncDisposable
    {
        readonly SemaphoreSlim permits = new(0);
        int answered;

        public Gated() =>
            Receiver = Receiver.Start(async connection =>
            {
                while (await connection.ReadRequestAsync() is not null)
                {
                    await permits.WaitAsync(connection.Stop);
                    Interlocked.Increment(ref answered);
                    await connection.WriteAsync(Ok);
                }
            });

        public Receiver Receiver { get; }

        public void Open() => permits.Release(1_000);

        /// <summary>Lets so many requests be answered, and waits until another one is on the wire.</summary>
        public async Task NextAsync(int count = 1)
        {
            int before = Volatile.Read(ref answered);
            permits.Release(count);
            await Wait.UntilAsync(() => Volatile.Read(ref answered) == before + count && Receiver.Requests.Count == before + count + 1);
        }

        public ValueTask DisposeAsync() => Receiver.DisposeAsync();
    }

    static readonly DeliveryStatus[] all = Enum.GetValues<DeliveryStatus>();

    /// <summary>Deliveries that were sent once, for tests that resend them; oldest first.</summary>
    async Task<Delivery[]> SentAsync(string url, int count)
    {
        var deliveries = await MakeAsync(Enumerable.Repeat(url, count));
        await CommitAsync([.. deliveries.Select(static delivery => delivery with { Status = DeliveryStatus.Failed })]);
        return deliveries;
    }

    FailingStore HoldableStore()
    {
        var (held, hold) = FailingStore.Of(store);
        store = held;
        return hold;
    }

    async Task AssertSentOnceAsync(Gated gated, IEnumerable<Delivery> deliveries)
    {
        foreach (var delivery in deliveries)
            Assert.Equal(
                (DeliveryStatus.Succeeded, 1),
                await EndOfAsync(delivery) is var one ? (one.Delivery.Status, one.Attempts.Count) : default
            );
        Assert.Equal(gated.Receiver.Requests.Count, gated.Receiver.Requests.Distinct().Count());
    }

    [Fact]
    public async Task Resend_that_finds_no_room_while_a_page_is_read_is_sent_with_what_is_on_the_page()
    {
        await using var gated = new Gated();
        var sent = await SentAsync(gated.Receiver.Url + "sent", 2);
        var hold = HoldableStore();
        var dispatcher = NewDispatcher(
            new EngineLimits
            {
                DeliveryMaxPerDestination = 1,
                DeliveryQueuePerDestination = 1,
                DeliveryDeadline = TimeSpan.FromHours(1),
            }
        );
        var (isRead, letGo) = hold.HoldAnswer(nameof(IStore.ListPendingAsync));
        // on the wire, in memory, and in the store
        var first = await SendAsync(dispatcher, Enumerable.Repeat(gated.Receiver.Url + "first", 3));
        await gated.NextAsync();
        await isRead.WithinLimitAsync(); // the third is on the page

        Assert.True(await dispatcher.ResendAsync(sent[1].Id, all, default)); // has room
        Assert.True(await dispatcher.ResendAsync(sent[0].Id, all, default)); // has none: it is left to the store, before the page
        await gated.NextAsync(); // now the page has room
        letGo.SetResult();
        gated.Open();

        await AssertSentOnceAsync(gated, [.. first, .. sent]);
    }

    [Fact]
    public async Task Delivery_that_has_waited_and_was_sent_is_sent_again_while_others_of_its_destination_are_under_way()
    {
        await using var gated = new Gated();
        var dispatcher = NewDispatcher(new EngineLimits { DeliveryMaxPerDestination = 1, DeliveryDeadline = TimeSpan.FromHours(1) });
        var first = await SendAsync(dispatcher, Enumerable.Repeat(gated.Receiver.Url + "first", 3));
        await gated.NextAsync();
        await gated.NextAsync();
        await EndOfAsync(first[1]);

        Assert.True(await dispatcher.ResendAsync(first[1].Id, all, default));
        gated.Open();

        Assert.Equal([1, 2], (await EndOfAsync(first[1], attempts: 2)).Attempts.Select(attempt => attempt.Number));
    }

    [Fact]
    public async Task Delivery_that_is_left_to_the_store_is_not_passed_over_for_one_behind_it_that_is_in_memory()
    {
        await using var gated = new Gated();
        var sent = await SentAsync(gated.Receiver.Url + "sent", 4);
        var hold = HoldableStore();
        var dispatcher = NewDispatcher(
            new EngineLimits
            {
                DeliveryMaxPerDestination = 1,
                DeliveryQueuePerDestination = 4,
                DeliveryDeadline = TimeSpan.FromHours(1),
            }
        );
        var (isRead, letGo) = hold.HoldAnswer(nameof(IStore.ListPendingAsync));
        var first = await SendAsync(dispatcher, Enumerable.Repeat(gated.Receiver.Url + "first", 5)); // one on the wire, four in memory
        Assert.True(await dispatcher.ResendAsync(sent[3].Id, all, default)); // has no room
        await gated.NextAsync();
        await gated.NextAsync();
        await gated.NextAsync();
        await isRead.WithinLimitAsync(); // the page: what was left to the store, and the last one of those in memory

        foreach (var older in sent[..3])
            Assert.True(await dispatcher.ResendAsync(older.Id, all, default)); // the memory is full again
        letGo.SetResult();
        gated.Open();

        await AssertSentOnceAsync(gated, [.. first, .. sent]);
    }

    [Fact]
    public async Task Delivery_whose_workflow_is_deleted_while_it_waits_in_memory_is_not_sent()
    {
        await using var gated = new Gated();
        var dispatcher = NewDispatcher(new EngineLimits { DeliveryMaxPerDestination = 1 });
        await SendAsync(dispatcher, Enumerable.Repeat(gated.Receiver.Url, 3));
        await Wait.UntilAsync(() => gated.Receiver.Requests.Count == 1);
        await store.DeleteWorkflowAsync("orders", default);
        gated.Open();

        await Wait.UntilAsync(() => dispatcher.InFlight + dispatcher.Waiting.Count == 0);
        Assert.Single(gated.Receiver.Requests);
    }
}
