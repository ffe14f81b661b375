using System.Net;
using System.Net.Sockets;

namespace Sendoff.Engine.Deliveries;

/// <summary>Connects to one of several addresses (simplified RFC 8305): address families alternate, the next attempt starts when the
/// previous one fails or after a quarter of a second, and the first connection is used. Nothing is written before, so no request is sent
/// twice.</summary>
internal static class ConnectionRace
{
    /// <summary>Time before the next address is tried in parallel (RFC 8305, section 5).</summary>
    public static readonly TimeSpan HeadStart = TimeSpan.FromMilliseconds(250);

    /// <param name="connect">Connects to one address; fails with <see cref="WireException"/>.</param>
    /// <param name="starting">Called for each address that is tried.</param>
    /// <exception cref="WireException">No address accepted the connection; the error gives the reason.</exception>
    public static async Task<(Socket Socket, IPEndPoint To)> RunAsync(
        IReadOnlyList<IPEndPoint> addresses,
        Func<IPEndPoint, CancellationToken, Task<Socket>> connect,
        Action<IPEndPoint> starting,
        TimeProvider time,
        CancellationToken ct
    )
    {
        if (addresses.Count == 1)
        {
            starting(addresses[0]);
            return (await connect(addresses[0], ct).ConfigureAwait(false), addresses[0]);
        }
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var running = new Dictionary<Task<Socket>, IPEndPoint>();
        var failures = new List<WireException>();
        try
        {
            for (int next = 0; next < addresses.Count || running.Count > 0; )
            {
                if (next < addresses.Count)
                {
                    starting(addresses[next]);
                    running.Add(connect(addresses[next], stop.Token), addresses[next++]);
                }
                if (
                    await FirstAsync(running.Keys, isLast: next == addresses.Count, time, stop.Token).ConfigureAwait(false) is not { } ended
                )
                    continue;
                running.Remove(ended, out var to);
                try
                {
                    return (await ended.ConfigureAwait(false), to!);
                }
                catch (WireException e)
                {
                    failures.Add(e);
                }
            }
            throw Sum(failures);
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            foreach (var late in running.Keys)
                _ = CloseAsync(late);
        }
    }

    /// <summary>The first attempt to end; null if the head start of the latest one has passed.</summary>
    static async Task<Task<Socket>?> FirstAsync(
        IReadOnlyCollection<Task<Socket>> running,
        bool isLast,
        TimeProvider time,
        CancellationToken ct
    )
    {
        var first = Task.WhenAny(running);
        if (isLast || await Task.WhenAny(first, Task.Delay(HeadStart, time, ct)).ConfigureAwait(false) == first)
            return await first.ConfigureAwait(false);
        ct.ThrowIfCancellationRequested();
        return null;
    }

    static async Task CloseAsync(Task<Socket> late)
    {
        await ((Task)late).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (late.IsCompletedSuccessfully)
            late.Result.Dispose();
    }

    /// <summary>The error of the attempt that got furthest, with the errors of all addresses.</summary>
    static WireException Sum(List<WireException> failures)
    {
        var nearest = failures.MaxBy(e =>
            e.Code switch
            {
                AttemptErrorCode.ConnectRefused => 3,
                AttemptErrorCode.ConnectFailed => 2,
                AttemptErrorCode.ConnectUnreachable => 1,
                _ => 0,
            }
        )!;
        return new(
            nearest.Code,
            $"none of {failures.Count} addresses accepted the connection: {string.Join("; ", failures.Select(e => e.Message).Distinct())}",
            nearest
        );
    }

    /// <summary>Alternates address families, each in the resolver's order, up to <paramref name="most"/>.</summary>
    public static IPEndPoint[] Interleave(IEnumerable<IPAddress> addresses, int port, int most)
    {
        var byFamily = addresses
            .Select(a => a.IsIPv4MappedToIPv6 ? a.MapToIPv4() : a)
            .Distinct()
            .GroupBy(a => a.AddressFamily)
            .SelectMany((family, place) => family.Select((address, turn) => (address, turn, place)));
        return [.. byFamily.OrderBy(a => a.turn).ThenBy(a => a.place).Take(most).Select(a => new IPEndPoint(a.address, port))];
    }
}
