using Sendoff.Engine.Storage;
using Sendoff.Server.Api;
using Sendoff.Ui.Controls;
using Sendoff.Ui.Live;

namespace Sendoff.Ui;

/// <summary>The filter of deliveries in the page's URL.</summary>
public sealed record DeliveryQuery(
    string? Host,
    string? Workflow,
    string? Status,
    string? Code,
    string? Phase,
    string? Since,
    string? Q,
    string? Cursor
)
{
    public static readonly DeliveryQuery All = new(null, null, null, null, null, null, null, null);

    /// <summary>Whether any filter is set, except the page.</summary>
    public bool IsNarrowed => (this with { Cursor = null }).Parts.Any(part => !string.IsNullOrEmpty(part.Value));
    public bool IsFiltered => IsNarrowed || !string.IsNullOrEmpty(Cursor);

    public (string Name, string? Value)[] Parts =>
        [
            ("host", Host),
            ("workflow", Workflow),
            ("status", Status),
            ("code", Code),
            ("phase", Phase),
            ("since", Since),
            ("q", Q),
            ("cursor", Cursor),
        ];

    public string Url(string path, params ReadOnlySpan<(string Name, string? Value)> more) => Words.Url(path, [.. Parts, .. more]);

    /// <summary>The deliveries to a stored destination. An HTTP destination is filtered by host and port, others by their text.</summary>
    public static DeliveryQuery To(string destination, string? since)
    {
        int host = destination.IndexOf("://", StringComparison.Ordinal);
        return host < 0 ? All with { Q = destination, Since = since } : All with { Host = destination[(host + 3)..], Since = since };
    }

    /// <summary>Reads the filter from the hidden fields of a form.</summary>
    public static DeliveryQuery Of(IFormCollection form) =>
        new(form["host"], form["workflow"], form["status"], form["code"], form["phase"], form["since"], form["q"], form["cursor"]);

    /// <summary>Null with an error if the filter is invalid.</summary>
    internal DeliveryFilter? Filter(TimeProvider time, int limit, out string? mistake)
    {
        var input = new ApiInput();
        var filter = new DeliveryFilter(
            Given(Workflow),
            input.State<DeliveryStatus>("status", Status),
            Given(Host),
            Given(Q),
            RunQuery.SinceOf(input, Since, time),
            null,
            input.Cursor(Cursor),
            limit
        )
        {
            Code = input.Code(Code?.Trim()),
            Phase = input.State<AttemptPhase>("phase", Phase),
        };
        mistake = input.Problem?.Detail;
        return mistake is null ? filter : null;
    }

    /// <summary>Whether a selected delivery can be resent: it has ended and was not captured.</summary>
    public static bool IsResendable(DeliveryStatus status) =>
        status is not (DeliveryStatus.Pending or DeliveryStatus.Sending or DeliveryStatus.Captured);

    /// <summary>Whether "resend all" and "select all" include it: succeeded deliveries only if the filter names that status.</summary>
    internal bool Takes(DeliveryStatus status) =>
        Resending.Of(string.IsNullOrEmpty(Status) || !Names.TryParse(Status, out DeliveryStatus named) ? null : named).Contains(status);

    static string? Given(string? text) => string.IsNullOrWhiteSpace(text) ? null : text.Trim();
}
