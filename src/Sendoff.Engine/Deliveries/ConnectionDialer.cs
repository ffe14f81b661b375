using System.Net;
using System.Net.Sockets;

namespace Sendoff.Engine.Deliveries;

/// <summary>Opens connections: resolves a name, checks the address (D1), and connects to exactly that address, directly or through the
/// proxy. All deliveries connect here.</summary>
internal sealed class ConnectionDialer(NameResolver names, EgressProxy? proxy, TlsHandshake tls, EngineLimits limits, TimeProvider time)
{
    readonly ProxyTunnel? tunnel = proxy is null ? null : new(proxy, limits);

    /// <exception cref="WireException">The connection failed; the error gives the reason.</exception>
    public async Task<HttpConnection> DialAsync(Route route, AttemptProgress progress, CancellationToken ct)
    {
        var to = route.To;
        var addresses = await FindAddressesAsync(to, progress, ct).ConfigureAwait(false);
        if (route.Policy.FindBlock(to.Host, addresses, to.Port) is { } reason)
            throw new WireException(AttemptErrorCode.BlockedByEgressPolicy, reason);

        progress.Enter(AttemptPhase.Connect, "connecting");
        var (socket, remote) = await ReachAsync(route, addresses, progress, ct).ConfigureAwait(false);
        (progress.LocalAddress, progress.RemoteAddress) = ((socket.LocalEndPoint as IPEndPoint)?.Address.ToString(), remote.ToString());
        try
        {
            var key = route.KeyOf(route.From.For(remote.AddressFamily));
            if (!to.IsTls)
                return new HttpConnection(key, socket, new NetworkStream(socket, ownsSocket: false), remote);
            progress.Enter(AttemptPhase.Tls, $"making a TLS session with {to.Host}");
            return new HttpConnection(key, socket, await tls.MakeAsync(socket, to.Host, ct).ConfigureAwait(false), remote);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    async Task<IPAddress[]> FindAddressesAsync(Destination to, AttemptProgress progress, CancellationToken ct)
    {
        // A blocked name fails in phase dns, a blocked address in phase connect.
        progress.Enter(to.Literal is null ? AttemptPhase.Dns : AttemptPhase.Connect, $"resolving {to.Host}");
        return to.Literal is { } literal ? [literal] : await names.ResolveAsync(to.Host, ct).ConfigureAwait(false);
    }

    async Task<(Socket Socket, IPEndPoint To)> ReachAsync(
        Route route,
        IPAddress[] addresses,
        AttemptProgress progress,
        CancellationToken ct
    )
    {
        var endPoints = ConnectionRace.Interleave(
            addresses.Where(a => route.From.Covers(FamilyOf(a))),
            route.To.Port,
            limits.ConnectAddresses
        );
        if (endPoints.Length == 0)
            throw NoAddressOfThatFamily(route.To.Host, addresses[0]);
        var tried = new List<IPEndPoint>();
        return await ConnectionRace.RunAsync(endPoints, (to, ct) => ConnectAsync(to, route.From, ct), Note, time, ct).ConfigureAwait(false);

        void Note(IPEndPoint next)
        {
            tried.Add(next);
            progress.Doing = $"connecting to {string.Join(" and ", tried)}{(proxy is null ? "" : $" through the proxy {proxy}")}";
            (progress.LocalAddress, progress.RemoteAddress) = (route.From.For(next.AddressFamily)?.ToString(), next.ToString());
        }
    }

    async Task<Socket> ConnectAsync(IPEndPoint to, LocalChoice from, CancellationToken ct)
    {
        if (tunnel is null)
            return await DialAsync(to, from.For(to.AddressFamily), ct).ConfigureAwait(false);
        var socket = await ReachProxyAsync(ct).ConfigureAwait(false);
        try
        {
            await tunnel.OpenAsync(socket, to, ct).ConfigureAwait(false);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    async Task<Socket> ReachProxyAsync(CancellationToken ct)
    {
        try
        {
            var addresses = proxy!.Literal is { } literal ? [literal] : await names.ResolveAsync(proxy.Host, ct).ConfigureAwait(false);
            var endPoints = ConnectionRace.Interleave(addresses, proxy.Port, limits.ConnectAddresses);
            return (
                await ConnectionRace
                    .RunAsync(endPoints, static (to, ct) => DialAsync(to, null, ct), static _ => { }, time, ct)
                    .ConfigureAwait(false)
            ).Socket;
        }
        catch (WireException e)
        {
            throw new WireException(AttemptErrorCode.ProxyFailed, $"the proxy {proxy} cannot be reached: {e.Message}", e);
        }
    }

    static async Task<Socket> DialAsync(IPEndPoint to, IPAddress? from, CancellationToken ct)
    {
        Socket? socket = null;
        try
        {
            socket = new Socket(to.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            if (from is not null)
                EgressAddresses.Bind(socket, from);
            await socket.ConnectAsync(to, ct).ConfigureAwait(false);
            return socket;
        }
        catch (SocketException e)
        {
            socket?.Dispose();
            throw Explain(e, to, from);
        }
        catch
        {
            socket?.Dispose();
            throw;
        }
    }

    static WireException Explain(SocketException e, IPEndPoint to, IPAddress? from)
    {
        string way = from is null ? $"{to}" : $"{to} from {from} (Egress:Addresses)";
        return e.SocketErrorCode switch
        {
            SocketError.ConnectionRefused => new(
                AttemptErrorCode.ConnectRefused,
                $"{to} refused the connection: nothing is listening on that port",
                e
            ),
            SocketError.HostUnreachable
            or SocketError.NetworkUnreachable
            or SocketError.HostDown
            or SocketError.NetworkDown
            or SocketError.AddressNotAvailable
            or SocketError.AddressFamilyNotSupported
            or SocketError.InvalidArgument => new(
                AttemptErrorCode.ConnectUnreachable,
                from is null ? $"{to} cannot be reached: {e.Message}" : $"no way to {way}: {e.Message}",
                e
            ),
            _ => new(AttemptErrorCode.ConnectFailed, $"no connection to {way}: {e.Message}", e),
        };
    }

    static WireException NoAddressOfThatFamily(string host, IPAddress address)
    {
        string family = FamilyOf(address) == AddressFamily.InterNetworkV6 ? "IPv6" : "IPv4";
        return new(
            AttemptErrorCode.ConnectUnreachable,
            $"{host} has only {family} addresses, but the local addresses for deliveries have none; "
                + $"to send there, add a local {family} address to the setting Egress:Addresses"
        );
    }

    static AddressFamily FamilyOf(IPAddress address) => address.IsIPv4MappedToIPv6 ? AddressFamily.InterNetwork : address.AddressFamily;
}
