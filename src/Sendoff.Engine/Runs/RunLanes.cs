using System.Collections.Concurrent;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Runs;

/// <summary>The workflow's queue is full (E7: 429).</summary>
public sealed class RunQueueFullException(string workflow, int limit)
    : Exception($"the workflow '{workflow}' has {limit:N0} queued runs, which is its limit (setting Runs:MaxQueued)");

/// <summary>The accepted runs in memory, with their order and limits. Each workflow has a separate lane, so that none blocks
/// another.</summary>
public sealed class RunLanes(EngineContext engine)
{
    readonly ConcurrentDictionary<WorkflowId, RunLane> lanes = [];
    readonly EventMemory memory = new(engine.Limits.RunsWaitingBytes);
    Action<LanePlace> execute = static _ => throw new InvalidOperationException("the code that executes runs is not set yet");
    volatile bool isClosed;

    /// <summary>Whether this server executes runs. If not, another one takes what this one has stored (J8).</summary>
    internal bool Execute => engine.Limits.ServerRoles.HasFlag(ServerRoles.Run);

    /// <summary>The server is shutting down: no run is accepted or started any more.</summary>
    internal bool IsClosed => isClosed;

    /// <summary>For each workflow, the number of accepted runs that have not started.</summary>
    internal IEnumerable<(WorkflowId Workflow, int Runs)> Unstarted => lanes.Select(static lane => (lane.Key, lane.Value.UnstartedCount));

    /// <summary>The size of the queued events in memory.</summary>
    internal long WaitingBytes => memory.Taken;

    /// <summary>Sets the code that executes runs. Call it before the first run is queued.</summary>
    /// <param name="execute">Called when a lane may execute one more run. Must not block.</param>
    internal void ExecuteBy(Action<LanePlace> execute) => this.execute = execute;

    /// <summary>Returns the lane of a workflow, with a place reserved for one more run.</summary>
    internal RunLane Admit(WorkflowId workflow, string name)
    {
        var lane = Of(workflow);
        return lane.TryAdmit(engine.Limits.RunsQueued) ? lane : throw new RunQueueFullException(name, engine.Limits.RunsQueued);
    }

    /// <summary>Like <see cref="Admit"/>, but without a limit.</summary>
    internal RunLane AdmitAlways(WorkflowId workflow)
    {
        var lane = Of(workflow);
        lane.TryAdmit(int.MaxValue);
        return lane;
    }

    /// <summary>Queues a stored run in the lane that admitted it.</summary>
    internal void Queue(RunLane lane, Waiting waiting)
    {
        engine.Changes.Publish(waiting.Run.Id, RunStatus.Queued);
        // Its place is taken until another server has taken the run.
        if (!Execute)
            return;
        waiting = waiting with { Pace = engine.Pacing.Begin(lane.Pace) };
        if (lane.TryStart(waiting, engine.Limits.RunsExecuting))
            execute(new(lane, waiting, IsForLeft: false));
        else if (isClosed)
            waiting.Response?.TrySetException(Stopped());
    }

    /// <summary>Sets how many runs of each workflow wait for a server that executes them.</summary>
    internal void Follow(IReadOnlyDictionary<WorkflowId, int> untaken)
    {
        foreach (var (workflow, lane) in lanes)
            lane.SetOpen(untaken.GetValueOrDefault(workflow));
    }

    /// <summary>Queues a run that an earlier server left, or that no server has started yet.</summary>
    internal void QueueLeft(QueuedRun run)
    {
        if (!run.Recovered)
        {
            // Its event is read when its turn comes.
            var received = run.Event with
            {
                Json = default,
                Raw = default,
            };
            Queue(AdmitAlways(run.Event.WorkflowId), new(run with { Event = received }, null));
            return;
        }
        var lane = Of(run.Event.WorkflowId);
        var left = new LeftRun(run.Id, run.Event.Id, run.Version, run.Replay, run.Captured, run.Continues?.Run);
        if (lane.AddLeft(left, engine.Limits.RunsRecovering) is { } first)
            execute(new(lane, first, IsForLeft: true));
    }

    /// <summary>From now on, no runs are accepted or started. Callers that wait for a run that has not started get an error.</summary>
    internal void Close()
    {
        isClosed = true;
        Interlocked.MemoryBarrier(); // a run that ends now either sees this, or is found here
        foreach (var lane in lanes.Values)
        foreach (var response in lane.Unstarted())
            response.TrySetException(Stopped());
    }

    /// <summary>The error for a caller whose run is stored but has not ended.</summary>
    internal static StoreUnavailableException Stopped() =>
        new("the server stopped before the run ended; the run starts again after the next start");

    RunLane Of(WorkflowId workflow) => lanes.GetOrAdd(workflow, static (id, memory) => new(id, memory), memory);
}

/// <summary>The permission to execute the runs of a lane, one after another.</summary>
sealed record LanePlace(RunLane Lane, Waiting First, bool IsForLeft)
{
    /// <summary>The next run after one has ended. Null releases the place.</summary>
    public Waiting? Next()
    {
        if (IsForLeft)
            return Lane.NextLeft();
        Lane.Leave();
        return Lane.Next();
    }
}
