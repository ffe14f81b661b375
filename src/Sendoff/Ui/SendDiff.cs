using System.Text.Json;
using Sendoff.Engine;
using Sendoff.Server.Api;

namespace Sendoff.Ui;

public enum SendChange
{
    Same,
    Changed,
    Added,
    Removed,
}

/// <summary>Two sends at the same place of two runs: the same step name and index.</summary>
/// <param name="Parts">The differing parts: <c>method</c>, <c>url</c>, <c>headers</c>, <c>body</c>.</param>
public sealed record SendPair(
    string Step,
    int Index,
    DeliveryDocument? Then,
    DeliveryDocument? Now,
    SendChange Change,
    IReadOnlyList<string> Parts
);

/// <summary>Compares the sends of two runs.</summary>
public static class SendDiff
{
    static readonly JsonSerializerOptions readable = new()
    {
        WriteIndented = true,
        MaxDepth = ApiJson.MaxDepth,
        Encoder = PlainJsonEncoder.Instance,
    };

    public static IReadOnlyList<SendPair> Of(RunDocument then, RunDocument now)
    {
        var (before, after) = (SendsOf(then), SendsOf(now));
        var steps = now.Steps.Concat(then.Steps).Select(static step => step.Name).Distinct().ToList();
        return
        [
            .. before
                .Keys.Union(after.Keys)
                .OrderBy(key => steps.IndexOf(key.Step))
                .ThenBy(static key => key.Index)
                .Select(key => Pair(key.Step, key.Index, before.GetValueOrDefault(key), after.GetValueOrDefault(key))),
        ];
    }

    static Dictionary<(string Step, int Index), DeliveryDocument> SendsOf(RunDocument run) =>
        run
            .Steps.SelectMany(static step => step.Deliveries.Select(send => KeyValuePair.Create((step.Name, send.Index), send)))
            .ToDictionary();

    static SendPair Pair(string step, int index, DeliveryDocument? then, DeliveryDocument? now)
    {
        string[] parts = then is null || now is null ? [] : [.. PartsOf(then.Request, now.Request)];
        var change =
            then is null ? SendChange.Added
            : now is null ? SendChange.Removed
            : parts.Length > 0 ? SendChange.Changed
            : SendChange.Same;
        return new(step, index, then, now, change, parts);
    }

    static IEnumerable<string> PartsOf(RequestDocument then, RequestDocument now)
    {
        if (then.Method != now.Method)
            yield return "method";
        if (then.Url != now.Url)
            yield return "url";
        if (HeaderText(then) != HeaderText(now))
            yield return "headers";
        if (then.Body != now.Body || then.BodyBytes != now.BodyBytes)
            yield return "body";
    }

    /// <summary>A request as one text: request line, headers and formatted body.</summary>
    public static string TextOf(RequestDocument request) => $"{request.Method} {request.Url}\n{HeaderText(request)}\n{BodyText(request)}";

    static string HeaderText(RequestDocument request) =>
        string.Concat(request.Headers.SelectMany(static header => header.Value.Select(value => $"{header.Key}: {value}\n")));

    static string BodyText(RequestDocument request)
    {
        if (request.BodyLeftOut > 0)
            return $"({request.BodyLeftOut:N0} bytes, omitted because of the size)";
        if (request.BodyEncoding == "base64")
            return $"({request.BodyBytes:N0} bytes, not text)";
        return BodyShape.JsonOf(request.Body) is { } json ? JsonSerializer.Serialize(json, readable) : request.Body;
    }
}
