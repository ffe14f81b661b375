using System.Net;
using System.Net.Sockets;

namespace Sendoff.Engine.Deliveries;

/// <summary>
/// Where deliveries come from (D3): local addresses that each request takes in turn, by destination. Without any, the system chooses. With
/// some, nothing is ever dialled from another one.
/// </summary>
public sealed class EgressAddresses
{
    // Destinations that share a place also share its turns; the table never grows.
    const int Places = 4_096;

    // linux/in.h. The port is then chosen at connect, where only address, port and receiver together have to be unique.
    const int IpBindAddressNoPort = 24;

    readonly IPAddress[] v4,
        v6;
    readonly int[] turns;

    /// <summary>The system chooses.</summary>
    public static readonly EgressAddresses Any = new([]);

    /// <param name="addresses">Setting <c>Egress:Addresses</c>. Each is one of this machine; <see cref="FindFault"/> tells.</param>
    public EgressAddresses(IReadOnlyList<IPAddress> addresses)
    {
        All = [.. addresses.Distinct()];
        v4 = [.. All.Where(a => a.AddressFamily == AddressFamily.InterNetwork)];
        v6 = [.. All.Where(a => a.AddressFamily == AddressFamily.InterNetworkV6)];
        turns = All.Count > 0 ? new int[Places] : [];
    }

    public IReadOnlyList<IPAddress> All { get; }

    /// <summary>Whose turn it is for a request to this destination: one address of each family, as it is not known yet where the name
    /// leads.</summary>
    internal LocalChoice Next(string destination)
    {
        if (turns.Length == 0)
            return default;
        uint turn = (uint)Interlocked.Increment(ref turns[(uint)destination.GetHashCode() % Places]);
        return new(v4.Length == 0 ? null : v4[turn % v4.Length], v6.Length == 0 ? null : v6[turn % v6.Length]);
    }

    /// <summary>Why nothing can be sent from an address; null when it can.</summary>
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

/// <summary>The addresses that one request may come from, by family; the default lets the system choose.</summary>
internal readonly record struct LocalChoice(IPAddress? V4, IPAddress? V6)
{
    public bool IsFree => V4 is null && V6 is null;

    public IPAddress? For(AddressFamily family) => family == AddressFamily.InterNetworkV6 ? V6 : V4;

    public bool Covers(AddressFamily family) => IsFree || For(family) is not null;
}

/// <summary>A request's way to its destination: where to, under whose rules, and from which addresses.</summary>
internal readonly record struct Route(Destination To, EgressPolicy Policy, LocalChoice From)
{
    public ConnectionKey KeyOf(IPAddress? local) => new(To.Key, Policy, local);
}

/// <summary>
/// Which requests may use a connection: those to its destination, from its address, under the rules that it was dialled under. What one
/// workflow may reach is not open to another because a connection stands.
/// </summary>
internal readonly record struct ConnectionKey(string Destination, EgressPolicy Policy, IPAddress? Local);
