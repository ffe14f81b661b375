using System.Net;

namespace Sendoff.Server.Triggers;

/// <summary>The reverse proxies whose <c>x-forwarded-for</c> is trusted (setting <c>TrustedProxies</c>).</summary>
/// <param name="HasUnixSocket">Clients on a Unix socket are trusted proxies.</param>
public sealed record TrustedProxies(IReadOnlyList<IPNetwork> Networks, bool HasUnixSocket)
{
    public static readonly TrustedProxies None = new([], false);

    /// <summary>Null if the text is not a list of addresses, ranges and <c>unix</c>.</summary>
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

    /// <summary>The address of the caller: the peer's address, or the one that trusted proxies report. Proxies append to
    /// <c>x-forwarded-for</c>, so it is read from the end, up to the first address that is not a trusted proxy. The caller can forge the
    /// addresses before it.</summary>
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

    // .NET parses 010.0.0.1 and 0x7f.1 as addresses, but perhaps not as the intended ones.
    static bool IsAddress(string text, out IPAddress address)
    {
        bool isRead = IPAddress.TryParse(text, out var read) && (text.Contains(':') || text == read.ToString());
        address = read ?? IPAddress.None;
        return isRead;
    }

    static IPAddress Plain(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;

    static string TextOf(IPAddress? address) => address is null ? "" : Plain(address).ToString();
}
