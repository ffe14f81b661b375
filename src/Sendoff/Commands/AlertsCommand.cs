using System.CommandLine;
using System.CommandLine.Parsing;
using Sendoff.Server.Api;

namespace Sendoff.Commands;

/// <summary><c>sendoff alerts list | add NAME | set ALERT | remove ALERT | test ALERT</c>.</summary>
static class AlertsCommand
{
    static readonly Option<string?> type = new("--type") { Description = "email, webhook or slack" };
    static readonly Option<string[]> on = new("--on")
    {
        Description = "A comma-separated list of run_failed, delivery_failed and backlog",
        CustomParser = CommaSeparated,
        AllowMultipleArgumentsPerToken = true,
    };
    static readonly Option<string?> workflow = new("--workflow") { Description = "Watch only this workflow (default: all)" };
    static readonly Option<string[]> to = new("--to")
    {
        Description = "Comma-separated addresses of an email (Smtp:To)",
        CustomParser = CommaSeparated,
        AllowMultipleArgumentsPerToken = true,
    };
    static readonly Option<string?> url = new("--url") { Description = "URL of a webhook or Slack" };
    static readonly Option<long?> quiet = new("--quiet-seconds")
    {
        Description = "Quiet time in seconds after a message, in which further failures are only counted (default: Alerts:Quiet)",
    };
    static readonly Option<bool?> recovered = new("--recovered")
    {
        Description = "true or false: send a message on recovery (default: true)",
    };
    static readonly Option<long?> backlogSeconds = new("--backlog-seconds")
    {
        Description = "A delivery that is pending for more seconds is a backlog (default: Alerts:BacklogAge)",
    };
    static readonly Option<string[]> reset = new Option<string[]>("--reset")
    {
        Description = "Reset a field to its default",
        AllowMultipleArgumentsPerToken = true,
    }.AcceptOnlyFromAmong("workflow", "to", "quiet-seconds", "recovered", "backlog-seconds", "backlog-runs");
    static readonly Option<long?> backlogRuns = new("--backlog-runs")
    {
        Description = "More queued runs of a workflow are a backlog (default: Alerts:BacklogRuns)",
    };

    static string[] CommaSeparated(ArgumentResult given) =>
        [
            .. given.Tokens.SelectMany(static token =>
                token.Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            ),
        ];

    public static Command Build() =>
        ApiClient.With(
            new Command("alerts", "Manage alerts: messages about failed runs, failed deliveries and backlogs")
            {
                BuildList(),
                BuildAdd(),
                BuildSet(),
                BuildRemove(),
                BuildTest(),
            }
        );

