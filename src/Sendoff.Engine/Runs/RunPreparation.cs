using Sendoff.Engine.Cluster;
using Sendoff.Engine.Secrets;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workers;
using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Runs;

/// <summary>A run that can be executed, or has ended before it could start.</summary>
/// <param name="Deployment">The version to execute; null if the run has ended.</param>
/// <param name="Ended">The end of the run; null if it can be executed.</param>
/// <param name="Turn">Disposed at the end of the run.</param>
readonly record struct PreparedRun(QueuedRun Queued, Deployment? Deployment, Run? Ended, TurnPart Turn);

/// <summary>Reads the data that a queued run needs: its event, the suspended run that it continues, and its version.</summary>
sealed class RunPreparation(
    IStore store,
    WorkflowCatalog catalog,
    RunExecutor executor,
    RunRecovery recovery,
    Turns turns,
    Concealment concealment,
    EngineLimits limits
)
{
    /// <summary>Returns null if the run was deleted with its workflow.</summary>
    public async ValueTask<PreparedRun?> PrepareAsync(QueuedRun queued, CancellationToken ct)
    {
        try
        {
            if (queued.Event.Json.IsEmpty)
            {
                if (await store.GetEventAsync(queued.Event.Id, CancellationToken.None).ConfigureAwait(false) is not { } stored)
                    return Gone(queued, "its event");
                queued = queued with { Event = concealment.Open(stored) };
            }
            if (queued.Continues is { } link)
            {
                if (await store.GetSuspensionAsync(link.Run, CancellationToken.None).ConfigureAwait(false) is not { } suspension)
                    return Gone(queued, $"the suspended run {link.Run}");
                queued = queued with { Resumption = concealment.Open(suspension) };
            }
        }
        catch (SealedException x)
        {
            return Ended(queued, executor.Sealed(queued, x));
        }
        var (workflow, version) = (queued.Event.WorkflowId, queued.Version);
        if (await catalog.FindAsync(workflow, version, CancellationToken.None).ConfigureAwait(false) is not { } deployment)
        {
            return await store.GetVersionAsync(workflow, version, CancellationToken.None).ConfigureAwait(false) is null
                ? Gone(queued, version < 0 ? "its draft" : $"version {version} of the workflow")
                : Ended(queued, executor.Unreadable(queued));
        }
        if (deployment.ProgramOf(queued.Event.Trigger) is not { } program)
            return Ended(queued, executor.NoSource(queued));
        // K2: what a timer's run reads must be what the run before it has committed.
        var turn = program is { Source.Endpoint: null }
            ? await turns.EnterAloneAsync(workflow, program.Source.Name, ct).ConfigureAwait(false)
            : await turns.EnterAsync(workflow, ConcurrencyOf(program, deployment.Version), ct).ConfigureAwait(false);
        try
        {
            // Counted last, so that only real starts count.
            int starts = queued.Recovered ? await recovery.StartRunAsync(queued.Id).ConfigureAwait(false) : 1;
            if (starts > 0 && starts <= limits.RunRecoveries)
                return new(queued, deployment, null, turn);
            turn.Dispose();
            return starts == 0 ? null : Ended(queued, executor.GiveUp(queued, starts));
        }
        catch
        {
            turn.Dispose();
            throw;
        }
    }

    // The hook of a source may call a service that calls the source before it answers.
    static int? ConcurrencyOf(WorkerProgram program, WorkflowVersion version) =>
        program.Source is null ? version.Definition.Settings.Concurrency : null;

    // The store takes no end of a run that was deleted with its workflow.
    PreparedRun Gone(QueuedRun queued, string what) => Ended(queued, executor.Gone(queued, what));

    static PreparedRun Ended(QueuedRun queued, Run run) => new(queued, null, run, default);
}
