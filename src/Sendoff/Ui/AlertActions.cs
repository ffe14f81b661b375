using System.Globalization;
using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine;
using Sendoff.Engine.Alerts;
using Sendoff.Server.Api;
using Sendoff.Server.Auth;
using Sendoff.Ui.Pages;

namespace Sendoff.Ui;

/// <summary>The page of alerts and the actions of its buttons.</summary>
internal static class AlertActions
{
    static readonly AlertFields blank = new(
        "",
        null,
        [AlertFields.CauseNames[0], AlertFields.CauseNames[1]],
        "webhook",
        [],
        null,
        null,
        null,
        null,
        null
    );

    public static void Map(WebApplication app)
    {
        var alerts = app.MapGroup("/alerts").RequireAuthorization(AccessPolicy.Admin).ExcludeFromDescription();
        alerts.MapGet(
            "",
            (string? edit, AlertRules rules) => edit is not null && Find(edit, rules) is { } rule ? Page(FieldsOf(rule), rule) : Page(blank)
        );
        alerts.MapPost(
            "",
            (HttpRequest request, AlertRules rules, EngineContext engine, CancellationToken ct) =>
                SaveAsync(null, request, rules, engine, ct)
        );
        alerts.MapPost("/{id}", ChangeAsync);
        alerts.MapPost("/{id}/delete", DeleteAsync);
        alerts.MapPost("/{id}/test", TestAsync);
    }

    static async Task<IResult> ChangeAsync(string id, HttpRequest request, AlertRules rules, EngineContext engine, CancellationToken ct) =>
        Find(id, rules) is { } before ? await SaveAsync(before, request, rules, engine, ct) : Gone();

    static async Task<IResult> SaveAsync(
        AlertRule? before,
        HttpRequest request,
        AlertRules rules,
        EngineContext engine,
        CancellationToken ct
    )
    {
        var input = new ApiInput();
        var typed = FieldsOf(await UiEndpoints.FormAsync(request, ct), input);
        var rule = typed.ToRule(input, before, engine);
        string? fault = input.Problem?.Detail ?? await rules.SaveAsync(rule!, ct);
        return fault is null ? Results.LocalRedirect("/alerts") : Page(typed, before, fault);
    }

    static async Task<IResult> DeleteAsync(string id, AlertRules rules, CancellationToken ct) =>
        AlertId.TryParse(id, out var alert) && await rules.DeleteAsync(alert, ct) ? Results.LocalRedirect("/alerts") : Gone();

    /// <summary>Redirects to the run of the message, which shows the delivery.</summary>
    static async Task<IResult> TestAsync(string id, AlertRules rules, AlertSender sender, CancellationToken ct) =>
        Find(id, rules) is { } rule ? Results.LocalRedirect($"/runs/{await sender.TestAsync(rule, ct)}") : Gone();

    static AlertRule? Find(string id, AlertRules rules) => AlertId.TryParse(id, out var alert) ? rules.Find(alert) : null;

    static IResult Gone() => Page(blank, mistake: "This alert does not exist. It may have been deleted.");

    static AlertFields FieldsOf(AlertRule rule) =>
        new(
            rule.Name,
            rule.Workflow,
            AlertFields.NamesOf(rule.Causes),
            Names.Of(rule.Kind),
            rule.Kind == AlertKind.Email ? rule.Target : [],
            rule.ShownUrl,
            (long)rule.Quiet.TotalSeconds,
            rule.Recovered,
            (long?)rule.BacklogAge?.TotalSeconds,
            rule.BacklogRuns
        );

    static AlertFields FieldsOf(IFormCollection form, ApiInput input)
    {
        string type = form["type"].ToString(),
            target = form["target"].ToString().Trim();
        bool isEmail = type == Names.Of(AlertKind.Email);
        string[] addresses = isEmail ? target.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) : [];
        return new(
            form["name"].ToString(),
            form["workflow"].ToString(),
            [.. form["on"].OfType<string>()],
            type,
            addresses,
            isEmail ? null : target,
            Seconds(input, form["quiet"].ToString()),
            form["recovered"] == "true",
            Number(input, "backlogSeconds", form["backlogSeconds"].ToString()),
            Number(input, "backlogRuns", form["backlogRuns"].ToString())
        );
    }

    static long? Seconds(ApiInput input, string minutes)
    {
        if (minutes.Length == 0)
            return null;
        if (double.TryParse(minutes, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double given) && given <= 10_080)
            return (long)Math.Round(given * 60);
        input.Wrong($"The quiet time is '{minutes}'. Expected a number of minutes from 0 to 10080 (7 days).");
        return null;
    }

    static long? Number(ApiInput input, string name, string text)
    {
        if (text.Length == 0)
            return null;
        if (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number))
            return number;
        input.Wrong($"'{name}' is '{text}'. Expected a whole number, at least 1.");
        return null;
    }

    static IResult Page(AlertFields typed, AlertRule? edited = null, string? mistake = null) =>
        new RazorComponentResult<AlertsPage>(
            new Dictionary<string, object?>
            {
                ["Typed"] = typed,
                ["Edited"] = edited,
                ["Mistake"] = mistake,
            }
        )
        {
            StatusCode = mistake is null ? StatusCodes.Status200OK : StatusCodes.Status422UnprocessableEntity,
        };
}
