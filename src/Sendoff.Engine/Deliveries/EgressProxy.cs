using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Text;

namespace Sendoff.Engine.Deliveries;

/// <summary>The proxy for all deliveries (D3): <c>http://[user:password@]host[:port]</c> (HTTP CONNECT, port 80) or <c>socks5://…</c> (RFC
/// 1928 and 1929, port 1080). The operator sets it, so the egress rules do not apply to its address, only to the targets.</summary>
public sealed class EgressProxy
{
    const int SocksPort = 1_080,
        SocksTextBytes = 255;

    internal bool IsSocks { get; private init; }
    internal string Host { get; private init; } = "";
    internal int Port { get; private init; }
    internal string? User { get; private init; }
    internal string Password { get; private init; } = "";

    /// <summary>Without user and password.</summary>
    public override string ToString() => $"{(IsSocks ? "socks5" : "http")}://{(Host.Contains(':') ? $"[{Host}]" : Host)}:{Port}";

    /// <summary>Reads setting <c>Egress:Proxy</c>. User and password are percent-decoded.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out EgressProxy? proxy)
    {
        proxy = null;
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "socks5") || url.Host.Length == 0)
            return false;
        if (url.AbsolutePath is not ("" or "/") || url.Query.Length > 0 || url.Fragment.Length > 0)
            return false;
        bool isSocks = url.Scheme == "socks5";
        string[] parts = url.UserInfo.Split(':', 2);
        string user = Uri.UnescapeDataString(parts[0]),
            password = parts.Length > 1 ? Uri.UnescapeDataString(parts[1]) : "";
        // An empty user or one with a colon cannot be written in Basic; SOCKS has a byte for each length.
        if (url.UserInfo.Length > 0 && (user.Length == 0 || (!isSocks && user.Contains(':'))))
            return false;
        int longest = Math.Max(Encoding.UTF8.GetByteCount(user), Encoding.UTF8.GetByteCount(password));
        if (isSocks && user.Length > 0 && (password.Length == 0 || longest > SocksTextBytes))
            return false;
        int port = url.Port < 0 ? SocksPort : url.Port;
        if (port == 0)
            return false;
        proxy = new EgressProxy
        {
            IsSocks = isSocks,
            Host = url.IdnHost,
            Port = port,
            User = user.Length > 0 ? user : null,
            Password = password,
        };
        return true;
    }

    internal IPAddress? Literal => IPAddress.TryParse(Host, out var address) ? address : null;
}
