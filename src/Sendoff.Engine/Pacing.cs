namespace Sendoff.Engine;

/// <summary>
/// Back-pressure from the senders to the triggers: while more is under way than the server can complete soon, the next answers wait for their turn, for a bounded
/// time. What waits for somebody else, a slow workflow or a slow destination, is not counted: it must not hold up the others.
/// </summary>
public sealed class Pacing(EngineLimits limits, TimeProvider time)
{
    readonly Lock gate = new();
    readonly Queue<TaskCompletionSource> held = new();
    int load, holding;

    /// <summary>Something began: a run, a delivery.</summary>
    public void Add() => Interlocked.Increment(ref load);

    /// <summary>It ended; one answer that was held back may go.</summary>
    public void Remove()
    {
        if (Interlocked.Decrement(ref load) >= limits.PacingLoad || Volatile.Read(ref holding) == 0) return;
        lock (gate)
        {
            while (held.TryDequeue(out var turn))
            {
                Interlocked.Decrement(ref holding);
                if (turn.TrySetResult()) return;
            }
        }
    }

    /// <summary>Completes at once, or when it is this caller's turn, or after <see cref="EngineLimits.PacingMax"/>.</summary>
    public ValueTask WaitAsync(CancellationToken ct) => Volatile.Read(ref load) < limits.PacingLoad ? ValueTask.CompletedTask : WaitTurnAsync(ct);

    async ValueTask WaitTurnAsync(CancellationToken ct)
    {
        var turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (gate)
        {
            held.Enqueue(turn);
            Interlocked.Increment(ref holding);
        }
        try
        {
            await turn.Task.WaitAsync(limits.PacingMax, time, ct).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            turn.TrySetResult(); // it no longer waits: Remove passes it over
        }
    }
}
