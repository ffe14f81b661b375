using System.Globalization;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;
using Sendoff.Server.Api;
using Sendoff.Ui.Controls;

namespace Sendoff.Ui;

/// <summary>A workflow with its recent runs and failures.</summary>
/// <param name="Last">Its newest run.</param>
/// <param name="Hours">The last 24 UTC hours including the current one, oldest first.</param>
/// <param name="Failing">Destinations whose sends failed in the last 24 hours, the worst first.</param>
public sealed record WorkflowRow(
    Workflow Of,
    RunSummary? Last,
    IReadOnlyList<HourOfRuns> Hours,
    IReadOnlyList<FailingDestination> Failing,
    IReadOnlyList<string> Tags
)
{
    /// <summary>Maximum number of failed sends that are read, the newest of all workflows.</summary>
    public const int FailuresLimit = 2_000;
    const int HoursShown = 24;

    public static async Task<(IReadOnlyList<WorkflowRow> Rows, bool AreFailuresCut)> ListAsync(
        IStore store,
        WorkflowCatalog catalog,
        DateTimeOffset now,
        CancellationToken ct
    )
    {
        var workflows = await store.ListWorkflowsAsync(ct);
        if (workflows.Count == 0)
            return ([], false);
        var first = new DateTimeOffset(now.UtcDateTime.Date.AddHours(now.UtcDateTime.Hour + 1 - HoursShown), TimeSpan.Zero);
        var hours = (await store.ListHoursAsync(first, ct)).ToLookup(static hour => hour.Workflow);
        var failures = await store.ListFailuresAsync(now.AddHours(-HoursShown), FailuresLimit, ct);
        var failing = failures.ToLookup(static failure => failure.Workflow);
        var last = (await store.ListLastRunsAsync(ct)).ToDictionary(static run => run.WorkflowName);
        var rows = workflows.Select(workflow => new WorkflowRow(
            workflow,
            last.GetValueOrDefault(workflow.Name),
            HourOfRuns.Each(first, HoursShown, hours[workflow.Name]),
            FailingDestination.Of(failing[workflow.Name]),
            catalog.TagsOf(workflow)
        ));
        return ([.. rows], failures.Count == FailuresLimit);
    }

    /// <summary>Whether a run or a send failed in the last 24 hours, or the last run failed.</summary>
    public bool IsFailing => Failing.Count > 0 || Hours.Any(static hour => hour.Failed > 0) || Last?.Status.IsFailure() == true;

    /// <summary>Whether the text is in the name, a tag or a trigger's key.</summary>
    public bool Matches(string text) =>
        Tags.Concat(Of.Triggers.Select(static trigger => trigger.Key))
            .Append(Of.Name)
            .Any(one => one.Contains(text, StringComparison.OrdinalIgnoreCase));

    public static IReadOnlyList<WorkflowRow> Sorted(IEnumerable<WorkflowRow> rows, string order)
    {
        var byName = rows.OrderBy(static row => row.Of.Name, StringComparer.OrdinalIgnoreCase);
        return order switch
        {
            "name" => [.. byName],
            "recent" => [.. byName.OrderByDescending(static row => row.Last?.StartedAt ?? default)],
            "runs" => [.. byName.OrderByDescending(static row => row.Hours.Sum(static hour => hour.Runs))],
            _ => [.. byName.OrderByDescending(static row => row.IsFailing)],
        };
    }
}

public sealed record HourOfRuns(DateTimeOffset Hour, long Runs, long Failed)
{
    /// <summary>Adds hours without runs.</summary>
    public static IReadOnlyList<HourOfRuns> Each(DateTimeOffset first, int count, IEnumerable<HourRow> rows)
    {
        var found = rows.ToDictionary(static row => row.Hour);
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(i => first.AddHours(i))
                .Select(hour => found.TryGetValue(hour, out var row) ? new HourOfRuns(hour, row.Runs, row.RunsFailed) : new(hour, 0, 0)),
        ];
    }

    public static string Say(long runs, long failed) =>
        runs == 0
            ? "No runs"
            : string.Create(CultureInfo.InvariantCulture, $"{runs:N0} {(runs == 1 ? "run" : "runs")}, {failed:N0} failed");
}

/// <param name="Host">The value for the filter of deliveries; null for a destination without a host.</param>
/// <param name="Status">The status of the sends: failed, blocked or interrupted.</param>
public sealed record FailingDestination(string Name, string? Host, string Status, int Count)
{
    public static IReadOnlyList<FailingDestination> Of(IEnumerable<Outcome> failures) =>
        [
            .. failures
                .GroupBy(static failure => (failure.Destination, failure.Status))
                .Select(group => From(group.Key.Destination, group.Key.Status, group.Count()))
                .OrderByDescending(static one => one.Count)
                .ThenBy(static one => one.Name, StringComparer.Ordinal),
        ];

    public string Url(string workflow) => Words.Url("/deliveries", ("host", Host), ("workflow", workflow), ("status", Status));

    static FailingDestination From(string destination, DeliveryStatus status, int count)
    {
        // Emitted, streamed, mailed and stored sends have no host; the kind is before the colon.
        string? host =
            !destination.Contains("://", StringComparison.Ordinal) || !Uri.TryCreate(destination, UriKind.Absolute, out var url)
                ? null
                : url.Authority;
        return new(host ?? $"$send.{destination.Split(':')[0]}", host, Names.Of(status), count);
    }
}
