namespace Sendoff.Engine.Workers;

/// <summary>The queued runs of one program, its workers, and statistics of its run times. Guarded by the pool's lock.</summary>
internal sealed class ProgramQueue(WorkerPool pool, WorkerProgram program, int memoryMb)
{
    const double ShortMs = 2,
        LongMs = 10,
        Weight = 1.0 / 8;

    /// <summary>The first runs take longer, while V8 still compiles.</summary>
    const double UnsettledMs = 20;
    const int Recent = 32,
        Enough = 4,
        Settled = 64;

    readonly Queue<WorkerJob> arrived = new();

    /// <summary>Runs that a worker returned without starting them; the oldest is last.</summary>
    readonly List<WorkerJob> returned = [];
    double averageMs,
        averageIdleMs;
    int measured,
        sinceLong = Recent;

    public WorkerPool Pool => pool;
    public WorkerProgram Program => program;
    public int MemoryMb => memoryMb;

    /// <summary>Workers that can take runs.</summary>
    public List<Worker> Workers { get; } = [];

    /// <summary>Workers that were requested, or are starting or loading.</summary>
    public int Coming { get; set; }
    public int Waiting { get; private set; }
    public List<TaskCompletionSource<ProgramCheck>> Checks { get; } = [];

    /// <summary>The result of loading; null before it was loaded.</summary>
    public IReadOnlyList<StepProblem>? Problems { get; set; }

    /// <summary>The result of a trial whose worker is kept for the version to deploy.</summary>
    public ProgramCheck? Found { get; set; }

    /// <summary>Consecutive loads during which the worker died.</summary>
    public int DeadLoads { get; set; }
    public long LastUsed { get; set; }

    /// <summary>Its runs are short on average.</summary>
    public bool IsBrief => averageMs < (measured < Settled ? UnsettledMs : ShortMs);
    public bool IsKnown => measured > 0;

    /// <summary>Its runs spend much of their time waiting: for a timer, a database or a response.</summary>
    public bool Waits => averageIdleMs > averageMs / 4;

    public bool IsShort => measured >= Enough && averageMs < ShortMs && sinceLong >= Recent;

    /// <summary>
    /// Estimates how long a new run would wait for one of <paramref name="workers"/>, whose latest run has executed for
    /// <paramref name="executingMs"/>: the same time again, plus the queued runs. Runs without statistics are assumed to be like the
    /// executing one.
    /// </summary>
    public double WaitMs(int workers, double executingMs) =>
        measured >= Enough ? executingMs + averageMs * Waiting / workers : executingMs * Waiting / workers;

    public void Enqueue(WorkerJob job)
    {
        arrived.Enqueue(job);
        Waiting++;
    }

    /// <summary>Returns a run that has not started to its place in the queue.</summary>
    public void Return(WorkerJob job)
    {
        job.Worker = null;
        int at = returned.FindIndex(other => other.Sequence < job.Sequence);
        returned.Insert(at < 0 ? returned.Count : at, job);
        Waiting++;
    }

    /// <summary>The next run was returned when its turn had come: it goes to an idle worker, which cannot return it.</summary>
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
                continue; // cancelled while it was queued, and counted then
            Waiting--;
            return job;
        }
        return null;
    }

    /// <summary>A queued run was cancelled. It stays in the queue, but is never started.</summary>
    public void Forget()
    {
        Waiting--;
        if (Waiting > 0)
            return;
        arrived.Clear();
        returned.Clear();
    }

    /// <param name="idleMs">The part of the time in which the worker was idle.</param>
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

    /// <summary>A run takes long while others are queued behind it: no runs are sent in advance for a while.</summary>
    public void NoteLong() => sinceLong = 0;
}
