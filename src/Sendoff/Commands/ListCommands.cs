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
        var command = new Command("workflows", "The deployed workflows")
        {
            Lists.List("/api/v1/workflows", ApiJson.Default.ListDocumentWorkflowDocument, ["name", "version", "enabled", "trigger"],
                w => [w.Name, w.Version.ToString(CultureInfo.InvariantCulture), w.Enabled ? "yes" : "no", w.Triggers.Select(Describe).FirstOrDefault("")]),
            Lists.Act("show", "Show one as JSON", HttpMethod.Get, id => $"/api/v1/workflows/{id}", null),
            Lists.Act("enable", "Let its triggers start runs", HttpMethod.Post, id => $"/api/v1/workflows/{id}/enable", "enabled"),
            Lists.Act("disable", "Let its triggers answer 404", HttpMethod.Post, id => $"/api/v1/workflows/{id}/disable", "disabled"),
            Lists.Act("delete", "Remove it with its history", HttpMethod.Delete, id => $"/api/v1/workflows/{id}", "deleted"),
        };
        return ApiClient.With(command);
    }

    static string Describe(TriggerDocument trigger) => trigger.Url ?? (trigger.NextDueAt is { } due ? $"next due {Lists.Time(due)}" : trigger.Type);
}

/// <summary><c>sendoff runs list | show ID | replay ID | resume ID | cancel ID</c></summary>
static class RunsCommand
{
    public static Command Build()
    {
        var command = new Command("runs", "Runs, newest first")
        {
            Lists.List("/api/v1/runs", ApiJson.Default.ListDocumentRunSummaryDocument, ["run", "status", "workflow", "trigger", "started", "took", "sends"], Row),
            Lists.Show("Show one with its steps, requests and responses", id => $"/api/v1/runs/{id}", ApiJson.Default.RunDocument, RunPrinter.Print),
            Lists.Act("replay", "Run its event again on the current version", HttpMethod.Post, id => $"/api/v1/runs/{id}/replay", "queued again"),
            Lists.Act("release", "Start one that is held over quota", HttpMethod.Post, id => $"/api/v1/runs/{id}/release", "released"),
            Lists.Act("resume", "Let a held run go on now", HttpMethod.Post, id => $"/api/v1/runs/{id}/resume", "goes on"),
            Lists.Act("cancel", "End a held run", HttpMethod.Post, id => $"/api/v1/runs/{id}/cancel", "canceled"),
        };
        return ApiClient.With(command);
    }

    static string[] Row(RunSummaryDocument run) =>
    [
        run.Id, run.Status, run.Workflow, run.Trigger, Lists.Time(run.StartedAt), $"{run.DurationMs:0.0} ms",
        run.Sends == 0 ? "" : $"{run.SendsDelivered} of {run.Sends} delivered" + (run.SendsFailed > 0 ? $", {run.SendsFailed} failed" : ""),
    ];
}

/// <summary><c>sendoff deliveries list | show ID | resend ID…</c></summary>
static class DeliveriesCommand
{
    public static Command Build()
    {
        var command = new Command("deliveries", "Deliveries, newest first")
        {
            Lists.List("/api/v1/deliveries", ApiJson.Default.ListDocumentDeliveryDocument, ["delivery", "status", "workflow", "request", "outcome"], Row),
            Lists.Show("Show one with its attempts", id => $"/api/v1/deliveries/{id}", ApiJson.Default.DeliveryDocument, RunPrinter.Print),
            ResendCommand.Build(),
        };
        return ApiClient.With(command);
    }

    static string[] Row(DeliveryDocument delivery) =>
    [
        delivery.Id, delivery.Status, delivery.Workflow, $"{delivery.Request.Method} {delivery.Request.Url}",
        delivery.Error?.Message ?? (delivery.Attempts is [.., { Response: { } response }] ? response.Status.ToString(CultureInfo.InvariantCulture) : ""),
    ];
}

/// <summary><c>sendoff events list | show ID | send WORKFLOW FILE</c></summary>
static class EventsCommand
{
    public static Command Build()
    {
        var command = new Command("events", "What triggers received, newest first")
        {
            Lists.List("/api/v1/events", ApiJson.Default.ListDocumentEventDocument, ["event", "workflow", "trigger", "received"],
                e => [e.Id, e.Workflow ?? e.WorkflowId, e.Trigger, Lists.Time(e.ReceivedAt)]),
            Lists.Act("show", "Show one as JSON", HttpMethod.Get, id => $"/api/v1/events/{id}", null),
            BuildSend(),
        };
        return ApiClient.With(command);
    }

