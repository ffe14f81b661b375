using Microsoft.Extensions.Primitives;

namespace Sendoff.Server;

/// <summary>Security headers of pages: they run only their own scripts, load nothing from other servers, and cannot be framed by other
/// sites. Responses of the API are never rendered as pages. Both are not cached, so that they cannot be found after a sign-out.</summary>
internal sealed class PageHeaders(RequestDelegate next)
{
    const string Pages =
        "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
        + "img-src 'self' data:; "
        + "frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'self'";

    // The frame of the code editor: Monaco adds its own styles, and uses workers to analyse code.
    const string Code =
        "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        + "font-src 'self' data:; worker-src 'self' blob:; "
        + "form-action 'none'; frame-ancestors 'self'; base-uri 'self'";

    // The frame of the API reference: Scalar uses an inline script and inline styles.
    const string Reference =
        "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        + "font-src 'self' data:; "
        + "connect-src 'self'; worker-src 'self' blob:; frame-ancestors 'self'; base-uri 'none'";

    public Task InvokeAsync(HttpContext context)
    {
        // Set when the response starts, because an error page clears headers that were set before.
        context.Response.OnStarting(static context => Set((HttpContext)context), context);
        return next(context);
    }

    static Task Set(HttpContext context)
    {
        var headers = context.Response.Headers;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers.ContentSecurityPolicy = PolicyOf(context.Request.Path);
        // Styles and scripts set their own cache headers.
        if (StringValues.IsNullOrEmpty(headers.CacheControl))
            headers.CacheControl = "no-store";
        return Task.CompletedTask;
    }

    static string PolicyOf(PathString path) =>
        path.StartsWithSegments("/docs/reference") ? Reference
        : path == "/code" ? Code
        : Pages;
}
