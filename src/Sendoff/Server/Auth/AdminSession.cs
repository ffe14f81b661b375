using Microsoft.Extensions.Primitives;

namespace Sendoff.Server.Auth;

/// <summary>The cookie of a signed-in browser.</summary>
internal static class AdminSession
{
    public const string CookieName = "sendoff_session";
    static readonly TimeSpan lasts = TimeSpan.FromDays(30);

    public static bool IsSignedIn(HttpRequest request, AdminToken token) => token.MatchesSession(request.Cookies[CookieName]);

    public static void SignIn(HttpContext context, AdminToken token, ServerOptions options) =>
        context.Response.Cookies.Append(CookieName, token.Session, Cookie(context.Request, options, lasts));

    public static void SignOut(HttpContext context, ServerOptions options) =>
        context.Response.Cookies.Delete(CookieName, Cookie(context.Request, options, null));

    static CookieOptions Cookie(HttpRequest request, ServerOptions options, TimeSpan? age) =>
        new() { HttpOnly = true, SameSite = SameSiteMode.Strict, Secure = Origin.IsSecure(request, options), Path = "/", MaxAge = age };

    /// <summary>Takes the session out of cookie lines: a workflow that is called from a signed-in browser must not get it.</summary>
    public static bool Remove(StringValues lines, out string rest)
    {
        rest = string.Join("; ", lines.ToArray());
        if (!rest.Contains(CookieName, StringComparison.Ordinal)) return false;
        rest = string.Join("; ", rest.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Where(c => !c.StartsWith(CookieName + "=", StringComparison.Ordinal)));
        return true;
    }
}
