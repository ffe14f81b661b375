namespace Sendoff.Engine.Storage;

/// <summary>Emitted and streamed events (F7): the newest ones of each workflow and kind, in the order of publication. Pruning keeps them;
/// they are deleted with their workflow.</summary>
public interface IPublications
{
    /// <summary>Publishes a delivery's payload with the next number, once for each <paramref name="attempt"/>, and keeps at most
    /// <paramref name="most"/>. Returns false if the delivery is deleted.</summary>
    Task<bool> PublishAsync(DeliveryId delivery, int attempt, int most, CancellationToken ct);

    /// <summary>Lists publications after a number, oldest first.</summary>
    Task<IReadOnlyList<Publication>> ListPublicationsAsync(WorkflowId workflow, SendKind kind, long after, int most, CancellationToken ct);

    /// <summary>The number of emits that led to a run: 0 if its event was not emitted.</summary>
    Task<int> CountHopsAsync(RunId run, CancellationToken ct);
}

/// <param name="Number">Grows with every publication of the server and is never reused.</param>
/// <param name="Delivery">Masked; its payload is the request's body.</param>
public sealed record Publication(long Number, DateTimeOffset At, Delivery Delivery);
