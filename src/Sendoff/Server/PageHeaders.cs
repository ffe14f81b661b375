using Microsoft.Extensions.Primitives;

namespace Sendoff.Server;

/// <summary>Pages run only their own script, load nothing from elsewhere, and are framed by none but themselves. The API's answers are
/// never taken for pages. Neither is kept by a cache, where somebody could find it after a sign-out.</summary>
internal sealed class PageHeaders(RequestDelegate next)
{
    const string Pages =
        "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
        + "img-src 'self' data:; "
        + "frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'self'";

    // The frame of the code editor: Monaco styles itself, and analyses code in workers.
    const string Code =
        "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        + "font-src 'self' data:; worker-src 'self' blob:; "
        + "form-action 'none'; frame-ancestors 'self'; base-uri 'self'";

    // The frame of the API reference: Scalar's page starts itself with an inline script and styles itself.
    const string Reference =
        "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        + "font-src 'self' data:; "
        + "connect-src 'self'; worker-src 'self' blob:; frame-ancestors 'self'; base-uri 'none'";

    public Task InvokeAsync(HttpContext context)
    {
        // At the start of the response: an error page clears what was set before.
        context.Response.OnStarting(static context => Set((HttpContext)context), context);
        return next(context);
    }

    static Task Set(HttpContext context)
    {
        var headers = context.Response.Headers;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers.ContentSecurityPolicy = PolicyOf(context.Request.Path);
        // Styles and scripts say themselves that they may be kept.
        if (StringValues.IsNullOrEmpty(headers.CacheControl))
            headers.CacheControl = "no-store";
        return Task.CompletedTask;
    }

    static string PolicyOf(PathString path) =>
        path.StartsWithSegments("/docs/reference") ? Reference
        : path == "/code" ? Code
        : Pages;
}
