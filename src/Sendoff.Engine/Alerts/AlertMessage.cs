using System.Buffers;
using System.Text.Json;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Alerts;

/// <summary>A message of an alert. Its text comes from masked records (C8).</summary>
/// <param name="State">The reported state; null for a test.</param>
internal sealed record AlertMessage(AlertRule Rule, string Workflow, AlertState? State, string Subject, string Text, string Link)
{
    const int LongestReason = 500;

    /// <param name="origin">URL of the web UI.</param>
    public static AlertMessage Test(AlertRule rule, string origin) =>
        new(
            rule,
            rule.Workflow ?? "",
            null,
            $"Test of the alert {rule.Name}",
            "This is a test. Messages of this alert arrive here.",
            origin + "/alerts"
        );

    /// <summary>A message with all counts of a state and its recoveries.</summary>
    /// <param name="backlog">The current backlog.</param>
    public static async Task<AlertMessage> OfAsync(
        AlertRule rule,
        string workflow,
        AlertState state,
        string? backlog,
        string origin,
        IStore store,
        CancellationToken ct
    )
    {
        var failed = new List<string>();
        if (state.Runs > 0)
            failed.Add(Count(state.Runs, "run", "runs") + " failed");
        if (state.Deliveries > 0)
            failed.Add(Count(state.Deliveries, "delivery", "deliveries") + " failed");
        if (state.Backlogs > 0)
            failed.Add("backlog");
        var over = (state.Failing | state.Counted) & state.Over;
        failed.AddRange(
            IsRecovered(state) ? ["recovered"] : overWords.Where(one => over.HasFlag(one.Cause)).Select(static one => one.Word)
        );
        string subject = $"{workflow}: {string.Join(", ", failed)}";
        var lines = new List<string>();
        if (state.Runs > 0 && await ReasonOfRunAsync(state.Run, store, ct).ConfigureAwait(false) is { } run)
            lines.Add($"Last failed run: {run}");
        if (state.Deliveries > 0 && await ReasonOfDeliveryAsync(state.Delivery, store, ct).ConfigureAwait(false) is { } delivery)
            lines.Add($"Last failed delivery: {delivery}");
        if (state.Backlogs > 0)
            lines.Add($"Backlog: {backlog ?? "it has ended"}.");
        if (over.HasFlag(AlertCauses.RunFailed))
            lines.Add("The last run succeeded.");
        if (over.HasFlag(AlertCauses.DeliveryFailed))
            lines.Add("The last delivery succeeded.");
        if (over.HasFlag(AlertCauses.Backlog))
            lines.Add("The backlog has ended.");
        string link = origin + await PathOfAsync(workflow, state, store, ct).ConfigureAwait(false);
        return new(rule, workflow, state, subject, string.Join('\n', lines), link);
    }

    /// <summary>Whether all causes that were reported or counted have ended.</summary>
    static bool IsRecovered(AlertState state)
    {
        var reported = state.Failing | state.Counted;
        return (reported & state.Over) != 0 && (reported & ~state.Over) == 0;
    }

    /// <summary>For a cause that has ended while another one has not.</summary>
    static readonly (AlertCauses Cause, string Word)[] overWords =
    [
        (AlertCauses.RunFailed, "runs recovered"),
        (AlertCauses.DeliveryFailed, "deliveries recovered"),
        (AlertCauses.Backlog, "backlog ended"),
    ];

    static string Count(int count, string one, string many) => count == 1 ? $"1 {one}" : $"{count:N0} {many}";

    static async Task<string?> ReasonOfRunAsync(RunId? id, IStore store, CancellationToken ct)
    {
        if (id is not { } run || await store.GetRunOutlineAsync(run, ct).ConfigureAwait(false) is not { Run: var failed })
            return null;
        return Cut(failed.Error is { } error ? $"{error.Name}: {error.Message}" : failed.Message ?? failed.Status.ToString());
    }

