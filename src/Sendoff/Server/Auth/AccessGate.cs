using System.Net;
using Sendoff.Engine.Storage;

namespace Sendoff.Server.Auth;

/// <summary>Lets in who may come: the API by bearer token or session, pages by session. Triggers never pass here.</summary>
internal sealed class AccessGate(RequestDelegate next, AdminToken token, ApiTokens tokens, ServerOptions options)
{
    public Task InvokeAsync(HttpContext context)
    {
        var request = context.Request;
        if (!RequestKind.IsPublic(request) && !IsOwnHost(context)) return Forbid(context, "Foreign host",
            $"This server does not answer for the host '{request.Host}'. Use the address that it printed at its start, or set PublicUrl.");
        if (RequestKind.IsOpen(request)) return next(context);

        string? authorization = request.Headers.Authorization;
        if (authorization is not null && authorization.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase))
            return CheckTokenAsync(context, authorization["Bearer ".Length..].Trim());
        if (AdminSession.IsSignedIn(request, token))
            return IsSafe(request) && !IsSocket(request) || IsSameOrigin(request)
                ? next(context)
                : Forbid(context, "Cross-site request",
                    "A request that changes something must come from this server's own pages, or carry a bearer token.");
        if (!RequestKind.IsPage(request))
            return Unauthorized(context,
                "Send 'Authorization: Bearer <admin token>'. The token is in the file 'admin-token' of the server's data directory.");
        if (!IsSafe(request)) return Refuse(context, StatusCodes.Status401Unauthorized, "Not signed in", "Sign in first.");
        context.Response.Redirect("/signin?next=" + Uri.EscapeDataString(request.Path + request.QueryString));
        return Task.CompletedTask;
    }

    async Task CheckTokenAsync(HttpContext context, string presented)
    {
        if (token.Matches(presented)) await next(context);
        else if (await tokens.FindAsync(presented, context.RequestAborted) is not { } found)
            await Unauthorized(context, "The bearer token is not this server's, or was revoked. The admin token is in the file 'admin-token' of its data directory; sendoff tokens makes others.");
        else if (Needed(context.Request) is var needed && found.Scope < needed)
            await Forbid(context, "Out of scope", $"The token '{found.Name}' has the scope '{Api.Names.Of(found.Scope)}'; {context.Request.Method} {context.Request.Path} needs '{Api.Names.Of(needed)}'.");
        else await next(context);
    }

    /// <summary>Secrets and tokens are for admins, also to look at; what goes through a socket of the pages may change things.</summary>
    static TokenScope Needed(HttpRequest request) =>
        request.Path.StartsWithSegments("/api/v1/tokens") || request.Path.StartsWithSegments("/api/v1/secrets") || request.Path.StartsWithSegments("/settings") ? TokenScope.Admin
        : IsSafe(request) && !IsSocket(request) ? TokenScope.Read : TokenScope.Write;

    static Task Unauthorized(HttpContext context, string detail)
    {
        context.Response.Headers.WWWAuthenticate = "Bearer";
        return Refuse(context, StatusCodes.Status401Unauthorized, "Not allowed", detail);
    }

    static Task Forbid(HttpContext context, string title, string detail) => Refuse(context, StatusCodes.Status403Forbidden, title, detail);

    static Task Refuse(HttpContext context, int status, string title, string detail) =>
        new Problem(status, title, detail).ExecuteAsync(context);

    static bool IsSafe(HttpRequest request) => HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method);

    /// <summary>A socket is asked for with GET, and any page may ask: what goes through it changes things.</summary>
    static bool IsSocket(HttpRequest request) => request.Headers.ContainsKey("Upgrade") || HttpMethods.IsConnect(request.Method);

    /// <summary>Browsers say where a request comes from; one that says nothing is not trusted with a cookie.</summary>
    bool IsSameOrigin(HttpRequest request)
    {
        string? site = request.Headers["Sec-Fetch-Site"];
        if (site is not null) return site == "same-origin";
        if (!Uri.TryCreate(request.Headers.Origin, UriKind.Absolute, out var origin)) return false;
        return origin.Authority.Equals(options.PublicUrl?.Authority ?? request.Host.Value, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>On a loopback listener a foreign Host is a page of somebody else whose name now leads here (DNS rebinding).</summary>
    bool IsOwnHost(HttpContext context)
    {
        if (context.Connection.LocalIpAddress is not { } local
            || !IPAddress.IsLoopback(local.IsIPv4MappedToIPv6 ? local.MapToIPv4() : local)) return true;
        string host = context.Request.Host.Host;
        return host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
            || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase)
            || IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address)
            || options.PublicUrl is { } own && host.Equals(own.Host, StringComparison.OrdinalIgnoreCase);
    }
}
