using System.Net;
using Sendoff.Server.Triggers;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>What a workflow answers cannot act on the pages, with which it may share its origin.</summary>
public sealed class TriggerOriginTests(SharedServer shared) : IClassFixture<SharedServer>
{
    readonly TestServer server = shared.Server;
    static CancellationToken Ct => TestContext.Current.CancellationToken;

    const string Echo = """
        export default defineComponent({ async run({ steps, $ }) {
          await $.respond({ status: 200, headers: JSON.parse(steps.trigger.event.query.headers), body: "<script>1</script>" });
        } });
        """;

    async Task<HttpResponseMessage> AnswerAsync(string headers)
    {
        using var anybody = server.NewClient();
        return await anybody.GetAsync(
            $"{await server.DeployAsync("echo", Echo, response: "custom")}?headers={Uri.EscapeDataString(headers)}",
            Ct
        );
    }

    static void AssertSandboxed(HttpResponseMessage response)
    {
        Assert.Contains(
            response.Headers.GetValues("content-security-policy"),
            policy => policy.StartsWith("sandbox ", StringComparison.Ordinal) && !policy.Contains("allow-same-origin")
        );
        Assert.Equal("nosniff", response.Headers.GetValues("x-content-type-options").Single());
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"content-type":"text/plain"}""")]
    [InlineData("""{"content-type":"application/json"}""")]
    [InlineData("""{"content-type":"text/html"}""")]
    [InlineData("""{"content-type":"image/svg+xml"}""")]
    [InlineData(
        """{"content-type":"text/html","content-security-policy":"sandbox allow-same-origin allow-scripts","x-content-type-options":"none"}"""
    )]
    public async Task Every_response_of_a_run_is_sandboxed_whatever_its_type(string headers)
    {
        using var response = await AnswerAsync(headers);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        AssertSandboxed(response);
    }

    [Theory]
    [InlineData("""{"content-type":"text/plain, text/html"}""")]
    [InlineData("""{"content-type":["text/plain","text/html"]}""")]
    public async Task A_list_of_content_types_is_refused_and_the_record_says_so(string headers)
    {
        using var response = await AnswerAsync(headers);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        AssertSandboxed(response);
        var run = await server.EndOfAsync(response.Headers.GetValues("sendoff-run").Single());
        var warning = Assert.Single(run.Steps[0].Warnings);
        Assert.Equal("response_not_sent", warning.Code);
        Assert.Contains("text/plain, text/html", warning.Message);
    }

    /// <summary>Whatever a worker's frame says.</summary>
    [Theory]
    [InlineData("text/plain, text/html")]
    [InlineData("text/plain,")]
    [InlineData("text/plain; a=\"b, text/html\"")]
    [InlineData("multipart/x-mixed-replace; boundary=a")]
    [InlineData("nonsense")]
    [InlineData("")]
    public void A_type_that_a_browser_may_take_for_another_one_is_found(string type) =>
        Assert.Equal(type, ResponseHeaders.FindBadType([new("Content-Type", type)]));

    [Theory]
    [InlineData("set-cookie", "sendoff_session=x")]
    [InlineData("Set-Cookie", "SENDOFF_SESSION=x")]
    [InlineData("set-cookie", " \t sendoff_session =x")]
    [InlineData("set-cookie", "=sendoff_session=x")]
    [InlineData("set-cookie", "= sendoff_session")]
    [InlineData("clear-site-data", "*")]
    [InlineData("x-a", "ä")]
    [InlineData("x-a", "1\r\nset-cookie: a=b")]
    [InlineData("x a", "1")]
    public void Line_that_a_response_may_not_carry_is_not_sent_whatever_a_workers_frame_says(string name, string value) =>
        Assert.False(ResponseHeaders.IsSent(new(name, value)));

    [Fact]
    public void Two_lines_of_a_content_type_are_a_list()
    {
        Assert.Equal(
            "text/plain, text/html",
            ResponseHeaders.FindBadType([new("content-type", "text/plain"), new("x", "y"), new("Content-Type", "text/html")])
        );
        Assert.Null(ResponseHeaders.FindBadType([new("content-type", "text/html; charset=utf-8")]));
    }

    [Fact]
    public async Task A_run_neither_sets_nor_clears_what_belongs_to_the_pages()
    {
        using var response = await AnswerAsync(
            """
            {"set-cookie":["sendoff_session=evil; Path=/","SENDOFF_SESSION=evil","  sendoff_session =evil","=sendoff_session=evil","sendoff_session","cart=7; Path=/"],
             "clear-site-data":"*","refresh":"0;url=/signout","service-worker-allowed":"/","strict-transport-security":"max-age=1","alt-svc":"h2=evil:443","use-as-dictionary":"match=/*",
             "nel":"{}","report-to":"{}","reporting-endpoints":"a=b","origin-agent-cluster":"?0","set-login":"logged-out","x-own":"1"}
            """
        );
        Assert.Equal(["cart=7; Path=/"], response.Headers.GetValues("set-cookie"));
        Assert.Equal("1", response.Headers.GetValues("x-own").Single());
        foreach (
            string name in new[]
            {
                "clear-site-data",
                "refresh",
                "service-worker-allowed",
                "strict-transport-security",
                "alt-svc",
                "use-as-dictionary",
                "nel",
                "report-to",
                "reporting-endpoints",
                "origin-agent-cluster",
                "set-login",
            }
        )
            Assert.False(response.Headers.Contains(name), name);
    }

    [Theory]
    [InlineData("GET", "/hooks/nobody")]
    [InlineData("OPTIONS", "/hooks/nobody")]
    [InlineData("GET", "/resume/run_0000000000001/x")]
    [InlineData("OPTIONS", "/cancel/run_0000000000001/x")]
    [InlineData("GET", "/sse/wf_0000000000001/x")]
    public async Task Refusals_to_callers_of_workflows_are_sandboxed_too(string method, string path)
    {
        using var anybody = server.NewClient();
        using var response = await anybody.SendAsync(new(new(method), path), Ct);
        AssertSandboxed(response);
    }

    [Fact]
    public async Task A_tunnel_is_refused()
    {
        string hook = await server.DeployAsync("tunnel", "export default async () => {};");
        using var client = new System.Net.Sockets.TcpClient();
        await client.ConnectAsync(server.Address.Host, server.Address.Port, Ct);
        await using var stream = client.GetStream();
        await stream.WriteAsync(
            System.Text.Encoding.ASCII.GetBytes(
                $"CONNECT {hook} HTTP/1.1\r\nhost: {server.Address.Authority}\r\nconnection: close\r\n\r\n"
            ),
            Ct
        );
        using var reader = new StreamReader(stream);
        string response = await reader.ReadToEndAsync(Ct);
        Assert.StartsWith("HTTP/1.1 405", response);
        Assert.Contains("sandbox ", response);
    }

    [Fact]
    public async Task A_stream_is_sandboxed()
    {
        await server.DeployAsync("streamed", "export default async () => {};");
        string list = await server.Http.GetStringAsync("/api/v1/workflows/streamed", Ct);
        using var anybody = server.NewClient();
        using var stream = await anybody.GetAsync(
            new Uri(System.Text.Json.JsonElement.Parse(list).GetProperty("streamUrl").GetString()!).AbsolutePath,
            HttpCompletionOption.ResponseHeadersRead,
            Ct
        );
        Assert.Equal(HttpStatusCode.OK, stream.StatusCode);
        AssertSandboxed(stream);
    }

    [Fact]
    public async Task Triggers_have_an_origin_of_their_own_where_they_have_a_listener_of_their_own()
    {
        await using var apart = await TestServer.StartAsync(server: options =>
            options with
            {
                HasHooksListener = true,
                HooksUrl = new("https://hooks.example.com"),
            }
        );
        string hook = await apart.DeployAsync("apart", "export default async () => {};");
        using var pages = apart.NewClient();
        using var hooks = new HttpClient { BaseAddress = apart.HooksAddress };
        hooks.DefaultRequestHeaders.Authorization = apart.Http.DefaultRequestHeaders.Authorization;
        Assert.NotEqual(pages.BaseAddress, hooks.BaseAddress);

        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(pages, hook));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(hooks, hook));
        foreach (string path in new[] { "/", "/api/v1/runs", "/signin", "/settings", "/nowhere" })
            Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(hooks, path));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(hooks, "/healthz/live"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(apart.Http, "/api/v1/runs"));
        Assert.Contains("https://hooks.example.com/hooks/apart", await apart.Http.GetStringAsync("/api/v1/workflows/apart", Ct));
    }

    [Fact]
    public async Task Triggers_have_an_origin_of_their_own_where_they_have_a_host_name_of_their_own()
    {
        await using var apart = await TestServer.StartAsync(
            publicUrl: new("https://sendoff.example.com"),
            server: options => options with { HooksUrl = new("https://hooks.example.com") }
        );
        string hook = await apart.DeployAsync("apart", "export default async () => {};");

        Assert.Equal(HttpStatusCode.OK, await StatusAsync(apart.Http, hook, "hooks.example.com"));
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(apart.Http, hook, "sendoff.example.com"));
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(apart.Http, "/api/v1/runs", "HOOKS.example.com"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(apart.Http, "/api/v1/runs", "sendoff.example.com"));
    }

    static async Task<HttpStatusCode> StatusAsync(HttpClient client, string path, string? host = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Host = host;
        using var response = await client.SendAsync(request, Ct);
        return response.StatusCode;
    }

    [Fact]
    public void Cookies_of_a_caller_reach_the_workflow_without_the_session_in_any_spelling()
    {
        Assert.True(Sendoff.Server.Auth.SessionCookie.Remove("a=1; SENDOFF_session =x; sendoff_session=y; b=2", out string rest));
        Assert.Equal("a=1; b=2", rest);
    }
}
