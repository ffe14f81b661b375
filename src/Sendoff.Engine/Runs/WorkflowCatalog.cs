using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Runs;

/// <summary>A trigger that a request reached, with the version that it starts.</summary>
public sealed record TriggerTarget(WorkflowVersion Version, HttpTrigger Trigger, bool Enabled);

/// <summary>What came of a deploy: the workflow, or what is wrong with it and nothing changed.</summary>
public sealed record DeployResult(Workflow? Workflow, IReadOnlyList<WorkflowProblem> Problems);

/// <summary>The deployed workflows, in memory as they stand in the store.</summary>
public sealed class WorkflowCatalog
{
    /// <summary>What an HTTP trigger's key leads to; null when it is unknown.</summary>
    public TriggerTarget? FindTrigger(string key) => throw new NotImplementedException();

    /// <summary>Reads, checks in a worker and stores a new version, and makes it the current one. Nothing changes when there are problems.</summary>
    public Task<DeployResult> DeployAsync(string name, IReadOnlyDictionary<string, string> files, CancellationToken ct) => throw new NotImplementedException();

    /// <summary>Answers false when there is no such workflow.</summary>
    public Task<bool> SetEnabledAsync(string name, bool enabled, CancellationToken ct) => throw new NotImplementedException();

    /// <summary>Answers false when there is no such workflow.</summary>
    public Task<bool> DeleteAsync(string name, CancellationToken ct) => throw new NotImplementedException();
}
