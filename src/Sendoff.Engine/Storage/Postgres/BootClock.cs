using System.Runtime.InteropServices;

namespace Sendoff.Engine.Storage.Postgres;

/// <summary>The time since the machine was started, including the time during which it was suspended. Other clocks do not include that
/// time, but a lease expires during it.</summary>
internal static partial class BootClock
{
    const int BootTime = 7;

    public static TimeSpan Now =>
        OperatingSystem.IsLinux() && Read(BootTime, out var time) == 0
            ? TimeSpan.FromSeconds(time.Seconds) + TimeSpan.FromTicks(time.Nanoseconds / TimeSpan.NanosecondsPerTick)
            : TimeSpan.FromMilliseconds(Environment.TickCount64);

    [StructLayout(LayoutKind.Sequential)]
    struct Time
    {
        public nint Seconds,
            Nanoseconds;
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static partial int Read(int clock, out Time time);
}
