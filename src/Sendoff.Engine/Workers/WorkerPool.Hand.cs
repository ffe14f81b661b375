namespace Sendoff.Engine.Workers;

/// <remarks>(2) handing runs to workers, and what these report of them.</remarks>
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
            queue.Coming++;
            line.Add(queue);
            Supply(ref touched);
        }
        if (!ticking)
            StartTicking();
    }

    /// <summary>An idle worker, or the least busy one that may be handed runs ahead.</summary>
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
            // The first run in a new process is slow for reasons of its own.
            if (worker.Warm)
                queue.Measure(job.Run.Compute.TotalMilliseconds, end.IdleMs);
            worker.Warm = true;
            // After a run that taints it, a worker starts nothing more.
            if (end.Tainted)
                Retire(worker);
            else
                BeginNext(worker);
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
        if (job.CancelToken is { } ct)
            job.Cancel(ct);
        else if (pool.disposed)
            job.Cancel(pool.stop.Token); // nobody would take it from the line
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
                return; // what it had is given back already, or will be when it is gone
            // A worker that gives back unasked is one that takes no more runs.
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

    /// <summary>Runs whose time to start had passed when their turn came.</summary>
    internal void OnExpired(Worker worker, List<int> runs, ref TouchedWorkers touched)
    {
        lock (gate)
        {
            if (worker.Program is not { } queue)
                throw new WorkerProtocolException("a frame that returns runs, before it had any");
            if (worker.IsDoomed)
                return;
            // Its clock has run ahead of ours, as it may over a machine's sleep. That of a new worker does not.
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

    /// <summary>A worker reports that it has not started a run and never will.</summary>
    void TakeBack(Worker worker, int number)
    {
        if (worker.TakenBack.Remove(number))
            return; // it is with another already
        var job =
            worker.Assigned.Find(job => job.Number == number)
            ?? throw new WorkerProtocolException($"run {number} returned, which it does not have");
        if (job == worker.Executing)
        {
            // The worker was asked for it, or it was late, before its turn came. That only happens to a run that was handed ahead, and none
            // is handed ahead twice: a step that writes such a frame about its own run is started once more at most, and the time until
            // then counts (E6).
            if (job.Heard || !job.IsAhead)
                throw new WorkerProtocolException($"run {number} returned after it had started");
            job.WasGivenBack = true;
            job.Spent += Time.GetElapsedTime(worker.BeganAt);
            worker.Executing = null;
        }
        worker.Assigned.Remove(job);
        GiveBack(job);
    }

    /// <summary>
    /// The worker had written nothing that was not taken in at <paramref name="now"/>, so that the run that executes had not ended. It
    /// looks at its clock before it starts one of those behind it, which is later than now: those whose time has passed it will not start,
    /// and others may have them (E1: no run starts twice).
    /// </summary>
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
