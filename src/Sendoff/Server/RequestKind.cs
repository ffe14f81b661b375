namespace Sendoff.Server;

/// <summary>Whom an answer is for. It decides how a refusal looks, never who may come.</summary>
internal static class RequestKind
{
    static readonly PathString[] machines = ["/hooks", "/api", "/openapi", "/healthz", "/.well-known", "/metrics"];

    /// <summary>Drawn for people: a refusal is a page or a redirect. All else is answered with problem details.</summary>
    public static bool IsPage(HttpRequest request) => !machines.Any(path => request.Path.StartsWithSegments(path));
}
