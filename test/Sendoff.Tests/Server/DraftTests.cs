using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>Drafts: saved, checked, tested, deployed and discarded, and past events replayed on them.</summary>
public sealed class DraftTests(SharedServer shared) : IClassFixture<SharedServer>
{
    const string Sends = "$send.http({ method: 'POST', url: event.body.to, data: { by: 'version' } })";

    readonly TestServer server = shared.Server;

    async Task<T> AskAsync<T>(HttpMethod method, string path, string? body, JsonTypeInfo<T> type, HttpStatusCode status = HttpStatusCode.OK)
    {
        using var request = new HttpRequestMessage(method, "/api/v1/" + path)
        {
            Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json"),
        };
        using var response = await server.Http.SendAsync(request, TestContext.Current.CancellationToken);
        string text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.StatusCode == status, text);
        return JsonSerializer.Deserialize(text, type)!;
    }

    Task<DraftDocument> DraftAsync(string name) => AskAsync(HttpMethod.Get, $"workflows/{name}/draft", null, ApiJson.Default.DraftDocument);

    Task<DraftDocument> SaveAsync(string name, string code) =>
        AskAsync(
            HttpMethod.Put,
            $"workflows/{name}/draft",
            JsonSerializer.Serialize(new { files = new Dictionary<string, string> { ["step.mjs"] = code } }),
            ApiJson.Default.DraftDocument
        );

    async Task<RunDocument> RunAsync(string path, string body) =>
        await server.EndOfAsync((await AskAsync(HttpMethod.Post, path, body, ApiJson.Default.ReplayDocument, HttpStatusCode.Accepted)).Id);

    [Fact]
    public async Task A_draft_is_the_current_version_until_it_is_saved_and_after_it_is_discarded()
    {
        await server.DeployAsync("drafted", "return 'version'");
        var before = await DraftAsync("drafted");
        var saved = await SaveAsync("drafted", "return 'draft'");
        var discarded = await AskAsync(HttpMethod.Delete, "workflows/drafted/draft", null, ApiJson.Default.DraftDocument);

        Assert.Equal((false, true, false), (before.Changed, saved.Changed, discarded.Changed));
        Assert.Equal("return 'draft'", saved.Files["step.mjs"]);
        Assert.Equal(before.Files, discarded.Files);
        Assert.Equal(1, discarded.CurrentVersion);
    }

    [Fact]
    public async Task A_test_of_a_draft_is_a_run_whose_sends_are_captured_or_go_by_choice()
    {
        await using var receiver = Receiver.Answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        await server.DeployAsync("tried", "return 'version'");
        await SaveAsync("tried", $"$send.http({{ method: 'PUT', url: '{receiver.Url}' }}); return 'draft'");

        var dry = await RunAsync("workflows/tried/events", """{"draft":true,"test":true}""");
        Assert.Equal(
            ("draft", -1, "captured"),
            (dry.Steps[0].Exports.GetProperty("$return_value").GetString(), dry.Version, dry.Steps[0].Deliveries[0].Status)
        );
        Assert.Empty(receiver.Requests);

        var real = await RunAsync("workflows/tried/events", """{"draft":true}""");
        Assert.Equal((-1, "succeeded"), (real.Version, real.Steps[0].Deliveries[0].Status));
        Assert.StartsWith("PUT ", receiver.Request);
        Assert.Equal("version", (await RunAsync("workflows/tried/events", "{}")).Steps[0].Exports.GetProperty("$return_value").GetString());
    }

    [Fact]
    public async Task A_past_event_is_replayed_on_a_draft_and_shows_what_would_be_sent()
    {
        await using var receiver = Receiver.Answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        string hook = await server.DeployAsync("compared", Sends);
        var then = await server.RunAsync(hook, $$"""{"to":"{{receiver.Url}}"}""");
        await SaveAsync("compared", Sends.Replace("version", "draft"));

        var now = await RunAsync($"runs/{then.Id}/replay", """{"draft":true,"test":true}""");

        Assert.Equal((then.EventId, "test"), (now.EventId, now.Trigger));
        Assert.Equal(
            ("{\"by\":\"version\"}", "{\"by\":\"draft\"}", "captured"),
            (then.Steps[0].Deliveries[0].Request.Body, now.Steps[0].Deliveries[0].Request.Body, now.Steps[0].Deliveries[0].Status)
        );
        Assert.Single(receiver.Requests);
    }

    [Fact]
    public async Task Mistakes_of_a_draft_are_told_with_their_place_and_keep_it_from_running()
    {
        await server.DeployAsync("mistaken", "return 1");
        await SaveAsync("mistaken", "return 1\nconst = 2");

        var check = await AskAsync(HttpMethod.Post, "workflows/mistaken/draft/check", null, ApiJson.Default.CheckDocument);
        Assert.Equal(("step.mjs", 2), (Assert.Single(check.Problems).File, check.Problems[0].Line));
        var refused = await AskAsync(
            HttpMethod.Post,
            "workflows/mistaken/events",
            """{"draft":true}""",
            ApiJson.Default.ProblemDocument,
            HttpStatusCode.UnprocessableEntity
        );
        Assert.Contains("step.mjs:2", refused.Detail);
    }

    [Fact]
    public async Task A_deployed_draft_is_no_draft_any_more_and_an_old_version_is_deployed_again_as_a_new_one()
    {
        await server.DeployAsync("rolled", "return 1");
        var draft = await SaveAsync("rolled", "return 2");
        await AskAsync(
            HttpMethod.Put,
            "workflows/rolled",
            JsonSerializer.Serialize(new { files = draft.Files }),
            ApiJson.Default.WorkflowDocument
        );
        Assert.False((await DraftAsync("rolled")).Changed);

        Assert.Equal(
            3,
            (await AskAsync(HttpMethod.Post, "workflows/rolled/versions/1/deploy", null, ApiJson.Default.WorkflowDocument)).Version
        );
        Assert.Equal("return 1", (await DraftAsync("rolled")).Files["step.mjs"]);
        await AskAsync(
            HttpMethod.Post,
            "workflows/rolled/versions/9/deploy",
            null,
            ApiJson.Default.ProblemDocument,
            HttpStatusCode.NotFound
        );
    }

    [Fact]
    public async Task A_draft_of_no_workflow_is_not_found()
    {
        await AskAsync(HttpMethod.Get, "workflows/nobody/draft", null, ApiJson.Default.ProblemDocument, HttpStatusCode.NotFound);
        await AskAsync(HttpMethod.Post, "workflows/nobody/draft/check", null, ApiJson.Default.ProblemDocument, HttpStatusCode.NotFound);
        await AskAsync(
            HttpMethod.Post,
            "workflows/nobody/events",
            """{"draft":true}""",
            ApiJson.Default.ProblemDocument,
            HttpStatusCode.NotFound
        );
    }
}
