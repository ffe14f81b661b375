namespace Sendoff.Engine.Workers;

/// <remarks>(2) sending runs to workers, and their reports.</remarks>
public sealed partial class WorkerPool
{
    void Schedule(ProgramQueue queue, ref TouchedWorkers touched)
    {
        while (queue.Waiting > 0 && FreeWorker(queue) is { } worker)
        {
            if (queue.Dequeue() is not { } job)
                break;
            Hand(worker, job, ref touched);
        }
        if (WantsWorker(queue))
        {
            if (TakeOver(queue, ref touched))
            {
                Schedule(queue, ref touched);
                return;
            }
            queue.Coming++;
            line.Add(queue);
            Supply(ref touched);
        }
        if (!ticking)
            StartTicking();
    }

    /// <summary>An idle worker, or the least busy one that can get runs in advance.</summary>
    Worker? FreeWorker(ProgramQueue queue)
    {
        int depth = queue.IsShort && !queue.NextStartsAlone ? Math.Max(1, Limits.WorkerDepth) : 1;
        Worker? best = null;
        foreach (var worker in queue.Workers)
        {
            if (worker.Retiring || worker.Revoking || worker.IsDoomed || worker.Assigned.Count >= depth)
                continue;
            if (best is null || worker.Assigned.Count < best.Assigned.Count)
                best = worker;
        }
        return best;
    }

    void Hand(Worker worker, WorkerJob job, ref TouchedWorkers touched)
    {
        job.Worker = worker;
        job.Number = ++worker.LastNumber;
        job.HandedAt = Time.GetTimestamp();
        worker.Assigned.Add(job);
        job.IsAhead = worker.Assigned.Count > 1;
        if (!job.IsAhead)
            Begin(worker, job);
        worker.Outbox.PostRun(new(job.Number, job.Run, job.IsAhead ? worker.ClockAfter(job.HandedAt, Stuck) : null));
        touched.Add(worker);
    }

    void Begin(Worker worker, WorkerJob job)
    {
        worker.BeganAt = Time.GetTimestamp();
        job.Begin(Time.GetUtcNow());
        worker.Executing = job;
        if (job.CancelToken is not null)
            worker.Kill(WorkerCause.Cancelled, job);
    }

    void BeginNext(Worker worker)
    {
        if (worker.Assigned.Count > 0)
            Begin(worker, worker.Assigned[0]);
        else if (worker.Retiring)
            worker.Kill(WorkerCause.Retired);
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
            // The first run in a new process is always slower.
            if (worker.Warm)
                queue.Measure(job.Run.Compute.TotalMilliseconds, end.IdleMs);
            worker.Warm = true;
            // A tainted worker starts no more runs.
            if (end.Tainted)
                Retire(worker);
            else
                BeginNext(worker);
            Schedule(queue, ref touched);
        }
        job.Complete();
    }

    /// <summary>Takes a worker out of service; runs that it has not started go to others.</summary>
    void Retire(Worker worker)
    {
        worker.Retiring = true;
        worker.Program!.Workers.Remove(worker);
        GiveBack(worker, worker.Assigned.Count);
        worker.Kill(WorkerCause.Retired);
    }

    /// <summary>The last <paramref name="count"/> runs of a worker were not started: they are queued again.</summary>
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
        if (job.CancelToken is { } ct)
            job.Cancel(ct);
        else if (pool.disposed)
            job.Cancel(pool.stop.Token); // nothing else would remove it from the line
        else
            job.Queue.Return(job);
    }

    void Revoke(Worker worker, ref TouchedWorkers touched)
    {
        if (worker.Revoking || worker.Assigned.Count < 2)
            return;
        worker.Revoking = true;
        worker.Outbox.PostRevoke([.. worker.Assigned.Skip(1).Select(job => job.Number)]);
        touched.Add(worker);
    }

    internal void OnRevoked(Worker worker, List<int> runs, ref TouchedWorkers touched)
    {
        lock (gate)
        {
            if (worker.Program is not { } queue)
                throw new WorkerProtocolException("a frame that returns runs, before it had any");
            if (worker.IsDoomed)
                return; // its runs were returned already, or will be when it has ended
            // A worker that returns runs without a request takes no more runs.
            bool asked = worker.Revoking;
            worker.Revoking = false;
            foreach (int number in runs)
                TakeBack(worker, number);
            if (!asked && worker.Executing is not null)
                throw new WorkerProtocolException("runs returned without a request, while it executed one");
            if (!asked)
                Retire(worker);
            else if (worker.Executing is null)
                BeginNext(worker);
            Schedule(queue, ref touched);
        }
    }

    /// <summary>Runs that expired before they started.</summary>
    internal void OnExpired(Worker worker, List<int> runs, ref TouchedWorkers touched)
    {
        lock (gate)
        {
            if (worker.Program is not { } queue)
                throw new WorkerProtocolException("a frame that returns runs, before it had any");
            if (worker.IsDoomed)
                return;
            // Its clock is ahead of ours, for example after the machine slept. The clock of a new worker is not.
            long now = Time.GetTimestamp();
            if (worker.Assigned.Exists(job => !IsLate(job, now) && runs.Contains(job.Number)))
                worker.Retiring = true;
            foreach (int number in runs)
                TakeBack(worker, number);
            if (worker.Executing is null)
                BeginNext(worker);
            Schedule(queue, ref touched);
        }
    }

    /// <summary>A worker reports that it will not start a run.</summary>
    void TakeBack(Worker worker, int number)
    {
        if (worker.TakenBack.Remove(number))
            return; // another worker already has it
        var job =
            worker.Assigned.Find(job => job.Number == number)
            ?? throw new WorkerProtocolException($"run {number} returned, which it does not have");
        if (job == worker.Executing)
        {
            // The run was revoked or expired before its turn. That happens only to a run that was sent in advance, and each is sent in
            // advance only once. So a step that forges such a frame about its own run is started at most once more, and the time until then
            // counts (E6).
            if (job.Heard || !job.IsAhead)
                throw new WorkerProtocolException($"run {number} returned after it had started");
            job.WasGivenBack = true;
            job.Spent += Time.GetElapsedTime(worker.BeganAt);
            worker.Executing = null;
        }
        worker.Assigned.Remove(job);
        GiveBack(job);
    }

    /// <summary>At <paramref name="now"/> all data of the worker had been read, and the executing run had not ended. The worker will check
    /// its clock before it starts a later run, so it will not start expired runs, and other workers can have them (E1: no run starts
    /// twice).</summary>
    internal void OnSilent(Worker worker, long now, ref TouchedWorkers touched)
    {
        lock (gate)
        {
            if (worker.Executing is null || worker.IsDoomed)
                return;
            for (int i = worker.Assigned.Count - 1; i > 0; i--)
            {
                var job = worker.Assigned[i];
                if (!IsLate(job, now))
                    continue;
                worker.Assigned.RemoveAt(i);
                worker.TakenBack.Add(job.Number);
                GiveBack(job);
            }
            Schedule(worker.Program!, ref touched);
        }
    }

    bool IsLate(WorkerJob job, long now) => Time.GetElapsedTime(job.HandedAt, now) >= Stuck;
}