    static Command BuildList()
    {
        var command = new Command("list", "List alerts with the time of their last message");
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                if (await api.GetAsync("/api/v1/alerts", ApiJson.Default.ListDocumentAlertDocument, ct) is { } page)
                    Lists.PrintTable(page.Items, ["alert", "name", "workflow", "on", "type", "to", "last message"], Row);
                return ExitCode.Ok;
            }
        );
        return command;
    }

    static string[] Row(AlertDocument alert) =>
        [
            alert.Id,
            alert.Name,
            alert.Workflow ?? "all",
            string.Join(", ", alert.On),
            alert.Type,
            alert.Url ?? (alert.To.Count > 0 ? string.Join(", ", alert.To) : "Smtp:To"),
            alert.LastToldAt is { } at ? Lists.Time(at) : "never",
        ];

    static Command WithFields(Command command)
    {
        foreach (var option in (Option[])[type, on, workflow, to, url, quiet, recovered, backlogSeconds, backlogRuns])
            command.Add(option);
        return command;
    }

    static Command BuildAdd()
    {
        var name = new Argument<string>("name") { Description = "The alert's name" };
        var command = WithFields(new Command("add", "Create an alert and print its id") { name });
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                var given = new AlertRequestDocument(
                    parsed.GetValue(name)!,
                    parsed.GetValue(workflow),
                    parsed.GetValue(on) ?? [],
                    parsed.GetValue(type) ?? "",
                    parsed.GetValue(to),
                    parsed.GetValue(url),
                    parsed.GetValue(quiet),
                    parsed.GetValue(recovered),
                    parsed.GetValue(backlogSeconds),
                    parsed.GetValue(backlogRuns)
                );
                var body = JsonContent.Create(given, ApiJson.Default.AlertRequestDocument);
                if (await api.SendAsync(HttpMethod.Post, "/api/v1/alerts", body, ApiJson.Default.AlertDocument, ct) is { } made)
                    Output.Result(made.Id);
                return ExitCode.Ok;
            }
        );
        return command;
    }

    static Command BuildSet()
    {
        var alert = AlertArgument();
        var name = new Option<string?>("--name") { Description = "New name" };
        var command = WithFields(new Command("set", "Change the given fields of an alert") { alert, name, reset });
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                var before = await FindAsync(api, parsed.GetValue(alert)!, ct);
                var body = JsonContent.Create(Changed(before, parsed, parsed.GetValue(name)), ApiJson.Default.AlertRequestDocument);
                if (await api.SendAsync(HttpMethod.Put, PathOf(before), body, ApiJson.Default.AlertDocument, ct) is { } set)
                    Output.Result($"{set.Id} set");
                return ExitCode.Ok;
            }
        );
        return command;
    }

    // The type decides which of URL and addresses is kept: the API keeps a URL that the request omits.
    static AlertRequestDocument Changed(AlertDocument before, ParseResult parsed, string? name)
    {
        string kind = parsed.GetValue(type) ?? before.Type;
        return new(
            name ?? before.Name,
            parsed.GetValue(workflow) ?? Kept("workflow", before.Workflow),
            parsed.GetValue(on) is { Length: > 0 } causes ? causes : before.On,
            kind,
            parsed.GetValue(to) is { Length: > 0 } given ? given
                : kind == before.Type ? Kept("to", before.To)
                : [],
            parsed.GetValue(url),
            parsed.GetValue(quiet) ?? Kept<long?>("quiet-seconds", before.QuietSeconds),
            parsed.GetValue(recovered) ?? Kept<bool?>("recovered", before.Recovered),
            parsed.GetValue(backlogSeconds) ?? Kept("backlog-seconds", before.BacklogSeconds),
            parsed.GetValue(backlogRuns) ?? Kept("backlog-runs", before.BacklogRuns)
        );

        T? Kept<T>(string field, T value) => parsed.GetValue(reset)!.Contains(field) ? default : value;
    }

    static Command BuildRemove()
    {
        var alert = AlertArgument();
        var command = new Command("remove", "Delete an alert") { alert };
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                var found = await FindAsync(api, parsed.GetValue(alert)!, ct);
                await api.SendAsync(HttpMethod.Delete, PathOf(found), null, ct);
                Output.Result($"{found.Id} removed");
                return ExitCode.Ok;
            }
        );
        return command;
    }

    static Command BuildTest()
    {
        var alert = AlertArgument();
        var command = new Command("test", "Send a test message now, and print the run that records it") { alert };
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                var found = await FindAsync(api, parsed.GetValue(alert)!, ct);
                if (await api.SendAsync(HttpMethod.Post, PathOf(found) + "/test", null, ApiJson.Default.AlertTestDocument, ct) is { } sent)
                    Output.Result(sent.Run);
                return ExitCode.Ok;
            }
        );
        return command;
    }

    static Argument<string> AlertArgument() => new("alert") { Description = "Id or name of the alert" };

    static string PathOf(AlertDocument alert) => $"/api/v1/alerts/{alert.Id}";

    static async Task<AlertDocument> FindAsync(ApiClient api, string given, CancellationToken ct)
    {
        var all = api.Read(
            await api.SendAsync(HttpMethod.Get, "/api/v1/alerts", null, ct),
            ApiJson.Default.ListDocumentAlertDocument
        ).Items;
        return all.FirstOrDefault(alert => alert.Id == given)
            ?? all.FirstOrDefault(alert => alert.Name == given)
            ?? throw new CommandException($"There is no alert '{given}'. `sendoff alerts list` lists all alerts.", ExitCode.Usage);
    }
}
