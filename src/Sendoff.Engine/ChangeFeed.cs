using System.Collections.Immutable;
using System.Threading.Channels;

namespace Sendoff.Engine;

/// <summary>A run that came to be or changed, or a delivery of it.</summary>
public abstract record Change(RunId Run);

public sealed record RunChange(RunId Run, RunStatus Status) : Change(Run);

public sealed record DeliveryChange(RunId Run, DeliveryId Delivery, DeliveryStatus Status) : Change(Run);

/// <summary>Is told how runs and deliveries end, by the threads that end them: it takes a note and returns.</summary>
internal interface IEndWatch
{
    void Ended(WorkflowId workflow, RunId run, RunStatus status);
    void Ended(WorkflowId workflow, DeliveryId delivery, DeliveryStatus status);
}

/// <summary>Tells who listens what changed in the store. Costs nothing while nobody does; a listener that is too slow loses the
/// oldest.</summary>
public sealed class ChangeFeed
{
    ImmutableArray<Channel<Change>> listeners = [];

    /// <summary>Is told of ends; null while nobody wants to know.</summary>
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

    /// <summary>Changes from now on, until <paramref name="ct"/>.</summary>
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
