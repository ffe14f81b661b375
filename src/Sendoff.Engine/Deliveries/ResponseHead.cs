using System.Buffers.Text;
using System.Text;

namespace Sendoff.Engine.Deliveries;

/// <summary>A response's status line and headers, and the framing of its body.</summary>
internal sealed class ResponseHead
{
    public required int Status { get; init; }

    /// <summary><c>1.1</c> or <c>1.0</c>.</summary>
    public required string HttpVersion { get; init; }

    /// <summary>Names in lower case, one entry per line.</summary>
    public required Header[] Headers { get; init; }
    public long? ContentLength { get; private set; }
    public bool HasTransferEncoding { get; private set; }
    public bool IsChunked { get; private set; }
    public bool KeepAlive { get; private set; }

    /// <summary>The N of <c>keep-alive: timeout=N</c>.</summary>
    public int? KeepAliveSeconds { get; private set; }
    public string? ContentType { get; private set; }
    public string? ContentEncoding { get; private set; }

    static readonly HashSet<string>.AlternateLookup<ReadOnlySpan<char>> commonNames = new HashSet<string>(StringComparer.Ordinal)
    {
        "age",
        "alt-svc",
        "cache-control",
        "cf-ray",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "etag",
        "expires",
        "keep-alive",
        "last-modified",
        "location",
        "retry-after",
        "server",
        "set-cookie",
        "strict-transport-security",
        "transfer-encoding",
        "vary",
        "via",
        "x-content-type-options",
        "x-frame-options",
        "x-powered-by",
        "x-request-id",
    }.GetAlternateLookup<ReadOnlySpan<char>>();

    /// <summary>Reads a head from the start of <paramref name="data"/>. Strict: a head that violates RFC 9112 is an error, except for one
    /// empty line before it.</summary>
    /// <param name="used">Its length, including the empty line.</param>
    /// <returns>False if more bytes are needed.</returns>
    /// <exception cref="WireException">It is not HTTP/1.1, or too large.</exception>
    public static bool TryParse(ReadOnlySpan<byte> data, EngineLimits limits, out ResponseHead? head, out int used)
    {
        head = null;
        used = 0;
        // aiohttp sends an empty line after `100 Continue`.
        if (data is [(byte)'\r'])
            return false;
        int before = data.StartsWith("\r\n"u8) ? 2 : 0;
        data = data[before..];
        // Invalid data is detected at the first bytes, not after the deadline.
        int known = Math.Min(data.Length, 7);
        if (!data[..known].SequenceEqual("HTTP/1."u8[..known]))
            throw Invalid(Foreign(data) ?? $"it does not begin with HTTP/1.1 but with {Show(data)}");
        int length = data.IndexOf("\r\n\r\n"u8);
        if (length + 4 > limits.ResponseHeaderBytes || (length < 0 && data.Length >= limits.ResponseHeaderBytes))
            throw new WireException(
                AttemptErrorCode.ResponseHeadersTooLarge,
                $"the response's headers are larger than {limits.ResponseHeaderBytes:N0} bytes"
            );
        if (length < 0)
            return data.IndexOf("\n\n"u8) < 0 ? false : throw Invalid("its lines end with a bare line feed");

        var lines = data[..length];
        int count = lines.Count((byte)'\n');
        if (count > limits.ResponseHeaderLines)
            throw new WireException(
                AttemptErrorCode.ResponseHeadersTooLarge,
                $"the response has more than {limits.ResponseHeaderLines:N0} header lines"
            );
        var (status, version) = ParseStatusLine(NextLine(ref lines));
        head = new ResponseHead
        {
            Status = status,
            HttpVersion = version,
            Headers = new Header[count],
        };
        for (int i = 0; i < count; i++)
            head.Headers[i] = ParseHeader(NextLine(ref lines));
        head.Interpret();
        used = before + length + 4;
        return true;
    }

    /// <summary>The name of another protocol that begins with these bytes.</summary>
    static string? Foreign(ReadOnlySpan<byte> data) =>
        data switch
        {
            // A SETTINGS frame on stream 0, which a server of HTTP/2 sends first.
            [0, 0, _, 4, _, 0, 0, 0, 0, ..] => "the receiver speaks HTTP/2 only",
            // A TLS alert: the receiver expected a handshake.
            [0x15, 3, ..] => "the receiver expects TLS; perhaps the URL should begin with https://",
            _ => null,
        };

    static ReadOnlySpan<byte> NextLine(ref ReadOnlySpan<byte> lines)
    {
        int end = lines.IndexOf("\r\n"u8);
        var line = end < 0 ? lines : lines[..end];
        lines = end < 0 ? [] : lines[(end + 2)..];
        return line;
    }

