using System.Diagnostics.CodeAnalysis;
using System.Net;

namespace Sendoff.Engine.Deliveries;

/// <summary>Where a URL leads: scheme, host and port. Connections, queues and bounds are kept by destination.</summary>
/// <param name="Host">Lower case; an IP address without brackets.</param>
/// <param name="Literal">The address, when the host is one in any spelling.</param>
internal sealed record Destination(bool IsTls, string Host, int Port, IPAddress? Literal)
{
    /// <summary>As it is stored: <c>https://example.com:443</c>.</summary>
    public string Key { get; } = $"{(IsTls ? "https" : "http")}://{Bracketed(Host)}:{Port}";

    /// <summary>The <c>host</c> line: the port only where it is not the scheme's own (RFC 9110 7.2).</summary>
    public string Authority { get; } = Port == (IsTls ? 443 : 80) ? Bracketed(Host) : $"{Bracketed(Host)}:{Port}";

    /// <summary>What <see cref="Of"/> returns for a URL that cannot be sent.</summary>
    public const string None = "http:";

    /// <summary>Where a send goes, as <see cref="Delivery.Destination"/> holds it.</summary>
    public static string Of(string url, WorkflowId workflow = default) =>
        SendKinds.KindOf(url) is var kind and not SendKind.Http ? SendKinds.LaneOf(kind, workflow)
        : TryParse(url, out var destination, out _) ? destination.Key
        : None;

    /// <summary>Reads an absolute URL (<see cref="HttpSyntax"/>). Path and query from <paramref name="target"/> on are left as they
    /// are.</summary>
    /// <param name="target">Where path and query begin; the length of the URL when it has neither.</param>
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
