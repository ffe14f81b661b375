namespace Sendoff.Engine.Storage;

/// <summary>The servers of a database that one server uses.</summary>
internal sealed class OnlyServer(TimeProvider time) : IServers
{
    static readonly Dictionary<Cached, long> unchanged = [];

    readonly DateTimeOffset startedAt = time.GetUtcNow();
    ServerLoad load;

    public bool IsShared => false;

    public bool MayBegin => true;

    public Task<IReadOnlyDictionary<Cached, long>?> RenewAsync(ServerLoad load, CancellationToken ct)
    {
        this.load = load;
        return Task.FromResult<IReadOnlyDictionary<Cached, long>?>(unchanged);
    }

    public Task<Takeover> TakeOverAsync(CancellationToken ct) => Task.FromResult(Takeover.None);

    public Task<IReadOnlyList<ListedServer>> ListServersAsync(CancellationToken ct) =>
        Task.FromResult<IReadOnlyList<ListedServer>>([
            new(1, 0, Environment.MachineName, ServerIdentity.ProgramVersion, startedAt, Timeout.InfiniteTimeSpan, load, IsThis: true),
        ]);
}
