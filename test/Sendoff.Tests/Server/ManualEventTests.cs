using System.Net;
using System.Text;
using System.Text.Json;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>Runs started by hand, of any workflow.</summary>
public sealed class ManualEventTests(SharedServer shared) : IClassFixture<SharedServer>
{
    const string Sends = "$send.http({ method: 'POST', url: event.to, data: event }); return event";

    readonly TestServer server = shared.Server;

    async Task<string> StartAsync(string workflow, string body)
    {
        using var response = await server.Http.PostAsync(
            $"/api/v1/workflows/{workflow}/events",
            new StringContent(body, Encoding.UTF8, "application/json")
        );
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == HttpStatusCode.Accepted, text);
        string id = JsonSerializer.Deserialize(text, ApiJson.Default.ReplayDocument)!.Id;
        Assert.Equal($"/api/v1/runs/{id}", response.Headers.Location!.ToString());
        return id;
    }

    Task DeployScheduledAsync(string name, string code = Sends) =>
        server.DeployAsync(
            name,
            new Dictionary<string, string>
            {
                ["workflow.yaml"] =
                    "triggers: [ { type: schedule, cron: '0 9 1 1 *', timezone: Europe/Berlin } ]\nsteps: [ { namespace: step, uses: "
                    + "./step.js } ]",
                ["step.js"] = code,
            }
        );

    [Fact]
    public async Task A_workflow_without_an_HTTP_trigger_is_started_by_hand_and_its_sends_go_out()
    {
        await using var receiver = Receiver.Answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        await DeployScheduledAsync("by-hand");

        var run = await server.EndOfAsync(await StartAsync("by-hand", $$"""{"event":{"to":"{{receiver.Url}}","n":[1]} }"""));

        Assert.Equal(("manual", "succeeded"), (run.Trigger, run.Status));
        Assert.Equal("succeeded", Assert.Single(run.Steps[0].Deliveries).Status);
        Assert.EndsWith("\"n\":[1]}", receiver.Request);
    }

    [Fact]
    public async Task The_sends_of_a_test_are_captured_also_of_its_replay()
    {
        await using var receiver = Receiver.Answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        await DeployScheduledAsync("dry");
        var run = await server.EndOfAsync(await StartAsync("dry", $$"""{"test":true,"event":{"to":"{{receiver.Url}}","n":1} }"""));
        using var replay = await server.Http.PostAsync($"/api/v1/runs/{run.Id}/replay", null);
        var again = await server.EndOfAsync(
            JsonSerializer.Deserialize(await replay.Content.ReadAsStringAsync(), ApiJson.Default.ReplayDocument)!.Id
        );

        Assert.All(
            [run, again],
            r => Assert.Equal(("test", "succeeded", "captured"), (r.Trigger, r.Status, Assert.Single(r.Steps[0].Deliveries).Status))
        );
        Assert.Empty(receiver.Requests);
    }

    [Fact]
    public async Task Without_a_body_the_event_is_an_empty_object_and_a_disabled_workflow_runs_too()
    {
        await DeployScheduledAsync("empty", "return event");
        (await server.Http.PostAsync("/api/v1/workflows/empty/disable", null)).EnsureSuccessStatusCode();
        using var response = await server.Http.PostAsync("/api/v1/workflows/empty/events", null);
        var run = await server.EndOfAsync(
            JsonSerializer.Deserialize(await response.Content.ReadAsStringAsync(), ApiJson.Default.ReplayDocument)!.Id
        );

        Assert.Equal("{}", run.Steps[0].Exports.GetProperty("$return_value").GetRawText());
    }

    [Theory]
    [InlineData("by-nobody", "{}", HttpStatusCode.NotFound, "no workflow")]
    [InlineData("refusing", "{\"evnet\":1}", HttpStatusCode.BadRequest, "evnet")]
    [InlineData("refusing", "{\"test\":1}", HttpStatusCode.BadRequest, "Expected true or false")]
    [InlineData("refusing", "{", HttpStatusCode.BadRequest, "not JSON")]
    public async Task A_start_by_hand_that_cannot_be_says_why(string workflow, string body, HttpStatusCode status, string says)
    {
        await DeployScheduledAsync("refusing");
        using var response = await server.Http.PostAsync(
            $"/api/v1/workflows/{workflow}/events",
            new StringContent(body, Encoding.UTF8, "application/json")
        );

        Assert.Equal(status, response.StatusCode);
        Assert.Contains(says, await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task A_schedule_tells_its_next_due_time_on_the_API_and_on_the_page()
    {
        await DeployScheduledAsync("new-year");
        var workflow = JsonSerializer.Deserialize(
            await server.Http.GetStringAsync("/api/v1/workflows/new-year"),
            ApiJson.Default.WorkflowDocument
        )!;

        var trigger = Assert.Single(workflow.Triggers);
        Assert.Equal(("schedule", null), (trigger.Type, trigger.Url));
        Assert.Equal((1, 1, 8), (trigger.NextDueAt!.Value.Month, trigger.NextDueAt.Value.Day, trigger.NextDueAt.Value.Hour));
        Assert.Contains("new-year", await server.Http.GetStringAsync("/workflows"));
    }
}
