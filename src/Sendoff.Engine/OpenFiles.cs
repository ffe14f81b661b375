using System.Runtime.InteropServices;

namespace Sendoff.Engine;

/// <summary>How the file descriptors of the process are shared out: what takes one from outside, a connection, must leave enough for what
/// serves it.</summary>
/// <param name="Limit">Descriptors that the process may have; null where the system does not say. .NET raises its soft limit to the hard
/// one at the start.</param>
/// <param name="Connections">Connections at once; null is no bound.</param>
/// <param name="Deliveries">Deliveries on the wire at once.</param>
public sealed partial record OpenFiles(long? Limit, long? Connections, int Deliveries)
{
    /// <summary>Libraries, database, log and what the runtime opens.</summary>
    const int Own = 192;

    /// <summary>Its socket, its pipes and its memory's figures, and what its start takes.</summary>
    const int PerWorker = 8;

    /// <summary>A delivery under way, and a connection at rest beside it.</summary>
    const int PerDelivery = 2;
    const int Least = 16;

    /// <summary>Below this a server does not come up: the runtime does not find its own libraries, and says nothing of why.</summary>
    public const long Fewest = 384;

    /// <summary>Below this a server has too little for its defaults.</summary>
    public const long Enough = 4_096;

    /// <param name="limit">Null where the system does not say.</param>
    /// <param name="connections">Setting <c>MaxConnections</c>; null leaves it to the limit.</param>
    public static OpenFiles Share(long? limit, EngineLimits limits, int? connections)
    {
        if (limit is not { } all)
            return new(null, connections, limits.DeliveryMaxConcurrent);
        long rest = all - Own - (long)PerWorker * limits.MostWorkers;
        // Deliveries get half at most.
        int deliveries = (int)Math.Clamp(rest / 2 / PerDelivery, Least, limits.DeliveryMaxConcurrent);
        long most = Math.Max(Least, rest - (long)deliveries * PerDelivery);
        return new(all, Math.Min(connections ?? most, most), deliveries);
    }

    /// <summary>The limit of this process.</summary>
    public static long? Current()
    {
        if (OperatingSystem.IsWindows())
            return null;
        int number = OperatingSystem.IsMacOS() ? 8 : 7;
        return GetLimit(number, out var found) == 0 ? (long)Math.Min(found.Soft, int.MaxValue) : null;
    }

    /// <summary>In words.</summary>
    public override string ToString() =>
        Limit is not { } limit
            ? "no limit of open files"
            : $"{limit:N0} open files: up to {Connections:N0} connections and {Deliveries:N0} deliveries at once";

    [StructLayout(LayoutKind.Sequential)]
    struct ResourceLimit
    {
        public ulong Soft,
            Hard;
    }

    [LibraryImport("libc", EntryPoint = "getrlimit")]
    private static partial int GetLimit(int resource, out ResourceLimit limit);
}
