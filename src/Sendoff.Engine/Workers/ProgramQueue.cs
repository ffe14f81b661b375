namespace Sendoff.Engine.Workers;

/// <summary>The runs of one program that wait for a worker, the workers that are bound to it, and how long its runs take. Guarded by the
/// pool's gate.</summary>
internal sealed class ProgramQueue(WorkerPool pool, WorkerProgram program, int memoryMb)
{
    const double ShortMs = 2,
        LongMs = 10,
        Weight = 1.0 / 8;

    /// <summary>While V8 still compiles, the first runs last longer than those that follow.</summary>
    const double UnsettledMs = 20;
    const int Recent = 32,
        Enough = 4,
        Settled = 64;

    readonly Queue<WorkerJob> arrived = new();

    /// <summary>Runs that were handed to a worker and came back unstarted; the oldest is last.</summary>
    readonly List<WorkerJob> returned = [];
    double averageMs,
        averageIdleMs;
    int measured,
        sinceLong = Recent;

    public WorkerPool Pool => pool;
    public WorkerProgram Program => program;
    public int MemoryMb => memoryMb;

    /// <summary>Bound and able to take runs.</summary>
    public List<Worker> Workers { get; } = [];

    /// <summary>Workers asked for, starting or loading.</summary>
    public int Coming { get; set; }
    public int Waiting { get; private set; }
    public List<TaskCompletionSource<ProgramCheck>> Checks { get; } = [];

    /// <summary>What loading found; null until it was loaded.</summary>
    public IReadOnlyList<StepProblem>? Problems { get; set; }

    /// <summary>Loads in a row that ended with the worker's death.</summary>
    public int DeadLoads { get; set; }
    public long LastUsed { get; set; }

    /// <summary>Its runs are short on the whole, whatever a single one did.</summary>
    public bool IsBrief => averageMs < (measured < Settled ? UnsettledMs : ShortMs);
    public bool IsKnown => measured > 0;

    /// <summary>Its runs spend a good part of their time waiting: for a timer, a database, an answer.</summary>
    public bool Waits => averageIdleMs > averageMs / 4;

    public bool IsShort => measured >= Enough && averageMs < ShortMs && sinceLong >= Recent;

    /// <summary>
    /// How long a run that comes now would wait for one of <paramref name="workers"/>, of which the latest to begin has executed for
    /// <paramref name="executingMs"/>: that long again, and what waits before it. Runs that nothing is known of are taken to be like the
    /// one that executes.
    /// </summary>
    public double WaitMs(int workers, double executingMs) =>
        measured >= Enough ? executingMs + averageMs * Waiting / workers : executingMs * Waiting / workers;

    public void Enqueue(WorkerJob job)
    {
        arrived.Enqueue(job);
        Waiting++;
    }

    /// <summary>Puts a run that had not started back to its place.</summary>
    public void Return(WorkerJob job)
    {
        job.Worker = null;
        int at = returned.FindIndex(other => other.Sequence < job.Sequence);
        returned.Insert(at < 0 ? returned.Count : at, job);
        Waiting++;
    }

    /// <summary>The next run was given back when its turn had come: it goes to an idle worker, which cannot give it back.</summary>
    public bool NextStartsAlone => returned.Count > 0 && returned[^1].WasGivenBack;

    public WorkerJob? Dequeue()
    {
        while (Waiting > 0)
        {
            WorkerJob job;
            if (returned.Count > 0)
            {
                job = returned[^1];
                returned.RemoveAt(returned.Count - 1);
            }
            else
                job = arrived.Dequeue();
            if (job.Done.IsCompleted)
                continue; // cancelled while it waited, and counted then
            Waiting--;
            return job;
        }
        return null;
    }

    /// <summary>A waiting run was cancelled; it stays in line, but is never taken.</summary>
    public void Forget()
    {
        Waiting--;
        if (Waiting > 0)
            return;
        arrived.Clear();
        returned.Clear();
    }

    /// <param name="idleMs">How much of it the worker had nothing to do.</param>
    public void Measure(double ms, double idleMs)
    {
        averageIdleMs = measured == 0 ? idleMs : averageIdleMs + (idleMs - averageIdleMs) * Weight;
        averageMs = measured == 0 ? ms : averageMs + (ms - averageMs) * Weight;
        if (measured < int.MaxValue)
            measured++;
        if (ms > LongMs)
            sinceLong = 0;
        else if (sinceLong < Recent)
            sinceLong++;
    }

    /// <summary>A run lasts long while others wait behind it: nothing is handed ahead for a while.</summary>
    public void NoteLong() => sinceLong = 0;
}
