namespace Sendoff.Engine.Workers;

/// <remarks>(3) and (4): assigning workers to programs.</remarks>
public sealed partial class WorkerPool
{
    /// <summary>Waiting time that justifies starting another worker; a prewarmed one is assigned earlier.</summary>
    const double LongWaitMs = 50,
        LongWaitForBlankMs = 15;
    static readonly TimeSpan FailurePause = TimeSpan.FromSeconds(10);

    bool WantsWorker(ProgramQueue queue)
    {
        if (queue.Waiting == 0 && queue.Checks.Count == 0)
            return false;
        int able = queue.Coming;
        double executingMs = double.MaxValue;
        foreach (var worker in queue.Workers)
        {
            if (worker.Retiring || worker.IsDoomed)
                continue;
            able++;
            executingMs = Math.Min(executingMs, worker.Assigned.Count > 0 ? Time.GetElapsedTime(worker.BeganAt).TotalMilliseconds : 0);
        }
        if (executingMs == double.MaxValue)
            executingMs = 0;
        if (able == 0)
            return true;
        // Runs that mostly wait get one worker each. Other runs are limited by the processors, which also do the server's work.
        bool isStuck = executingMs >= (queue.IsKnown ? Stuck.TotalMilliseconds : LongWaitMs);
        int most =
            isStuck || queue.Waits ? max
            : queue.IsBrief ? Math.Max(1, Environment.ProcessorCount / 2)
            : Environment.ProcessorCount;
        if (able >= Math.Min(queue.Program.Concurrency ?? most, most) || queue.Waiting == 0)
            return false;
        return queue.WaitMs(able, executingMs) > (Blank(queue.MemoryMb) is null ? LongWaitMs : LongWaitForBlankMs);
    }

    Worker? Blank(int memoryMb) => workers.Find(worker => worker.Program is null && worker.MemoryMb == memoryMb && !worker.IsDoomed);

    void Supply(ref TouchedWorkers touched)
    {
        if (disposed)
            return;
        var coming = new List<int>(starting);
        int living = workers.Count(worker => !worker.IsDoomed) + starting.Count;
        for (int i = 0; i < line.Count; i++)
        {
            var queue = line[i];
            if (Blank(queue.MemoryMb) is { } blank)
            {
                Bind(blank, queue, ref touched);
                line.RemoveAt(i--);
            }
            else if (coming.Remove(queue.MemoryMb))
                continue;
            else if (workers.Count + starting.Count >= 2 * max)
                break; // killed processes end slowly
            else if (living < max || MakeRoom(LeastUsed(queue)))
            {
                // It starts while the worker that it replaces ends.
                living = Math.Min(living + 1, max);
                StartWorker(queue.MemoryMb);
            }
            else
                break;
        }
    }

    static bool MakeRoom(Worker? idle)
    {
        idle?.Kill(WorkerCause.Retired);
        return idle is not null;
    }

    /// <summary>Starts prewarmed workers, but not while a first run needs the processor.</summary>
    void Refill()
    {
        if (line.Count > 0 || workers.Exists(worker => worker.Program is not null && !worker.Loaded))
            return;
        if (lastFailure != 0 && Time.GetElapsedTime(lastFailure) < FailurePause)
            return;
        int blanks = workers.Count(worker => worker.Program is null && !worker.IsDoomed) + starting.Count;
        while (blanks++ < Limits.WorkersWarm && workers.Count + starting.Count < max)
            StartWorker(Limits.WorkerMemoryMb);
    }

    Worker? LeastUsed(ProgramQueue asking)
    {
        Worker? least = null;
        foreach (var worker in workers)
            if (
                worker.Assigned.Count == 0
                && !worker.IsDoomed
                && worker.Program != asking
                && (worker.Program is null || worker.Loaded)
                && (least is null || worker.LastUsed < least.LastUsed)
            )
                least = worker;
        return least;
    }

    void Bind(Worker worker, ProgramQueue queue, ref TouchedWorkers touched)
    {
        worker.Program = queue;
        worker.BeganAt = worker.LastUsed = worker.BoundAt = Time.GetTimestamp();
        worker.Outbox.PostLoad(queue.Program);
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
            if (Interlocked.Exchange(ref swept, true) == false)
                WorkerDoor.Sweep(Sockets, Time);
            var binary = await node.EnsureAsync(null, stop.Token);
            var worker = await Worker.StartAsync(this, binary, await SandboxAsync(binary), memoryMb, stop.Token);
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
            // The server is stopping.
        }
        catch (Exception e)
        {
            OnUnavailable(memoryMb, new($"a worker cannot start: {e.Message}", e));
        }
    }

    /// <summary>The available isolation is determined once and logged.</summary>
    async Task<Sandbox> SandboxAsync(NodeBinary binary)
    {
        await oneSandbox.WaitAsync(stop.Token);
        try
        {
            if (sandbox is not null)
                return sandbox;
            sandbox = await Sandbox.PrepareAsync(Isolation, binary, Harness, stop.Token);
            InForce = new($"{binary.Version}, {binary.Path}", sandbox.State, sandbox.IsWhole);
            if (sandbox.HasBubblewrap)
                Log.WorkersIsolated(binary.Version, binary.Path, sandbox.State);
            else
                Log.WorkersWithoutSandbox(binary.Version, binary.Path, sandbox.State);
            return sandbox;
        }
        finally
        {
            oneSandbox.Release();
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
            if (disposed)
                worker.Kill(WorkerCause.Stopped);
            else
                Supply(ref touched);
        }
        touched.Flush();
        _ = BuryAsync(worker);
    }

    /// <summary>Runs do not wait for a worker that cannot start; programs with other workers continue with them.</summary>
    void OnUnavailable(int memoryMb, WorkerUnavailableException e)
    {
        lock (gate)
        {
            starting.Remove(memoryMb);
            lastFailure = Time.GetTimestamp();
            if (starting.Contains(memoryMb))
                return; // another one may start
            foreach (var queue in line.Where(queue => queue.MemoryMb == memoryMb).Distinct().ToList())
            {
                queue.Coming -= line.RemoveAll(waiting => waiting == queue);
                if (queue.Workers.Count + queue.Coming > 0)
                    continue;
                foreach (var check in queue.Checks)
                    check.TrySetException(e);
                queue.Checks.Clear();
                while (queue.Dequeue() is { } job)
                    job.Fail(e);
            }
        }
    }

    internal void OnLoaded(Worker worker, ProgramCheck loaded, ref TouchedWorkers touched)
    {
        lock (gate)
        {
            if (worker.Program is not { } queue || worker.Loaded)
                throw new WorkerProtocolException("an unexpected loaded frame");
            worker.Loaded = true;
            worker.LastUsed = Time.GetTimestamp();
            queue.Coming--;
            queue.DeadLoads = 0;
            var problems = queue.Problems = loaded.Problems;
            foreach (var check in queue.Checks)
                check.TrySetResult(loaded);
            queue.Checks.Clear();
            if (problems.Count == 0 && (!queue.Program.IsTrial || Leaves(worker, queue, loaded)))
            {
                queue.Workers.Add(worker);
                Schedule(queue, ref touched);
                return;
            }
            if (problems.Count > 0)
                Refuse(queue, problems[0]);
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
}
