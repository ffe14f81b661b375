using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests;

/// <summary>Each sample runs as it is, against a receiver on loopback.</summary>
public sealed class SamplesTests(SharedServer shared) : IClassFixture<SharedServer>, IAsyncDisposable
{
    readonly Sink receiver = Sink.Start();
    readonly TestServer server = shared.Server;

    public ValueTask DisposeAsync() => receiver.DisposeAsync();

    Task<string> DeployAsync(string sample)
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "samples", sample);
        return server.DeployAsync(
            sample,
            Directory
                .EnumerateFiles(folder, "*", SearchOption.AllDirectories)
                .ToDictionary(f => Path.GetRelativePath(folder, f).Replace('\\', '/'), File.ReadAllText)
        );
    }

    async Task<IReadOnlyList<ReceivedRequest>> RunAsync(string sample, string fields = "", string path = "")
    {
        string hook = await DeployAsync(sample);
        var run = await server.RunAsync(hook, $$"""{"url":"{{receiver.Url}}{{path}}"{{fields}}}""");
        Assert.Equal(("succeeded", null), (run.Status, run.Message));
        Assert.All(run.Steps.SelectMany(s => s.Deliveries), d => Assert.Equal("succeeded", d.Status));
        return [.. receiver.Requests];
    }

    [Fact]
    public async Task Post_sends_one_request_with_a_JSON_payload()
    {
        var request = Assert.Single(await RunAsync("post", ""","name":"Leia" """));
        Assert.Equal(("POST", """{"name":"Leia"}"""), (request.Method, Encoding.UTF8.GetString(request.Body)));
    }

    [Fact]
    public async Task Each_sends_one_request_per_element() => Assert.Equal(4, (await RunAsync("each")).Count);

    [Fact]
    public async Task Component_does_a_GET()
    {
        var request = Assert.Single(await RunAsync("component", path: "page"));
        Assert.Equal(("GET", "/page"), (request.Method, request.Target));
    }

    [Fact]
    public async Task Body_adds_an_order_up()
    {
        var request = Assert.Single(await RunAsync("body", ""","id":7,"lines":[{"price":1.5},{"price":2}] """));
        Assert.Equal("""{"order":7,"total":3.5}""", Encoding.UTF8.GetString(request.Body));
    }

    [Fact]
    public async Task Auth_sends_credentials_params_and_headers()
    {
        var request = Assert.Single(await RunAsync("auth", path: "report"));
        Assert.Equal("/report?tags[]=daily&tags[]=eu&since=2026-01-01T00:00:00.000Z", Uri.UnescapeDataString(request.Target));
        Assert.Equal("Basic " + Convert.ToBase64String("reporter:an example password"u8), request.Header("authorization"));
        Assert.Equal("application/vnd.report+json", request.Header("content-type"));
        Assert.Equal("sendoff", request.Header("x-source"));
    }

    [Fact]
    public async Task Contact_form_tells_every_webhook_with_templates_and_params()
    {
        var requests = await RunAsync("contact-form", ""","name":" Leia ","email":"Leia@example.com","message":"Help us" """);
        Assert.Equal(["/archive?lang=en", "/chat?lang=en", "/crm?lang=en"], requests.Select(request => request.Target).Order());
        Assert.All(
            requests,
            request => Assert.Equal("""{"text":"Leia <leia@example.com> writes: Help us"}""", Encoding.UTF8.GetString(request.Body))
        );
    }

    [Fact]
    public async Task Contact_form_says_what_is_missing()
    {
        string hook = await DeployAsync("contact-form");
        using var answer = await server.Http.PostAsync(
            hook,
            new StringContent("""{"name":"Leia","email":"oops"}""", Encoding.UTF8, "application/json"),
            TestContext.Current.CancellationToken
        );
        Assert.Equal(
            (422, """{"missing":["message","a valid email"]}"""),
            ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))
        );
        Assert.Empty(receiver.Requests);
    }

    [Fact]
    public async Task Feed_watch_posts_each_new_item_once()
    {
        const string feed = """{"items":[{"id":1,"title":"One","url":"u1"},{"id":2,"title":"Two","url":"u2"}]}""";
        await using var site = Receiver.Answering(
            $"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {feed.Length}\r\n\r\n{feed}"
        );
        await DeployAsync("feed-watch");
        var first = await StartAsync("feed-watch", $$"""{"event":{"url":"{{site.Url}}"} }""");
        var second = await StartAsync("feed-watch", $$"""{"event":{"url":"{{site.Url}}"} }""");

        Assert.Equal(
            ["""{"text":"One: u1"}""", """{"text":"Two: u2"}"""],
            first.Steps[2].Deliveries.Select(delivery => delivery.Request.Body)
        );
        Assert.All(first.Steps[2].Deliveries, delivery => Assert.Equal("succeeded", delivery.Status));
        Assert.Equal(("succeeded", "nothing new"), (second.Status, second.Message));
    }

    [Fact]
    public async Task Feed_watch_without_a_feed_ends_and_says_how_to_set_one()
    {
        await DeployAsync("feed-watch");
        var run = await StartAsync("feed-watch", """{"event":{"interval_seconds":0} }""");
        Assert.Equal(
            ("succeeded", "no feed yet: sendoff secrets set FEED_URL --variable --value https://example.com/feed.json"),
            (run.Status, run.Message)
        );
    }

    async Task<RunDocument> StartAsync(string workflow, string body)
    {
        using var started = await server.Http.PostAsync(
            $"/api/v1/workflows/{workflow}/events",
            new StringContent(body, Encoding.UTF8, "application/json"),
            TestContext.Current.CancellationToken
        );
        return await server.EndOfAsync(
            (await started.Content.ReadFromJsonAsync(ApiJson.Default.ReplayDocument, TestContext.Current.CancellationToken))!.Id
        );
    }

    [Fact]
    public async Task Webhook_relay_passes_on_what_is_signed_and_nothing_else()
    {
        string hook = await DeployAsync("webhook-relay");
        using var secret = await server.Http.PutAsJsonAsync(
            "/api/v1/secrets/RELAY_SECRET",
            new { value = "the secret of the relay" },
            TestContext.Current.CancellationToken
        );
        secret.EnsureSuccessStatusCode();
        string body = $$"""{ "targets": ["{{receiver.Url}}a", "{{receiver.Url}}b"], "order": 7 }""";
        string signature = Convert.ToHexStringLower(HMACSHA256.HashData("the secret of the relay"u8, Encoding.UTF8.GetBytes(body)));

        Assert.Equal(401, await SendAsync("wrong"));
        Assert.Empty(receiver.Requests);
        Assert.Equal(202, await SendAsync(signature));
        await receiver.WaitForRequestsAsync(2);

        Assert.Equal(["/a", "/b"], receiver.Requests.Select(request => request.Target).Order());
        Assert.All(
            receiver.Requests,
            request =>
                Assert.Equal(("""{"order":7}""", "evt-1"), (Encoding.UTF8.GetString(request.Body), request.Header("idempotency-key")))
        );

        async Task<int> SendAsync(string sign)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, hook)
            {
                Content = new StringContent(body, Encoding.UTF8, "application/json"),
            };
            request.Headers.Add("x-signature", sign);
            request.Headers.Add("x-event-id", "evt-1");
            using var answer = await server.Http.SendAsync(request, TestContext.Current.CancellationToken);
            return (int)answer.StatusCode;
        }
    }
}
