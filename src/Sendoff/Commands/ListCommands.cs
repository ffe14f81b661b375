using System.CommandLine;
using System.Globalization;
using System.Text.Json.Serialization.Metadata;
using Sendoff.Server.Api;
using Spectre.Console;

namespace Sendoff.Commands;

/// <summary><c>sendoff workflows list | show NAME | enable NAME | disable NAME | delete NAME</c></summary>
static class WorkflowsCommand
{
    public static Command Build()
    {
        var command = new Command("workflows", "Manage deployed workflows")
        {
            Lists.List(
                "workflows",
                "/api/v1/workflows",
                ApiJson.Default.ListDocumentWorkflowDocument,
                ["name", "version", "enabled", "triggers"],
                w =>
                    [
                        w.Name,
                        w.Version.ToString(CultureInfo.InvariantCulture),
                        w.Enabled ? "yes" : "no",
                        string.Join("; ", w.Triggers.Select(Describe)),
                    ]
            ),
            Lists.Act("show", "Show a workflow as JSON", HttpMethod.Get, name => $"/api/v1/workflows/{name}", null, "name"),
            Lists.Act(
                "enable",
                "Enable a workflow: its triggers start runs",
                HttpMethod.Post,
                name => $"/api/v1/workflows/{name}/enable",
                "enabled",
                "name"
            ),
            Lists.Act(
                "disable",
                "Disable a workflow: its triggers respond with 404",
                HttpMethod.Post,
                name => $"/api/v1/workflows/{name}/disable",
                "disabled",
                "name"
            ),
            Lists.Act(
                "delete",
                "Delete a workflow and its history permanently",
                HttpMethod.Delete,
                name => $"/api/v1/workflows/{name}",
                "deleted",
                "name"
            ),
        };
        return ApiClient.With(command);
    }

    static string Describe(TriggerDocument trigger) =>
        trigger.Url ?? (trigger.NextDueAt is { } due ? $"{trigger.Schedule}, next due {Lists.Minute(due)}" : trigger.Type);
}

/// <summary><c>sendoff runs list | show ID | show --last | replay ID | resume ID | cancel ID</c></summary>
static class RunsCommand
{
    public static Command Build()
    {
        var command = new Command("runs", "Manage runs")
        {
            Lists.List(
                "runs",
                "/api/v1/runs",
                ApiJson.Default.ListDocumentRunSummaryDocument,
                ["run", "status", "workflow", "trigger", "started", "took", "sends"],
                Row,
                "--status",
                "--workflow",
                "--limit",
                "--follow"
            ),
            Lists.Show(
                "Show a run with its steps, requests and responses",
                "/api/v1/runs",
                ApiJson.Default.ListDocumentRunSummaryDocument,
                run => run.Id,
                ApiJson.Default.RunDocument,
                RunPrinter.Print
            ),
            Lists.Act(
                "replay",
                "Start a new run on the current version, with the event of a past run",
                HttpMethod.Post,
                id => $"/api/v1/runs/{id}/replay",
                "queued again"
            ),
            Lists.Act("release", "Start a run that is held over quota", HttpMethod.Post, id => $"/api/v1/runs/{id}/release", "released"),
            Lists.Act("resume", "Resume a suspended run now", HttpMethod.Post, id => $"/api/v1/runs/{id}/resume", "is resumed"),
            Lists.Act("cancel", "End a suspended run as failed", HttpMethod.Post, id => $"/api/v1/runs/{id}/cancel", "canceled"),
        };
        return ApiClient.With(command);
    }

    static string[] Row(RunSummaryDocument run) =>
        [
            run.Id,
            run.Status,
            run.Workflow,
            run.Trigger,
            Lists.Time(run.StartedAt),
            $"{run.DurationMs:0.0} ms",
            run.Sends == 0
                ? ""
                : $"{run.SendsDelivered} of {run.Sends} delivered" + (run.SendsFailed > 0 ? $", {run.SendsFailed} failed" : ""),
        ];
}

/// <summary><c>sendoff deliveries list | show ID | show --last | resend ID…</c></summary>
static class DeliveriesCommand
{
    public static Command Build()
    {
        var command = new Command("deliveries", "Manage deliveries")
        {
            Lists.List(
                "deliveries",
                "/api/v1/deliveries",
                ApiJson.Default.ListDocumentDeliveryDocument,
                ["delivery", "status", "workflow", "request", "outcome"],
                Row,
                "--status",
                "--workflow",
                "--limit",
                "--follow"
            ),
            Lists.Show(
                "Show a delivery with its attempts",
                "/api/v1/deliveries",
                ApiJson.Default.ListDocumentDeliveryDocument,
                delivery => delivery.Id,
                ApiJson.Default.DeliveryDocument,
                RunPrinter.Print
            ),
            ResendCommand.Build(),
        };
        return ApiClient.With(command);
    }

