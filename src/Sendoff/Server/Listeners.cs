using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Sendoff.Server;

/// <summary>Binds exactly the addresses of <c>Listen</c> and <c>Hooks:Listen</c>.</summary>
/// <remarks>(1) resolve every address  (2) try each, so that an error is reported before anything is started  (3) bind them.</remarks>
sealed class Listeners
{
    readonly List<Listener> all = [];

    sealed record Listener(ListenAddress Address, EndPoint EndPoint, bool IsForHooks);

    /// <param name="hooks">Listeners that serve only triggers.</param>
    /// <exception cref="ListenException">An address cannot be bound.</exception>
    public static async Task<Listeners> PrepareAsync(
        IReadOnlyList<ListenAddress> pages,
        IReadOnlyList<ListenAddress> hooks,
        bool hasCertificate,
        CancellationToken ct
    )
    {
        var listeners = new Listeners();
        foreach (var address in pages.Concat(hooks))
        {
            if (address.IsTls && !hasCertificate)
                throw new ListenException(
                    address.Text,
                    "https requires a certificate; set Tls:Certificate and Tls:Key, or listen on http behind a reverse proxy with TLS "
                        + "(setting PublicUrl)"
                );
            // (1)
            var found = await address.ResolveAsync(ct);
            // (2)
            var free = found.Where(endPoint => IsFree(address, endPoint, found.Count)).ToList();
            if (free.Count == 0)
                throw new ListenException(address.Text, "this machine has no loopback address");
            listeners.all.AddRange(free.Select(endPoint => new Listener(address, endPoint, hooks.Contains(address))));
        }
        return listeners;
    }

    /// <summary>(3)</summary>
    public void Bind(KestrelServerOptions kestrel, ServerCertificate? certificate)
    {
        foreach (var listener in all)
        {
            kestrel.Listen(
                listener.EndPoint,
                options =>
                {
                    if (listener.IsForHooks)
                    {
                        options.Use(static next =>
                            connection =>
                            {
                                connection.Features.Set(HooksConnection.Mark);
                                return next(connection);
                            }
                        );
                    }
                    if (listener.Address.IsTls)
                        certificate!.Use(options);
                }
            );
        }
    }

    static bool IsFree(ListenAddress address, EndPoint endPoint, int count)
    {
        if (endPoint is UnixDomainSocketEndPoint)
            return IsSocketFree(address);
        try
        {
            using var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            if (endPoint is IPEndPoint { Address: var ip } && ip.Equals(IPAddress.IPv6Any))
                socket.DualMode = true; // as Kestrel does
            socket.Bind(endPoint);
            socket.Listen(1);
            return true;
        }
        // One of the two loopback addresses is sufficient.
        catch (SocketException x)
            when (address.IsLocalhost
                && count > 1
                && x.SocketErrorCode is SocketError.AddressNotAvailable or SocketError.AddressFamilyNotSupported
            )
        {
            return false;
        }
        catch (SocketException x)
        {
            throw new ListenException(
                address.Text,
                x.SocketErrorCode switch
                {
                    SocketError.AddressAlreadyInUse =>
                        $"{endPoint} is in use by another program; stop that program, or choose another port",
                    SocketError.AddressNotAvailable => $"{((IPEndPoint)endPoint).Address} is not an address of this machine",
                    SocketError.AccessDenied =>
                        $"the system does not allow this user to use port {((IPEndPoint)endPoint).Port}; choose one from 1024 on",
                    _ => x.Message,
                }
            );
        }
    }

    /// <summary>A socket without a listener was left over from a killed server and is removed.</summary>
    static bool IsSocketFree(ListenAddress address)
    {
        string path = address.SocketPath!;
        if (Path.GetDirectoryName(path) is { } folder && !Directory.Exists(folder))
            throw new ListenException(address.Text, $"the folder {folder} does not exist");
        if (!File.Exists(path))
            return true;
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            socket.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException x) when (x.SocketErrorCode == SocketError.ConnectionRefused && new FileInfo(path).Length == 0)
        {
            File.Delete(path);
            return true;
        }
        catch (SocketException x)
        {
            throw new ListenException(address.Text, $"{path} exists and is not the socket of an earlier server: {x.Message}");
        }
        throw new ListenException(address.Text, $"{path} is in use by another program; stop that program, or choose another path");
    }
}
