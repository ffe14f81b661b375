using Microsoft.Extensions.Logging;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Runs;

/// <summary>Starts runs when their schedules are due.</summary>
/// <remarks>
/// (1) start due runs  (2) wait for the next due time or a change of the schedules. The store decides: a due time is settled in the
/// transaction that stores its event, so it starts one run, across restarts and with several servers. A due time that is more than a minute
/// late is missed: it is reported, not replayed.
/// </remarks>
public sealed class Schedule(WorkflowCatalog catalog, RunAcceptance runs, EngineContext engine, ServerHold hold, ILogger<Schedule> log)
{
    // A timer is limited to 49 days, and a change of the clock must be noticed soon.
    static readonly TimeSpan longestWait = TimeSpan.FromMinutes(1),
        retry = TimeSpan.FromSeconds(5);

    readonly CancellationTokenSource stop = new();
    Dictionary<string, Place> places = [];
    Task running = Task.CompletedTask;

    /// <summary>The progress of one schedule.</summary>
    sealed record Place(DateTimeOffset SettledAt, int Missed);

    /// <summary>Raised when all due runs have been started and the wait begins.</summary>
    internal event Action? Looked;

    /// <summary>The next due time of a schedule; null if its key is unknown, it is disabled, or it is never due again.</summary>
    public DateTimeOffset? NextDueAt(string key) => Find(key)?.NextAfter(engine.Time.GetUtcNow());

    /// <summary>A schedule by its key; null if the key is unknown or the schedule is disabled.</summary>
    public ScheduleTrigger? Find(string key) => catalog.Schedules.FirstOrDefault(s => s.Key == key)?.Trigger;

    /// <summary>The next due times of a schedule; null if its key is unknown or it is disabled.</summary>
    public IReadOnlyList<DateTimeOffset>? DueTimes(string key, int count) =>
        Find(key) is { } trigger ? [.. trigger.TimesAfter(engine.Time.GetUtcNow(), count)] : null;

    /// <summary>Starts. Call once, after the workflows are loaded.</summary>
    public void Start() => running = RunAsync();

    /// <summary>After completion, no schedule starts a run.</summary>
    public async Task StopAsync()
    {
        await stop.CancelAsync().ConfigureAwait(false);
        await running.ConfigureAwait(false);
    }

    async Task RunAsync()
    {
        await hold.Released.WaitAsync(stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        while (!stop.IsCancellationRequested)
        {
            var change = catalog.SchedulesChange;
            var targets = catalog.Schedules;
            // (1)
            places = targets.ToDictionary(static t => t.Key, t => PlaceOf(t, places.GetValueOrDefault(t.Key)));
            var wake = engine.Time.GetUtcNow() + longestWait;
            foreach (var target in targets)
                if (await StartDueAsync(target).ConfigureAwait(false) is { } next && next < wake)
                    wake = next;
            // (2)
            var wait = wake - engine.Time.GetUtcNow();
            var timer = Task.Delay(wait > TimeSpan.Zero ? wait : TimeSpan.Zero, engine.Time, stop.Token);
            Looked?.Invoke();
            await Task.WhenAny(timer, change).ConfigureAwait(false);
        }
    }

    // The store ignores a mark in the future too, so that the schedule continues from now.
    Place PlaceOf(ScheduleTarget target, Place? known)
    {
        var now = engine.Time.GetUtcNow();
        var latest = known;
        if (known is null || known.SettledAt < target.SettledAt && !IsAhead(target.SettledAt, now))
            latest = new(target.SettledAt, 0);
        if (!IsAhead(latest!.SettledAt, now))
            return latest;
        log.DueTimesAhead(target.Version.Name, target.Trigger.Identity, latest.SettledAt);
        return new(now, 0);
    }

    bool IsAhead(DateTimeOffset settled, DateTimeOffset now) => settled > now + engine.Limits.ClockTolerance;

    /// <summary>Starts the due runs of one schedule, and returns the time of the next check.</summary>
    async Task<DateTimeOffset?> StartDueAsync(ScheduleTarget target)
    {
        var place = places[target.Key] = PassMissed(target, places[target.Key]);
        while (target.Trigger.NextAfter(place.SettledAt) is { } due)
        {
            if (due > engine.Time.GetUtcNow())
                return due;
            if (!await TryStartAsync(target, due, place.Missed).ConfigureAwait(false))
                return engine.Time.GetUtcNow() + retry;
            place = places[target.Key] = new(due, 0);
        }
        return null;
    }

    Place PassMissed(ScheduleTarget target, Place place)
    {
        var oldest = engine.Time.GetUtcNow() - engine.Limits.ScheduleLateness;
        int missed = 0;
        var settled = place.SettledAt;
        while (missed < engine.Limits.ScheduleMissed && target.Trigger.NextAfter(settled) is { } due && due < oldest)
            (settled, missed) = (due, missed + 1);
        if (missed == 0)
            return place;
        log.DueTimesMissed(target.Version.Name, target.Trigger.Identity, missed, place.SettledAt);
        if (missed == engine.Limits.ScheduleMissed && settled < oldest)
            settled = oldest;
        return new(settled, place.Missed + missed);
    }

    // Returns false if it must be retried.
    async Task<bool> TryStartAsync(ScheduleTarget target, DateTimeOffset due, int missed)
    {
        try
        {
            var json = ScheduleEvent.Write(target.Trigger, due, missed);
            // Null: another server has claimed it, or the schedule has changed.
            await runs.AcceptAsync(target.Version, target.Trigger.RecordedAs, json, stop.Token, new(target.Key, due)).ConfigureAwait(false);
            return true;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return false;
        }
        catch (Exception x)
        {
            // The store does not accept writes, or the workflow's queue is full: retry until it is too late.
            log.DueTimePutOff(target.Version.Name, due, x.Message);
            return false;
        }
    }
}
