namespace Sendoff.Engine.Deliveries;

/// <summary>The deliveries of one destination: how many are on the wire, and which wait. Guarded by the dispatcher's gate.</summary>
sealed class DestinationLane(string destination)
{
    const double SlowMs = 500;

    List<WaitingDelivery> granted = [];

    public string Destination => destination;

    /// <summary>One at a time, in order.</summary>
    public bool IsSerial { get; } = SendKinds.IsSerial(destination);

    public LaneBacklog Backlog { get; } = new();

    /// <summary>Senders that it holds, from the grant to the end of the attempt.</summary>
    public int Senders { get; set; }

    /// <summary>A group of granted deliveries is being marked; the next group gathers.</summary>
    public bool IsMarking { get; set; }
    public bool IsInTurn { get; set; }

    /// <summary>Its part in the server's pace.</summary>
    public PaceShare Pace { get; } = new(SlowMs);

    public bool IsIdle => Senders == 0 && Backlog.IsEmpty;

    /// <summary>Gives the next delivery a sender. It is to be marked as sending.</summary>
    public WaitingDelivery Grant()
    {
        var next = Backlog.Take();
        granted.Add(next);
        Senders++;
        return next;
    }

    /// <summary>The deliveries granted since the last call.</summary>
    public List<WaitingDelivery> TakeGranted()
    {
        var taken = granted;
        granted = [];
        return taken;
    }
}
