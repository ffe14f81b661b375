using System.Net;
using System.Net.Sockets;

namespace Sendoff.Engine.Deliveries;

/// <summary>Resolves names with the system's resolver. A lookup cannot be cancelled (getaddrinfo) and blocks a thread. So the number of
/// lookups in flight is limited, each has its own thread, and callers with the same name share one.</summary>
/// <param name="lookup">The resolver; null for the system's resolver.</param>
internal sealed class NameResolver(EngineLimits limits, Func<string, Task<IPAddress[]>>? lookup = null)
{
    readonly Func<string, Task<IPAddress[]>> lookup = lookup ?? (static name => OnOwnThread(() => Dns.GetHostAddresses(name)));
    readonly SemaphoreSlim slots = new(limits.DnsLookups);
    readonly Dictionary<string, Lookup> inFlight = [];

    /// <summary>A lookup, with the number of callers that wait for it.</summary>
    sealed class Lookup(string name)
    {
        public string Name => name;
        public Task<IPAddress[]> Answer = null!;
        public int Waiting;
        public bool HasBegun;

        /// <summary>Ends the wait for capacity when no caller waits any more.</summary>
        public readonly CancellationTokenSource Abandoned = new();
    }

    /// <summary>Lookups in flight or waiting.</summary>
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
        // It has not started and is no longer needed: hanging names must not delay others.
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

    /// <summary>Hanging lookups would block the few threads of the pool, and so all deliveries.</summary>
    internal static Task<IPAddress[]> OnOwnThread(Func<IPAddress[]> ask) =>
        Task.Factory.StartNew(
            ask,
            CancellationToken.None,
            TaskCreationOptions.LongRunning | TaskCreationOptions.RunContinuationsAsynchronously,
            TaskScheduler.Default
        );
}
