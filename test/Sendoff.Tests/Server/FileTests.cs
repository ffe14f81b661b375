using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Sendoff.Engine;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>A file of a form has a URL that steps and other services read for a while (E7).</summary>
public sealed class FileTests(SharedServer shared) : IClassFixture<SharedServer>
{
    readonly TestServer server = shared.Server;
    readonly HttpClient client = shared.Server.NewClient();

    static CancellationToken Ct => TestContext.Current.CancellationToken;

    static MultipartFormDataContent Form(byte[] content, string type = "image/png", string name = "p.png")
    {
        var file = new ByteArrayContent(content);
        file.Headers.ContentType = new MediaTypeHeaderValue(type);
        return new MultipartFormDataContent { { new StringContent("Ada"), "name" }, { file, "photo", name } };
    }

    async Task<(string Url, HttpResponseMessage Response)> UploadAsync(string hook, MultipartFormDataContent form)
    {
        var response = await client.PostAsync(hook, form, Ct);
        return ((await server.EventOfAsync(response)).GetProperty("body").GetProperty("photo").GetProperty("url").GetString()!, response);
    }

    [Fact]
    public async Task Anyone_with_the_URL_of_a_file_can_read_it()
    {
        string hook = await server.DeployAsync("files", "export default async () => {};");
        byte[] content = [1, 2, 255, .. "\r\n--B"u8];
        var (url, posted) = await UploadAsync(hook, Form(content, name: "mein bild.png"));
        using var response = await client.GetAsync(url, Ct);
        using var head = await client.SendAsync(new HttpRequestMessage(HttpMethod.Head, url), Ct);
        using var part = await client.SendAsync(new HttpRequestMessage(HttpMethod.Get, url) { Headers = { Range = new(1, 1) } }, Ct);

        Assert.StartsWith(server.Address.ToString(), url);
        Assert.EndsWith("/mein%20bild.png", url);
        Assert.Equal(content, await response.Content.ReadAsByteArrayAsync(Ct));
        Assert.Equal("image/png", response.Content.Headers.ContentType!.ToString());
        Assert.Equal("attachment", response.Content.Headers.ContentDisposition!.DispositionType);
        Assert.Contains("sandbox", response.Headers.GetValues("content-security-policy").Single());
        Assert.Equal((HttpStatusCode.OK, content.Length), (head.StatusCode, (int)head.Content.Headers.ContentLength!.Value));
        Assert.Equal([2], await part.Content.ReadAsByteArrayAsync(Ct));
        posted.Dispose();
    }

    public static TheoryData<string, string> Names =>
        new()
        {
            { "", "file" },
            { ".", "file" },
            { "a/..", "file" },
            { "a\0b\u0085.png", "ab.png" },
            { new string('n', 9_000), new string('n', 100) },
            { "%2e%2e%2f?#", "%252e%252e%252f%3F%23" },
        };

    [Theory]
    [MemberData(nameof(Names))]
    public async Task The_URL_of_a_file_works_whatever_its_name(string name, string shown)
    {
        string hook = await server.DeployAsync("files", "export default async () => {};");
        string form = $"--B\r\ncontent-disposition: form-data; name=photo; filename=\"{name}\"\r\n\r\nx\r\n--B--\r\n";
        using var content = new StringContent(form);
        content.Headers.ContentType = MediaTypeHeaderValue.Parse("multipart/form-data; boundary=B");
        using var posted = await client.PostAsync(hook, content, Ct);
        var photo = (await server.EventOfAsync(posted)).GetProperty("body").GetProperty("photo");
        using var response = await client.GetAsync(photo.GetProperty("url").GetString()!, Ct);

        Assert.EndsWith($"/0/{shown}", photo.GetProperty("url").GetString(), StringComparison.Ordinal);
        Assert.Equal(name, photo.GetProperty("filename").GetString());
        Assert.Equal("x", await response.Content.ReadAsStringAsync(Ct));
    }

