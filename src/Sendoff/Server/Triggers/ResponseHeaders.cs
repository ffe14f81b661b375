using System.Collections.Frozen;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;
using Sendoff.Engine.Deliveries;
using Sendoff.Server.Auth;

namespace Sendoff.Server.Triggers;

/// <summary>The header lines of a run's response that reach the caller, and the headers of every response to a caller of
/// workflows.</summary>
/// <remarks>responseHeaders.mjs of the harness implements the same rules for the step; <c>test/cases/response-headers.json</c> tests
/// both.</remarks>
internal static partial class ResponseHeaders
{
    /// <summary>Lines of the connection (RFC 9110, 7.6.1), lines that the server writes, and lines that affect the whole origin, which
    /// hooks may share with the pages: they clear or replace stored state, redirect the browser, or extend the permissions of a
    /// script.</summary>
    public static readonly FrozenSet<string> Dropped = FrozenSet.ToFrozenSet(
        [
            "connection",
            "keep-alive",
            "proxy-connection",
            "transfer-encoding",
            "te",
            "trailer",
            "upgrade",
            "content-length",
            "x-content-type-options",
            "accept-ch",
            "alt-svc",
            "clear-site-data",
            "critical-ch",
            "expect-ct",
            "nel",
            "origin-agent-cluster",
            "public-key-pins",
            "public-key-pins-report-only",
            "refresh",
            "report-to",
            "reporting-endpoints",
            "secure-session-registration",
            "sec-session-registration",
            "service-worker-allowed",
            "set-cookie2",
            "set-login",
            "speculation-rules",
            "strict-transport-security",
            "use-as-dictionary",
        ],
        StringComparer.OrdinalIgnoreCase
    );

    static readonly StringValues sandbox = "sandbox allow-scripts allow-forms allow-popups";

    public static void Copy(IReadOnlyList<Header> lines, IHeaderDictionary headers)
    {
        var names = new List<string>(lines.Count);
        bool hasOrigin = false,
            hasCredentials = false;
        foreach (var line in lines)
        {
            if (!IsSent(line))
                continue;
            bool isOrigin = Is(line, HeaderNames.AccessControlAllowOrigin),
                isExposure = Is(line, HeaderNames.AccessControlExposeHeaders);
            hasOrigin |= isOrigin;
            hasCredentials |= Is(line, HeaderNames.AccessControlAllowCredentials);
            // A run's values replace the server's.
            if (isOrigin || isExposure || Is(line, HeaderNames.AccessControlAllowCredentials))
                headers[line.Name] = line.Value;
            else
            {
                headers.Append(line.Name, line.Value);
                if (!Is(line, HeaderNames.SetCookie) && !names.Contains(line.Name, StringComparer.OrdinalIgnoreCase))
                    names.Add(line.Name);
            }
        }
        Cors.Adopt(headers, names, hasOrigin, hasCredentials);
    }

    static bool Is(Header line, string name) => line.Name.Equals(name, StringComparison.OrdinalIgnoreCase);

    public static bool IsSent(Header line) => !Dropped.Contains(line.Name) && IsLegal(line) && !IsOwnCookie(line);

    /// <summary> A document that a workflow returns may share its origin with the pages and the API. The sandbox gives it a separate
    /// origin, so that its scripts run without the session of the person who opens it. It is set on every response, because the browser
    /// decides what a document is, not the server. </summary>
    public static void Sandbox(HttpContext context)
    {
        Cors.Allow(context);
        var headers = context.Response.Headers;
        headers.XContentTypeOptions = "nosniff";
        headers.ContentSecurityPolicy = sandbox;
    }

    /// <summary>A content type that a browser could interpret as another one; null if it is unambiguous. In a list, such as <c>text/plain,
    /// text/html</c>, browsers use the last type.</summary>
    public static string? FindBadType(IReadOnlyList<Header> lines)
    {
        string? found = null;
        foreach (var line in lines)
        {
            if (!line.Name.Equals(HeaderNames.ContentType, StringComparison.OrdinalIgnoreCase))
                continue;
            if (found is not null)
                return $"{found}, {line.Value}";
            found = line.Value;
        }
        return found is null || IsOneType(found) ? null : found;
    }

    // The parts of multipart/x-mixed-replace replace the document, each with its own headers.
    static bool IsOneType(string type) => !type.Contains(',') && MediaType().IsMatch(type) && !Replaced().IsMatch(type);

    const string Token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";

    /// <summary>RFC 9110, 8.3.1.</summary>
    [GeneratedRegex($"\\A{Token}/{Token}(?:[ \\t]*;(?:[ \\t]*{Token}=(?:{Token}|\"(?:[^\"\\\\]|\\\\.)*\"))?)*[ \\t]*\\z")]
    private static partial Regex MediaType();

    [GeneratedRegex(@"\Amultipart/x-mixed-replace[ \t]*(?:;|\z)", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Replaced();

    /// <summary>A line that sets, replaces or expires the session's cookie. A cookie without a name is sent as its value alone, so the
    /// value is checked too.</summary>
    static bool IsOwnCookie(Header line) =>
        line.Name.Equals(HeaderNames.SetCookie, StringComparison.OrdinalIgnoreCase)
        && line.Value.AsSpan().TrimStart("= \t").StartsWith(SessionCookie.Name, StringComparison.OrdinalIgnoreCase);

    static bool IsLegal(Header line)
    {
        if (!HttpSyntax.IsToken(line.Name))
            return false;
        foreach (char c in line.Value)
        {
            if (c is < ' ' and not '\t' or > '~')
                return false;
        }
        return true;
    }
}
