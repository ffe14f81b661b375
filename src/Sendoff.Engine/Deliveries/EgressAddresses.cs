using System.Net;
using System.Net.Sockets;

namespace Sendoff.Engine.Deliveries;

/// <summary>The local addresses of deliveries (D3), used round-robin per destination. Without any, the system chooses. Otherwise no other
/// address is ever used.</summary>
public sealed class EgressAddresses
{
    // Destinations with the same counter share its turns; the table never grows.
    const int Places = 4_096;

    // linux/in.h. The port is then chosen at connect, where only the combination of address, port and receiver must be unique.
    const int IpBindAddressNoPort = 24;

    readonly IPAddress[] v4,
        v6;
    readonly int[] turns;

    /// <summary>The system chooses.</summary>
    public static readonly EgressAddresses Any = new([]);

    /// <param name="addresses">Setting <c>Egress:Addresses</c>. Each must be an address of this machine; see
    /// <see cref="FindFault"/>.</param>
    public EgressAddresses(IReadOnlyList<IPAddress> addresses)
    {
        All = [.. addresses.Distinct()];
        v4 = [.. All.Where(a => a.AddressFamily == AddressFamily.InterNetwork)];
        v6 = [.. All.Where(a => a.AddressFamily == AddressFamily.InterNetworkV6)];
        turns = All.Count > 0 ? new int[Places] : [];
    }

    public IReadOnlyList<IPAddress> All { get; }

    /// <summary>The next addresses for a request to this destination: one of each family, because the name is not resolved yet.</summary>
    internal LocalChoice Next(string destination)
    {
        if (turns.Length == 0)
            return default;
        uint turn = (uint)Interlocked.Increment(ref turns[(uint)destination.GetHashCode() % Places]);
        return new(v4.Length == 0 ? null : v4[turn % v4.Length], v6.Length == 0 ? null : v6[turn % v6.Length]);
    }

    /// <summary>The reason why an address cannot be used; null if it can.</summary>
    public static string? FindFault(IPAddress address)
    {
        try
        {
            using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            Bind(socket, address);
            return null;
        }
        catch (SocketException e)
        {
            return e.Message;
        }
    }

    internal static void Bind(Socket socket, IPAddress address)
    {
        if (OperatingSystem.IsLinux())
            socket.SetRawSocketOption((int)SocketOptionLevel.IP, IpBindAddressNoPort, [1, 0, 0, 0]);
        socket.Bind(new IPEndPoint(address, 0));
    }
}

/// <summary>The local addresses of one request, by family; the default lets the system choose.</summary>
internal readonly record struct LocalChoice(IPAddress? V4, IPAddress? V6)
{
    public bool IsFree => V4 is null && V6 is null;

    public IPAddress? For(AddressFamily family) => family == AddressFamily.InterNetworkV6 ? V6 : V4;

    public bool Covers(AddressFamily family) => IsFree || For(family) is not null;
}

/// <summary>The route of a request: its destination, egress rules and local addresses.</summary>
internal readonly record struct Route(Destination To, EgressPolicy Policy, LocalChoice From)
{
    public ConnectionKey KeyOf(IPAddress? local) => new(To.Key, Policy, local);
}

/// <summary>Identifies requests that may use a connection: the same destination, local address and egress rules. So a workflow cannot use
/// an open connection that its own rules would block.</summary>
internal readonly record struct ConnectionKey(string Destination, EgressPolicy Policy, IPAddress? Local);
