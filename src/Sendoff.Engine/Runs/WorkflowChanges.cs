using Sendoff.Engine.Storage;
using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Runs;

/// <summary>A deletion.</summary>
/// <param name="IsFound">False if the workflow does not exist.</param>
/// <param name="Failed">The hooks that prevent it; empty if it is deleted.</param>
public sealed record Deletion(bool IsFound, IReadOnlyList<HookFailure> Failed)
{
    /// <summary>Why the workflow is not deleted.</summary>
    public string Reason =>
        string.Join(
            ' ',
            Failed.Select(static failed => $"The hook {failed.Call.Hook} of the source '{failed.Call.Source}' failed: {failed.Message}.")
        ) + " The workflow is disabled. Delete it again to delete it nevertheless.";
}

/// <summary>Deploys, enables, disables and deletes workflows, with the hooks of their event sources (K4).</summary>
public sealed class WorkflowChanges(WorkflowCatalog catalog, SourceHooks hooks, IStore store, EngineContext engine)
{
    /// <inheritdoc cref="WorkflowCatalog.DeployAsync"/>
    public async Task<DeployResult> DeployAsync(string name, IReadOnlyDictionary<string, string> files, CancellationToken ct)
    {
        var since = engine.Time.GetUtcNow();
        var result = await catalog.DeployAsync(name, files, ct).ConfigureAwait(false);
        if (result.Workflow is not { } workflow)
            return result;
        var failed = await hooks.SettleAsync(workflow.Id, since).ConfigureAwait(false);
        return result with { Warnings = [.. result.Warnings, .. failed.Select(ProblemOf)] };
    }

    static WorkflowProblem ProblemOf(HookFailure failed) =>
        new(
            $"the hook {failed.Call.Hook} of the source '{failed.Call.Source}' failed: {failed.Message}",
            Hint: failed.RetryAt is null
                ? "it is not called again"
                : $"it is called again at {failed.RetryAt:HH:mm:ss} UTC; see {failed.Run}"
        );

    /// <summary>Returns false if the workflow does not exist.</summary>
    public async Task<bool> SetEnabledAsync(string name, bool enabled, CancellationToken ct)
    {
        var since = engine.Time.GetUtcNow();
        if (!await catalog.SetEnabledAsync(name, enabled, ct).ConfigureAwait(false))
            return false;
        if (await store.GetWorkflowAsync(name, ct).ConfigureAwait(false) is { } workflow)
            await hooks.SettleAsync(workflow.Id, since).ConfigureAwait(false);
        return true;
    }

    /// <summary>Deletes a workflow after its sources are deactivated. If that fails, the workflow is only disabled; the next call deletes
    /// it also if it fails again.</summary>
    public async Task<Deletion> DeleteAsync(string name, CancellationToken ct)
    {
        if (
            await store.GetWorkflowAsync(name, ct).ConfigureAwait(false) is { } workflow
            && await HasSourcesAsync(workflow.Id, ct).ConfigureAwait(false)
        )
        {
            var since = engine.Time.GetUtcNow();
            bool hasFailedBefore = !workflow.Enabled && hooks.FailuresOf(workflow.Id).Count > 0;
            await catalog.SetEnabledAsync(name, false, ct).ConfigureAwait(false);
            var failed = await hooks.SettleAsync(workflow.Id, since).ConfigureAwait(false);
            if (failed.Count > 0 && !hasFailedBefore)
                return new(IsFound: true, failed);
        }
        return new(await catalog.DeleteAsync(name, ct).ConfigureAwait(false), []);
    }

    async Task<bool> HasSourcesAsync(WorkflowId workflow, CancellationToken ct) =>
        (await store.ListSourcesAsync(workflow, ct).ConfigureAwait(false)).Count > 0;
}
