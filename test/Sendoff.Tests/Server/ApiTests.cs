using System.IO.Compression;
using System.Net;
using System.Text;
using System.Text.Json;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;

namespace Sendoff.Tests.Server;

public sealed class ApiTests : IAsyncLifetime
{
    TestServer server = null!;

    public async ValueTask InitializeAsync() => server = await TestServer.StartAsync();

    public ValueTask DisposeAsync() => server.DisposeAsync();

    [Fact]
    public async Task A_run_is_told_with_its_steps_sends_attempts_and_meters()
    {
        var id = await SampleRuns.AddAsync(server.Store, server.Ids, server.Orders.Id);
        var run = await GetAsync($"/api/v1/runs/{id}");

        Assert.Equal(id.ToString(), run.GetProperty("id").GetString());
        Assert.Equal("2026-11-23T14:02:31.207Z", run.GetProperty("startedAt").GetString());
        Assert.Equal(11.9, run.GetProperty("computeMs").GetDouble());
        Assert.Equal(5271, run.GetProperty("deliveryMs").GetDouble());
        Assert.Equal("{\"ok\":true}", run.GetProperty("response").GetProperty("body").GetString());
        var step = run.GetProperty("steps")[1];
        Assert.Equal("unknown_send_option", step.GetProperty("warnings")[0].GetProperty("code").GetString());
        var sends = step.GetProperty("deliveries");
        Assert.Equal(["succeeded", "failed", "blocked"], sends.EnumerateArray().Select(d => d.GetProperty("status").GetString()));
        Assert.Equal("""["a","b"]""", sends[0].GetProperty("request").GetProperty("headers").GetProperty("X-Trace").GetRawText());
        // C8: what sets a session is masked, line by line.
        Assert.Equal("""["••••••••","••••••••"]""", sends[0].GetProperty("attempts")[0].GetProperty("response").GetProperty("headers").GetProperty("set-cookie").GetRawText());
        Assert.Equal("timeout", sends[1].GetProperty("error").GetProperty("code").GetString());
        Assert.Equal(JsonValueKind.Null, sends[1].GetProperty("attempts")[0].GetProperty("response").ValueKind);
        Assert.Equal("blocked_by_egress_policy", sends[2].GetProperty("error").GetProperty("code").GetString());
        Assert.Equal(0, sends[2].GetProperty("attempts").GetArrayLength());
    }

    [Fact]
    public async Task Lists_go_on_where_the_cursor_says()
    {
        for (int i = 0; i < 3; i++) await SampleRuns.AddAsync(server.Store, server.Ids, server.Orders.Id);
        var first = await GetAsync("/api/v1/runs?limit=2");
        var second = await GetAsync($"/api/v1/runs?limit=2&cursor={first.GetProperty("nextCursor").GetString()}");

        Assert.Equal(2, first.GetProperty("items").GetArrayLength());
        Assert.Equal(1, second.GetProperty("items").GetArrayLength());
        Assert.Equal(JsonValueKind.Null, second.GetProperty("nextCursor").ValueKind);
        Assert.True(string.CompareOrdinal(first.GetProperty("items")[1].GetProperty("id").GetString(), second.GetProperty("items")[0].GetProperty("id").GetString()) > 0);
        Assert.Equal(3, first.GetProperty("items")[0].GetProperty("sends").GetInt32());
    }

    [Theory]
    [InlineData("/api/v1/runs?limit=0", "'limit' is '0'")]
    [InlineData("/api/v1/runs?limit=201", "from 1 to 200")]
    [InlineData("/api/v1/runs?limit=ten", "'limit' is 'ten'")]
    [InlineData("/api/v1/runs?cursor=zz", "'cursor' is 'zz'")]
    [InlineData("/api/v1/runs?status=broken", "out_of_memory")]
    [InlineData("/api/v1/runs?since=yesterday", "'since' is 'yesterday'")]
    [InlineData("/api/v1/runs?statsu=failed", "'statsu' is unknown")]
    [InlineData("/api/v1/runs?limit=1&limit=2", "given 2 times")]
    [InlineData("/api/v1/runs/dlv_0000000000000", "is not the id of a run")]
    [InlineData("/api/v1/deliveries?status=running", "interrupted")]
    [InlineData("/api/v1/deliveries/nonsense", "is not the id of a delivery")]
    [InlineData("/api/v1/events/nonsense", "is not the id of an event")]
    [InlineData("/api/v1/usage?since=2026-13-01", "'since' is '2026-13-01'")]
    [InlineData("/api/v1/workflows/orders/versions/two", "is not a version")]
    public async Task Bad_input_is_one_clear_problem(string path, string says) => await AssertProblemAsync(await server.Client.GetAsync(path), HttpStatusCode.BadRequest, says);

