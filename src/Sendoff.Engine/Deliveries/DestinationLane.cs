namespace Sendoff.Engine.Deliveries;

/// <summary>A delivery that waits for a sender, since when, and whether the server's pace depends on it.</summary>
readonly record struct WaitingDelivery(Delivery Delivery, long Since, bool IsPaced);

/// <summary>The deliveries of one destination: how many are on the wire, and which wait, in call order. Guarded by the dispatcher's gate.</summary>
sealed class DestinationLane(string destination)
{
    // A destination that answers this slowly is not what the server's pace depends on.
    const double SlowMs = 500, Weight = 0.1;

    readonly Queue<WaitingDelivery> waiting = new();
    double averageMs;

    public string Destination => destination;
    /// <summary>Senders that it holds, from the grant to the end of the attempt.</summary>
    public int Senders { get; set; }
    /// <summary>Granted and to be marked as sending.</summary>
    public List<WaitingDelivery> Granted { get; private set; } = [];
    /// <summary>A group of granted deliveries is being marked; the next group gathers.</summary>
    public bool IsMarking { get; set; }
    public bool IsInTurn { get; set; }
    /// <summary>More wait in the store than in memory.</summary>
    public bool HasMoreInStore { get; set; }
    public bool IsReading { get; set; }
    /// <summary>One was left to the store since the last reading began.</summary>
    public bool HasSkipped { get; set; }
    /// <summary>The newest that has ever been in memory.</summary>
    public DeliveryId Last { get; private set; }

    public bool IsSlow => averageMs > SlowMs;
    public int Waiting => waiting.Count;
    public bool IsIdle => Senders == 0 && waiting.Count == 0 && !HasMoreInStore && !IsReading;

    public void Add(WaitingDelivery delivery)
    {
        waiting.Enqueue(delivery);
        if (delivery.Delivery.Id.Value > Last.Value) Last = delivery.Delivery.Id;
    }

    public void Grant()
    {
        Granted.Add(waiting.Dequeue());
        Senders++;
    }

    public List<WaitingDelivery> TakeGranted()
    {
        var taken = Granted;
        Granted = [];
        return taken;
    }

    public void Measure(double ms) => averageMs += Weight * (ms - averageMs);
}
