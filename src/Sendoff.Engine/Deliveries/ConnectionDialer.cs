using System.Net;
using System.Net.Sockets;

namespace Sendoff.Engine.Deliveries;

/// <summary>Opens connections: resolves, checks what was resolved (D1), and dials that very address. There is no other way out.</summary>
internal sealed class ConnectionDialer(NameResolver names, EgressPolicy egress, TlsHandshake tls)
{
    /// <exception cref="WireException">There is no connection, and why.</exception>
    public async Task<HttpConnection> DialAsync(Destination to, AttemptProgress progress, CancellationToken ct)
    {
        IPAddress[] addresses;
        if (to.Literal is { } literal) addresses = [literal];
        else
        {
            progress.Enter(AttemptPhase.Dns, $"resolving {to.Host}");
            addresses = await names.ResolveAsync(to.Host, ct);
        }
        if (egress.FindBlock(to.Host, addresses, to.Port) is { } reason) throw new WireException(AttemptErrorCode.BlockedByEgressPolicy, reason);

        progress.Enter(AttemptPhase.Connect, "connecting");
        var socket = await ConnectAsync(addresses, to.Port, progress, ct);
        try
        {
            if (!to.IsTls) return new HttpConnection(to.Key, socket, new NetworkStream(socket, ownsSocket: false));
            progress.Enter(AttemptPhase.Tls, $"making a TLS session with {to.Host}");
            return new HttpConnection(to.Key, socket, await tls.MakeAsync(socket, to.Host, ct));
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Tries the addresses in the resolver's order. Nothing has been written yet, so trying the next is no second request.</summary>
    static async Task<Socket> ConnectAsync(IPAddress[] addresses, int port, AttemptProgress progress, CancellationToken ct)
    {
        for (int i = 0; ; i++)
        {
            var address = addresses[i].IsIPv4MappedToIPv6 ? addresses[i].MapToIPv4() : addresses[i];
            var endPoint = new IPEndPoint(address, port);
            progress.Doing = $"connecting to {endPoint}";
            progress.RemoteAddress = endPoint.ToString();
            Socket? socket = null;
            try
            {
                socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                await socket.ConnectAsync(endPoint, ct);
                return socket;
            }
            catch (SocketException e)
            {
                socket?.Dispose();
                if (i == addresses.Length - 1) throw Explain(e, endPoint);
            }
            catch
            {
                socket?.Dispose();
                throw;
            }
        }
    }

    static WireException Explain(SocketException e, IPEndPoint endPoint) => e.SocketErrorCode switch
    {
        SocketError.ConnectionRefused => new(AttemptErrorCode.ConnectRefused, $"{endPoint} refused the connection: nobody listens there", e),
        SocketError.HostUnreachable or SocketError.NetworkUnreachable or SocketError.HostDown or SocketError.NetworkDown or SocketError.AddressNotAvailable
            or SocketError.AddressFamilyNotSupported => new(AttemptErrorCode.ConnectUnreachable, $"{endPoint} cannot be reached: {e.Message}", e),
        _ => new(AttemptErrorCode.ConnectFailed, $"no connection to {endPoint}: {e.Message}", e),
    };
}
