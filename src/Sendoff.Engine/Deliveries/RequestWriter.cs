using System.Buffers;
using System.Collections.Frozen;
using System.Reflection;
using System.Text;

namespace Sendoff.Engine.Deliveries;

/// <summary>Writes a request. Header lines keep their order, case and repetitions.</summary>
internal static class RequestWriter
{
    /// <summary>The largest body that is sent together with its head.</summary>
    public const int BodyWithHead = 16 * 1024;

    /// <summary>A7: Sendoff sets framing and connection headers. The harness warns about these; here they are dropped.</summary>
    static readonly FrozenSet<string> ours = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase,
        "connection",
        "content-length",
        "expect",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade"
    );

    static readonly string version = typeof(RequestWriter)
        .Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!
        .InformationalVersion.Split('+')[0];

    static readonly Header userAgent = new("user-agent", $"sendoff/{version}");
    static readonly Header accept = new("accept", "*/*");

    /// <summary>The codings of <see cref="BodyDecoder"/> except Brotli: its window needs 16 MiB, so it is used only if the user requests
    /// it.</summary>
    static readonly Header acceptEncoding = new("accept-encoding", "gzip, deflate");

    /// <summary>The header lines of the request, in order.</summary>
    public static Header[] BuildHeaders(HttpSend send, Destination destination)
    {
        var lines = new List<Header>(send.Headers.Count + 5) { new("host", destination.Authority) };
        bool hasHost = false,
            hasAgent = false,
            hasAccept = false,
            hasEncoding = false;
        foreach (var header in send.Headers)
        {
            if (Is(header, "host"))
            {
                // RFC 9112 3.2: exactly one, as the first line.
                if (!hasHost)
                    lines[0] = header;
                hasHost = true;
                continue;
            }
            if (ours.Contains(header.Name))
                continue;
            hasAgent |= Is(header, "user-agent");
            hasAccept |= Is(header, "accept");
            hasEncoding |= Is(header, "accept-encoding");
            lines.Add(header);
        }
        if (!hasAccept)
            lines.Add(accept);
        if (!hasEncoding)
            lines.Add(acceptEncoding);
        if (!hasAgent)
            lines.Add(userAgent);
        // RFC 9110 8.6: a method with a body sends content-length: 0 if there is none.
        if (send.Body.Length > 0 || send.Method is "POST" or "PUT" or "PATCH")
            lines.Add(new Header("content-length", send.Body.Length.ToString()));
        return [.. lines];
    }

    static bool Is(Header header, string name) => header.Name.Equals(name, StringComparison.OrdinalIgnoreCase);

    /// <summary>Writes the head, and a small body, into a rented array. Returns the length of the head and the total length.</summary>
    public static (byte[] Rented, int HeadLength, int Length) Serialize(HttpSend send, int target, Header[] headers)
    {
        Require(HttpSyntax.IsMethod(send.Method), "the method");
        var path = send.Url.AsSpan(target);
        int most = send.Method.Length + path.Length + 16;
        foreach (var header in headers)
            most += header.Name.Length + 3 * header.Value.Length + 4;
        bool together = send.Body.Length <= BodyWithHead;
        byte[] rented = ArrayPool<byte>.Shared.Rent(most + (together ? send.Body.Length : 0));

        var to = new Cursor(rented);
        to.Ascii(send.Method);
        to.Ascii(path is ['/', ..] ? " " : " /");
        int fragment = path.IndexOf('#');
        to.Ascii(fragment < 0 ? path : path[..fragment]);
        to.Ascii(" HTTP/1.1\r\n");
        foreach (var header in headers)
        {
            Require(HttpSyntax.IsToken(header.Name), "a header's name");
            Require(!header.Value.AsSpan().ContainsAny('\r', '\n', '\0'), "a header's value");
            to.Ascii(header.Name);
            to.Ascii(": ");
            to.Text(header.Value);
            to.Ascii("\r\n");
        }
        to.Ascii("\r\n");
        int head = to.Length;
        if (together)
            to.Bytes(send.Body.Span);
        return (rented, head, to.Length);
    }

    static void Require(bool condition, string what)
    {
        // The harness has already refused it (A4). Checked again, because a line break would forge a request.
        if (!condition)
            throw new WireException(AttemptErrorCode.Internal, $"{what} cannot be sent over HTTP/1.1; nothing was written");
    }

    ref struct Cursor(Span<byte> span)
    {
        readonly Span<byte> span = span;

        public int Length { get; private set; }

        public void Ascii(ReadOnlySpan<char> text) => Length += Encoding.ASCII.GetBytes(text, span[Length..]);

        /// <summary>Latin-1, as Node.js writes header values; or UTF-8 if necessary.</summary>
        public void Text(ReadOnlySpan<char> text) =>
            Length += (text.ContainsAnyExceptInRange('\0', '\u00ff') ? Encoding.UTF8 : Encoding.Latin1).GetBytes(text, span[Length..]);

        public void Bytes(ReadOnlySpan<byte> bytes)
        {
            bytes.CopyTo(span[Length..]);
            Length += bytes.Length;
        }
    }
}
