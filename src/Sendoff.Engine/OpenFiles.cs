using System.Runtime.InteropServices;

namespace Sendoff.Engine;

/// <summary>How the file descriptors of the process are divided, so that connections leave enough descriptors for the work that they
/// cause.</summary>
/// <param name="Limit">Maximum number of descriptors; null if the system does not report it. .NET raises its soft limit to the hard limit
/// at startup.</param>
/// <param name="Connections">Maximum number of connections; null for no limit.</param>
/// <param name="Deliveries">Maximum number of deliveries in flight.</param>
public sealed partial record OpenFiles(long? Limit, long? Connections, int Deliveries)
{
    /// <summary>For libraries, the database, the log and files of the runtime.</summary>
    const int Own = 192;

    /// <summary>For the socket, the pipes and the memory statistics of a worker, and for its start.</summary>
    const int PerWorker = 8;

    /// <summary>For a delivery in flight and one idle connection.</summary>
    const int PerDelivery = 2;
    const int Least = 16;

    /// <summary>With fewer descriptors, the server does not start: the runtime cannot open its own libraries, and gives no
    /// reason.</summary>
    public const long Fewest = 384;

    /// <summary>With fewer descriptors, the server cannot use its default limits.</summary>
    public const long Enough = 4_096;

    /// <param name="limit">Null if the system does not report it.</param>
    /// <param name="connections">Setting <c>MaxConnections</c>; null derives it from the limit.</param>
    public static OpenFiles Share(long? limit, EngineLimits limits, int? connections)
    {
        if (limit is not { } all)
            return new(null, connections, limits.DeliveryMaxConcurrent);
        long rest = all - Own - (long)PerWorker * limits.MostWorkers;
        // Deliveries get at most half.
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

    /// <summary>The result in words.</summary>
    public override string ToString() =>
        Limit is not { } limit
            ? "no limit of open files"
            : $"{limit:N0} open files: up to {Connections:N0} connections and {Deliveries:N0} concurrent deliveries";

    [StructLayout(LayoutKind.Sequential)]
    struct ResourceLimit
    {
        public ulong Soft,
            Hard;
    }

    [LibraryImport("libc", EntryPoint = "getrlimit")]
    private static partial int GetLimit(int resource, out ResourceLimit limit);
}