    static string[] Row(DeliveryDocument delivery) =>
        [
            delivery.Id,
            delivery.Status,
            delivery.Workflow,
            $"{delivery.Request.Method} {delivery.Request.Url}",
            delivery.Error?.Message
                ?? (delivery.Attempts is [.., { Response: { } response }] ? response.Status.ToString(CultureInfo.InvariantCulture) : ""),
        ];
}

/// <summary><c>sendoff events list | show ID | send WORKFLOW FILE</c></summary>
static class EventsCommand
{
    public static Command Build()
    {
        var command = new Command("events", "Manage events (the data received by triggers)")
        {
            Lists.List(
                "events",
                "/api/v1/events",
                ApiJson.Default.ListDocumentEventDocument,
                ["event", "workflow", "trigger", "received"],
                e => [e.Id, e.Workflow ?? e.WorkflowId, e.Trigger, Lists.Time(e.ReceivedAt)],
                "--workflow",
                "--limit"
            ),
            Lists.Act("show", "Show an event as JSON", HttpMethod.Get, id => $"/api/v1/events/{id}", null),
            BuildSend(),
        };
        return ApiClient.With(command);
    }

    static Command BuildSend()
    {
        var workflow = new Argument<string>("workflow") { Description = "The workflow's name" };
        var file = new Argument<string>("file") { Description = "The body: a JSON file, or - for standard input" };
        var whole = new Option<bool>("--event")
        {
            Description = "Use the file as the whole event, and start a run whatever the workflow's triggers are",
        };
        var test = new Option<bool>("--test") { Description = "Like --event, but capture the sends of the run instead of delivering them" };
        var command = new Command("send", "Post a file to a workflow's HTTP trigger, or start a run manually")
        {
            workflow,
            file,
            whole,
            test,
        };
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                string body = await InputText.ReadAsync(parsed.GetValue(file)!, ct);
                string name = parsed.GetValue(workflow)!;
                if (parsed.GetValue(whole) || parsed.GetValue(test))
                    return await StartAsync(api, name, body, parsed.GetValue(test), ct);
                var found = api.Read(
                    await api.SendAsync(HttpMethod.Get, $"/api/v1/workflows/{Uri.EscapeDataString(name)}", null, ct),
                    ApiJson.Default.WorkflowDocument
                );
                string key =
                    found.Triggers.FirstOrDefault(t => t.Type == "http")?.Key
                    ?? throw new CommandException($"{name} has no HTTP trigger; start it with --event", ExitCode.Usage);
                string answer = await api.SendAsync(
                    HttpMethod.Post,
                    $"/hooks/{Uri.EscapeDataString(key)}",
                    new StringContent(body, null, "application/json"),
                    ct
                );
                Output.Content(answer.TrimEnd());
                return ExitCode.Ok;
            }
        );
        return command;
    }

    static async Task<int> StartAsync(ApiClient api, string workflow, string json, bool isTest, CancellationToken ct)
    {
        InputText.MustBeJson(json);
        var body = new StringContent($$"""{"event":{{json}},"test":{{(isTest ? "true" : "false")}}}""", null, "application/json");
        string path = $"/api/v1/workflows/{Uri.EscapeDataString(workflow)}/events";
        if (await api.SendAsync(HttpMethod.Post, path, body, ApiJson.Default.ReplayDocument, ct) is { } started)
            Output.Result(started.Id);
        return ExitCode.Ok;
    }
}

