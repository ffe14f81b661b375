using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workflows;
using Sendoff.Server.Triggers;

namespace Sendoff.Server.Api;

/// <summary>A page of a list. <paramref name="NextCursor"/> is the <c>cursor</c> of the next page; null at the end.</summary>
public sealed record ListDocument<T>(IReadOnlyList<T> Items, string? NextCursor)
{
    internal static ListDocument<T> From<TRow>(Page<TRow> page, Func<TRow, T> map) =>
        new([.. page.Items.Select(map)], page.Next?.ToString("x", CultureInfo.InvariantCulture));
}

/// <summary>A run in a list, with counts of its sends. Sends in none of the three counts are in flight.</summary>
/// <param name="SendsDelivered">Sends with a 2xx response.</param>
/// <param name="SendsFailed">Sends that failed, were blocked or were interrupted.</param>
/// <param name="SendsCaptured">Captured sends, which were not delivered on purpose.</param>
public sealed record RunSummaryDocument(
    string Id,
    string Workflow,
    int Version,
    string EventId,
    string Trigger,
    string Status,
    DateTimeOffset StartedAt,
    double DurationMs,
    string? Message,
    int Sends,
    int SendsDelivered,
    int SendsFailed,
    int SendsCaptured
)
{
    internal static RunSummaryDocument From(RunSummary run) =>
        new(
            run.Id.ToString(),
            run.WorkflowName,
            run.Version,
            run.EventId.ToString(),
            run.Trigger,
            Names.Of(run.Status),
            run.StartedAt,
            Names.Ms(run.Duration),
            run.Message,
            run.Sends,
            run.SendsDelivered,
            run.SendsFailed,
            run.SendsCaptured
        );
}

/// <param name="Url">The URL of an HTTP trigger.</param>
/// <param name="Schedule">For an enabled schedule: its cron expression or interval, and its time zone.</param>
/// <param name="NextDueAt">For an enabled schedule.</param>
/// <param name="DueTimes">For an enabled schedule: its next five due times.</param>
public sealed record TriggerDocument(
    string Type,
    string Key,
    string? Url,
    string? Schedule,
    DateTimeOffset? NextDueAt,
    IReadOnlyList<DateTimeOffset>? DueTimes = null
)
{
    const int TimesShown = 5;

    internal static TriggerDocument From(TriggerAddress trigger, string origin, Schedule schedule)
    {
        var times = schedule.DueTimes(trigger.Key, TimesShown);
        string? url = trigger.Type == "http" ? $"{origin}/hooks/{Uri.EscapeDataString(trigger.Key)}" : null;
        return new(trigger.Type, trigger.Key, url, schedule.Find(trigger.Key)?.ToString(), times is [var next, ..] ? next : null, times);
    }
}

/// <param name="StreamUrl">URL of the <c>$send.sse</c> stream. It contains the key, so anyone with the URL can read the stream.</param>
public sealed record WorkflowDocument(
    string Id,
    string Name,
    int Version,
    bool Enabled,
    DateTimeOffset DeployedAt,
    IReadOnlyList<TriggerDocument> Triggers,
    string StreamUrl
)
{
    /// <summary>The key <c>tags</c> in <c>workflow.yaml</c>.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>After a deploy: installed packages whose install scripts were not run (setting <c>Packages:AllowScripts</c>).</summary>
    public IReadOnlyList<string> ScriptsLeftOut { get; init; } = [];

    /// <summary>After a deploy: warnings that runs will get, as far as the source shows them, such as code that reads the response of a
    /// send.</summary>
    public IReadOnlyList<WorkflowProblemDocument> Warnings { get; init; } = [];

    /// <summary>The hooks of its event sources that failed last.</summary>
    public IReadOnlyList<HookFailureDocument> FailedHooks { get; init; } = [];
}

/// <summary>A hook of an event source that failed.</summary>
/// <param name="RetryAt">When it is called again; null if it is not.</param>
public sealed record HookFailureDocument(string Source, string Hook, string Message, string? RunId, DateTimeOffset? RetryAt);

