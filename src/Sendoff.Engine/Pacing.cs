namespace Sendoff.Engine;

/// <summary>
/// Back-pressure from the senders to the triggers: while more is under way than the server can complete soon, the next answers wait for
/// their turn, for a bounded time. What waits for somebody else, a slow workflow or a slow destination, is not counted: it must not hold up
/// the others.
/// </summary>
public sealed class Pacing(EngineLimits limits, TimeProvider time)
{
    static readonly TimeSpan lookEvery = TimeSpan.FromMilliseconds(10);

    readonly Lock gate = new();

    /// <summary>Those that have something counted.</summary>
    readonly HashSet<PaceShare> shares = [];
    readonly LinkedList<TaskCompletionSource> held = [];
    int load;
    long lookedAt;

    /// <summary>What is under way and counted.</summary>
    internal int Load => Volatile.Read(ref load);

    /// <summary>Answers that wait for their turn.</summary>
    internal int Held
    {
        get
        {
            lock (gate)
                return held.Count;
        }
    }

    /// <summary>Something began: a run, a delivery. The ticket is given back with <see cref="End"/>.</summary>
    internal PaceTicket Begin(PaceShare share)
    {
        lock (gate)
        {
            if (share.IsSlow)
                return default;
            if (share.Count++ == 0)
            {
                shares.Add(share);
                share.MovedAt = time.GetTimestamp();
            }
            load++;
            return new(share, share.Round);
        }
    }

    /// <summary>It ended; one answer that was held back may go.</summary>
    internal void End(PaceTicket ticket)
    {
        if (ticket.Share is not { } share)
            return;
        lock (gate)
        {
            if (ticket.Round != share.Round)
                return;
            share.MovedAt = time.GetTimestamp();
            if (--share.Count == 0)
                shares.Remove(share);
            load--;
            LetGo(1);
        }
    }

    /// <summary>Notes how long something of a share took. Once it is known to be slow, nothing of it is counted.</summary>
    internal void Measure(PaceShare share, double ms)
    {
        lock (gate)
        {
            share.Measure(ms);
            if (!share.IsSlow || share.Count == 0)
                return;
            Withdraw(share);
            LetGo(limits.PacingLoad - load);
        }
    }

    /// <summary>Completes at once, or when it is this caller's turn, or after <see cref="EngineLimits.PacingMax"/>.</summary>
    public ValueTask WaitAsync(CancellationToken ct) => Load < limits.PacingLoad ? ValueTask.CompletedTask : WaitTurnAsync(ct);

    async ValueTask WaitTurnAsync(CancellationToken ct)
    {
        LinkedListNode<TaskCompletionSource> turn;
        lock (gate)
        {
            WithdrawStalled();
            if (load < limits.PacingLoad)
                return;
            turn = held.AddLast(new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        }
        bool isGone = true;
        try
        {
            await turn.Value.Task.WaitAsync(limits.PacingMax, time, ct).ConfigureAwait(false);
            isGone = false;
        }
        catch (TimeoutException)
        {
            isGone = false;
        }
        finally
        {
            Leave(turn, isGone);
        }
    }

    // Who was cancelled when its turn had just come hands it on.
    void Leave(LinkedListNode<TaskCompletionSource> turn, bool isGone)
    {
        lock (gate)
        {
            if (turn.List is not null)
                held.Remove(turn);
            else if (isGone)
                LetGo(1);
        }
    }

    /// <summary>What has begun and of which nothing has come back for so long is slow, although nothing was measured yet: a destination
    /// that never answers.</summary>
    void WithdrawStalled()
    {
        if (lookedAt != 0 && time.GetElapsedTime(lookedAt) < lookEvery)
            return;
        lookedAt = time.GetTimestamp();
        List<(PaceShare Share, double Ms)>? stalled = null;
        foreach (var share in shares)
        {
            double ms = time.GetElapsedTime(share.MovedAt).TotalMilliseconds;
            if (ms > share.SlowMs)
                (stalled ??= []).Add((share, ms));
        }
        if (stalled is null)
            return;
        foreach (var (share, ms) in stalled)
        {
            share.AtLeast(ms);
            Withdraw(share);
        }
        LetGo(limits.PacingLoad - load);
    }

    void Withdraw(PaceShare share)
    {
        load -= share.Count;
        share.Count = 0;
        share.Round++;
        shares.Remove(share);
    }

    // When nothing is left that could end, nobody is left that could let the others go.
    void LetGo(int most)
    {
        if (load >= limits.PacingLoad)
            return;
        for (; (most > 0 || load == 0) && held.First is { } first; most--)
        {
            held.RemoveFirst();
            first.Value.TrySetResult();
        }
    }
}

/// <summary>What one workflow or one destination has under way. Guarded by the pace's gate.</summary>
/// <param name="slowMs">From here on, on average, the server's pace does not depend on it.</param>
sealed class PaceShare(double slowMs)
{
    const double Weight = 0.1;
    double averageMs;

    public double SlowMs => slowMs;
    public bool IsSlow => averageMs > slowMs;
    public int Count { get; set; }

    /// <summary>Goes up when all that was counted is withdrawn; what began before is not counted any more.</summary>
    public int Round { get; set; }

    /// <summary>When something of it last ended, or the first began.</summary>
    public long MovedAt { get; set; }

    public void Measure(double ms) => averageMs += Weight * (ms - averageMs);

    public void AtLeast(double ms) => averageMs = Math.Max(averageMs, ms);
}

/// <summary>Something that is under way, and counted in a share or, by default, not at all.</summary>
readonly record struct PaceTicket(PaceShare? Share, int Round);
