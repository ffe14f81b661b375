using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Microsoft.Net.Http.Headers;
using Sendoff.Engine;
using Sendoff.Engine.Runs;
using Sendoff.Server.Auth;

namespace Sendoff.Server.Triggers;

/// <summary>Writes the <c>event</c> for steps (E7; docs/http-trigger.md) as UTF-8. A JSON body is validated once and embedded
/// unchanged.</summary>
internal static class EventWriter
{
    /// <summary>Maximum nesting of a JSON body; a deeper one becomes a string.</summary>
    const int BodyDepth = 256;
    const int KeptBufferBytes = 256 * 1024;

    [ThreadStatic]
    static Scratch? scratch;

    /// <summary>Creates the event of a request with its complete body. The caller writes the response.</summary>
    /// <param name="files">Creates URLs for the files of a form; without it they are <c>data:</c> URLs.</param>
    /// <param name="proxies">The proxies whose <c>x-forwarded-for</c> is trusted.</param>
    /// <param name="withAuthorization">False when that header was for the trigger, not for the workflow.</param>
    public static EventContent Write(
        HttpRequest request,
        string path,
        string url,
        ReadOnlySequence<byte> body,
        FileLinks? files = null,
        bool withAuthorization = true,
        TrustedProxies? proxies = null
    )
    {
        var mine = scratch ?? new Scratch();
        scratch = null;
        var json = mine.Writer;
        json.WriteStartObject();
        json.WriteString("method"u8, request.Method);
        json.WriteString("path"u8, path);
        WriteQuery(json, request.QueryString);
        WriteHeaders(json, request.Headers, withAuthorization);
        var raw = new RawBody(url, files);
        WriteBody(json, request, body, ref raw);
        json.WriteString("client_ip"u8, (proxies ?? TrustedProxies.None).ClientOf(request));
        json.WriteString("url"u8, url);
        json.WriteEndObject();
        json.Flush();
        byte[] written = mine.Buffer.WrittenSpan.ToArray();
        mine.Buffer.ResetWrittenCount();
        json.Reset();
        if (mine.Buffer.Capacity <= KeptBufferBytes)
            scratch = mine;
        return new(written, raw.IsKept ? body.ToArray() : default, raw.Event);
    }

    static void WriteQuery(Utf8JsonWriter json, QueryString query)
    {
        json.WriteStartObject("query"u8);
        if (query.Value is ['?', _, ..] text)
            UrlEncoded.Write(json, Encoding.UTF8.GetBytes(text[1..]), null);
        json.WriteEndObject();
    }

    /// <summary>Lower-case names; lines of one name are joined, as Node.js does.
    /// The session of this server's own pages stays out.</summary>
    static void WriteHeaders(Utf8JsonWriter json, IHeaderDictionary headers, bool withAuthorization)
    {
        Span<char> lower = stackalloc char[128];
        json.WriteStartObject("headers"u8);
        foreach (var (name, values) in headers)
        {
            // The body is already decoded.
            if (name.Equals(HeaderNames.ContentEncoding, StringComparison.OrdinalIgnoreCase))
                continue;
            if (!withAuthorization && name.Equals(HeaderNames.Authorization, StringComparison.OrdinalIgnoreCase))
                continue;
            string value = values.Count == 1 ? values[0]! : string.Join(", ", values.ToArray());
            if (
                name.Equals(HeaderNames.Cookie, StringComparison.OrdinalIgnoreCase)
                && SessionCookie.Remove(values, out value)
                && value.Length == 0
            )
                continue;
            if (name.Length <= lower.Length)
                json.WriteString(lower[..name.AsSpan().ToLowerInvariant(lower)], value);
            else
                json.WriteString(name.ToLowerInvariant(), value);
        }
        json.WriteEndObject();
    }

