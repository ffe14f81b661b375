using Microsoft.Extensions.Logging;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Runs;

/// <summary>How much of a UTC day's quota is used. A limit of 0 is none.</summary>
public sealed record QuotaUse(TimeSpan Compute, TimeSpan ComputeLimit, long Invocations, long InvocationsLimit, DateTimeOffset ResetAt);

/// <summary>What a workspace may use on a UTC day (E6), counted in memory.</summary>
public sealed class Quota(EngineLimits limits, TimeProvider time)
{
    readonly Lock gate = new();
    DateOnly day;
    TimeSpan compute;
    long invocations;

    /// <summary>What was used on the day before the clock came to this one: it counts again when the clock is set back.</summary>
    (DateOnly Day, TimeSpan Compute, long Invocations) before;

    public bool IsLimited { get; } = limits.QuotaInvocations > 0 || limits.QuotaCompute > TimeSpan.Zero;

    /// <summary>Begins with what the store has of today.</summary>
    public void Load(IEnumerable<UsageRow> usage)
    {
        lock (gate)
        {
            Turn();
            foreach (var row in usage.Where(row => row.Day == day))
                (compute, invocations) = (compute + TimeSpan.FromMilliseconds(row.ComputeMs), invocations + row.Runs);
        }
    }

    /// <summary>Counts an invocation; false when the day's quota is used up, and nothing was counted.</summary>
    public bool TryTake()
    {
        if (!IsLimited)
            return true;
        lock (gate)
        {
            Turn();
            if (
                limits.QuotaInvocations > 0 && invocations >= limits.QuotaInvocations
                || limits.QuotaCompute > TimeSpan.Zero && compute >= limits.QuotaCompute
            )
                return false;
            invocations++;
            return true;
        }
    }

    /// <summary>Counts an invocation that somebody asked for by hand, which is never held.</summary>
    public void Take()
    {
        if (!IsLimited)
            return;
        lock (gate)
        {
            Turn();
            invocations++;
        }
    }

    /// <summary>What was counted was not started: the due time was taken, or the store takes no events.</summary>
    public void GiveBack()
    {
        if (!IsLimited)
            return;
        lock (gate)
            invocations = Math.Max(0, invocations - 1);
    }

    public void AddCompute(TimeSpan spent)
    {
        if (!IsLimited)
            return;
        lock (gate)
        {
            Turn();
            compute += spent;
        }
    }

    public QuotaUse Use
    {
        get
        {
            lock (gate)
            {
                Turn();
                return new(compute, limits.QuotaCompute, invocations, limits.QuotaInvocations, ResetAt);
            }
        }
    }

    /// <summary>The next midnight, UTC.</summary>
    public DateTimeOffset ResetAt => new(DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime).AddDays(1), TimeOnly.MinValue, TimeSpan.Zero);

    void Turn()
    {
        var today = DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);
        if (day == today)
            return;
        // Set back: what was used since belongs to the same day.
        bool isBack = today < day && before.Day == today;
        var used = isBack ? (today, compute + before.Compute, invocations + before.Invocations) : (today, TimeSpan.Zero, 0);
        before = isBack ? default : (day, compute, invocations);
        (day, compute, invocations) = used;
    }
}

/// <summary>Releases runs that were held over quota (E6): at the start and at each reset as many as the day's quota takes, oldest first; by
/// hand any.</summary>
public sealed class QuotaReset(IStore store, RunAcceptance runs, Quota quota, ServerHold hold, TimeProvider time, ILogger<QuotaReset> log)
{
    const int ReadAtOnce = 100;
    static readonly TimeSpan retry = TimeSpan.FromSeconds(5),
        longestWait = TimeSpan.FromMinutes(1);

    readonly CancellationTokenSource stop = new();
    Task running = Task.CompletedTask;

    /// <summary>Begins. Call once, before the first event.</summary>
    public async Task StartAsync(CancellationToken ct)
    {
        if (!quota.IsLimited && (await store.ListHeldAsync(1, ct).ConfigureAwait(false)).Count == 0)
            return;
        quota.Load(await store.ListUsageAsync(DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime), ct).ConfigureAwait(false));
        running = RunAsync();
    }

    public async Task StopAsync()
    {
        await stop.CancelAsync().ConfigureAwait(false);
        await running.ConfigureAwait(false);
    }

    /// <summary>Lets a run go that is held, whatever the quota says. Answers false when it is not held.</summary>
    public async Task<bool> ReleaseAsync(RunId run)
    {
        if (!await runs.ReleaseAsync(run).ConfigureAwait(false))
            return false;
        quota.Take();
        return true;
    }

    async Task RunAsync()
    {
        await hold.Released.WaitAsync(stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        while (!stop.IsCancellationRequested)
        {
            var wait = await ReleaseAllAsync().ConfigureAwait(false);
            await Task.Delay(wait, time, stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Answers when to look again: a clock that is set is noticed soon.</summary>
    async Task<TimeSpan> ReleaseAllAsync()
    {
        try
        {
            while (await store.ListHeldAsync(ReadAtOnce, stop.Token).ConfigureAwait(false) is { Count: > 0 } held)
            {
                foreach (var run in held)
                {
                    if (!quota.TryTake())
                        return Wait();
                    await ReleaseTakenAsync(run).ConfigureAwait(false);
                }
            }
            return Wait();
        }
        catch (Exception x)
        {
            if (!stop.IsCancellationRequested)
                log.HeldRunsPutOff(x.Message);
            return retry;
        }
    }

    // What was not released was not started, and does not count.
    async Task ReleaseTakenAsync(RunId run)
    {
        bool isReleased = false;
        try
        {
            isReleased = await runs.ReleaseAsync(run).ConfigureAwait(false);
        }
        finally
        {
            if (!isReleased)
                quota.GiveBack();
        }
    }

    TimeSpan Wait() =>
        quota.ResetAt - time.GetUtcNow() is var wait && wait < longestWait ? wait + TimeSpan.FromMilliseconds(1) : longestWait;
}
