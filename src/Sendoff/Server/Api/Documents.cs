using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Sendoff.Engine.Storage;

namespace Sendoff.Server.Api;

/// <summary>The run document (docs/run-document.schema.json), returned by <c>GET /api/v1/runs/{id}</c> and printed by <c>sendoff run
/// --json</c>.</summary>
/// <param name="DeliveryMs">The sum of <c>totalMs</c> of all attempts. It is measured separately and does not count as compute time
/// (E6).</param>
/// <param name="Message">The argument of <c>$end</c> or <c>$.flow.exit</c>, or why the run ended.</param>
public sealed record RunDocument(
    string Id,
    string Workflow,
    int Version,
    string EventId,
    string Trigger,
    string Status,
    DateTimeOffset StartedAt,
    double DurationMs,
    double ComputeMs,
    double DeliveryMs,
    bool Recovered,
    bool Replay,
    ErrorDocument? Error,
    string? Message,
    RunResponseDocument? Response,
    IReadOnlyList<StepDocument> Steps
)
{
    /// <summary>Why and until when the run is or was suspended (B3); null if it never was.</summary>
    public SuspensionDocument? Suspension { get; init; }

    /// <summary>The suspended run that this run continues. This document includes its deliveries.</summary>
    public string? Continues { get; init; }

    /// <summary>The run that continues this one.</summary>
    public string? ContinuedBy { get; init; }

    public static RunDocument From(StoredRun stored)
    {
        var run = stored.Run;
        var byStep = stored.Deliveries.OrderBy(d => d.Delivery.Index).ToLookup(d => d.Delivery.Step);
        return new(
            run.Id.ToString(),
            stored.WorkflowName,
            run.Version,
            run.EventId.ToString(),
            run.Trigger,
            Names.Of(run.Status),
            run.StartedAt,
            Names.Ms(run.Duration),
            Names.Ms(run.Compute),
            Names.Ms(stored.Deliveries.Sum(d => d.Attempts.Sum(a => a.Timing.TotalMs))),
            run.Recovered,
            run.Replay,
            ErrorDocument.From(run.Error),
            run.Message,
            RunResponseDocument.From(run.Response),
            [.. run.Steps.Select(step => StepDocument.From(step, byStep[step.Index]))]
        )
        {
            Suspension = run.Suspension is { } one
                ? new(Names.Of(one.Kind), run.Steps.FirstOrDefault(step => step.Index == one.Step)?.Name, one.Until)
                : null,
            Continues = run.Continues?.ToString(),
            ContinuedBy = run.ContinuedBy?.ToString(),
        };
    }
}

/// <param name="Kind"><c>suspend</c>: the run waits to be resumed, and fails at <paramref name="Until"/>; <c>delay</c>, <c>rerun</c>: it
/// resumes then.</param>
/// <param name="Step">The step that suspended the run.</param>
public sealed record SuspensionDocument(string Kind, string? Step, DateTimeOffset Until);

/// <summary>The response to the caller of the trigger, from <c>$.respond</c>.</summary>
public sealed record RunResponseDocument(
    int Status,
    IReadOnlyDictionary<string, IReadOnlyList<string>> Headers,
    string Body,
    string BodyEncoding
)
{
    public static RunResponseDocument? From(RunResponse? response)
    {
        if (response is null)
            return null;
        var (body, encoding) = BodyText.Of(response.Body);
        return new(response.Status, HeaderLines.Of(response.Headers), body, encoding);
    }
}

/// <param name="Exports">A JSON object: <c>$return_value</c>, <c>$summary</c> and the named exports of the step.</param>
/// <param name="Inputs">The evaluated props of the step; null if it has none.</param>
public sealed record StepDocument(
    string Name,
    int Index,
    string Status,
    double DurationMs,
    JsonElement Exports,
    JsonElement? Inputs,
    IReadOnlyList<LogDocument> Logs,
    IReadOnlyList<WarningDocument> Warnings,
    ErrorDocument? Error,
    IReadOnlyList<DeliveryDocument> Deliveries
)
{
    internal static StepDocument From(StepResult step, IEnumerable<StoredDelivery> deliveries) =>
        new(
            step.Name,
            step.Index,
            Names.Of(step.Status),
            Names.Ms(step.DurationMs),
            RawJson.Parse(step.Exports),
            step.Inputs.IsEmpty ? null : RawJson.Parse(step.Inputs),
            [.. step.Logs.Select(l => new LogDocument(l.Level, l.Text, l.At))],
            [.. step.Warnings.Select(w => new WarningDocument(w.Code, w.Message, w.Line, w.Column))],
            ErrorDocument.From(step.Error),
            [.. deliveries.Select(DeliveryDocument.From)]
        );
}

