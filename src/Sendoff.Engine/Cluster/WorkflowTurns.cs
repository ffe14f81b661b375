using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Cluster;

/// <summary>Workflows with a limited concurrency: one server at a time executes their runs. A server that has the turn passes it on after a
/// second if another one wants it. With SQLite there is nothing to wait for.</summary>
public sealed class WorkflowTurns(IStore store, EngineContext engine, ILogger<WorkflowTurns> log)
{
    static readonly TimeSpan between = TimeSpan.FromMilliseconds(200),
        courtesy = TimeSpan.FromMilliseconds(500);

    readonly ConcurrentDictionary<WorkflowId, Turn> turns = [];

    sealed class Turn
    {
        public Lock Gate { get; } = new();

        /// <summary>One caller at a time asks the store.</summary>
        public SemaphoreSlim Asking { get; } = new(1);
        public bool IsOwn { get; set; }
        public bool IsWanted { get; set; }
        public int Runs { get; set; }

        /// <summary>Others come first until then.</summary>
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

    /// <summary>Waits until this server has the turn of a workflow.</summary>
    /// <returns>Ends the run's part in the turn.</returns>
    public async ValueTask<TurnPart> EnterAsync(WorkflowId workflow, int? concurrency, CancellationToken ct)
    {
        if (concurrency is null || !store.IsShared)
            return default;
        var turn = turns.GetOrAdd(workflow, static _ => new());
        if (!turn.TryEnter())
        {
            await turn.Asking.WaitAsync(ct).ConfigureAwait(false);
            try
            {
                while (!turn.TryEnter())
                    await AskAsync(workflow, turn, ct).ConfigureAwait(false);
            }
            finally
            {
                turn.Asking.Release();
            }
        }
        return new(this, workflow);
    }

    async Task AskAsync(WorkflowId workflow, Turn turn, CancellationToken ct)
    {
        bool mayAsk;
        lock (turn.Gate)
            mayAsk = !turn.IsOwn && engine.Time.GetTimestamp() >= turn.NotBefore;
        try
        {
            if (mayAsk && await store.TryTakeTurnAsync(workflow, ct).ConfigureAwait(false))
            {
                lock (turn.Gate)
                    (turn.IsOwn, turn.IsWanted) = (true, false);
                return;
            }
        }
        catch (StoreUnavailableException)
        {
            // It is asked again until the store is available.
        }
        await Task.Delay(between, engine.Time, ct).ConfigureAwait(false);
    }

    internal void Leave(WorkflowId workflow)
    {
        var turn = turns[workflow];
        bool mustPass;
        lock (turn.Gate)
            mustPass = --turn.Runs == 0 && turn.IsWanted;
        if (mustPass)
            _ = PassAsync(workflow, turn);
    }

    /// <summary>Passes on the turns that others want. Call each second.</summary>
    internal async Task PassWantedAsync(CancellationToken ct)
    {
        if (turns.IsEmpty)
            return;
        foreach (var workflow in await store.ListWantedTurnsAsync(ct).ConfigureAwait(false))
        {
            var turn = turns.GetOrAdd(workflow, static _ => new());
            bool mayPass;
            lock (turn.Gate)
            {
                turn.IsWanted = true;
                mayPass = turn.Runs == 0;
            }
            if (mayPass)
                await PassAsync(workflow, turn).ConfigureAwait(false);
        }
    }

    async Task PassAsync(WorkflowId workflow, Turn turn)
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
            await store.PassTurnAsync(workflow, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception x)
        {
            // It is still listed as wanted, and is passed on a second later.
            log.TurnNotPassed(workflow, x.Message);
        }
    }
}

/// <summary>The part of one run in its workflow's turn.</summary>
public readonly struct TurnPart(WorkflowTurns turns, WorkflowId workflow) : IDisposable
{
    public void Dispose() => turns?.Leave(workflow);
}
