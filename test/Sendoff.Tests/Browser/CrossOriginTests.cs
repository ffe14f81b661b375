using System.Text.Json;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Browser;

/// <summary>A page of another origin that calls workflows (E7): the browser decides what it may send and read.</summary>
[Collection("browser")]
public sealed class CrossOriginTests(Site site)
{
    const string Answering = """
        export default defineComponent({ async run({ steps, $ }) {
          const { body, headers } = steps.trigger.event;
          await $.respond({
            status: 201,
            headers: { "x-own": "read me", "set-cookie": "visitor=42; Path=/hooks" },
            body: { body, cookie: headers.cookie ?? "", token: headers["x-token"] ?? "" },
          });
        } });
        """;

    /// <summary>Another port is another origin, and another host another site, whose cookies need <c>SameSite=None</c>.</summary>
    async Task<(Window Window, Receiver Shop)> OpenShopAsync(string host)
    {
        const string page = "<!doctype html><link rel=icon href=data:,><title>Shop</title>";
        var shop = Receiver.Answering($"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {page.Length}\r\n\r\n{page}");
        var window = await site.OpenStrangerAsync();
        await window.Page.GotoAsync($"http://{host}:{shop.Port}/");
        return (window, shop);
    }

    string Address(string path) => new Uri(site.Server.Address, path).ToString();

    /// <summary>What the console said: a call that CORS refuses is an error there.</summary>
    static void AssertNothingRefused(Window window) =>
        Assert.DoesNotContain(window.Faults, static fault => !fault.StartsWith("request: ", StringComparison.Ordinal));

    [Theory]
    [InlineData("127.0.0.1"), InlineData("localhost")]
    public async Task A_page_of_another_origin_calls_with_credentials_and_reads_every_header(string host)
    {
        string url = Address(await site.Server.DeployAsync("from-shop", Answering, response: "custom"));
        var (window, shop) = await OpenShopAsync(host);
        await using var _ = window;
        await using var __ = shop;
        var read = await window.Page.EvaluateAsync<JsonElement>(
            """
            async url => {
              const call = async () => {
                const response = await fetch(url, { method: "PUT", credentials: "include",
                  headers: { "content-type": "application/json", "x-token": "abc" }, body: JSON.stringify({ n: 1 }) });
                const { status } = response;
                return { status, own: response.headers.get("x-own"), run: response.headers.get("sendoff-run"), ...await response.json() };
              };
              return [await call(), await call()];
            }
            """,
            url
        );
        foreach (var answer in read.EnumerateArray())
        {
            Assert.Equal((201, "read me"), (answer.GetProperty("status").GetInt32(), answer.GetProperty("own").GetString()));
            Assert.StartsWith("run_", answer.GetProperty("run").GetString());
            Assert.Equal(("abc", 1), (answer.GetProperty("token").GetString(), answer.GetProperty("body").GetProperty("n").GetInt32()));
        }
        // The cookie of the first answer comes back only where the site is the same: it is SameSite=Lax by default.
        Assert.Equal(host == "127.0.0.1" ? "visitor=42" : "", read[1].GetProperty("cookie").GetString());
        AssertNothingRefused(window);
    }

    [Fact]
    public async Task A_beacon_of_JSON_arrives_as_JSON()
    {
        string hook = await site.Server.DeployAsync(
            "beacon",
            "export default { async run({ steps, $ }) { $.send.sse({ channel: 'seen', payload: steps.trigger.event.body }); } };"
        );
        string url = Address(hook);
        var (window, shop) = await OpenShopAsync("127.0.0.1");
        await using var _ = window;
        await using var __ = shop;
        var answered = window.Page.WaitForResponseAsync(response => response.Url == url && response.Request.Method == "POST");
        Assert.True(
            await window.Page.EvaluateAsync<bool>(
                """url => navigator.sendBeacon(url, new Blob(['{"left":"the cart"}'], { type: "application/json" }))""",
                url
            )
        );
        var run = await site.Server.EndOfAsync((await (await answered).HeaderValueAsync("sendoff-run"))!);
        Assert.Equal("""{"left":"the cart"}""", Assert.Single(run.Steps.Single().Deliveries).Request.Body);
        AssertNothingRefused(window);
    }

    [Fact]
    public async Task A_stream_is_read_with_credentials_and_again_after_a_preflight()
    {
        string hook = await site.Server.DeployAsync(
            "streamed",
            "export default { async run({ steps, $ }) { $.send.sse({ channel: 'news', payload: steps.trigger.event.body }); } };"
        );
        await site.Server.RunAsync(hook, """{"n":1}""");
        var workflow = JsonElement.Parse(
            await site.Server.Http.GetStringAsync("/api/v1/workflows/streamed", TestContext.Current.CancellationToken)
        );
        string stream = workflow.GetProperty("streamUrl").GetString()!;
        var (window, shop) = await OpenShopAsync("127.0.0.1");
        await using var _ = window;
        await using var __ = shop;
        await window.Page.EvaluateAsync(
            """
            stream => {
              window.seen = [];
              const source = new EventSource(stream, { withCredentials: true });
              source.addEventListener("news", event => window.seen.push(event.lastEventId + " " + event.data));
              source.addEventListener("error", () => window.seen.push("error"));
            }
            """,
            stream
        );
        await window.Page.WaitForFunctionAsync("window.seen.length === 1");
        await site.Server.RunAsync(hook, """{"n":2}""");
        await window.Page.WaitForFunctionAsync("window.seen.length === 2");
        string[] seen = await window.Page.EvaluateAsync<string[]>("window.seen");
        Assert.Equal(["""{"n":1}""", """{"n":2}"""], seen.Select(static one => one.Split(' ', 2)[1]));
        // A header that no simple request has: the browser asks first.
        string rest = await window.Page.EvaluateAsync<string>(
            """
            async ([stream, last]) => {
              const response = await fetch(stream, { credentials: "include", cache: "no-store", headers: { "last-event-id": last } });
              const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
              let text = "";
              while (!text.includes("data:")) text += (await reader.read()).value;
              await reader.cancel();
              return text;
            }
            """,
            new[] { stream, seen[0].Split(' ')[0] }
        );
        Assert.Contains("""data: {"n":2}""", rest);
        Assert.DoesNotContain("""{"n":1}""", rest);
        AssertNothingRefused(window);
    }

    [Fact]
    public async Task A_page_of_another_origin_reads_nothing_of_the_API_or_the_pages()
    {
        await using var window = await site.OpenAsync();
        const string page = "<!doctype html><link rel=icon href=data:,><title>Shop</title>";
        await using var shop = Receiver.Answering(
            $"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {page.Length}\r\n\r\n{page}"
        );
        // The same site as the server: the session's cookie goes along.
        await window.Page.GotoAsync(shop.Url);
        string[] read = await window.Page.EvaluateAsync<string[]>(
            """
            server => Promise.all(["/api/v1/runs", "/api/v1/secrets", "/", "/settings", "/api/v1/stream"].map(path =>
              fetch(new URL(path, server), { credentials: "include" }).then(response => path + " " + response.status, () => "refused")))
            """,
            site.Server.Address.ToString()
        );
        Assert.All(read, static one => Assert.Equal("refused", one));
    }
}
