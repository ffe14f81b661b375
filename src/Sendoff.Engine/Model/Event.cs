namespace Sendoff.Engine.Model;

/// <summary>An event received by a trigger. <paramref name="Json"/> is the <c>event</c> of the steps, as UTF-8 bytes, which the server does
/// not parse.</summary>
/// <param name="Sealed">The encrypted original of a masked event (C8).</param>
public sealed record Event(
    EventId Id,
    WorkspaceId WorkspaceId,
    WorkflowId WorkflowId,
    string Trigger,
    DateTimeOffset ReceivedAt,
    ReadOnlyMemory<byte> Json,
    ReadOnlyMemory<byte> Sealed = default
)
{
    /// <summary>The raw body, if its bytes cannot be derived from <see cref="Json"/>: forms, files, other charsets. Otherwise, and in a
    /// masked event, empty.</summary>
    public ReadOnlyMemory<byte> Raw { get; init; }

    /// <summary>Also masked in the record (C8): the signature of its files' URLs.</summary>
    public IReadOnlyList<string> Credentials { get; init; } = [];

    /// <summary>Size in memory, in bytes.</summary>
    public int Bytes => Json.Length + Raw.Length;
}

/// <summary>A new event for the queue.</summary>
/// <param name="Raw">See <see cref="Event.Raw"/>.</param>
/// <param name="Id">Set if the id was needed before the event was stored.</param>
public readonly record struct EventContent(ReadOnlyMemory<byte> Json, ReadOnlyMemory<byte> Raw = default, EventId? Id = null)
{
    public static implicit operator EventContent(ReadOnlyMemory<byte> json) => new(json);

    public static implicit operator EventContent(byte[] json) => new(json);
}
