namespace Sendoff.Server;

/// <summary>The kind of caller. It determines the form of a refusal, not the permission.</summary>
internal static class RequestKind
{
    static readonly PathString[] machines = ["/hooks", "/api", "/openapi", "/healthz", "/.well-known", "/metrics"];

    /// <summary>Drawn for people: a refusal is a page or a redirect. All else is answered with problem details.</summary>
    public static bool IsPage(HttpRequest request) => !machines.Any(path => request.Path.StartsWithSegments(path));
}
