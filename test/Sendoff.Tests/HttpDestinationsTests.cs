using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests;

/// <summary>The documentation of Pipedream's HTTP destinations, sentence by sentence: what it says is what happens here.</summary>
public sealed class HttpDestinationsTests(SharedServer shared) : IClassFixture<SharedServer>, IAsyncDisposable
{
    readonly TestServer server = shared.Server;
    readonly Sink receiver = Sink.Start();

    public ValueTask DisposeAsync() => receiver.DisposeAsync();

    string Url => receiver.Url;

    static JsonElement BodyOf(ReceivedRequest request) => JsonElement.Parse(request.Body);

    static IReadOnlyList<DeliveryDocument> Sends(RunDocument run) => [.. run.Steps.SelectMany(s => s.Deliveries)];

    [Fact]
    public async Task HTTP_destinations_send_data_to_an_endpoint_outside()
    {
        string hook = await server.DeployAsync(
            "outside",
            $$"""
            $send.http({
              method: "POST",
              url: "{{Url}}",
              data: {
                name: "Luke Skywalker",
              },
            });
            """,
            "step.js"
        );

        await server.RunAsync(hook);

        var request = Assert.Single(receiver.Requests);
        Assert.Equal("POST", request.Method);
        Assert.Equal("Luke Skywalker", BodyOf(request).GetProperty("name").GetString());
    }

    [Fact]
    public async Task It_accepts_method_url_data_headers_params_and_auth()
    {
        string hook = await server.DeployAsync(
            "all",
            $$"""
            $send.http({
              method: "PUT",
              url: "{{Url}}path?a=1",
              data: { x: 1 },
              headers: { "Content-Type": "application/vnd.test+json", "X-Own": "yes" },
              params: { b: "two", list: [1, 2] },
              auth: { username: "user", password: "pass word" },
            });
            """,
            "step.js"
        );

        await server.RunAsync(hook);

        var request = Assert.Single(receiver.Requests);
        Assert.Equal("PUT", request.Method);
        Assert.Equal("/path?a=1&b=two&list[]=1&list[]=2", Uri.UnescapeDataString(request.Target));
        Assert.Equal("application/vnd.test+json", request.Header("content-type"));
        Assert.Equal("yes", request.Header("x-own"));
        Assert.Equal("Basic " + Convert.ToBase64String("user:pass word"u8), request.Header("authorization"));
        Assert.Equal("""{"x":1}""", Encoding.UTF8.GetString(request.Body));
    }

    [Theory]
    [InlineData("url: 'http://127.0.0.1/'", "method")]
    [InlineData("method: 'POST'", "url")]
    public async Task Method_and_url_are_required(string options, string missing)
    {
        string hook = await server.DeployAsync("required", $$"""$send.http({ {{options}} });""", "step.js");

        var run = await server.RunAsync(hook);

        Assert.Equal("failed", run.Status);
        Assert.Equal($"$send.http: invalid value undefined for {missing}", run.Steps[0].Error!.Message);
        Assert.Equal((1, "SENDOFF_INVALID_SEND"), (run.Steps[0].Error!.Line, run.Steps[0].Error!.Code));
    }

    [Fact]
    public async Task Requests_are_sent_after_the_workflow_finishes()
    {
        // The step sends first, then waits for an answer that the receiver holds back: nothing may have arrived meanwhile.
        await using var gate = Sink.Start(hold: true);
        string hook = await server.DeployAsync(
            "after",
            $$"""
            export default defineComponent({
              async run({ $ }) {
                $.send.http({ method: "POST", url: "{{Url}}", data: {} });
                await (await fetch("{{gate.Url}}")).text();
              },
            });
            """
        );

        string id = await server.PostAsync(hook);
        await gate.WaitForRequestsAsync(1);
        Assert.Empty(receiver.Requests);
        gate.Release();
        await server.EndOfAsync(id);

        Assert.Single(receiver.Requests);
    }

    [Fact]
    public async Task The_response_cannot_be_used_in_the_workflow_and_the_mistake_is_explained_at_its_line()
    {
        string hook = await server.DeployAsync(
            "response",
            $$"""
            export default defineComponent({
              async run({ $ }) {
                const response = await $.send.http({ method: "GET", url: "{{Url}}" });
                return response.data;
              },
            });
            """
        );

        var run = await server.RunAsync(hook);

        Assert.Equal(("failed", "TypeError"), (run.Status, run.Steps[0].Error!.Name));
        Assert.Equal(4, run.Steps[0].Error!.Line);
        Assert.Contains(
            run.Steps[0].Warnings,
            w => w.Code == "send_has_no_response" && w.Message.Contains("does not exist yet", StringComparison.Ordinal)
        );
        Assert.Single(receiver.Requests); // B2: it was sent before the step failed
    }

