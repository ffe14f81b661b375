using System.Collections.Concurrent;
using System.Diagnostics;

namespace Sendoff.Engine.Workers;

/// <summary>The thread that starts all workers. A sandbox ends together with the thread that started it, and threads of the pool may end at
/// any time.</summary>
static class WorkerLauncher
{
    const int MostWaiting = 1_000;
    static readonly BlockingCollection<(ProcessStartInfo Info, TaskCompletionSource<Process> Started)> starts = new(MostWaiting);

    static WorkerLauncher() => new Thread(StartAll) { IsBackground = true, Name = "Worker launcher" }.Start();

    public static Task<Process> StartAsync(ProcessStartInfo info)
    {
        var started = new TaskCompletionSource<Process>(TaskCreationOptions.RunContinuationsAsynchronously);
        starts.Add((info, started));
        return started.Task;
    }

    static void StartAll()
    {
        foreach (var (info, started) in starts.GetConsumingEnumerable())
        {
            try
            {
                started.SetResult(Process.Start(info)!);
            }
            catch (Exception e)
            {
                started.SetException(e);
            }
        }
    }
}
