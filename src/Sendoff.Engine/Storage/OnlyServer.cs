namespace Sendoff.Engine.Storage;

/// <summary>The servers of a database that one server uses.</summary>
internal sealed class OnlyServer(TimeProvider time) : IServers
{
    static readonly Renewal alone = new(1, new Dictionary<Cached, long>());

    readonly DateTimeOffset startedAt = time.GetUtcNow();

    public bool IsShared => false;

    public bool MayBegin => true;

    public Task<Renewal?> RenewAsync(ServerLoad load, CancellationToken ct) => Task.FromResult<Renewal?>(alone);

    public Task<Takeover> TakeOverAsync(CancellationToken ct) => Task.FromResult(Takeover.None);

    public Task<bool> TryTakeTurnAsync(WorkflowId workflow, CancellationToken ct) => Task.FromResult(true);

    public Task<IReadOnlyList<WorkflowId>> ListWantedTurnsAsync(CancellationToken ct) => Task.FromResult<IReadOnlyList<WorkflowId>>([]);

    public Task PassTurnAsync(WorkflowId workflow, CancellationToken ct) => Task.CompletedTask;

    public Task<IReadOnlyList<ListedServer>> ListServersAsync(CancellationToken ct) =>
        Task.FromResult<IReadOnlyList<ListedServer>>([
            new(0, Environment.MachineName, ServerIdentity.ProgramVersion, startedAt, null, default, IsThis: true),
        ]);
}
