using CsCheck;
using Sendoff.Engine.Deliveries;

namespace Sendoff.Tests.Deliveries;

public sealed class LaneBacklogTests
{
    readonly LaneBacklog backlog = new();

    static Delivery Pending(int id) =>
        new(
            new(id),
            new(1),
            WorkspaceId.Default,
            new(1),
            0,
            0,
            "http://a",
            new HttpSend("POST", "http://a/", [], default),
            DeliveryStatus.Pending
        );

    static Delivery[] Page(params int[] ids) => [.. ids.Select(Pending)];

    void Offer(int id, bool hasRoom = true)
    {
        if (backlog.Takes(new(id), hasRoom))
            backlog.Add(new(Pending(id), 0, default));
    }

    void EndRead(params int[] page) => backlog.EndRead(Page(page), delivery => Offer((int)delivery.Id.Value));

    List<long> TakeAll()
    {
        List<WaitingDelivery> taken = [];
        while (backlog.Count > 0)
            taken.Add(backlog.Take());
        backlog.Forget(taken);
        return [.. taken.Select(static one => one.Delivery.Id.Value)];
    }

    [Fact]
    public void With_room_all_are_in_memory_in_order()
    {
        Offer(1);
        Offer(2);
        Assert.Equal((BacklogState.InMemory, 2), (backlog.State, backlog.Count));
        Assert.Equal([1, 2], TakeAll());
        Assert.True(backlog.IsEmpty);
        Assert.Equal(0, backlog.Bytes);
    }

    [Fact]
    public void Without_room_it_stays_in_the_store_and_so_does_every_later_one()
    {
        Offer(1);
        Offer(2, hasRoom: false);
        Offer(3);
        Assert.Equal((BacklogState.InStore, 1), (backlog.State, backlog.Count));
        Assert.Equal(1, backlog.BeginRead().Value);
        EndRead(2, 3);
        Assert.Equal((BacklogState.InMemory, 3), (backlog.State, backlog.Count));
        Assert.Equal([1, 2, 3], TakeAll());
    }

    [Fact]
    public void One_that_is_older_than_those_in_the_store_goes_in_front_of_them()
    {
        Offer(5);
        Offer(6, hasRoom: false);
        Offer(2);
        Assert.Equal((BacklogState.InStore, 2), (backlog.State, backlog.Count));
        Assert.Equal(5, backlog.BeginRead().Value);
    }

    [Fact]
    public void What_is_committed_while_a_page_is_read_is_read_after_it()
    {
        Offer(1, hasRoom: false);
        backlog.BeginRead();
        Offer(2);
        Assert.Equal(BacklogState.ReadingBehind, backlog.State);
        EndRead(1);
        Assert.Equal(BacklogState.InStore, backlog.State);
        Assert.Equal(1, backlog.BeginRead().Value);
        EndRead(2);
        Assert.Equal([1, 2], TakeAll());
    }

    [Fact]
    public void A_page_is_dropped_when_reading_went_back_behind_its_beginning()
    {
        Offer(5);
        Offer(6, hasRoom: false);
        backlog.BeginRead();
        backlog.LeaveFrom(new(3));
        EndRead(6);
        Assert.Equal((BacklogState.InStore, 1), (backlog.State, backlog.Count));
        Assert.Equal(2, backlog.BeginRead().Value);
        EndRead(3, 5, 6);
        Assert.Equal([5, 3, 6], TakeAll());
    }

    [Fact]
    public void One_that_is_resent_while_a_page_is_read_is_not_passed_over_by_the_page()
    {
        backlog.LeaveFrom(new(1));
        backlog.BeginRead();
        Offer(2, hasRoom: false);
        EndRead(1, 5);
        Assert.Equal(1, backlog.BeginRead().Value);
        EndRead(2, 5);
        Assert.Equal((BacklogState.InMemory, 5), (backlog.State, backlog.Last.Value));
        Assert.Equal([1, 5, 2], TakeAll());
    }

