using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;

namespace Sendoff.Server.Triggers;

/// <summary>Headers with which scripts of any page can call workflows and read the responses (E7), also with the credentials of a browser.
/// The session of this server is not included, because its cookie is <c>SameSite=Strict</c>.</summary>
internal static class Cors
{
    /// <summary>The server's own headers that a script can read; a run's are added to them.</summary>
    static readonly StringValues exposed = "sendoff-run, sendoff-event, retry-after";
    static readonly StringValues seconds = "600",
        yes = "true";

    public static void Allow(HttpContext context)
    {
        var headers = context.Response.Headers;
        // A star is not allowed for a call with credentials, such as sendBeacon.
        if (context.Request.Headers.Origin is not { Count: 1 } origin)
        {
            headers.AccessControlAllowOrigin = "*";
            return;
        }
        headers.AccessControlAllowOrigin = origin;
        headers.AccessControlAllowCredentials = yes;
        headers.AccessControlExposeHeaders = exposed;
        headers.Vary = HeaderNames.Origin;
    }

    /// <summary>Adds the names of a run's headers to those that scripts can read, unless the run sets this header itself. If the run sets
    /// an allowed origin, only that origin is allowed, and credentials only if the run allows them too.</summary>
    public static void Adopt(IHeaderDictionary headers, IReadOnlyList<string> names, bool hasOrigin, bool hasCredentials)
    {
        if (hasOrigin && !hasCredentials)
            headers.Remove(HeaderNames.AccessControlAllowCredentials);
        if (names.Count == 0 || StringValues.IsNullOrEmpty(headers.AccessControlExposeHeaders))
            return;
        headers.AccessControlExposeHeaders = $"{headers.AccessControlExposeHeaders}, {string.Join(", ", names)}";
    }

    public static void AnswerPreflight(HttpContext context, string methods)
    {
        Allow(context);
        var headers = context.Response.Headers;
        headers.Remove(HeaderNames.AccessControlExposeHeaders);
        headers.AccessControlAllowMethods = methods;
        headers.AccessControlMaxAge = seconds;
        if (context.Request.Headers.AccessControlRequestHeaders is { Count: > 0 } asked)
            headers.AccessControlAllowHeaders = asked;
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }
}
