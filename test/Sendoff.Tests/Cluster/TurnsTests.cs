using System.Reflection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Sendoff.Engine;
using Sendoff.Engine.Cluster;
using Sendoff.Engine.Storage;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Cluster;

public sealed class TurnsTests
{
    [Fact]
    public async Task A_server_without_a_lease_starts_no_run_of_a_turn_that_it_has()
    {
        var time = new FakeTimeProvider();
        var limits = new EngineLimits();
        var engine = new EngineContext(new(time), limits, time, new(), new Pacing(limits, time));
        var store = DispatchProxy.Create<IStore, SharedStore>();
        var servers = ((SharedStore)(object)store).Servers;
        var turns = new Turns(store, engine, NullLogger<Turns>.Instance);

        (await turns.EnterAsync(new WorkflowId(1), 1, default)).Dispose();
        servers.MayBegin = false;
        var entered = turns.EnterAsync(new WorkflowId(1), 1, default).AsTask();
        Assert.False(entered.IsCompleted);

        servers.MayBegin = true;
        time.Advance(TimeSpan.FromSeconds(1));
        (await entered.WithinLimitAsync()).Dispose();
    }

    /// <summary>A store of several servers that has nothing but its servers.</summary>
    public class SharedStore : DispatchProxy
    {
        internal LeasedServer Servers { get; } = new();

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) =>
            targetMethod?.Name == "get_Servers" ? Servers : throw new NotSupportedException(targetMethod?.Name);
    }

    /// <summary>A server that gets each turn.</summary>
    internal sealed class LeasedServer : IServers
    {
        public bool IsShared => true;
        public bool MayBegin { get; set; } = true;

        public Task<bool> TryTakeTurnAsync(long key, CancellationToken ct) => Task.FromResult(true);

        public Task<Renewal?> RenewAsync(ServerLoad load, CancellationToken ct) => throw new NotSupportedException();

        public Task<Takeover> TakeOverAsync(IReadOnlyCollection<WorkflowId> full, CancellationToken ct) =>
            throw new NotSupportedException();

        public Task<IReadOnlyDictionary<WorkflowId, int>> CountUntakenAsync(CancellationToken ct) => throw new NotSupportedException();

        public Task<IReadOnlyList<ListedServer>> ListServersAsync(CancellationToken ct) => throw new NotSupportedException();

        public Task<IReadOnlyList<long>> ListWantedTurnsAsync(CancellationToken ct) => throw new NotSupportedException();

        public Task PassTurnAsync(long key, CancellationToken ct) => throw new NotSupportedException();
    }
}
