using System.Diagnostics.CodeAnalysis;
using System.Net;

namespace Sendoff.Engine.Deliveries;

/// <summary>The scheme, host and port of a URL. Connections, queues and limits are per destination.</summary>
/// <param name="Host">Lower case; an IP address without brackets.</param>
/// <param name="Literal">The address, if the host is an IP address in any form.</param>
internal sealed record Destination(bool IsTls, string Host, int Port, IPAddress? Literal)
{
    /// <summary>The stored form: <c>https://example.com:443</c>.</summary>
    public string Key { get; } = $"{(IsTls ? "https" : "http")}://{Bracketed(Host)}:{Port}";

    /// <summary>The <c>host</c> line: with the port only if it is not the default (RFC 9110 7.2).</summary>
    public string Authority { get; } = Port == (IsTls ? 443 : 80) ? Bracketed(Host) : $"{Bracketed(Host)}:{Port}";

    /// <summary>The result of <see cref="Of"/> for a URL that cannot be sent.</summary>
    public const string None = "http:";

    /// <summary>The destination of a send, as in <see cref="Delivery.Destination"/>.</summary>
    public static string Of(string url, WorkflowId workflow = default) =>
        SendKinds.KindOf(url) is var kind and not SendKind.Http ? SendKinds.LaneOf(kind, workflow)
        : TryParse(url, out var destination, out _) ? destination.Key
        : None;

    /// <summary>Reads an absolute URL (<see cref="HttpSyntax"/>). Path and query from <paramref name="target"/> on are not
    /// changed.</summary>
    /// <param name="target">The start of path and query; the length of the URL if it has neither.</param>
    public static bool TryParse(string url, [NotNullWhen(true)] out Destination? destination, out int target)
    {
        destination = null;
        if (
            !HttpSyntax.TrySplit(url, out bool isTls, out var host, out int port, out target)
            || !HttpSyntax.TryParseHost(host, out string? name, out var literal)
        )
            return false;
        destination = new Destination(isTls, name, port, literal);
        return true;
    }

    static string Bracketed(string host) => host.Contains(':') ? $"[{host}]" : host;
}
