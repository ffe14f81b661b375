namespace Sendoff.Engine.Workers;

/// <remarks>Ends of workers, and (5) the watch.</remarks>
public sealed partial class WorkerPool
{
    const int MostDeadLoads = 2;
    static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(20);
    static readonly TimeSpan Turn = TimeSpan.FromMilliseconds(250);

    // ---- the end of a worker

    async Task BuryAsync(Worker worker)
    {
        var death = await worker.Ended;
        var touched = new TouchedWorkers();
        WorkerJob? job = null;
        lock (gate)
        {
            workers.Remove(worker);
            var queue = worker.Program;
            queue?.Workers.Remove(worker);
            if (worker.Assigned.Count > 0)
            {
                job = worker.Assigned[0];
                GiveBack(worker, worker.Assigned.Count - 1);
                worker.Assigned.Clear();
                // A run whose frame was not written cannot have started.
                if (job.Number > worker.Outbox.LastWritten)
                {
                    GiveBack(job);
                    job = null;
                }
            }
            if (queue is { } && !worker.Loaded)
                DeadInLoad(worker, queue, death);
            if (!disposed)
            {
                if (queue is { })
                    Schedule(queue, ref touched);
                Supply(ref touched);
            }
        }
        touched.Flush();
        if (job is not null)
            CutOff(worker, job, death);
    }

    public async Task RetireAsync(string workflowId)
    {
        Task? gone;
        while ((gone = TryRetire(workflowId)) is null)
            await Task.Delay(Turn, Time, stop.Token);
        await gone;
    }

    /// <summary>Null while runs of the workflow wait for a worker or one is starting: those have priority.</summary>
    Task? TryRetire(string workflowId)
    {
        lock (gate)
        {
            if (
                programs.Values.Any(queue =>
                    queue.Program.WorkflowId == workflowId && queue.Waiting + queue.Coming + queue.Checks.Count > 0
                )
            )
                return null;
            // A worker kept by a trial can belong to any workflow.
            var gone = workers.FindAll(worker =>
                worker.Program is { } queue
                && (queue.Program.WorkflowId == workflowId || queue is { Program.IsTrial: true, Found: not null })
            );
            foreach (var worker in gone)
            {
                worker.Retiring = true;
                if (worker.Assigned.Count == 0)
                    worker.Kill(WorkerCause.Retired);
            }
            return Task.WhenAll(gone.Select(worker => worker.Ended));
        }
    }

    /// <summary>If a worker dies while it loads a program, loading is retried once; then it is a problem of the program.</summary>
    void DeadInLoad(Worker worker, ProgramQueue queue, WorkerDeath death)
    {
        queue.Coming--;
        if (death.Cause == WorkerCause.Stopped || ++queue.DeadLoads < MostDeadLoads)
            return;
        queue.DeadLoads = 0;
        var error = ErrorFor(death, worker, Limits.WorkerStart);
        var step = queue.Program.Steps.Count > 0 ? queue.Program.Steps[0] : new("", "", null, false);
        var problem = new StepProblem(step.Name, step.File, error.Name, $"while the steps were loaded, {error.Message}", null, null, null);
        foreach (var check in queue.Checks)
            check.TrySetResult(new([problem], []));
        queue.Checks.Clear();
        Refuse(queue, problem);
    }

    void CutOff(Worker worker, WorkerJob job, WorkerDeath death)
    {
        if (death.Cause == WorkerCause.Stopped)
            job.Cancel(stop.Token);
        else if (job.CancelToken is { } ct)
            job.Cancel(ct);
        else
        {
            if (death.Victim is { } victim && victim != job)
                death = new(WorkerCause.Exited, "it was killed because of the previous run", null);
            var error = ErrorFor(death, worker, job.Run.Timeout);
            Log.WorkerDied(worker.Id, job.Queue.Program.Key, death.Cause.ToString(), error.Message);
            job.CutOff(
                death.Cause switch
                {
                    WorkerCause.TimedOut => WorkerEnd.TimedOut,
                    WorkerCause.OutOfMemory => WorkerEnd.OutOfMemory,
                    WorkerCause.OverLimit => WorkerEnd.Failed,
                    _ => WorkerEnd.Died,
                },
                error,
                job.Spent + Time.GetElapsedTime(worker.BeganAt)
            );
            job.Complete();
        }
    }

