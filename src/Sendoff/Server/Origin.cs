using Microsoft.AspNetCore.Http.Extensions;

namespace Sendoff.Server;

/// <summary>URL of the server without a trailing slash: the public URL, or that of the request.</summary>
internal static class Origin
{
    public static string Of(HttpRequest request, ServerOptions options) =>
        options.PublicUrl?.GetLeftPart(UriPartial.Authority) ?? $"{request.Scheme}://{request.Host}";

    /// <summary>Where callers of workflows reach the server: triggers, resume and cancel addresses, streams.</summary>
    public static string OfHooks(HttpRequest request, ServerOptions options) =>
        options.HooksUrl?.GetLeftPart(UriPartial.Authority) ?? Of(request, options);

    /// <summary>The whole URL that a caller of a workflow asked for.</summary>
    public static string UrlOfHook(HttpRequest request, ServerOptions options) =>
        options.HooksUrl is null ? UrlOf(request, options) : OfHooks(request, options) + request.GetEncodedPathAndQuery();

    /// <summary>The whole URL that a caller asked for.</summary>
    public static string UrlOf(HttpRequest request, ServerOptions options) =>
        options.PublicUrl is null ? request.GetEncodedUrl() : Of(request, options) + request.GetEncodedPathAndQuery();

    /// <summary>The browser came over TLS: to this server, or to the proxy before it.</summary>
    public static bool IsSecure(HttpRequest request, ServerOptions options) =>
        request.IsHttps || options.PublicUrl?.Scheme == Uri.UriSchemeHttps;
}
