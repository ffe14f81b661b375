namespace Sendoff.Server;

/// <summary>Where the server is reached, without a slash at the end: the public URL, else what the request says.</summary>
internal static class Origin
{
    public static string Of(HttpRequest request, ServerOptions options) =>
        options.PublicUrl?.GetLeftPart(UriPartial.Authority) ?? $"{request.Scheme}://{request.Host}";
}