/// <summary>Common subcommands for the API: list, show one item, act on one item.</summary>
static class Lists
{
    /// <param name="what">The description in the help.</param>
    /// <param name="options">The options that this path of the API supports.</param>
    public static Command List<T>(
        string what,
        string path,
        JsonTypeInfo<ListDocument<T>> type,
        string[] columns,
        Func<T, string[]> row,
        params string[] options
    )
        where T : class
    {
        var status = new Option<string?>("--status")
        {
            Description = "Only items with this status; for runs, several statuses separated by commas",
        };
        var workflow = new Option<string?>("--workflow") { Description = "Only items of this workflow" };
        var limit = new Option<int?>("--limit") { Description = "Maximum number of items, up to 200 (default: 50)" };
        var follow = new Option<bool>("--follow") { Description = "Follow changes until Ctrl+C" };
        var command = new Command("list", $"List {what}");
        foreach (var option in new Option[] { status, workflow, limit, follow }.Where(option => options.Contains(option.Name)))
            command.Add(option);
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                string query = string.Concat(
                    Parameter("limit", parsed.GetValue(limit)?.ToString(CultureInfo.InvariantCulture)),
                    Parameter("status", parsed.GetValue(status)),
                    Parameter("workflow", parsed.GetValue(workflow))
                );
                if (await api.GetAsync(path + "?" + query.TrimStart('&'), type, ct) is { } page)
                    PrintTable(page.Items, columns, row);
                if (parsed.GetValue(follow))
                {
                    await foreach (string change in api.FollowAsync(ct))
                        Output.Result(change);
                }
                return ExitCode.Ok;
            }
        );
        return command;
    }

    /// <param name="path">The path of the list in the API; an item is below it, by its id.</param>
    public static Command Show<TListed, T>(
        string description,
        string path,
        JsonTypeInfo<ListDocument<TListed>> list,
        Func<TListed, string> idOf,
        JsonTypeInfo<T> type,
        Action<T> print
    )
        where TListed : class
        where T : class
    {
        var id = new Argument<string?>("id") { Description = "The id, as in the list", Arity = ArgumentArity.ZeroOrOne };
        var last = new Option<bool>("--last") { Description = "Show the newest item instead of giving an id" };
        var workflow = new Option<string?>("--workflow") { Description = "With --last: the newest item of this workflow" };
        var command = new Command("show", description) { id, last, workflow };
        command.SetAction(
            async (parsed, ct) =>
            {
                bool isLast = parsed.GetValue(last);
                if (isLast == parsed.GetValue(id) is not null)
                    throw new CommandException("give either an id, or --last for the newest item", ExitCode.Usage);
                if (!isLast && parsed.GetValue(workflow) is not null)
                    throw new CommandException("--workflow requires --last", ExitCode.Usage);
                using var api = ApiClient.From(parsed);
                string chosen = parsed.GetValue(id) ?? await NewestAsync(api, path, parsed.GetValue(workflow), list, idOf, ct);
                if (await api.GetAsync($"{path}/{Uri.EscapeDataString(chosen)}", type, ct) is { } item)
                    print(item);
                return ExitCode.Ok;
            }
        );
        return command;
    }

    static async Task<string> NewestAsync<T>(
        ApiClient api,
        string path,
        string? workflow,
        JsonTypeInfo<ListDocument<T>> type,
        Func<T, string> idOf,
        CancellationToken ct
    )
        where T : class
    {
        var page = api.Read(await api.SendAsync(HttpMethod.Get, $"{path}?limit=1{Parameter("workflow", workflow)}", null, ct), type);
        return page.Items is [var newest, ..]
            ? idOf(newest)
            : throw new CommandException($"there are none yet{(workflow is null ? "" : $" of the workflow {workflow}")}", ExitCode.Usage);
    }

    /// <param name="done">Printed after the id; null prints the API's response.</param>
    /// <param name="argument">The name of the argument in the help.</param>
    public static Command Act(
        string verb,
        string description,
        HttpMethod method,
        Func<string, string> path,
        string? done,
        string argument = "id"
    )
    {
        var id = new Argument<string>(argument);
        var command = new Command(verb, description) { id };
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                string name = parsed.GetValue(id)!;
                string answer = await api.SendAsync(method, path(Uri.EscapeDataString(name)), null, ct);
                Output.Result(done is null ? answer : $"{name} {done}");
                return ExitCode.Ok;
            }
        );
        return command;
    }

    public static string Time(DateTimeOffset time) => time.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss.fff", CultureInfo.InvariantCulture);

    public static string Minute(DateTimeOffset time) => time.ToLocalTime().ToString("ddd yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture);

    static string Parameter(string name, string? value) => value is null ? "" : $"&{name}={Uri.EscapeDataString(value)}";

    public static void PrintTable<T>(IReadOnlyList<T> items, string[] columns, Func<T, string[]> row)
    {
        if (items.Count == 0)
        {
            Output.Console.WriteLine("none");
            return;
        }
        var table = new Table().Border(TableBorder.None);
        foreach (string column in columns)
            table.AddColumn(new TableColumn(new Markup($"[grey]{column}[/]")).NoWrap());
        foreach (var item in items)
            table.AddRow([.. row(item).Select(static cell => new Markup(TerminalText.Clean(cell.ReplaceLineEndings(" ")).EscapeMarkup()))]);
        Output.Console.Write(table);
    }
}
