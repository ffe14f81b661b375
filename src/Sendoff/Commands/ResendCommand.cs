using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Sendoff.Engine.Workflows;
using Sendoff.Server.Api;

namespace Sendoff.Commands;

/// <summary><c>sendoff deliveries resend ID… | --status … --host … --workflow … --since … --until … --url …</c></summary>
static class ResendCommand
{
    public static Command Build()
    {
        var ids = new Argument<string[]>("id") { Description = "Ids of deliveries", Arity = ArgumentArity.ZeroOrMore };
        var status = new Option<string?>("--status")
        {
            Description = "Only deliveries with this status (default: failed, blocked and interrupted)",
        };
        var host = new Option<string?>("--host") { Description = "Only deliveries to this host, or HOST:PORT" };
        var workflow = new Option<string?>("--workflow") { Description = "Only deliveries of this workflow" };
        var url = new Option<string?>("--url") { Description = "Only deliveries with this text in the URL" };
        var since = new Option<string?>("--since")
        {
            Description = "Only deliveries committed since a time, a date, or an age (2h, 30m, 7d)",
        };
        var until = new Option<string?>("--until") { Description = "Only deliveries committed before a time, a date, or an age" };
        var captured = new Option<bool>("--captured") { Description = "With one id: send a captured delivery" };
        var command = new Command("resend", "Resend deliveries by id or filter, each with a new attempt")
        {
            ids,
            status,
            host,
            workflow,
            url,
            since,
            until,
            captured,
        };
        command.SetAction(
            async (parsed, ct) =>
            {
                string[] chosen = parsed.GetValue(ids) ?? [];
                var filter = new ResendRequestDocument(
                    null,
                    parsed.GetValue(status),
                    parsed.GetValue(host),
                    parsed.GetValue(workflow),
                    Moment(parsed.GetValue(since)),
                    Moment(parsed.GetValue(until)),
                    parsed.GetValue(url)
                );
                bool isFiltered = filter != new ResendRequestDocument(null, null, null, null, null, null, null);
                if (isFiltered == chosen.Length > 0)
                    throw new CommandException("give either ids, or a filter such as --status failed", ExitCode.Usage);
                if (parsed.GetValue(captured) && chosen.Length != 1)
                    throw new CommandException("--captured requires one id and no filter", ExitCode.Usage);
                using var api = ApiClient.From(parsed);
                if (parsed.GetValue(captured))
                    return await ResendCapturedAsync(api, chosen[0], ct);
                return await ResendAsync(api, isFiltered ? filter : filter with { Ids = chosen }, ct);
            }
        );
        return command;
    }

    static async Task<int> ResendAsync(ApiClient api, ResendRequestDocument which, CancellationToken ct)
    {
        var body = JsonContent.Create(which, ResendJson.Default.ResendRequestDocument);
        var done = await SendAsync(api, "/api/v1/deliveries/resend", body, ct);
        // A skipped delivery is an error only if its id was given. With a filter, some deliveries may already be in flight.
        return which.Ids is not null && done.Skipped.Count > 0 ? ExitCode.Usage : ExitCode.Ok;
    }

    static async Task<int> ResendCapturedAsync(ApiClient api, string id, CancellationToken ct)
    {
        await SendAsync(api, $"/api/v1/deliveries/{Uri.EscapeDataString(id)}/resend?captured=true", null, ct);
        return ExitCode.Ok;
    }

    static async Task<ResendDocument> SendAsync(ApiClient api, string path, HttpContent? body, CancellationToken ct)
    {
        string answer = await api.SendAsync(HttpMethod.Post, path, body, ct);
        var done = api.Read(answer, ApiJson.Default.ResendDocument);
        if (api.AsJson)
            Output.Result(answer);
        else
            Print(done);
        return done;
    }

    static void Print(ResendDocument done)
    {
        foreach (string id in done.Ids)
            Output.Result($"Resent {id}");
        foreach (var (id, reason) in done.Reasons)
            Output.Result($"Skipped {id}: {Why(reason)}");
        if (done.Resent + done.Skipped.Count != 1)
            Output.Result($"{done.Resent} resent, {done.Skipped.Count} skipped");
        if (done.More)
            Output.Warning("the filter matches more, older deliveries; each call resends the newest. Continue with --until");
    }

    static string Why(string reason) =>
        reason switch
        {
            "unknown" => "it does not exist",
            "under_way" => "it is already pending or being sent",
            "captured" => "it was captured; to send it, give its id alone with --captured",
            _ => $"it is {reason}",
        };

    /// <summary>Converts an age to a time.</summary>
    static string? Moment(string? text)
    {
        if (text is not [>= '0' and <= '9', .., >= 'a' and <= 'z'])
            return text;
        var ago =
            text.EndsWith('d') && int.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out int days) && days < 36_500
                ? TimeSpan.FromDays(days)
                : WorkflowReader.ParseDuration(text);
        return ago is { } span
            ? (TimeProvider.System.GetUtcNow() - span).ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture)
            : text;
    }
}

/// <summary>Omits fields that are not set.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ResendRequestDocument))]
sealed partial class ResendJson : JsonSerializerContext;
