using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;

namespace Sendoff.Server.Triggers;

/// <summary>What lets scripts of any page call workflows and read the answers (E7), also with the credentials of a browser: no session of
/// this server's goes with such a call, as its cookie is <c>SameSite=Strict</c>.</summary>
internal static class Cors
{
    /// <summary>The server's own headers that a script can read; a run's are added to them.</summary>
    static readonly StringValues exposed = "sendoff-run, sendoff-event, retry-after";
    static readonly StringValues seconds = "600",
        yes = "true";

    public static void Allow(HttpContext context)
    {
        var headers = context.Response.Headers;
        // A star is not enough for a call with credentials, as those of sendBeacon are.
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

    /// <summary>Adds the names of a run's headers to those that scripts can read, unless the run names them itself. An origin that the run
    /// allows is the only one, and without credentials unless the run allows these too.</summary>
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
