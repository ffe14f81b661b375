using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine;
using Sendoff.Engine.Alerts;
using Sendoff.Engine.Storage;
using Sendoff.Server.Auth;

namespace Sendoff.Server.Api;

/// <summary>An alert rule.</summary>
/// <param name="Workflow">The workflow to watch; null for all workflows.</param>
/// <param name="On">Any of <c>run_failed</c>, <c>delivery_failed</c>, <c>backlog</c>.</param>
/// <param name="Type"><c>email</c>, <c>webhook</c> or <c>slack</c>.</param>
/// <param name="To">Recipients of an email; empty for <c>Smtp:To</c>.</param>
/// <param name="Url">The URL of a webhook without its query, or of Slack without its path.</param>
/// <param name="QuietSeconds">The quiet time after a message: further failures of the same workflow are counted and reported in one message
/// at its end.</param>
/// <param name="Recovered">Whether a recovery is reported too.</param>
/// <param name="BacklogSeconds">A delivery that is pending for longer is a backlog; null for <c>Alerts:BacklogAge</c>.</param>
/// <param name="BacklogRuns">More queued runs of a workflow are a backlog; null for <c>Alerts:BacklogRuns</c>.</param>
/// <param name="LastToldAt">Time of the last message; null for never. Test messages do not count.</param>
public sealed record AlertDocument(
    string Id,
    string Name,
    string? Workflow,
    IReadOnlyList<string> On,
    string Type,
    IReadOnlyList<string> To,
    string? Url,
    long QuietSeconds,
    bool Recovered,
    long? BacklogSeconds,
    int? BacklogRuns,
    DateTimeOffset? LastToldAt
)
{
    internal static AlertDocument From(AlertRule rule, IEnumerable<AlertState> states) =>
        new(
            rule.Id.ToString(),
            rule.Name,
            rule.Workflow,
            AlertFields.NamesOf(rule.Causes),
            Names.Of(rule.Kind),
            rule.Kind == AlertKind.Email ? rule.Target : [],
            rule.ShownUrl,
            (long)rule.Quiet.TotalSeconds,
            rule.Recovered,
            (long?)rule.BacklogAge?.TotalSeconds,
            rule.BacklogRuns,
            AlertRules.LastTold(states, rule.Id)
        );
}

/// <summary>An alert to create, or the new fields of an alert.</summary>
/// <param name="To">Recipients of an email; if omitted, <c>Smtp:To</c>.</param>
/// <param name="Url">The URL of a webhook or Slack. If a change omits it, it is not changed.</param>
/// <param name="QuietSeconds">0 to 604800; if omitted, <c>Alerts:Quiet</c> (900).</param>
/// <param name="Recovered">If omitted, true.</param>
public sealed record AlertRequestDocument(
    string Name,
    string? Workflow,
    IReadOnlyList<string> On,
    string Type,
    IReadOnlyList<string>? To,
    string? Url,
    long? QuietSeconds,
    bool? Recovered,
    long? BacklogSeconds,
    long? BacklogRuns
);

/// <param name="Run">The run of the test message, with its delivery.</param>
public sealed record AlertTestDocument(string Run);

/// <summary><c>/api/v1/alerts</c>: alerts for failures and backlogs.</summary>
internal static class AlertsApi
{
    static readonly string[] fields =
    [
        "name",
        "workflow",
        "on",
        "type",
        "to",
        "url",
        "quietSeconds",
        "recovered",
        "backlogSeconds",
        "backlogRuns",
    ];

    public static void Map(IEndpointRouteBuilder api)
    {
        var alerts = api.MapGroup("/alerts").WithTags("Alerts");
        alerts.MapGet("/", ListAsync).WithName("listAlerts").WithSummary("Alerts with the time of their last message");
        alerts
            .MapPost("/", CreateAsync)
            .WithName("createAlert")
            .WithSummary("Create an alert")
            .RequireAuthorization(AccessPolicy.Admin)
            .TakesBody<AlertRequestDocument>();
        alerts
            .MapPut("/{id}", ChangeAsync)
            .WithName("changeAlert")
            .WithSummary("Change an alert")
            .RequireAuthorization(AccessPolicy.Admin)
            .TakesBody<AlertRequestDocument>();
        alerts
            .MapDelete("/{id}", DeleteAsync)
            .WithName("deleteAlert")
            .WithSummary("Delete an alert")
            .RequireAuthorization(AccessPolicy.Admin);
        alerts
            .MapPost("/{id}/test", TestAsync)
            .WithName("testAlert")
            .WithSummary("Send a test message of an alert now")
            .RequireAuthorization(AccessPolicy.Admin);
    }

    static async Task<Results<Ok<ListDocument<AlertDocument>>, Problem>> ListAsync(
        HttpRequest request,
        AlertRules rules,
        IStore store,
        CancellationToken ct
    )
    {
        if (ApiInput.Of(request).Problem is { } problem)
            return problem;
        var states = await store.ListAlertStatesAsync(ct);
        return TypedResults.Ok(new ListDocument<AlertDocument>([.. rules.Current.Select(rule => AlertDocument.From(rule, states))], null));
    }

    static Task<Results<Ok<AlertDocument>, Problem>> CreateAsync(
        HttpRequest request,
        AlertRules rules,
        EngineContext engine,
        IStore store,
        CancellationToken ct
    ) => SaveAsync(request, null, rules, engine, store, ct);

    static async Task<Results<Ok<AlertDocument>, Problem>> ChangeAsync(
        string id,
        HttpRequest request,
        AlertRules rules,
        EngineContext engine,
        IStore store,
        CancellationToken ct
    ) => Find(id, rules) is { } before ? await SaveAsync(request, before, rules, engine, store, ct) : Missing(id);