    static StepError ErrorFor(WorkerDeath death, Worker worker, TimeSpan timeout) =>
        death.Cause switch
        {
            WorkerCause.TimedOut => Error(
                "TimeoutError",
                "timeout",
                $"it did not end within its timeout of {timeout.TotalMilliseconds:N0} ms, and its worker was killed"
            ),
            WorkerCause.OutOfMemory => Error(
                "OutOfMemoryError",
                "out_of_memory",
                $"it used more than its {worker.MemoryMb:N0} MB of memory, and its worker was killed"
            ),
            WorkerCause.BrokeProtocol => Error("WorkerDiedError", "worker_protocol", death.Message),
            WorkerCause.OverLimit => Error("LimitError", "limit", death.Message),
            _ => Error("WorkerDiedError", "worker_died", $"the worker exited during the run: {death.Message}"),
        };

    static StepError Error(string name, string code, string message) => new(name, message, code, null, null, null);

    // ---- (5) the watch

    void StartTicking()
    {
        ticking = true;
        timer.Change(Tick, Timeout.InfiniteTimeSpan);
    }

    void OnTick()
    {
        var touched = new TouchedWorkers();
        lock (gate)
        {
            if (disposed)
                return;
            // First, so that an error in one tick does not stop the timer.
            timer.Change(Tick, Timeout.InfiniteTimeSpan);
            bool busy = line.Count > 0;
            foreach (var worker in workers)
            {
                if (worker.Assigned.Count > 0 || (worker.Program is not null && !worker.Loaded))
                    busy = true;
                Watch(worker, ref touched);
            }
            foreach (var queue in programs.Values.Where(queue => queue.Waiting > 0).ToList())
                Schedule(queue, ref touched);
            if (line.Count > 0)
                YieldTurn(ref touched);
            else
                Refill();
            ForgetPrograms();
            ticking = busy;
            timer.Change(
                busy ? Tick
                    : workers.Count > 0 ? Limits.WorkerIdle / 4 + Tick
                    : Timeout.InfiniteTimeSpan,
                Timeout.InfiniteTimeSpan
            );
        }
        touched.Flush();
    }

    void Watch(Worker worker, ref TouchedWorkers touched)
    {
        if (worker.IsDoomed)
            return;
        var elapsed = Time.GetElapsedTime(worker.BeganAt);
        if (worker.Executing is { } job)
        {
            if (job.Spent + elapsed > job.Run.Timeout)
                worker.Kill(WorkerCause.TimedOut, job);
            else if (worker.ReadMemory() > worker.MemoryLimit)
                worker.Kill(WorkerCause.OutOfMemory, job);
            else if (elapsed > Tick && worker.Assigned.Count > 1)
            {
                job.Queue.NoteLong();
                Revoke(worker, ref touched);
                if (IsLate(worker.Assigned[1], Time.GetTimestamp()))
                    worker.AskSilence();
            }
        }
        else if (worker.Program is not null && !worker.Loaded)
        {
            if (elapsed > Limits.WorkerStart)
                worker.Kill(WorkerCause.TimedOut);
            else if (worker.ReadMemory() > worker.MemoryLimit)
                worker.Kill(WorkerCause.OutOfMemory);
        }
        else if (worker.Program is not null && worker.Assigned.Count == 0 && Time.GetElapsedTime(worker.LastUsed) > Limits.WorkerIdle)
            Retire(worker);
    }

    /// <summary>All workers are busy and a program has none: a worker of the program with the most workers is replaced.</summary>
    void YieldTurn(ref TouchedWorkers touched)
    {
        Supply(ref touched);
        if (line.Count == 0 || starting.Count > 0 || workers.Exists(worker => worker.IsDoomed || worker.Retiring))
            return;
        if (!line.Exists(queue => queue.Workers.Count == 0))
            return;
        Worker? from = null;
        foreach (var worker in workers)
            if (
                worker.Loaded
                && Time.GetElapsedTime(worker.BoundAt) > Turn
                && (from is null || worker.Program!.Workers.Count > from.Program!.Workers.Count)
            )
                from = worker;
        if (from is null)
            return;
        from.Retiring = true;
        Revoke(from, ref touched);
    }

    void ForgetPrograms()
    {
        foreach (var (key, queue) in programs)
            if (
                queue.Waiting == 0
                && queue.Coming == 0
                && queue.Workers.Count == 0
                && queue.Checks.Count == 0
                && Time.GetElapsedTime(queue.LastUsed) > Limits.WorkerIdle
            )
                programs.Remove(key);
    }
}