    // A body that <c>body</c> does not preserve byte by byte is stored beside it. JSON is embedded unchanged, and UTF-8 text is preserved.
    static void WriteBody(Utf8JsonWriter json, HttpRequest request, ReadOnlySequence<byte> body, ref RawBody raw)
    {
        ReadOnlySpan<byte> bytes = body.IsSingleSegment ? body.FirstSpan : body.ToArray();
        if (bytes.StartsWith(Encoding.UTF8.Preamble))
        {
            bytes = bytes[3..];
            raw.IsKept = true;
        }
        if (bytes.IsEmpty)
        {
            json.WriteString("body"u8, "");
            return;
        }
        var type = MediaTypeHeaderValue.TryParse(request.ContentType, out var parsed) ? parsed : null;
        var charset = type is null ? null : BodyText.CharsetOf(type.Charset);
        bool utf8 = Utf8.IsValid(bytes),
            form = Is(type, "application/x-www-form-urlencoded");

        // `curl -d '{...}'` sends JSON with the content type of a form. No form is encoded as a JSON object.
        if (IsJson(request.ContentType, type) || form && bytes is [(byte)'{', ..])
        {
            // RFC 8259, 8.1: JSON is UTF-8, whatever charset is declared. If it is not valid UTF-8, the declared charset is used.
            if (utf8 && TryWriteJson(json, bytes, ref raw))
                return;
            if (
                charset is not null
                && BodyText.Decode(bytes, charset) is { } text
                && TryWriteJson(json, Encoding.UTF8.GetBytes(text), ref raw)
            )
            {
                raw.IsKept = true;
                return;
            }
        }
        if (charset is not null && form && !BodyText.KeepsAscii(charset))
            charset = null;
        if (form && (utf8 || charset is not null))
        {
            raw.IsKept = true;
            json.WriteStartObject("body"u8);
            UrlEncoded.Write(json, bytes, charset);
            json.WriteEndObject();
            json.WriteString("inferred_body_type"u8, "FORM"u8);
        }
        else if (Is(type, "multipart/form-data") && Multipart.TryRead(type!, bytes) is { } parts)
        {
            raw.IsKept = true;
            parts.WriteTo(json, parts.HasFiles ? raw.NewFolder() : null);
            json.WriteString("inferred_body_type"u8, "MULTIPART_FORM"u8);
        }
        else
            WriteText(json, bytes, charset, utf8, body, ref raw);
    }

    static bool TryWriteJson(Utf8JsonWriter json, ReadOnlySpan<byte> bytes, ref RawBody raw)
    {
        if (!IsValidJson(bytes))
            return false;
        // UTF-8 cannot represent half of a surrogate pair, so readers of the event could not parse it.
        if (JsonSyntax.MayHoldSurrogates(bytes))
        {
            byte[] mended = bytes.ToArray();
            JsonSyntax.MendSurrogates(mended);
            raw.IsKept |= !bytes.SequenceEqual(mended);
            bytes = mended;
        }
        json.WritePropertyName("body"u8);
        json.WriteRawValue(bytes, skipInputValidation: true);
        json.WriteString("inferred_body_type"u8, "JSON"u8);
        return true;
    }

    /// <summary>Whether the content type is JSON, or is missing.</summary>
    static bool IsJson(string? contentType, MediaTypeHeaderValue? type) =>
        string.IsNullOrEmpty(contentType)
        || Is(type, "application/json")
        || Is(type, "text/json")
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

    /// <summary>Text in its charset; other bytes as Base64 with a flag.</summary>
    static void WriteText(
        Utf8JsonWriter json,
        ReadOnlySpan<byte> bytes,
        Encoding? charset,
        bool utf8,
        ReadOnlySequence<byte> body,
        ref RawBody raw
    )
    {
        if (charset is not null && BodyText.Decode(bytes, charset) is { } text)
        {
            json.WriteString("body"u8, text);
            raw.IsKept = true;
        }
        else if (utf8)
            json.WriteString("body"u8, bytes);
        else
        {
            raw.IsKept = false;
            json.WriteBase64String("body"u8, body.ToArray());
            json.WriteString("inferred_body_type"u8, "BASE64"u8);
            return;
        }
        json.WriteString("inferred_body_type"u8, "TEXT"u8);
    }

    /// <summary>Whether the raw body is stored beside the JSON, and the URLs of its files.</summary>
    struct RawBody(string url, FileLinks? files)
    {
        public bool IsKept;

        /// <summary>The event's id. It is created early if files have URLs, because they contain it.</summary>
        public Engine.Model.EventId? Event { get; private set; }

        /// <summary>The URL prefix of the form's files; null if they are <c>data:</c> URLs.</summary>
        public string? NewFolder()
        {
            if (files is null)
                return null;
            Event = files.NewEvent();
            return url[..url.IndexOf('/', url.IndexOf("://", StringComparison.Ordinal) + 3)] + files.FolderOf(Event.Value);
        }
    }

    sealed class Scratch
    {
        public ArrayBufferWriter<byte> Buffer { get; } = new(4096);
        public Utf8JsonWriter Writer { get; }

        public Scratch() =>
            Writer = new Utf8JsonWriter(Buffer, new JsonWriterOptions { Encoder = PlainJsonEncoder.Instance, SkipValidation = true });
    }
}
