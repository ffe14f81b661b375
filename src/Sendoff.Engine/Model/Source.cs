namespace Sendoff.Engine.Model;

/// <summary>How the events of an event source are compared with those that it emitted before (K3).</summary>
public enum SourceDedupe
{
    None,

    /// <summary>An event whose id was emitted before is dropped.</summary>
    Unique,

    /// <summary>An event is dropped unless its id is above all ids of earlier runs.</summary>
    Greatest,

    /// <summary>The events of a run up to the one that was emitted last are dropped.</summary>
    Last,
}

/// <summary>The hooks of an event source, by Pipedream's names (K4).</summary>
public static class SourceHook
{
    public const string Deploy = "deploy",
        Activate = "activate",
        Deactivate = "deactivate";
}

/// <summary>What a run of an event source calls: <c>run</c>, or a hook. Its text is the trigger of the run.</summary>
public readonly record struct SourceCall(string Source, string? Hook = null)
{
    const string Start = "source:";

    /// <summary>Null for the trigger of other runs.</summary>
    public static SourceCall? Of(string trigger)
    {
        if (!trigger.StartsWith(Start, StringComparison.Ordinal))
            return null;
        string name = trigger[Start.Length..];
        int end = name.IndexOf(':');
        return end < 0 ? new(name) : new(name[..end], name[(end + 1)..]);
    }

    public override string ToString() => Hook is null ? Start + Source : $"{Start}{Source}:{Hook}";
}

/// <summary>What the end of a source's run stores, in its transaction (K2).</summary>
/// <param name="Ids">For each delivery, the id of the event that it emits; null if it has none.</param>
/// <param name="Kept">The changed keys of <c>$.service.db</c>, JSON; empty for a deleted key.</param>
public sealed record SourceCommit(
    SourceCall Call,
    SourceDedupe Dedupe,
    IReadOnlyList<string?> Ids,
    IReadOnlyDictionary<string, ReadOnlyMemory<byte>> Kept
);

/// <summary>The stored state of an event source.</summary>
/// <param name="IsDeployed">Its hook <c>deploy</c> has succeeded.</param>
/// <param name="Version">The version whose hook <c>activate</c> has succeeded; 0 if it is not active.</param>
/// <param name="HasPendingHook">A run of a hook has not ended.</param>
public sealed record SourceState(WorkflowId Workflow, string Name, bool IsDeployed, int Version, bool HasPendingHook);
