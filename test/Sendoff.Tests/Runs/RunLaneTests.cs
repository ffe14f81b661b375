using Sendoff.Engine.Runs;

namespace Sendoff.Tests.Runs;

/// <summary>The places of one workflow, and the memory for events that wait.</summary>
public sealed class RunLaneTests
{
    static readonly WorkflowId workflow = new(1);
    readonly EventMemory memory = new(10);

    RunLane NewLane() => new(workflow, memory);

    static Waiting NewRun(long id, int bytes = 1) =>
        new(new(new(id), new Event(new(id), WorkspaceId.Default, workflow, "http", default, new byte[bytes]), 1), null);

    static LeftRun Left(long id) => new(new(id), new(id), 1, false, false, null);

    [Fact]
    public void A_place_that_is_left_is_taken_again()
    {
        var lane = NewLane();
        Assert.True(lane.TryAdmit(2));
        Assert.True(lane.TryAdmit(2));
        Assert.False(lane.TryAdmit(2));

        lane.Leave();

        Assert.True(lane.TryAdmit(2));
        Assert.False(lane.TryAdmit(2));
    }

    [Fact]
    public void Runs_wait_in_order_when_all_places_are_taken_and_the_last_gives_its_place_back()
    {
        var lane = NewLane();
        Assert.True(lane.TryStart(NewRun(1), 1));
        Assert.False(lane.TryStart(NewRun(2), 1));
        Assert.False(lane.TryStart(NewRun(3), 1));

        Assert.Equal(new RunId(2), lane.Next()!.Run.Id);
        Assert.Equal(new RunId(3), lane.Next()!.Run.Id);
        Assert.Null(lane.Next());

        Assert.True(lane.TryStart(NewRun(4), 1));
    }

    [Fact]
    public void What_an_earlier_server_left_has_places_of_its_own_which_are_given_back()
    {
        var lane = NewLane();
        Assert.True(lane.TryStart(NewRun(1), 1));
        Assert.Equal(new RunId(2), lane.AddLeft(Left(2), 1)!.Run.Id);
        Assert.Null(lane.AddLeft(Left(3), 1));
        Assert.Equal(new RunId(3), lane.NextLeft()!.Run.Id);
        Assert.Null(lane.NextLeft());

        Assert.Equal(new RunId(4), lane.AddLeft(Left(4), 1)!.Run.Id);
    }

    [Fact]
    public void Event_that_finds_no_memory_waits_without_its_bytes_and_takes_none()
    {
        var lane = NewLane();
        Assert.True(lane.TryStart(NewRun(1, 5), 1));
        Assert.False(lane.TryStart(NewRun(2, 6), 1));
        Assert.False(lane.TryStart(NewRun(3, 5), 1));
        Assert.False(lane.TryStart(NewRun(4, 4), 1));

        Assert.Equal(10, memory.Taken);
        Assert.Equal((6, 0, 4), (lane.Next()!.Run.Event.Bytes, lane.Next()!.Run.Event.Bytes, lane.Next()!.Run.Event.Bytes));
        Assert.Equal(0, memory.Taken);
    }
}
