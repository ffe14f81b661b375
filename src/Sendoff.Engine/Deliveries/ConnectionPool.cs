using Microsoft.Extensions.Logging.Abstractions;

namespace Sendoff.Engine.Deliveries;

/// <summary>Idle connections by their permitted users, most recently used first. A connection is reused only while the receiver surely
/// keeps it open: nothing is ever resent, so a stale connection fails a delivery.</summary>
internal sealed class ConnectionPool : IDisposable
{
    readonly record struct Resting(HttpConnection Connection, long Until);

    readonly EngineLimits limits;
    readonly TimeProvider time;
    readonly Lock gate = new();
    readonly Dictionary<ConnectionKey, List<Resting>> byKey = [];
    readonly ITimer sweep;
    int count;
    bool isSweeping,
        isClosed;

    public ConnectionPool(EngineLimits limits, TimeProvider time)
    {
        (this.limits, this.time) = (limits, time);
        sweep = Background.Timer(time, NullLogger.Instance, "The closing of idle connections", Sweep);
    }

    /// <summary>An open connection that is ready for a request; null if there is none.</summary>
    public HttpConnection? Take(Route route) =>
        route.From is { V4: { } v4, V6: { } v6 }
            ? Take(route.KeyOf(v4)) ?? Take(route.KeyOf(v6))
            : Take(route.KeyOf(route.From.V4 ?? route.From.V6));

    HttpConnection? Take(ConnectionKey key)
    {
        while (TryPop(key, out var resting))
        {
            if (resting.Until > time.GetTimestamp() && resting.Connection.IsQuiet())
                return resting.Connection;
            resting.Connection.Dispose();
        }
        return null;
    }

    bool TryPop(ConnectionKey key, out Resting resting)
    {
        lock (gate)
        {
            resting = default;
            if (!byKey.TryGetValue(key, out var list) || list.Count == 0)
                return false;
            resting = list[^1];
            list.RemoveAt(list.Count - 1);
            count--;
            return true;
        }
    }

    /// <summary>Keeps a connection after a complete exchange, or closes it.</summary>
    /// <param name="hintSeconds">The receiver's own <c>keep-alive: timeout=N</c>.</param>
    public void Return(HttpConnection connection, int? hintSeconds)
    {
        var idle = limits.ConnectionIdle;
        // A margin of one second, so that a request does not race with the receiver's close.
        if (hintSeconds is { } hint && hint - 1 < idle.TotalSeconds)
            idle = TimeSpan.FromSeconds(hint - 1);
        if (idle <= TimeSpan.Zero || !connection.TryRest() || !TryKeep(connection, idle))
            connection.Dispose();
    }

    bool TryKeep(HttpConnection connection, TimeSpan idle)
    {
        long until = time.GetTimestamp() + (long)(idle.TotalSeconds * time.TimestampFrequency);
        lock (gate)
        {
            if (isClosed || count >= limits.DeliveryMaxConcurrent)
                return false;
            if (!byKey.TryGetValue(connection.Key, out var list))
                byKey[connection.Key] = list = [];
            if (list.Count >= limits.DeliveryMaxPerDestination)
                return false;
            list.Add(new Resting(connection, until));
            count++;
            StartSweep();
            return true;
        }
    }

    void StartSweep()
    {
        if (isSweeping)
            return;
        isSweeping = true;
        sweep.Change(limits.ConnectionIdle, Timeout.InfiniteTimeSpan);
    }

    void Sweep()
    {
        var expired = new List<HttpConnection>();
        lock (gate)
        {
            long now = time.GetTimestamp();
            foreach (var (key, list) in byKey)
            {
                count -= list.RemoveAll(resting =>
                {
                    if (resting.Until > now)
                        return false;
                    expired.Add(resting.Connection);
                    return true;
                });
                if (list.Count == 0)
                    byKey.Remove(key);
            }
            isSweeping = false;
            if (count > 0 && !isClosed)
                StartSweep();
        }
        foreach (var connection in expired)
            connection.Dispose();
    }

    public void Dispose()
    {
        lock (gate)
        {
            isClosed = true;
            foreach (var resting in byKey.Values.SelectMany(list => list))
                resting.Connection.Dispose();
            byKey.Clear();
            count = 0;
        }
        sweep.Dispose();
    }
}