/// <summary>Describes workflows.</summary>
internal sealed class WorkflowDocuments(
    ServerOptions options,
    Schedule schedule,
    StreamKeys streams,
    WorkflowCatalog catalog,
    SourceHooks hooks
)
{
    public WorkflowDocument Of(Workflow workflow, HttpRequest request)
    {
        string origin = Origin.OfHooks(request, options);
        return new(
            workflow.Id.ToString(),
            workflow.Name,
            workflow.Version,
            workflow.Enabled,
            workflow.DeployedAt,
            [.. workflow.Triggers.Select(t => TriggerDocument.From(t, origin, schedule))],
            origin + streams.PathOf(workflow.Id)
        )
        {
            Tags = catalog.TagsOf(workflow),
            FailedHooks =
            [
                .. hooks
                    .FailuresOf(workflow.Id)
                    .Select(static one => new HookFailureDocument(
                        one.Call.Source,
                        one.Call.Hook!,
                        one.Message,
                        one.Run?.ToString(),
                        one.RetryAt
                    )),
            ],
        };
    }
}

/// <summary>An event that a workflow emitted.</summary>
/// <param name="Channel">Empty for an event without a channel.</param>
/// <param name="Event">The payload, with secrets masked (C8).</param>
public sealed record EmitDocument(string DeliveryId, string RunId, string Channel, DateTimeOffset EmittedAt, JsonElement Event)
{
    internal static EmitDocument From(Publication emitted) =>
        new(
            emitted.Delivery.Id.ToString(),
            emitted.Delivery.RunId.ToString(),
            SendKinds.ChannelOf(emitted.Delivery.Request.Url),
            emitted.At,
            RawJson.Parse(emitted.Delivery.Request.Body)
        );
}

/// <param name="Files">Texts by path; null in lists.</param>
public sealed record VersionDocument(string Workflow, int Version, DateTimeOffset DeployedAt, IReadOnlyDictionary<string, string>? Files)
{
    internal static VersionDocument From(StoredVersion version, bool withFiles) =>
        new(version.Name, version.Number, version.DeployedAt, withFiles ? version.Files : null);
}

/// <param name="Changed">Whether the files differ from the current version.</param>
public sealed record DraftDocument(
    string Workflow,
    int CurrentVersion,
    bool Changed,
    DateTimeOffset ChangedAt,
    IReadOnlyDictionary<string, string> Files
)
{
    internal static DraftDocument From(Draft draft) =>
        new(draft.Workflow.Name, draft.Workflow.Version, draft.IsChanged, draft.ChangedAt, draft.Files);
}

public sealed record CheckDocument(IReadOnlyList<WorkflowProblemDocument> Problems)
{
    /// <summary>The same as after a deploy.</summary>
    public IReadOnlyList<WorkflowProblemDocument> Warnings { get; init; } = [];

    internal static CheckDocument From(WorkflowCheck check) =>
        new([.. check.Problems.Select(WorkflowProblemDocument.From)])
        {
            Warnings = [.. check.Warnings.Select(WorkflowProblemDocument.From)],
        };
}

/// <summary>An error in a workflow's files, with its position and a hint.</summary>
public sealed record WorkflowProblemDocument(string Message, string? File, int? Line, int? Column, string? Source, string? Hint)
{
    internal static WorkflowProblemDocument From(WorkflowProblem p) => new(p.Message, p.File, p.Line, p.Column, p.SourceLine, p.Hint);
}

/// <param name="Event">The event that steps see, with credentials and secrets masked (C8).</param>
public sealed record EventDocument(
    string Id,
    string WorkflowId,
    string? Workflow,
    string Trigger,
    DateTimeOffset ReceivedAt,
    JsonElement Event
)
{
    internal static EventDocument From(Event e, string? workflow) =>
        new(e.Id.ToString(), e.WorkflowId.ToString(), workflow, e.Trigger, e.ReceivedAt, RawJson.Parse(e.Json));
}

