using System.IO.Compression;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Sendoff.Engine;
using Sendoff.Engine.Storage;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

public sealed class ApiTests(SharedServer shared) : IClassFixture<SharedServer>, IAsyncLifetime
{
    const string Nothing = "export default async () => {};";

    readonly TestServer server = shared.Server;

    /// <summary>The workflow that the runs of <see cref="SampleRuns"/> are of.</summary>
    public async ValueTask InitializeAsync() => await SampleRuns.DeployAsync(server.Store, "orders");

    public ValueTask DisposeAsync() => default;

    [Fact]
    public async Task A_deployed_schedule_says_when_it_is_due_next()
    {
        using var deployed = await server.Http.PutAsJsonAsync(
            "/api/v1/workflows/mornings",
            new
            {
                files = new Dictionary<string, string>
                {
                    ["workflow.yaml"] =
                        "triggers: [ { type: schedule, cron: '30 4 1,15 * 5' } ]\nsteps: [ { namespace: a, uses: ./a.js } ]",
                    ["a.js"] = "",
                },
            }
        );

        var trigger = (await deployed.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("triggers")[0];
        DateTimeOffset[] times = [.. trigger.GetProperty("dueTimes").EnumerateArray().Select(static time => time.GetDateTimeOffset())];
        Assert.Equal(5, times.Length);
        Assert.Equal(times[0], trigger.GetProperty("nextDueAt").GetDateTimeOffset());
        Assert.Equal(times.Order(), times);
        Assert.All(
            times,
            static time =>
                Assert.True(time is { Hour: 4, Minute: 30 } && (time.Day is 1 or 15 || time.DayOfWeek == DayOfWeek.Friday), $"{time}")
        );
    }

    [Fact]
    public async Task A_run_is_told_with_its_steps_sends_attempts_and_meters()
    {
        var id = await SampleRuns.AddAsync(server);
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
        Assert.Equal(
            """["••••••••","••••••••"]""",
            sends[0].GetProperty("attempts")[0].GetProperty("response").GetProperty("headers").GetProperty("set-cookie").GetRawText()
        );
        Assert.Equal("timeout", sends[1].GetProperty("error").GetProperty("code").GetString());
        Assert.Equal(JsonValueKind.Null, sends[1].GetProperty("attempts")[0].GetProperty("response").ValueKind);
        Assert.Equal("blocked_by_egress_policy", sends[2].GetProperty("error").GetProperty("code").GetString());
        Assert.Equal(0, sends[2].GetProperty("attempts").GetArrayLength());
    }

    [Fact]
    public async Task Lists_go_on_where_the_cursor_says()
    {
        for (int i = 0; i < 3; i++)
            await SampleRuns.AddAsync(server, workflow: "paged");
        var first = await GetAsync("/api/v1/runs?workflow=paged&limit=2");
        var second = await GetAsync($"/api/v1/runs?workflow=paged&limit=2&cursor={first.GetProperty("nextCursor").GetString()}");

        Assert.Equal(2, first.GetProperty("items").GetArrayLength());
        Assert.Equal(1, second.GetProperty("items").GetArrayLength());
        Assert.Equal(JsonValueKind.Null, second.GetProperty("nextCursor").ValueKind);
        Assert.True(
            string.CompareOrdinal(
                first.GetProperty("items")[1].GetProperty("id").GetString(),
                second.GetProperty("items")[0].GetProperty("id").GetString()
            ) > 0
        );
    }

    [Fact]
    public async Task A_run_in_a_list_tells_apart_what_was_delivered_and_what_failed()
    {
        await SampleRuns.AddAsync(server, workflow: "counted");
        var run = (await GetAsync("/api/v1/runs?workflow=counted")).GetProperty("items")[0];
        Assert.Equal(
            [3, 1, 2, 0],
            new[] { "sends", "sendsDelivered", "sendsFailed", "sendsCaptured" }.Select(name => run.GetProperty(name).GetInt32())
        );
    }

    [Fact]
    public async Task A_captured_send_is_not_delivered()
    {
        string hook = await server.DeployAsync(
            "captured",
            new()
            {
                ["workflow.yaml"] = """
                triggers: [ { type: http, key: captured } ]
                settings: { deliver: success }
                steps: [ { namespace: step, uses: ./step.js } ]
                """,
                ["step.js"] = "$send.http({ method: 'GET', url: 'http://127.0.0.1:9/' }); throw new Error('no');",
            }
        );
        var shown = await server.RunAsync(hook);
        var run = (await GetAsync("/api/v1/runs?workflow=captured")).GetProperty("items")[0];

        Assert.Equal("captured", shown.Steps[0].Deliveries[0].Status);
        Assert.Equal(
            [1, 0, 0, 1],
            new[] { "sends", "sendsDelivered", "sendsFailed", "sendsCaptured" }.Select(name => run.GetProperty(name).GetInt32())
        );
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
    public async Task Bad_input_is_one_clear_problem(string path, string says) =>
        await AssertProblemAsync(await server.Http.GetAsync(path), HttpStatusCode.BadRequest, says);

    [Theory]
    [InlineData("/api/v1/runs/run_0000000000001", "There is no run")]
    [InlineData("/api/v1/deliveries/dlv_0000000000001", "There is no delivery")]
    [InlineData("/api/v1/events/evt_0000000000001", "There is no event")]
    [InlineData("/api/v1/workflows/nobody", "There is no workflow 'nobody'")]
    [InlineData("/api/v1/workflows/orders/versions/9", "has no version 9")]
    [InlineData("/api/v1/rusn", "nothing at /api/v1/rusn")]
    public async Task What_is_not_there_is_a_404_that_names_it(string path, string says) =>
        await AssertProblemAsync(await server.Http.GetAsync(path), HttpStatusCode.NotFound, says);

    [Fact]
    public async Task A_lost_store_is_503_for_readiness_and_API_while_the_process_is_live()
    {
        server.StoreFails = new StoreUnavailableException("the database is locked");
        using var open = server.NewClient();

        Assert.Equal(HttpStatusCode.OK, (await open.GetAsync("/healthz/live")).StatusCode);
        await AssertProblemAsync(await open.GetAsync("/healthz/ready"), HttpStatusCode.ServiceUnavailable, "the database is locked");
        await AssertProblemAsync(await server.Http.GetAsync("/api/v1/runs"), HttpStatusCode.ServiceUnavailable, "the database is locked");
        server.StoreFails = null;
        Assert.Equal(HttpStatusCode.OK, (await open.GetAsync("/healthz/ready")).StatusCode);
    }

    [Fact]
    public async Task A_fault_of_Sendoff_tells_nothing_of_its_inside()
    {
        server.StoreFails = new InvalidOperationException("password=hunter2");
        using var response = await server.Http.GetAsync("/api/v1/runs");
        server.StoreFails = null;
        Assert.DoesNotContain("hunter2", await response.Content.ReadAsStringAsync());
        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
    }

    [Fact]
    public async Task A_deploy_answers_with_version_and_trigger_address()
    {
        const string yaml = "triggers: [ { type: http, key: shop } ]\nsteps: [ { namespace: a, uses: ./a/entry.js } ]";
        string body = JsonSerializer.Serialize(
            new DeployDocument(new Dictionary<string, string> { ["a/entry.js"] = "return 1", ["workflow.yaml"] = yaml }),
            ApiJson.Default.DeployDocument
        );
        var answer = await SendAsync(HttpMethod.Put, "/api/v1/workflows/shop", body, HttpStatusCode.OK);

        Assert.Equal(["a/entry.js", "workflow.yaml"], (await FilesAsync("shop")).Keys.Order());
        Assert.Equal("shop", answer.GetProperty("name").GetString());
        Assert.Equal(1, answer.GetProperty("version").GetInt32());
        Assert.StartsWith("wf_", answer.GetProperty("id").GetString());
        Assert.Equal(
            $$"""[{"type":"http","key":"shop","url":"{{server.Address}}hooks/shop","schedule":null,"nextDueAt":null,"dueTimes":null}]""",
            answer.GetProperty("triggers").GetRawText()
        );
    }

    [Theory]
    [InlineData("text/javascript", "", "step.js")]
    [InlineData("text/typescript", "", "step.ts")]
    [InlineData(null, "?file=notify.mjs", "notify.mjs")]
    public async Task A_lone_step_file_is_a_workflow(string? type, string query, string path)
    {
        using var response = await server.Http.PutAsync("/api/v1/workflows/lone" + query, Content(type, Encoding.UTF8.GetBytes(Nothing)));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(new KeyValuePair<string, string>(path, Nothing), (await FilesAsync("lone")).Single());
    }

    [Fact]
    public async Task A_zip_is_unpacked_without_its_top_folder()
    {
        const string yaml = "steps: [ { namespace: a, uses: ./a/entry.js } ]";
        using var response = await server.Http.PutAsync(
            "/api/v1/workflows/zipped",
            Content("application/zip", Zip(("zipped-main/workflow.yaml", yaml), ("zipped-main/a/entry.js", "return 1")))
        );

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(["a/entry.js", "workflow.yaml"], (await FilesAsync("zipped")).Keys.Order());
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
        await AssertProblemAsync(
            await server.Http.PutAsync("/api/v1/workflows/orders", Content("application/json", Encoding.UTF8.GetBytes(body))),
            HttpStatusCode.BadRequest,
            says
        );

    [Theory]
    [InlineData("step.js/more.js", "'step.js' is both a file and the folder of another file")]
    [InlineData("lib/{300}.js", "has a name with more than 255 bytes")]
    [InlineData("{128é}", "has a name with more than 255 bytes")]
    [InlineData("{128é}/a.js", "has a name with more than 255 bytes")]
    public async Task Files_that_no_disk_takes_are_refused(string path, string says)
    {
        path = path.Replace("{300}", new('x', 300)).Replace("{128é}", new('é', 128));
        string body = JsonSerializer.Serialize(new { files = new Dictionary<string, string> { ["step.js"] = "return 1", [path] = "" } });
        foreach (string url in new[] { "/api/v1/workflows/orders", "/api/v1/workflows/orders/draft" })
            await AssertProblemAsync(
                await server.Http.PutAsync(url, Content("application/json", Encoding.UTF8.GetBytes(body))),
                HttpStatusCode.BadRequest,
                says
            );
    }

    [Fact]
    public async Task A_zip_that_is_damaged_anywhere_is_refused_or_deploys_what_was_packed()
    {
        var bytes = new MemoryStream();
        using (var zip = new ZipArchive(bytes, ZipArchiveMode.Create, leaveOpen: true))
        using (var writer = new StreamWriter(zip.CreateEntry("step.js", CompressionLevel.NoCompression).Open()))
            writer.Write("return 'the value of this step'");
        byte[] whole = bytes.ToArray();
        for (int at = 0; at < whole.Length; at++)
        {
            byte[] damaged = [.. whole];
            damaged[at] ^= 0x55;
            using var response = await server.Http.PutAsync("/api/v1/workflows/damaged", Content("application/zip", damaged));
            if (response.IsSuccessStatusCode)
                Assert.Contains("return 'the value of this step'", (await FilesAsync("damaged")).Values);
            else
                Assert.True(
                    response.StatusCode is HttpStatusCode.BadRequest or HttpStatusCode.UnprocessableEntity,
                    $"{at}: {response.StatusCode}"
                );
        }
    }

    [Fact]
    public async Task A_zip_that_climbs_out_or_swells_is_refused()
    {
        await AssertProblemAsync(
            await server.Http.PutAsync("/api/v1/workflows/x", Content("application/zip", Zip(("a.js", "1"), ("../b.js", "2")))),
            HttpStatusCode.BadRequest,
            "'../b.js' is not inside"
        );
        await AssertProblemAsync(
            await server.Http.PutAsync("/api/v1/workflows/x", Content("application/zip", Zip(("a.js", new string(' ', 17 * 1024 * 1024))))),
            HttpStatusCode.BadRequest,
            "unpacks to more than"
        );
        await AssertProblemAsync(
            await server.Http.PutAsync("/api/v1/workflows/x", Content("application/zip", "PK\u0003\u0004no"u8.ToArray())),
            HttpStatusCode.BadRequest,
            "cannot be read"
        );
    }

    [Fact]
    public async Task Mistakes_in_the_files_come_with_file_line_column_and_hint()
    {
        var code = await SendAsync(
            HttpMethod.Put,
            "/api/v1/workflows/wrong",
            """{"files":{"step.js":"const a = 1;\n  retrun 1;"}}""",
            HttpStatusCode.UnprocessableEntity
        );
        var yaml = await SendAsync(
            HttpMethod.Put,
            "/api/v1/workflows/wrong",
            """{"files":{"workflow.yaml":"- a"}}""",
            HttpStatusCode.UnprocessableEntity
        );

        Assert.StartsWith("step.js:2:", code.GetProperty("detail").GetString());
        Assert.Equal("  retrun 1;", code.GetProperty("problems")[0].GetProperty("source").GetString());
        Assert.StartsWith("workflow.yaml:1:1: ", yaml.GetProperty("detail").GetString());
        Assert.Contains("`steps:`", yaml.GetProperty("problems")[0].GetProperty("hint").GetString());
        await AssertProblemAsync(
            await server.Http.GetAsync("/api/v1/workflows/wrong"),
            HttpStatusCode.NotFound,
            "There is no workflow 'wrong'"
        );
    }

    [Fact]
    public async Task Workflows_are_listed_switched_off_and_on_and_removed()
    {
        await server.DeployAsync("removed", Nothing);
        Assert.Contains(
            "removed",
            (await GetAsync("/api/v1/workflows")).GetProperty("items").EnumerateArray().Select(w => w.GetProperty("name").GetString())
        );
        Assert.False(
            (await SendAsync(HttpMethod.Post, "/api/v1/workflows/removed/disable", null, HttpStatusCode.OK))
                .GetProperty("enabled")
                .GetBoolean()
        );
        Assert.True(
            (await SendAsync(HttpMethod.Post, "/api/v1/workflows/removed/enable", null, HttpStatusCode.OK))
                .GetProperty("enabled")
                .GetBoolean()
        );
        Assert.Equal(Nothing, (await FilesAsync("removed"))["step.mjs"]);
        Assert.Equal(
            JsonValueKind.Null,
            (await GetAsync("/api/v1/workflows/removed/versions")).GetProperty("items")[0].GetProperty("files").ValueKind
        );
        Assert.Equal(HttpStatusCode.NoContent, (await server.Http.DeleteAsync("/api/v1/workflows/removed")).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await server.Http.DeleteAsync("/api/v1/workflows/removed")).StatusCode);
    }

    [Fact]
    public async Task A_replay_answers_with_the_new_run()
    {
        var run = await server.RunAsync(await server.DeployAsync("replayed", "return event.body.n;", "step.js"), """{"n":7}""");
        using var response = await server.Http.PostAsync($"/api/v1/runs/{run.Id}/replay", null);

        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        string made = JsonElement.Parse(await response.Content.ReadAsStringAsync()).GetProperty("id").GetString()!;
        Assert.NotEqual(run.Id, made);
        var again = await server.EndOfAsync(made);
        Assert.True(again.Replay);
        Assert.Equal(run.EventId, again.EventId);
        Assert.Equal("""{"$return_value":7}""", again.Steps[0].Exports.GetRawText());
        Assert.Equal($"/api/v1/runs/{made}", response.Headers.Location!.ToString());
        await AssertProblemAsync(
            await server.Http.PostAsync("/api/v1/runs/run_0000000000001/replay", null),
            HttpStatusCode.NotFound,
            "There is no run"
        );
    }

    [Fact]
    public async Task Deliveries_are_resent_singly_by_ids_and_by_filter()
    {
        await using var one = await TestServer.StartAsync(new EngineLimits { DeliveryMaxPerDestination = 1 });
        await using var receiver = Sink.Start(status: 500);
        string step = string.Concat(Enumerable.Range(0, 3).Select(i => $"$send.http({{ method: 'GET', url: '{receiver.Url}{i}' }});"));
        var run = await one.RunAsync(await one.DeployAsync("again", step, "step.js"));
        string second = run.Steps[0].Deliveries[1].Id;

        await PostAsync($"/{second}/resend", "", HttpStatusCode.Accepted);
        var byId = await PostAsync("/resend", $$"""{"ids":["{{second}}","dlv_0000000000001"]}""", HttpStatusCode.OK);
        var byFilter = await PostAsync("/resend", """{"workflow":"again","status":"failed"}""", HttpStatusCode.OK);

        Assert.Equal(
            $$$"""{"resent":1,"skipped":["dlv_0000000000001"],"ids":["{{{second}}}"],"reasons":{"dlv_0000000000001":"unknown"},"more":false}""",
            byId
        );
        Assert.Equal(
            $$"""{"resent":3,"skipped":[],"ids":["{{string.Join("\",\"", run.Steps[0].Deliveries.Select(d => d.Id))}}"],"reasons":{},"more":false}""",
            byFilter
        );
        Assert.Equal("/0 /1 /2 /1 /1 /0 /1 /2", string.Join(' ', receiver.Requests.Select(r => r.Target)));

        async Task<string> PostAsync(string path, string body, HttpStatusCode expected)
        {
            using var response = await one.Http.PostAsync(
                "/api/v1/deliveries" + path,
                Content("application/json", Encoding.UTF8.GetBytes(body))
            );
            Assert.Equal(expected, response.StatusCode);
            await one.EndOfAsync(run.Id);
            return await response.Content.ReadAsStringAsync();
        }
    }

    [Fact]
    public async Task A_bulk_resend_takes_the_newest_oldest_first_and_says_that_there_are_more()
    {
        var run = await server.GetRunAsync((await SampleRuns.AddAsync(server, workflow: "many")).ToString());
        string[] ids = [.. run.Steps[1].Deliveries.Select(d => d.Id)];
        var filter = new DeliveryFilter("many", null, null, null, null, null, null, 2);

        // The first was delivered.
        var some = await Resending.FindAsync(server.Store, filter, 1, default);
        var all = await Resending.FindAsync(server.Store, filter, 2, default);

        Assert.Equal(ids[2..], some.Found.Select(id => id.ToString()));
        Assert.Equal(ids[1..], all.Found.Select(id => id.ToString()));
        Assert.Equal((true, false), (some.More, all.More));
    }

    [Fact]
    public async Task A_bulk_resend_goes_on_behind_the_deliveries_that_one_search_looks_through()
    {
        var run = await server.GetRunAsync((await SampleRuns.AddAsync(server, workflow: "searched")).ToString());
        string[] ids = [.. run.Steps[1].Deliveries.Select(d => d.Id)];
        var filter = new DeliveryFilter("searched", null, null, "http", null, null, null, 10) { SearchedAtOnce = 1 };

        var (found, more) = await Resending.FindAsync(server.Store, filter, 10, default);

        Assert.Equal(ids[1..], found.Select(id => id.ToString()));
        Assert.False(more);
    }

    /// <summary>Delivered and failed, and of a test run captured.</summary>
    async Task<(RunDocument Sent, RunDocument Captured)> SentAndCapturedAsync(string workflow, Sink well, Sink ill)
    {
        string hook = await server.DeployAsync(
            workflow,
            $"$send.http({{ method: 'GET', url: '{well.Url}' }}); $send.http({{ method: 'GET', url: '{ill.Url}' }});",
            "step.js"
        );
        using var started = await server.Http.PostAsync(
            $"/api/v1/workflows/{workflow}/events",
            Content("application/json", """{"event":{},"test":true}"""u8.ToArray())
        );
        string test = JsonElement.Parse(await started.Content.ReadAsStringAsync()).GetProperty("id").GetString()!;
        return (await server.RunAsync(hook), await server.EndOfAsync(test));
    }

    async Task<ResendDocument> ResendAsync(string body)
    {
        using var response = await server.Http.PostAsync(
            "/api/v1/deliveries/resend",
            Content("application/json", Encoding.UTF8.GetBytes(body))
        );
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        return (await response.Content.ReadFromJsonAsync(ApiJson.Default.ResendDocument))!;
    }

    [Fact]
    public async Task A_resend_by_filter_takes_what_failed_and_what_was_delivered_only_when_that_is_named()
    {
        await using var well = Sink.Start();
        await using var ill = Sink.Start(status: 500);
        var (sent, captured) = await SentAndCapturedAsync("filtered-resend", well, ill);
        string delivered = sent.Steps[0].Deliveries[0].Id,
            failed = sent.Steps[0].Deliveries[1].Id;
        Assert.All(captured.Steps[0].Deliveries, static delivery => Assert.Equal("captured", delivery.Status));

        Assert.Equal([failed], (await ResendAsync("""{"workflow":"filtered-resend"}""")).Ids);
        await server.EndOfAsync(sent.Id);
        Assert.Equal([delivered], (await ResendAsync("""{"workflow":"filtered-resend","status":"succeeded"}""")).Ids);
        await server.EndOfAsync(sent.Id);
        await AssertProblemAsync(
            await server.Http.PostAsync("/api/v1/deliveries/resend", Content("application/json", """{"status":"captured"}"""u8.ToArray())),
            HttpStatusCode.BadRequest,
            "A filter cannot resend captured deliveries"
        );

        Assert.Equal((2, 2), (well.Requests.Count, ill.Requests.Count));
        Assert.All(
            (await server.GetRunAsync(captured.Id)).Steps[0].Deliveries,
            static delivery => Assert.Equal("captured", delivery.Status)
        );
    }

    [Fact]
    public async Task A_captured_delivery_is_sent_by_its_id_alone_and_only_when_that_is_asked_for()
    {
        await using var well = Sink.Start();
        await using var ill = Sink.Start(status: 500);
        var (_, captured) = await SentAndCapturedAsync("captured-resend", well, ill);
        string id = captured.Steps[0].Deliveries[0].Id;
        int before = well.Requests.Count;

        var many = await ResendAsync($$"""{"ids":["{{id}}"]}""");
        Assert.Equal((0, "captured"), (many.Resent, many.Reasons[id]));
        await AssertProblemAsync(
            await server.Http.PostAsync($"/api/v1/deliveries/{id}/resend", null),
            HttpStatusCode.Conflict,
            "captured=true"
        );
        await AssertProblemAsync(
            await server.Http.PostAsync($"/api/v1/deliveries/{id}/resend?captured=please", null),
            HttpStatusCode.BadRequest,
            "Expected true or false"
        );
        using var page = await server.Http.PostAsync($"/deliveries/{id}/resend", null);
        Assert.Equal(before, well.Requests.Count);
        Assert.Equal("captured", (await server.GetRunAsync(captured.Id)).Steps[0].Deliveries[0].Status);

        using var one = await server.Http.PostAsync($"/api/v1/deliveries/{id}/resend?captured=true", null);
        Assert.Equal(HttpStatusCode.Accepted, one.StatusCode);
        Assert.Equal("succeeded", (await server.EndOfAsync(captured.Id)).Steps[0].Deliveries[0].Status);
        Assert.Equal(before + 1, well.Requests.Count);
    }

    [Theory]
    [InlineData("{}", "Choose deliveries")]
    [InlineData("{\"ids\":[\"run_1\"]}", "is not the id of a delivery")]
    [InlineData("{\"ids\":\"all\"}", "'ids' must be an array")]
    [InlineData("{\"state\":\"failed\"}", "The field 'state' is unknown")]
    [InlineData("{\"status\":7}", "'status' is a number")]
    [InlineData("nonsense", "The body is not JSON: line 1")]
    public async Task A_bulk_resend_that_is_unclear_sends_nothing(string body, string says)
    {
        var run = await SampleRuns.AddAsync(server);
        await AssertProblemAsync(
            await server.Http.PostAsync("/api/v1/deliveries/resend", Content("application/json", Encoding.UTF8.GetBytes(body))),
            HttpStatusCode.BadRequest,
            says
        );
        Assert.Equal(
            ["succeeded", "failed", "blocked"],
            (await server.GetRunAsync(run.ToString())).Steps[1].Deliveries.Select(d => d.Status)
        );
    }

    [Fact]
    public async Task An_event_is_shown_with_its_credentials_masked()
    {
        await SampleRuns.AddAsync(server);
        var e = (await GetAsync("/api/v1/events?workflow=orders")).GetProperty("items")[0];

        Assert.Equal("orders", e.GetProperty("workflow").GetString());
        Assert.Equal(1043, e.GetProperty("event").GetProperty("body").GetProperty("id").GetInt32());
        Assert.DoesNotContain("of-a-caller", (await GetAsync($"/api/v1/events/{e.GetProperty("id").GetString()}")).GetRawText());
    }

    [Fact]
    public async Task The_stream_tells_changes_as_they_happen()
    {
        await using var receiver = Sink.Start();
        string hook = await server.DeployAsync(
            "endless",
            new()
            {
                ["workflow.yaml"] =
                    "triggers: [ { type: http, key: endless } ]\nsettings: { timeout: 200ms }\nsteps: [ { namespace: step, uses: "
                    + "./step.js } ]",
                ["step.js"] = $"$send.http({{ method: 'GET', url: '{receiver.Url}' }}); while (true) {{ }}",
            }
        );
        using var response = await server.Http.GetAsync("/api/v1/stream", HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        while (await reader.ReadLineAsync() != ": listening") { }

        string run = await server.PostAsync(hook);
        var told = new List<string>();
        while (told.Count < 6)
        {
            if (await reader.ReadLineAsync() is { Length: > 0 } line)
                told.Add(line);
        }
        string delivery = (await server.GetRunAsync(run)).Steps[0].Deliveries[0].Id;

        // The delivery's end and the run's are told by two tasks.
        Assert.Equal(
            new[]
            {
                $$"""event: run, data: {"type":"run","id":"{{run}}","runId":"{{run}}","status":"queued"}""",
                $$"""event: run, data: {"type":"run","id":"{{run}}","runId":"{{run}}","status":"timed_out"}""",
                $$"""event: delivery, data: {"type":"delivery","id":"{{delivery}}","runId":"{{run}}","status":"succeeded"}""",
            }.Order(),
            told.Chunk(2).Select(event_ => string.Join(", ", event_)).Order()
        );
    }

    [Fact]
    public async Task The_API_describes_itself_and_its_reference_needs_no_other_host()
    {
        var api = await GetAsync("/openapi/v1.json");
        Assert.True(api.GetProperty("paths").TryGetProperty("/api/v1/runs/{id}", out _));
        Assert.Contains(
            api.GetProperty("paths").GetProperty("/api/v1/runs").GetProperty("get").GetProperty("parameters").EnumerateArray(),
            p => p.GetProperty("name").GetString() == "cursor"
        );
        Assert.False(api.GetProperty("paths").TryGetProperty("/hooks/{key}/{path}", out _));

        // Client generators name methods by it.
        var operations = api.GetProperty("paths")
            .EnumerateObject()
            .SelectMany(static path => path.Value.EnumerateObject())
            .Select(static one => one.Value)
            .ToList();
        var ids = operations.ConvertAll(static one => one.TryGetProperty("operationId", out var id) ? id.GetString() : null);
        Assert.DoesNotContain(null, ids);
        Assert.Equal(ids.Count, ids.Distinct().Count());
        Assert.Equal(
            "bearer",
            api.GetProperty("components").GetProperty("securitySchemes").GetProperty("token").GetProperty("scheme").GetString()
        );
        Assert.Equal(2, api.GetProperty("security").GetArrayLength());
        Assert.Equal(
            ["getEgressAddresses", "getLiveness", "getReadiness"],
            operations
                .Where(static one => one.TryGetProperty("security", out _))
                .Select(static one => one.GetProperty("operationId").GetString())
                .Order()
        );
        Assert.False(api.GetProperty("servers")[0].GetProperty("url").GetString()!.EndsWith('/'));

        string page = await server.Http.GetStringAsync("/docs/reference/");
        Assert.DoesNotContain("https://", page);
        Assert.DoesNotContain("http://", page);
    }

    [Fact]
    public async Task Usage_keeps_the_two_meters_apart()
    {
        await SampleRuns.AddAsync(server, workflow: "metered");
        var usage = await GetAsync("/api/v1/usage?since=2026-11-01");
        var metered = usage.GetProperty("items").EnumerateArray().Single(row => row.GetProperty("workflow").GetString() == "metered");

        Assert.Equal(
            (1, 11.9, 5271),
            (
                metered.GetProperty("runs").GetInt64(),
                metered.GetProperty("computeMs").GetDouble(),
                metered.GetProperty("deliveryMs").GetDouble()
            )
        );
        Assert.True(usage.GetProperty("total").GetProperty("runs").GetInt64() >= 1);
    }

    /// <summary>The files of a workflow's current version.</summary>
    async Task<Dictionary<string, string>> FilesAsync(string workflow)
    {
        int version = (await GetAsync($"/api/v1/workflows/{workflow}")).GetProperty("version").GetInt32();
        return (await GetAsync($"/api/v1/workflows/{workflow}/versions/{version}"))
            .GetProperty("files")
            .Deserialize<Dictionary<string, string>>()!;
    }

    async Task<JsonElement> GetAsync(string path)
    {
        using var response = await server.Http.GetAsync(path);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{response.StatusCode}: {text}");
        return JsonElement.Parse(text);
    }

    async Task<JsonElement> SendAsync(HttpMethod method, string path, string? body, HttpStatusCode expected)
    {
        using var request = new HttpRequestMessage(method, path)
        {
            Content = body is null ? null : Content("application/json", Encoding.UTF8.GetBytes(body)),
        };
        using var response = await server.Http.SendAsync(request);
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
        if (type is not null)
            content.Headers.TryAddWithoutValidation("content-type", type);
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
