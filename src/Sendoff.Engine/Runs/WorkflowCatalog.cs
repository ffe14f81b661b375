using System.Collections.Concurrent;
using System.Collections.Frozen;
using Microsoft.Extensions.Logging;
using Sendoff.Engine.Packages;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workers;
using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Runs;

/// <summary>The trigger of a request, with the version that it starts.</summary>
public sealed record TriggerTarget(WorkflowVersion Version, HttpTrigger Trigger, bool Enabled);

/// <summary>An enabled workflow that listens to events of another workflow.</summary>
public sealed record EmitTarget(WorkflowVersion Version, EmitTrigger Trigger);

/// <summary>A schedule of an enabled workflow, with the version that it starts.</summary>
public sealed record ScheduleTarget(WorkflowVersion Version, ScheduleTrigger Trigger, string Key, DateTimeOffset SettledAt);

/// <summary>The result of a deploy: the workflow, or its problems if nothing was deployed.</summary>
public sealed record DeployResult(Workflow? Workflow, IReadOnlyList<WorkflowProblem> Problems)
{
    /// <summary>Installed packages whose install scripts were not run.</summary>
    public IReadOnlyList<string> ScriptsLeftOut { get; init; } = [];

    /// <summary>Warnings that its runs will get (A8), as far as the source shows.</summary>
    public IReadOnlyList<WorkflowProblem> Warnings { get; init; } = [];
}

/// <summary>The problems that a deploy would report, and the props of the steps' components.</summary>
/// <param name="Props">By step; empty for files that cannot be read or loaded.</param>
public sealed record WorkflowCheck(
    IReadOnlyList<WorkflowProblem> Problems,
    IReadOnlyDictionary<string, IReadOnlyList<PropDefinition>> Props
)
{
    /// <inheritdoc cref="DeployResult.Warnings"/>
    public IReadOnlyList<WorkflowProblem> Warnings { get; init; } = [];

    /// <summary>What the code of the event sources says, by source.</summary>
    internal IReadOnlyDictionary<string, SourceFacts> Facts { get; init; } = FrozenDictionary<string, SourceFacts>.Empty;
}

/// <summary>A version that is ready to run.</summary>
/// <param name="Program">Its steps.</param>
public sealed record Deployment(WorkflowVersion Version, WorkerProgram Program)
{
    /// <summary>Its event sources, by name.</summary>
    public IReadOnlyDictionary<string, WorkerProgram> Sources { get; init; } = FrozenDictionary<string, WorkerProgram>.Empty;

    /// <summary>What an event with this trigger executes; null if the version does not have the source.</summary>
    public WorkerProgram? ProgramOf(string trigger) =>
        SourceCall.Of(trigger) is { } call ? Sources.GetValueOrDefault(call.Source) : Program;
}

