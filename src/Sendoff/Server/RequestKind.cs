namespace Sendoff.Server;

/// <summary>Which part of the server a request is for.</summary>
internal static class RequestKind
{
    public static bool IsTrigger(HttpRequest request) => request.Path.StartsWithSegments("/hooks");

    /// <summary>Open to everybody: health, the sign-in and what its page is drawn with.</summary>
    public static bool IsOpen(HttpRequest request) =>
        request.Path.StartsWithSegments("/healthz") || request.Path.StartsWithSegments("/.well-known") || request.Path.StartsWithSegments("/signin")
        || request.Path.StartsWithSegments("/assets");

    /// <summary>Drawn for people: a refusal is a page or a redirect. All else is answered with problem details.</summary>
    public static bool IsPage(HttpRequest request) =>
        !IsTrigger(request) && !request.Path.StartsWithSegments("/api") && !request.Path.StartsWithSegments("/openapi")
        && !request.Path.StartsWithSegments("/healthz") && !request.Path.StartsWithSegments("/.well-known") && !request.Path.StartsWithSegments("/metrics");
}
