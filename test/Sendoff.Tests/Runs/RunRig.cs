using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Accounts;
using Sendoff.Engine.Alerts;
using Sendoff.Engine.Cluster;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Packages;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Sqlite;
using Sendoff.Engine.Workers;
using Sendoff.Engine.Workflows;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Runs;

/// <summary>The engine without its web server: the real store, real workers, real sockets, and a store of which single calls can be made to
/// fail.</summary>
sealed class RunRig : IAsyncDisposable
{
    readonly IStore real;
    readonly WorkerPool workers;
    readonly DeliverySender sender;
    readonly RunRecovery recovery;
    readonly TokenEndpoint endpoint;
    bool stopped;

    RunRig(string folder, EngineLimits limits, TimeProvider time)
    {
        var ids = Ids = new IdSequence(time);
        var concealment = TestSecrets.Concealment();
        real = SqliteStore.Open(Path.Combine(folder, "sendoff.db"), concealment, ids, limits, time, NullLogger<SqliteStore>.Instance);
        (Store, Failing) = FailingStore.Of(real);
        Pacing = new Pacing(limits, time);
        Changes = new ChangeFeed();
        var engine = new EngineContext(ids, limits, time, Changes, Pacing);
        (Quota, Hold) = (new Quota(limits, time), new ServerHold());
        workers = new WorkerPool(TestNode.Runtime, limits, TimeProvider.System, NullLogger<WorkerPool>.Instance)
        {
            Calls = program => new StepAccounts(Tokens!, new StepStores(Store, program, concealment, limits, time)),
            Isolation = new() { Mode = SandboxMode.None },
        };
        Secrets = new SecretCatalog(Store, concealment, ids, time);
        Accounts = new AccountCatalog(Store, concealment, ids, limits, time);
        endpoint = new TokenEndpoint(Sending.Loopback, limits, time);
        var turns = new Turns(Store, engine, NullLogger<Turns>.Instance);
        Tokens = new AccountTokens(Accounts, endpoint, concealment, turns, limits, time, NullLogger<AccountTokens>.Instance);
        Authorizations = new Authorizations(Accounts, endpoint, concealment, limits, time);
        var packages = new PackageFolder(
            Path.Combine(folder, "packages"),
            TestNode.Runtime,
            new(),
            limits,
            NullLogger<PackageFolder>.Instance
        );
        Catalog = new WorkflowCatalog(
            Store,
            workers,
            new ProgramFolder(Path.Combine(folder, "versions")),
            packages,
            Secrets,
            new FlowLinks(concealment, "http://localhost"),
            limits,
            NullLogger<WorkflowCatalog>.Instance
        );
        sender = new DeliverySender(Sending.Loopback, limits, TimeProvider.System);
        Dispatcher = new DeliveryDispatcher(Store, sender, engine, concealment, Hold, NullLogger<DeliveryDispatcher>.Instance);
        Lanes = new RunLanes(engine);
        Acceptance = new RunAcceptance(Store, Catalog, Lanes, concealment, Quota, engine);
        recovery = new RunRecovery(Store, Lanes, Hold, engine, NullLogger<RunRecovery>.Instance);
        var executor = new RunExecutor(workers, concealment, ids, limits, time);
        Completion = new RunCompletion(
            Store,
            new RunPreparation(Store, Catalog, executor, recovery, new(Store, engine, NullLogger<Turns>.Instance), concealment, limits),
            executor,
            Dispatcher,
            Lanes,
            recovery,
            Quota,
            engine,
            NullLogger<RunCompletion>.Instance
        );
        Alerts = new AlertRules(Store, Catalog, new SmtpOptions(), limits);
        AlertSender = new AlertSender(Store, Dispatcher, engine, concealment, "http://sendoff.test");
        AlertWatch = new AlertWatch(Store, Alerts, AlertSender, Catalog, Lanes, engine, Hold, NullLogger<AlertWatch>.Instance);
        QuotaReset = new QuotaReset(Store, Acceptance, Quota, Hold, time, NullLogger<QuotaReset>.Instance);
        Suspensions = new Suspensions(Store, Acceptance, Completion, engine, Hold, NullLogger<Suspensions>.Instance);
        Schedule = new Schedule(Catalog, Acceptance, engine, Hold, NullLogger<Schedule>.Instance);
    }