    [Theory]
    [InlineData("/api/v1/runs/run_0000000000001", "There is no run")]
    [InlineData("/api/v1/deliveries/dlv_0000000000001", "There is no delivery")]
    [InlineData("/api/v1/events/evt_0000000000001", "There is no event")]
    [InlineData("/api/v1/workflows/nobody", "There is no workflow 'nobody'")]
    [InlineData("/api/v1/workflows/orders/versions/9", "has no version 9")]
    [InlineData("/api/v1/rusn", "nothing at /api/v1/rusn")]
    public async Task What_is_not_there_is_a_404_that_names_it(string path, string says) => await AssertProblemAsync(await server.Client.GetAsync(path), HttpStatusCode.NotFound, says);

    [Fact]
    public async Task A_lost_store_is_503_for_readiness_and_API_while_the_process_is_live()
    {
        server.StoreFails = new StoreUnavailableException("the database is locked");
        using var open = server.NewClient();

        Assert.Equal(HttpStatusCode.OK, (await open.GetAsync("/healthz/live")).StatusCode);
        await AssertProblemAsync(await open.GetAsync("/healthz/ready"), HttpStatusCode.ServiceUnavailable, "the database is locked");
        await AssertProblemAsync(await server.Client.GetAsync("/api/v1/runs"), HttpStatusCode.ServiceUnavailable, "the database is locked");
        server.StoreFails = null;
        Assert.Equal(HttpStatusCode.OK, (await open.GetAsync("/healthz/ready")).StatusCode);
    }

    [Fact]
    public async Task A_fault_of_Sendoff_tells_nothing_of_its_inside()
    {
        server.StoreFails = new InvalidOperationException("password=hunter2");
        using var response = await server.Client.GetAsync("/api/v1/runs");
        Assert.DoesNotContain("hunter2", await response.Content.ReadAsStringAsync());
        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
    }

    [Fact]
    public async Task A_deploy_answers_with_version_and_trigger_address()
    {
        server.Deployed = new(server.Orders, []);
        var answer = await SendAsync(HttpMethod.Put, "/api/v1/workflows/orders", """{"files":{"a/entry.js":"return 1","workflow.yaml":"name: x"}}""", HttpStatusCode.OK);

        Assert.Equal(["a/entry.js", "workflow.yaml"], server.Files!.Keys.Order());
        Assert.Equal("orders", answer.GetProperty("name").GetString());
        Assert.StartsWith("wf_", answer.GetProperty("id").GetString());
        Assert.Equal($$"""[{"type":"http","key":"orders","url":"{{server.Url}}hooks/orders"}]""", answer.GetProperty("triggers").GetRawText());
    }

    [Theory]
    [InlineData("text/javascript", "", "step.js")]
    [InlineData("text/typescript", "", "step.ts")]
    [InlineData(null, "?file=notify.mjs", "notify.mjs")]
    public async Task A_lone_step_file_is_a_workflow(string? type, string query, string path)
    {
        server.Deployed = new(server.Orders, []);
        using var response = await server.Client.PutAsync("/api/v1/workflows/orders" + query, Content(type, "return 1"u8.ToArray()));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(new KeyValuePair<string, string>(path, "return 1"), server.Files!.Single());
    }

    [Fact]
    public async Task A_zip_is_unpacked_without_its_top_folder()
    {
        server.Deployed = new(server.Orders, []);
        using var response = await server.Client.PutAsync("/api/v1/workflows/orders", Content("application/zip", Zip(("orders-main/workflow.yaml", "name: x"), ("orders-main/a/entry.js", "return 1"))));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(["a/entry.js", "workflow.yaml"], server.Files!.Keys.Order());
    }

    [Theory]
    [InlineData("{", "The body is not JSON")]
    [InlineData("[]", "The body is an array")]
    [InlineData("{\"file\":{}}", "The field 'file' is unknown")]
    [InlineData("{\"files\":{}}", "'files' is missing")]
    [InlineData("{\"files\":{\"a.js\":1}}", "a number for 'a.js'")]
    [InlineData("{\"files\":{\"../a.js\":\"\"}}", "'../a.js' is not inside")]
    [InlineData("{\"files\":{\"/etc/a.js\":\"\"}}", "'/etc/a.js' is not inside")]
    public async Task A_deploy_that_is_no_folder_says_why(string body, string says) =>
        await AssertProblemAsync(await server.Client.PutAsync("/api/v1/workflows/orders", Content("application/json", Encoding.UTF8.GetBytes(body))), HttpStatusCode.BadRequest, says);

