using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Runs;

/// <summary>A hook of an event source that failed (K4).</summary>
/// <param name="RetryAt">When it is called again; null if it is given up.</param>
public sealed record HookFailure(SourceCall Call, string Message, RunId? Run, DateTimeOffset? RetryAt);

/// <summary>Calls the hooks of event sources until each source is as its workflow wants it: active with the current version, or inactive
/// (K4).</summary>
/// <remarks>
/// (1) compare the stored state of each source with the workflow  (2) run the next hook, as a run of the source  (3) its commit settles the
/// state. A hook that fails is retried. The store lets one hook of a source run at a time, also with several servers and after a crash.
/// </remarks>
public sealed class SourceHooks(
    IStore store,
    WorkflowCatalog catalog,
    RunAcceptance runs,
    EngineContext engine,
    ServerHold hold,
    ILogger<SourceHooks> log
)
{
    // Hooks of an earlier server make no call here.
    static readonly TimeSpan look = TimeSpan.FromMinutes(1),
        pendingLook = TimeSpan.FromMilliseconds(250);

    readonly ConcurrentDictionary<WorkflowId, SemaphoreSlim> entries = [];
    readonly ConcurrentDictionary<(WorkflowId Workflow, string Source), Failed> failures = [];
    readonly CancellationTokenSource stop = new();
    Task running = Task.CompletedTask;

    /// <param name="Times">How often in a row.</param>
    /// <param name="Version">The version that the workflow had.</param>
    sealed record Failed(HookFailure Failure, int Times, DateTimeOffset At, int Version);

    /// <summary>Starts. Call once, after the workflows are loaded.</summary>
    public void Start() => running = RunAsync();

    /// <summary>After completion, no hook is started.</summary>
    public async Task StopAsync()
    {
        await stop.CancelAsync().ConfigureAwait(false);
        await running.ConfigureAwait(false);
    }

    /// <summary>The hooks of a workflow that failed and are retried.</summary>
    public IReadOnlyList<HookFailure> FailuresOf(WorkflowId workflow) =>
        [.. failures.Where(one => one.Key.Workflow == workflow).Select(static one => one.Value.Failure)];

    /// <summary>Calls the hooks that a workflow needs now, and returns those that failed. Waits for
    /// <see cref="EngineLimits.HookWait"/>. On a server that executes no runs, another one calls them (J8).</summary>
    /// <param name="since">Before the change that needs them: what failed after it is not called again now.</param>
    public async Task<IReadOnlyList<HookFailure>> SettleAsync(WorkflowId workflow, DateTimeOffset since)
    {
        if (!engine.Limits.ServerRoles.HasFlag(ServerRoles.Run))
            return [];
        var settling = SettleAllAsync(workflow, since);
        await Task.WhenAny(settling, Task.Delay(engine.Limits.HookWait, engine.Time, stop.Token)).ConfigureAwait(false);
        return FailuresOf(workflow);
    }

    async Task RunAsync()
    {
        await hold.Released.WaitAsync(stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        while (!stop.IsCancellationRequested)
        {
            var now = engine.Time.GetUtcNow();
            var change = catalog.SchedulesChange;
            foreach (var workflow in await WorkflowsAsync().ConfigureAwait(false))
                await SettleAllAsync(workflow, since: null).ConfigureAwait(false);
            var wake = failures.Values.Select(static one => one.Failure.RetryAt).OfType<DateTimeOffset>().Append(now + look).Min();
            var wait = wake - engine.Time.GetUtcNow();
            await Task.WhenAny(Task.Delay(wait > TimeSpan.Zero ? wait : pendingLook, engine.Time, stop.Token), change)
                .ConfigureAwait(false);
        }
    }

    async Task<IReadOnlyList<WorkflowId>> WorkflowsAsync()
    {
        try
        {
            var stored = await store.ListSourcesAsync(null, stop.Token).ConfigureAwait(false);
            return [.. stored.Select(static source => source.Workflow).Concat(catalog.WithSources).Distinct()];
        }
        catch (Exception x) when (x is StoreUnavailableException or OperationCanceledException)
        {
            return [];
        }
    }

    /// <param name="since">Null to leave out sources whose hook failed and is not due yet.</param>
    async Task SettleAllAsync(WorkflowId workflow, DateTimeOffset? since)
    {
        try
        {
            using var entry = await entries.GetOrAdd(workflow, static _ => new(1)).EnterAsync(stop.Token).ConfigureAwait(false);
            var current = await FindAsync(workflow).ConfigureAwait(false);
            if (current is not var (of, version))
                return;
            var stored = await store.ListSourcesAsync(workflow, stop.Token).ConfigureAwait(false);
            foreach (var (key, given) in failures)
                if (key.Workflow == workflow && given.Failure.RetryAt is null && given.At < since)
                    failures.TryRemove(key, out _);
            var names = stored.Select(static state => state.Name).Concat(version.Definition.Sources.Select(static source => source.Name));
            foreach (string name in names.Distinct().ToList())
                if (IsDue(workflow, version.Number, name, since))
                    await SettleAsync(of, version, name).ConfigureAwait(false);
        }
        catch (Exception x) when (x is StoreUnavailableException or OperationCanceledException)
        {
            // The next look continues.
        }
        catch (Exception x)
        {
            log.HooksPutOff(workflow, x.Message);
        }
    }

    bool IsDue(WorkflowId workflow, int version, string source, DateTimeOffset? since) =>
        !failures.TryGetValue((workflow, source), out var failed)
        || failed.Failure.RetryAt <= engine.Time.GetUtcNow()
        || since is { } change && (failed.At < change || failed.Version != version);

    async Task<(Workflow Of, WorkflowVersion Version)?> FindAsync(WorkflowId workflow)
    {
        var found = (await store.ListWorkflowsAsync(stop.Token).ConfigureAwait(false)).FirstOrDefault(one => one.Id == workflow);
        return found is not null && await catalog.FindVersionAsync(workflow, found.Version, stop.Token).ConfigureAwait(false) is { } version
            ? (found, version)
            : null;
    }

    // A hook that failed ends it: the next one relies on it.
    async Task SettleAsync(Workflow workflow, WorkflowVersion version, string name)
    {
        while (!stop.IsCancellationRequested)
        {
            var state = (await store.ListSourcesAsync(workflow.Id, stop.Token).ConfigureAwait(false)).FirstOrDefault(one =>
                one.Name == name
            );
            if (state is { HasPendingHook: true })
            {
                // An earlier or another server has started it.
                await Task.Delay(pendingLook, engine.Time, stop.Token).ConfigureAwait(false);
                continue;
            }
            var (call, of) = await NextAsync(workflow, version, name, state).ConfigureAwait(false);
            if (call is not { } next)
            {
                if (failures.TryGetValue((workflow.Id, name), out var failed) && failed.Failure.RetryAt is not null)
                    failures.TryRemove((workflow.Id, name), out _);
                if (state is not null && version.Definition.FindSource(name) is null)
                    await store.ForgetSourceAsync(workflow.Id, name, stop.Token).ConfigureAwait(false);
                return;
            }
            if (of?.Definition.FindSource(name)?.Facts?.Hooks.Contains(next.Hook!) != true)
                await store.SettleHookAsync(workflow.Id, next, version.Number, stop.Token).ConfigureAwait(false);
            else if (!await TryRunAsync(of, next, version.Number, mustSucceed: !IsUpdate(workflow, version, next)).ConfigureAwait(false))
                return;
        }
    }

    // The old webhook of a changed source may be gone already: the new version is activated nevertheless.
    static bool IsUpdate(Workflow workflow, WorkflowVersion version, SourceCall call) =>
        call.Hook == SourceHook.Deactivate && workflow.Enabled && version.Definition.FindSource(call.Source) is not null;

    /// <summary>The next hook of a source, and the version whose hook it is; no call if it is as its workflow wants it.</summary>
    async Task<(SourceCall? Call, WorkflowVersion? Of)> NextAsync(
        Workflow workflow,
        WorkflowVersion version,
        string name,
        SourceState? state
    )
    {
        var source = version.Definition.FindSource(name);
        int active = state?.Version ?? 0;
        if (source is null || !workflow.Enabled)
            return active == 0 ? default : (new(name, SourceHook.Deactivate), await OldAsync(workflow.Id, active).ConfigureAwait(false));
        if (state is not { IsDeployed: true })
            return (new(name, SourceHook.Deploy), version);
        if (active == 0)
            return (new(name, SourceHook.Activate), version);
        if (active == version.Number)
            return default;
        var old = await OldAsync(workflow.Id, active).ConfigureAwait(false);
        if (old is null || !SourceContent.AreSame(old, version, name))
            return (new(name, SourceHook.Deactivate), old);
        await store.SettleHookAsync(workflow.Id, new(name, SourceHook.Activate), version.Number, stop.Token).ConfigureAwait(false);
        return default;
    }

    ValueTask<WorkflowVersion?> OldAsync(WorkflowId workflow, int version) => catalog.FindVersionAsync(workflow, version, stop.Token);

    /// <summary>Runs a hook. Returns false if it must be called again.</summary>
    /// <param name="version">The one that has the hook.</param>
    /// <param name="current">The number of the workflow's version.</param>
    async Task<bool> TryRunAsync(WorkflowVersion version, SourceCall call, int current, bool mustSucceed)
    {
        var accepted = await runs.AcceptAsync(version, call.ToString(), "{}"u8.ToArray(), stop.Token).ConfigureAwait(false);
        if (accepted is null)
        {
            // Another server was faster, or the workflow is deleted.
            await Task.Delay(pendingLook, engine.Time, stop.Token).ConfigureAwait(false);
            return catalog.NameOf(version.WorkflowId) is not null;
        }
        await accepted.Response.WaitAsync(stop.Token).ConfigureAwait(false);
        var ended = (await store.GetRunAsync(accepted.Run.Id, stop.Token).ConfigureAwait(false))?.Run;
        var key = (version.WorkflowId, call.Source);
        if (ended is null or { Status: RunStatus.Succeeded })
            return true;
        int times = failures.TryGetValue(key, out var before) && before.Failure.Call == call ? before.Times + 1 : 1;
        bool isGivenUp = !mustSucceed || call.Hook == SourceHook.Deactivate && times >= engine.Limits.HookDeactivations;
        string message = ended.Message ?? "it failed";
        log.HookFailed(version.Name, call.Hook!, call.Source, message);
        var now = engine.Time.GetUtcNow();
        failures[key] = new(new(call, message, accepted.Run.Id, isGivenUp ? null : now + DelayOf(times)), times, now, current);
        if (isGivenUp)
            await store.SettleHookAsync(version.WorkflowId, call, current, stop.Token).ConfigureAwait(false);
        return isGivenUp;
    }

    TimeSpan DelayOf(int times)
    {
        var delay = engine.Limits.HookRetry * Math.Pow(2, Math.Min(times - 1, 16));
        return delay < engine.Limits.HookRetryMost ? delay : engine.Limits.HookRetryMost;
    }
}
