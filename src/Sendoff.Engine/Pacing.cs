namespace Sendoff.Engine;

/// <summary>Back-pressure from deliveries to triggers: while more work is in flight than the server can complete soon, trigger responses
/// are delayed, for a limited time. Work of slow workflows and destinations is not counted, so that it does not delay others.</summary>
public sealed class Pacing(EngineLimits limits, TimeProvider time)
{
    static readonly TimeSpan lookEvery = TimeSpan.FromMilliseconds(10);

    readonly Lock gate = new();

    /// <summary>Shares with counted work.</summary>
    readonly HashSet<PaceShare> shares = [];
    readonly LinkedList<TaskCompletionSource> held = [];
    int load;
    long lookedAt;

    /// <summary>Counted work in flight.</summary>
    internal int Load => Volatile.Read(ref load);

    /// <summary>Delayed responses.</summary>
    internal int Held
    {
        get
        {
            lock (gate)
                return held.Count;
        }
    }

    /// <summary>Counts the start of a run or delivery. Pass the ticket to <see cref="End"/>.</summary>
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

    /// <summary>Counts an end and releases one delayed response.</summary>
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

    /// <summary>Records a duration of a share. Work of a slow share is not counted.</summary>
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

    /// <summary>Completes immediately, at this caller's turn, or after <see cref="EngineLimits.PacingMax"/>.</summary>
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

    // A caller that was cancelled at its turn passes the turn on.
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

    /// <summary>A share with work in flight and no completion for this time is slow, even before its first measurement, such as a
    /// destination that never responds.</summary>
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

    // If no work is in flight, no end would release the delayed responses.
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

/// <summary>The work in flight of one workflow or destination. Guarded by the lock of the pace.</summary>
/// <param name="slowMs">Average duration from which it counts as slow.</param>
sealed class PaceShare(double slowMs)
{
    const double Weight = 0.1;
    double averageMs;

    public double SlowMs => slowMs;
    public bool IsSlow => averageMs > slowMs;
    public int Count { get; set; }

    /// <summary>Increases when all counted work is withdrawn; earlier work is no longer counted.</summary>
    public int Round { get; set; }

    /// <summary>Time of the last end, or of the first start.</summary>
    public long MovedAt { get; set; }

    public void Measure(double ms) => averageMs += Weight * (ms - averageMs);

    public void AtLeast(double ms) => averageMs = Math.Max(averageMs, ms);
}

/// <summary>Work in flight, counted in a share; the default is not counted.</summary>
readonly record struct PaceTicket(PaceShare? Share, int Round);
