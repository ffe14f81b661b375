namespace Sendoff.Engine.Deliveries;

/// <summary>Takes committed deliveries to their attempts: fairly by destination, bounded in each and in total (B5).</summary>
public sealed class DeliveryDispatcher
{
    public int Congestion => throw new NotImplementedException();
    public IReadOnlyList<Delivery> Reserve(IReadOnlyList<Delivery> deliveries) => throw new NotImplementedException();
    public void Release(IReadOnlyList<Delivery> deliveries) => throw new NotImplementedException();
    public void Start(IReadOnlyList<Delivery> deliveries) => throw new NotImplementedException();
    /// <summary>Sends a delivery again by hand: a new attempt of the same delivery. False when there is none, or it is under way.</summary>
    public Task<bool> ResendAsync(DeliveryId delivery, CancellationToken ct) => throw new NotImplementedException();
}

static class Destination { public static string Of(string url) => throw new NotImplementedException(); }
