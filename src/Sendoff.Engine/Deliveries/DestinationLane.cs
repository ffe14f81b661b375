namespace Sendoff.Engine.Deliveries;

/// <summary>The deliveries of one destination: the number in flight, and the queue. Guarded by the dispatcher's lock.</summary>
sealed class DestinationLane(string destination)
{
    const double SlowMs = 500;

    List<WaitingDelivery> granted = [];

    public string Destination => destination;

    /// <summary>Sends one at a time, in order.</summary>
    public bool IsSerial { get; } = SendKinds.IsSerial(destination);

    public LaneBacklog Backlog { get; } = new();

    /// <summary>Senders in use, from the grant to the end of the attempt.</summary>
    public int Senders { get; set; }

    /// <summary>A group of granted deliveries is being marked while the next group is collected.</summary>
    public bool IsMarking { get; set; }
    public bool IsInTurn { get; set; }

    /// <summary>Its share in the server's pace.</summary>
    public PaceShare Pace { get; } = new(SlowMs);

    public bool IsIdle => Senders == 0 && Backlog.IsEmpty;

    /// <summary>Gives the next delivery a sender. The caller marks it as sending.</summary>
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
