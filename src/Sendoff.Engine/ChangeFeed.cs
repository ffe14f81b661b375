using System.Collections.Immutable;
using System.Threading.Channels;

namespace Sendoff.Engine;

/// <summary>A run or a delivery that came to be or changed: <paramref name="Type"/> is <c>run</c> or <c>delivery</c>.</summary>
public readonly record struct Change(string Type, string Id, string RunId, string Status);

/// <summary>Tells who listens what changed in the store. Costs nothing while nobody does; a listener that is too slow loses the oldest.</summary>
public sealed class ChangeFeed
{
    ImmutableArray<Channel<Change>> listeners = [];

    public bool HasListeners => !listeners.IsEmpty;

    public void Publish(Change change)
    {
        foreach (var listener in listeners) listener.Writer.TryWrite(change);
    }

    /// <summary>Changes from now on, until <paramref name="ct"/>.</summary>
    public async IAsyncEnumerable<Change> ListenAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct)
    {
        var mine = Channel.CreateBounded<Change>(new BoundedChannelOptions(1_000) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
        ImmutableInterlocked.Update(ref listeners, static (all, one) => all.Add(one), mine);
        try
        {
            await foreach (var change in mine.Reader.ReadAllAsync(ct)) yield return change;
        }
        finally
        {
            ImmutableInterlocked.Update(ref listeners, static (all, one) => all.Remove(one), mine);
        }
    }
}
