using Sendoff.Engine.Storage;
using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Runs;

/// <summary>The current draft of a workflow.</summary>
/// <param name="Files">The files of the draft, or of the current version if there is no draft.</param>
/// <param name="IsChanged">True if the files differ from the current version.</param>
/// <param name="ChangedAt">When the draft was saved, or the current version deployed.</param>
public sealed record Draft(Workflow Workflow, IReadOnlyDictionary<string, string> Files, bool IsChanged, DateTimeOffset ChangedAt);

/// <summary>A run of a draft, or the problems that prevent it.</summary>
public sealed record DraftRun(AcceptedRun? Run, IReadOnlyList<WorkflowProblem> Problems);

/// <summary>Drafts of workflows. A tested draft is stored as a version with a number below 0, so that its runs are recorded, shown and
/// recovered like all runs. A deploy makes a draft the next version.</summary>
public sealed class Drafts(IStore store, WorkflowCatalog catalog, RunAcceptance runs)
{
    /// <summary>Returns null if the workflow does not exist.</summary>
    public async Task<Draft?> FindAsync(string name, CancellationToken ct)
    {
        if (
            await store.GetWorkflowAsync(name, ct).ConfigureAwait(false) is not { } workflow
            || await store.GetVersionAsync(workflow.Id, workflow.Version, ct).ConfigureAwait(false) is not { } current
        )
            return null;
        // A draft that is older than the current version was deployed or is outdated.
        return
            await store.GetDraftAsync(workflow.Id, ct).ConfigureAwait(false) is { } draft
            && draft.DeployedAt > current.DeployedAt
            && !IsSame(draft.Files, current.Files)
            ? new(workflow, draft.Files, true, draft.DeployedAt)
            : new(workflow, current.Files, false, current.DeployedAt);
    }

    static bool IsSame(IReadOnlyDictionary<string, string> one, IReadOnlyDictionary<string, string> other) =>
        one.Count == other.Count && one.All(file => other.TryGetValue(file.Key, out string? text) && text == file.Value);

    /// <summary>Saves the draft, even with errors. Returns null if the workflow does not exist.</summary>
    public async Task<Draft?> SaveAsync(string name, IReadOnlyDictionary<string, string> files, CancellationToken ct) =>
        await store.GetWorkflowAsync(name, ct).ConfigureAwait(false) is { } workflow
        && await store.SaveDraftAsync(workflow.Id, files, isFixed: false, ct).ConfigureAwait(false) is not null
            ? await FindAsync(name, ct).ConfigureAwait(false)
            : null;

    /// <summary>Replaces the draft with the current version. Returns null if the workflow does not exist.</summary>
    public async Task<Draft?> DiscardAsync(string name, CancellationToken ct) =>
        await store.GetWorkflowAsync(name, ct).ConfigureAwait(false) is { } workflow
        && await store.GetVersionAsync(workflow.Id, workflow.Version, ct).ConfigureAwait(false) is { } current
            ? await SaveAsync(name, current.Files, ct).ConfigureAwait(false)
            : null;

    /// <summary>Runs the draft for an event. Returns null if the workflow does not exist.</summary>
    /// <param name="captured">Its sends are captured.</param>
    public async Task<DraftRun?> TestAsync(string name, ReadOnlyMemory<byte> eventJson, bool captured, CancellationToken ct) =>
        await FixAsync(name, ct).ConfigureAwait(false) is not var (ready, problems) ? null
        : ready is null ? new(null, problems)
        : await runs.AcceptAsync(ready.Version, captured ? QueuedRun.TestTrigger : QueuedRun.ManualTrigger, eventJson, ct)
            .ConfigureAwait(false)
            is { } accepted
            ? new(accepted, [])
        : null;

    /// <summary>Runs the draft for the event of a run. Returns null if the run or its workflow does not exist.</summary> <inheritdoc
    /// cref="TestAsync" path="/param"/>
    public async Task<DraftRun?> ReplayAsync(RunId run, bool captured, CancellationToken ct) =>
        await store.FindRunAsync(run, ct).ConfigureAwait(false) is not { } head
        || await FixAsync(head.WorkflowName, ct).ConfigureAwait(false) is not var (ready, problems)
            ? null
        : ready is null ? new(null, problems)
        : await runs.ReplayAsync(run, ready.Version, captured, ct).ConfigureAwait(false) is { } accepted ? new(accepted, [])
        : null;

    /// <summary>Runs one step of the draft for the event of a past run, with the exports of the steps before it in that run. The draft is
    /// not changed. Returns null if the workflow or the run does not exist.</summary>
    /// <inheritdoc cref="TestAsync" path="/param"/>
    public async Task<DraftRun?> TestStepAsync(string name, string step, RunId past, bool captured, CancellationToken ct)
    {
        if (await FindAsync(name, ct).ConfigureAwait(false) is not { } draft)
            return null;
        if (
            await store.GetRunOutlineAsync(past, ct).ConfigureAwait(false) is not { } outline
            || outline.Run.WorkflowId != draft.Workflow.Id
        )
            return null;
        var read = WorkflowReader.Read(name, draft.Files);
        if (read.Definition is not { } definition)
            return new(null, read.Problems);
        if (definition.Steps.All(one => one.Name != step))
            return new(null, [new($"there is no step '{step}'")]);
        // The tested files never become the newest draft: that is the one that the author saved.
        if (
            !draft.IsChanged && await store.SaveDraftAsync(draft.Workflow.Id, draft.Files, isFixed: false, ct).ConfigureAwait(false) is null
        )
            return null;
        var files = StepTrial.FilesOf(definition, draft.Files, step, past, outline.Run.Steps);
        if (
            await catalog.FixDraftAsync(draft.Workflow, files, DateTimeOffset.MinValue, ct).ConfigureAwait(false)
            is not var (ready, problems)
        )
            return null;
        if (ready is null)
            return new(null, problems);
        return await runs.ReplayAsync(past, ready.Version, captured, ct).ConfigureAwait(false) is { } accepted ? new(accepted, []) : null;
    }

    async Task<(Deployment? Draft, IReadOnlyList<WorkflowProblem> Problems)?> FixAsync(string name, CancellationToken ct) =>
        await FindAsync(name, ct).ConfigureAwait(false) is { } draft
            ? await catalog.FixDraftAsync(draft.Workflow, draft.Files, draft.ChangedAt, ct).ConfigureAwait(false)
            : null;
}