    [Fact]
    public async Task Only_the_signed_URL_of_a_file_is_answered()
    {
        string hook = await server.DeployAsync("files", "export default async () => {};");
        var (url, posted) = await UploadAsync(hook, Form([1]));
        string[] parts = url.Split('/');
        string forged = string.Join(
            '/',
            (string[])[.. parts[..5], "A" + parts[5][1..] == parts[5] ? "B" + parts[5][1..] : "A" + parts[5][1..], .. parts[6..]]
        );
        string cut = string.Join('/', (string[])[.. parts[..5], parts[5][..^1], .. parts[6..]]);
        string field = string.Join('/', (string[])[.. parts[..6], "0", parts[7]]);
        string none = string.Join('/', (string[])[.. parts[..6], "7", parts[7]]),
            many = string.Join('/', (string[])[.. parts[..6], "99999999999", parts[7]]),
            word = string.Join('/', (string[])[.. parts[..6], "x", parts[7]]);

        foreach (string wrong in (string[])[forged, cut, field, none, many, word])
        {
            using var response = await client.GetAsync(wrong, Ct);
            Assert.Equal((wrong, HttpStatusCode.NotFound), (wrong, response.StatusCode));
        }
        posted.Dispose();
    }

    [Fact]
    public async Task A_type_that_a_browser_could_take_for_another_is_not_repeated()
    {
        string hook = await server.DeployAsync("files", "export default async () => {};");
        var form = new ByteArrayContent(
            (
                "--B\r\nContent-Disposition: form-data; name=photo; filename=a.html\r\n"u8
                + "Content-Type: text/plain, text/html\r\n\r\n<p>\r\n--B--\r\n"u8
            ).ToArray()
        );
        form.Headers.ContentType = MediaTypeHeaderValue.Parse("multipart/form-data; boundary=B");
        using var posted = await client.PostAsync(hook, form, Ct);
        string url = (await server.EventOfAsync(posted)).GetProperty("body").GetProperty("photo").GetProperty("url").GetString()!;
        using var response = await client.GetAsync(url, Ct);

        Assert.Equal("application/octet-stream", response.Content.Headers.ContentType!.ToString());
    }

    [Fact]
    public async Task A_step_reads_the_file_by_its_URL_and_as_a_path_and_sends_the_URL_on()
    {
        await using var sink = Sink.Start();
        string hook = await server.DeployAsync(
            "reader",
            $$"""
            const fs = require("fs"), http = require("http");
            const got = await new Promise((ok, bad) => http.get(event.body.photo.url, r => { let n = 0; r.on("data", c => n += c.length); r.on("end", () => ok(n)) }).on("error", bad));
            $send.http({ method: "POST", url: "{{sink.Url}}", data: { url: event.body.photo.url } });
            return [got, fs.readFileSync($attachments.photo).toString("hex"), event.body.photo.url];
            """,
            file: "step.js"
        );
        var (url, posted) = await UploadAsync(hook, Form([1, 2, 255]));
        var run = await server.EndOfAsync(posted.Headers.GetValues("sendoff-run").Single());
        string sign = url.Split('/')[5];

        var value = run.Steps[0].Exports.GetProperty("$return_value");
        Assert.Equal("3,0102ff", $"{value[0]},{value[1]}");
        Assert.Contains(url, Encoding.UTF8.GetString(Assert.Single(sink.Requests).Body));
        // Who reads the record must not read the file, which may hold a secret.
        Assert.DoesNotContain(sign, await server.Http.GetStringAsync($"/api/v1/runs/{run.Id}", Ct));
        Assert.DoesNotContain(sign, await server.Http.GetStringAsync("/api/v1/events?limit=100", Ct));
        posted.Dispose();
    }

    [Fact]
    public async Task A_URL_expires_and_works_while_a_run_of_its_event_executes()
    {
        await using var timed = await TestServer.StartAsync(new EngineLimits { TriggerFileUrlAge = TimeSpan.FromTicks(1) });
        await using var gate = Sink.Start(hold: true);
        string hook = await timed.DeployAsync(
            "late",
            $$"""await fetch("{{gate.Url}}"); return (await fetch(event.body.photo.url)).status""",
            file: "step.js"
        );
        using var posted = await client.PostAsync(new Uri(timed.Address, hook), Form([1]), Ct);
        string url = (await timed.EventOfAsync(posted)).GetProperty("body").GetProperty("photo").GetProperty("url").GetString()!;
        await gate.WaitForRequestsAsync(1);
        using var meanwhile = await client.GetAsync(url, Ct);
        gate.Release();
        string id = posted.Headers.GetValues("sendoff-run").Single();
        var run = await timed.EndOfAsync(id);
        using var after = await client.GetAsync(url, Ct);

        Assert.Equal(HttpStatusCode.OK, meanwhile.StatusCode);
        Assert.Equal(200, run.Steps[0].Exports.GetProperty("$return_value").GetInt32());
        Assert.Equal(HttpStatusCode.Gone, after.StatusCode);
        Assert.Contains("Triggers:FileUrlAge", await after.Content.ReadAsStringAsync(Ct));
    }
}
