using System.Buffers;
using System.Net;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;
using Sendoff.Server.Auth;

namespace Sendoff.Server.Triggers;

/// <summary>Writes the <c>event</c> that steps see (E7; docs/http-trigger.md) as UTF-8.
/// A JSON body is embedded as it came, after one look through it.</summary>
internal static class EventWriter
{
    /// <summary>Levels of nesting of a JSON body; a deeper one is a string.</summary>
    const int BodyDepth = 256;
    const int KeptBufferBytes = 256 * 1024;

    [ThreadStatic] static Scratch? scratch;

    /// <summary>The event of a request whose body has arrived. The answer is the caller's own.</summary>
    /// <param name="withAuthorization">False when that header was for the trigger, not for the workflow.</param>
    public static ReadOnlyMemory<byte> Write(HttpRequest request, string path, string url, ReadOnlySequence<byte> body, bool withAuthorization = true)
    {
        var mine = scratch ?? new Scratch();
        scratch = null;
        var json = mine.Writer;
        json.WriteStartObject();
        json.WriteString("method"u8, request.Method);
        json.WriteString("path"u8, path);
        WriteQuery(json, request.Query);
        WriteHeaders(json, request.Headers, withAuthorization);
        WriteBody(json, request, body);
        json.WriteString("client_ip"u8, ClientAddress(request.HttpContext.Connection.RemoteIpAddress));
        json.WriteString("url"u8, url);
        json.WriteEndObject();
        json.Flush();
        byte[] written = mine.Buffer.WrittenSpan.ToArray();
        mine.Buffer.ResetWrittenCount();
        json.Reset();
        if (mine.Buffer.Capacity <= KeptBufferBytes) scratch = mine;
        return written;
    }

    /// <summary>One value is a string, several are an array.</summary>
    static void WriteQuery(Utf8JsonWriter json, IQueryCollection query)
    {
        json.WriteStartObject("query"u8);
        foreach (var (name, values) in query) WriteValues(json, name, values);
        json.WriteEndObject();
    }

    static void WriteValues(Utf8JsonWriter json, string name, StringValues values)
    {
        if (values.Count <= 1)
        {
            json.WriteString(name, values.Count == 0 ? "" : values[0]);
            return;
        }
        json.WriteStartArray(name);
        foreach (string? value in values) json.WriteStringValue(value);
        json.WriteEndArray();
    }

    /// <summary>Lower-case names; lines of one name are joined, as Node.js does.
    /// The session of this server's own pages stays out.</summary>
    static void WriteHeaders(Utf8JsonWriter json, IHeaderDictionary headers, bool withAuthorization)
    {
        Span<char> lower = stackalloc char[128];
        json.WriteStartObject("headers"u8);
        foreach (var (name, values) in headers)
        {
            if (!withAuthorization && name.Equals(HeaderNames.Authorization, StringComparison.OrdinalIgnoreCase)) continue;
            string value = values.Count == 1 ? values[0]! : string.Join(", ", values.ToArray());
            if (name.Equals(HeaderNames.Cookie, StringComparison.OrdinalIgnoreCase)
                && AdminSession.Remove(values, out value) && value.Length == 0) continue;
            if (name.Length <= lower.Length) json.WriteString(lower[..name.AsSpan().ToLowerInvariant(lower)], value);
            else json.WriteString(name.ToLowerInvariant(), value);
        }
        json.WriteEndObject();
    }

    static void WriteBody(Utf8JsonWriter json, HttpRequest request, ReadOnlySequence<byte> body)
    {
        if (body.IsEmpty)
        {
            json.WriteString("body"u8, "");
            return;
        }
        ReadOnlySpan<byte> bytes = body.IsSingleSegment ? body.FirstSpan : body.ToArray();
        if (bytes.StartsWith(Encoding.UTF8.Preamble)) bytes = bytes[3..];
        var type = MediaTypeHeaderValue.TryParse(request.ContentType, out var parsed) ? parsed : null;
        bool utf8 = Utf8.IsValid(bytes), form = Is(type, "application/x-www-form-urlencoded");

        // `curl -d '{...}'` says form and means JSON; no form encodes to a JSON object.
        if (utf8 && (IsJson(request.ContentType, type) || form && bytes is [(byte)'{', ..]) && IsValidJson(bytes))
        {
            json.WritePropertyName("body"u8);
            json.WriteRawValue(bytes, skipInputValidation: true);
            json.WriteString("inferred_body_type"u8, "JSON"u8);
        }
        else if (form && utf8) WriteForm(json, bytes);
        else if (Is(type, "multipart/form-data") && Multipart.TryRead(type!, bytes) is { } parts)
        {
            parts.WriteTo(json);
            json.WriteString("inferred_body_type"u8, "MULTIPART_FORM"u8);
        }
        else WriteText(json, type, bytes, utf8);
    }

    /// <summary>JSON by its content type, or perhaps JSON for want of one.</summary>
    static bool IsJson(string? contentType, MediaTypeHeaderValue? type) =>
        string.IsNullOrEmpty(contentType) || Is(type, "application/json") || Is(type, "text/json")
        || type is not null && type.Suffix.Equals("json", StringComparison.OrdinalIgnoreCase);

    static bool Is(MediaTypeHeaderValue? type, string name) =>
        type is not null && type.MediaType.Equals(name, StringComparison.OrdinalIgnoreCase);

    static bool IsValidJson(ReadOnlySpan<byte> bytes)
    {
        var reader = new Utf8JsonReader(bytes, new JsonReaderOptions { MaxDepth = BodyDepth });
        try
        {
            while (reader.Read()) { }
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    static void WriteForm(Utf8JsonWriter json, ReadOnlySpan<byte> bytes)
    {
        json.WriteStartObject("body"u8);
        foreach (var (name, values) in QueryHelpers.ParseQuery(Encoding.UTF8.GetString(bytes))) WriteValues(json, name, values);
        json.WriteEndObject();
        json.WriteString("inferred_body_type"u8, "FORM"u8);
    }

    /// <summary>Text from its charset; what is no text is Base64, and says so.</summary>
    static void WriteText(Utf8JsonWriter json, MediaTypeHeaderValue? type, ReadOnlySpan<byte> bytes, bool utf8)
    {
        if (utf8) json.WriteString("body"u8, bytes);
        else if (type?.Encoding is { } encoding && encoding is not UTF8Encoding) json.WriteString("body"u8, encoding.GetString(bytes));
        else
        {
            json.WriteBase64String("body"u8, bytes);
            json.WriteString("inferred_body_type"u8, "BASE64"u8);
            return;
        }
        json.WriteString("inferred_body_type"u8, "TEXT"u8);
    }

    static string ClientAddress(IPAddress? address) =>
        address is null ? "" : (address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address).ToString();

    sealed class Scratch
    {
        public ArrayBufferWriter<byte> Buffer { get; } = new(4096);
        public Utf8JsonWriter Writer { get; }
        public Scratch() => Writer = new Utf8JsonWriter(Buffer,
            new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true });
    }
}
