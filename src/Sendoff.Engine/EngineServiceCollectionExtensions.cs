using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sendoff.Engine.Accounts;
using Sendoff.Engine.Alerts;
using Sendoff.Engine.Cluster;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Packages;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Secrets;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Postgres;
using Sendoff.Engine.Storage.Sqlite;
using Sendoff.Engine.Workers;

namespace Sendoff.Engine;

/// <summary>Options of the engine.</summary>
/// <param name="DataDirectory">The folder of the database and the files of versions.</param>
/// <param name="Node">Provides the Node.js for workers.</param>
/// <param name="Cipher">Encrypts originals of masked records.</param>
public sealed record EngineOptions(string DataDirectory, NodeRuntime Node, EngineLimits Limits, EgressOptions Egress, SecretCipher Cipher)
{
    /// <summary>Isolation of workers. By default, their folders are in the data directory.</summary>
    public SandboxOptions Isolation { get; init; } = new();

    /// <summary>The mail server.</summary>
    public SmtpOptions Smtp { get; init; } = new();

    /// <summary>The object store.</summary>
    public S3Options S3 { get; init; } = new();

    /// <summary>The connection string of a PostgreSQL database; null for a SQLite file in the data directory.</summary>
    public string? Database { get; init; }

    /// <summary>Starts the server on hold (<see cref="ServerHold"/>).</summary>
    public bool Hold { get; init; }

    /// <summary>URL of the web UI without a trailing slash, for links in alerts.</summary>
    public string PagesOrigin { get; init; } = "http://localhost:5180";

    /// <summary>URL of the server for callers without a trailing slash, for URLs of suspended runs.</summary>
    public string Origin { get; init; } = "http://localhost:5180";
}