    static async Task<string?> ReasonOfDeliveryAsync(DeliveryId? id, IStore store, CancellationToken ct)
    {
        if (id is not { } delivery || await store.GetDeliveryAsync(delivery, ct).ConfigureAwait(false) is not { } failed)
            return null;
        string reason =
            failed.Delivery.Error is { } error ? error.Message
            : failed.Attempts is [.., { Response: { } response }] ? $"responded with {response.Status}"
            : "failed";
        return Cut($"{failed.Delivery.Destination}: {reason}");
    }

    static string Cut(string text) =>
        text.Length <= LongestReason
            ? text
            : text[..(char.IsHighSurrogate(text[LongestReason - 1]) ? LongestReason - 1 : LongestReason)] + "…";

    static async Task<string> PathOfAsync(string workflow, AlertState state, IStore store, CancellationToken ct)
    {
        string name = Uri.EscapeDataString(workflow);
        if (state.Runs == 1 && state.Run is { } run)
            return $"/runs/{run}";
        if (state.Runs > 1)
            return $"/?workflow={name}";
        if (
            state.Deliveries == 1
            && state.Delivery is { } delivery
            && await store.GetDeliveryAsync(delivery, ct).ConfigureAwait(false) is { Delivery: var one }
        )
            return $"/runs/{one.RunId}?send={delivery}";
        if (state.Deliveries > 0 || state.Backlogs > 0)
            return $"/deliveries?workflow={name}" + (state.Deliveries > 0 ? "" : "&status=pending");
        return $"/?workflow={name}";
    }

    /// <summary>The payload: the fields of an email, <c>{ "text": … }</c>, or the complete JSON.</summary>
    public byte[] Body(DateTimeOffset at) =>
        Rule.Kind switch
        {
            AlertKind.Email => Json(json =>
            {
                json.WriteString("subject", $"[Sendoff] {Subject}");
                json.WriteString("text", $"{Text}\n\n{Link}\n\nAlert: {Rule.Name}\n");
                if (Rule.Target.Count == 0)
                    return;
                json.WriteStartArray("to");
                foreach (string address in Rule.Target)
                    json.WriteStringValue(address);
                json.WriteEndArray();
            }),
            AlertKind.Slack => Json(json => json.WriteString("text", $"*{Plain(Subject)}*\n{Plain(Text)}\n{Plain(Link)}")),
            _ => Fields(at),
        };

    /// <summary>The complete JSON, for a webhook and for the record's event.</summary>
    public byte[] Fields(DateTimeOffset at) =>
        Json(json =>
        {
            json.WriteString("alert", Rule.Name);
            json.WriteString("workflow", Workflow.Length > 0 ? Workflow : null);
            json.WriteString("subject", Subject);
            json.WriteString("text", Text);
            json.WriteString("link", Link);
            json.WriteNumber("failedRuns", State?.Runs ?? 0);
            json.WriteNumber("failedDeliveries", State?.Deliveries ?? 0);
            json.WriteBoolean("backlog", State?.Backlogs > 0 && !State.Over.HasFlag(AlertCauses.Backlog));
            json.WriteBoolean("recovered", State is { } state && IsRecovered(state));
            json.WriteBoolean("test", State is null);
            json.WriteString("at", at.UtcDateTime);
        });

    // A step's error must not mention a channel or look like a link.
    static string Plain(string text) =>
        text.Replace("&", "&amp;", StringComparison.Ordinal)
            .Replace("<", "&lt;", StringComparison.Ordinal)
            .Replace(">", "&gt;", StringComparison.Ordinal);

    static byte[] Json(Action<Utf8JsonWriter> write)
    {
        var output = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(output, new JsonWriterOptions { Encoder = PlainJsonEncoder.Instance });
        json.WriteStartObject();
        write(json);
        json.WriteEndObject();
        json.Flush();
        return output.WrittenSpan.ToArray();
    }
}