    [Fact]
    public void One_that_was_taken_and_is_not_marked_yet_is_not_taken_again()
    {
        Offer(1);
        var taken = backlog.Take();
        Offer(1);
        Assert.Equal(0, backlog.Count);
        backlog.Forget([taken]);
        Offer(1);
        Assert.Equal(1, backlog.Count);
    }

    [Fact]
    public void One_that_is_held_does_not_hide_older_ones_of_the_store()
    {
        Offer(5);
        backlog.LeaveFrom(new(3));
        Offer(5);
        Assert.Equal(2, backlog.BeginRead().Value);
    }

    [Fact]
    public void A_full_page_is_not_the_last()
    {
        backlog.LeaveFrom(new(1));
        backlog.BeginRead();
        EndRead([.. Enumerable.Range(1, backlog.PageSize)]);
        Assert.Equal(BacklogState.InStore, backlog.State);
    }

    [Fact]
    public void Two_pages_are_never_read_at_once()
    {
        Assert.Throws<InvalidOperationException>(() => backlog.BeginRead());
        Offer(1, hasRoom: false);
        backlog.BeginRead();
        Assert.Throws<InvalidOperationException>(() => backlog.BeginRead());
    }

    /// <summary>A store and a backlog: commits, resends, pages and grants in any order, with memory for a few. In the end each delivery was
    /// granted as often as it became pending.</summary>
    [Fact]
    public void In_any_order_of_events_each_delivery_is_granted_once() =>
        Gen.Select(Gen.Int[0, 5], Gen.Int[0, 100])
            .Array[0, 60]
            .Sample(
                steps =>
                {
                    var lane = new LaneBacklog();
                    SortedSet<long> pending = [];
                    List<long> ended = [];
                    List<WaitingDelivery> taken = [];
                    List<Delivery>? page = null;
                    int expected = 0,
                        granted = 0,
                        next = 1;
                    void Wait(long id)
                    {
                        if (lane.Takes(new(id), lane.Count < 3))
                            lane.Add(new(Pending((int)id), 0, default));
                    }
                    void BeginRead()
                    {
                        long after = lane.BeginRead().Value;
                        page = [.. pending.Where(id => id > after).Take(lane.PageSize).Select(id => Pending((int)id))];
                    }
                    void EndRead()
                    {
                        lane.EndRead(page!, delivery => Wait(delivery.Id.Value));
                        page = null;
                    }
                    void Mark()
                    {
                        foreach (var one in taken.Where(one => pending.Remove(one.Delivery.Id.Value)))
                        {
                            granted++;
                            ended.Add(one.Delivery.Id.Value);
                        }
                        lane.Forget(taken);
                        taken = [];
                    }
                    foreach (var (kind, number) in steps)
                    {
                        switch (kind)
                        {
                            case 0 when pending.Add(next):
                                expected++;
                                Wait(next++);
                                break;
                            case 1 when ended.Count > 0 && ended[number % ended.Count] is var again && pending.Add(again):
                                expected++;
                                Wait(again);
                                break;
                            case 2 when lane.Count > 0:
                                taken.Add(lane.Take());
                                break;
                            case 3:
                                Mark();
                                break;
                            case 4 when lane.State == BacklogState.InStore:
                                BeginRead();
                                break;
                            case 5 when page is not null:
                                EndRead();
                                break;
                        }
                    }
                    for (int left = 1_000; left > 0 && (!lane.IsEmpty || taken.Count > 0); left--)
                    {
                        while (lane.Count > 0)
                            taken.Add(lane.Take());
                        Mark();
                        if (page is not null)
                            EndRead();
                        else if (lane.State == BacklogState.InStore)
                            BeginRead();
                    }
                    return granted == expected && pending.Count == 0;
                },
                print: steps => string.Join(' ', steps)
            );
}
