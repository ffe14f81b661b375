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
        var ids = new Argument<string[]>("id") { Description = "Deliveries to send again", Arity = ArgumentArity.ZeroOrMore };
        var status = new Option<string?>("--status") { Description = "All in this state, such as failed or interrupted" };
        var host = new Option<string?>("--host") { Description = "All to this host, with :PORT where wanted" };
        var workflow = new Option<string?>("--workflow") { Description = "All of this workflow" };
        var url = new Option<string?>("--url") { Description = "All with this text in their URL" };
        var since = new Option<string?>("--since") { Description = "All committed since: a time, a date, or how long ago (2h, 30m, 7d)" };
        var until = new Option<string?>("--until") { Description = "All committed before, written likewise" };
        var command = new Command("resend", "Send again, by id or by filter: a new attempt of the same delivery") { ids, status, host, workflow, url, since, until };
        command.SetAction(async (parsed, ct) =>
        {
            string[] chosen = parsed.GetValue(ids) ?? [];
            var filter = new ResendRequestDocument(
                null, parsed.GetValue(status), parsed.GetValue(host), parsed.GetValue(workflow), Moment(parsed.GetValue(since)), Moment(parsed.GetValue(until)),
                parsed.GetValue(url));
            bool isFiltered = filter != new ResendRequestDocument(null, null, null, null, null, null, null);
            if (isFiltered == chosen.Length > 0) throw new CommandException("give ids, or a filter such as --status failed; not both, not neither", ExitCode.Usage);
            using var api = ApiClient.From(parsed);
            return await ResendAsync(api, isFiltered ? filter : filter with { Ids = chosen }, ct);
        });
        return command;
    }

    static async Task<int> ResendAsync(ApiClient api, ResendRequestDocument which, CancellationToken ct)
    {
        var body = JsonContent.Create(which, ResendJson.Default.ResendRequestDocument);
        string answer = await api.SendAsync(HttpMethod.Post, "/api/v1/deliveries/resend", body, ct);
        var done = JsonSerializer.Deserialize(answer, ApiJson.Default.ResendDocument)!;
        if (api.AsJson) Console.Out.WriteLine(answer);
        else Print(done);
        // Who names a delivery wants that one; of a filter's findings some may be on their way already.
        return which.Ids is not null && done.Skipped.Count > 0 ? ExitCode.Usage : ExitCode.Ok;
    }

    static void Print(ResendDocument done)
    {
        foreach (string id in done.Ids) Console.Out.WriteLine($"{id} is sent again");
        foreach (var (id, reason) in done.Reasons) Console.Out.WriteLine($"{id} is skipped: {Why(reason)}");
        if (done.Resent + done.Skipped.Count != 1) Console.Out.WriteLine($"{done.Resent} sent again, {done.Skipped.Count} skipped");
        if (done.More) Output.Warning("the filter finds more, older ones; one call takes the newest of them. Narrow it with --until to go on");
    }

    static string Why(string reason) => reason switch
    {
        "unknown" => "there is no such delivery",
        "under_way" => "it is waiting or being sent already",
        _ => reason,
    };

    /// <summary>The API takes times; people say how long ago.</summary>
    static string? Moment(string? text)
    {
        if (text is not [>= '0' and <= '9', .., >= 'a' and <= 'z']) return text;
        var ago = text.EndsWith('d') && int.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out int days) && days < 36_500
            ? TimeSpan.FromDays(days) : WorkflowReader.ParseDuration(text);
        return ago is { } span ? (TimeProvider.System.GetUtcNow() - span).ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture) : text;
    }
}

/// <summary>What is not chosen is left out of the request.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ResendRequestDocument))]
sealed partial class ResendJson : JsonSerializerContext;