    [Fact]
    public async Task A_zip_that_climbs_out_or_swells_is_refused()
    {
        await AssertProblemAsync(await server.Client.PutAsync("/api/v1/workflows/x", Content("application/zip", Zip(("a.js", "1"), ("../b.js", "2")))), HttpStatusCode.BadRequest, "'../b.js' is not inside");
        await AssertProblemAsync(await server.Client.PutAsync("/api/v1/workflows/x", Content("application/zip", Zip(("a.js", new string(' ', 17 * 1024 * 1024))))), HttpStatusCode.BadRequest, "unpacks to more than");
        await AssertProblemAsync(await server.Client.PutAsync("/api/v1/workflows/x", Content("application/zip", "PK\u0003\u0004no"u8.ToArray())), HttpStatusCode.BadRequest, "cannot be read");
    }

    [Fact]
    public async Task Mistakes_in_the_files_come_with_file_line_column_and_hint()
    {
        server.Deployed = new(null, [new("Unexpected token", "a/entry.js", 3, 7, "  retrun 1", "did you mean return?"), new("no steps")]);
        var answer = await SendAsync(HttpMethod.Put, "/api/v1/workflows/orders", """{"files":{"a/entry.js":"x"}}""", HttpStatusCode.UnprocessableEntity);

        Assert.Equal("a/entry.js:3:7: Unexpected token (and 1 more)", answer.GetProperty("detail").GetString());
        Assert.Equal("""{"message":"Unexpected token","file":"a/entry.js","line":3,"column":7,"source":"  retrun 1","hint":"did you mean return?"}""", answer.GetProperty("problems")[0].GetRawText());
    }

    [Fact]
    public async Task Workflows_are_listed_switched_off_and_on_and_removed()
    {
        Assert.Equal("orders", (await GetAsync("/api/v1/workflows")).GetProperty("items")[0].GetProperty("name").GetString());
        Assert.False((await SendAsync(HttpMethod.Post, "/api/v1/workflows/orders/disable", null, HttpStatusCode.OK)).GetProperty("enabled").GetBoolean());
        Assert.True((await SendAsync(HttpMethod.Post, "/api/v1/workflows/orders/enable", null, HttpStatusCode.OK)).GetProperty("enabled").GetBoolean());
        Assert.Equal("return 1", (await GetAsync("/api/v1/workflows/orders/versions/1")).GetProperty("files").GetProperty("step.js").GetString());
        Assert.Equal(JsonValueKind.Null, (await GetAsync("/api/v1/workflows/orders/versions")).GetProperty("items")[0].GetProperty("files").ValueKind);
        Assert.Equal(HttpStatusCode.NoContent, (await server.Client.DeleteAsync("/api/v1/workflows/orders")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await server.Client.DeleteAsync("/api/v1/workflows/orders")).StatusCode);
    }

    [Fact]
    public async Task A_replay_answers_with_the_new_run()
    {
        var id = await SampleRuns.AddAsync(server.Store, server.Ids, server.Orders.Id);
        using var response = await server.Client.PostAsync($"/api/v1/runs/{id}/replay", null);

        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        string made = JsonElement.Parse(await response.Content.ReadAsStringAsync()).GetProperty("id").GetString()!;
        Assert.NotEqual(id.ToString(), made);
        Assert.Equal($"/api/v1/runs/{made}", response.Headers.Location!.ToString());
        await AssertProblemAsync(await server.Client.PostAsync("/api/v1/runs/run_0000000000001/replay", null), HttpStatusCode.NotFound, "There is no run");
    }

    [Fact]
    public async Task Deliveries_are_resent_singly_by_ids_and_by_filter()
    {
        await SampleRuns.AddAsync(server.Store, server.Ids, server.Orders.Id);
        var failed = (await GetAsync("/api/v1/deliveries?status=failed")).GetProperty("items").EnumerateArray().Single().GetProperty("id").GetString()!;

        await SendAsync(HttpMethod.Post, $"/api/v1/deliveries/{failed}/resend", null, HttpStatusCode.Accepted);
        var byId = await SendAsync(HttpMethod.Post, "/api/v1/deliveries/resend", $$"""{"ids":["{{failed}}","dlv_0000000000001"]}""", HttpStatusCode.OK);
        var byFilter = await SendAsync(HttpMethod.Post, "/api/v1/deliveries/resend", """{"workflow":"orders"}""", HttpStatusCode.OK);

        Assert.Equal("""{"resent":1,"skipped":["dlv_0000000000001"]}""", byId.GetRawText());
        Assert.Equal(3, byFilter.GetProperty("resent").GetInt32());
        Assert.Equal(5, server.Resent.Count);
        Assert.True(server.Resent[2].Value < server.Resent[3].Value && server.Resent[3].Value < server.Resent[4].Value);
    }

