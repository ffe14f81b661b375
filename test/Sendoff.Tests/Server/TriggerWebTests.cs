using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sendoff.Engine;
using Sendoff.Server.Triggers;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>Triggers and streams among browsers, proxies and senders that compress (E7).</summary>
public sealed class TriggerWebTests(SharedServer shared) : IClassFixture<SharedServer>, IAsyncLifetime
{
    const string Shop = "https://shop.example";

    readonly TestServer server = shared.Server;
    readonly HttpClient client = shared.Server.NewClient();

    static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        if (await server.Store.GetWorkflowAsync("web", default) is null)
            await server.DeployAsync(
                "web",
                "export default { async run({ steps, $ }) { await $.respond({ headers: { 'x-own': 1, location: '/x' }, body: 'ok' }) } };",
                response: "custom"
            );
    }

    public ValueTask DisposeAsync() => default;

    static string Of(HttpResponseMessage response, string name) =>
        response.Headers.TryGetValues(name, out var values) ? string.Join(", ", values) : "";

    HttpRequestMessage From(HttpMethod method, string path, string? origin = Shop)
    {
        var request = new HttpRequestMessage(method, path);
        if (origin is not null)
            request.Headers.Add("origin", origin);
        return request;
    }

    [Fact]
    public async Task A_page_may_call_with_credentials_and_read_every_header()
    {
        using var response = await client.SendAsync(From(HttpMethod.Post, "/hooks/web"), Ct);
        using var plain = await client.SendAsync(From(HttpMethod.Post, "/hooks/web", origin: null), Ct);

        Assert.Equal(
            (Shop, "true", "Origin"),
            (Of(response, "access-control-allow-origin"), Of(response, "access-control-allow-credentials"), Of(response, "vary"))
        );
        Assert.Equal(
            "sendoff-run, sendoff-event, retry-after, x-own, location, content-type",
            Of(response, "access-control-expose-headers")
        );
        Assert.Equal(("*", ""), (Of(plain, "access-control-allow-origin"), Of(plain, "access-control-allow-credentials")));
    }

    // navigator.sendBeacon with a Blob of application/json asks first, and sends cookies.
    [Theory]
    [InlineData("/hooks/web", "POST")]
    [InlineData("/sse/wf_0000000000000000/key", "GET")]
    [InlineData("/files/evt_0000000000000000/sign/0/name", "GET")]
    [InlineData("/resume/run_0000000000000000/sign", "POST")]
    [InlineData("/cancel/run_0000000000000000/sign", "POST")]
    public async Task A_preflight_is_answered_wherever_pages_may_call(string path, string method)
    {
        var request = From(HttpMethod.Options, path);
        request.Headers.Add("access-control-request-method", method);
        request.Headers.Add("access-control-request-headers", "content-type, last-event-id");
        using var response = await client.SendAsync(request, Ct);

        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        Assert.Equal((Shop, "true"), (Of(response, "access-control-allow-origin"), Of(response, "access-control-allow-credentials")));
        Assert.Contains(method, Of(response, "access-control-allow-methods").Split(','));
        Assert.Equal("content-type, last-event-id", Of(response, "access-control-allow-headers"));
    }

    [Fact]
    public async Task What_a_run_says_of_origins_takes_the_place_of_what_the_server_says()
    {
        string hook = await server.DeployAsync(
            "own-cors",
            """
            export default { async run({ $ }) { await $.respond({ headers: { 'access-control-allow-origin': 'https://only.example', 'access-control-expose-headers': 'x-a' }, body: '' }) } };
            """,
            response: "custom"
        );
        using var response = await client.SendAsync(From(HttpMethod.Post, hook), Ct);

        Assert.Equal(
            ("https://only.example", "", "x-a"),
            (
                Of(response, "access-control-allow-origin"),
                Of(response, "access-control-allow-credentials"),
                Of(response, "access-control-expose-headers")
            )
        );
    }

    static byte[] Coded(string coding, byte[] plain)
    {
        var output = new MemoryStream();
        using (
            Stream packed = coding switch
            {
                "gzip" or "x-gzip" => new GZipStream(output, CompressionLevel.Optimal),
                "deflate" => new ZLibStream(output, CompressionLevel.Optimal),
                "bare" => new DeflateStream(output, CompressionLevel.Optimal),
                _ => new BrotliStream(output, CompressionLevel.Optimal),
            }
        )
            packed.Write(plain);
        return output.ToArray();
    }

    static ByteArrayContent Content(byte[] body, params string[] codings)
    {
        var content = new ByteArrayContent(body);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        foreach (string coding in codings)
            content.Headers.ContentEncoding.Add(coding);
        return content;
    }

    [Theory]
    [InlineData("gzip", "gzip")]
    [InlineData("x-gzip", "X-GZIP")]
    [InlineData("deflate", "deflate")]
    [InlineData("bare", "deflate")]
    [InlineData("br", "br")]
    [InlineData("gzip", "identity, gzip")]
    public async Task A_compressed_body_is_read_as_what_it_was(string made, string said)
    {
        using var response = await client.PostAsync("/hooks/web", Content(Coded(made, "{\"id\": 1}"u8.ToArray()), said.Split(", ")), Ct);

        var e = await server.EventOfAsync(response);
        Assert.Equal(1, e.GetProperty("body").GetProperty("id").GetInt32());
        Assert.False(e.GetProperty("headers").TryGetProperty("content-encoding", out _));
    }

    [Theory]
    [InlineData("/api/v1/alerts", "gzip")]
    [InlineData("/api/v1/workflows/web/events", "br")]
    [InlineData("/api/v1/tokens", "compress")]
    public async Task The_api_refuses_a_compressed_body_and_says_how_to_send_it(string path, string coding)
    {
        using var response = await server.Http.PostAsync(path, Content("{}"u8.ToArray(), coding), Ct);

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
        Assert.Contains(
            $"The content encoding is '{coding}'. The API does not accept compressed bodies",
            JsonElement.Parse(await response.Content.ReadAsByteArrayAsync(Ct)).GetProperty("detail").GetString()
        );
    }

    [Fact]
    public async Task A_compressed_body_that_cannot_be_read_is_refused_and_starts_no_run()
    {
        using var bomb = await client.PostAsync("/hooks/web", Content(Coded("gzip", new byte[64 * 1024 * 1024]), "gzip"), Ct);
        using var twice = await client.PostAsync(
            "/hooks/web",
            Content(Coded("gzip", Coded("br", new byte[new EngineLimits().TriggerBodyBytes + 1])), "br", "gzip"),
            Ct
        );
        using var wrong = await client.PostAsync("/hooks/web", Content("{}"u8.ToArray(), "gzip"), Ct);
        using var unknown = await client.PostAsync("/hooks/web", Content("{}"u8.ToArray(), "compress"), Ct);

        Assert.Equal(
            [
                HttpStatusCode.RequestEntityTooLarge,
                HttpStatusCode.RequestEntityTooLarge,
                HttpStatusCode.BadRequest,
                HttpStatusCode.UnsupportedMediaType,
            ],
            new[] { bomb, twice, wrong, unknown }.Select(static one => one.StatusCode)
        );
        Assert.Contains("compress", await unknown.Content.ReadAsStringAsync(Ct));
        Assert.All([bomb, twice, wrong, unknown], static one => Assert.False(one.Headers.Contains("sendoff-run")));
    }

    [Theory]
    [InlineData("gzip", "gzip")]
    [InlineData("deflate", "deflate")]
    [InlineData("bare", "deflate")]
    [InlineData("br", "br")]
    public async Task A_compressed_body_that_ends_early_is_refused_wherever_it_ends(string made, string said)
    {
        byte[] whole = Coded(made, [.. Enumerable.Range(0, 300).Select(static i => (byte)('a' + i * i % 26))]);
        for (int length = 3; length < whole.Length; length += 1 + whole.Length / 40)
        {
            using var response = await client.PostAsync("/hooks/web", Content(whole[..length], said), Ct);
            Assert.True(response.StatusCode == HttpStatusCode.BadRequest, $"{length} of {whole.Length} bytes: {response.StatusCode}");
        }
        foreach (int length in new[] { whole.Length - 1, whole.Length })
        {
            using var response = await client.PostAsync("/hooks/web", Content(whole[..length], said), Ct);
            Assert.Equal(length == whole.Length, response.IsSuccessStatusCode);
        }
    }

    [Theory]
    [InlineData("FFFFFFFFFFFFFFFF2\r\n{}\r\n0\r\n\r\n")]
    [InlineData("7FFFFFFFF\r\n{}\r\n0\r\n\r\n")]
    [InlineData("-2\r\n{}\r\n0\r\n\r\n")]
    [InlineData("x\r\n{}\r\n0\r\n\r\n")]
    [InlineData("\r\n{}\r\n0\r\n\r\n")]
    [InlineData("1\r\n{}\r\n0\r\n\r\n")]
    public async Task A_chunk_whose_size_is_no_size_is_refused_and_not_a_fault(string body)
    {
        foreach (string path in new[] { "POST /hooks/web", "PUT /api/v1/workflows/x" })
        {
            using var socket = new TcpClient(server.Address.Host, server.Address.Port);
            await using var stream = socket.GetStream();
            await stream.WriteAsync(
                Encoding.Latin1.GetBytes(
                    $"{path} HTTP/1.1\r\nhost: {server.Address.Authority}\r\nauthorization: Bearer {TestServer.Token}\r\ncontent-type: "
                        + $"application/json\r\ntransfer-encoding: chunked\r\n\r\n{body}"
                ),
                Ct
            );
            using var reader = new StreamReader(stream);
            Assert.StartsWith("HTTP/1.1 400 ", await reader.ReadLineAsync(Wait.Token));
        }
    }

    [Theory]
    [InlineData("", "192.0.2.1", "203.0.113.9", "192.0.2.1")]
    [InlineData("192.0.2.0/24", "192.0.2.1", "203.0.113.9", "203.0.113.9")]
    [InlineData("192.0.2.1", "192.0.2.1", "10.9.9.9, 203.0.113.9", "203.0.113.9")]
    [InlineData("192.0.2.1, 10.0.0.0/8", "192.0.2.1", "203.0.113.9, 10.1.1.1", "203.0.113.9")]
    [InlineData("192.0.2.1", "192.0.2.7", "203.0.113.9", "192.0.2.7")]
    [InlineData("192.0.2.1", "192.0.2.1", "", "192.0.2.1")]
    [InlineData("192.0.2.1", "192.0.2.1", "unknown", "192.0.2.1")]
    [InlineData("192.0.2.1", "192.0.2.1", "010.0.0.1", "192.0.2.1")]
    [InlineData("192.0.2.1", "192.0.2.1", "0x7f.1", "192.0.2.1")]
    [InlineData("192.0.2.1", "192.0.2.1", "2130706433", "192.0.2.1")]
    [InlineData("192.0.2.1", "192.0.2.1", "10.1:80", "192.0.2.1")]
    [InlineData("192.0.2.1", "::ffff:192.0.2.1", "[2001:db8::9]:4711", "2001:db8::9")]
    [InlineData("192.0.2.1", "192.0.2.1", "203.0.113.9:80", "203.0.113.9")]
    [InlineData("192.0.2.1, 10.0.0.0/8", "192.0.2.1", "10.1.1.2, 10.1.1.1", "10.1.1.2")]
    [InlineData("unix", null, "203.0.113.9", "203.0.113.9")]
    [InlineData("192.0.2.1", null, "203.0.113.9", "")]
    public void A_trusted_proxy_says_who_calls_and_nobody_else_does(string trusted, string? peer, string said, string expected)
    {
        var context = new DefaultHttpContext();
        context.Connection.RemoteIpAddress = peer is null ? null : IPAddress.Parse(peer);
        if (said.Length > 0)
            context.Request.Headers["x-forwarded-for"] = said;

        Assert.Equal(expected, TrustedProxies.Parse(trusted)!.ClientOf(context.Request));
    }

    [Fact]
    public async Task An_event_and_a_resume_request_have_the_address_that_the_proxy_tells()
    {
        await using var behind = await TestServer.StartAsync(server: options =>
            options with
            {
                TrustedProxies = TrustedProxies.Parse("127.0.0.1")!,
            }
        );
        string hook = await behind.DeployAsync("web", "export default async () => {};");
        var request = new HttpRequestMessage(HttpMethod.Post, new Uri(behind.Address, hook));
        request.Headers.Add("x-forwarded-for", "198.51.100.1, 203.0.113.9");
        using var response = await client.SendAsync(request, Ct);

        Assert.Equal("203.0.113.9", (await behind.EventOfAsync(response)).GetProperty("client_ip").GetString());
        Assert.Null(TrustedProxies.Parse("10.0.0.1/8x"));
    }
}
