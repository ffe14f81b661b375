using System.Collections.Immutable;
using System.Threading.Channels;

namespace Sendoff.Engine;

/// <summary>A new or changed run or delivery.</summary>
public abstract record Change(RunId Run);

public sealed record RunChange(RunId Run, RunStatus Status) : Change(Run);

public sealed record DeliveryChange(RunId Run, DeliveryId Delivery, DeliveryStatus Status) : Change(Run);

/// <summary>Receives ends of runs and deliveries, on the threads that end them. Must return quickly.</summary>
internal interface IEndWatch
{
    void Ended(WorkflowId workflow, RunId run, RunStatus status);
    void Ended(WorkflowId workflow, DeliveryId delivery, DeliveryStatus status);
}

/// <summary>Notifies subscribers of changes in the store. Costs nothing without subscribers; a slow subscriber loses the oldest
/// changes.</summary>
public sealed class ChangeFeed
{
    ImmutableArray<Channel<Change>> listeners = [];

    /// <summary>Receives ends; null if there is no receiver.</summary>
    internal IEndWatch? Ends { get; set; }

    internal int Listeners => listeners.Length;

    public void Publish(RunId run, RunStatus status)
    {
        if (!listeners.IsEmpty)
            Publish(new RunChange(run, status));
    }

    /// <summary>A run that has ended.</summary>
    public void Publish(Run ended)
    {
        if (Ends is { } watch && ended.Trigger != QueuedRun.TestTrigger)
            watch.Ended(ended.WorkflowId, ended.Id, ended.Status);
        Publish(ended.Id, ended.Status);
    }

    /// <summary>A delivery whose attempt has ended.</summary>
    public void Publish(Delivery ended, DeliveryStatus status)
    {
        Ends?.Ended(ended.WorkflowId, ended.Id, status);
        Publish(ended.RunId, ended.Id, status);
    }

    public void Publish(RunId run, DeliveryId delivery, DeliveryStatus status)
    {
        if (!listeners.IsEmpty)
            Publish(new DeliveryChange(run, delivery, status));
    }

    void Publish(Change change)
    {
        foreach (var listener in listeners)
            listener.Writer.TryWrite(change);
    }

    /// <summary>Subscribes to changes until <paramref name="ct"/>.</summary>
    public async IAsyncEnumerable<Change> ListenAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct)
    {
        var mine = Channel.CreateBounded<Change>(
            new BoundedChannelOptions(1_000) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true }
        );
        ImmutableInterlocked.Update(ref listeners, static (all, one) => all.Add(one), mine);
        try
        {
            await foreach (var change in mine.Reader.ReadAllAsync(ct))
                yield return change;
        }
        finally
        {
            ImmutableInterlocked.Update(ref listeners, static (all, one) => all.Remove(one), mine);
        }
    }
}
