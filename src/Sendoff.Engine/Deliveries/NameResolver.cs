using System.Net;
using System.Net.Sockets;

namespace Sendoff.Engine.Deliveries;

/// <summary>
/// Asks the system for the addresses of a name. A lookup cannot be cancelled (getaddrinfo), only abandoned, and it holds a thread as long
/// as it lasts: so lookups in flight are bounded, each on a thread of its own, and all who ask for the same name share one.
/// </summary>
/// <param name="lookup">What to ask; null is the system's resolver.</param>
internal sealed class NameResolver(EngineLimits limits, Func<string, Task<IPAddress[]>>? lookup = null)
{
    readonly Func<string, Task<IPAddress[]>> lookup = lookup ?? (static name => OnOwnThread(() => Dns.GetHostAddresses(name)));
    readonly SemaphoreSlim slots = new(limits.DnsLookups);
    readonly Dictionary<string, Lookup> inFlight = [];

    /// <summary>A name that is looked up, and how many wait for it.</summary>
    sealed class Lookup(string name)
    {
        public string Name => name;
        public Task<IPAddress[]> Answer = null!;
        public int Waiting;
        public bool HasBegun;

        /// <summary>Ends the wait for a place when nobody waits for the answer any more.</summary>
        public readonly CancellationTokenSource Abandoned = new();
    }

    /// <summary>Names that are looked up or wait for it.</summary>
    public int InFlight
    {
        get
        {
            lock (inFlight)
                return inFlight.Count;
        }
    }

    /// <exception cref="WireException">The name has no address, or the resolver failed.</exception>
    public async Task<IPAddress[]> ResolveAsync(string name, CancellationToken ct)
    {
        var shared = Join(name);
        try
        {
            var addresses = await shared.Answer.WaitAsync(ct).ConfigureAwait(false);
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
        finally
        {
            Leave(shared);
        }
    }

    Lookup Join(string name)
    {
        lock (inFlight)
        {
            if (!inFlight.TryGetValue(name, out var shared))
            {
                shared = new Lookup(name);
                shared.Answer = LookUpAsync(shared);
                if (!shared.Answer.IsCompleted)
                    inFlight[name] = shared;
            }
            shared.Waiting++;
            return shared;
        }
    }

    void Leave(Lookup shared)
    {
        lock (inFlight)
        {
            if (--shared.Waiting > 0 || shared.HasBegun || !inFlight.Remove(shared.Name))
                return;
        }
        // It has no place yet, and needs none now: names that hang must not gather others behind them.
        shared.Abandoned.Cancel();
    }

    async Task<IPAddress[]> LookUpAsync(Lookup shared)
    {
        await slots.WaitAsync(shared.Abandoned.Token).ConfigureAwait(false);
        try
        {
            lock (inFlight)
                shared.HasBegun = true;
            return await lookup(shared.Name).ConfigureAwait(false);
        }
        finally
        {
            slots.Release();
            lock (inFlight)
            {
                if (inFlight.GetValueOrDefault(shared.Name) == shared)
                    inFlight.Remove(shared.Name);
            }
        }
    }

    /// <summary>Lookups that hang on the pool's threads, of which there are few, would keep every other delivery waiting.</summary>
    internal static Task<IPAddress[]> OnOwnThread(Func<IPAddress[]> ask) =>
        Task.Factory.StartNew(
            ask,
            CancellationToken.None,
            TaskCreationOptions.LongRunning | TaskCreationOptions.RunContinuationsAsynchronously,
            TaskScheduler.Default
        );
}
