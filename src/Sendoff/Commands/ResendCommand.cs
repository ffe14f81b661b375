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
        var status = new Option<string?>("--status") { Description = "Only with this status (default: failed, blocked and interrupted)" };
        var host = new Option<string?>("--host") { Description = "Only to this host, or HOST:PORT" };
        var workflow = new Option<string?>("--workflow") { Description = "Only of this workflow" };
        var url = new Option<string?>("--url") { Description = "Only with this text in the URL" };
        var since = new Option<string?>("--since") { Description = "Only committed since: a time, a date, or an age (2h, 30m, 7d)" };
        var until = new Option<string?>("--until") { Description = "Only committed before: a time, a date, or an age" };
        var captured = new Option<bool>("--captured") { Description = "With one id: send a captured delivery" };
        var command = new Command("resend", "Resend deliveries by id or filter, as a new attempt of the same delivery")
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
                    throw new CommandException("give ids, or a filter such as --status failed (one of the two)", ExitCode.Usage);
                if (parsed.GetValue(captured) && chosen.Length != 1)
                    throw new CommandException("--captured takes one id, and no filter", ExitCode.Usage);
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
        // Who names a delivery wants that one; of a filter's findings some may be on their way already.
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
            Output.Warning("the filter matches more, older deliveries; each call takes the newest ones. Continue with --until");
    }

    static string Why(string reason) =>
        reason switch
        {
            "unknown" => "there is no such delivery",
            "under_way" => "it is already waiting or being sent",
            "captured" => "it was captured; to send it, give its id alone with --captured",
            _ => $"it is {reason}",
        };

    /// <summary>The API takes times; people say how long ago.</summary>
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

/// <summary>What is not chosen is left out of the request.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ResendRequestDocument))]
sealed partial class ResendJson : JsonSerializerContext;
