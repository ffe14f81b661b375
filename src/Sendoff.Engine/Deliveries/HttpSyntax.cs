using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Sendoff.Engine.Deliveries;

/// <summary>Validates the parts of a request (RFC 9110, the WHATWG URL standard). The harness's httpSyntax.mjs has the same rules;
/// test/cases/http-syntax.json tests both.</summary>
public static class HttpSyntax
{
    internal const int LongestMethod = 64;
    const int LongestLabel = 63,
        LongestName = 253;

    static readonly SearchValues<char> tokenCharacters = SearchValues.Create([
        .. Enumerable.Range(0, 128).Select(static c => (char)c).Where(IsTokenCharacter),
    ]);
    static readonly SearchValues<char> valueCharacters = SearchValues.Create([
        .. Enumerable.Range(0, 256).Select(static c => (char)c).Where(static c => c is '\t' or (>= ' ' and not '\x7f')),
    ]);
    static readonly SearchValues<char> ipv6Characters = SearchValues.Create("0123456789abcdefABCDEF:.");

    /// <summary>A token as ASCII bytes.</summary>
    internal static readonly SearchValues<byte> TokenBytes = SearchValues.Create([
        .. Enumerable.Range(0, 128).Where(static c => IsTokenCharacter((char)c)).Select(static c => (byte)c),
    ]);

