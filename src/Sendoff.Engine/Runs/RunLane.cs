namespace Sendoff.Engine.Runs;

/// <summary>A run in a lane, with the caller that waits for its response, and its share in the pace.</summary>
sealed record Waiting(QueuedRun Run, TaskCompletionSource<RunResponse?>? Response, PaceTicket Pace = default);

/// <summary>An unfinished run of an earlier server, as small as possible, because there may be a million of them.</summary>
readonly record struct LeftRun(RunId Run, EventId Event, int Version, bool Replay, bool Captured, RunId? Continues);

/// <summary>The memory for queued events of all workflows. If it is full, only the id is kept, and the event is read when the run
/// starts.</summary>
sealed class EventMemory(long most)
{
    long taken;

    public long Taken => Volatile.Read(ref taken);

    public bool TryTake(int bytes)
    {
        if (Interlocked.Add(ref taken, bytes) <= most)
            return true;
        Give(bytes);
        return false;
    }

    public void Give(int bytes) => Interlocked.Add(ref taken, -bytes);
}

/// <summary>The unfinished runs of one workflow: a limited number executes, the others wait in order. Runs of an earlier server have a
/// separate limit, so that neither blocks the other.</summary>
sealed class RunLane(WorkflowId workflow, EventMemory memory)
{
    const double SlowMs = 100;

    readonly Lock gate = new();
    readonly Queue<Waiting> waiting = new();
    readonly Queue<LeftRun> left = new();
    int open,
        executing,
        executingLeft;

    /// <summary>Its share in the server's pace.</summary>
    public PaceShare Pace { get; } = new(SlowMs);

    /// <summary>Reserves a place among the unfinished runs. Returns false if there is none left.</summary>
    public bool TryAdmit(int most)
    {
        lock (gate)
        {
            if (open >= most)
                return false;
            open++;
            return true;
        }
    }

    /// <summary>Returns a place.</summary>
    public void Leave()
    {
        lock (gate)
            open--;
    }

    /// <summary>Sets the number of unfinished runs, which another server executes.</summary>
    public void SetOpen(int runs)
    {
        lock (gate)
            open = runs;
    }

    /// <summary>Returns true if the run can execute now; otherwise it waits in the lane.</summary>
    public bool TryStart(Waiting run, int most)
    {
        lock (gate)
        {
            if (executing < most)
            {
                executing++;
                return true;
            }
            if (!memory.TryTake(run.Run.Event.Bytes))
                run = run with { Run = run.Run with { Event = run.Run.Event with { Json = default, Raw = default } } };
            waiting.Enqueue(run);
            return false;
        }
    }

    /// <summary>The next run for a free place. Returns null, and releases the place, if there is none.</summary>
    public Waiting? Next()
    {
        lock (gate)
        {
            if (waiting.TryDequeue(out var next))
                memory.Give(next.Run.Event.Bytes);
            else
                executing--;
            return next;
        }
    }

    /// <summary>Runs that have not started, including those of an earlier server.</summary>
    public int UnstartedCount
    {
        get
        {
            lock (gate)
                return waiting.Count + left.Count;
        }
    }

    /// <summary>The callers waiting for runs that have not started.</summary>
    public List<TaskCompletionSource<RunResponse?>> Unstarted()
    {
        lock (gate)
            return [.. waiting.Select(static run => run.Response).OfType<TaskCompletionSource<RunResponse?>>()];
    }

    /// <summary>Adds runs of an earlier server. Returns the first one if it can execute now.</summary>
    public Waiting? AddLeft(LeftRun run, int most)
    {
        lock (gate)
        {
            left.Enqueue(run);
            if (executingLeft >= most)
                return null;
            executingLeft++;
        }
        return NextLeft();
    }

    /// <summary>The next run of an earlier server. Returns null, and releases the place, if there is none.</summary>
    public Waiting? NextLeft()
    {
        lock (gate)
        {
            if (left.TryDequeue(out var next))
            {
                var received = new Event(next.Event, WorkspaceId.Default, workflow, "", default, default);
                return new(
                    new(next.Run, received, next.Version, next.Replay, Recovered: true, Captured: next.Captured)
                    {
                        Continues = next.Continues is { } held ? new(held) : null,
                    },
                    null
                );
            }
            executingLeft--;
            return null;
        }
    }
}
