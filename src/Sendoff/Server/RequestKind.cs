namespace Sendoff.Server;

/// <summary>The kind of caller. It determines the form of an error response, not the permission.</summary>
internal static class RequestKind
{
    static readonly PathString[] machines = ["/hooks", "/api", "/openapi", "/healthz", "/.well-known", "/metrics"];

    /// <summary>Whether the response is a page or a redirect for people. Other callers get problem details.</summary>
    public static bool IsPage(HttpRequest request) => !machines.Any(path => request.Path.StartsWithSegments(path));
}
