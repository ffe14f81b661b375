using System.Text.Json;

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
            using var document = JsonDocument.Parse(body, deep);
            return document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("event", out _);
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>The id for the comparison with earlier events (K3); null if there is none.</summary>
    public static string? IdOf(ReadOnlyMemory<byte> body)
    {
        using var document = JsonDocument.Parse(body, deep);
        if (!document.RootElement.TryGetProperty("id", out var id))
            return null;
        return id.ValueKind switch
        {
            JsonValueKind.String => id.GetString(),
            JsonValueKind.Number => id.GetRawText(),
            _ => null,
        };
    }

    /// <summary>The event for the steps, JSON.</summary>
    public static ReadOnlyMemory<byte> EventOf(ReadOnlyMemory<byte> body)
    {
        using var document = JsonDocument.Parse(body, deep);
        return System.Text.Encoding.UTF8.GetBytes(document.RootElement.GetProperty("event").GetRawText());
    }
}
