using System.Text;
using Sendoff.Tests.Support;

namespace Sendoff.Tests;

/// <summary>Each sample runs as it is, against a receiver on loopback.</summary>
public sealed class SamplesTests : IAsyncLifetime
{
    readonly Sink receiver = Sink.Start();
    TestServer server = null!;

    public async ValueTask InitializeAsync() => server = await TestServer.StartAsync();

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        await receiver.DisposeAsync();
    }

    async Task<IReadOnlyList<ReceivedRequest>> RunAsync(string sample, string fields = "", string path = "")
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "samples", sample);
        var files = Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .ToDictionary(f => Path.GetRelativePath(folder, f).Replace('\\', '/'), File.ReadAllText);
        string hook = await server.DeployAsync(sample, files);
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
}