    public IdSequence Ids { get; }
    public IStore Store { get; }
    public FailingStore Failing { get; }
    public Pacing Pacing { get; }
    public ChangeFeed Changes { get; }
    public SecretCatalog Secrets { get; }
    public AccountCatalog Accounts { get; }
    public AccountTokens Tokens { get; }
    public Authorizations Authorizations { get; }
    public WorkflowCatalog Catalog { get; }
    public DeliveryDispatcher Dispatcher { get; }
    public RunLanes Lanes { get; }
    public RunAcceptance Acceptance { get; }
    public RunCompletion Completion { get; }
    public AlertRules Alerts { get; }
    public AlertSender AlertSender { get; }

    /// <summary>Not started.</summary>
    public AlertWatch AlertWatch { get; }
    public Quota Quota { get; }
    public ServerHold Hold { get; }

    /// <summary>Not started.</summary>
    public QuotaReset QuotaReset { get; }

    /// <summary>Not started.</summary>
    public Suspensions Suspensions { get; }

    /// <summary>Not started.</summary>
    public Schedule Schedule { get; }

    public static async Task<RunRig> StartAsync(string folder, EngineLimits? limits = null, TimeProvider? time = null, bool hold = false)
    {
        var rig = new RunRig(folder, (limits ?? Sending.Patient) with { WorkersWarm = 0 }, time ?? TimeProvider.System);
        await rig.Secrets.LoadAsync(default);
        await rig.Accounts.LoadAsync(default);
        await rig.Hold.StartAsync(rig.Store, hold, time ?? TimeProvider.System, default);
        await rig.Catalog.LoadAsync(default);
        await rig.Dispatcher.StartAsync(default);
        rig.recovery.Start();
        return rig;
    }

    /// <summary>Deploys one step in the older style.</summary>
    public async Task<WorkflowVersion> DeployAsync(string name, string code, string response = "default", string settings = "{}")
    {
        var deployed = await Catalog.DeployAsync(
            name,
            new Dictionary<string, string>
            {
                ["workflow.yaml"] =
                    $"triggers: [ {{ type: http, key: {name}, response: {response} }} ]\nsettings: {settings}\nsteps: [ {{ namespace: "
                    + "step, uses: ./step.js } ]",
                ["step.js"] = code,
            },
            default
        );
        Assert.Empty(deployed.Problems);
        return Catalog.FindTrigger(name)!.Version;
    }

    public async Task<AcceptedRun> AcceptAsync(WorkflowVersion version, string json = "{}") =>
        (await Acceptance.AcceptAsync(version, "http", Encoding.UTF8.GetBytes(json), default))!;

    /// <summary>Waits for the end of a run, whatever its deliveries do.</summary>
    public async Task UntilEndedAsync(RunId id)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Wait.Token);
        // Listening begins before the first look, so that no change falls between the two.
        await using var changes = Changes.ListenAsync(patience.Token).GetAsyncEnumerator(patience.Token);
        var next = changes.MoveNextAsync();
        while ((await real.GetRunAsync(id, patience.Token))?.Run.Status is RunStatus.Queued)
        {
            await next;
            next = changes.MoveNextAsync();
        }
        await patience.CancelAsync();
        try
        {
            await next;
        }
        catch (OperationCanceledException)
        {
            // Nobody listens any more.
        }
    }

    /// <summary>The run once it and every delivery of it have ended.</summary>
    public async Task<StoredRun> EndOfAsync(RunId id)
    {
        StoredRun? run = null;
        await Wait.UntilAsync(
            async () =>
                (run = await real.GetRunAsync(id, default)) is { Run.Status: not (RunStatus.Queued or RunStatus.Held) }
                && run.Deliveries.All(d => d.Delivery.Status is not (DeliveryStatus.Pending or DeliveryStatus.Sending)),
            $"the end of {id}"
        );
        return run!;
    }

    /// <summary>Stops in order, and again out of patience when there is none.</summary>
    public async Task StopAsync(CancellationToken ct)
    {
        stopped = true;
        await Schedule.StopAsync();
        await Suspensions.StopAsync();
        await QuotaReset.StopAsync();
        await Completion.StopAsync(ct);
        await Tokens.StopAsync();
        await Dispatcher.StopAsync(ct);
        await AlertWatch.StopAsync();
    }

    /// <summary>Ends as a crash does: what executes is cut off without a word to the store.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!stopped)
        {
            Failing.Fail(nameof(IStore.TakeBackStartsAsync), new StoreUnavailableException("the server crashed"));
            await StopAsync(new CancellationToken(true));
        }
        await Completion.DisposeAsync();
        await workers.DisposeAsync();
        await real.DisposeAsync();
        Dispatcher.Dispose();
        sender.Dispose();
        endpoint.Dispose();
    }
}
