using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workflows;
using Sendoff.Server.Api;
using Sendoff.Server.Triggers;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>Who may call an HTTP trigger, how often, and what is kept of it.</summary>
public sealed class TriggerGateTests(SharedServer shared) : IClassFixture<SharedServer>
{
    const string Echo = "return event";

    readonly TestServer server = shared.Server;
    readonly HttpClient client = shared.Server.NewClient();

    Task<string> DeployAsync(string name, string options, string code = Echo) =>
        server.DeployAsync(
            name,
            new Dictionary<string, string>
            {
                ["workflow.yaml"] =
                    $"triggers: [ {{ type: http, key: {name}, {options} }} ]\nsteps: [ {{ namespace: step, uses: ./step.js }} ]",
                ["step.js"] = code,
            }
        );

    async Task<HttpResponseMessage> CallAsync(string hook, string? authorization = null, string? flag = null, HttpMethod? method = null)
    {
        using var request = new HttpRequestMessage(method ?? HttpMethod.Post, hook);
        if (method != HttpMethod.Head)
            request.Content = new StringContent("{\"a\":1}", Encoding.UTF8, "application/json");
        if (authorization is not null)
            request.Headers.TryAddWithoutValidation("authorization", authorization);
        if (flag is not null)
            request.Headers.Add(flag, "1");
        return await client.SendAsync(request);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("Bearer")]
    [InlineData("Bearer wrong-token")]
    [InlineData("Basic letters-and-more")]
    [InlineData("letters-and-more")]
    public async Task A_trigger_with_a_bearer_token_refuses_whoever_does_not_show_it(string? authorization)
    {
        string hook = await DeployAsync("guarded", "bearer: letters-and-more");
        using var response = await CallAsync(hook, authorization);

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Equal("Bearer", response.Headers.WwwAuthenticate.Single().ToString());
        Assert.False(response.Headers.Contains("sendoff-run"));
        Assert.DoesNotContain("letters", await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task The_token_lets_in_and_does_not_reach_the_event()
    {
        string hook = await DeployAsync("guarded-too", "bearer: letters-and-more");
        using var response = await CallAsync(hook, "bearer letters-and-more");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var received = await server.EventOfAsync(response);
        Assert.False(received.GetProperty("headers").TryGetProperty("authorization", out var none));
        using var preflight = await client.SendAsync(new HttpRequestMessage(HttpMethod.Options, hook));
        Assert.Equal(HttpStatusCode.NoContent, preflight.StatusCode);
    }

    [Fact]
    public async Task A_token_may_be_a_secret_of_the_workspace_and_lets_nobody_in_until_it_is_set()
    {
        string hook = await DeployAsync("by-secret", "bearer: '${HOOK_TOKEN}'");
        using var unset = await CallAsync(hook, "Bearer ");
        using var set = await server.Http.PutAsync(
            "/api/v1/secrets/HOOK_TOKEN",
            new StringContent("""{"value":"a-secret-token"}""", Encoding.UTF8, "application/json")
        );
        Assert.True(set.IsSuccessStatusCode, await set.Content.ReadAsStringAsync());
        using var wrong = await CallAsync(hook, "Bearer ${HOOK_TOKEN}");
        using var right = await CallAsync(hook, "Bearer a-secret-token");
        using var emptied = await server.Http.PutAsync(
            "/api/v1/secrets/HOOK_TOKEN",
            new StringContent("""{"value":"","secret":false}""", Encoding.UTF8, "application/json")
        );
        Assert.True(emptied.IsSuccessStatusCode, await emptied.Content.ReadAsStringAsync());
        using var empty = await CallAsync(hook, "Bearer ");

        Assert.Equal(
            [HttpStatusCode.Unauthorized, HttpStatusCode.Unauthorized, HttpStatusCode.OK, HttpStatusCode.Unauthorized],
            [unset.StatusCode, wrong.StatusCode, right.StatusCode, empty.StatusCode]
        );
    }

    [Fact]
    public async Task A_trigger_over_its_rate_says_when_to_come_again()
    {
        string hook = await DeployAsync("seldom", "rate: 2/h");
        HttpStatusCode[] statuses = [(await CallAsync(hook)).StatusCode, (await CallAsync(hook)).StatusCode];
        using var third = await CallAsync(hook);

        Assert.All(statuses, status => Assert.Equal(HttpStatusCode.OK, status));
        Assert.Equal(HttpStatusCode.TooManyRequests, third.StatusCode);
        Assert.InRange(third.Headers.RetryAfter!.Delta!.Value, TimeSpan.FromMinutes(20), TimeSpan.FromMinutes(31));
        Assert.Contains("2 requests in 3,600 s", await third.Content.ReadAsStringAsync());
    }

    [Fact]
    public void A_rate_is_no_more_than_its_count_at_once_however_long_nobody_called()
    {
        var clock = new FakeTimeProvider();
        var gate = new TriggerGate(null!, clock, NullLogger<TriggerGate>.Instance);
        var trigger = new HttpTrigger("seldom", TriggerResponse.Default) { Rate = new(2, TimeSpan.FromMinutes(1)) };
        bool Takes() => gate.Refuse(new DefaultHttpContext(), "seldom", trigger) is null;

        for (int i = 0; i < 3; i++)
        {
            Assert.Equal((true, true, false), (Takes(), Takes(), Takes()));
            clock.Advance(TimeSpan.FromSeconds(29.9));
            Assert.False(Takes());
            clock.Advance(TimeSpan.FromSeconds(0.2));
            Assert.Equal((true, false), (Takes(), Takes()));
            clock.Advance(TimeSpan.FromDays(1));
        }
    }

    [Fact]
    public void A_rate_that_is_changed_applies_from_the_next_request_on()
    {
        var gate = new TriggerGate(null!, new FakeTimeProvider(), NullLogger<TriggerGate>.Instance);
        bool Takes(int count) =>
            gate.Refuse(
                new DefaultHttpContext(),
                "seldom",
                new HttpTrigger("seldom", TriggerResponse.Default) { Rate = new(count, TimeSpan.FromMinutes(1)) }
            )
                is null;

        Assert.Equal((true, false), (Takes(1), Takes(1)));
        Assert.Equal((true, true, false), (Takes(2), Takes(2), Takes(2)));
        Assert.Equal((true, false), (Takes(1), Takes(1)));
    }

    [Theory]
    [InlineData("bearer: short", "is not a valid bearer token")]
    [InlineData("bearer: '${1X}'", "is not a valid bearer token")]
    [InlineData("rate: 10", "is not a valid rate")]
    [InlineData("rate: 0/s", "is not a valid rate")]
    public void A_mistake_in_a_token_or_rate_says_so(string options, string says)
    {
        var reading = WorkflowReader.Read(
            "x",
            new Dictionary<string, string>
            {
                ["workflow.yaml"] = $"triggers: [ {{ type: http, {options} }} ]\nsteps: [ {{ namespace: a, uses: ./a.js }} ]",
                ["a.js"] = "",
            }
        );
        Assert.Contains(says, Assert.Single(reading.Problems).Message);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_event_that_asks_for_no_run_is_kept_without_one(bool inQuery)
    {
        string hook = await DeployAsync("kept", "response: custom");
        using var response = inQuery ? await CallAsync(hook + "?x-pd-notrigger=1") : await CallAsync(hook, flag: "x-pd-notrigger");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.False(response.Headers.Contains("sendoff-run"));
        string id = response.Headers.GetValues("sendoff-event").Single();
        var kept = JsonSerializer.Deserialize(await server.Http.GetStringAsync($"/api/v1/events/{id}"), ApiJson.Default.EventDocument)!;
        Assert.Equal(1, kept.Event.GetProperty("body").GetProperty("a").GetInt32());
        Assert.Empty((await server.Store.ListRunsAsync(new RunFilter("kept", null, null, null, null, 10), default)).Items);
    }

    [Fact]
    public async Task A_run_that_asks_for_no_history_answers_and_sends_and_is_gone_with_the_next_pruning()
    {
        await using var receiver = Receiver.Answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        string hook = await DeployAsync(
            "unkept",
            "response: custom",
            $"$send.http({{ method: 'POST', url: '{receiver.Url}' }}); $respond({{ status: 200, body: 'done' }})"
        );
        using var response = await CallAsync(hook, flag: "x-pd-nostore");
        Assert.Equal("done", await response.Content.ReadAsStringAsync());
        var run = await server.EndOfAsync(response.Headers.GetValues("sendoff-run").Single());
        using var kept = await CallAsync(hook);
        await server.EndOfAsync(kept.Headers.GetValues("sendoff-run").Single());

        await server.Store.PruneAsync(DateTimeOffset.UnixEpoch, 0, default);

        Assert.Equal(2, receiver.Requests.Count);
        Assert.Equal(HttpStatusCode.NotFound, (await server.Http.GetAsync($"/api/v1/runs/{run.Id}")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await server.Http.GetAsync($"/api/v1/events/{run.EventId}")).StatusCode);
        Assert.Equal(
            HttpStatusCode.NotFound,
            (await server.Http.GetAsync($"/api/v1/deliveries/{run.Steps[0].Deliveries[0].Id}")).StatusCode
        );
        Assert.Single((await server.Store.ListRunsAsync(new RunFilter("unkept", null, null, null, null, 10), default)).Items);
    }

    [Fact]
    public async Task HEAD_starts_a_run_and_is_answered_without_a_body()
    {
        string hook = await DeployAsync("head", "response: { status: 202, body: taken }");
        using var response = await CallAsync(hook, method: HttpMethod.Head);

        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        Assert.Equal(5, response.Content.Headers.ContentLength);
        Assert.Equal("", await response.Content.ReadAsStringAsync());
        Assert.Equal("HEAD", (await server.EventOfAsync(response)).GetProperty("method").GetString());
    }
}
