namespace Sendoff.Engine.Deliveries;

/// <summary>Makes one attempt of a delivery of one kind and returns the result. Does not throw for network errors.</summary>
public delegate Task<Attempt> AttemptMaker(Delivery delivery, int number, double queueMs, CancellationToken shutdown);

/// <summary>The senders of each kind.</summary>
public sealed class DeliverySenders(DeliverySender http, IReadOnlyDictionary<SendKind, AttemptMaker> others)
{
    static readonly IReadOnlyDictionary<SendKind, AttemptMaker> none = new Dictionary<SendKind, AttemptMaker>();

    /// <summary>Makes one attempt, like <see cref="DeliverySender.SendAsync"/>.</summary>
    public Task<Attempt> SendAsync(Delivery delivery, int number, double queueMs, CancellationToken shutdown) =>
        SendKinds.KindOf(delivery.Request.Url) is var kind and not SendKind.Http && others.TryGetValue(kind, out var make)
            ? make(delivery, number, queueMs, shutdown)
            : http.SendAsync(delivery, number, queueMs, shutdown);

    /// <inheritdoc cref="DeliverySender.Unreadable"/>
    public Attempt Unreadable(Delivery delivery, int number, double queueMs, Secrets.SealedException reason) =>
        http.Unreadable(delivery, number, queueMs, reason);

    /// <summary>Only HTTP.</summary>
    public static implicit operator DeliverySenders(DeliverySender http) => new(http, none);
}
