using System.Collections.Concurrent;
using Sendoff.Engine.Workers;

namespace Sendoff.Engine.Runs;

/// <summary>A run in its worker.</summary>
public sealed partial class RunQueue
{
    // Events with files whose runs execute: the files' URLs work meanwhile, however old they are.
    readonly ConcurrentDictionary<RunId, EventId> filesInUse = [];

    /// <summary>Whether a run of an event with files executes.</summary>
    public bool ExecutesWithFiles(EventId received) => filesInUse.Values.Contains(received);

    // A server without workers loses nothing: the run waits until there is one.
    async Task<ExecutedRun> ExecuteInWorkerAsync(QueuedRun queued, Deployment deployment, TaskCompletionSource<RunResponse?>? response)
    {
        Action<RunResponse>? onImmediate = response is null ? null : given => response.TrySetResult(given);
        if (!queued.Event.Raw.IsEmpty)
            filesInUse[queued.Id] = queued.Event.Id;
        try
        {
            return await ExecuteInWorkerAsync(queued, deployment, onImmediate).ConfigureAwait(false);
        }
        finally
        {
            if (!queued.Event.Raw.IsEmpty)
                filesInUse.TryRemove(queued.Id, out _);
        }
    }

    async Task<ExecutedRun> ExecuteInWorkerAsync(QueuedRun queued, Deployment deployment, Action<RunResponse>? onImmediate)
    {
        while (true)
        {
            try
            {
                return await executor
                    .ExecuteAsync(queued, deployment.Version, deployment.Program, onImmediate, killed.Token)
                    .ConfigureAwait(false);
            }
            catch (WorkerUnavailableException x) when (!stopping)
            {
                log.RunsWaitForWorker(x.Message);
                await RestAsync().ConfigureAwait(false);
            }
        }
    }
}