/// <summary>Compute and delivery time of a workflow on a UTC day, measured separately (E6).</summary>
public sealed record UsageRowDocument(DateOnly Day, string Workflow, long Runs, double ComputeMs, long Deliveries, double DeliveryMs);

public sealed record UsageTotalDocument(long Runs, double ComputeMs, long Deliveries, double DeliveryMs);

/// <param name="Quota">Null if no quota is set.</param>
public sealed record UsageDocument(DateOnly Since, IReadOnlyList<UsageRowDocument> Items, UsageTotalDocument Total, QuotaDocument? Quota);

/// <summary>Today's usage (UTC). A null limit means no limit.</summary>
public sealed record QuotaDocument(
    double ComputeMs,
    double? ComputePerDayMs,
    long Invocations,
    long? InvocationsPerDay,
    DateTimeOffset ResetAt
);

/// <summary>An event that starts a run manually.</summary>
/// <param name="Event">The <c>event</c> for the steps: any JSON; null for an empty object.</param>
/// <param name="Test">Capture the run's sends instead of delivering them.</param>
/// <param name="Draft">Run the draft instead of the current version.</param>
public sealed record ManualEventDocument(JsonElement? Event, bool? Test, bool? Draft);

/// <summary>A suspended run that was resumed or canceled.</summary>
/// <param name="ContinuedBy">The run that continues it; null if it was canceled.</param>
public sealed record ReleaseDocument(string Id, string? ContinuedBy);

/// <inheritdoc cref="ManualEventDocument" path="/param"/>
public sealed record ReplayRequestDocument(bool? Test, bool? Draft);

/// <summary>The run that was started by a replay or a manual event.</summary>
/// <param name="Version">Negative for a draft.</param>
public sealed record ReplayDocument(string Id, string EventId, int Version)
{
    internal static Accepted<ReplayDocument> Of(AcceptedRun accepted)
    {
        string id = accepted.Run.Id.ToString();
        return TypedResults.Accepted($"/api/v1/runs/{id}", new ReplayDocument(id, accepted.Run.Event.Id.ToString(), accepted.Run.Version));
    }
}

/// <param name="Skipped">Ids that were not resent.</param>
/// <param name="Ids">Ids that were resent, in order.</param>
/// <param name="Reasons">Why each id was skipped: <c>unknown</c>, <c>under_way</c>, or its status if that cannot be resent:
/// <c>captured</c>, or with a filter <c>succeeded</c>.</param>
/// <param name="More">The filter matches more, older deliveries than one call resends.</param>
public sealed record ResendDocument(
    int Resent,
    IReadOnlyList<string> Skipped,
    IReadOnlyList<string> Ids,
    IReadOnlyDictionary<string, string> Reasons,
    bool More
);

/// <param name="Type"><c>run</c> or <c>delivery</c>.</param>
public sealed record ChangeDocument(string Type, string Id, string RunId, string Status)
{
    internal static ChangeDocument From(Change change) =>
        change switch
        {
            RunChange run => new("run", run.Run.ToString(), run.Run.ToString(), Names.Of(run.Status)),
            DeliveryChange delivery => new("delivery", delivery.Delivery.ToString(), delivery.Run.ToString(), Names.Of(delivery.Status)),
            _ => throw new ArgumentOutOfRangeException(nameof(change)),
        };
}

/// <param name="Warning">Work that waits, and why; null if there is none.</param>
public sealed record HealthDocument(string Status, string? Warning = null);

/// <summary>The files of a workflow: texts by path, relative to the folder.</summary>
public sealed record DeployDocument(IReadOnlyDictionary<string, string> Files);

/// <summary>The deliveries to resend: by id, or all that match the filter.</summary>
public sealed record ResendRequestDocument(
    IReadOnlyList<string>? Ids,
    string? Status,
    string? Host,
    string? Workflow,
    string? Since,
    string? Until,
    string? Q
);

public sealed record ProblemDocument(
    string Title,
    int Status,
    string Detail,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<WorkflowProblemDocument>? Problems
);
