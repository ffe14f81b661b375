using System.Net;
using System.Net.Sockets;

namespace Sendoff.Engine.Deliveries;

/// <summary>A range of addresses that is blocked unless a rule allows it (D1).</summary>
internal sealed record SpecialRange(IPNetwork Network, string Meaning);

/// <summary>
/// The default deny table (D1), after the IANA IPv4 and IPv6 Special-Purpose Address Registries
/// (iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry, read in 2026) and the multicast registries.
/// </summary>
internal static class SpecialRanges
{
    static readonly SpecialRange[] table =
    [
        Range("0.0.0.0/8", "this network, RFC 791"),
        Range("10.0.0.0/8", "private, RFC 1918"),
        Range("100.64.0.0/10", "carrier-grade NAT, RFC 6598"),
        Range("127.0.0.0/8", "loopback, RFC 1122"),
        // Not in the registry: a public address of the host's platform.
        Range("168.63.129.16/32", "platform services of Azure"),
        Range("169.254.0.0/16", "link-local and cloud metadata, RFC 3927"),
        Range("172.16.0.0/12", "private, RFC 1918"),
        Range("192.0.0.0/24", "protocol assignments, RFC 6890"),
        Range("192.0.2.0/24", "documentation, RFC 5737"),
        Range("192.88.99.0/24", "6to4 relays, RFC 7526"),
        Range("192.168.0.0/16", "private, RFC 1918"),
        Range("198.18.0.0/15", "benchmarks, RFC 2544"),
        Range("198.51.100.0/24", "documentation, RFC 5737"),
        Range("203.0.113.0/24", "documentation, RFC 5737"),
        Range("224.0.0.0/4", "multicast, RFC 5771"),
        Range("255.255.255.255/32", "broadcast, RFC 919"),
        Range("240.0.0.0/4", "reserved, RFC 1112"),
        Range("::/128", "unspecified, RFC 4291"),
        Range("::1/128", "loopback, RFC 4291"),
        Range("::/96", "IPv4-compatible, RFC 4291"),
        Range("::ffff:0:0:0/96", "IPv4-translated, RFC 2765"),
        Range("64:ff9b:1::/48", "local NAT64, RFC 8215"),
        Range("100::/64", "discard-only, RFC 6666"),
        Range("100:0:0:1::/64", "dummy prefix, RFC 9780"),
        Range("2001::/32", "Teredo, RFC 4380"),
        Range("2001:2::/48", "benchmarks, RFC 5180"),
        Range("2001:db8::/32", "documentation, RFC 3849"),
        Range("2001::/23", "protocol assignments, RFC 2928"),
        Range("2002::/16", "6to4, RFC 3056"),
        Range("3fff::/20", "documentation, RFC 9637"),
        Range("5f00::/16", "segment routing, RFC 9602"),
        Range("fc00::/7", "unique local, RFC 4193"),
        Range("fe80::/10", "link-local, RFC 4291"),
        Range("fec0::/10", "site-local, RFC 3879"),
        Range("ff00::/8", "multicast, RFC 4291"),
    ];

    static readonly IPNetwork globalUnicast = IPNetwork.Parse("2000::/3");
    static readonly IPNetwork nat64 = IPNetwork.Parse("64:ff9b::/96");
    static readonly SpecialRange reserved = Range("::/0", "not global unicast, RFC 4291");

    /// <summary>The range that blocks an address; null if there is none.</summary>
    public static SpecialRange? Find(IPAddress address)
    {
        foreach (var range in table)
            if (range.Network.Contains(address))
                return range;
        // IANA has allocated only 2000::/3; other addresses are not on the Internet. For NAT64, the IPv4 address in it is checked.
        bool outside =
            address.AddressFamily == AddressFamily.InterNetworkV6 && !globalUnicast.Contains(address) && !nat64.Contains(address);
        return outside ? reserved : null;
    }

    /// <summary>The IPv4 address that an IPv6 address contains or is routed to; null if there is none.</summary>
    public static IPAddress? Embedded(IPAddress address)
    {
        if (address.AddressFamily != AddressFamily.InterNetworkV6)
            return null;
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out _);
        bool leadingZeros = !bytes[..8].ContainsAnyExcept((byte)0);
        if (leadingZeros && bytes[8..12] is [0, 0, 0xff, 0xff] or [0xff, 0xff, 0, 0])
            return new IPAddress(bytes[12..]); // Mapped, translated.
        if (leadingZeros && bytes[8..] is [0, 0, 0, 0, not 0, ..])
            return new IPAddress(bytes[12..]); // Compatible; :: and ::1 are themselves.
        if (bytes is [0, 0x64, 0xff, 0x9b, ..])
            return new IPAddress(bytes[12..]); // NAT64, RFC 6052.
        if (bytes is [0x20, 0x02, ..])
            return new IPAddress(bytes[2..6]); // 6to4.
        if (bytes is [0x20, 0x01, 0, 0, ..]) // Teredo writes the client's address inverted.
            return new IPAddress([(byte)~bytes[12], (byte)~bytes[13], (byte)~bytes[14], (byte)~bytes[15]]);
        if (bytes[8..12] is [0 or 2, 0, 0x5e, 0xfe])
            return new IPAddress(bytes[12..]); // ISATAP, RFC 5214.
        return null;
    }

    static SpecialRange Range(string network, string meaning) => new(IPNetwork.Parse(network), meaning);
}
