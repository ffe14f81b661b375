using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;

namespace Sendoff.Engine.Deliveries;

/// <summary>Where a URL leads: scheme, host and port. Connections, queues and bounds are kept by destination.</summary>
/// <param name="Host">Lower case; an IP address without brackets.</param>
/// <param name="Literal">The address, when the host is one in any spelling.</param>
internal sealed record Destination(bool IsTls, string Host, int Port, IPAddress? Literal)
{
    static readonly SearchValues<char> ipv6Characters = SearchValues.Create("0123456789abcdefABCDEF:.");

    /// <summary>As it is stored: <c>https://example.com:443</c>.</summary>
    public string Key { get; } = $"{(IsTls ? "https" : "http")}://{Bracketed(Host)}:{Port}";

    /// <summary>The <c>host</c> line: the port only where it is not the scheme's own (RFC 9110 7.2).</summary>
    public string Authority { get; } = Port == (IsTls ? 443 : 80) ? Bracketed(Host) : $"{Bracketed(Host)}:{Port}";

    /// <summary>The destination of a validated URL, as <see cref="Delivery.Destination"/> holds it.</summary>
    /// <exception cref="FormatException">The URL is not one that the harness lets through.</exception>
    public static string Of(string url, WorkflowId workflow = default) =>
        SendKinds.KindOf(url) is var kind and not SendKind.Http ? SendKinds.LaneOf(kind, workflow)
        : TryParse(url, out var destination, out _) ? destination.Key : throw new FormatException($"not an http or https URL that can be sent: {url}");

    /// <summary>Reads an absolute URL strictly. Path and query from <paramref name="target"/> on are left as they are.</summary>
    /// <param name="target">Where path and query begin; the length of the URL when it has neither.</param>
    public static bool TryParse(string url, [NotNullWhen(true)] out Destination? destination, out int target)
    {
        destination = null;
        target = 0;
        bool tls = url.StartsWith("https://", StringComparison.OrdinalIgnoreCase);
        if (!tls && !url.StartsWith("http://", StringComparison.OrdinalIgnoreCase)) return false;

        int start = tls ? 8 : 7;
        int length = url.AsSpan(start).IndexOfAny('/', '?', '#');
        target = length < 0 ? url.Length : start + length;
        var authority = url.AsSpan(start, target - start);
        // Userinfo has become a header by now; a second reading of it here could only go wrong.
        if (authority.Contains('@') || url.AsSpan(target).ContainsAnyExceptInRange('!', '~')) return false;
        if (!SplitPort(authority, tls ? 443 : 80, out var host, out int port) || !TryParseHost(host, out string? name, out var literal)) return false;
        destination = new Destination(tls, name, port, literal);
        return true;
    }

    static bool SplitPort(ReadOnlySpan<char> authority, int standard, out ReadOnlySpan<char> host, out int port)
    {
        int colon = authority.LastIndexOf(':');
        if (colon < authority.LastIndexOf(']')) colon = -1;
        host = colon < 0 ? authority : authority[..colon];
        port = standard;
        var text = colon < 0 ? [] : authority[(colon + 1)..];
        return text.IsEmpty || (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is > 0 and <= 65_535);
    }

    /// <summary>Reads a host as the WHATWG URL standard does, after its percent-decoding and IDNA: what is left of those is refused.</summary>
    internal static bool TryParseHost(ReadOnlySpan<char> host, [NotNullWhen(true)] out string? name, out IPAddress? literal)
    {
        name = null;
        literal = null;
        if (host is ['[', .. var inside, ']'])
        {
            // A zone (fe80::1%eth0) is no part of a URL, and IPAddress would take one.
            if (inside.ContainsAnyExcept(ipv6Characters) || !IPAddress.TryParse(inside, out literal)) return false;
            if (literal.AddressFamily != System.Net.Sockets.AddressFamily.InterNetworkV6) return false;
            name = Written(literal);
            return true;
        }
        if (host.IsEmpty || host.Length > 254 || host[0] == '.') return false;
        foreach (char c in host)
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('-' or '.' or '_' or '~')) return false;

        name = host.ToString().ToLowerInvariant();
        if (!EndsInNumber(name)) return !name.Contains("..", StringComparison.Ordinal);
        if (!TryParseIPv4(name, out literal)) return false;
        name = literal.ToString();
        return true;
    }

    /// <summary>As the URL standard writes it: .NET writes the end of some addresses as an IPv4 one, and the <c>host</c> line is to be as in the URL.</summary>
    static string Written(IPAddress address)
    {
        string text = address.ToString();
        if (!text.Contains('.')) return text;
        byte[] bytes = address.GetAddressBytes();
        return $"{text[..(text.LastIndexOf(':') + 1)]}{(bytes[12] << 8) | bytes[13]:x}:{(bytes[14] << 8) | bytes[15]:x}";
    }

    /// <summary>WHATWG "ends in a number": such a host is an IPv4 address or an error, never a name.</summary>
    static bool EndsInNumber(string host)
    {
        var rest = host.AsSpan().TrimEnd('.');
        var last = rest[(rest.LastIndexOf('.') + 1)..];
        return !last.IsEmpty && (!last.ContainsAnyExceptInRange('0', '9') || TryParseNumber(last, out _));
    }

    /// <summary>The WHATWG IPv4 parser: one to four parts, each decimal, octal (0177) or hexadecimal (0x7f).</summary>
    static bool TryParseIPv4(string host, [NotNullWhen(true)] out IPAddress? address)
    {
        address = null;
        string[] parts = (host[^1] == '.' ? host[..^1] : host).Split('.');
        if (parts.Length > 4) return false;
        ulong value = 0;
        for (int i = 0; i < parts.Length; i++)
        {
            bool last = i == parts.Length - 1;
            int bits = last ? 8 * (5 - parts.Length) : 8;
            if (!TryParseNumber(parts[i], out ulong part) || part >= 1UL << bits) return false;
            value = (value << bits) | part;
        }
        address = new IPAddress((long)(uint)IPAddress.HostToNetworkOrder((int)(uint)value));
        return true;
    }

    static bool TryParseNumber(ReadOnlySpan<char> text, out ulong value)
    {
        value = 0;
        if (text.IsEmpty) return false;
        int radix = 10;
        if (text.StartsWith("0x"))
        {
            radix = 16;
            text = text[2..];
        }
        else if (text.Length > 1 && text[0] == '0') radix = 8;
        foreach (char c in text)
        {
            int digit = char.IsAsciiDigit(c) ? c - '0' : c is >= 'a' and <= 'f' ? c - 'a' + 10 : 16;
            if (digit >= radix) return false;
            // Anything above 32 bits is too large already; stop before it wraps.
            if ((value = value * (ulong)radix + (ulong)digit) > uint.MaxValue) value = 1UL << 33;
        }
        return true;
    }

    static string Bracketed(string host) => host.Contains(':') ? $"[{host}]" : host;
}
