using System.CommandLine;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Secrets;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workers;
using Sendoff.Engine.Workflows;
using Sendoff.Server.Api;

namespace Sendoff.Commands;

/// <summary><c>sendoff run PATH</c>: executes one run in this process, without a server or a database.</summary>
static class RunCommand
{
    sealed record Request(
        string Path,
        string? Event,
        bool DryRun,
        bool Json,
        IReadOnlyList<string> Allow,
        IReadOnlyList<string> Secrets,
        string? Accounts,
        string? Timeout,
        bool Development,
        IReadOnlyList<KeyValuePair<string, string?>> Settings
    );

    public static Command Build()
    {
        var path = new Argument<string>("path") { Description = "A workflow folder or a single step file (.js .mjs .cjs .ts)" };
        var eventText = new Option<string?>("--event") { Description = "The event: a JSON file, JSON text, or - for standard input" };
        var dryRun = new Option<bool>("--dry-run") { Description = "Capture the sends without sending them" };
        var json = new Option<bool>("--json") { Description = "Print only the run document" };
        var allow = new Option<string[]>("--allow")
        {
            Description = "Allow deliveries to this range, such as 127.0.0.0/8",
            DefaultValueFactory = _ => [],
        };
        var secret = new Option<string[]>("--secret")
        {
            Description = "NAME=VALUE for process.env, masked in the output",
            DefaultValueFactory = _ => [],
        };
        var accounts = new Option<string?>("--accounts")
        {
            Description = "A JSON file with the accounts of apps, { app: { field: value } }, masked in the output",
        };
        var timeout = new Option<string?>("--timeout") { Description = "Timeout of the run, such as 30s" };
        var command = new Command("run", "Run a workflow or a step once, without a server")
        {
            path,
            eventText,
            dryRun,
            json,
            allow,
            secret,
            accounts,
            timeout,
            ServeCommand.Development,
            ServeCommand.Set,
        };
        command.SetAction(
            (parsed, ct) =>
                RunAsync(
                    new(
                        parsed.GetValue(path)!,
                        parsed.GetValue(eventText),
                        parsed.GetValue(dryRun),
                        parsed.GetValue(json),
                        parsed.GetValue(allow)!,
                        parsed.GetValue(secret)!,
                        parsed.GetValue(accounts),
                        parsed.GetValue(timeout),
                        parsed.GetValue(ServeCommand.Development),
                        [.. ServeCommand.Flags(parsed)]
                    ),
                    ct
                )
        );
        return command;
    }

