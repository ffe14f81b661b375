using Microsoft.Extensions.Logging;

namespace Sendoff.Engine.Workers;

/// <summary>Keeps warm workers and hands runs to them: one program a worker, one run at a time in it (E4).</summary>
/// <remarks>
/// (1) A run waits in its program's queue.  (2) <see cref="Schedule"/> hands it to an idle worker of the program, or ahead to a busy one while runs are short.
/// (3) When the wait would be long, the program gets in line for another worker.  (4) <see cref="Supply"/> serves that line: blank workers, new ones, or the place of the
/// worker that was idle longest.  (5) A timer watches timeouts, memory and runs that hold others up.
/// Everything that schedules is guarded by one gate; frames are written and results built outside of it. Ends of workers and (5) are in WorkerPool.Watch.cs.
/// </remarks>
public sealed partial class WorkerPool : IStepRunner, IAsyncDisposable
{
    /// <summary>Above this wait another worker is worth its start; a blank one is worth it sooner.</summary>
    const double LongWaitMs = 50, LongWaitForBlankMs = 15;
    /// <summary>A run of a program whose runs are short is stuck after this; on a busy machine any run may last this long once.</summary>
    const double StuckMs = 250;
    const int MostDeadLoads = 2, MostGivenBack = 100;
    static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(20);
    static readonly TimeSpan FailurePause = TimeSpan.FromSeconds(10);
    static readonly TimeSpan Turn = TimeSpan.FromMilliseconds(250);

    readonly Lock gate = new();
    readonly NodeRuntime node;
    readonly int max;
    readonly CancellationTokenSource stop = new();
    readonly ITimer timer;
    readonly Dictionary<string, ProgramQueue> programs = [];
    /// <summary>Every process that is ready and not yet known to be gone.</summary>
    readonly List<Worker> workers = [];
    readonly List<Task> starts = [];
    /// <summary>Memory of each worker that is starting.</summary>
    readonly List<int> starting = [];
    /// <summary>Programs in line for a worker, each once for every worker that it wants.</summary>
    readonly List<ProgramQueue> line = [];
    long lastSequence, lastFailure;
    bool ticking, disposed, swept;