    [Fact]
    public async Task Requests_do_not_count_against_compute_time()
    {
        const int receiver = 50;
        await using var slow = Sink.Start(delay: TimeSpan.FromMilliseconds(receiver));
        string hook = await server.DeployAsync(
            "compute",
            $$"""$send.http({ method: "POST", url: "{{slow.Url}}", data: {} });""",
            "step.js"
        );

        var before = await UsageAsync();
        var run = await server.RunAsync(hook);

        Assert.True(run.DeliveryMs >= receiver * 0.9, $"deliveries {run.DeliveryMs} ms");
        var after = await UsageAsync();
        Assert.Equal(1, after.Total.Deliveries - before.Total.Deliveries);
        Assert.Equal(run.DeliveryMs, after.Total.DeliveryMs - before.Total.DeliveryMs, tolerance: 1);
        Assert.Equal(run.ComputeMs, after.Total.ComputeMs - before.Total.ComputeMs, tolerance: 1);
    }

    async Task<UsageDocument> UsageAsync() =>
        JsonSerializer.Deserialize(await server.Http.GetStringAsync("/api/v1/usage"), ApiJson.Default.UsageDocument)!;

    [Fact]
    public async Task Iterating_over_an_array_sends_a_request_for_each_without_awaiting()
    {
        string hook = await server.DeployAsync(
            "each",
            $$"""
            const names = ["Luke", "Han", "Leia", "Obi Wan"];
            names.forEach((name) => {
              $send.http({
                method: "POST",
                url: "{{Url}}",
                data: {
                  name,
                },
              });
            });
            """,
            "step.js"
        );

        var run = await server.RunAsync(hook);

        Assert.Equal(["Han", "Leia", "Luke", "Obi Wan"], receiver.Requests.Select(r => BodyOf(r).GetProperty("name").GetString()).Order());
        Assert.Equal([0, 1, 2, 3], Sends(run).Select(d => d.Index));
    }

    [Fact]
    public async Task In_a_component_action_send_http_functions_the_same()
    {
        string hook = await server.DeployAsync(
            "action",
            $$"""
            export default {
              type: "action",
              async run({ $ }) {
                $.send.http({
                  method: "GET",
                  url: "{{Url}}"
                })
              }
            }
            """
        );

        var run = await server.RunAsync(hook);

        Assert.Equal("GET", Assert.Single(receiver.Requests).Method);
        Assert.Equal("succeeded", Assert.Single(Sends(run)).Status);
    }

