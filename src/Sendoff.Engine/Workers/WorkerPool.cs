using Microsoft.Extensions.Logging;

namespace Sendoff.Engine.Workers;

/// <summary>Keeps warm workers and sends runs to them: one program per worker, with one run at a time (E4).</summary>
/// <remarks>
/// (1) A run waits in its program's queue.  (2) <see cref="Schedule"/> sends it to an idle worker of the program, or in advance to a busy
/// one while runs are short.
/// (3) If the wait would be long, the program requests another worker.  (4) <see cref="Supply"/> serves these requests with prewarmed or
/// new workers, or by replacing the worker that was idle longest.  (5) A timer checks timeouts, memory and runs that block others. One lock
/// guards the scheduling state; frames are written and results built outside of it.
/// (2) is in WorkerPool.Hand.cs with the workers' reports, (3) and (4) in WorkerPool.Supply.cs, (5) in WorkerPool.Watch.cs with the ends of
/// workers, and checks are in WorkerPool.Checks.cs.
/// </remarks>
public sealed partial class WorkerPool : IStepRunner, IAsyncDisposable
{
    /// <summary>A run of a program with short runs that takes longer than this is considered stuck; on a busy machine any run may take this
    /// long.</summary>
    static readonly TimeSpan Stuck = TimeSpan.FromMilliseconds(250);

    readonly Lock gate = new();
    readonly NodeRuntime node;
    readonly int max;
    readonly CancellationTokenSource stop = new();
    readonly ITimer timer;
    readonly Dictionary<string, ProgramQueue> programs = [];

    /// <summary>All processes that are ready and have not ended.</summary>
    readonly List<Worker> workers = [];
    readonly List<Task> starts = [];

    /// <summary>Memory of each worker that is starting.</summary>
    readonly List<int> starting = [];

    /// <summary>Programs that wait for a worker, once for each requested worker.</summary>
    readonly List<ProgramQueue> line = [];
    readonly SemaphoreSlim oneSandbox = new(1);
    Sandbox? sandbox;
    long lastSequence,
        lastFailure;
    bool ticking,
        disposed,
        swept;

    public WorkerPool(NodeRuntime node, EngineLimits limits, TimeProvider time, ILogger<WorkerPool> log)
    {
        (this.node, Limits, Time, Log) = (node, limits, time, log);
        max = limits.MostWorkers;
        Guard = new(log);
        timer = Background.Timer(time, log, "The watch of the workers", OnTick);
    }

    /// <summary>Creates the handler of a run's calls, at its first call. If null, every call is refused.</summary>
    public Func<WorkerProgram, IStepCalls>? Calls { get; init; }

    internal EngineLimits Limits { get; }
    internal TimeProvider Time { get; }
    internal ILogger Log { get; }
    internal WorkerGuard Guard { get; }

    /// <summary>The entry file of the harness.</summary>
    internal string Harness { get; init; } = Path.Combine(AppContext.BaseDirectory, "harness", "main.mjs");

    /// <summary>The isolation of workers.</summary>
    public SandboxOptions Isolation { get; init; } = new();

    public IsolationState? InForce { get; private set; }

    /// <summary>Parent folder of the sockets' folders.</summary>
    internal string Sockets { get; init; } = Path.GetTempPath();

    internal IReadOnlyList<int> ProcessIds
    {
        get
        {
            lock (gate)
                return [.. workers.Select(worker => worker.Id)];
        }
    }

    /// <summary>Starts the prewarmed workers (<see cref="EngineLimits.WorkersWarm"/>) before the first run.</summary>
    public void Warm()
    {
        lock (gate)
            Refill();
    }

    public async Task RunAsync(WorkerProgram program, WorkerRun run, CancellationToken ct)
    {
        WorkerJob job;
        var touched = new TouchedWorkers();
        lock (gate)
        {
            var queue = QueueOf(program);
            job = new(queue, run, ++lastSequence, Limits);
            if (queue.Problems is [var problem, ..])
            {
                job.Refuse(problem, Time.GetUtcNow());
                return;
            }
            queue.Enqueue(job);
            Schedule(queue, ref touched);
        }
        touched.Flush();
        if (!ct.CanBeCanceled)
        {
            await job.Done;
            return;
        }
        using var cancelled = ct.UnsafeRegister(static (state, ct) => ((WorkerJob)state!).Queue.Pool.Cancel((WorkerJob)state, ct), job);
        await job.Done;
    }

    ProgramQueue QueueOf(WorkerProgram program)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        if (!programs.TryGetValue(program.Key, out var queue))
            programs[program.Key] = queue = new(this, program, program.MemoryMb > 0 ? program.MemoryMb : Limits.WorkerMemoryMb);
        queue.LastUsed = Time.GetTimestamp();
        return queue;
    }

    void Cancel(WorkerJob job, CancellationToken ct)
    {
        var touched = new TouchedWorkers();
        lock (gate)
        {
            if (job.Done.IsCompleted)
                return;
            job.CancelToken = ct;
            if (job.Worker is not { } worker)
            {
                job.Cancel(ct);
                job.Queue.Forget();
            }
            else if (worker.Executing == job)
                worker.Kill(WorkerCause.Cancelled, job);
            else if (worker.Assigned.Contains(job))
                Revoke(worker, ref touched);
        }
        touched.Flush();
    }

    /// <summary>Kills all workers, waits for their end, and cancels unfinished runs.</summary>
    public async ValueTask DisposeAsync()
    {
        Task[] coming,
            ends;
        lock (gate)
        {
            if (disposed)
                return;
            disposed = true;
            foreach (var worker in workers)
                worker.Kill(WorkerCause.Stopped);
            coming = [.. starts];
        }
        await EndAsync([stop.CancelAsync(), timer.DisposeAsync().AsTask(), .. coming]);
        lock (gate)
            ends = [.. workers.Select(worker => worker.Ended)]; // including those that were almost ready; they are killed too
        await EndAsync(ends);
        await EndAsync([Guard.DisposeAsync().AsTask()]);
        sandbox?.Dispose();
        lock (gate)
        {
            foreach (var queue in programs.Values)
            {
                foreach (var check in queue.Checks)
                    check.TrySetCanceled(stop.Token);
                while (queue.Dequeue() is { } job)
                    job.Cancel(stop.Token);
            }
            foreach (var job in workers.SelectMany(worker => worker.Assigned))
                job.Cancel(stop.Token);
        }
    }

    /// <summary>A process that cannot be killed, because it waits for a disk, must not block the shutdown.</summary>
    async Task EndAsync(Task[] ends)
    {
        var ended = Task.WhenAll(ends);
        await ended.WaitAsync(Limits.WorkerStart, Time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!ended.IsCompleted)
            Log.WorkersNotEnded(ends.Count(end => !end.IsCompleted), Limits.WorkerStart.TotalSeconds);
    }
}

/// <summary>Workers that got frames under the pool's lock, to be flushed after the lock is released.</summary>
internal struct TouchedWorkers
{
    Worker? one;
    List<Worker>? more;

    public void Add(Worker worker)
    {
        if (one is null || one == worker)
            one = worker;
        else if ((more ??= []).IndexOf(worker) < 0)
            more.Add(worker);
    }

    public readonly void Flush()
    {
        one?.Outbox.Flush();
        if (more is null)
            return;
        foreach (var worker in more)
            worker.Outbox.Flush();
    }
}
