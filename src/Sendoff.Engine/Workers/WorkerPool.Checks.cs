namespace Sendoff.Engine.Workers;

/// <remarks>Checks, and the workers that they keep.</remarks>
public sealed partial class WorkerPool
{
    public async Task<ProgramCheck> CheckAsync(WorkerProgram program, CancellationToken ct)
    {
        var check = new TaskCompletionSource<ProgramCheck>(TaskCreationOptions.RunContinuationsAsynchronously);
        var touched = new TouchedWorkers();
        lock (gate)
        {
            if (program.IsTrial && LeftWorker(program) is { Program.Found: { } found } left)
            {
                left.LastUsed = Time.GetTimestamp();
                return found;
            }
            var queue = QueueOf(program);
            if (queue.Problems is { } known)
                return new(known, []);
            EndOlderTrials(program);
            queue.Checks.Add(check);
            Schedule(queue, ref touched);
        }
        touched.Flush();
        return await check.Task.WaitAsync(ct);
    }

    /// <summary>The idle worker that a trial with the same content has kept.</summary>
    Worker? LeftWorker(WorkerProgram program) =>
        program.Content is not { } content
            ? null
            : workers.Find(worker =>
                worker.Program is { Program.IsTrial: true, Found: not null } trial
                && trial.Program.Content == content
                && !worker.Retiring
                && !worker.IsDoomed
            );

    /// <summary>Ends the workers of earlier trials of the workflow, because only its newest trial may be deployed.</summary>
    void EndOlderTrials(WorkerProgram program)
    {
        if (!program.IsTrial)
            return;
        foreach (var worker in workers)
            if (
                worker is { Loaded: true, IsDoomed: false, Program.Program: { IsTrial: true } older }
                && older.Name == program.Name
                && older.Content != program.Content
            )
                Retire(worker);
    }

    /// <summary>Keeps the worker of a trial for the version to deploy, unless it needs the files of the trial.</summary>
    static bool Leaves(Worker worker, ProgramQueue trial, ProgramCheck found)
    {
        if (trial.Program.Content is null || !worker.HasOwnFiles)
            return false;
        trial.Found = found;
        return true;
    }

    /// <summary>Gives the program the worker in which it was checked.</summary>
    bool TakeOver(ProgramQueue queue, ref TouchedWorkers touched)
    {
        if (queue.Program.IsTrial || queue.Checks.Count > 0 || LeftWorker(queue.Program) is not { } worker)
            return false;
        worker.Program!.Workers.Remove(worker);
        worker.Program = queue;
        worker.LastUsed = worker.BoundAt = Time.GetTimestamp();
        queue.Problems = [];
        queue.Workers.Add(worker);
        worker.Outbox.PostAdopt(queue.Program);
        touched.Add(worker);
        return true;
    }
}
