using System.CommandLine;
using Sendoff.Engine;
using Sendoff.Engine.Cluster;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;
using Sendoff.Server;
using Sendoff.Server.Auth;
using Spectre.Console;

namespace Sendoff.Commands;

/// <summary><c>sendoff serve</c>: gets Node.js, opens the data directory, deploys the samples at the first start, and runs the
/// server.</summary>
static class ServeCommand
{
    /// <summary>Maximum number of workflow URLs printed at the start.</summary>
    const int WorkflowsListed = 20;

    /// <summary>The development profile, for commands that read the rules for deliveries. <c>dotnet run</c> adds it before every command;
    /// for other commands it has no effect.</summary>
    public static readonly Option<bool> Development = new("--development")
    {
        Description = "Allow deliveries to this machine (127.0.0.0/8, ::1)",
    };

    static readonly Option<string?> data = new("--data") { Description = "The data directory (setting Data; default: ./.sendoff)" };
    static readonly Option<bool> hold = new("--hold")
    {
        Description = "For a restored backup: pause deliveries, schedules and unfinished runs until `sendoff hold release`",
    };
    static readonly Option<string?> listen = new("--listen")
    {
        Description = "Address to listen on (setting Listen; default: http://localhost:5180)",
    };

    /// <summary>Sets any setting. Available for every command that reads settings.</summary>
    public static readonly Option<string[]> Set = new("--set")
    {
        Description = "Any setting as KEY=VALUE, such as Delivery:Deadline=5s",
        DefaultValueFactory = _ => [],
    };

    public static Command Build()
    {
        var command = new Command("serve", "Run the server: triggers, deliveries, the API and the web UI (the default)")
        {
            data,
            listen,
            hold,
            Development,
            Set,
        };
        command.SetAction(ServeAsync);
        return command;
    }

    /// <summary>Without a command, <c>sendoff</c> runs the server.</summary>
    public static void MakeDefault(RootCommand root)
    {
        root.Add(Development);
        root.Add(data);
        root.Add(listen);
        root.Add(hold);
        root.Add(Set);
        // `dotnet run -- --version` is `sendoff --development --version`.
        root.Options.OfType<VersionOption>().Single().Validators.Clear();
        root.SetAction(ServeAsync);
    }

    static async Task<int> ServeAsync(ParseResult parsed, CancellationToken ct)
    {
        try
        {
            // A server whose work was taken over by others discards it and joins again.
            bool isRemoved;
            do
            {
                var (settings, listening, engine) = await PrepareAsync(parsed, ct);
                isRemoved = await ServeAsync(settings, listening, engine, ct);
            } while (isRemoved && !ct.IsCancellationRequested);
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // The server was stopped before it had started.
        }
        catch (StoreUnavailableException x)
        {
            throw new CommandException(x.Message, ExitCode.Usage);
        }
        return ExitCode.Ok;
    }

    static async Task<(Settings, Listening, EngineOptions)> PrepareAsync(ParseResult parsed, CancellationToken ct)
    {
        var (settings, warnings) = Settings.Load(Flags(parsed), parsed.GetValue(Development));
        foreach (string warning in warnings)
            Output.Warning(warning);
        if (settings.OpenFiles.Limit < OpenFiles.Fewest)
            throw new CommandException(
                $"this process can have {settings.OpenFiles.Limit:N0} open files, but a server needs at least {OpenFiles.Fewest:N0}; "
                    + "raise the limit (ulimit -n, LimitNOFILE=)",
                ExitCode.Usage
            );
        if (RuntimeDiagnostics.WhyOpen() is { } open)
            Output.Warning(open);
        var egress = EgressSetup.Create(settings);
        string folder = DataDirectory.Prepare(settings.Data);
        RequireForDatabase(settings);
        if (settings.Database is null && DataDirectory.LostDatabase(folder) is { } lost)
            Output.Warning(lost);
        var cipher = SecretKey.Load(settings.SecretsKey, folder);
        var listening = await ServerStart.PrepareAsync(settings, ct);
        Output.Progress.MarkupLineInterpolated($"sendoff: starting with data in {folder}");
        var node = await NodeSetup.EnsureAsync(settings, ct);
        return (
            settings,
            listening,
            new EngineOptions(folder, node, settings.Limits with { DeliveryMaxConcurrent = settings.OpenFiles.Deliveries }, egress, cipher)
            {
                Database = settings.Database,
                Hold = parsed.GetValue(hold),
                Isolation = settings.Isolation,
                Smtp = settings.Smtp,
                S3 = settings.S3,
                PagesOrigin = listening.Pages.GetLeftPart(UriPartial.Authority),
                Origin = (listening.Hooks ?? listening.Pages).GetLeftPart(UriPartial.Authority),
            }
        );
    }

