using Microsoft.Extensions.Primitives;

namespace Sendoff.Server.Auth;

/// <summary>The cookie with the random value of a session.</summary>
internal static class SessionCookie
{
    public const string Name = "sendoff_session";

    public static string? ValueOf(HttpRequest request) => request.Cookies[Name];

    public static void Append(HttpContext context, string value, ServerOptions options) =>
        context.Response.Cookies.Append(Name, value, Options(context.Request, options, options.SessionAge));

    public static void Delete(HttpContext context, ServerOptions options) =>
        context.Response.Cookies.Delete(Name, Options(context.Request, options, null));

    static CookieOptions Options(HttpRequest request, ServerOptions options, TimeSpan? age) =>
        new()
        {
            HttpOnly = true,
            SameSite = SameSiteMode.Strict,
            Secure = Origin.IsSecure(request, options),
            Path = "/",
            MaxAge = age,
        };

    /// <summary>Removes the session from cookie lines, so that a workflow called from a signed-in browser does not get it.</summary>
    public static bool Remove(StringValues lines, out string rest)
    {
        rest = string.Join("; ", lines.ToArray());
        if (!rest.Contains(Name, StringComparison.OrdinalIgnoreCase))
            return false;
        rest = string.Join(
            "; ",
            rest.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                .Where(static cookie => !IsSession(cookie))
        );
        return true;
    }

    // ASP.NET Core compares names of cookies without case.
    static bool IsSession(string cookie) => cookie.Split('=')[0].Trim().Equals(Name, StringComparison.OrdinalIgnoreCase);
}