public sealed record LogDocument(string Level, string Text, DateTimeOffset At);

public sealed record WarningDocument(string Code, string Message, int? Line, int? Column);

public sealed record ErrorDocument(string Name, string Message, string? Code, string? Stack, int? Line, int? Column)
{
    internal static ErrorDocument? From(StepError? error) =>
        error is null ? null : new(error.Name, error.Message, error.Code, error.Stack, error.Line, error.Column);
}

/// <summary>A delivery with its attempts. <paramref name="Request"/> is the request as created;
/// <paramref name="Error"/> is that of the last attempt, or why the delivery was blocked.</summary>
/// <param name="Step">The index of its step in the run.</param>
/// <param name="Destination">The kind of destination: <c>http</c>, <c>email</c>, <c>emit</c>, <c>sse</c>, <c>s3</c>.</param>
public sealed record DeliveryDocument(
    string Id,
    string RunId,
    string Workflow,
    int Step,
    int Index,
    string Destination,
    string Status,
    AttemptErrorDocument? Error,
    RequestDocument Request,
    IReadOnlyList<AttemptDocument> Attempts
)
{
    public static DeliveryDocument From(StoredDelivery stored)
    {
        var delivery = stored.Delivery;
        var request = RequestDocument.From(delivery.Request, delivery.Request.Headers);
        return new(
            delivery.Id.ToString(),
            delivery.RunId.ToString(),
            stored.WorkflowName,
            delivery.Step,
            delivery.Index,
            Names.Of(SendKinds.KindOf(delivery.Request.Url)),
            Names.Of(delivery.Status),
            AttemptErrorDocument.From(delivery.Error),
            request,
            [.. stored.Attempts.Select(a => AttemptDocument.From(a, request))]
        );
    }
}

public sealed record RequestDocument(
    string Method,
    string Url,
    IReadOnlyDictionary<string, IReadOnlyList<string>> Headers,
    string Body,
    string BodyEncoding,
    long BodyBytes
)
{
    /// <summary>The size of the body in bytes if this document omits it because of its size; otherwise absent. <c>GET
    /// /api/v1/deliveries/{id}</c> includes the body.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long BodyLeftOut { get; init; }

    /// <summary>True if this document omits the headers too; otherwise absent. <c>GET /api/v1/deliveries/{id}</c> includes them.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool HeadersLeftOut { get; init; }

    internal static RequestDocument From(HttpSend send, IReadOnlyList<Header> headers)
    {
        var (body, encoding) = BodyText.Of(send.Body);
        return new(send.Method, send.Url, HeaderLines.Of(headers), body, encoding, send.Body.Length + send.BodyLeftOut)
        {
            BodyLeftOut = send.BodyLeftOut,
            HeadersLeftOut = send.HeadersLeftOut,
        };
    }
}

/// <summary>An attempt as sent: <paramref name="Request"/> has every header line.</summary>
/// <param name="Redirects">The followed redirects, in order. <paramref name="Response"/> is the last response.</param>
public sealed record AttemptDocument(
    int Number,
    DateTimeOffset StartedAt,
    string Status,
    RequestDocument Request,
    AttemptResponseDocument? Response,
    AttemptErrorDocument? Error,
    TimingDocument Timing,
    string? LocalAddress,
    string? RemoteAddress,
    bool ConnectionReused,
    IReadOnlyList<RedirectDocument> Redirects
)
{
    internal static AttemptDocument From(Attempt attempt, RequestDocument asked) =>
        new(
            attempt.Number,
            attempt.StartedAt,
            Names.Of(attempt.Status),
            asked with
            {
                Headers = HeaderLines.Of(attempt.RequestHeaders),
                HeadersLeftOut = attempt.ContentLeftOut,
            },
            AttemptResponseDocument.From(attempt.Response, attempt.ContentLeftOut),
            AttemptErrorDocument.From(attempt.Error),
            TimingDocument.From(attempt.Timing),
            attempt.LocalAddress,
            attempt.RemoteAddress,
            attempt.ConnectionReused,
            [.. attempt.Redirects.Select(RedirectDocument.From)]
        );
}

