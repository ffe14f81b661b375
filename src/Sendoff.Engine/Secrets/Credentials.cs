using System.Collections.Frozen;
using System.Text;
using System.Text.Json;

namespace Sendoff.Engine.Secrets;

/// <summary>Headers that contain credentials, and the parts of their values that are masked in the whole record (C8).</summary>
public static class Credentials
{
    /// <summary>Shorter values occur in any text.</summary>
    const int Shortest = 8;

    static readonly FrozenSet<string> names = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase,
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie"
    );

    public static bool IsCredential(string header) => names.Contains(header);

    /// <summary>The secret parts of a credential header's value: a token, a password, the values of cookies.</summary>
    public static void Collect(string header, string value, List<string> into)
    {
        if (!IsCredential(header))
            return;
        if (header.EndsWith("cookie", StringComparison.OrdinalIgnoreCase))
            CollectCookies(header, value, into);
        else
            CollectAuthorization(value.Trim(), into);
    }

    static void CollectCookies(string header, string value, List<string> into)
    {
        // A cookie that is being set has attributes after its value.
        bool isSet = header.StartsWith("set-", StringComparison.OrdinalIgnoreCase);
        foreach (string pair in isSet ? [value.Split(';')[0]] : value.Split(';'))
            AddLong(pair[(pair.IndexOf('=') + 1)..].Trim(), into);
    }

    static void CollectAuthorization(string value, List<string> into)
    {
        int space = value.IndexOf(' ');
        string token = value[(space + 1)..].Trim();
        AddLong(token, into);
        if (space < 0 || !value.AsSpan(0, space).Equals("Basic", StringComparison.OrdinalIgnoreCase))
            return;
        byte[] plain = new byte[token.Length];
        if (!Convert.TryFromBase64String(token, plain, out int length))
            return;
        string pair = Encoding.UTF8.GetString(plain, 0, length);
        if (pair.IndexOf(':') is >= 0 and var colon)
            into.Add(pair[(colon + 1)..]);
    }

    static void AddLong(string value, List<string> into)
    {
        if (value.Length >= Shortest)
            into.Add(value);
    }

    /// <summary>Whether the headers of an event may contain credentials. A fast check; false is always correct.</summary>
    public static bool MayBeIn(ReadOnlySpan<byte> eventJson) =>
        eventJson.IndexOf("uthorization\""u8) >= 0 || eventJson.IndexOf("ookie\""u8) >= 0;

    /// <summary>The credentials in an event's headers.</summary>
    public static IReadOnlyList<string> Of(ReadOnlyMemory<byte> eventJson)
    {
        if (!MayBeIn(eventJson.Span))
            return [];
        var found = new List<string>();
        foreach (var header in HeadersOf(eventJson))
        foreach (string value in ValuesOf(header.Value))
            Collect(header.Name, value, found);
        return found;
    }

    /// <summary>The event's JSON with its credential headers masked.</summary>
    public static ReadOnlyMemory<byte> Cover(ReadOnlyMemory<byte> eventJson)
    {
        if (!MayBeIn(eventJson.Span) || !HeadersOf(eventJson).Any(static header => IsCredential(header.Name)))
            return eventJson;
        var output = new System.Buffers.ArrayBufferWriter<byte>(eventJson.Length);
        using var json = new Utf8JsonWriter(
            output,
            new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping, MaxDepth = Depth }
        );
        json.WriteStartObject();
        foreach (var field in JsonElement.Parse(eventJson.Span, deep).EnumerateObject())
        {
            if (field.NameEquals("headers") && field.Value.ValueKind == JsonValueKind.Object)
                CoverHeaders(json, field.Value);
            else
                field.WriteTo(json);
        }
        json.WriteEndObject();
        json.Flush();
        return output.WrittenMemory;
    }

    static void CoverHeaders(Utf8JsonWriter json, JsonElement headers)
    {
        json.WriteStartObject("headers");
        foreach (var header in headers.EnumerateObject())
        {
            if (IsCredential(header.Name))
                json.WriteString(header.Name, SecretMask.Cover);
            else
                header.WriteTo(json);
        }
        json.WriteEndObject();
    }

    const int Depth = 1_000;
    static readonly JsonDocumentOptions deep = new() { MaxDepth = Depth };

    static IEnumerable<JsonProperty> HeadersOf(ReadOnlyMemory<byte> eventJson)
    {
        var root = JsonElement.Parse(eventJson.Span, deep);
        return
            root.ValueKind == JsonValueKind.Object
            && root.TryGetProperty("headers", out var headers)
            && headers.ValueKind == JsonValueKind.Object
            ? headers.EnumerateObject()
            : Enumerable.Empty<JsonProperty>();
    }

    static IEnumerable<string> ValuesOf(JsonElement value) =>
        value.ValueKind switch
        {
            JsonValueKind.String => [value.GetString()!],
            JsonValueKind.Array => value
                .EnumerateArray()
                .Where(static v => v.ValueKind == JsonValueKind.String)
                .Select(static v => v.GetString()!),
            _ => [],
        };
}
