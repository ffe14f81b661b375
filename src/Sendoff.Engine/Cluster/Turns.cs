using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Cluster;

/// <summary>Permissions that only one server has at a time: to execute the runs of a workflow with limited concurrency, or to refresh the
/// token of an account. A server passes a turn on after a second if another server waits for it. With SQLite, nothing needs to
/// wait.</summary>
public sealed class Turns(IStore store, EngineContext engine, ILogger<Turns> log)
{
    static readonly TimeSpan between = TimeSpan.FromMilliseconds(200),
        courtesy = TimeSpan.FromMilliseconds(500);

    readonly ConcurrentDictionary<long, Turn> turns = [];

    /// <summary>For each event source whose runs execute one at a time.</summary>
    readonly ConcurrentDictionary<long, SemaphoreSlim> sources = [];

    sealed class Turn
    {
        public Lock Gate { get; } = new();

        /// <summary>Only one caller at a time asks the store.</summary>
        public SemaphoreSlim Asking { get; } = new(1);
        public bool IsOwn { get; set; }
        public bool IsWanted { get; set; }
        public int Runs { get; set; }

        /// <summary>Until this time, other servers come first.</summary>
        public long NotBefore { get; set; }

        public bool TryEnter()
        {
            lock (Gate)
            {
                if (!IsOwn || IsWanted)
                    return false;
                Runs++;
                return true;
            }
        }
    }

    /// <summary>Waits until this server may execute a run of a workflow.</summary>
    /// <param name="concurrency">Null if it is not limited.</param>
    /// <returns>Dispose it at the end of the run.</returns>
    public ValueTask<TurnPart> EnterAsync(WorkflowId workflow, int? concurrency, CancellationToken ct) =>
        concurrency is null || !store.Servers.IsShared ? default : EnterAsync(workflow.Value, ct);

    /// <summary>Waits until this server may refresh the token of an account.</summary>
    /// <inheritdoc cref="EnterAsync(WorkflowId, int?, CancellationToken)" path="/returns"/>
    public ValueTask<TurnPart> EnterAsync(AccountId account, CancellationToken ct) =>
        store.Servers.IsShared ? EnterAsync(KeyOf(account), ct) : default;

    /// <summary>Waits until no other run of an event source executes, here or on another server.</summary>
    /// <inheritdoc cref="EnterAsync(WorkflowId, int?, CancellationToken)" path="/returns"/>
    public async ValueTask<TurnPart> EnterAloneAsync(WorkflowId workflow, string source, CancellationToken ct)
    {
        long key = KeyOf($"{workflow} {source}");
        var alone = sources.GetOrAdd(key, static _ => new(1));
        await alone.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            if (!store.Servers.IsShared)
                return new(null, key, alone);
            await EnterAsync(key, ct).ConfigureAwait(false);
            return new(this, key, alone);
        }
        catch
        {
            alone.Release();
            throw;
        }
    }

    static long KeyOf(AccountId account) => KeyOf(account.Value);

    // Below zero, as the ids of workflows are above it.
    static long KeyOf(string text) => BinaryPrimitives.ReadInt64LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(text))) | long.MinValue;

    async ValueTask<TurnPart> EnterAsync(long key, CancellationToken ct)
    {
        var turn = turns.GetOrAdd(key, static _ => new());
        if (!TryEnter(turn))
        {
            await turn.Asking.WaitAsync(ct).ConfigureAwait(false);
            try
            {
                while (!TryEnter(turn))
                    await AskAsync(key, turn, ct).ConfigureAwait(false);
            }
            finally
            {
                turn.Asking.Release();
            }
        }
        return new(this, key);
    }

    // Without a lease, another server may have the turn.
    bool TryEnter(Turn turn) => store.Servers.MayBegin && turn.TryEnter();

    async Task AskAsync(long key, Turn turn, CancellationToken ct)
    {
        bool mayAsk;
        lock (turn.Gate)
            mayAsk = !turn.IsOwn && engine.Time.GetTimestamp() >= turn.NotBefore;
        try
        {
            if (mayAsk && await store.Servers.TryTakeTurnAsync(key, ct).ConfigureAwait(false))
            {
                lock (turn.Gate)
                    (turn.IsOwn, turn.IsWanted) = (true, false);
                return;
            }
        }
        catch (StoreUnavailableException)
        {
            // Retried until the store is available.
        }
        await Task.Delay(between, engine.Time, ct).ConfigureAwait(false);
    }

    internal void Leave(long key)
    {
        var turn = turns[key];
        bool mustPass;
        lock (turn.Gate)
            mustPass = --turn.Runs == 0 && turn.IsWanted;
        if (mustPass)
            _ = PassAsync(key, turn);
    }

    /// <summary>Passes on the turns that other servers wait for. Call each second.</summary>
    internal async Task PassWantedAsync(CancellationToken ct)
    {
        if (turns.IsEmpty)
            return;
        foreach (long key in await store.Servers.ListWantedTurnsAsync(ct).ConfigureAwait(false))
        {
            var turn = turns.GetOrAdd(key, static _ => new());
            bool mayPass;
            lock (turn.Gate)
            {
                turn.IsWanted = true;
                mayPass = turn.Runs == 0;
            }
            if (mayPass)
                await PassAsync(key, turn).ConfigureAwait(false);
        }
    }

    async Task PassAsync(long key, Turn turn)
    {
        lock (turn.Gate)
        {
            if (turn.Runs > 0)
                return;
            turn.IsOwn = false;
            turn.NotBefore = engine.Time.GetTimestamp() + (long)(courtesy.TotalSeconds * engine.Time.TimestampFrequency);
        }
        try
        {
            await store.Servers.PassTurnAsync(key, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception x)
        {
            // The turn is still wanted, and is passed on a second later.
            log.TurnNotPassed(key, x.Message);
        }
    }
}

/// <summary>The part of one run or refresh in a turn.</summary>
public readonly struct TurnPart(Turns? turns, long key, SemaphoreSlim? alone = null) : IDisposable
{
    public void Dispose()
    {
        alone?.Release();
        turns?.Leave(key);
    }
}
