namespace Sendoff.Engine.Runs;

/// <summary>A run in a lane, with who waits for its response, and what it counts in the server's pace.</summary>
sealed record Waiting(QueuedRun Run, TaskCompletionSource<RunResponse?>? Response, PaceTicket Pace = default);

/// <summary>A run that an earlier server left, as narrow as it can be held: there may be a million of them.</summary>
readonly record struct LeftRun(RunId Run, EventId Event, int Version, bool Replay, bool Captured, RunId? Continues);

/// <summary>The memory for events that wait, of all workflows together. What finds none waits by its id, and its event is read again when
/// its turn comes.</summary>
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

/// <summary>
/// The runs of one workflow that are accepted and not ended: a bounded number executes, the rest waits in order. What an earlier server
/// left has places of its own, so that neither waits for the other.
/// </summary>
sealed class RunLane(WorkflowId workflow, EventMemory memory)
{
    const double SlowMs = 100;

    readonly Lock gate = new();
    readonly Queue<Waiting> waiting = new();
    readonly Queue<LeftRun> left = new();
    int open,
        executing,
        executingLeft;

    /// <summary>Its part in the server's pace.</summary>
    public PaceShare Pace { get; } = new(SlowMs);

    /// <summary>Takes a place among the runs that are not ended; false when all are taken.</summary>
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

    /// <summary>Gives a place back.</summary>
    public void Leave()
    {
        lock (gate)
            open--;
    }

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
            if (!memory.TryTake(run.Run.Event.Bytes))
                run = run with { Run = run.Run with { Event = run.Run.Event with { Json = default, Raw = default } } };
            waiting.Enqueue(run);
            return false;
        }
    }

    /// <summary>The next run for a place that has become free; null gives the place back.</summary>
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

    /// <summary>Runs that have not started, those that an earlier server left included.</summary>
    public int UnstartedCount
    {
        get
        {
            lock (gate)
                return waiting.Count + left.Count;
        }
    }

    /// <summary>The callers who wait for runs that have not started.</summary>
    public List<TaskCompletionSource<RunResponse?>> Unstarted()
    {
        lock (gate)
            return [.. waiting.Select(static run => run.Response).OfType<TaskCompletionSource<RunResponse?>>()];
    }

    /// <summary>Adds what an earlier server left. Answers the first of it when there is a place to execute it now.</summary>
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

    /// <summary>The next run that an earlier server left; null gives the place back.</summary>
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