    public WorkerPool(NodeRuntime node, EngineLimits limits, TimeProvider time, ILogger<WorkerPool> log)
    {
        (this.node, Limits, Time, Log) = (node, limits, time, log);
        max = limits.WorkersMax > 0 ? limits.WorkersMax : Math.Max(8, 4 * Environment.ProcessorCount);
        timer = time.CreateTimer(_ => OnTick(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    internal EngineLimits Limits { get; }
    internal TimeProvider Time { get; }
    internal ILogger Log { get; }
    /// <summary>The harness's entry.</summary>
    internal string Harness { get; init; } = Path.Combine(AppContext.BaseDirectory, "harness", "main.mjs");

    /// <summary>Where the sockets' folders are made.</summary>
    internal string Sockets { get; init; } = Path.GetTempPath();

    internal IReadOnlyList<int> ProcessIds
    {
        get { lock (gate) return [.. workers.Select(worker => worker.Id)]; }
    }

    /// <summary>Starts the blank workers (<see cref="EngineLimits.WorkersWarm"/>) ahead of the first run.</summary>
    public void Warm()
    {
        lock (gate) Refill();
    }

    public async Task<IReadOnlyList<StepProblem>> CheckAsync(WorkerProgram program, CancellationToken ct)
    {
        var check = new TaskCompletionSource<IReadOnlyList<StepProblem>>(TaskCreationOptions.RunContinuationsAsynchronously);
        var touched = new TouchedWorkers();
        lock (gate)
        {
            var queue = QueueOf(program);
            if (queue.Problems is { } known) return known;
            queue.Checks.Add(check);
            Schedule(queue, ref touched);
        }
        touched.Flush();
        return await check.Task.WaitAsync(ct);
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
        if (!programs.TryGetValue(program.Key, out var queue)) programs[program.Key] = queue = new(this, program, program.MemoryMb > 0 ? program.MemoryMb : Limits.WorkerMemoryMb);
        queue.LastUsed = Time.GetTimestamp();
        return queue;
    }

    void Cancel(WorkerJob job, CancellationToken ct)
    {
        var touched = new TouchedWorkers();
        lock (gate)
        {
            if (job.Done.IsCompleted) return;
            job.CancelToken = ct;
            if (job.Worker is not { } worker)
            {
                job.Cancel(ct);
                job.Queue.Forget();
            }
            else if (worker.Executing == job) worker.Kill(WorkerCause.Cancelled, job);
            else if (worker.Assigned.Contains(job)) Revoke(worker, ref touched);
        }
        touched.Flush();
    }

    // ---- (2) handing runs to workers

    void Schedule(ProgramQueue queue, ref TouchedWorkers touched)
    {
        while (queue.Waiting > 0 && FreeWorker(queue) is { } worker)
        {
            if (queue.Dequeue() is not { } job) break;
            Hand(worker, job, ref touched);
        }
        if (WantsWorker(queue))
        {
            queue.Coming++;
            line.Add(queue);
            Supply(ref touched);
        }
        if (!ticking) StartTicking();
    }

    /// <summary>An idle worker, or the least busy one that may be handed runs ahead.</summary>
    Worker? FreeWorker(ProgramQueue queue)
    {
        int depth = queue.IsShort ? Math.Max(1, Limits.WorkerDepth) : 1;
        Worker? best = null;
        foreach (var worker in queue.Workers)
        {
            if (worker.Retiring || worker.Revoking || worker.IsDoomed || worker.Assigned.Count >= depth) continue;
            if (best is null || worker.Assigned.Count < best.Assigned.Count) best = worker;
        }
        return best;
    }

    void Hand(Worker worker, WorkerJob job, ref TouchedWorkers touched)
    {
        job.Worker = worker;
        job.Number = ++worker.LastNumber;
        worker.Assigned.Add(job);
        if (worker.Assigned.Count == 1) Begin(worker, job);
        worker.Post(job);
        touched.Add(worker);
    }

    void Begin(Worker worker, WorkerJob job)
    {
        worker.BeganAt = Time.GetTimestamp();
        job.Begin(Time.GetUtcNow());
        worker.Executing = job;
        if (job.CancelToken is not null) worker.Kill(WorkerCause.Cancelled, job);
    }

    // ---- (3) and (4) giving workers to programs

    bool WantsWorker(ProgramQueue queue)
    {
        if (queue.Waiting == 0 && queue.Checks.Count == 0) return false;
        int able = queue.Coming;
        double executingMs = double.MaxValue;
        foreach (var worker in queue.Workers)
        {
            if (worker.Retiring || worker.IsDoomed) continue;
            able++;
            executingMs = Math.Min(executingMs, worker.Assigned.Count > 0 ? Time.GetElapsedTime(worker.BeganAt).TotalMilliseconds : 0);
        }
        if (executingMs == double.MaxValue) executingMs = 0;
        if (able == 0) return true;
        // Runs that wait for somebody else are worth a worker each. Others are bound by the processors, which have the server's own work to do as well.
        bool isStuck = executingMs >= (queue.IsKnown ? StuckMs : LongWaitMs);
        int most = isStuck || queue.Waits ? max : queue.IsBrief ? Math.Max(1, Environment.ProcessorCount / 2) : Environment.ProcessorCount;
        if (able >= Math.Min(queue.Program.Concurrency ?? most, most) || queue.Waiting == 0) return false;
        return queue.WaitMs(able, executingMs) > (Blank(queue.MemoryMb) is null ? LongWaitMs : LongWaitForBlankMs);
    }

    Worker? Blank(int memoryMb) => workers.Find(worker => worker.Program is null && worker.MemoryMb == memoryMb && !worker.IsDoomed);

    void Supply(ref TouchedWorkers touched)
    {
        if (disposed) return;
        var coming = new List<int>(starting);
        int leaving = workers.Count(worker => worker.IsDoomed);
        for (int i = 0; i < line.Count; i++)
        {
            var queue = line[i];
            if (Blank(queue.MemoryMb) is { } blank)
            {
                Bind(blank, queue, ref touched);
                line.RemoveAt(i--);
            }
            else if (coming.Remove(queue.MemoryMb)) continue;
            else if (workers.Count + starting.Count < max) StartWorker(queue.MemoryMb);
            else if (leaving > 0) leaving--; // its place is taken when it is gone
            else if (LeastUsed(queue) is { } idle) idle.Kill(WorkerCause.Retired);
            else break;
        }
    }

    /// <summary>Starts blank workers ahead of need, but never beside a first run that waits for the processor.</summary>
    void Refill()
    {
        if (line.Count > 0 || workers.Exists(worker => worker.Program is not null && !worker.Loaded)) return;
        if (lastFailure != 0 && Time.GetElapsedTime(lastFailure) < FailurePause) return;
        int blanks = workers.Count(worker => worker.Program is null && !worker.IsDoomed) + starting.Count;
        while (blanks++ < Limits.WorkersWarm && workers.Count + starting.Count < max) StartWorker(Limits.WorkerMemoryMb);
    }

    Worker? LeastUsed(ProgramQueue asking)
    {
        Worker? least = null;
        foreach (var worker in workers)
            if (worker.Assigned.Count == 0 && !worker.IsDoomed && worker.Program != asking && (worker.Program is null || worker.Loaded)
                && (least is null || worker.LastUsed < least.LastUsed)) least = worker;
        return least;
    }

    void Bind(Worker worker, ProgramQueue queue, ref TouchedWorkers touched)
    {
        worker.Program = queue;
        worker.BeganAt = worker.LastUsed = worker.BoundAt = Time.GetTimestamp();
        worker.PostLoad();
        touched.Add(worker);
    }

    void StartWorker(int memoryMb)
    {
        starting.Add(memoryMb);
        var start = Task.Run(() => StartWorkerAsync(memoryMb));
        starts.Add(start);
        starts.RemoveAll(done => done.IsCompleted);
    }

    async Task StartWorkerAsync(int memoryMb)
    {
        long begin = Time.GetTimestamp();
        try
        {
            if (Interlocked.Exchange(ref swept, true) == false) WorkerDoor.Sweep(Sockets, Time);
            var binary = await node.EnsureAsync(null, stop.Token);
            var worker = await Worker.StartAsync(this, binary, Harness, memoryMb, stop.Token);
            Log.WorkerReady(worker.Id, (long)Time.GetElapsedTime(begin).TotalMilliseconds);
            OnReady(worker);
        }
        catch (WorkerUnavailableException e)
        {
            Log.WorkerUnavailable(e.Message);
            OnUnavailable(memoryMb, e);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The server stops.
        }
        catch (Exception e)
        {
            OnUnavailable(memoryMb, new($"a worker does not start: {e.Message}", e));
        }
    }

    void OnReady(Worker worker)
    {
        var touched = new TouchedWorkers();
        lock (gate)
        {
            starting.Remove(worker.MemoryMb);
            worker.LastUsed = Time.GetTimestamp();
            workers.Add(worker);
            if (disposed) worker.Kill(WorkerCause.Stopped);
            else Supply(ref touched);
        }
        touched.Flush();
        _ = BuryAsync(worker);
    }

    /// <summary>Nobody waits for a worker that does not come; those that have others go on with them.</summary>
    void OnUnavailable(int memoryMb, WorkerUnavailableException e)
    {
        lock (gate)
        {
            starting.Remove(memoryMb);
            lastFailure = Time.GetTimestamp();
            if (starting.Contains(memoryMb)) return; // another may come
            foreach (var queue in line.Where(queue => queue.MemoryMb == memoryMb).Distinct().ToList())
            {
                queue.Coming -= line.RemoveAll(waiting => waiting == queue);
                if (queue.Workers.Count + queue.Coming > 0) continue;
                foreach (var check in queue.Checks) check.TrySetException(e);
                queue.Checks.Clear();
                while (queue.Dequeue() is { } job) job.Fail(e);
            }
        }
    }

    // ---- what workers report

    internal void OnLoaded(Worker worker, IReadOnlyList<StepProblem> problems, ref TouchedWorkers touched)
    {
        lock (gate)
        {
            if (worker.Program is not { } queue || worker.Loaded) throw new WorkerProtocolException("a frame that says it is loaded, out of turn");
            worker.Loaded = true;
            worker.LastUsed = Time.GetTimestamp();
            queue.Coming--;
            queue.DeadLoads = 0;
            queue.Problems = problems;
            foreach (var check in queue.Checks) check.TrySetResult(problems);
            queue.Checks.Clear();
            if (problems.Count == 0 && !queue.Program.IsTrial)
            {
                queue.Workers.Add(worker);
                Schedule(queue, ref touched);
                return;
            }
            if (problems.Count > 0) Refuse(queue, problems[0]);
            worker.Kill(WorkerCause.Retired);
        }
    }

    void Refuse(ProgramQueue queue, StepProblem problem)
    {
        while (queue.Dequeue() is { } job)
        {
            job.Refuse(problem, Time.GetUtcNow());
            job.Complete();
        }
    }

    internal void OnRunEnd(Worker worker, WorkerJob job, in RunEndMessage end, ref TouchedWorkers touched)
    {
        job.Finish(end, Time.GetElapsedTime(worker.BeganAt));
        lock (gate)
        {
            var queue = job.Queue;
            worker.Assigned.RemoveAt(0);
            worker.LastUsed = queue.LastUsed = Time.GetTimestamp();
            worker.Executing = null;
            // The first run in a new process is slow for reasons of its own.
            if (worker.Warm) queue.Measure(job.Run.Compute.TotalMilliseconds, end.IdleMs);
            worker.Warm = true;
            // After a run that taints it, a worker starts nothing more.
            if (end.Tainted) Retire(worker);
            else if (worker.Assigned.Count > 0) Begin(worker, worker.Assigned[0]);
            else if (worker.Retiring) worker.Kill(WorkerCause.Retired);
            Schedule(queue, ref touched);
        }
        job.Complete();
    }

    /// <summary>Takes a worker out of service; what it has not started goes to others.</summary>
    void Retire(Worker worker)
    {
        worker.Retiring = true;
        worker.Program!.Workers.Remove(worker);
        GiveBack(worker, worker.Assigned.Count);
        worker.Kill(WorkerCause.Retired);
    }

    /// <summary>The last <paramref name="count"/> runs of a worker were never started: they get in line again.</summary>
    static void GiveBack(Worker worker, int count)
    {
        for (; count > 0; count--)
        {
            var job = worker.Assigned[^1];
            worker.Assigned.RemoveAt(worker.Assigned.Count - 1);
            GiveBack(job);
        }
    }

    static void GiveBack(WorkerJob job)
    {
        job.Worker = null;
        var pool = job.Queue.Pool;
        if (job.CancelToken is { } ct) job.Cancel(ct);
        else if (pool.disposed) job.Cancel(pool.stop.Token); // nobody would take it from the line
        else job.Queue.Return(job);
    }

    void Revoke(Worker worker, ref TouchedWorkers touched)
    {
        if (worker.Revoking || worker.Assigned.Count < 2) return;
        worker.Revoking = true;
        worker.PostRevoke([.. worker.Assigned.Skip(1).Select(job => job.Number)]);
        touched.Add(worker);
    }

    internal void OnRevoked(Worker worker, List<int> runs, ref TouchedWorkers touched)
    {
        lock (gate)
        {
            if (worker.Program is not { } queue) throw new WorkerProtocolException("a frame that gives runs back, before it had any");
            if (worker.IsDoomed) return; // what it had is given back already, or will be when it is gone
            // A worker that gives back unasked is one that takes no more runs.
            bool asked = worker.Revoking;
            worker.Revoking = false;
            foreach (int number in runs)
            {
                var job = worker.Assigned.Find(job => job.Number == number) ?? throw new WorkerProtocolException($"run {number} given back, which it does not have");
                if (job == worker.Executing)
                {
                    // Its turn had come, but the worker read the revocation first; a step that says so of its own run gains nothing.
                    if (job.Heard || ++job.GivenBack > MostGivenBack) throw new WorkerProtocolException($"run {number} given back, which had started");
                    worker.Executing = null;
                }
                worker.Assigned.Remove(job);
                GiveBack(job);
            }
            if (!asked && worker.Executing is not null) throw new WorkerProtocolException("runs given back unasked, while it executed one");
            if (!asked) Retire(worker);
            else if (worker.Executing is null && worker.Assigned.Count > 0) Begin(worker, worker.Assigned[0]);
            Schedule(queue, ref touched);
        }
    }

    /// <summary>Kills all workers, waits until they are gone, and cancels the runs that had no end.</summary>
    public async ValueTask DisposeAsync()
    {
        List<Task> ends;
        lock (gate)
        {
            if (disposed) return;
            disposed = true;
            foreach (var worker in workers) worker.Kill(WorkerCause.Stopped);
            ends = [.. starts, .. workers.Select(worker => worker.Ended)];
        }
        // A stop ends, whatever a process or a pipe of it does: what is still under way after this long is cancelled all the same.
        await Task.WhenAll([stop.CancelAsync(), timer.DisposeAsync().AsTask(), .. ends])
            .WaitAsync(Limits.WorkerStart, Time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        lock (gate)
        {
            foreach (var queue in programs.Values)
            {
                foreach (var check in queue.Checks) check.TrySetCanceled(stop.Token);
                while (queue.Dequeue() is { } job) job.Cancel(stop.Token);
            }
            foreach (var job in workers.SelectMany(worker => worker.Assigned)) job.Cancel(stop.Token);
            ends = [.. workers.Select(worker => worker.Ended)];
        }
        await Task.WhenAll(ends).WaitAsync(Limits.WorkerStart, Time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }
}

/// <summary>The workers that were given frames under the pool's gate, to be flushed when it is left.</summary>
internal struct TouchedWorkers
{
    Worker? one;
    List<Worker>? more;

    public void Add(Worker worker)
    {
        if (one is null || one == worker) one = worker;
        else if ((more ??= []).IndexOf(worker) < 0) more.Add(worker);
    }

    public readonly void Flush()
    {
        one?.Flush();
        if (more is null) return;
        foreach (var worker in more) worker.Flush();
    }
}
