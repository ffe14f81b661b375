using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>What others wrote cannot end the server, fill its memory or make it fail: it is refused, and the message says what and
/// where.</summary>
public sealed class ForeignInputTests(SharedServer shared) : IClassFixture<SharedServer>
{
    const string Cyclic = "name: x\nsteps: &a\n  - namespace: a\n    uses: ./s.js\n    props:\n      z: *a\n";

    readonly TestServer server = shared.Server;

    public static TheoryData<string, string> Yaml =>
        new()
        {
            { Cyclic, "the anchor &a is not supported" },
            { "name: x\nsteps: " + new string('[', 50_000), "nested more than 64 levels deep" },
            { "a: &a [x]\nb: [*a,*a]\n", "the anchor &a is not supported" },
        };

    [Theory]
    [MemberData(nameof(Yaml))]
    public async Task A_deploy_is_refused_at_its_line_and_column(string yaml, string says)
    {
        using var response = await PutAsync("workflows/refused", Files(new() { ["s.js"] = "return 1", ["workflow.yaml"] = yaml }));
        var problem = JsonElement.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));

        Assert.Equal(HttpStatusCode.UnprocessableEntity, response.StatusCode);
        var first = problem.GetProperty("problems")[0];
        Assert.Contains(says, first.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.True(first.GetProperty("line").GetInt32() > 0 && first.GetProperty("column").GetInt32() > 0, problem.GetRawText());
    }

    [Theory]
    [MemberData(nameof(Yaml))]
    public async Task A_draft_that_cannot_be_read_opens_in_the_editor_and_is_not_deployed(string yaml, string says)
    {
        await server.DeployAsync("opened", "return 1");
        using var saved = await PutAsync("workflows/opened/draft", Files(new() { ["s.js"] = "return 1", ["workflow.yaml"] = yaml }));
        using var page = await server.Http.GetAsync("/workflows/opened", TestContext.Current.CancellationToken);

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (saved.StatusCode, page.StatusCode));
        using var check = await server.Http.PostAsync("/api/v1/workflows/opened/draft/check", null, TestContext.Current.CancellationToken);
        var problem = JsonElement
            .Parse(await check.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))
            .GetProperty("problems")[0];
        Assert.Contains(says, problem.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"files":{"step.js":"1","step.js":"2"}}""", "'step.js' more than once")]
    [InlineData("""{"files":{"step.js":"\ud800"}}""", "half of a surrogate pair")]
    [InlineData("""{"files":{"\udc00.js":"1"}}""", "half of a surrogate pair")]
    [InlineData("""{"files":{"step.js":"return 1","package.json":"{\"dependencies\":{},\"dependencies\":{}}"}}""", null)]
    [InlineData("""{"files":{"step.js":"return 1","package.json":"[1]","sendoff-lock.json":"{\"asked\":1,\"asked\":2}"}}""", null)]
    public async Task Json_of_a_deploy_is_taken_or_refused_and_never_fails(string body, string? says)
    {
        using var response = await PutAsync("workflows/json", new StringContent(body, Encoding.UTF8, "application/json"));
        string text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);

        Assert.True(
            response.StatusCode == (says is null ? HttpStatusCode.OK : HttpStatusCode.BadRequest)
                || (says is null && response.StatusCode == HttpStatusCode.Created),
            text
        );
        Assert.Contains(
            says ?? "",
            JsonElement.Parse(text).TryGetProperty("detail", out var detail) ? detail.GetString() : "",
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData("application/json")]
    [InlineData("application/zip")]
    public async Task The_mark_of_UTF8_in_front_of_a_file_is_no_part_of_it(string type)
    {
        const string step = "\ufeffreturn 1",
            yaml = "\ufefftriggers: [ { type: http, key: marked } ]\nsteps: [ { namespace: s, uses: ./s.js } ]";
        using HttpContent content =
            type == "application/json"
                ? Files(new() { ["s.js"] = step, ["workflow.yaml"] = yaml })
                : new ByteArrayContent(Zip(("s.js", step, 0), ("workflow.yaml", yaml, 0)));
        content.Headers.ContentType = new MediaTypeHeaderValue(type);
        using var response = await PutAsync("workflows/marked", content);

        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Json_that_is_nested_too_deeply_says_so()
    {
        using var response = await PutAsync(
            "workflows/deep",
            new StringContent("{\"files\":" + new string('[', 600), Encoding.UTF8, "application/json")
        );

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains(
            "It can nest 496 levels.",
            await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task A_zip_with_a_path_twice_or_a_link_is_refused()
    {
        byte[] twice = Zip(("step.js", "return 1", 0), ("step.js", "return 2", 0));
        byte[] link = Zip(("step.js", "return 1", 0), ("other.js", "/etc/passwd", 0xA1FF));

        Assert.Contains("'step.js' more than once", await RefusedAsync(twice), StringComparison.Ordinal);
        Assert.Contains("the symbolic link 'other.js'", await RefusedAsync(link), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_zip_that_unpacks_to_more_than_it_says_is_refused_by_what_it_unpacks_to()
    {
        byte[] bomb = Zip(("step.js", new string('x', 50_000_000), 0));

        Assert.InRange(bomb.Length, 1, 100_000);
        Assert.Contains("unpacks to more than", await RefusedAsync(bomb), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_form_that_is_nothing_but_a_byte_order_mark_is_an_event()
    {
        string hook = await server.DeployAsync("marked", "return 1");
        using var content = new ByteArrayContent([0xef, 0xbb, 0xbf])
        {
            Headers = { ContentType = new MediaTypeHeaderValue("application/x-www-form-urlencoded") },
        };
        using var response = await server.Http.PostAsync(hook, content, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Theory]
    [InlineData("authorization", "\"abcdefgh\\ud800ijklmnop\"")]
    [InlineData("authorization", "Bearer \"abcdefgh\\udfffijklmnop\"")]
    [InlineData("authorization", "Basic ImFiY1x1ZDgwMGRlZmdoaWoi")]
    [InlineData("cookie", "a=\"abcdefgh\\ud800ijklmnop\"")]
    [InlineData("cookie", "\"abcdefgh\\ud800ijklmnop\"")]
    public async Task A_credential_that_looks_like_JSON_loses_no_send(string header, string value)
    {
        await using var sink = Sink.Start();
        string hook = await server.DeployAsync(
            "quoted",
            $"$send.http({{ method: 'POST', url: '{sink.Url}', headers: {{ x: event.headers.authorization ?? event.headers.cookie }} }})"
        );
        using var request = new HttpRequestMessage(HttpMethod.Post, hook) { Content = new StringContent("{}") };
        request.Headers.TryAddWithoutValidation(header, value);
        using var response = await server.NewClient().SendAsync(request, TestContext.Current.CancellationToken);

        var run = await server.EndOfAsync(response.Headers.GetValues("sendoff-run").Single());
        Assert.Equal(("succeeded", null), (run.Status, run.Message));
        Assert.Equal("succeeded", run.Steps.Single().Deliveries.Single().Status);
    }

    [Fact]
    public async Task A_secret_that_looks_like_JSON_is_stored()
    {
        using var stored = await PutAsync("secrets/QUOTED", JsonContent.Create(new { value = "\"abcdefgh\\ud800ijklmnop\"" }));

        Assert.Equal(HttpStatusCode.OK, stored.StatusCode);
    }

    static StringContent Files(Dictionary<string, string> files) =>
        new(JsonSerializer.Serialize(new { files }), Encoding.UTF8, "application/json");

    Task<HttpResponseMessage> PutAsync(string path, HttpContent content) =>
        server.Http.PutAsync($"/api/v1/{path}", content, TestContext.Current.CancellationToken);

    async Task<string> RefusedAsync(byte[] zip)
    {
        using var response = await PutAsync(
            "workflows/zipped",
            new ByteArrayContent(zip) { Headers = { ContentType = new MediaTypeHeaderValue("application/zip") } }
        );
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        return JsonElement
            .Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))
            .GetProperty("detail")
            .GetString()!;
    }

    static byte[] Zip(params (string Name, string Text, int UnixMode)[] entries)
    {
        using var bytes = new MemoryStream();
        using (var archive = new ZipArchive(bytes, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, text, mode) in entries)
            {
                var entry = archive.CreateEntry(name);
                entry.ExternalAttributes = mode << 16;
                using var writer = new StreamWriter(entry.Open());
                writer.Write(text);
            }
        }
        return bytes.ToArray();
    }
}
