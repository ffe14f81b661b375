using System.Text.Json;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Sources;

/// <summary>A workflow with one event source, and a step that returns the event.</summary>
static class SourceRig
{
    /// <summary>A timer that is not due during a test.</summary>
    public const string Seldom = "uses: ./source.mjs, props: { timer: { cron: '0 0 29 2 *' } }";

    public static Dictionary<string, string> Files(string source, string trigger = "uses: ./source.mjs", string? step = null) =>
        new()
        {
            ["workflow.yaml"] = $$"""
                name: feed
                triggers: [ { {{trigger}} } ]
                steps: [ { namespace: code, uses: ./code/entry.mjs } ]
                """,
            ["source.mjs"] = source,
            ["code/entry.mjs"] = step ?? "export default { async run({ steps }) { return steps.trigger.event; } };",
        };

    /// <summary>Deploys, and returns what the deploy answers.</summary>
    public static async Task<WorkflowDocument> DeploySourceAsync(this TestServer server, Dictionary<string, string> files)
    {
        using var response = await server.Http.PutAsync("/api/v1/workflows/feed", JsonContent(new DeployDocument(files)));
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonSerializer.Deserialize(text, ApiJson.Default.WorkflowDocument)!;
    }

    public static StringContent JsonContent(DeployDocument files) =>
        new(JsonSerializer.Serialize(files, ApiJson.Default.DeployDocument), System.Text.Encoding.UTF8, "application/json");

    /// <summary>Starts the source as its timer does, and returns its run once its events have started theirs.</summary>
    public static async Task<RunDocument> TickAsync(this TestServer server, string call = "source:source")
    {
        var workflow = (await server.Store.GetWorkflowAsync("feed", default))!;
        var current = (await server.Get<WorkflowCatalog>().FindAsync(workflow.Id, workflow.Version, default))!;
        var accepted = (await server.Get<RunAcceptance>().AcceptAsync(current.Version, call, """{"timestamp":1}"""u8.ToArray(), default))!;
        return await server.EndOfAsync(accepted.Run.Id.ToString());
    }

    /// <summary>What the steps returned for each event, oldest first, once no run is unfinished.</summary>
    public static async Task<IReadOnlyList<string>> EventsAsync(this TestServer server)
    {
        var events = new List<string>();
        foreach (var run in (await AllRunsAsync(server)).Where(static run => run.Trigger == "emit"))
            events.Add((await server.EndOfAsync(run.Id.ToString())).Steps[0].Exports.GetProperty("$return_value").GetRawText());
        return events;
    }

    /// <summary>The calls of sources, oldest first, with their status.</summary>
    public static async Task<IReadOnlyList<string>> CallsAsync(this TestServer server) =>
        [
            .. (await AllRunsAsync(server))
                .Where(static run => run.Trigger.StartsWith("source:"))
                .Select(static run => $"{run.Trigger} {run.Status}"),
        ];

    static async Task<IReadOnlyList<RunSummary>> AllRunsAsync(TestServer server)
    {
        IReadOnlyList<RunSummary> runs = [];
        await Wait.UntilAsync(async () =>
        {
            runs = [.. (await server.Store.ListRunsAsync(new("feed", null, null, null, null, 200), default)).Items.Reverse()];
            bool isBusy = runs.Any(static run => run.Status is RunStatus.Queued or RunStatus.Running);
            return !isBusy
                && (await server.Store.ListPendingDestinationsAsync(default)).Count == 0
                && JsonElement
                    .Parse(await server.Http.GetStringAsync("/api/v1/deliveries?status=sending"))
                    .GetProperty("items")
                    .GetArrayLength() == 0;
        });
        return runs;
    }
}