/// <summary>A followed redirect: the request, the status and address of the response, and its target.</summary>
/// <param name="Location">Absolute, without userinfo and fragment.</param>
public sealed record RedirectDocument(string Method, string Url, int Status, string? RemoteAddress, string Location)
{
    internal static RedirectDocument From(RedirectHop hop) => new(hop.Method, hop.Url, hop.Status, hop.RemoteAddress, hop.Location);
}

/// <param name="BodyBytes">Bytes on the wire. <paramref name="Body"/> is decoded and may be cut (<paramref name="Truncated"/>).</param>
public sealed record AttemptResponseDocument(
    int Status,
    string HttpVersion,
    IReadOnlyDictionary<string, IReadOnlyList<string>> Headers,
    string Body,
    string BodyEncoding,
    long BodyBytes,
    bool Truncated
)
{
    /// <summary>The number of stored bytes of the body if this document omits them because of their size; otherwise absent. <c>GET
    /// /api/v1/deliveries/{id}</c> includes them.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long BodyLeftOut { get; init; }

    /// <inheritdoc cref="RequestDocument.HeadersLeftOut"/>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool HeadersLeftOut { get; init; }

    internal static AttemptResponseDocument? From(AttemptResponse? response, bool headersLeftOut)
    {
        if (response is null)
            return null;
        var (body, encoding) = response.BodyIsText
            ? (Encoding.UTF8.GetString(response.Body.Span), BodyText.Utf8)
            : BodyText.Base64(response.Body);
        return new(
            response.Status,
            response.HttpVersion,
            HeaderLines.Of(response.Headers),
            body,
            encoding,
            response.BodyBytes,
            response.Truncated
        )
        {
            BodyLeftOut = response.BodyLeftOut,
            HeadersLeftOut = headersLeftOut,
        };
    }
}

/// <param name="Code">One of the codes of rule C5.</param>
public sealed record AttemptErrorDocument(string Code, string Phase, string Message)
{
    internal static AttemptErrorDocument? From(AttemptError? error) =>
        error is null ? null : new(Names.Of(error.Code), Names.Of(error.Phase), error.Message);
}

/// <summary>The waterfall. A phase that did not happen is null. <paramref name="TotalMs"/> does not include <paramref
/// name="QueueMs"/>.</summary>
public sealed record TimingDocument(
    double QueueMs,
    double? DnsMs,
    double? ConnectMs,
    double? TlsMs,
    double? WriteMs,
    double? WaitMs,
    double? ReadMs,
    double TotalMs
)
{
    internal static TimingDocument From(AttemptTiming t) =>
        new(
            Names.Ms(t.QueueMs),
            Names.Ms(t.DnsMs),
            Names.Ms(t.ConnectMs),
            Names.Ms(t.TlsMs),
            Names.Ms(t.WriteMs),
            Names.Ms(t.WaitMs),
            Names.Ms(t.ReadMs),
            Names.Ms(t.TotalMs)
        );
}

/// <summary>Header lines as <c>{name: [values]}</c>, in the order of their first line. Names that differ only in case are joined.</summary>
static class HeaderLines
{
    public static IReadOnlyDictionary<string, IReadOnlyList<string>> Of(IReadOnlyList<Header> lines)
    {
        var all = new OrderedDictionary<string, IReadOnlyList<string>>(lines.Count, StringComparer.OrdinalIgnoreCase);
        foreach (var line in lines)
        {
            if (all.TryGetValue(line.Name, out var values))
                ((List<string>)values).Add(line.Value);
            else
                all.Add(line.Name, new List<string>(1) { line.Value });
        }
        return all;
    }
}

/// <summary>Body bytes as text if they are UTF-8, otherwise as Base64.</summary>
static class BodyText
{
    public const string Utf8 = "utf8";

    public static (string Body, string Encoding) Of(ReadOnlyMemory<byte> body) =>
        System.Text.Unicode.Utf8.IsValid(body.Span) ? (Encoding.UTF8.GetString(body.Span), Utf8) : Base64(body);

    public static (string Body, string Encoding) Base64(ReadOnlyMemory<byte> body) => (Convert.ToBase64String(body.Span), "base64");
}