/// <summary>Registers all services, in the order of the data flow.</summary>
public static class EngineServiceCollectionExtensions
{
    public static IServiceCollection AddSendoffEngine(this IServiceCollection services, EngineOptions options)
    {
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton(options.Limits);
        services.AddSingleton<ChangeFeed>();
        services.AddSingleton(s => new IdSequence(s.GetRequiredService<TimeProvider>()));
        services.AddSingleton<Pacing>();
        services.AddSingleton(new Concealment(options.Cipher));
        services.AddSingleton<EngineContext>();
        services.AddSingleton<ServerHold>();

        services.AddSingleton(s => OpenStore(s, options));
        services.AddSingleton(new ProgramFolder(Path.Combine(options.DataDirectory, "versions")));
        services.AddSingleton(s => new PackageFolder(
            Path.Combine(options.DataDirectory, "packages"),
            options.Node,
            options.Isolation,
            options.Limits,
            s.GetRequiredService<ILogger<PackageFolder>>()
        ));
        services.AddSingleton<SecretCatalog>();
        services.AddSingleton<AccountCatalog>();
        services.AddSingleton(s => new TokenEndpoint(options.Egress, options.Limits, s.GetRequiredService<TimeProvider>()));
        services.AddSingleton<AccountTokens>();
        services.AddSingleton<Authorizations>();
        services.AddSingleton(s => new WorkerPool(
            options.Node,
            options.Limits,
            s.GetRequiredService<TimeProvider>(),
            s.GetRequiredService<ILogger<WorkerPool>>()
        )
        {
            Isolation = options.Isolation with
            {
                Rooms = options.Isolation.Rooms ?? Path.Combine(options.DataDirectory, "workers"),
                Packages = Path.Combine(Path.GetFullPath(options.DataDirectory), "packages"),
            },
            Calls = program => new StepAccounts(
                s.GetRequiredService<AccountTokens>(),
                new StepStores(
                    s.GetRequiredService<IStore>(),
                    program,
                    s.GetRequiredService<Concealment>(),
                    options.Limits,
                    s.GetRequiredService<TimeProvider>()
                )
            ),
        });
        services.AddSingleton<IStepRunner>(s => s.GetRequiredService<WorkerPool>());
        services.AddSingleton<FileLinks>();
        services.AddSingleton(s => new FlowLinks(s.GetRequiredService<Concealment>(), options.Origin));
        services.AddSingleton<WorkflowCatalog>();
        services.AddSingleton<Quota>();
        services.AddSingleton<RunLanes>();
        services.AddSingleton<RunAcceptance>();
        services.AddSingleton<RunExecutor>();
        services.AddSingleton(options.Egress);
        services.AddSingleton(s => new DeliverySender(
            options.Egress,
            options.Limits,
            s.GetRequiredService<TimeProvider>(),
            s.GetRequiredService<WorkflowCatalog>().NameOf
        ));
        services.AddSingleton<PublicationBell>();
        services.AddSingleton(s => new EmailSender(
            s.GetRequiredService<DeliverySender>(),
            options.Smtp,
            options.Limits,
            s.GetRequiredService<TimeProvider>()
        ));
        services.AddSingleton(s => new S3Sender(s.GetRequiredService<DeliverySender>(), options.S3, s.GetRequiredService<TimeProvider>()));
        services.AddSingleton<SseSender>();
        services.AddSingleton(s => new EmitSender(
            s.GetRequiredService<DeliverySender>(),
            s.GetRequiredService<IStore>(),
            s.GetRequiredService<WorkflowCatalog>(),
            s.GetRequiredService<RunAcceptance>(),
            options.Limits
        ));
        services.AddSingleton(s => new DeliverySenders(
            s.GetRequiredService<DeliverySender>(),
            new Dictionary<SendKind, AttemptMaker>
            {
                [SendKind.Email] = s.GetRequiredService<EmailSender>().SendAsync,
                [SendKind.S3] = s.GetRequiredService<S3Sender>().SendAsync,
                [SendKind.Sse] = s.GetRequiredService<SseSender>().SendAsync,
                [SendKind.Emit] = s.GetRequiredService<EmitSender>().SendAsync,
                [SendKind.Source] = s.GetRequiredService<EmitSender>().SendAsync,
            }
        ));
        services.AddSingleton(s => new DeliveryDispatcher(
            s.GetRequiredService<IStore>(),
            s.GetRequiredService<DeliverySenders>(),
            s.GetRequiredService<EngineContext>(),
            s.GetRequiredService<Concealment>(),
            s.GetRequiredService<ServerHold>(),
            s.GetRequiredService<ILogger<DeliveryDispatcher>>()
        ));
        services.AddSingleton<RunRecovery>();
        services.AddSingleton(s => new RunPreparation(
            s.GetRequiredService<IStore>(),
            s.GetRequiredService<WorkflowCatalog>(),
            s.GetRequiredService<RunExecutor>(),
            s.GetRequiredService<RunRecovery>(),
            s.GetRequiredService<Turns>(),
            s.GetRequiredService<Concealment>(),
            options.Limits
        ));
        services.AddSingleton(s => new RunCompletion(
            s.GetRequiredService<IStore>(),
            s.GetRequiredService<RunPreparation>(),
            s.GetRequiredService<RunExecutor>(),
            s.GetRequiredService<DeliveryDispatcher>(),
            s.GetRequiredService<RunLanes>(),
            s.GetRequiredService<RunRecovery>(),
            s.GetRequiredService<Quota>(),
            s.GetRequiredService<EngineContext>(),
            s.GetRequiredService<ILogger<RunCompletion>>()
        ));
        services.AddSingleton<QuotaReset>();
        services.AddSingleton<Suspensions>();
        services.AddSingleton<Drafts>();
        services.AddSingleton<Schedule>();
        services.AddSingleton<SourceHooks>();
        services.AddSingleton<WorkflowChanges>();
        services.AddSingleton(options.Smtp);
        services.AddSingleton<AlertRules>();
        services.AddSingleton(s => new AlertSender(
            s.GetRequiredService<IStore>(),
            s.GetRequiredService<DeliveryDispatcher>(),
            s.GetRequiredService<EngineContext>(),
            s.GetRequiredService<Concealment>(),
            options.PagesOrigin
        ));
        services.AddSingleton<AlertWatch>();
        services.AddSingleton<Turns>();
        services.AddSingleton<SharedWork>();
        services.AddSingleton<SharedState>();
        services.AddSingleton<ClusterWatch>();
        services.AddSingleton<IStoreCache>(static s => s.GetRequiredService<SecretCatalog>());
        services.AddSingleton<IStoreCache>(static s => s.GetRequiredService<AccountCatalog>());
        services.AddSingleton<IStoreCache>(static s => s.GetRequiredService<WorkflowCatalog>());
        services.AddSingleton<IStoreCache>(static s => s.GetRequiredService<AlertRules>());
        services.AddSingleton<IStoreCache, SharedHold>();

        services.AddSingleton(options);
        services.AddHostedService<EngineService>();
        services.AddHostedService<Retention>();
        return services;
    }

