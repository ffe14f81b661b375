using System.IO.Compression;
using System.Net;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using NJsonSchema;
using Sendoff.Engine;
using Sendoff.Engine.Storage;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

public sealed class HarTests(SharedServer shared) : IClassFixture<SharedServer>
{
    readonly TestServer server = shared.Server;

    [Fact]
    public async Task A_run_s_archive_is_what_the_specification_says()
    {
        var run = await SampleRuns.AddAsync(server);
        string text = await GetAsync($"/api/v1/runs/{run}/har");

        Assert.Empty((await JsonSchema.FromFileAsync(SchemaPath())).Validate(text));
        Assert.DoesNotContain("\\u0022", text);
        var entries = Entries(text);
        Assert.Equal(3, entries.Count);
        foreach (var entry in entries)
        {
            var t = entry.GetProperty("timings");
            double sum = new[] { "blocked", "dns", "connect", "send", "wait", "receive" }.Sum(name =>
                Math.Max(0, t.GetProperty(name).GetDouble())
            );
            Assert.Equal(sum, entry.GetProperty("time").GetDouble(), 3);
            Assert.True(t.GetProperty("ssl").GetDouble() <= t.GetProperty("connect").GetDouble());
        }
    }

    [Fact]
    public async Task An_entry_has_request_response_and_the_waterfall_of_the_attempt()
    {
        var run = await server.GetRunAsync((await SampleRuns.AddAsync(server)).ToString());
        var entry = Assert.Single(Entries(await GetAsync($"/api/v1/deliveries/{run.Steps[1].Deliveries[0].Id}/har")));
        var (request, response, timings) = (entry.GetProperty("request"), entry.GetProperty("response"), entry.GetProperty("timings"));

        Assert.Equal("""{"blocked":0.4,"dns":12.1,"connect":137.3,"ssl":96,"send":0.9,"wait":120.5,"receive":0.2}""", timings.GetRawText());
        Assert.Equal(271.4, entry.GetProperty("time").GetDouble());
        Assert.Equal("2026-11-23T14:02:31.219Z", entry.GetProperty("startedDateTime").GetString());
        Assert.Equal("203.0.113.20", entry.GetProperty("serverIPAddress").GetString());
        Assert.Equal(
            (1, 308),
            (entry.GetProperty("_attempt").GetInt32(), entry.GetProperty("_redirects")[0].GetProperty("status").GetInt32())
        );

        Assert.Equal(
            ("POST", "https://crm.example.com/contacts"),
            (request.GetProperty("method").GetString(), request.GetProperty("url").GetString())
        );
        Assert.Equal("application/json", request.GetProperty("postData").GetProperty("mimeType").GetString());
        Assert.StartsWith("{\"order\":1043", request.GetProperty("postData").GetProperty("text").GetString());
        Assert.Equal(
            (
                "POST /contacts HTTP/1.1\r\nHost: crm.example.com\r\ncontent-type: application/json\r\nuser-agent: sendoff/0.1.0\r\n"
                + "content-length: 88\r\n\r\n"
            ).Length,
            request.GetProperty("headersSize").GetInt32()
        );

        Assert.Equal(
            (200, "OK", "HTTP/1.1", 15),
            (
                response.GetProperty("status").GetInt32(),
                response.GetProperty("statusText").GetString(),
                response.GetProperty("httpVersion").GetString(),
                response.GetProperty("bodySize").GetInt32()
            )
        );
        Assert.Equal(
            """{"size":15,"mimeType":"application/json","text":"{\"stored\":true}"}""",
            response.GetProperty("content").GetRawText()
        );
        Assert.False(response.TryGetProperty("_error", out _));
        // C8: what sets a session is masked here too.
        Assert.All(
            response.GetProperty("headers").EnumerateArray().Where(h => h.GetProperty("name").GetString() == "set-cookie"),
            h => Assert.Equal("••••••••", h.GetProperty("value").GetString())
        );
    }

    [Fact]
    public async Task An_attempt_without_response_has_status_0_and_says_why()
    {
        var run = await server.GetRunAsync((await SampleRuns.AddAsync(server)).ToString());
        var entry = Assert.Single(Entries(await GetAsync($"/api/v1/deliveries/{run.Steps[1].Deliveries[1].Id}/har")));

        Assert.Equal(0, entry.GetProperty("response").GetProperty("status").GetInt32());
        Assert.Equal(
            "timeout: timed out after 5,000 ms while waiting for the response",
            entry.GetProperty("response").GetProperty("_error").GetString()
        );
        Assert.Equal("""[{"name":"source","value":"shop"}]""", entry.GetProperty("request").GetProperty("queryString").GetRawText());
    }

