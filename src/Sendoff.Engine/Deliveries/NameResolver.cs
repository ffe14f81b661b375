using System.Net;
using System.Net.Sockets;

namespace Sendoff.Engine.Deliveries;

/// <summary>
/// Asks the system for the addresses of a name. A lookup cannot be cancelled (getaddrinfo), only abandoned, and it holds a thread as long as it
/// lasts: so lookups in flight are bounded, and all who ask for the same name share one.
/// </summary>
/// <param name="lookup">What to ask; null is the system's resolver.</param>
internal sealed class NameResolver(EngineLimits limits, Func<string, Task<IPAddress[]>>? lookup = null)
{
    readonly Func<string, Task<IPAddress[]>> lookup = lookup ?? (static name => Dns.GetHostAddressesAsync(name));
    readonly SemaphoreSlim slots = new(limits.DnsLookups);
    readonly Dictionary<string, Task<IPAddress[]>> inFlight = [];

    /// <exception cref="WireException">The name has no address, or the resolver failed.</exception>
    public async Task<IPAddress[]> ResolveAsync(string name, CancellationToken ct)
    {
        try
        {
            var addresses = await Share(name).WaitAsync(ct);
            return addresses.Length > 0 ? addresses : throw new WireException(AttemptErrorCode.DnsNotFound, $"{name} has no address");
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.HostNotFound or SocketError.NoData)
        {
            throw new WireException(AttemptErrorCode.DnsNotFound, $"the name {name} does not exist, or has no address", e);
        }
        catch (Exception e) when (e is SocketException or ArgumentException)
        {
            throw new WireException(AttemptErrorCode.DnsFailed, $"the name {name} could not be resolved: {e.Message}", e);
        }
    }

    Task<IPAddress[]> Share(string name)
    {
        lock (inFlight)
        {
            if (inFlight.TryGetValue(name, out var running)) return running;
            var mine = LookUpAsync(name);
            if (!mine.IsCompleted) inFlight[name] = mine;
            return mine;
        }
    }

    async Task<IPAddress[]> LookUpAsync(string name)
    {
        await slots.WaitAsync();
        try
        {
            return await lookup(name);
        }
        finally
        {
            slots.Release();
            lock (inFlight) inFlight.Remove(name);
        }
    }
}