    [Fact]
    public async Task The_payload_is_delivered_for_every_event()
    {
        string hook = await server.DeployAsync(
            "every",
            $$"""$send.http({ method: "POST", url: "{{Url}}", data: event.body });""",
            "step.js"
        );

        var ids = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => server.PostAsync(hook, $$"""{"n":{{i}}}""")));
        foreach (string id in ids)
            await server.EndOfAsync(id);

        Assert.Equal(Enumerable.Range(0, 50), receiver.Requests.Select(r => BodyOf(r).GetProperty("n").GetInt32()).Order());
    }

    [Fact]
    public async Task Below_the_step_both_the_request_and_the_response_are_shown()
    {
        string hook = await server.DeployAsync("shown", $$"""$send.http({ method: "POST", url: "{{Url}}", data: { a: 1 } });""", "step.js");

        var run = await server.RunAsync(hook);

        var attempt = Assert.Single(Assert.Single(run.Steps[0].Deliveries).Attempts);
        Assert.Equal(("POST", Url, """{"a":1}"""), (attempt.Request.Method, attempt.Request.Url, attempt.Request.Body));
        Assert.Equal(["application/json"], attempt.Request.Headers["content-type"]);
        Assert.Equal((200, Sink.DefaultBody), (attempt.Response!.Status, attempt.Response.Body));
    }

    [Fact]
    public async Task Several_requests_are_each_shown_with_their_response()
    {
        string hook = await server.DeployAsync(
            "several",
            $$"""
            for (const n of [0, 1, 2]) $send.http({ method: "POST", url: "{{Url}}" + n, data: { n } });
            """,
            "step.js"
        );

        var run = await server.RunAsync(hook);

        Assert.All(Sends(run), d => Assert.EndsWith("/" + d.Index, d.Request.Url));
        Assert.All(Sends(run), d => Assert.Equal(200, Assert.Single(d.Attempts).Response!.Status));
    }

    [Fact]
    public async Task Another_HTTP_client_gives_the_response_in_the_workflow()
    {
        string hook = await server.DeployAsync("client", $$"""return (await fetch("{{Url}}")).status""", "step.js");

        var run = await server.RunAsync(hook);

        Assert.Equal(200, run.Steps[0].Exports.GetProperty("$return_value").GetInt32());
    }

    [Fact]
    public async Task Requests_come_from_a_published_list_of_addresses_that_only_they_come_from()
    {
        string[] list = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
        var egress = new EgressOptions
        {
            Policies = new(Sending.Loopback),
            Addresses = new([.. list.Select(IPAddress.Parse)]),
            PublicAddresses = list,
        };
        await using var fixedServer = await TestServer.StartAsync(egress: egress);
        await using var seen = AddressSink.Start();
        string hook = await fixedServer.DeployAsync(
            "addresses",
            $$"""
            export default defineComponent({
              async run({ $ }) {
                for (let n = 0; n < 3; n++) $.send.http({ method: "POST", url: "{{seen.Url}}send", data: { n } });
                await (await fetch("{{seen.Url}}own")).text();
              },
            });
            """
        );

        var run = await fixedServer.RunAsync(hook);

        using var anybody = fixedServer.NewClient();
        var published = JsonElement.Parse(await anybody.GetByteArrayAsync("/.well-known/egress.json"));
        Assert.Equal(list, published.GetProperty("addresses").EnumerateArray().Select(a => a.GetString()));
        Assert.Equal(list, seen.From("/send").Order());
        Assert.Equal(list, Sends(run).Select(d => Assert.Single(d.Attempts).LocalAddress).Order());
        // The step's own request, made by the worker, comes from the machine's ordinary address.
        Assert.Equal(["127.0.0.1"], seen.From("/own"));
    }

    [Fact]
    public void The_timeout_is_five_seconds() => Assert.Equal(TimeSpan.FromSeconds(5), new EngineLimits().DeliveryDeadline);

    [Fact]
    public async Task A_request_that_exceeds_the_timeout_yields_a_timeout_error()
    {
        await using var quick = await TestServer.StartAsync(Sending.Short);
        await using var silent = Sink.Start(hold: true);
        string hook = await quick.DeployAsync(
            "timeout",
            $$"""$send.http({ method: "POST", url: "{{silent.Url}}", data: {} });""",
            "step.js"
        );

        var run = await quick.RunAsync(hook);

        var delivery = Assert.Single(Sends(run));
        Assert.Equal(("failed", "timeout", "wait"), (delivery.Status, delivery.Error!.Code, delivery.Error.Phase));
        Assert.Equal("succeeded", run.Status);
    }

    [Fact]
    public async Task An_endpoint_that_is_down_is_not_tried_again_and_is_shown()
    {
        using var closed = new Socket(SocketType.Stream, ProtocolType.Tcp);
        closed.Bind(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0));
        int port = ((System.Net.IPEndPoint)closed.LocalEndPoint!).Port;
        string hook = await server.DeployAsync(
            "down",
            $$"""$send.http({ method: "POST", url: "http://127.0.0.1:{{port}}/", data: {} });""",
            "step.js"
        );

        var run = await server.RunAsync(hook);

        var delivery = Assert.Single(Sends(run));
        Assert.Equal(("failed", "connect_refused", "connect"), (delivery.Status, delivery.Error!.Code, delivery.Error.Phase));
        Assert.Single(delivery.Attempts);
    }

    [Fact]
    public async Task An_error_response_is_not_tried_again_and_is_shown()
    {
        await using var broken = Sink.Start(status: 503, body: "down for today");
        string hook = await server.DeployAsync(
            "broken",
            $$"""$send.http({ method: "POST", url: "{{broken.Url}}", data: {} });""",
            "step.js"
        );

        var run = await server.RunAsync(hook);

        var delivery = Assert.Single(Sends(run));
        Assert.Equal(("failed", "succeeded"), (delivery.Status, run.Status));
        Assert.Null(delivery.Error);
        var response = Assert.Single(delivery.Attempts).Response!;
        Assert.Equal((503, "down for today"), (response.Status, response.Body));
        Assert.Single(broken.Requests);
    }
}