    /// <returns>Whether other servers have taken over the work of this one.</returns>
    static async Task<bool> ServeAsync(Settings settings, Listening listening, EngineOptions engine, CancellationToken ct)
    {
        var builder = ServerEndpoints.CreateBuilder();
        builder
            .Logging.SetMinimumLevel(LogLevel.Warning)
            .AddFilter("Sendoff", LogLevel.Information)
            .AddFilter("Sendoff.Server.Auth.AccessHandler", LogLevel.Warning) // ASP.NET Core's line for each request without a token
            .AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical); // a failed start is reported in one line
        CleanConsoleFormatter.Use(builder);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            listening.Listeners.Bind(kestrel, listening.Certificate);
            kestrel.Limits.MaxConcurrentConnections = kestrel.Limits.MaxConcurrentUpgradedConnections = settings.OpenFiles.Connections;
        });
        builder.Host.ConfigureHostOptions(host =>
        {
            host.ShutdownTimeout = settings.Limits.ShutdownTimeout;
            // Requests in flight wait for runs, so both must stop at the same time.
            host.ServicesStopConcurrently = true;
        });
        builder.LeaveSignalsToCommand();
        builder.Services.AddSendoffEngine(engine);
        builder.Services.AddSendoffServer(
            new ServerOptions
            {
                DataDirectory = engine.DataDirectory,
                Token = settings.AuthToken,
                PublicUrl = settings.PublicUrl,
                HooksUrl = listening.Hooks,
                HasHooksListener = settings.HooksListen.Count > 0,
                SessionAge = settings.SessionAge,
                SessionsMax = settings.SessionsMax,
                Development = settings.Development,
                TrustedProxies = settings.TrustedProxies,
            }
        );
        if (engine.Database is null && DatabaseState.In(engine.DataDirectory).IsEmpty)
            Output.Progress.MarkupLine("sendoff: creating the database");
        await using var app = builder.Build();
        app.MapSendoff();
        using var asked = ct.Register(() =>
            Output.Progress.MarkupLine("sendoff: shutting down; press Ctrl+C or send SIGTERM again to end immediately")
        );
        if (listening.Certificate is { } certificate)
            certificate.Kept += why => app.Logger.CertificateKept(why);
        Termination.ReloadsBy(() => Reload(app, listening.Certificate));
        string addresses = string.Join(", ", settings.Listen.Concat(settings.HooksListen).Select(one => one.Text));
        await ServerStart.RunAsync(app, addresses, () => _ = GreetAsync(app, settings, listening, ct), ct);
        return app.Services.GetRequiredService<ClusterWatch>().IsRemoved;
    }

    static readonly TimeSpan leaseMargin = TimeSpan.FromSeconds(4);

    internal static void RequireForDatabase(Settings settings)
    {
        if (settings.Database is not null)
            RequireForServers(settings);
        else if (settings.Limits.ServerRoles != ServerRoles.All)
            throw new CommandException(
                "Servers:Roles divides the work among servers that share a PostgreSQL database (setting Database); "
                    + "with SQLite there is one server, which has all roles",
                ExitCode.Usage
            );
    }

    // All servers of a database use the same key and token, so they cannot be made in a data folder.
    static void RequireForServers(Settings settings)
    {
        var (lease, deadline) = (settings.Limits.ServerLease, settings.Limits.DeliveryDeadline);
        if (lease < deadline + leaseMargin)
            throw new CommandException(
                $"Servers:Lease is {lease.TotalSeconds:0.#} s; it must be at least 4 s longer than Delivery:Deadline, "
                    + $"which is {deadline.TotalSeconds:0.#} s",
                ExitCode.Usage
            );
        if (settings.Limits.RetentionBytes > 0)
            throw new CommandException(
                "Retention:Size is for SQLite, whose file can shrink. With PostgreSQL, use Retention:Age",
                ExitCode.Usage
            );
        foreach (var (name, value) in new[] { ("Secrets:Key", settings.SecretsKey), ("Auth:Token", settings.AuthToken) })
            if (value is null)
                throw new CommandException(
                    $"with PostgreSQL, set {name} to the same value on every server (docs/cluster.md)",
                    ExitCode.Usage
                );
    }

    static void Reload(WebApplication app, ServerCertificate? certificate)
    {
        if (certificate is null)
            app.Logger.NothingToReload();
        else if (certificate.Reload())
            app.Logger.CertificateReloaded();
    }

    /// <summary>Adds the options for reading the same settings to another command.</summary>
    public static Command WithSettings(Command command)
    {
        command.Add(data);
        command.Add(listen);
        command.Add(Development);
        command.Add(Set);
        return command;
    }

    public static IEnumerable<KeyValuePair<string, string?>> Flags(ParseResult parsed)
    {
        var flags = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        foreach (string pair in parsed.GetValue(Set)!)
        {
            int at = pair.IndexOf('=');
            if (at <= 0)
                throw new CommandException($"--set {pair}: expected KEY=VALUE", ExitCode.Usage);
            Add(flags, pair[..at], pair[(at + 1)..], "--set " + pair[..at]);
        }
        if (parsed.GetValue(data) is { } folder)
            Add(flags, "Data", folder, "--data");
        if (parsed.GetValue(listen) is { } url)
            Add(flags, "Listen", url, "--listen");
        return flags;
    }

    static void Add(Dictionary<string, string?> flags, string key, string value, string flag)
    {
        if (!flags.TryAdd(key, value))
            throw new CommandException(
                $"{flag}: the setting {key} is set twice; set it once, and separate the parts of a list with commas",
                ExitCode.Usage
            );
    }

    static async Task GreetAsync(WebApplication app, Settings settings, Listening listening, CancellationToken ct)
    {
        var (reached, hooks) = (listening.Pages, listening.Hooks);
        var console = Output.Progress;
        string listens = string.Join(", ", settings.Listen.Select(one => one.Text));
        console.MarkupLineInterpolated($"[bold]Sendoff[/] listens on [bold]{listens}[/], data in {Path.GetFullPath(settings.Data)}");
        if (settings.HooksListen.Count > 0)
            console.MarkupLineInterpolated($"  triggers     {string.Join(", ", settings.HooksListen.Select(one => one.Text))}");
        console.MarkupLineInterpolated($"  sign in      {app.Services.GetRequiredService<SignInLinks>().Create(reached)} (once)");
        if (settings.Limits.ServerRoles != ServerRoles.All)
            console.MarkupLineInterpolated($"  roles        {string.Join(", ", RoleNames.Of(settings.Limits.ServerRoles))}");
        string tooFew = settings.OpenFiles.Limit < OpenFiles.Enough ? ". Raise the limit (ulimit -n, LimitNOFILE=)" : "";
        console.MarkupLineInterpolated($"  open files   {settings.OpenFiles}{tooFew}");
        if (settings.Development)
            console.MarkupLine("  development  deliveries to loopback (127.0.0.0/8, ::1) are allowed");
        if (app.Services.GetRequiredService<ServerHold>() is { IsOn: true, Since: { } since })
        {
            console.MarkupLineInterpolated($"  on hold      since {since:u}. Deliveries, schedules and unfinished runs are paused.");
            console.MarkupLine("               Run `sendoff hold release` to resume them.");
        }
        try
        {
            await Samples.DeployAtFirstStartAsync(
                app.Services.GetRequiredService<IStore>(),
                app.Services.GetRequiredService<WorkflowCatalog>(),
                ct
            );
            var workflows = await app.Services.GetRequiredService<IStore>().ListWorkflowsAsync(ct);
            foreach (string name in settings.EgressWorkflows.Keys.Except(workflows.Select(w => w.Name), StringComparer.OrdinalIgnoreCase))
                Output.Warning($"Egress:Workflows:{name} sets rules for a workflow that is not deployed");
            foreach (var workflow in workflows.Take(WorkflowsListed))
            {
                foreach (var trigger in workflow.Triggers.Where(t => t.Type == "http"))
                    console.MarkupLineInterpolated($"  {workflow.Name, -14} {new Uri(hooks ?? reached, "/hooks/" + trigger.Key)}");
            }
            if (workflows.Count > WorkflowsListed)
                console.MarkupLineInterpolated($"  {workflows.Count - WorkflowsListed:N0} more: sendoff workflows list");
            console.MarkupLine("  ready; press Ctrl+C to shut down");
        }
        catch (Exception x) when (x is not OperationCanceledException)
        {
            Output.Warning($"the samples could not be deployed: {x.Message}");
        }
    }
}