    static async Task<Results<Ok<AlertDocument>, Problem>> SaveAsync(
        HttpRequest request,
        AlertRule? before,
        AlertRules rules,
        EngineContext engine,
        IStore store,
        CancellationToken ct
    )
    {
        var input = ApiInput.Of(request);
        if (await input.ObjectAsync(request, fields, ct) is not { } body)
            return input.Problem!;
        var given = new AlertFields(
            input.Text(body, "name"),
            input.Text(body, "workflow"),
            input.Texts(body, "on") ?? [],
            input.Text(body, "type"),
            input.Texts(body, "to") ?? [],
            input.Text(body, "url"),
            input.Number(body, "quietSeconds"),
            input.Flag(body, "recovered"),
            input.Number(body, "backlogSeconds"),
            input.Number(body, "backlogRuns")
        );
        if (given.ToRule(input, before, engine) is not { } rule)
            return input.Problem!;
        if (await rules.SaveAsync(rule, ct) is { } fault)
            return Problem.BadInput(fault);
        return TypedResults.Ok(AlertDocument.From(rule, await store.ListAlertStatesAsync(ct)));
    }

    static async Task<Results<NoContent, Problem>> DeleteAsync(string id, AlertRules rules, CancellationToken ct) =>
        AlertId.TryParse(id, out var alert) && await rules.DeleteAsync(alert, ct) ? TypedResults.NoContent() : Missing(id);

    static async Task<Results<Ok<AlertTestDocument>, Problem>> TestAsync(
        string id,
        AlertRules rules,
        AlertSender sender,
        CancellationToken ct
    ) => Find(id, rules) is { } rule ? TypedResults.Ok(new AlertTestDocument((await sender.TestAsync(rule, ct)).ToString())) : Missing(id);

    static AlertRule? Find(string id, AlertRules rules) => AlertId.TryParse(id, out var alert) ? rules.Find(alert) : null;

    static Problem Missing(string id) => Problem.NotFound($"There is no alert '{id}'.");
}

/// <summary>Fields of an alert from the API or the form.</summary>
public sealed record AlertFields(
    string? Name,
    string? Workflow,
    IReadOnlyList<string> On,
    string? Type,
    IReadOnlyList<string> To,
    string? Url,
    long? QuietSeconds,
    bool? Recovered,
    long? BacklogSeconds,
    long? BacklogRuns
)
{
    static readonly AlertCauses[] all = [AlertCauses.RunFailed, AlertCauses.DeliveryFailed, AlertCauses.Backlog];

    public static IReadOnlyList<string> CauseNames { get; } =
        NamesOf(AlertCauses.RunFailed | AlertCauses.DeliveryFailed | AlertCauses.Backlog);

    public static IReadOnlyList<string> NamesOf(AlertCauses causes) =>
        [.. all.Where(cause => causes.HasFlag(cause)).Select(static cause => Names.Of(cause))];

    /// <summary>Converts the fields; null if <paramref name="input"/> has a problem. Other checks are made when the alert is
    /// saved.</summary>
    /// <param name="before">The alert to change; null for a new one.</param>
    internal AlertRule? ToRule(ApiInput input, AlertRule? before, EngineContext engine)
    {
        if (Name is null)
            input.Wrong("'name' is missing. Expected a string.");
        if (string.IsNullOrEmpty(Type))
            input.Wrong($"'type' is missing. Expected one of {string.Join(", ", Names.All<AlertKind>())}.");
        var kind = input.State<AlertKind>("type", Type) ?? AlertKind.Email;
        var causes = AlertCauses.None;
        foreach (string name in On)
        {
            var cause = all.FirstOrDefault(one => Names.Of(one) == name);
            if (cause == AlertCauses.None)
                input.Wrong($"'on' contains '{name}'. Expected a list of {string.Join(", ", CauseNames)}.");
            causes |= cause;
        }
        if (kind == AlertKind.Email && !string.IsNullOrEmpty(Url))
            input.Wrong("'url' is only for the types webhook and slack. For an email, use 'to'.");
        if (kind != AlertKind.Email && To.Count > 0)
            input.Wrong("'to' is only for the type email. For a webhook or Slack, use 'url'.");
        var quiet = Span(input, "quietSeconds", QuietSeconds, 0) ?? engine.Limits.AlertQuiet;
        var age = Span(input, "backlogSeconds", BacklogSeconds, 1);
        if (BacklogRuns is < 1 or > int.MaxValue)
            input.Wrong($"'backlogRuns' is {BacklogRuns}. Expected a whole number, at least 1.");
        if (input.Problem is not null)
            return null;
        IReadOnlyList<string> target =
            kind == AlertKind.Email ? To
            : string.IsNullOrEmpty(Url) || Url == before?.ShownUrl
                ? before is not null && before.Kind == kind ? before.Target
                    : []
            : [Url];
        return new(
            before?.Id ?? new(engine.Ids.Next()),
            Name!.Trim(),
            string.IsNullOrEmpty(Workflow) ? null : Workflow,
            causes,
            kind,
            target,
            quiet,
            Recovered ?? true,
            age,
            (int?)BacklogRuns
        );
    }

    static TimeSpan? Span(ApiInput input, string name, long? seconds, int least)
    {
        if (seconds is < 0 or > 604_800 || seconds < least)
            input.Wrong($"'{name}' is {seconds}. Expected a whole number from {least} to 604800 (7 days).");
        return seconds is >= 0 and <= 604_800 ? TimeSpan.FromSeconds(seconds.Value) : null;
    }
}