    static bool IsTokenCharacter(char c) => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-.^_`|~".Contains(c);

    /// <summary>RFC 9110 5.6.2: a method or a header's name.</summary>
    public static bool IsToken(ReadOnlySpan<char> text) => !text.IsEmpty && !text.ContainsAnyExcept(tokenCharacters);

    /// <summary>A token of up to 64 characters, except <c>CONNECT</c>, which requests a tunnel.</summary>
    internal static bool IsMethod(ReadOnlySpan<char> text) => text.Length <= LongestMethod && IsToken(text) && text is not "CONNECT";

    /// <summary>RFC 9110 5.5: Latin-1 without control characters except the tab.</summary>
    public static bool IsHeaderValue(ReadOnlySpan<char> text) => !text.ContainsAnyExcept(valueCharacters);

    /// <summary>Whether a URL is valid for a delivery: absolute http or https in normal form, without userinfo and fragment.</summary>
    internal static bool IsUrl(ReadOnlySpan<char> url) =>
        TrySplit(url, out _, out var host, out _, out int target) && IsHost(host) && !url[target..].Contains('#');

    /// <summary>Splits an absolute URL strictly. Does not validate the host, and does not change path and query.</summary>
    /// <param name="target">The start of path and query; the length of the URL if it has neither.</param>
    internal static bool TrySplit(ReadOnlySpan<char> url, out bool isTls, out ReadOnlySpan<char> host, out int port, out int target)
    {
        int start = SchemeLength(url);
        isTls = start == "https://".Length;
        target = AuthorityEnd(url, start);
        host = default;
        port = 0;
        if (start == 0)
            return false;
        var authority = url[start..target];
        // Userinfo has already been converted to a header, so it is not allowed here.
        return !authority.Contains('@')
            && !url[target..].ContainsAnyExceptInRange('!', '~')
            && TrySplitPort(authority, isTls ? 443 : 80, out host, out port);
    }

    /// <summary>The length of <c>http://</c> or <c>https://</c> at the start; 0 if it has neither.</summary>
    internal static int SchemeLength(ReadOnlySpan<char> url) =>
        url.StartsWith("https://", StringComparison.OrdinalIgnoreCase) ? 8
        : url.StartsWith("http://", StringComparison.OrdinalIgnoreCase) ? 7
        : 0;

    /// <summary>The end of a URL's authority that begins at <paramref name="start"/>.</summary>
    internal static int AuthorityEnd(ReadOnlySpan<char> url, int start) =>
        url[start..].IndexOfAny('/', '?', '#') is var length and >= 0 ? start + length : url.Length;

    static bool TrySplitPort(ReadOnlySpan<char> authority, int standard, out ReadOnlySpan<char> host, out int port)
    {
        int colon = authority.LastIndexOf(':');
        if (colon < authority.LastIndexOf(']'))
            colon = -1;
        host = colon < 0 ? authority : authority[..colon];
        port = standard;
        var text = colon < 0 ? [] : authority[(colon + 1)..];
        return text.IsEmpty || (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is > 0 and <= 65_535);
    }

    /// <summary>An IP address in any form, or a valid DNS name.</summary>
    static bool IsHost(ReadOnlySpan<char> host) => TryParseAddress(host, out _) || (IsName(host) && !EndsInNumber(host));

    /// <summary>Reads a host like the URL standard after percent-decoding and IDNA, but requires a valid DNS name.</summary>
    /// <param name="name">In lower case; an IP address without brackets.</param>
    /// <param name="literal">The address, if the host is an IP address in any form.</param>
    internal static bool TryParseHost(ReadOnlySpan<char> host, [NotNullWhen(true)] out string? name, out IPAddress? literal)
    {
        name =
            TryParseAddress(host, out literal) ? Written(literal)
            : IsName(host) && !EndsInNumber(host) ? host.ToString().ToLowerInvariant()
            : null;
        return name is not null;
    }

    /// <summary>Letters, digits, hyphens and underscores between dots, with an optional dot at the end.</summary>
    static bool IsName(ReadOnlySpan<char> host)
    {
        if (host is [.., '.'])
            host = host[..^1];
        if (host.Length is 0 or > LongestName)
            return false;
        int label = 0;
        foreach (char c in host)
        {
            if (c == '.' && label > 0)
                label = 0;
            else if (!(char.IsAsciiLetterOrDigit(c) || c is '-' or '_') || ++label > LongestLabel)
                return false;
        }
        return label > 0;
    }

    static bool TryParseAddress(ReadOnlySpan<char> host, [NotNullWhen(true)] out IPAddress? address)
    {
        if (host is not ['[', .. var inside, ']'])
            return TryParseIPv4(host, out address);
        // A URL has no zone (fe80::1%eth0), but IPAddress accepts one.
        address = null;
        return !inside.ContainsAnyExcept(ipv6Characters)
            && IPAddress.TryParse(inside, out address)
            && address.AddressFamily == AddressFamily.InterNetworkV6;
    }

    /// <summary>Formats an address like the URL standard: .NET writes the end of some addresses as IPv4, but the <c>host</c> line must
    /// match the URL.</summary>
    static string Written(IPAddress address)
    {
        string text = address.ToString();
        if (address.AddressFamily == AddressFamily.InterNetwork || !text.Contains('.'))
            return text;
        byte[] bytes = address.GetAddressBytes();
        return $"{text[..(text.LastIndexOf(':') + 1)]}{(bytes[12] << 8) | bytes[13]:x}:{(bytes[14] << 8) | bytes[15]:x}";
    }

    /// <summary>WHATWG "ends in a number": such a host is a valid IPv4 address or invalid, never a name.</summary>
    static bool EndsInNumber(ReadOnlySpan<char> host)
    {
        var rest = host.TrimEnd('.');
        var last = rest[(rest.LastIndexOf('.') + 1)..];
        return !last.IsEmpty && (!last.ContainsAnyExceptInRange('0', '9') || TryParseNumber(last, out _));
    }

    /// <summary>The WHATWG IPv4 parser: one to four parts, each decimal, octal (0177) or hexadecimal (0x7f).</summary>
    static bool TryParseIPv4(ReadOnlySpan<char> host, [NotNullWhen(true)] out IPAddress? address)
    {
        address = null;
        if (host is [.., '.'])
            host = host[..^1];
        int parts = host.Count('.') + 1;
        if (parts > 4)
            return false;
        ulong value = 0;
        int read = 0;
        foreach (var range in host.Split('.'))
        {
            bool last = ++read == parts;
            int bits = last ? 8 * (5 - parts) : 8;
            if (!TryParseNumber(host[range], out ulong part) || part >= 1UL << bits)
                return false;
            value = (value << bits) | part;
        }
        address = new IPAddress((long)(uint)IPAddress.HostToNetworkOrder((int)(uint)value));
        return true;
    }

    static bool TryParseNumber(ReadOnlySpan<char> text, out ulong value)
    {
        value = 0;
        if (text.IsEmpty)
            return false;
        int radix = 10;
        if (text.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
        {
            radix = 16;
            text = text[2..];
        }
        else if (text.Length > 1 && text[0] == '0')
            radix = 8;
        foreach (char c in text)
        {
            int digit =
                char.IsAsciiDigit(c) ? c - '0'
                : char.IsAsciiHexDigit(c) ? (c | 0x20) - 'a' + 10
                : 16;
            if (digit >= radix)
                return false;
            // More than 32 bits is too large; stop before an overflow.
            if ((value = value * (ulong)radix + (ulong)digit) > uint.MaxValue)
                value = 1UL << 33;
        }
        return true;
    }
}