    static (int Status, string Version) ParseStatusLine(ReadOnlySpan<byte> line)
    {
        bool valid = line.Length >= 12 && line[7] is (byte)'0' or (byte)'1' && line[8] == ' ' && (line.Length == 12 || line[12] == ' ');
        if (!valid || !Utf8Parser.TryParse(line[9..12], out int status, out int digits) || digits != 3 || status < 100 || HasControls(line))
            throw Invalid($"its status line is {Show(line)}");
        return (status, line[7] == '1' ? "1.1" : "1.0");
    }

    static Header ParseHeader(ReadOnlySpan<byte> line)
    {
        int colon = line.IndexOf((byte)':');
        // A folded line begins with white space, which is not a valid name, so it is refused (RFC 9112 5.2).
        if (colon <= 0 || line[..colon].ContainsAnyExcept(HttpSyntax.TokenBytes) || HasControls(line))
            throw Invalid($"a header line is {Show(line)}");
        var value = line[(colon + 1)..].Trim(" \t"u8);
        return new Header(LowerName(line[..colon]), value.IsEmpty ? "" : Encoding.Latin1.GetString(value));
    }

    static bool HasControls(ReadOnlySpan<byte> line)
    {
        foreach (byte b in line)
            if (b is < 32 and not (byte)'\t' or 127)
                return true;
        return false;
    }

    static string LowerName(ReadOnlySpan<byte> name)
    {
        Span<char> lower = name.Length <= 64 ? stackalloc char[64] : new char[name.Length];
        lower = lower[..name.Length];
        Ascii.ToLower(name, lower, out _);
        return commonNames.TryGetValue(lower, out string? common) ? common : new string(lower);
    }

    /// <summary>Reads framing and connection headers (RFC 9112 6 and 9.3).</summary>
    void Interpret()
    {
        bool close = false,
            keep = false;
        foreach (var (name, value) in Headers)
        {
            switch (name)
            {
                case "content-length":
                    AddLength(value);
                    break;
                case "transfer-encoding":
                    HasTransferEncoding = true;
                    IsChunked = value.AsSpan(value.LastIndexOf(',') + 1).Trim().Equals("chunked", StringComparison.OrdinalIgnoreCase);
                    break;
                case "connection":
                    close |= Lists(value, "close");
                    keep |= Lists(value, "keep-alive");
                    break;
                case "keep-alive":
                    KeepAliveSeconds = TimeoutOf(value) ?? KeepAliveSeconds;
                    break;
                case "content-type":
                    ContentType ??= value;
                    break;
                case "content-encoding":
                    ContentEncoding = ContentEncoding is null ? value : $"{ContentEncoding}, {value}";
                    break;
            }
        }
        // Both lengths could be response smuggling: read the chunks, and do not reuse the connection (RFC 9112 6.3). A 204 has no length
        // (RFC 9110 8.6): a receiver that sends one may send a body into the next exchange.
        bool doubtful = HasTransferEncoding ? ContentLength is not null || Status == 204 : Status == 204 && ContentLength > 0;
        KeepAlive = !close && !doubtful && (HttpVersion == "1.1" || (keep && !HasTransferEncoding));
    }

    void AddLength(string value)
    {
        foreach (var range in value.AsSpan().Split(','))
        {
            var text = value.AsSpan(range).Trim();
            if (text.IsEmpty || text.ContainsAnyExceptInRange('0', '9') || !long.TryParse(text, out long length))
                throw Invalid($"its content-length is \"{Cut(value)}\"");
            if (ContentLength is { } other && other != length)
                throw Invalid($"it has two lengths, {other} and {length}");
            ContentLength = length;
        }
    }

    static bool Lists(string value, string token)
    {
        foreach (var range in value.AsSpan().Split(','))
            if (value.AsSpan(range).Trim().Equals(token, StringComparison.OrdinalIgnoreCase))
                return true;
        return false;
    }

    static int? TimeoutOf(string value)
    {
        foreach (var range in value.AsSpan().Split(','))
        {
            var part = value.AsSpan(range).Trim();
            if (part.StartsWith("timeout=", StringComparison.OrdinalIgnoreCase) && int.TryParse(part[8..], out int seconds))
                return seconds;
        }
        return null;
    }

    static WireException Invalid(string why) => new(AttemptErrorCode.InvalidResponse, $"the response is not valid HTTP/1.1: {why}");

    static string Cut(string text) => text.Length <= 40 ? text : text[..40] + "…";

    /// <summary>The first bytes of unexpected data, in printable form.</summary>
    static string Show(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder("\"");
        foreach (byte b in bytes[..Math.Min(bytes.Length, 40)])
        {
            if (b is >= 32 and < 127)
                text.Append((char)b);
            else
                text.Append($"\\x{b:x2}");
        }
        return text.Append(bytes.Length > 40 ? "…\"" : "\"").ToString();
    }
}