    [Theory]
    [InlineData("{}", "Choose deliveries")]
    [InlineData("{\"ids\":[\"run_1\"]}", "is not the id of a delivery")]
    [InlineData("{\"ids\":\"all\"}", "'ids' is an array")]
    [InlineData("{\"state\":\"failed\"}", "The field 'state' is unknown")]
    [InlineData("{\"status\":7}", "'status' is a number")]
    [InlineData("nonsense", "The body is not JSON: line 1")]
    public async Task A_bulk_resend_that_is_unclear_sends_nothing(string body, string says)
    {
        await SampleRuns.AddAsync(server.Store, server.Ids, server.Orders.Id);
        await AssertProblemAsync(await server.Client.PostAsync("/api/v1/deliveries/resend", Content("application/json", Encoding.UTF8.GetBytes(body))), HttpStatusCode.BadRequest, says);
        Assert.Empty(server.Resent);
    }

    [Fact]
    public async Task An_event_is_shown_with_its_credentials_masked()
    {
        await SampleRuns.AddAsync(server.Store, server.Ids, server.Orders.Id);
        var e = (await GetAsync("/api/v1/events")).GetProperty("items")[0];

        Assert.Equal("orders", e.GetProperty("workflow").GetString());
        Assert.Equal(1043, e.GetProperty("event").GetProperty("body").GetProperty("id").GetInt32());
        Assert.DoesNotContain("of-a-caller", (await GetAsync($"/api/v1/events/{e.GetProperty("id").GetString()}")).GetRawText());
    }

    [Fact]
    public async Task The_stream_tells_changes_as_they_happen()
    {
        using var response = await server.Client.GetAsync("/api/v1/stream", HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        while (await reader.ReadLineAsync() != ": listening") { }
        server.Changes.Publish(new("run", "run_1", "run_1", RunStatus.TimedOut.ToString()));
        await reader.ReadLineAsync();

        Assert.Equal("event: run", await reader.ReadLineAsync());
        Assert.Equal("""data: {"type":"run","id":"run_1","runId":"run_1","status":"timed_out"}""", await reader.ReadLineAsync());
    }

    [Fact]
    public async Task The_API_describes_itself_and_its_reference_needs_no_other_host()
    {
        var api = await GetAsync("/openapi/v1.json");
        Assert.True(api.GetProperty("paths").TryGetProperty("/api/v1/runs/{id}", out _));
        Assert.Contains(api.GetProperty("paths").GetProperty("/api/v1/runs").GetProperty("get").GetProperty("parameters").EnumerateArray(), p => p.GetProperty("name").GetString() == "cursor");
        Assert.False(api.GetProperty("paths").TryGetProperty("/hooks/{key}/{path}", out _));

        string page = await server.Client.GetStringAsync("/docs/");
        Assert.DoesNotContain("https://", page);
        Assert.DoesNotContain("http://", page);
    }

    [Fact]
    public async Task Usage_keeps_the_two_meters_apart()
    {
        await SampleRuns.AddAsync(server.Store, server.Ids, server.Orders.Id);
        var usage = await GetAsync("/api/v1/usage?since=2026-11-01");
        Assert.Equal(1, usage.GetProperty("total").GetProperty("runs").GetInt64());
        Assert.True(usage.GetProperty("items")[0].TryGetProperty("deliveryMs", out _));
    }

    async Task<JsonElement> GetAsync(string path)
    {
        using var response = await server.Client.GetAsync(path);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{response.StatusCode}: {text}");
        return JsonElement.Parse(text);
    }

    async Task<JsonElement> SendAsync(HttpMethod method, string path, string? body, HttpStatusCode expected)
    {
        using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : Content("application/json", Encoding.UTF8.GetBytes(body)) };
        using var response = await server.Client.SendAsync(request);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == expected, $"{response.StatusCode}: {text}");
        return JsonElement.Parse(text);
    }

    static async Task AssertProblemAsync(HttpResponseMessage response, HttpStatusCode status, string says)
    {
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == status, $"{response.StatusCode}: {text}");
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType!.MediaType);
        Assert.Contains(says, JsonElement.Parse(text).GetProperty("detail").GetString());
    }

    static ByteArrayContent Content(string? type, byte[] body)
    {
        var content = new ByteArrayContent(body);
        if (type is not null) content.Headers.TryAddWithoutValidation("content-type", type);
        return content;
    }

    static byte[] Zip(params (string Path, string Text)[] files)
    {
        var bytes = new MemoryStream();
        using (var zip = new ZipArchive(bytes, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (path, text) in files)
            {
                using var writer = new StreamWriter(zip.CreateEntry(path).Open());
                writer.Write(text);
            }
        }
        return bytes.ToArray();
    }
}