    static Command BuildSend()
    {
        var workflow = new Argument<string>("workflow") { Description = "The workflow's name" };
        var file = new Argument<string>("file") { Description = "The body: a JSON file, or - for standard input" };
        var whole = new Option<bool>("--event") { Description = "The file is the whole event: start a run by hand, whatever the workflow's triggers are" };
        var test = new Option<bool>("--test") { Description = "As --event, and the run's sends are captured, not delivered" };
        var command = new Command("send", "Post a file to a workflow's HTTP trigger, or start a run by hand") { workflow, file, whole, test };
        command.SetAction(async (parsed, ct) =>
        {
            using var api = ApiClient.From(parsed);
            string body = await InputText.ReadAsync(parsed.GetValue(file)!, ct);
            string name = parsed.GetValue(workflow)!;
            if (parsed.GetValue(whole) || parsed.GetValue(test)) return await StartAsync(api, name, body, parsed.GetValue(test), ct);
            var found = api.Read(await api.SendAsync(HttpMethod.Get, $"/api/v1/workflows/{Uri.EscapeDataString(name)}", null, ct), ApiJson.Default.WorkflowDocument);
            string key = found.Triggers.FirstOrDefault(t => t.Type == "http")?.Key ?? throw new CommandException($"{name} has no HTTP trigger; start it by hand with --event", ExitCode.Usage);
            string answer = await api.SendAsync(HttpMethod.Post, $"/hooks/{Uri.EscapeDataString(key)}", new StringContent(body, null, "application/json"), ct);
            Output.Content(answer.TrimEnd());
            return ExitCode.Ok;
        });
        return command;
    }

    static async Task<int> StartAsync(ApiClient api, string workflow, string json, bool isTest, CancellationToken ct)
    {
        InputText.MustBeJson(json);
        var body = new StringContent($$"""{"event":{{json}},"test":{{(isTest ? "true" : "false")}}}""", null, "application/json");
        string path = $"/api/v1/workflows/{Uri.EscapeDataString(workflow)}/events";
        if (await api.SendAsync(HttpMethod.Post, path, body, ApiJson.Default.ReplayDocument, ct) is { } started) Output.Result(started.Id);
        return ExitCode.Ok;
    }
}

/// <summary>What the commands over the API have in common: a list, one item, an act upon one.</summary>
static class Lists
{
    public static Command List<T>(string path, JsonTypeInfo<ListDocument<T>> type, string[] columns, Func<T, string[]> row) where T : class
    {
        var status = new Option<string?>("--status") { Description = "Only those in this state" };
        var workflow = new Option<string?>("--workflow") { Description = "Only those of this workflow" };
        var limit = new Option<int?>("--limit") { Description = "How many, up to 200 (50)" };
        var follow = new Option<bool>("--follow") { Description = "Follow changes until Ctrl+C" };
        var command = new Command("list", "List them") { status, workflow, limit, follow };
        command.SetAction(async (parsed, ct) =>
        {
            using var api = ApiClient.From(parsed);
            string query = string.Concat(
                Parameter("limit", parsed.GetValue(limit)?.ToString(CultureInfo.InvariantCulture)), Parameter("status", parsed.GetValue(status)),
                Parameter("workflow", parsed.GetValue(workflow)));
            if (await api.GetAsync(path + "?" + query.TrimStart('&'), type, ct) is { } page) PrintTable(page.Items, columns, row);
            if (parsed.GetValue(follow))
            {
                await foreach (string change in api.FollowAsync(ct)) Output.Result(change);
            }
            return ExitCode.Ok;
        });
        return command;
    }

    public static Command Show<T>(string description, Func<string, string> path, JsonTypeInfo<T> type, Action<T> print) where T : class
    {
        var id = new Argument<string>("id");
        var command = new Command("show", description) { id };
        command.SetAction(async (parsed, ct) =>
        {
            using var api = ApiClient.From(parsed);
            if (await api.GetAsync(path(Uri.EscapeDataString(parsed.GetValue(id)!)), type, ct) is { } item) print(item);
            return ExitCode.Ok;
        });
        return command;
    }

    /// <param name="done">What is printed behind the id; null prints the API's answer.</param>
    public static Command Act(string verb, string description, HttpMethod method, Func<string, string> path, string? done)
    {
        var id = new Argument<string>("id");
        var command = new Command(verb, description) { id };
        command.SetAction(async (parsed, ct) =>
        {
            using var api = ApiClient.From(parsed);
            string name = parsed.GetValue(id)!;
            string answer = await api.SendAsync(method, path(Uri.EscapeDataString(name)), null, ct);
            Output.Result(done is null ? answer : $"{name} {done}");
            return ExitCode.Ok;
        });
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
        foreach (string column in columns) table.AddColumn(new TableColumn(new Markup($"[grey]{column}[/]")).NoWrap());
        foreach (var item in items) table.AddRow([.. row(item).Select(static cell => new Markup(TerminalText.Clean(cell.ReplaceLineEndings(" ")).EscapeMarkup()))]);
        Output.Console.Write(table);
    }
}