    [Fact]
    public async Task A_delivery_without_attempts_has_one_entry_with_what_was_asked()
    {
        var run = await server.GetRunAsync((await SampleRuns.AddAsync(server)).ToString());
        var entry = Assert.Single(Entries(await GetAsync($"/api/v1/deliveries/{run.Steps[1].Deliveries[2].Id}/har")));

        Assert.StartsWith("blocked_by_egress_policy: 169.254.169.254", entry.GetProperty("response").GetProperty("_error").GetString());
        Assert.Equal(
            """{"blocked":-1,"dns":-1,"connect":-1,"ssl":-1,"send":0,"wait":0,"receive":0}""",
            entry.GetProperty("timings").GetRawText()
        );
        Assert.False(entry.TryGetProperty("serverIPAddress", out _));
        Assert.Equal(-1, entry.GetProperty("request").GetProperty("headersSize").GetInt32());
        Assert.InRange(
            entry.GetProperty("startedDateTime").GetDateTimeOffset(),
            DateTimeOffset.UtcNow.AddMinutes(-10),
            DateTimeOffset.UtcNow.AddMinutes(1)
        );
    }

    [Fact]
    public async Task The_size_of_the_headers_is_what_arrived()
    {
        await using var receiver = Receiver.Answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        string url = receiver.Url + "a?b=%20&c=d+e&f";
        var entry = await EntryOfAsync(
            new HttpSend("POST", url, [new("x-a", "é"), new("X-A", "€"), new("x-empty", "")], "body"u8.ToArray())
        );

        Assert.Equal(receiver.Request.Length - "body".Length, entry.Request.HeadersSize);
        Assert.Equal([new("b", " "), new("c", "d e"), new("f", "")], entry.Request.QueryString);
        Assert.Equal("127.0.0.1", entry.ServerIPAddress);
    }

    [Fact]
    public async Task Compressed_text_has_both_of_its_sizes_and_binary_is_Base64()
    {
        string text = new('x', 1_000);
        using var zipped = new MemoryStream();
        await using (var gzip = new GZipStream(zipped, CompressionLevel.Optimal, leaveOpen: true))
            await gzip.WriteAsync(Encoding.UTF8.GetBytes(text));
        await using var coded = Receiver.AnsweringOnce([
            .. Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {zipped.Length}\r\n\r\n"),
            .. zipped.ToArray(),
        ]);
        await using var binary = Receiver.AnsweringOnce([.. "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n"u8, 0xff, 0x00, 0x01]);

        var one = (await EntryOfAsync(new HttpSend("GET", coded.Url, [], default))).Response;
        var other = await EntryOfAsync(new HttpSend("POST", binary.Url, [], new byte[] { 0xfe }));

        Assert.Equal(
            (zipped.Length, 1_000, 1_000 - zipped.Length, text),
            (one.BodySize, one.Content.Size, one.Content.Compression, one.Content.Text)
        );
        Assert.Equal(new HarContent(3, null, "x-unknown", "/wAB", "base64", null), other.Response.Content);
        Assert.Equal(("/g==", "base64"), (other.Request.PostData!.Text, other.Request.PostData.Encoding));
    }

    [Fact]
    public async Task A_body_that_was_cut_says_so()
    {
        await using var receiver = Receiver.Answering("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello");
        var entry = await EntryOfAsync(new HttpSend("GET", receiver.Url, [], default), new EngineLimits { DeliveryBodyCapture = 2 });
        Assert.Equal(new HarContent(5, null, "text/plain", "he", null, "truncated: the first 2 bytes are stored"), entry.Response.Content);
    }

    [Fact]
    public async Task Archives_are_files_to_save()
    {
        var run = await SampleRuns.AddAsync(server);
        using var response = await server.Http.GetAsync($"/api/v1/runs/{run}/har");
        Assert.Equal(
            ("application/json", $"{run}.har"),
            (response.Content.Headers.ContentType!.MediaType, response.Content.Headers.ContentDisposition!.FileName)
        );
    }

    [Theory]
    [InlineData("/api/v1/runs/run_0000000000001/har", HttpStatusCode.NotFound, "There is no run")]
    [InlineData("/api/v1/runs/run_0000000000001/curl", HttpStatusCode.NotFound, "There is no run")]
    [InlineData("/api/v1/deliveries/dlv_0000000000001/har", HttpStatusCode.NotFound, "There is no delivery")]
    [InlineData("/api/v1/deliveries/dlv_0000000000001/curl", HttpStatusCode.NotFound, "There is no delivery")]
    [InlineData("/api/v1/runs/dlv_0000000000001/har", HttpStatusCode.BadRequest, "is not the id of a run")]
    [InlineData("/api/v1/deliveries/x/curl", HttpStatusCode.BadRequest, "is not the id of a delivery")]
    public async Task What_is_not_there_is_a_problem(string path, HttpStatusCode status, string says)
    {
        using var response = await server.Http.GetAsync(path);
        Assert.Equal(status, response.StatusCode);
        Assert.Contains(says, await response.Content.ReadAsStringAsync());
    }

    static async Task<HarEntry> EntryOfAsync(HttpSend send, EngineLimits? limits = null)
    {
        using var sending = new Sending(limits);
        var attempt = await sending.SendAsync(send);
        var delivery = DeliveryDocument.From(new StoredDelivery(Sending.DeliveryOf(send, attempt.Status), "w", [attempt]));
        return Assert.Single(HarExport.Entries(delivery));
    }

    async Task<string> GetAsync(string path) => await server.Http.GetStringAsync(path);

    static List<JsonElement> Entries(string har) => [.. JsonElement.Parse(har).GetProperty("log").GetProperty("entries").EnumerateArray()];

    static string SchemaPath([CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "har-1.2.schema.json");
}
