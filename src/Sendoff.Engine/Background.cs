using Microsoft.Extensions.Logging;

namespace Sendoff.Engine;

/// <summary>Timers and work items that are not awaited. An unhandled exception in one would end the process; here it is logged.</summary>
internal static class Background
{
#pragma warning disable RS0030 // banned everywhere else
    /// <summary>A timer that is not started yet.</summary>
    /// <param name="work">Name of the work, for the log.</param>
    public static ITimer Timer(TimeProvider time, ILogger log, string work, Action tick) =>
        time.CreateTimer(_ => Try(log, work, tick), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    public static void Queue<T>(ILogger log, string work, T state, Action<T> item) =>
        ThreadPool.UnsafeQueueUserWorkItem(_ => Try(log, work, () => item(state)), null);
#pragma warning restore RS0030

    static void Try(ILogger log, string work, Action action)
    {
        try
        {
            action();
        }
        catch (Exception e)
        {
            log.BackgroundFailed(work, e);
        }
    }
}
