using System.Net;
using System.Text;

namespace Sendoff.Engine.Deliveries;

/// <summary>Interprets a proxy's response to CONNECT, which may concern the proxy or the destination. RFC 9110 has no status for "the
/// destination refused": Squid, Apache, Envoy and HAProxy respond with 503, tinyproxy with 500, most others with 502 or 504. Some headers
/// give details: RFC 9209's <c>Proxy-Status</c>, <c>X-Squid-Error</c> with the system's error number, <c>X-Smokescreen-Error</c>. The
/// proxy's text is not repeated, because it is not trusted and could contain the password.</summary>
internal static class ProxyRefusal
{
    public static WireException Of(int status, ReadOnlySpan<byte> head, EgressProxy proxy, IPEndPoint to)
    {
        string answer = $"through the proxy {proxy}: it responded with {status}";
        if (FromHeaders(head) is { } told)
            return Of(told, answer, proxy, to);
        return status switch
        {
            407 => Failed(
                proxy,
                proxy.User is null ? "requires a user and a password (407)" : "does not accept its user and password (407)"
            ),
            403 => Of(Cause.Denied, answer, proxy, to),
            500 when ValueOf(head, "server")?.StartsWith("tinyproxy", StringComparison.OrdinalIgnoreCase) == true => Of(
                Cause.Connect,
                answer,
                proxy,
                to
            ),
            // A proxy that is overloaded itself sends retry-after.
            503 when ValueOf(head, "retry-after") is not null => Failed(
                proxy,
                $"has no room for a connection to {to}: it responded with 503"
            ),
            502 or 503 or 504 => Of(Cause.Connect, answer, proxy, to),
            _ => Of(Cause.Proxy, answer, proxy, to),
        };

        static WireException Of(Cause cause, string answer, EgressProxy proxy, IPEndPoint to) =>
            cause switch
            {
                Cause.Refused => new(AttemptErrorCode.ConnectRefused, $"{to} refused the connection {answer}"),
                Cause.Unreachable => new(AttemptErrorCode.ConnectUnreachable, $"{to} cannot be reached {answer}"),
                Cause.TimedOut => new(
                    AttemptErrorCode.ConnectFailed,
                    $"no connection to {to} {answer}, as the destination did not answer in time"
                ),
                Cause.Connect => new(AttemptErrorCode.ConnectFailed, $"no connection to {to} {answer}"),
                Cause.Denied => Failed(
                    proxy,
                    $"does not allow a connection to {to}: {answer[(answer.LastIndexOf(": ", StringComparison.Ordinal) + 2)..]}"
                ),
                _ => Failed(proxy, $"refused to connect to {to}: {answer[(answer.LastIndexOf(": ", StringComparison.Ordinal) + 2)..]}"),
            };
    }

    enum Cause
    {
        Refused,
        Unreachable,
        TimedOut,
        Connect,
        Denied,
        Proxy,
    }

    static WireException Failed(EgressProxy proxy, string how) => new(AttemptErrorCode.ProxyFailed, $"the proxy {proxy} {how}");

    static Cause? FromHeaders(ReadOnlySpan<byte> head) =>
        ValueOf(head, "proxy-status") is { } status && FromProxyStatus(status) is { } cause ? cause
        : ValueOf(head, "x-squid-error") is { } squid ? FromSquid(squid)
        : ValueOf(head, "x-smokescreen-error") is { } smokescreen ? FromSmokescreen(smokescreen)
        : null;

    // RFC 9209, section 2.3
    static Cause? FromProxyStatus(string value)
    {
        int at = value.LastIndexOf("error=", StringComparison.OrdinalIgnoreCase);
        if (at < 0)
            return null;
        string error = value[(at + 6)..].Split(';', ',', ' ')[0].Trim('"');
        return error switch
        {
            "connection_refused" => Cause.Refused,
            "destination_ip_unroutable" or "destination_unavailable" => Cause.Unreachable,
            "connection_timeout" or "dns_timeout" => Cause.TimedOut,
            "connection_terminated" or "dns_error" or "destination_not_found" => Cause.Connect,
            "destination_ip_prohibited" or "http_request_denied" => Cause.Denied,
            _ => Cause.Proxy,
        };
    }

    // ERR_CONNECT_FAIL 111: the numbers are those of Linux, or of FreeBSD and macOS.
    static Cause FromSquid(string value) =>
        value.Split(' ', StringSplitOptions.RemoveEmptyEntries) switch
        {
            ["ERR_CONNECT_FAIL", "111" or "61", ..] => Cause.Refused,
            ["ERR_CONNECT_FAIL", "113" or "101" or "65" or "51", ..] => Cause.Unreachable,
            ["ERR_CONNECT_FAIL", "110" or "60", ..] => Cause.TimedOut,
            ["ERR_CONNECT_FAIL" or "ERR_DNS_FAIL" or "ERR_READ_TIMEOUT", ..] => Cause.Connect,
            ["ERR_ACCESS_DENIED", ..] => Cause.Denied,
            _ => Cause.Proxy,
        };

    // Its 407 is a refusal by its rules, not a request for a password.
    static Cause? FromSmokescreen(string value) =>
        value.StartsWith("Egress proxying is denied", StringComparison.Ordinal) ? Cause.Denied
        : value.Contains("connection refused", StringComparison.Ordinal) ? Cause.Refused
        : value.Contains("no route to host", StringComparison.Ordinal) || value.Contains("network is unreachable", StringComparison.Ordinal)
            ? Cause.Unreachable
        : value.StartsWith("Timed out connecting", StringComparison.Ordinal) ? Cause.TimedOut
        : value.StartsWith("Failed to connect", StringComparison.Ordinal) ? Cause.Connect
        : null;

    /// <summary>The value of a header's first line; null if there is none.</summary>
    static string? ValueOf(ReadOnlySpan<byte> head, string name)
    {
        foreach (var range in head.Split("\r\n"u8))
        {
            var line = head[range];
            if (line.Length > name.Length && line[name.Length] == ':' && Ascii.EqualsIgnoreCase(line[..name.Length], name))
                return Encoding.Latin1.GetString(line[(name.Length + 1)..]).Trim();
        }
        return null;
    }
}
