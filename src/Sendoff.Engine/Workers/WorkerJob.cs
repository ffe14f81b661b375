namespace Sendoff.Engine.Workers;

/// <summary>The content of a runEnd frame.</summary>
internal readonly record struct RunEndMessage(
    bool Succeeded,
    string? Message,
    RunHold? Hold,
    double DurationMs,
    double IdleMs,
    bool Tainted
);

/// <summary>One run in the pool: queued, sent to a worker, executing, or finished. Collects and validates the worker's messages.</summary>
internal sealed partial class WorkerJob(ProgramQueue queue, WorkerRun run, long sequence, EngineLimits limits)
{
    static readonly byte[] Nothing = "{}"u8.ToArray();

    readonly TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    StepRecord[] steps = [];
    int logBytes,
        exportBytes;
    long sendBytes;
    bool sendsOutOfOrder,
        sawRun;

    public ProgramQueue Queue => queue;
    public WorkerRun Run => run;

    /// <summary>Its position in the order of arrival.</summary>
    public long Sequence => sequence;

    /// <summary>Its number in its worker.</summary>
    public int Number { get; set; }
    public Worker? Worker { get; set; }

    /// <summary>Time at which it was sent to that worker.</summary>
    public long HandedAt { get; set; }

    /// <summary>Set when its caller has cancelled it.</summary>
    public CancellationToken? CancelToken { get; set; }

    /// <summary>It was sent to its worker behind other runs.</summary>
    public bool IsAhead { get; set; }

    /// <summary>A worker returned it although its turn had come.</summary>
    public bool WasGivenBack { get; set; }

    /// <summary>Time in workers that returned it.</summary>
    public TimeSpan Spent { get; set; }
    public Task Done => done.Task;

    public void Complete() => done.TrySetResult();

    public void Fail(Exception e) => done.TrySetException(e);

    public void Cancel(CancellationToken ct) => done.TrySetCanceled(ct);

    /// <summary>Marks it as executing, as far as the server knows.</summary>
    public void Begin(DateTimeOffset at)
    {
        run.StartedAt = at;
        steps = new StepRecord[queue.Program.Steps.Count];
        if (run.Resume is not { } resume)
            return;
        for (int i = 0; i < resume.From && i < steps.Length; i++)
            steps[i].Status = StepStatus.Succeeded; // in an earlier segment
        if (resume.From < steps.Length)
            steps[resume.From].FirstSend = steps[resume.From].NextSend = resume.Sends;
    }

    /// <summary>The worker has sent a message about it, so it has started.</summary>
    public bool Heard { get; private set; }

    /// <summary>Completes the run after the worker ended it.</summary>
    public void Finish(in RunEndMessage end, TimeSpan mostCompute)
    {
        var compute = TimeSpan.FromMilliseconds(end.DurationMs);
        run.Compute = Spent + (compute < mostCompute ? compute : mostCompute);
        run.End = end.Succeeded ? WorkerEnd.Succeeded : WorkerEnd.Failed;
        run.Message = end.Message;
        run.Hold = end.Succeeded ? end.Hold : null;
        Seal();
    }

    /// <summary>Completes an aborted run. The executing step gets <paramref name="error"/>, later ones are skipped (B2).</summary>
    public void CutOff(WorkerEnd end, StepError error, TimeSpan compute)
    {
        run.End = end;
        run.Message = error.Message;
        run.Compute = compute;
        double spentMs = 0;
        for (int i = 0; i < steps.Length; i++)
        {
            ref var step = ref steps[i];
            spentMs += step.DurationMs;
            if (step.Status is not null || queue.Program.Steps[i].Disabled)
                continue;
            step.Status = end == WorkerEnd.TimedOut ? StepStatus.TimedOut : StepStatus.Failed;
            step.DurationMs = Math.Max(0, compute.TotalMilliseconds - spentMs);
            step.Error = error;
            break;
        }
        Seal();
    }

    /// <summary>Completes a run whose program does not load: the problem is the step's error.</summary>
    public void Refuse(StepProblem problem, DateTimeOffset at)
    {
        Begin(at);
        run.End = WorkerEnd.Failed;
        run.Message = problem.Message;
        int step = Math.Max(0, queue.Program.Steps.ToList().FindIndex(s => s.Name == problem.Step));
        if (step < steps.Length)
        {
            steps[step].Status = StepStatus.Failed;
            steps[step].Error = new(problem.Name, problem.Message, "SENDOFF_LOAD", null, problem.Line, problem.Column);
        }
        run.Steps = Results();
    }

    void Seal()
    {
        if (sendsOutOfOrder)
            run.Sends.Sort((a, b) => a.Step != b.Step ? a.Step.CompareTo(b.Step) : a.Index.CompareTo(b.Index));
        run.Steps = Results();
    }

    StepResult[] Results()
    {
        var results = new StepResult[steps.Length];
        for (int i = 0; i < steps.Length; i++)
        {
            ref var step = ref steps[i];
            results[i] = new(
                queue.Program.Steps[i].Name,
                i,
                step.Status ?? StepStatus.Skipped,
                step.DurationMs,
                step.AllExports() ?? Nothing,
                step.Inputs ?? Nothing,
                step.Logs ?? (IReadOnlyList<LogLine>)[],
                step.Warnings ?? (IReadOnlyList<StepWarning>)[],
                step.Error
            );
        }
        return results;
    }
}
