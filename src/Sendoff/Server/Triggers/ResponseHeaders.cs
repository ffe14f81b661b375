using System.Collections.Frozen;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;
using Sendoff.Engine.Deliveries;

namespace Sendoff.Server.Triggers;

/// <summary>What of a run's answer may reach the wire as header lines.</summary>
internal static class ResponseHeaders
{
    /// <summary>Those of the connection (RFC 9110, 7.6.1), those the server writes itself,
    /// and one that would widen a script's reach.</summary>
    static readonly FrozenSet<string> dropped = FrozenSet.ToFrozenSet(
        ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "trailer", "upgrade",
         "content-length", "service-worker-allowed"],
        StringComparer.OrdinalIgnoreCase);

    public static void Copy(IReadOnlyList<Header> lines, IHeaderDictionary headers)
    {
        foreach (var line in lines)
        {
            if (dropped.Contains(line.Name) || !IsLegal(line)) continue;
            if (line.Name.Equals(HeaderNames.AccessControlAllowOrigin, StringComparison.OrdinalIgnoreCase))
                headers.AccessControlAllowOrigin = line.Value;
            else headers.Append(line.Name, line.Value);
        }
    }

    /// <summary>
    /// A document that a workflow answers with shares its origin with the pages and the API. The sandbox gives it an origin of
    /// its own, so that its scripts run without the session of who looks at it.
    /// </summary>
    public static void Sandbox(IHeaderDictionary headers)
    {
        string? type = headers.ContentType;
        bool plain = type is null || type.StartsWith("text/plain", StringComparison.OrdinalIgnoreCase)
            || type.StartsWith("application/json", StringComparison.OrdinalIgnoreCase);
        headers.XContentTypeOptions = "nosniff";
        if (!plain) headers.ContentSecurityPolicy = StringValues.Concat(headers.ContentSecurityPolicy, "sandbox allow-scripts allow-forms allow-popups");
    }

    static bool IsLegal(Header line)
    {
        if (!HttpSyntax.IsToken(line.Name)) return false;
        foreach (char c in line.Value)
        {
            if (c is < ' ' and not '\t' or > '~') return false;
        }
        return true;
    }
}
