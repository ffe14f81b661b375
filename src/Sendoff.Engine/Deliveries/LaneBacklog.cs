namespace Sendoff.Engine.Deliveries;

/// <summary>A queued delivery, with the start of its wait and its share in the pace.</summary>
readonly record struct WaitingDelivery(Delivery Delivery, long Since, PaceTicket Pace)
{
    // Approximate size of its objects.
    const int Overhead = 1_024;

    public int Bytes { get; } = Overhead + Delivery.Request.Bytes;
}

/// <summary>The location of a destination's pending deliveries.</summary>
enum BacklogState
{
    /// <summary>All are in memory.</summary>
    InMemory,

    /// <summary>More are in the store than in memory.</summary>
    InStore,

    /// <summary>The next page is being read from the store.</summary>
    Reading,

    /// <summary>A page is being read that may lack deliveries that were left in the store in the meantime.</summary>
    ReadingBehind,
}

/// <summary>The pending deliveries of one destination, in call order: the first of them in memory, the rest in the store. The dispatcher
/// reads the store and holds the lock.</summary>
sealed class LaneBacklog
{
    const int ReadMost = 500,
        ReadLeast = 8,
        ReadBytes = 1024 * 1024;

    readonly Queue<WaitingDelivery> waiting = new();

    // Queued deliveries, and taken ones that are not marked yet: the store still has both as pending.
    readonly HashSet<DeliveryId> held = [];

    // The page that is being read begins after the first id. It may lack deliveries after the second id, which were left in the store in
    // the meantime.
    DeliveryId readAfter,
        missedAfter;

    public BacklogState State { get; private set; }

    /// <summary>The number and size of queued deliveries in memory.</summary>
    public int Count => waiting.Count;
    public long Bytes { get; private set; }

    public bool IsEmpty => State == BacklogState.InMemory && waiting.Count == 0;

    /// <summary>The store's deliveries up to this one are or were in memory. Reading continues after it.</summary>
    public DeliveryId Last { get; private set; }

    /// <summary>The size of a page. The size of the bodies is known only after the first page was read.</summary>
    public int PageSize { get; private set; } = 32;

    /// <summary>Whether to add a committed delivery to memory. If not, it is already there or stays in the store.</summary>
    public bool Takes(DeliveryId delivery, bool hasRoom)
    {
        if (held.Contains(delivery))
        {
            if (State == BacklogState.InMemory)
                PassOver(delivery);
            return false;
        }
        // A delivery after those in the store stays there too. An older one, such as a resend, comes before them.
        if (hasRoom && (State == BacklogState.InMemory || delivery.Value <= Last.Value))
            return true;
        LeaveFrom(delivery);
        return false;
    }

    /// <summary>Adds a delivery that <see cref="Takes"/> has accepted.</summary>
    public void Add(in WaitingDelivery delivery)
    {
        waiting.Enqueue(delivery);
        held.Add(delivery.Delivery.Id);
        Bytes += delivery.Bytes;
        PassOver(delivery.Delivery.Id);
    }

    /// <summary>The store has pending deliveries from this one on that are not in memory.</summary>
    public void LeaveFrom(DeliveryId first)
    {
        var before = new DeliveryId(first.Value - 1);
        Last = Earlier(Last, before);
        missedAfter = Earlier(missedAfter, before);
        State = State is BacklogState.InMemory or BacklogState.InStore ? BacklogState.InStore : BacklogState.ReadingBehind;
    }

    /// <summary>Begins to read the next page, after the returned delivery.</summary>
    public DeliveryId BeginRead()
    {
        if (State != BacklogState.InStore)
            throw new InvalidOperationException($"a page cannot be read while the backlog is {State}");
        State = BacklogState.Reading;
        missedAfter = new(long.MaxValue);
        return readAfter = Last;
    }

    /// <summary>Ends reading. The page is offered one delivery at a time, unless reading was reset in the meantime, which makes the page
    /// outdated.</summary>
    /// <param name="offer">Adds the delivery if <see cref="Takes"/> accepts it.</param>
    public void EndRead(IReadOnlyList<Delivery> page, Action<Delivery> offer)
    {
        bool mayLack = State == BacklogState.ReadingBehind || page.Count == PageSize;
        var missed = missedAfter;
        State = BacklogState.InMemory;
        if (Last.Value >= readAfter.Value)
            foreach (var delivery in page)
                offer(delivery);
        if (mayLack)
            State = BacklogState.InStore;
        Last = Earlier(Last, missed);
        Measure(page);
    }

    /// <summary>Takes the first delivery in memory. The store has it as pending until it is marked.</summary>
    public WaitingDelivery Take()
    {
        var next = waiting.Dequeue();
        Bytes -= next.Bytes;
        return next;
    }

    /// <summary>The store no longer has these as pending.</summary>
    public void Forget(List<WaitingDelivery> taken)
    {
        foreach (var one in taken)
            held.Remove(one.Delivery.Id);
    }

    static DeliveryId Earlier(DeliveryId one, DeliveryId other) => one.Value < other.Value ? one : other;

    void PassOver(DeliveryId delivery)
    {
        if (delivery.Value > Last.Value)
            Last = delivery;
    }

    void Measure(IReadOnlyList<Delivery> page)
    {
        if (page.Count == 0)
            return;
        long bytes = page.Sum(static delivery => (long)delivery.Request.Bytes);
        PageSize = (int)Math.Clamp(ReadBytes / Math.Max(1, bytes / page.Count), ReadLeast, ReadMost);
    }
}
