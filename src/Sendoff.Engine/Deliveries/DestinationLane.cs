namespace Sendoff.Engine.Deliveries;

/// <summary>A delivery that waits for a sender, since when, and what it counts in the server's pace.</summary>
readonly record struct WaitingDelivery(Delivery Delivery, long Since, PaceTicket Pace)
{
    // What its objects take, about.
    const int Overhead = 1_024;

    public int Bytes { get; } = Overhead + Delivery.Request.Bytes;
}

/// <summary>The deliveries of one destination: how many are on the wire, and which wait, in call order. Guarded by the dispatcher's
/// gate.</summary>
sealed class DestinationLane(string destination)
{
    const double SlowMs = 500;
    const int ReadMost = 500,
        ReadLeast = 8,
        ReadBytes = 1024 * 1024;

    readonly Queue<WaitingDelivery> waiting = new();

    // Those that wait, and those that are granted and not marked yet: the store still has them as pending.
    readonly HashSet<DeliveryId> held = [];

    public string Destination => destination;

    /// <summary>One at a time, in order.</summary>
    public bool IsSerial { get; } = SendKinds.IsSerial(destination);

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

    /// <summary>What the store has up to this one is, or was, in memory; reading goes on behind it.</summary>
    public DeliveryId Last { get; private set; }

    /// <summary>How many to read back at once: what large bodies take in memory is known only when they are read.</summary>
    public int ReadAtOnce { get; private set; } = 32;

    /// <summary>Its part in the server's pace.</summary>
    public PaceShare Pace { get; } = new(SlowMs);
    public int Waiting => waiting.Count;

    /// <summary>Bytes that those which wait take in memory.</summary>
    public long WaitingBytes { get; private set; }
    public bool IsIdle => Senders == 0 && waiting.Count == 0 && !HasMoreInStore && !IsReading;

    public bool Holds(DeliveryId delivery) => held.Contains(delivery);

    public void Add(WaitingDelivery delivery)
    {
        waiting.Enqueue(delivery);
        held.Add(delivery.Delivery.Id);
        WaitingBytes += delivery.Bytes;
        PassOver(delivery.Delivery.Id);
    }

    /// <summary>Reading goes on behind this one, which is in memory.</summary>
    public void PassOver(DeliveryId delivery)
    {
        if (delivery.Value > Last.Value)
            Last = delivery;
    }

    /// <summary>Reading goes back to one that is left to the store.</summary>
    public void GoBackTo(DeliveryId delivery)
    {
        if (delivery.Value <= Last.Value)
            Last = new(delivery.Value - 1);
    }

    /// <summary>They are marked as sending, or are not pending any more.</summary>
    public void Drop(List<WaitingDelivery> granted)
    {
        foreach (var one in granted)
            held.Remove(one.Delivery.Id);
    }

    /// <summary>Gives the next one a sender, and answers the bytes that wait no more.</summary>
    public int Grant()
    {
        var next = waiting.Dequeue();
        Granted.Add(next);
        Senders++;
        WaitingBytes -= next.Bytes;
        return next.Bytes;
    }

    public void MeasureRead(int count, long bytes)
    {
        if (count > 0)
            ReadAtOnce = (int)Math.Clamp(ReadBytes / Math.Max(1, bytes / count), ReadLeast, ReadMost);
    }

    public List<WaitingDelivery> TakeGranted()
    {
        var taken = Granted;
        Granted = [];
        return taken;
    }
}
