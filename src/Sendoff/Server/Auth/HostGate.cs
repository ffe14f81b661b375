using System.Net;

namespace Sendoff.Server.Auth;

/// <summary>Marks an endpoint that can be called with any host name, because it has no secrets.</summary>
internal sealed class AnyHost
{
    public static readonly AnyHost Mark = new();
}

/// <summary>Accepts only the server's own host names, and separates the web UI and API from the addresses of hooks.</summary>
internal sealed class HostGate(RequestDelegate next, ServerSides sides, ServerOptions options)
{
    static readonly Problem elsewhere = Problem.NotFound(
        "This address serves only triggers (setting Hooks:Listen or Hooks:PublicUrl). The web UI and the API have another address."
    );
    static readonly Problem badHost = Problem.BadInput(
        "The header 'host' is not a host name or address, optionally with a port from 0 to 65535."
    );

    public Task InvokeAsync(HttpContext context)
    {
        if (!Uri.TryCreate($"http://{context.Request.Host}/", UriKind.Absolute, out _) && context.Request.Host.HasValue)
            return badHost.ExecuteAsync(context);
        if (context.GetEndpoint()?.Metadata.GetMetadata<AnyHost>() is not null)
            return next(context);
        if (!sides.ServesPages(context))
            return elsewhere.ExecuteAsync(context);
        if (IsOwnHost(context))
            return next(context);
        return new Problem(
            StatusCodes.Status403Forbidden,
            "Foreign host",
            $"This server does not serve the host '{context.Request.Host}'. Use the address that it printed at startup, "
                + "or set PublicUrl."
        ).ExecuteAsync(context);
    }

    /// <summary>On a loopback listener, an unknown host is a foreign page that uses DNS rebinding.</summary>
    bool IsOwnHost(HttpContext context)
    {
        if (
            context.Connection.LocalIpAddress is not { } local
            || !IPAddress.IsLoopback(local.IsIPv4MappedToIPv6 ? local.MapToIPv4() : local)
        )
            return true;
        string host = context.Request.Host.Host;
        return host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
            || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase)
            || IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address)
            || options.PublicUrl is { } own && host.Equals(own.Host, StringComparison.OrdinalIgnoreCase);
    }
}
