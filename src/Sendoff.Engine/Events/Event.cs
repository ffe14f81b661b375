namespace Sendoff.Engine.Events;

/// <summary>What a trigger received. <paramref name="Json"/> is the <c>event</c> that steps see, as UTF-8 bytes, never parsed on its way.</summary>
/// <param name="Sealed">The original, when <paramref name="Json"/> is masked as it is stored (C8).</param>
public sealed record Event(
    EventId Id, WorkspaceId WorkspaceId, WorkflowId WorkflowId, string Trigger, DateTimeOffset ReceivedAt, ReadOnlyMemory<byte> Json,
    ReadOnlyMemory<byte> Sealed = default);
