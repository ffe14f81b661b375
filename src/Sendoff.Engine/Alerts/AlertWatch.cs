using Microsoft.Extensions.Logging;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Alerts;

/// <summary>Watches ends of runs and deliveries, and sends alerts.</summary>
/// <remarks>
/// (1) ends of runs and deliveries are counted in memory, by workflow and cause  (2) the loop adds the counts to the state of each rule
/// (3) due messages are sent: the message, its delivery and the state are committed together  (4) other counts are stored once a second, so
/// that a restart keeps them. Messages of alerts are never counted, so they cannot cause a loop.
/// </remarks>
internal sealed class AlertWatch(
    IStore store,
    AlertRules rules,
    AlertSender sender,
    WorkflowCatalog catalog,
    RunLanes lanes,
    EngineContext engine,
    ServerHold hold,
    ILogger<AlertWatch> log
) : IEndWatch
{
    static readonly TimeSpan retry = TimeSpan.FromSeconds(5),
        longestWait = TimeSpan.FromMinutes(1),
        betweenSaves = TimeSpan.FromSeconds(1);

    /// <summary>Ends of a workflow since the last check.</summary>
    record struct Note(int Failed, long Last, bool IsOver);

    readonly CancellationTokenSource stop = new();
    readonly Lock gate = new();
    Dictionary<(WorkflowId Workflow, AlertCauses Cause), Note> notes = [];

    // Workflows whose successes are counted.
    readonly HashSet<(WorkflowId Workflow, AlertCauses Cause)> failing = [];
    volatile bool isAnyFailing;
    TaskCompletionSource noted = NewSignal();

    readonly Dictionary<(AlertId Alert, WorkflowId Workflow), AlertState> states = [];
    readonly HashSet<(AlertId Alert, WorkflowId Workflow)> unsaved = [];
    Dictionary<WorkflowId, string> backlogs = [];
    long savedAt,
        backlogAt;
    Task running = Task.CompletedTask;

    /// <summary>Starts with the state of an earlier server. Call once, before the first event.</summary>
    public async Task StartAsync(CancellationToken ct)
    {
        foreach (var state in await store.ListAlertStatesAsync(ct).ConfigureAwait(false))
            states[(state.Alert, state.Workflow)] = state;
        Settle(engine.Time.GetUtcNow());
        Watch();
        (savedAt, backlogAt) = (engine.Time.GetTimestamp(), engine.Time.GetTimestamp());
        running = RunAsync();
    }

    /// <summary>Checks once more and stores the counts.</summary>
    public async Task StopAsync()
    {
        await stop.CancelAsync().ConfigureAwait(false);
        await running.ConfigureAwait(false);
        engine.Changes.Ends = null;
        if (hold.IsOn)
            return;
        try
        {
            await LookAsync(isLast: true).ConfigureAwait(false);
        }
        catch (Exception x)
        {
            log.AlertsPutOff(x.Message);
        }
    }

    public void Ended(WorkflowId workflow, RunId run, RunStatus status)
    {
        if (status == RunStatus.Succeeded)
            NoteOver(workflow, AlertCauses.RunFailed);
        else if (status.IsFailure())
            NoteFailed(workflow, AlertCauses.RunFailed, run.Value);
    }

    public void Ended(WorkflowId workflow, DeliveryId delivery, DeliveryStatus status)
    {
        if (status == DeliveryStatus.Succeeded)
            NoteOver(workflow, AlertCauses.DeliveryFailed);
        else if (status is DeliveryStatus.Failed or DeliveryStatus.Blocked)
            NoteFailed(workflow, AlertCauses.DeliveryFailed, delivery.Value);
    }

    // (1)
    void NoteFailed(WorkflowId workflow, AlertCauses cause, long id)
    {
        // Prevents loops: alerts ignore messages of alerts.
        if (workflow == SystemWorkflow.Alerts)
            return;
        lock (gate)
        {
            var note = notes.GetValueOrDefault((workflow, cause));
            notes[(workflow, cause)] = new(note.Failed + 1, id, false);
            isAnyFailing = true;
            // Repeated failures are processed once a second.
            if (!failing.Add((workflow, cause)))
                return;
        }
        noted.TrySetResult();
    }

    void NoteOver(WorkflowId workflow, AlertCauses cause)
    {
        if (!isAnyFailing)
            return;
        lock (gate)
        {
            if (!failing.Contains((workflow, cause)))
                return;
            notes[(workflow, cause)] = notes.GetValueOrDefault((workflow, cause)) with { IsOver = true };
        }
        noted.TrySetResult();
    }

    async Task RunAsync()
    {
        await hold.Released.WaitAsync(stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        while (!stop.IsCancellationRequested)
        {
            var changed = rules.Change;
            engine.Changes.Ends = rules.Current.Count > 0 ? this : null;
            if (noted.Task.IsCompleted)
                noted = NewSignal();
            TimeSpan wait;
            try
            {
                wait = await LookAsync(isLast: false).ConfigureAwait(false);
            }
            catch (Exception x)
            {
                if (!stop.IsCancellationRequested)
                    log.AlertsPutOff(x.Message);
                await Task.Delay(retry, engine.Time, stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                continue;
            }
            await Task.WhenAny(noted.Task, changed, Task.Delay(wait, engine.Time, stop.Token)).ConfigureAwait(false);
        }
    }

    /// <summary>(2) to (4). Returns the time until the next check.</summary>
    async Task<TimeSpan> LookAsync(bool isLast)
    {
        TakeNotes();
        if (!isLast)
            await LookForBacklogsAsync().ConfigureAwait(false);
        var now = engine.Time.GetUtcNow();
        Settle(now);
        foreach (var state in states.Values.Where(state => state.IsDue(now)).ToList())
            await TellAsync(state, now).ConfigureAwait(false);
        await SaveAsync(isLast).ConfigureAwait(false);
        Watch();
        return WaitFrom(engine.Time.GetUtcNow());
    }

    /// <summary>Removes states of deleted or changed rules. Limits quiet times that were set while the clock was ahead.</summary>
    void Settle(DateTimeOffset now)
    {
        var known = rules.Current.ToDictionary(static rule => rule.Id);
        foreach (var (key, state) in states.ToList())
        {
            string? name = catalog.NameOf(key.Workflow);
            if (!known.TryGetValue(key.Alert, out var rule) || name is null || rule.Workflow is { } only && only != name)
            {
                states.Remove(key);
                unsaved.Remove(key);
            }
            else if (state.QuietUntil > now + rule.Quiet)
                states[key] = state with { QuietUntil = now + rule.Quiet };
        }
    }

    void TakeNotes()
    {
        Dictionary<(WorkflowId Workflow, AlertCauses Cause), Note> taken;
        lock (gate)
        {
            if (notes.Count == 0)
                return;
            (taken, notes) = (notes, []);
        }
        foreach (var ((workflow, cause), note) in taken)
        {
            var run = cause == AlertCauses.RunFailed ? new RunId(note.Last) : (RunId?)null;
            var delivery = cause == AlertCauses.DeliveryFailed ? new DeliveryId(note.Last) : (DeliveryId?)null;
            Change(workflow, cause, (_, state) => note.Failed > 0 ? state.With(cause, note.Failed, run, delivery) : state, note.IsOver);
        }
    }

    /// <summary>Changes the states of the rules for a cause.</summary>
    void Change(WorkflowId workflow, AlertCauses cause, Func<AlertRule, AlertState, AlertState> change, bool isOver = false)
    {
        if (catalog.NameOf(workflow) is not { } name)
            return;
        foreach (var rule in rules.Current)
        {
            if (!rule.Causes.HasFlag(cause) || rule.Workflow is { } only && only != name)
                continue;
            var before = states.GetValueOrDefault((rule.Id, workflow)) ?? AlertState.Of(rule.Id, workflow);
            var after = change(rule, before);
            if (isOver)
                after = after.WithOver(cause);
            if (after == before)
                continue;
            states[(rule.Id, workflow)] = after;
            unsaved.Add((rule.Id, workflow));
        }
    }

    async Task LookForBacklogsAsync()
    {
        var watching = rules.Current.Where(static rule => rule.Causes.HasFlag(AlertCauses.Backlog)).ToList();
        if (watching.Count == 0 || engine.Time.GetElapsedTime(backlogAt) < engine.Limits.AlertBacklogEvery)
            return;
        backlogAt = engine.Time.GetTimestamp();
        var now = engine.Time.GetUtcNow();
        var queued = lanes
            .Unstarted.Where(static lane => lane.Runs > 0)
            .ToDictionary(static lane => lane.Workflow, static lane => lane.Runs);
        var shortest = watching.Min(rule => rule.BacklogAge ?? engine.Limits.AlertBacklogAge);
        var before = new DeliveryId(IdSequence.LowestAt(now - shortest));
        var pending = (await store.ListBacklogAsync(before, engine.Limits.AlertBacklogRead, stop.Token).ConfigureAwait(false)).ToDictionary(
            static one => one.Workflow
        );
        backlogs = [];
        foreach (
            var workflow in pending.Keys.Concat(queued.Keys).Concat(states.Keys.Select(static key => key.Workflow)).Distinct().ToList()
        )
        {
            var waiting = pending.GetValueOrDefault(workflow);
            int unstarted = queued.GetValueOrDefault(workflow);
            var age = waiting is null ? TimeSpan.Zero : now - IdSequence.MomentOf(waiting.Oldest.Value);
            backlogs[workflow] = Describe(waiting, age, unstarted);
            Change(workflow, AlertCauses.Backlog, (rule, state) => Judge(rule, state, age, unstarted));
        }
    }

    AlertState Judge(AlertRule rule, AlertState before, TimeSpan age, int unstarted)
    {
        bool isBehind =
            age > (rule.BacklogAge ?? engine.Limits.AlertBacklogAge) || unstarted > (rule.BacklogRuns ?? engine.Limits.AlertBacklogRuns);
        if (!isBehind)
            return before.WithOver(AlertCauses.Backlog);
        bool isKnown = ((before.Failing & ~before.Over) | before.Counted).HasFlag(AlertCauses.Backlog);
        return isKnown ? before : before.With(AlertCauses.Backlog, 1, null, null);
    }

    static string Describe(PendingBacklog? waiting, TimeSpan age, int unstarted)
    {
        var parts = new List<string>();
        if (waiting is not null)
            parts.Add(
                $"{waiting.Deliveries:N0} {(waiting.Deliveries == 1 ? "delivery has" : "deliveries have")} been pending for too long, "
                    + $"the oldest for {age.TotalSeconds:N0} s"
            );
        if (unstarted > 0)
            parts.Add($"{unstarted:N0} {(unstarted == 1 ? "run is" : "runs are")} queued");
        return string.Join("; ", parts);
    }

    // (3)
    async Task TellAsync(AlertState state, DateTimeOffset now)
    {
        var key = (state.Alert, state.Workflow);
        if (rules.Find(state.Alert) is not { } rule || catalog.NameOf(state.Workflow) is not { } workflow)
        {
            states.Remove(key);
            unsaved.Remove(key);
            return;
        }
        if (state.Counted == 0 && !rule.Recovered)
        {
            states[key] = state.Told(now, rule.Quiet) with { ToldAt = state.ToldAt };
            unsaved.Add(key);
            return;
        }
        try
        {
            string? backlog = backlogs.GetValueOrDefault(state.Workflow) is { Length: > 0 } some ? some : null;
            var message = await AlertMessage
                .OfAsync(rule, workflow, state, backlog, sender.Origin, store, CancellationToken.None)
                .ConfigureAwait(false);
            var told = state.Told(now, rule.Quiet);
            if (await sender.SendAsync(message, told, CancellationToken.None).ConfigureAwait(false) is null)
                states.Remove(key);
            else
                states[key] = told;
            unsaved.Remove(key);
        }
        catch (StoreUnavailableException)
        {
            throw;
        }
        catch (Exception x)
        {
            log.AlertsFailed(rule.Name, x);
            throw;
        }
    }

    // (4)
    async Task SaveAsync(bool isLast)
    {
        if (unsaved.Count == 0 || !isLast && engine.Time.GetElapsedTime(savedAt) < betweenSaves)
            return;
        await store.SaveAlertStatesAsync([.. unsaved.Select(key => states[key])], CancellationToken.None).ConfigureAwait(false);
        unsaved.Clear();
        savedAt = engine.Time.GetTimestamp();
    }

    /// <summary>From now on, successes of failing workflows are counted.</summary>
    void Watch()
    {
        lock (gate)
        {
            failing.Clear();
            foreach (var state in states.Values)
            foreach (var cause in (AlertCauses[])[AlertCauses.RunFailed, AlertCauses.DeliveryFailed])
                if (((state.Failing | state.Counted) & ~state.Over).HasFlag(cause))
                    failing.Add((state.Workflow, cause));
            foreach (var (key, note) in notes)
                if (note.Failed > 0)
                    failing.Add(key);
            isAnyFailing = failing.Count > 0;
        }
    }

    TimeSpan WaitFrom(DateTimeOffset now)
    {
        var wait = longestWait;
        if (unsaved.Count > 0 || isAnyFailing)
            wait = betweenSaves;
        var check = engine.Limits.AlertBacklogEvery - engine.Time.GetElapsedTime(backlogAt);
        if (check < wait && rules.Current.Any(static rule => rule.Causes.HasFlag(AlertCauses.Backlog)))
            wait = check > TimeSpan.Zero ? check : TimeSpan.Zero;
        foreach (var state in states.Values)
            if (state.IsDue(now))
                wait = TimeSpan.Zero;
            else if (state.Counted != 0 && state.QuietUntil - now < wait)
                wait = state.QuietUntil - now;
        return wait;
    }

    static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
