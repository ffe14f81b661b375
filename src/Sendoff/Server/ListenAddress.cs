using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;

namespace Sendoff.Server;

/// <summary>An address that the server listens on: a URL of an IP address, a host name or <c>localhost</c>, or
/// <c>http://unix:/path</c>.</summary>
/// <param name="Text">The text of the setting.</param>
/// <param name="Host">An IP address without brackets, or a name; empty for a Unix socket.</param>
/// <param name="SocketPath">The absolute path of a Unix socket, otherwise null.</param>
sealed record ListenAddress(string Text, bool IsTls, string Host, int Port, string? SocketPath)
{
    public const string Expected =
        "a comma-separated list of URLs without a path, such as http://localhost:5180, https://192.0.2.7:443 or http://[::]:80, "
        + "or Unix sockets such as http://unix:/run/sendoff/http.sock";
    const string Local = "localhost";

    public static bool TryParse(string text, [NotNullWhen(true)] out ListenAddress? address)
    {
        address = null;
        string? scheme =
            text.StartsWith("http://", StringComparison.OrdinalIgnoreCase) ? "http://"
            : text.StartsWith("https://", StringComparison.OrdinalIgnoreCase) ? "https://"
            : null;
        if (scheme is null)
            return false;
        bool isTls = scheme == "https://";
        string rest = text[scheme.Length..];
        if (rest.StartsWith("unix:", StringComparison.OrdinalIgnoreCase))
        {
            string path = rest["unix:".Length..];
            if (path is not ['/', _, ..] || path.Any(char.IsControl))
                return false;
            address = new(text, isTls, "", 0, path);
            return true;
        }
        if (
            !Uri.TryCreate(text, UriKind.Absolute, out var url)
            || url is not { PathAndQuery: "/", Fragment: "", UserInfo: "" }
            || rest.Contains('?')
            || rest.Contains('#')
        )
            return false;
        string host = url.IdnHost.Trim('[', ']');
        // 10.1 is also parsed as an address, but is probably a mistake.
        if (
            IPAddress.TryParse(host, out var ip)
            && ip.AddressFamily == AddressFamily.InterNetwork
            && !rest.StartsWith(host, StringComparison.Ordinal)
        )
            return false;
        address = new(text, isTls, host, url.Port, null);
        return true;
    }

    public static IReadOnlyList<ListenAddress>? ReadList(string text)
    {
        var all = new List<ListenAddress>();
        foreach (string one in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (!TryParse(one, out var address))
                return null;
            all.Add(address);
        }
        return all.Count == 0 ? null : all;
    }

    /// <summary>The end points to bind: all addresses of a host name.</summary>
    /// <exception cref="ListenException">The name cannot be resolved.</exception>
    public async Task<IReadOnlyList<EndPoint>> ResolveAsync(CancellationToken ct)
    {
        if (SocketPath is not null)
            return [new UnixDomainSocketEndPoint(SocketPath)];
        if (IPAddress.TryParse(Host, out var ip))
            return [new IPEndPoint(ip, Port)];
        if (Port == 0)
            throw new ListenException(Text, "port 0 needs an IP address, because each address of a name would get a different port");
        if (Host.Equals(Local, StringComparison.OrdinalIgnoreCase))
            return Socket.OSSupportsIPv6
                ? [new IPEndPoint(IPAddress.Loopback, Port), new IPEndPoint(IPAddress.IPv6Loopback, Port)]
                : [new IPEndPoint(IPAddress.Loopback, Port)];
        try
        {
            return [.. (await Dns.GetHostAddressesAsync(Host, ct)).Distinct().Select(address => new IPEndPoint(address, Port))];
        }
        catch (SocketException)
        {
            throw new ListenException(
                Text,
                $"the host name '{Host}' cannot be resolved; use an IP address of this machine, or 0.0.0.0 or [::] for all of them"
            );
        }
    }

    /// <summary>One of the two loopback addresses may be missing for <c>localhost</c>.</summary>
    public bool IsLocalhost => Host.Equals(Local, StringComparison.OrdinalIgnoreCase);

    /// <summary>The URL for a browser on this machine; null for a Unix socket. For 0.0.0.0 and [::], it uses a concrete address.</summary>
    public Uri? Reachable =>
        SocketPath is not null
            ? null
            : new UriBuilder(
                IsTls ? "https" : "http",
                IPAddress.TryParse(Host, out var ip) && (ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any)) ? Local : Host,
                Port
            ).Uri;
}

/// <summary>An address that the server cannot listen on, and the reason.</summary>
sealed class ListenException(string address, string why) : Exception($"cannot listen on {address}: {why}");
