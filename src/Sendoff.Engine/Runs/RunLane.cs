using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Workers;

namespace Sendoff.Engine.Runs;

/// <summary>A run in a lane, with who waits for its response.</summary>
sealed record Waiting(QueuedRun Run, TaskCompletionSource<RunResponse?>? Response);

/// <summary>The runs of one workflow that are accepted and not ended: a bounded number executes, the rest waits in order.</summary>
sealed class RunLane
{
    // Events that wait in memory. Above it only their ids wait, and the event is read again when its turn comes.
    const long MemoryBytes = 32 * 1024 * 1024;

    readonly Lock gate = new();
    readonly Queue<Waiting> waiting = new();
    readonly Queue<TaskCompletionSource> paced = new();
    long waitingBytes;
    int open, executing;

    /// <summary>Takes a place among the runs that are not ended; false when all are taken.</summary>
    public bool TryAdmit(int most)
    {
        lock (gate)
        {
            if (open >= most) return false;
            open++;
            return true;
        }
    }

    /// <summary>Takes a place whether there is one or not: for runs that were accepted earlier.</summary>
    public void Enter()
    {
        lock (gate) open++;
    }

    /// <summary>Gives a place back, and lets one answer go that was held back.</summary>
    public void Leave()
    {
        lock (gate)
        {
            open--;
            while (paced.TryDequeue(out var held) && !held.TrySetResult()) { }
        }
    }

    /// <summary>True when the run may execute now; else it waits in the lane.</summary>
    public bool TryStart(Waiting run, int most)
    {
        lock (gate)
        {
            if (executing < most)
            {
                executing++;
                return true;
            }
            int size = run.Run.Event.Json.Length;
            if (waitingBytes + size > MemoryBytes) run = run with { Run = run.Run with { Event = run.Run.Event with { Json = default } } };
            else waitingBytes += size;
            waiting.Enqueue(run);
            return false;
        }
    }

    /// <summary>The next run for a place that has become free; null gives the place back.</summary>
    public Waiting? Next()
    {
        lock (gate)
        {
            if (waiting.TryDequeue(out var next)) waitingBytes -= next.Run.Event.Json.Length;
            else executing--;
            return next;
        }
    }

    /// <summary>Holds an answer back while completing cannot keep up with accepting, for a bounded time.</summary>
    public async ValueTask PaceAsync(DeliveryDispatcher dispatcher, EngineContext engine, CancellationToken ct)
    {
        TaskCompletionSource? turn = null;
        lock (gate)
        {
            if (open + dispatcher.Congestion > engine.Limits.RunsBeforePacing)
            {
                turn = new(TaskCreationOptions.RunContinuationsAsynchronously);
                paced.Enqueue(turn);
            }
        }
        if (turn is null) return;
        try
        {
            await turn.Task.WaitAsync(engine.Limits.PacingMax, engine.Time, ct).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            turn.TrySetResult(); // it no longer waits: Leave passes it over
        }
    }
}
