using Sendoff.Engine.Workers;

namespace Sendoff.Engine.Runs;

/// <summary>A run in a lane, with who waits for its response, and whether the server's pace depends on it.</summary>
sealed record Waiting(QueuedRun Run, TaskCompletionSource<RunResponse?>? Response, bool IsPaced = false);

/// <summary>The runs of one workflow that are accepted and not ended: a bounded number executes, the rest waits in order.</summary>
sealed class RunLane
{
    // Events that wait in memory. Above it only their ids wait, and the event is read again when its turn comes.
    const long MemoryBytes = 32 * 1024 * 1024;
    const double SlowMs = 100, Weight = 0.1;

    readonly Lock gate = new();
    readonly Queue<Waiting> waiting = new();
    long waitingBytes;
    int open, executing;
    double averageMs;

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

    /// <summary>Gives a place back.</summary>
    public void Leave()
    {
        lock (gate) open--;
    }

    /// <summary>Its runs take so long that the server's pace does not depend on them.</summary>
    public bool IsSlow => Volatile.Read(ref averageMs) > SlowMs;

    public void Measure(TimeSpan compute) => Volatile.Write(ref averageMs, averageMs + Weight * (compute.TotalMilliseconds - averageMs));

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
}
