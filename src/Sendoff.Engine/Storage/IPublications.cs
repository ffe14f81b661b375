namespace Sendoff.Engine.Storage;

/// <summary>What workflows emitted and streamed (F7): the newest events of each workflow and kind, in the order in which they went out.
/// They stay when the history is pruned, and go with their workflow.</summary>
public interface IPublications
{
    /// <summary>Publishes a delivery's payload under the next number, once for each <paramref name="attempt"/>, and keeps no more than
    /// <paramref name="most"/>. Answers false when the delivery is gone.</summary>
    Task<bool> PublishAsync(DeliveryId delivery, int attempt, int most, CancellationToken ct);

    /// <summary>Those above a number, oldest first.</summary>
    Task<IReadOnlyList<Publication>> ListPublicationsAsync(WorkflowId workflow, SendKind kind, long after, int most, CancellationToken ct);

    /// <summary>How many workflows stand before a run in a row of emitted events: 0 when its event was not emitted.</summary>
    Task<int> CountHopsAsync(RunId run, CancellationToken ct);
}

/// <param name="Number">Grows with every publication of the server, and is never given twice.</param>
/// <param name="Delivery">Masked as it is stored; its payload is the request's body.</param>
public sealed record Publication(long Number, DateTimeOffset At, Delivery Delivery);