    static async Task<int> RunAsync(Request request, CancellationToken ct)
    {
        var (settings, warnings) = Settings.Load(request.Settings, request.Development);
        foreach (string warning in warnings)
            Output.Warning(warning);
        var (root, name, files) = WorkflowFolder.Read(request.Path);
        var definition = WorkflowFolder.Definition(name, files);
        var environment = ReadSecrets(request.Secrets);
        var accounts = await AccountsFile.ReadAsync(request.Accounts, AppAccounts.From(environment), ct);
        byte[] eventJson = await ReadEventAsync(request.Event, ct);
        var limits = settings.Limits with
        {
            WorkersWarm = 0,
            WorkersMax = 1,
            RunTimeout = ReadTimeout(request.Timeout) ?? definition.Settings.Timeout ?? settings.Limits.RunTimeout,
        };
        var egress = EgressSetup.Create(settings, request.Allow);

        var node = await NodeSetup.EnsureAsync(settings, ct);
        using var prepared = await PackageSetup.PrepareAsync(node, settings.Isolation, limits, root, definition, files, ct);
        // Nothing is stored, so a temporary key is enough.
        var concealment = new Concealment(new(RandomNumberGenerator.GetBytes(SecretCipher.KeyBytes)))
        {
            Mask = new([.. environment.Values, .. accounts.Values.SelectMany(static fields => fields.Values)]),
        };
        var stores = new MemoryDataStores(TimeProvider.System);
        await using var pool = new WorkerPool(node, limits, TimeProvider.System, NullLogger<WorkerPool>.Instance)
        {
            Calls = program => new StepStores(stores, program, concealment, limits, TimeProvider.System),
            Isolation = settings.Isolation with
            {
                Readable = [.. Readable(prepared.Root), .. prepared.Packages is { } packages ? (string[])[packages] : []],
            },
        };
        var program = new WorkerProgram(
            "run",
            new WorkflowId(0).ToString(),
            definition.Name,
            0,
            prepared.Root,
            ProgramSteps.Of(definition, files),
            environment,
            definition.Settings.MemoryMb ?? limits.WorkerMemoryMb,
            Concurrency: 1
        )
        {
            Accounts = accounts,
            Flow = new("https://no-server.invalid", RandomNumberGenerator.GetBytes(SecretCipher.KeyBytes)),
            CustomResponse = definition.Triggers.Any(static t => t is HttpTrigger { Response.FromRun: true }),
        };
        var problems = (await pool.CheckAsync(program, ct)).Problems;
        if (problems.Count > 0)
        {
            ProblemPrinter.Print([
                .. problems.Select(p => new WorkflowProblem($"{p.Name}: {p.Message}", p.File, p.Line, p.Column, p.SourceLine)),
            ]);
            return ExitCode.Usage;
        }

        using var sender = new DeliverySender(egress, limits, TimeProvider.System, _ => definition.Name);
        using var objects = new S3Sender(sender, settings.S3, TimeProvider.System);
        var senders = new DeliverySenders(
            sender,
            new Dictionary<SendKind, AttemptMaker>
            {
                [SendKind.Email] = new EmailSender(sender, settings.Smtp, limits, TimeProvider.System).SendAsync,
                [SendKind.S3] = objects.SendAsync,
            }
        );
        var ids = new IdSequence(TimeProvider.System);
        var executed = await ExecuteAsync(pool, program, definition, concealment, limits, ids, eventJson, null, ct);
        var deliveries = await DeliverAsync(senders, executed.Deliveries, request.DryRun, limits, ct);
        // B3: the sends of a segment are delivered at its end.
        while (executed.Run.Suspension is { Kind: not HoldKind.Suspend } suspension)
        {
            await WaitAsync(suspension, executed.Run, ct);
            executed = await ExecuteAsync(
                pool,
                program,
                definition,
                concealment,
                limits,
                ids,
                eventJson,
                StoredResumption.Read(suspension.State.Span, default),
                ct
            );
            deliveries = [.. deliveries, .. await DeliverAsync(senders, executed.Deliveries, request.DryRun, limits, ct)];
        }
        if (executed.Run.Suspension is not null)
            Output.Warning("the run is suspended until its resume_url is called; this requires a server (sendoff serve)");
        Print(RunDocument.From(Masked(new StoredRun(executed.Run, definition.Name, deliveries), concealment.Mask)), request.Json);
        return ToExitCode(executed.Run, deliveries);
    }

    // The step reads its original folder, and the packages that Node.js finds from there.
    static IReadOnlyList<string> Readable(string root)
    {
        // E4: the whole file system would be readable in the sandbox.
        if (Path.GetDirectoryName(root) is null)
            throw new CommandException(
                $"{root} is the root of the file system, and the steps could read all of it; move them to a separate folder",
                ExitCode.Usage
            );
        var list = new List<string> { root };
        for (string? above = Path.GetDirectoryName(root); above is not null; above = Path.GetDirectoryName(above))
            if (Path.Combine(above, "node_modules") is var packages && Directory.Exists(packages))
                list.Add(packages);
        return list;
    }

    static async Task WaitAsync(Suspension suspension, Run run, CancellationToken ct)
    {
        var wait = suspension.Until - TimeProvider.System.GetUtcNow();
        if (wait <= TimeSpan.Zero)
            return;
        Output.Warning(
            $"the step {run.Steps[suspension.Step].Name} suspended the run; it resumes in {wait.TotalSeconds:0.#} s (press Ctrl+C to stop)"
        );
        await Task.Delay(wait < longestTimer ? wait : longestTimer, ct);
    }

    static readonly TimeSpan longestTimer = TimeSpan.FromDays(49);

    static Task<ExecutedRun> ExecuteAsync(
        WorkerPool pool,
        WorkerProgram program,
        WorkflowDefinition definition,
        Concealment concealment,
        EngineLimits limits,
        IdSequence ids,
        byte[] eventJson,
        Resumption? resumption,
        CancellationToken ct
    )
    {
        var version = new WorkflowVersion(
            default,
            definition.Name,
            0,
            default,
            new Dictionary<string, string>(),
            definition with
            {
                Settings = definition.Settings with { Timeout = limits.RunTimeout },
            }
        );
        var received = new Event(new(ids.Next()), WorkspaceId.Default, default, "manual", TimeProvider.System.GetUtcNow(), eventJson);
        return new RunExecutor(pool, concealment, ids, limits, TimeProvider.System).ExecuteAsync(
            new(new(ids.Next()), received, 0) { Resumption = resumption },
            version,
            program,
            null,
            ct
        );
    }

