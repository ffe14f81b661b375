using System.Net;

namespace Sendoff.Server.Triggers;

/// <summary>The reverse proxies that say who a caller is (setting <c>TrustedProxies</c>).</summary>
/// <param name="HasUnixSocket">Whoever connects through a Unix socket is one of them.</param>
public sealed record TrustedProxies(IReadOnlyList<IPNetwork> Networks, bool HasUnixSocket)
{
    public static readonly TrustedProxies None = new([], false);

    /// <summary>Null when it is not a list of addresses, ranges and <c>unix</c>.</summary>
    public static TrustedProxies? Parse(string list)
    {
        var networks = new List<IPNetwork>();
        bool hasUnixSocket = false;
        foreach (string one in list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (one == "unix")
                hasUnixSocket = true;
            else if (IPNetwork.TryParse(one, out var network))
                networks.Add(network);
            else if (IsAddress(one, out var address))
                networks.Add(new(address, address.GetAddressBytes().Length * 8));
            else
                return null;
        }
        return new(networks, hasUnixSocket);
    }

    /// <summary>The address of the caller: the peer's, or what the proxies that are trusted say of it. Proxies add to the end of
    /// <c>x-forwarded-for</c>, so it is read from there, up to the first address that is not a trusted proxy's: what stands before it is
    /// the caller's own word.</summary>
    public string ClientOf(HttpRequest request)
    {
        var peer = request.HttpContext.Connection.RemoteIpAddress;
        if (!(peer is null ? HasUnixSocket : Contains(peer)))
            return TextOf(peer);
        string[] said = request
            .Headers["x-forwarded-for"]
            .ToString()
            .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var client = peer;
        for (int i = said.Length - 1; i >= 0 && (client is null || Contains(client)); i--)
        {
            if (!TryRead(said[i], out var before))
                break;
            client = before;
        }
        return TextOf(client);
    }

    bool Contains(IPAddress address)
    {
        var plain = Plain(address);
        foreach (var network in Networks)
            if (network.Contains(plain))
                return true;
        return false;
    }

    // Some proxies add the port.
    static bool TryRead(string text, out IPAddress address)
    {
        if (IsAddress(text, out address))
            return true;
        int port = text.LastIndexOf(':');
        return port > 0
            && text.AsSpan(port + 1).ContainsAnyExceptInRange('0', '9') is false
            && IsAddress(text[..port].Trim('[', ']'), out address);
    }

    // .NET reads 010.0.0.1 and 0x7f.1 as addresses, perhaps not the ones that the writer meant.
    static bool IsAddress(string text, out IPAddress address)
    {
        bool isRead = IPAddress.TryParse(text, out var read) && (text.Contains(':') || text == read.ToString());
        address = read ?? IPAddress.None;
        return isRead;
    }

    static IPAddress Plain(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;

    static string TextOf(IPAddress? address) => address is null ? "" : Plain(address).ToString();
}
