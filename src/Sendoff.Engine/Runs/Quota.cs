using Microsoft.Extensions.Logging;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Runs;

/// <summary>The used part of a UTC day's quota. A limit of 0 is no limit.</summary>
public sealed record QuotaUse(TimeSpan Compute, TimeSpan ComputeLimit, long Invocations, long InvocationsLimit, DateTimeOffset ResetAt);

/// <summary>The daily quota of a workspace (E6), per UTC day and counted in memory.</summary>
public sealed class Quota(EngineLimits limits, TimeProvider time)
{
    readonly Lock gate = new();
    DateOnly day;
    TimeSpan compute;
    long invocations;

    /// <summary>Usage of the previous day, which counts again if the clock is set back.</summary>
    (DateOnly Day, TimeSpan Compute, long Invocations) before;

    public bool IsLimited { get; } = limits.QuotaInvocations > 0 || limits.QuotaCompute > TimeSpan.Zero;

    /// <summary>Starts with today's usage in the store.</summary>
    public void Load(IEnumerable<UsageRow> usage)
    {
        lock (gate)
        {
            Turn();
            foreach (var row in usage.Where(row => row.Day == day))
                (compute, invocations) = (compute + TimeSpan.FromMilliseconds(row.ComputeMs), invocations + row.Runs);
        }
    }

    public DateOnly Today => DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);

    /// <summary>Takes over today's usage in the store, if that is more: other servers add to it too.</summary>
    public void Follow(IReadOnlyList<UsageRow> usage)
    {
        lock (gate)
        {
            Turn();
            var today = usage.Where(row => row.Day == day).ToList();
            var stored = TimeSpan.FromMilliseconds(today.Sum(static row => row.ComputeMs));
            compute = stored > compute ? stored : compute;
            invocations = Math.Max(invocations, today.Sum(static row => row.Runs));
        }
    }

    /// <summary>Counts an invocation. Returns false and counts nothing if the daily quota is used up.</summary>
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

    /// <summary>Counts a manual invocation, which is never held.</summary>
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

    /// <summary>Undoes a counted invocation that did not start: the due time was claimed, or the store does not accept events.</summary>
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
    public DateTimeOffset ResetAt => new(Today.AddDays(1), TimeOnly.MinValue, TimeSpan.Zero);

    void Turn()
    {
        var today = Today;
        if (day == today)
            return;
        // The clock was set back: later usage belongs to the same day.
        bool isBack = today < day && before.Day == today;
        var used = isBack ? (today, compute + before.Compute, invocations + before.Invocations) : (today, TimeSpan.Zero, 0);
        before = isBack ? default : (day, compute, invocations);
        (day, compute, invocations) = used;
    }
}

/// <summary>Releases runs held over quota (E6): at the start and at each reset as many as the daily quota allows, oldest first, and any run
/// on request.</summary>
public sealed class QuotaReset(IStore store, RunAcceptance runs, Quota quota, ServerHold hold, TimeProvider time, ILogger<QuotaReset> log)
{
    const int ReadAtOnce = 100;
    static readonly TimeSpan retry = TimeSpan.FromSeconds(5),
        longestWait = TimeSpan.FromMinutes(1);

    readonly CancellationTokenSource stop = new();
    Task running = Task.CompletedTask;

    /// <summary>Starts. Call once, before the first event.</summary>
    /// <param name="releases">Whether this server executes the runs that it releases.</param>
    public async Task StartAsync(bool releases, CancellationToken ct)
    {
        if (!quota.IsLimited && (await store.ListHeldAsync(1, ct).ConfigureAwait(false)).Count == 0)
            return;
        quota.Load(await store.ListUsageAsync(quota.Today, ct).ConfigureAwait(false));
        if (releases)
            running = RunAsync();
    }

    public async Task StopAsync()
    {
        await stop.CancelAsync().ConfigureAwait(false);
        await running.ConfigureAwait(false);
    }

    /// <summary>Releases a held run regardless of the quota. Returns false if it is not held.</summary>
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

    /// <summary>Returns the time until the next check, short enough to notice a change of the clock.</summary>
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

    // Runs that were not released do not count.
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
