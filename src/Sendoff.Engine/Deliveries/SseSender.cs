using System.Collections.Concurrent;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Deliveries;

/// <summary>Makes one attempt for a streamed event (F7): publishes it, and readers of the workflow's stream read it from the
/// store.</summary>
internal sealed class SseSender(DeliverySender frame, IStore store, PublicationBell bell, EngineLimits limits)
{
    /// <inheritdoc cref="AttemptMaker"/>
    public Task<Attempt> SendAsync(Delivery delivery, int number, double queueMs, CancellationToken shutdown) =>
        frame.AttemptAsync(
            delivery,
            number,
            queueMs,
            async (delivery, progress, _) =>
            {
                progress.Enter(AttemptPhase.Write, "");
                await store.PublishAsync(delivery.Id, number, limits.PublishedKept, CancellationToken.None).ConfigureAwait(false);
                progress.SetWritten();
                progress.Answer = new(200, "", [], default, BodyIsText: true, 0, Truncated: false);
                bell.Ring(delivery.WorkflowId);
            },
            shutdown
        );
}

/// <summary>Wakes the readers of a workflow's stream.</summary>
public sealed class PublicationBell
{
    readonly ConcurrentDictionary<WorkflowId, TaskCompletionSource> waiting = [];

    /// <summary>Completes at the next signal. Get it before reading the store, so that no signal is missed.</summary>
    public Task Next(WorkflowId workflow) =>
        waiting.GetOrAdd(workflow, static _ => new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    /// <summary>Wakes all readers: other servers may have published events.</summary>
    internal void RingAll()
    {
        foreach (var workflow in waiting.Keys)
            Ring(workflow);
    }

    internal void Ring(WorkflowId workflow)
    {
        if (waiting.TryRemove(workflow, out var next))
            next.TrySetResult();
    }
}