/// <summary>The deployed workflows, cached from the store.</summary>
public sealed class WorkflowCatalog(
    IStore store,
    IStepRunner runner,
    ProgramFolder folder,
    PackageFolder packages,
    SecretCatalog secrets,
    FlowLinks links,
    EngineLimits limits,
    ILogger<WorkflowCatalog> log
) : IStoreCache
{
    /// <summary>Parsed versions, which never change.</summary>
    readonly ConcurrentDictionary<(WorkflowId, int), WorkflowVersion> versions = [];

    /// <summary>Versions that have run, written to disk for workers.</summary>
    readonly ConcurrentDictionary<(WorkflowId, int), Deployment> deployments = [];

    /// <summary>The keys of the HTTP interfaces of event sources.</summary>
    readonly ConcurrentDictionary<(WorkflowId, string), string> endpoints = [];
    readonly SemaphoreSlim changing = new(1);
    FrozenDictionary<WorkflowId, string> names = FrozenDictionary<WorkflowId, string>.Empty;
    FrozenDictionary<string, TriggerTarget> triggers = FrozenDictionary<string, TriggerTarget>.Empty;

    IReadOnlyList<EmitTarget> listeners = [];
    TaskCompletionSource schedulesChange = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The enabled schedules.</summary>
    public IReadOnlyList<ScheduleTarget> Schedules { get; private set; } = [];

    /// <summary>Completes when <see cref="Schedules"/> may have changed.</summary>
    public Task SchedulesChange => schedulesChange.Task;

    /// <summary>The trigger with a key; null if the key is unknown.</summary>
    public TriggerTarget? FindTrigger(string key) => triggers.GetValueOrDefault(key);

    /// <summary>The workflows that have event sources.</summary>
    internal IEnumerable<WorkflowId> WithSources =>
        versions
            .Values.Where(static version => version.Definition.Sources.Count > 0 && version.Number > 0)
            .Select(static v => v.WorkflowId);

    /// <summary>A workflow's name; null if it is deleted.</summary>
    public string? NameOf(WorkflowId workflow) => names.GetValueOrDefault(workflow);

    /// <summary>The names of all workflows.</summary>
    public IEnumerable<string> Names => names.Where(static one => one.Key != SystemWorkflow.Alerts).Select(static one => one.Value);

    /// <summary>The workflows that an emitted event starts.</summary>
    public IReadOnlyList<WorkflowVersion> ListenersTo(WorkflowId emitter, string channel) =>
        NameOf(emitter) is not { } name
            ? []
            : [.. listeners.Where(l => l.Trigger.Hears(name, channel)).Select(static l => l.Version).DistinctBy(static v => v.WorkflowId)];

    /// <summary>Reads the deployed workflows from the store. Call once, before the first event.</summary>
    public async Task LoadAsync(CancellationToken ct)
    {
        folder.Clear();
        // Including older versions and drafts, which waiting runs may need.
        packages.Sweep(await store.ListFileTextsAsync(PackageFolder.LockFile, ct).ConfigureAwait(false));
        Parallel.ForEach(await store.ListCurrentVersionsAsync(ct).ConfigureAwait(false), stored => Read(stored));
        await ReadAsync(ct).ConfigureAwait(false);
    }

    Cached IStoreCache.Content => Cached.Workflows;

    async Task IStoreCache.RefreshAsync(CancellationToken ct)
    {
        using var entry = await changing.EnterAsync(ct).ConfigureAwait(false);
        await ReadAsync(ct).ConfigureAwait(false);
    }

    async Task ReadAsync(CancellationToken ct)
    {
        var found = new Dictionary<string, TriggerTarget>(StringComparer.Ordinal);
        var current = new HashSet<(WorkflowId, int)>();
        var named = new Dictionary<WorkflowId, string> { [SystemWorkflow.Alerts] = SystemWorkflow.AlertsName };
        var scheduled = new List<ScheduleTarget>();
        var listening = new List<EmitTarget>();
        foreach (var workflow in await store.ListWorkflowsAsync(ct).ConfigureAwait(false))
        {
            named[workflow.Id] = workflow.Name;
            current.Add((workflow.Id, workflow.Version));
            if (await FindVersionAsync(workflow.Id, workflow.Version, ct).ConfigureAwait(false) is not { } version)
                continue;
            AddTriggers(found, scheduled, listening, workflow, version);
            foreach (var (trigger, address) in version.Definition.Triggers.Zip(workflow.Triggers))
                if (trigger is HttpTrigger { Source: { } source })
                    endpoints[(workflow.Id, source)] = address.Key;
            // Others are written to disk when they run for the first time.
            if (version.Files.ContainsKey(PackageFolder.LockFile))
                await FindAsync(workflow.Id, workflow.Version, Installing.IfPossible, ct).ConfigureAwait(false);
        }
        Schedules = scheduled;
        listeners = listening;
        names = named.ToFrozenDictionary();
        triggers = found.ToFrozenDictionary(StringComparer.Ordinal);
        Interlocked.Exchange(ref schedulesChange, new(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
        // Runs of an older version read it again; runs of a deleted workflow end.
        foreach (var key in deployments.Keys)
            if (!current.Contains(key))
                deployments.TryRemove(key, out _);
        foreach (var key in versions.Keys)
            if (!current.Contains(key))
                versions.TryRemove(key, out _);
    }

    /// <summary>A version of a workflow, ready to run; null if it is deleted.</summary>
    public ValueTask<Deployment?> FindAsync(WorkflowId workflow, int version, CancellationToken ct) =>
        FindAsync(workflow, version, store.Servers.IsShared ? Installing.Required : Installing.No, ct);

    async ValueTask<Deployment?> FindAsync(WorkflowId workflow, int version, Installing installing, CancellationToken ct)
    {
        // Prepared again after a change of the secrets, because workers keep the old ones.
        var given = secrets.Current;
        if (deployments.TryGetValue((workflow, version), out var known) && known.Program.Environment == given.Environment)
            return known;
        if (await FindVersionAsync(workflow, version, ct).ConfigureAwait(false) is not { } read)
            return null;
        return deployments[(workflow, version)] = await PrepareAsync(read, given, installing, ct).ConfigureAwait(false);
    }

    /// <summary>A version's definition and files; null if it does not exist, or cannot be read.</summary>
    internal async ValueTask<WorkflowVersion?> FindVersionAsync(WorkflowId workflow, int version, CancellationToken ct) =>
        versions.TryGetValue((workflow, version), out var known) ? known
        : await store.GetVersionAsync(workflow, version, ct).ConfigureAwait(false) is { } stored ? Read(stored)
        : null;

    /// <summary>Returns null if the version was stored by a version of Sendoff with other rules for files.</summary>
    WorkflowVersion? Read(StoredVersion stored)
    {
        if (WorkflowReader.Read(stored.Name, stored.Files).Definition is not { } definition)
            return null;
        var read = new WorkflowVersion(stored.WorkflowId, stored.Name, stored.Number, stored.DeployedAt, stored.Files, definition);
        // A draft, with a number below 0, may change.
        if (stored.Number > 0)
            versions[(stored.WorkflowId, stored.Number)] = read;
        return read;
    }

    /// <summary>The current version of a workflow; null if there is none.</summary>
    public async ValueTask<Deployment?> FindCurrentAsync(WorkflowId workflow, CancellationToken ct)
    {
        var current = (await store.ListWorkflowsAsync(ct).ConfigureAwait(false)).FirstOrDefault(w => w.Id == workflow);
        return current is null ? null : await FindAsync(workflow, current.Version, ct).ConfigureAwait(false);
    }

    /// <summary>The tags of a workflow's current version.</summary>
    public IReadOnlyList<string> TagsOf(Workflow workflow) =>
        versions.TryGetValue((workflow.Id, workflow.Version), out var read) ? read.Definition.Tags : [];

    /// <summary>Reads, checks in a worker and stores a new version, and makes it the current one. Changes nothing if there are
    /// problems.</summary>
    public async Task<DeployResult> DeployAsync(string name, IReadOnlyDictionary<string, string> files, CancellationToken ct)
    {
        var read = await ReadAsync(name, files, ct).ConfigureAwait(false);
        if (read.Problems.Count > 0)
            return new(null, read.Problems);
        var (definition, installed) = (read.Definition!, read.Installed!);
        files = SourceFacts.AddTo(installed.AddLock(files), read.Facts);

        using var entry = await changing.EnterAsync(ct).ConfigureAwait(false);
        try
        {
            var workflow = await store.DeployAsync(name, files, definition.Triggers, ct).ConfigureAwait(false);
            await ReadAsync(CancellationToken.None).ConfigureAwait(false); // it is deployed even if the caller no longer waits
            return new(workflow, []) { ScriptsLeftOut = installed.ScriptsLeftOut, Warnings = read.Warnings };
        }
        catch (TriggerKeyTakenException x)
        {
            return new(null, [new(x.Message, WorkflowReader.YamlFile)]);
        }
    }

    /// <summary>Returns the problems that a deploy would report. Installs packages, and changes nothing else.</summary>
    public async Task<WorkflowCheck> CheckAsync(string name, IReadOnlyDictionary<string, string> files, CancellationToken ct)
    {
        var read = await ReadAsync(name, files, ct).ConfigureAwait(false);
        return new(read.Problems, read.Props) { Warnings = read.Warnings };
    }

    /// <summary>Prepares the workflow's draft to run, or returns its problems. Its runs are ordinary runs of a version below 0. Returns
    /// null if the workflow is deleted.</summary>
    /// <param name="readAt">A draft that is saved after this time stays the draft.</param>
    public async Task<(Deployment? Draft, IReadOnlyList<WorkflowProblem> Problems)?> FixDraftAsync(
        Workflow workflow,
        IReadOnlyDictionary<string, string> files,
        DateTimeOffset readAt,
        CancellationToken ct
    )
    {
        var read = await ReadAsync(workflow.Name, files, ct).ConfigureAwait(false);
        if (read.Problems.Count > 0)
            return (null, read.Problems);
        if (
            await store.SaveDraftAsync(workflow.Id, read.Installed!.AddLock(files), isFixed: true, ct, readAt).ConfigureAwait(false)
            is not { } draft
        )
            return null;
        return await FindAsync(workflow.Id, draft.Number, ct).ConfigureAwait(false) is { } ready ? (ready, []) : null;
    }

    sealed record ReadFiles(WorkflowDefinition? Definition, InstalledPackages? Installed, IReadOnlyList<WorkflowProblem> Problems)
    {
        public IReadOnlyDictionary<string, IReadOnlyList<PropDefinition>> Props { get; init; } =
            FrozenDictionary<string, IReadOnlyList<PropDefinition>>.Empty;
        public IReadOnlyList<WorkflowProblem> Warnings { get; init; } = [];
        public IReadOnlyDictionary<string, SourceFacts> Facts { get; init; } = FrozenDictionary<string, SourceFacts>.Empty;
    }

    async Task<ReadFiles> ReadAsync(string name, IReadOnlyDictionary<string, string> files, CancellationToken ct)
    {
        // What an earlier deploy found in the code of the sources is found again.
        files = SourceFacts.AddTo(files, FrozenDictionary<string, SourceFacts>.Empty);
        var read = WorkflowReader.Read(name, files);
        if (read.Definition is not { } definition)
            return new(null, null, read.Problems);
        try
        {
            return await ReadAsync(name, definition, files, ct).ConfigureAwait(false);
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException)
        {
            // The disk is full, or the data directory is no longer writable.
            throw new StoreUnavailableException($"the files of the workflow cannot be written: {x.Message}", x);
        }
    }

    async Task<ReadFiles> ReadAsync(
        string name,
        WorkflowDefinition definition,
        IReadOnlyDictionary<string, string> files,
        CancellationToken ct
    )
    {
        var installed = await packages.InstallAsync(definition, files, null, ct).ConfigureAwait(false);
        if (installed.Problems.Count > 0)
            return new(null, null, installed.Problems);
        var check = await LoadAsync(name, definition, installed.AddLock(files), installed.Folders, ct).ConfigureAwait(false);
        definition = WorkflowReader.Read(name, SourceFacts.AddTo(files, check.Facts)).Definition!;
        return new(definition, installed, check.Problems)
        {
            Props = check.Props,
            Warnings = check.Warnings,
            Facts = check.Facts,
        };
    }

    /// <summary>Returns false if the workflow does not exist.</summary>
    public Task<bool> SetEnabledAsync(string name, bool enabled, CancellationToken ct) =>
        ChangeAsync(() => store.SetEnabledAsync(name, enabled, ct), ct);

    /// <summary>Returns false if the workflow does not exist.</summary>
    public async Task<bool> DeleteAsync(string name, CancellationToken ct)
    {
        WorkflowId? gone = null;
        bool deleted = await ChangeAsync(
                async () =>
                {
                    gone = (await store.GetWorkflowAsync(name, ct).ConfigureAwait(false))?.Id;
                    return await store.DeleteWorkflowAsync(name, ct).ConfigureAwait(false);
                },
                ct
            )
            .ConfigureAwait(false);
        if (deleted && gone is { } id)
            _ = RemoveFilesAsync(id);
        return deleted;
    }

    // Executing runs finish, and may read their files until then.
    async Task RemoveFilesAsync(WorkflowId workflow)
    {
        try
        {
            await runner.RetireAsync(workflow.ToString()).ConfigureAwait(false);
            folder.Remove(workflow);
        }
        catch (OperationCanceledException)
        {
            // The server is stopping; the next start removes them.
        }
    }

    /// <summary>Loads a definition's steps in a worker from a separate folder, and returns their problems.</summary>
    async Task<WorkflowCheck> LoadAsync(
        string name,
        WorkflowDefinition definition,
        IReadOnlyDictionary<string, string> files,
        IReadOnlyDictionary<string, string> installed,
        CancellationToken ct
    )
    {
        using var trial = folder.Trial(files, installed);
        var program = ToProgram("check " + trial.Root, default, name, 0, definition, files, secrets.Current, trial.Root) with
        {
            IsTrial = true,
        };
        var found = await runner.CheckAsync(program, ct).ConfigureAwait(false);
        var sources = await runner.CheckSourcesAsync(program, definition, ct).ConfigureAwait(false);
        return new(
            [
                .. found.Problems.Select(p => new WorkflowProblem($"{p.Name}: {p.Message}", p.File, p.Line, p.Column, p.SourceLine)),
                .. sources.Problems,
            ],
            definition
                .Steps.Zip(found.Props, static (step, props) => (step.Name, Props: PropDefinition.ReadAll(props)))
                .DistinctBy(static step => step.Name)
                .ToDictionary(static step => step.Name, static step => step.Props)
        )
        {
            Facts = sources.Facts,
            Warnings = [.. found.Warnings.Select(static w => new WorkflowProblem(w.Message, w.File, w.Line, w.Column, w.SourceLine))],
        };
    }

    async Task<bool> ChangeAsync(Func<Task<bool>> change, CancellationToken ct)
    {
        using var entry = await changing.EnterAsync(ct).ConfigureAwait(false);
        try
        {
            return await change().ConfigureAwait(false);
        }
        finally
        {
            // Also if it was cancelled: a workflow that is deleted in the store accepts no more events.
            await ReadAsync(CancellationToken.None).ConfigureAwait(false);
        }
    }

    // The store returns a workflow's keys in the order of its triggers.
    static void AddTriggers(
        Dictionary<string, TriggerTarget> found,
        List<ScheduleTarget> scheduled,
        List<EmitTarget> listening,
        Workflow workflow,
        WorkflowVersion version
    )
    {
        foreach (var (trigger, address) in version.Definition.Triggers.Zip(workflow.Triggers))
        {
            if (trigger is HttpTrigger http)
                found[address.Key] = new(version, http, workflow.Enabled);
            else if (trigger is EmitTrigger emit && workflow.Enabled)
                listening.Add(new(version, emit));
            else if (trigger is ScheduleTrigger schedule && workflow.Enabled)
                scheduled.Add(new(version, schedule, address.Key, address.SettledAt));
        }
    }

    enum Installing
    {
        No,
        IfPossible,

        /// <summary>Without the packages it is not ready yet.</summary>
        Required,
    }

    // The packages exist unless their folder was lost. Then a start or a deploy installs them again. A run does not (E3), unless another
    // server has deployed the version.
    async Task<Deployment> PrepareAsync(WorkflowVersion version, SecretSet given, Installing installing, CancellationToken ct)
    {
        var installed =
            installing != Installing.No
                ? await packages.InstallAsync(version.Definition, version.Files, null, ct).ConfigureAwait(false)
                : packages.Find(version.Definition, version.Files);
        if (installed.Problems is [var missing, ..] && installing == Installing.Required)
            throw new IOException($"the packages of {version.Name} version {version.Number} cannot be installed yet: {missing.Message}");
        if (installed.Problems is [var problem, ..])
            log.PackagesMissing(version.Name, version.Number, problem.Message);
        string root = folder.Keep(version, installed.Folders);
        var program = ToProgram(
            $"{version.WorkflowId}/{version.Number}/{given.Revision}",
            version.WorkflowId,
            version.Name,
            version.Number,
            version.Definition,
            version.Files,
            given,
            root
        );
        return new(version, program)
        {
            Sources = version.Definition.Sources.ToDictionary(
                static source => source.Name,
                source => program.OfSource(source, EndpointOf(version.WorkflowId, source))
            ),
        };
    }

    // The key of a source's HTTP interface is kept at redeploys, so a version that is not current has the same.
    string? EndpointOf(WorkflowId workflow, Source source) =>
        source.Facts is not { Http: true } ? null
        : endpoints.GetValueOrDefault((workflow, source.Name)) is { } key ? $"{links.Origin}/hooks/{key}"
        : "";

    WorkerProgram ToProgram(
        string key,
        WorkflowId id,
        string name,
        int version,
        WorkflowDefinition definition,
        IReadOnlyDictionary<string, string> files,
        SecretSet given,
        string root
    ) =>
        new(
            key,
            id.ToString(),
            name,
            version,
            root,
            ProgramSteps.Of(definition, files),
            given.Environment,
            definition.Settings.MemoryMb ?? limits.WorkerMemoryMb,
            definition.Settings.Concurrency
        )
        {
            Content = ProgramSteps.ContentOf(name, files, given.Revision),
            Accounts = given.Accounts,
            AsksAccounts = true,
            Flow = links.For(id),
            CustomResponse = definition.Triggers.Any(static t => t is HttpTrigger { Response.FromRun: true }),
        };
}
