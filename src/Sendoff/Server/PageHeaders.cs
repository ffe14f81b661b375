namespace Sendoff.Server;

/// <summary>Pages run only their own script, load nothing from elsewhere, and are not framed. The API's answers are never taken for pages.</summary>
internal sealed class PageHeaders(RequestDelegate next)
{
    const string Pages = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data:; "
        + "form-action 'self'; frame-ancestors 'none'; base-uri 'self'";
    // Scalar's page starts itself with an inline script and styles itself.
    const string Reference =
        "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        + "connect-src 'self'; worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'";

    public Task InvokeAsync(HttpContext context)
    {
        var headers = context.Response.Headers;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers.ContentSecurityPolicy = context.Request.Path.StartsWithSegments("/docs") ? Reference : Pages;
        return next(context);
    }
}
