using Microsoft.AspNetCore.Http.Extensions;

namespace Sendoff.Server;

/// <summary>URL of the server without a trailing slash: the public URL, or that of the request.</summary>
internal static class Origin
{
    public static string Of(HttpRequest request, ServerOptions options) =>
        options.PublicUrl?.GetLeftPart(UriPartial.Authority) ?? $"{request.Scheme}://{request.Host}";

    /// <summary>The URL for callers of workflows: triggers, resume and cancel URLs, streams.</summary>
    public static string OfHooks(HttpRequest request, ServerOptions options) =>
        options.HooksUrl?.GetLeftPart(UriPartial.Authority) ?? Of(request, options);

    /// <summary>The complete URL of a request to a workflow.</summary>
    public static string UrlOfHook(HttpRequest request, ServerOptions options) =>
        options.HooksUrl is null ? UrlOf(request, options) : OfHooks(request, options) + request.GetEncodedPathAndQuery();

    /// <summary>The complete URL of a request.</summary>
    public static string UrlOf(HttpRequest request, ServerOptions options) =>
        options.PublicUrl is null ? request.GetEncodedUrl() : Of(request, options) + request.GetEncodedPathAndQuery();

    /// <summary>Whether the browser uses TLS, to this server or to the proxy in front of it.</summary>
    public static bool IsSecure(HttpRequest request, ServerOptions options) =>
        request.IsHttps || options.PublicUrl?.Scheme == Uri.UriSchemeHttps;
}
