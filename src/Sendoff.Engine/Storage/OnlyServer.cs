namespace Sendoff.Engine.Storage;

/// <summary>The only server of a database.</summary>
internal sealed class OnlyServer(TimeProvider time) : IServers
{
    static readonly Renewal alone = new(1, ServerRoles.All, new Dictionary<Cached, long>());

    readonly DateTimeOffset startedAt = time.GetUtcNow();

    public bool IsShared => false;

    public bool MayBegin => true;

    public Task<Renewal?> RenewAsync(ServerLoad load, CancellationToken ct) => Task.FromResult<Renewal?>(alone);

    public Task<Takeover> TakeOverAsync(IReadOnlyCollection<WorkflowId> full, CancellationToken ct) => Task.FromResult(Takeover.None);

    public Task<IReadOnlyDictionary<WorkflowId, int>> CountUntakenAsync(CancellationToken ct) =>
        Task.FromResult<IReadOnlyDictionary<WorkflowId, int>>(new Dictionary<WorkflowId, int>());

    public Task<bool> TryTakeTurnAsync(long key, CancellationToken ct) => Task.FromResult(true);

    public Task<IReadOnlyList<long>> ListWantedTurnsAsync(CancellationToken ct) => Task.FromResult<IReadOnlyList<long>>([]);

    public Task PassTurnAsync(long key, CancellationToken ct) => Task.CompletedTask;

    public Task<IReadOnlyList<ListedServer>> ListServersAsync(CancellationToken ct) =>
        Task.FromResult<IReadOnlyList<ListedServer>>([
            new(0, Environment.MachineName, ServerIdentity.ProgramVersion, startedAt, null, ServerRoles.All, default, IsThis: true),
        ]);
}
