using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Workflows;

namespace Sendoff.Server;

/// <summary>All that the server asks the engine to do. What it reads, it reads from the store.</summary>
public sealed record EngineActions
{
    public required Func<string, TriggerTarget?> FindTrigger { get; init; }
    public required Func<WorkflowVersion, string, ReadOnlyMemory<byte>, CancellationToken, Task<AcceptedRun>> Accept { get; init; }
    public required Func<RunId, CancellationToken, Task<AcceptedRun?>> Replay { get; init; }
    public required Func<DeliveryId, CancellationToken, Task<bool>> Resend { get; init; }
    public required Func<string, IReadOnlyDictionary<string, string>, CancellationToken, Task<DeployResult>> Deploy { get; init; }
    public required Func<string, bool, CancellationToken, Task<bool>> SetEnabled { get; init; }
    public required Func<string, CancellationToken, Task<bool>> Delete { get; init; }

    public static EngineActions Of(WorkflowCatalog workflows, RunQueue runs, DeliveryDispatcher deliveries) => new()
    {
        FindTrigger = workflows.FindTrigger, Accept = runs.AcceptAsync, Replay = runs.ReplayAsync, Resend = deliveries.ResendAsync,
        Deploy = workflows.DeployAsync, SetEnabled = workflows.SetEnabledAsync, Delete = workflows.DeleteAsync,
    };
}
