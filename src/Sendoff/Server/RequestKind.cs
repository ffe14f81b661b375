namespace Sendoff.Server;

/// <summary>Which part of the server a request is for.</summary>
internal static class RequestKind
{
    public static bool IsTrigger(HttpRequest request) => request.Path.StartsWithSegments("/hooks");

    /// <summary>Asked by machines under whatever name they know this one by; tells nothing that is secret.</summary>
    public static bool IsPublic(HttpRequest request) =>
        request.Path.StartsWithSegments("/healthz") || request.Path.StartsWithSegments("/.well-known");

    /// <summary>Open to everybody: health, the sign-in and what its page is drawn with.</summary>
    public static bool IsOpen(HttpRequest request) =>
        IsPublic(request) || request.Path.StartsWithSegments("/signin") || request.Path.StartsWithSegments("/assets");

    /// <summary>Drawn for people: a refusal is a page or a redirect. All else is answered with problem details.</summary>
    public static bool IsPage(HttpRequest request) =>
        !IsTrigger(request) && !request.Path.StartsWithSegments("/api") && !request.Path.StartsWithSegments("/openapi")
        && !IsPublic(request) && !request.Path.StartsWithSegments("/metrics");
}