    // The run has ended, so its sends are delivered, in call order and in parallel (B4).
    static async Task<IReadOnlyList<StoredDelivery>> DeliverAsync(
        DeliverySenders sender,
        IReadOnlyList<Delivery> deliveries,
        bool dryRun,
        EngineLimits limits,
        CancellationToken ct
    )
    {
        var results = new StoredDelivery[deliveries.Count];
        using var places = new SemaphoreSlim(limits.DeliveryMaxPerDestination);
        long committed = TimeProvider.System.GetTimestamp();
        await Task.WhenAll(
            deliveries.Select(
                async (delivery, i) =>
                {
                    // Emitted and streamed events have no subscribers here; they need a server.
                    if (
                        dryRun
                        || delivery.Status == DeliveryStatus.Captured
                        || SendKinds.KindOf(delivery.Request.Url) is SendKind.Emit or SendKind.Sse
                    )
                    {
                        results[i] = new(delivery with { Status = DeliveryStatus.Captured }, "", []);
                        return;
                    }
                    await places.WaitAsync(ct);
                    double queueMs = TimeProvider.System.GetElapsedTime(committed).TotalMilliseconds;
                    var attempt = await sender.SendAsync(delivery, 1, queueMs, ct);
                    places.Release();
                    var ended = delivery with { Status = attempt.Status, Error = attempt.Error };
                    results[i] = new(ended, "", attempt.Status == DeliveryStatus.Blocked ? [] : [attempt]);
                }
            )
        );
        return results;
    }

    // C8: the output is masked like a server's records.
    static StoredRun Masked(StoredRun executed, SecretMask secrets)
    {
        var mask = MaskedRecords.MaskOf(executed.Run, [.. executed.Deliveries.Select(d => d.Delivery)], secrets);
        return executed with
        {
            Run = executed.Run.Masked(mask),
            Deliveries =
            [
                .. executed.Deliveries.Select(d =>
                    d with
                    {
                        Delivery = d.Delivery.Masked(mask),
                        Attempts = [.. d.Attempts.Select(a => a.Masked(mask))],
                    }
                ),
            ],
        };
    }

    static void Print(RunDocument document, bool json)
    {
        if (!json)
            RunPrinter.Print(document);
        else if (Output.Stream is { } stream)
        {
            // Serialize to a stream: the document may contain all bodies, and as a string it would take a multiple of their size.
            JsonSerializer.Serialize(stream, document, PlainJsonEncoder.OptionsOf(ApiJson.Default));
            stream.WriteByte((byte)'\n');
        }
        else
            Output.Result(JsonSerializer.Serialize(document, PlainJsonEncoder.OptionsOf(ApiJson.Default)));
    }

    static int ToExitCode(Run run, IReadOnlyList<StoredDelivery> deliveries) =>
        run.Status is not (RunStatus.Succeeded or RunStatus.Suspended) ? ExitCode.RunFailed
        : deliveries.All(d => d.Delivery.Status is DeliveryStatus.Succeeded or DeliveryStatus.Captured) ? ExitCode.Ok
        : ExitCode.DeliveryFailed;

    static Dictionary<string, string> ReadSecrets(IReadOnlyList<string> pairs)
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string pair in pairs)
        {
            int at = pair.IndexOf('=');
            if (at <= 0)
                throw new CommandException($"--secret {pair}: expected NAME=VALUE", ExitCode.Usage);
            environment[pair[..at]] = pair[(at + 1)..];
            if (pair.Length - at - 1 < SecretMask.Shortest)
                Output.Warning($"--secret {pair[..at]}: a value with fewer than {SecretMask.Shortest} characters cannot be masked");
        }
        return environment;
    }

    static TimeSpan? ReadTimeout(string? text) =>
        text is null
            ? null
            : WorkflowReader.ParseDuration(text)
                ?? throw new CommandException($"--timeout {text}: expected a duration such as 30s or 500ms", ExitCode.Usage);

    static async Task<byte[]> ReadEventAsync(string? given, CancellationToken ct)
    {
        const string sample =
            """{"method":"POST","path":"/","query":{},"headers":{},"body":{},"client_ip":"127.0.0.1","url":"http://localhost/"}""";
        string text = given switch
        {
            null => sample,
            _ when given == InputText.StandardInput || Path.Exists(given) => await InputText.ReadAsync(given, ct),
            _ => given,
        };
        string source = given is not null && File.Exists(given) ? given : "--event";
        try
        {
            using var document = JsonDocument.Parse(text, new() { MaxDepth = ApiJson.MaxDepth });
            return Encoding.UTF8.GetBytes(text);
        }
        catch (JsonException x)
        {
            string where = x.LineNumber is { } line ? $" at line {line + 1}, column {x.BytePositionInLine + 1}" : "";
            throw new CommandException(
                $"{source}: neither a file nor valid JSON{where}; give a JSON file, JSON text, or - for standard input",
                ExitCode.Usage
            );
        }
    }
}
