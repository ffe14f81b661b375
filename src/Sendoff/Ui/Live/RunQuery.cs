using Sendoff.Engine.Storage;
using Sendoff.Server.Api;
using Sendoff.Ui.Controls;

namespace Sendoff.Ui.Live;

/// <summary>The filter of runs in the page's URL.</summary>
public sealed record RunQuery(
    string? Workflow = null,
    string? Status = null,
    string? Sends = null,
    string? Q = null,
    string? Since = null,
    string? Until = null,
    string? Cursor = null
)
{
    public static readonly IReadOnlyList<(string Value, string Text, TimeSpan Span)> Spans =
    [
        ("1h", "Last hour", TimeSpan.FromHours(1)),
        ("24h", "Last 24 hours", TimeSpan.FromDays(1)),
        ("7d", "Last 7 days", TimeSpan.FromDays(7)),
    ];

    /// <summary>The statuses that count as failed, as <see cref="Status"/>.</summary>
    public static string Failures { get; } = string.Join(',', RunStatuses.Failures.Select(Names.Of));

    /// <summary>The options for <see cref="Status"/>.</summary>
    public static IReadOnlyList<(string Value, string Text)> Statuses { get; } =
    [(Failures, "Any failure"), .. Names.All<RunStatus>().Select(static item => (item, Words.Status(item)))];

    public bool IsFiltered => new[] { Workflow, Status, Sends, Q, Since, Cursor }.Any(part => !string.IsNullOrEmpty(part));

    public string Url(string path) =>
        Words.Url(
            path,
            ("workflow", Workflow),
            ("status", Status),
            ("sends", Sends),
            ("q", Q),
            ("since", Since),
            ("until", Until),
            ("cursor", Cursor)
        );

    /// <summary>Null with an error if the filter is invalid.</summary>
    internal RunFilter? Filter(TimeProvider time, out string? mistake)
    {
        var input = new ApiInput();
        var since = SinceOf(input, Since, time);
        if (Sends is not (null or "" or "failed"))
            input.Wrong($"'sends' is '{Sends}'. Expected 'failed', or omit it.");
        var filter = new RunFilter(
            string.IsNullOrEmpty(Workflow) ? null : Workflow,
            input.States<RunStatus>("status", Status),
            since,
            input.Time("until", Until),
            input.Cursor(Cursor),
            ApiInput.LimitDefault
        )
        {
            Text = string.IsNullOrWhiteSpace(Q) ? null : Q.Trim(),
            HasFailedSends = Sends == "failed",
        };
        mistake = input.Problem?.Detail;
        return mistake is null ? filter : null;
    }

    /// <summary>The start of a time span that can be selected.</summary>
    internal static DateTimeOffset? SinceOf(ApiInput input, string? since, TimeProvider time)
    {
        if (string.IsNullOrEmpty(since))
            return null;
        var span = Spans.FirstOrDefault(one => one.Value == since);
        if (span.Value is not null)
            return time.GetUtcNow() - span.Span;
        input.Wrong($"'since' is '{since}'. Expected one of {string.Join(", ", Spans.Select(one => one.Value))}.");
        return null;
    }
}