    static IStore OpenStore(IServiceProvider services, EngineOptions options)
    {
        var (concealment, ids) = (services.GetRequiredService<Concealment>(), services.GetRequiredService<IdSequence>());
        var time = services.GetRequiredService<TimeProvider>();
        if (options.Database is not { } database)
            return SqliteStore.Open(
                DatabaseState.PathIn(options.DataDirectory),
                concealment,
                ids,
                options.Limits,
                time,
                services.GetRequiredService<ILogger<SqliteStore>>()
            );
        var log = services.GetRequiredService<ILogger<PostgresStore>>();
        var identity = DataInstance.Take(options.DataDirectory) with
        {
            Roles = options.Limits.ServerRoles,
            Egress = options.Egress.PublicAddresses,
        };
        return PostgresStore.Open(database, identity, new(concealment, ids, options.Limits, time, log));
    }
}

/// <summary>Starts consumers before producers, and stops producers first.</summary>
sealed class EngineService(
    SecretCatalog secrets,
    AccountCatalog accounts,
    AccountTokens tokens,
    WorkflowCatalog catalog,
    WorkerPool workers,
    DeliveryDispatcher dispatcher,
    RunCompletion runs,
    RunRecovery recovery,
    RunLanes lanes,
    QuotaReset quota,
    Suspensions suspensions,
    Schedule schedule,
    SourceHooks hooks,
    AlertRules alerts,
    AlertWatch watch,
    ClusterWatch cluster,
    IStore store,
    ServerHold hold,
    EngineContext engine,
    EngineOptions options,
    ILogger<EngineService> log
) : IHostedService
{
    // An attempt ends shortly after its deadline.
    static readonly TimeSpan attemptEnd = TimeSpan.FromSeconds(1);

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var roles = engine.Limits.ServerRoles;
        if (roles.HasFlag(ServerRoles.Run))
            workers.Warm();
        await cluster.StartAsync(cancellationToken).ConfigureAwait(false);
        await secrets.LoadAsync(cancellationToken).ConfigureAwait(false);
        await accounts.LoadAsync(cancellationToken).ConfigureAwait(false);
        await hold.StartAsync(store, options.Hold, engine.Time, cancellationToken).ConfigureAwait(false);
        await catalog.LoadAsync(cancellationToken).ConfigureAwait(false);
        await dispatcher.StartAsync(cancellationToken).ConfigureAwait(false);
        await quota.StartAsync(releases: roles.HasFlag(ServerRoles.Run), cancellationToken).ConfigureAwait(false);
        await alerts.LoadAsync(cancellationToken).ConfigureAwait(false);
        await watch.StartAsync(cancellationToken).ConfigureAwait(false);
        if (roles.HasFlag(ServerRoles.Run))
        {
            recovery.Start();
            suspensions.Start();
            hooks.Start();
        }
        if (roles.HasFlag(ServerRoles.Ingest))
            schedule.Start();
    }

    /// <summary>Waits for the runs in flight until <paramref name="cancellationToken"/>, then for deliveries in flight, until their
    /// deadline.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        lanes.Close();
        if (cluster.IsRemoved)
            cancellationToken = new(canceled: true);
        log.ShuttingDown(runs.InFlight, dispatcher.InFlight, (engine.Limits.ShutdownTimeout + engine.Limits.DeliveryDeadline).TotalSeconds);
        await schedule.StopAsync().ConfigureAwait(false);
        await hooks.StopAsync().ConfigureAwait(false);
        await suspensions.StopAsync().ConfigureAwait(false);
        await quota.StopAsync().ConfigureAwait(false);
        await runs.StopAsync(cancellationToken).ConfigureAwait(false);
        await tokens.StopAsync().ConfigureAwait(false);
        await cluster.StopAsync().ConfigureAwait(false);
        var deadline = cluster.IsRemoved ? TimeSpan.Zero : engine.Limits.DeliveryDeadline + attemptEnd;
        using var attempts = new CancellationTokenSource(deadline, engine.Time);
        await dispatcher.StopAsync(attempts.Token).ConfigureAwait(false);
        await watch.StopAsync().ConfigureAwait(false);
    }
}
