using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Sendoff.Engine.Deliveries;

/// <summary>The events that an event source emits, as sends: <c>{"event", "id"?, "summary"?, "ts"}</c> to <c>source:NAME</c>.</summary>
internal static class SourceEvents
{
    static readonly JsonDocumentOptions deep = new() { MaxDepth = 1_010 };

    /// <param name="source">Null for steps, which emit no such events.</param>
    public static string? UrlOf(string? source) => source is null ? null : "source:" + Uri.EscapeDataString(source);

    public static bool IsEvent(ReadOnlyMemory<byte> body)
    {
        try
        {
            return Utf8.IsValid(body.Span)
                && Parse(body) is { ValueKind: JsonValueKind.Object } emitted
                && emitted.TryGetProperty("event", out _);
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>The id for the comparison with earlier events (K3); null if there is none.</summary>
    public static string? IdOf(ReadOnlyMemory<byte> body)
    {
        if (!Parse(body).TryGetProperty("id", out var id))
            return null;
        return id.ValueKind switch
        {
            JsonValueKind.String => id.GetString(),
            JsonValueKind.Number => id.GetRawText(),
            _ => null,
        };
    }

    /// <summary>The event for the steps, JSON.</summary>
    public static ReadOnlyMemory<byte> EventOf(ReadOnlyMemory<byte> body) =>
        Encoding.UTF8.GetBytes(Parse(body).GetProperty("event").GetRawText());

    static JsonElement Parse(ReadOnlyMemory<byte> body) => JsonSyntax.ParseForeign(Encoding.UTF8.GetString(body.Span), deep);
}
