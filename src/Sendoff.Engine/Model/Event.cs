namespace Sendoff.Engine.Model;

/// <summary>What a trigger received. <paramref name="Json"/> is the <c>event</c> that steps see, as UTF-8 bytes, never parsed on its
/// way.</summary>
/// <param name="Sealed">The original, when the event is masked as it is stored (C8).</param>
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
    /// <summary>The body as it came, where <see cref="Json"/> does not tell its bytes: forms, files, other charsets. Empty elsewhere, and
    /// in a masked event.</summary>
    public ReadOnlyMemory<byte> Raw { get; init; }

    /// <summary>What the record does not show either (C8): the signature of its files' URLs.</summary>
    public IReadOnlyList<string> Credentials { get; init; } = [];

    /// <summary>Bytes that it takes in memory.</summary>
    public int Bytes => Json.Length + Raw.Length;
}

/// <summary>What comes into the queue as an event.</summary>
/// <param name="Raw">See <see cref="Event.Raw"/>.</param>
/// <param name="Id">When it was needed before the event was stored.</param>
public readonly record struct EventContent(ReadOnlyMemory<byte> Json, ReadOnlyMemory<byte> Raw = default, EventId? Id = null)
{
    public static implicit operator EventContent(ReadOnlyMemory<byte> json) => new(json);

    public static implicit operator EventContent(byte[] json) => new(json);
}
