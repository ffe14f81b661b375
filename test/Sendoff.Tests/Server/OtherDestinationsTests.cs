using System.Net;
using System.Text.Json;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>F7: email, s3, emit and sse through a whole server.</summary>
public sealed class OtherDestinationsTests
{
    static Task<string> DeployListenerAsync(
        TestServer server,
        string name,
        string to,
        string channel = "",
        string code = "export default { run({ steps, $ }) { $.export('got', steps.trigger.event) } }"
    ) =>
        server.DeployAsync(
            name,
            new()
            {
                ["workflow.yaml"] = $$"""
                name: {{name}}
                triggers: [ { type: emit, workflow: {{to}}{{(channel == "" ? "" : $", channel: {channel}")}} } ]
                steps: [ { namespace: step, uses: ./step.mjs } ]
                """,
                ["step.mjs"] = code,
            }
        );

    static async Task<IReadOnlyList<RunSummaryDocument>> RunsOfAsync(TestServer server, string workflow) =>
        JsonSerializer
            .Deserialize(
                await server.Http.GetStringAsync($"/api/v1/runs?workflow={workflow}"),
                ApiJson.Default.ListDocumentRunSummaryDocument
            )!
            .Items;

    static DeliveryDocument Only(RunDocument run) => Assert.Single(run.Steps.SelectMany(s => s.Deliveries));

    static JsonElement Answer(DeliveryDocument emit) => JsonElement.Parse(Assert.Single(emit.Attempts).Response!.Body);

    [Fact]
    public async Task Every_destination_is_delivered_and_recorded_as_a_send_over_http_is()
    {
        await using var mail = new MailServer();
        await using var store = await ObjectStore.StartAsync();
        await using var receiver = Receiver.Answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        await using var server = await TestServer.StartAsync(with: options =>
            options with
            {
                Smtp = new("127.0.0.1", mail.Port, From: "a@example.com", To: "owner@example.com", Security: SmtpSecurity.None),
                S3 = new(store.Address, ObjectStore.Region, ObjectStore.AccessKey, ObjectStore.SecretKey),
            }
        );
        string hook = await server.DeployAsync(
            "all",
            $$"""
            $send.http({ method: 'POST', url: '{{receiver.Url}}', data: 1 })
            $send.email({ subject: 'Hi', text: 'there' })
            $send.s3({ bucket: 'bucket', prefix: 'p', payload: { a: 1 } })
            $send.sse({ channel: 'news', payload: { b: 2 } })
            $send.emit({ raw_event: { c: 3 } })
            """,
            "step.js"
        );
        var run = await server.RunAsync(hook);
        var deliveries = run.Steps.Single().Deliveries;
        Assert.Equal(["http", "email", "s3", "sse", "emit"], deliveries.Select(d => d.Destination));
        Assert.Equal([0, 1, 2, 3, 4], deliveries.Select(d => d.Index));
        Assert.All(
            deliveries,
            d =>
                Assert.True(
                    d.Status == "succeeded",
                    $"{d.Destination}: {d.Error?.Message} {(d.Attempts is [.., var last] ? last.Response?.Body : "")}"
                )
        );
        Assert.Equal("""{"subject":"Hi","text":"there"}""", deliveries[1].Request.Body);
        Assert.Equal("""{"c":3}""", deliveries[4].Request.Body);
        Assert.Single(mail.Messages);
        Assert.Single(store.Objects);

        using var curl = await server.Http.GetAsync($"/api/v1/deliveries/{deliveries[1].Id}/curl");
        Assert.Equal(HttpStatusCode.UnprocessableEntity, curl.StatusCode);
        Assert.Equal(
            1,
            JsonElement
                .Parse(await server.Http.GetStringAsync($"/api/v1/runs/{run.Id}/har"))
                .GetProperty("log")
                .GetProperty("entries")
                .GetArrayLength()
        );

        using var resend = await server.Http.PostAsync($"/api/v1/deliveries/{deliveries[1].Id}/resend", null);
        Assert.True(resend.IsSuccessStatusCode);
        await server.EndOfAsync(run.Id);
        Assert.Equal(2, mail.Messages.Count);
    }

    [Fact]
    public async Task Without_settings_email_and_objects_are_blocked_and_name_the_setting()
    {
        await using var server = await TestServer.StartAsync();
        var run = await server.RunAsync(
            await server.DeployAsync(
                "bare",
                "$send.email({ text: 'a' }); $send.s3({ bucket: 'bucket', prefix: '', payload: 'a' })",
                "step.js"
            )
        );
        Assert.Equal("succeeded", run.Status);
        Assert.All(run.Steps.Single().Deliveries, d => Assert.Equal(("blocked", "not_configured"), (d.Status, d.Error!.Code)));
        Assert.Contains("Smtp:Host", run.Steps.Single().Deliveries[0].Error!.Message);
    }

    [Fact]
    public async Task Emitted_event_starts_each_listening_workflow_once_and_is_listed()
    {
        await using var server = await TestServer.StartAsync();
        await DeployListenerAsync(server, "all-channels", "source");
        await DeployListenerAsync(server, "urgent-only", "source", "urgent");
        await DeployListenerAsync(server, "other-source", "elsewhere");
        await DeployListenerAsync(server, "disabled", "source");
        (await server.Http.PostAsync("/api/v1/workflows/disabled/disable", null)).EnsureSuccessStatusCode();
        string hook = await server.DeployAsync(
            "source",
            "export default { run({ steps, $ }) { $.send.emit({ n: 1 }, steps.trigger.event.body.channel) } }"
        );

        var run = await server.RunAsync(hook, """{"channel":"urgent"}""");
        var emit = Only(run);
        Assert.Equal("succeeded", emit.Status);
        var listeners = Answer(emit).GetProperty("listeners").EnumerateArray().ToList();
        Assert.Equal(["all-channels", "urgent-only"], listeners.Select(l => l.GetProperty("workflow").GetString()!).Order());
        foreach (var listener in listeners)
        {
            var started = await server.EndOfAsync(listener.GetProperty("run").GetString()!);
            Assert.Equal(("succeeded", "emit"), (started.Status, started.Trigger));
            Assert.Equal("""{"n":1}""", started.Steps[0].Exports.GetProperty("got").GetRawText());
        }

        // A resend reaches only those that have not had it.
        using (await server.Http.PostAsync($"/api/v1/deliveries/{emit.Id}/resend", null))
            await server.EndOfAsync(run.Id);
        await server.RunAsync(hook);
        Assert.Equal(
            (2, 1, 0),
            (
                (await RunsOfAsync(server, "all-channels")).Count,
                (await RunsOfAsync(server, "urgent-only")).Count,
                (await RunsOfAsync(server, "other-source")).Count
            )
        );

        var emits = JsonElement.Parse(await server.Http.GetStringAsync("/api/v1/workflows/source/emits")).GetProperty("items");
        Assert.Equal(["", "urgent"], emits.EnumerateArray().Select(e => e.GetProperty("channel").GetString()));
        Assert.Equal(1, emits[1].GetProperty("event").GetProperty("n").GetInt32());
        Assert.Equal(emit.Id, emits[1].GetProperty("deliveryId").GetString());
    }

    [Fact]
    public async Task Workflows_that_start_one_another_end_at_the_limit_and_say_so()
    {
        await using var server = await TestServer.StartAsync(new EngineLimits { EmitHops = 3 });
        await DeployListenerAsync(server, "loop", "loop", code: "export default { run({ $ }) { $.send.emit({}) } }");
        using var first = await server.Http.PostAsync(
            "/api/v1/workflows/loop/events",
            new StringContent("""{"event":{}}""", System.Text.Encoding.UTF8, "application/json")
        );
        string run = JsonElement.Parse(await first.Content.ReadAsStringAsync()).GetProperty("id").GetString()!;
        for (int hop = 0; ; hop++)
        {
            var emit = Only(await server.EndOfAsync(run));
            var listener = Answer(emit).GetProperty("listeners")[0];
            if (hop == 3)
            {
                Assert.Equal(("failed", 508), (emit.Status, emit.Attempts[0].Response!.Status));
                Assert.Contains("Emit:MaxHops", listener.GetProperty("message").GetString());
                break;
            }
            Assert.Equal("succeeded", emit.Status);
            run = listener.GetProperty("run").GetString()!;
        }
        Assert.Equal(4, (await RunsOfAsync(server, "loop")).Count);
    }

    [Fact]
    public async Task Failed_run_of_a_workflow_that_delivers_on_success_emits_and_streams_nothing()
    {
        await using var server = await TestServer.StartAsync();
        await DeployListenerAsync(server, "listener", "strict");
        string hook = await server.DeployAsync(
            "strict",
            new()
            {
                ["workflow.yaml"] =
                    "name: strict\ntriggers: [ { type: http, key: strict } ]\nsettings: { deliver: success }\nsteps: [ { namespace: step, "
                    + "uses: ./step.js } ]\n",
                ["step.js"] = "$send.emit({ raw_event: {} }); $send.sse({ channel: 'c', payload: 'p' }); throw new Error('no')",
            }
        );
        var run = await server.RunAsync(hook);
        Assert.All(run.Steps[0].Deliveries, d => Assert.Equal("captured", d.Status));
        Assert.Empty(await RunsOfAsync(server, "listener"));
        Assert.Equal(
            0,
            JsonElement.Parse(await server.Http.GetStringAsync("/api/v1/workflows/strict/emits")).GetProperty("items").GetArrayLength()
        );
    }

    static async Task<Uri> StreamOfAsync(TestServer server, string workflow) =>
        new(JsonElement.Parse(await server.Http.GetStringAsync($"/api/v1/workflows/{workflow}")).GetProperty("streamUrl").GetString()!);

    /// <summary>Reads events off a stream until there are as many.</summary>
    static async Task<List<(long Id, string Channel, string Data)>> ReadAsync(
        TestServer server,
        Uri url,
        int count,
        long? last = null,
        Func<Task>? onOpen = null
    )
    {
        using var http = server.NewClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, url);
        if (last is not null)
            request.Headers.Add("last-event-id", last.ToString());
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        Assert.Equal("retry: 2000", await reader.ReadLineAsync());
        Assert.Equal(":keepalive", await reader.ReadLineAsync());
        if (onOpen is not null)
            await onOpen();
        var events = new List<(long, string, string)>();
        (long id, string channel, string data) = (0, "", "");
        while (events.Count < count && await reader.ReadLineAsync() is { } line)
        {
            if (line.StartsWith("id: "))
                id = long.Parse(line[4..], System.Globalization.CultureInfo.InvariantCulture);
            else if (line.StartsWith("event: "))
                channel = line[7..];
            else if (line.StartsWith("data: "))
                data += (data == "" ? "" : "\n") + line[6..];
            else if (line == "" && id > 0)
            {
                events.Add((id, channel, data));
                (id, channel, data) = (0, "", "");
            }
        }
        return events;
    }

    [Fact]
    public async Task Stream_gives_what_comes_replays_the_last_hundred_and_goes_on_after_the_last_id_over_a_restart()
    {
        string folder = Directory.CreateTempSubdirectory("sendoff-test-").FullName;
        const string code =
            "export default { run({ steps, $ }) { for (const [channel, payload] of steps.trigger.event.body) $.send.sse({ channel, "
            + "payload }) } }";
        long last;
        await using (var server = await TestServer.StartAsync(folder: folder))
        {
            string hook = await server.DeployAsync("streaming", code);
            var url = await StreamOfAsync(server, "streaming");
            var live = await ReadAsync(server, url, 2, onOpen: () => server.RunAsync(hook, """[["a",{"n":1}],["b","two\nlines"]]"""));
            Assert.Equal([("a", """{"n":1}"""), ("b", "two\nlines")], live.Select(e => (e.Channel, e.Data)));

            await server.RunAsync(hook, JsonSerializer.Serialize(Enumerable.Range(0, 120).Select(n => new[] { "many", $"{n}" })));
            var replayed = await ReadAsync(server, url, 100);
            Assert.Equal(100, replayed.Count);
            Assert.All(replayed, e => Assert.Equal("many", e.Channel));
            Assert.Equal(Enumerable.Range(20, 100).Select(n => $"{n}"), replayed.Select(e => e.Data)); // in the order of the calls
            last = replayed[^3].Id;
            Assert.Equal(2, (await ReadAsync(server, url, 2, last)).Count);
        }
        await using (var server = await TestServer.StartAsync(folder: folder))
        {
            var url = await StreamOfAsync(server, "streaming");
            Assert.Equal([last + 1, last + 2], (await ReadAsync(server, url, 2, last)).Select(e => e.Id));
            await server.RunAsync(new Uri(server.Address, "/hooks/streaming").AbsolutePath, """[["x","new"],["many","other"]]""");
            Assert.Equal("new", Assert.Single(await ReadAsync(server, new Uri(url + "?channel=x"), 1)).Data);
        }
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Stream_is_for_those_who_have_its_key_and_ends_with_its_workflow()
    {
        await using var server = await TestServer.StartAsync(new EngineLimits { SseReaders = 1 });
        await server.DeployAsync("streaming", "1", "step.js");
        var url = await StreamOfAsync(server, "streaming");
        using var http = server.NewClient();
        foreach (string path in new[] { url.AbsolutePath[..^1] + "_", url.AbsolutePath.Replace("/wf_", "/xx_", StringComparison.Ordinal) })
            Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync(path)).StatusCode);

        using var open = await http.GetAsync(url, HttpCompletionOption.ResponseHeadersRead);
        using var second = await http.GetAsync(url);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, second.StatusCode);
        Assert.Contains("Sse:MaxReaders", await second.Content.ReadAsStringAsync());
        await server.Http.DeleteAsync("/api/v1/workflows/streaming");
        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync(url)).StatusCode);
    }

    [Fact]
    public async Task Reader_that_takes_nothing_is_cut_off()
    {
        await using var server = await TestServer.StartAsync(
            new EngineLimits { SseReaders = 1, SsePatience = TimeSpan.FromMilliseconds(200) }
        );
        string hook = await server.DeployAsync(
            "streaming",
            "for (let i = 0; i < 12; i++) $send.sse({ channel: 'c', payload: 'x'.repeat(1e6) })",
            "step.js"
        );
        await server.RunAsync(hook);
        var url = await StreamOfAsync(server, "streaming");
        using var slow = new System.Net.Sockets.TcpClient();
        await slow.ConnectAsync(IPAddress.Loopback, server.Address.Port);
        await slow.GetStream()
            .WriteAsync(
                System.Text.Encoding.ASCII.GetBytes($"GET {url.AbsolutePath} HTTP/1.1\r\nhost: {server.Address.Authority}\r\n\r\n")
            );
        Assert.Equal(1, await slow.GetStream().ReadAsync(new byte[1]));

        // Its place becomes free for another.
        using var http = server.NewClient();
        await Wait.UntilAsync(async () =>
        {
            using var next = await http.GetAsync(url, HttpCompletionOption.ResponseHeadersRead);
            return next.StatusCode == HttpStatusCode.OK;
        });
    }

    [Fact]
    public async Task Secrets_are_masked_in_emitted_records_and_reach_those_who_are_meant_to_have_them()
    {
        await using var server = await TestServer.StartAsync();
        using (
            await server.Http.PutAsync(
                "/api/v1/secrets/TOP",
                new StringContent("""{"value":"hunter2-is-long"}""", System.Text.Encoding.UTF8, "application/json")
            )
        ) { }
        await DeployListenerAsync(
            server,
            "listener",
            "source",
            code: "export default { run({ steps, $ }) { $.export('same', steps.trigger.event.key === process.env.TOP) } }"
        );
        string hook = await server.DeployAsync(
            "source",
            "export default { run({ $ }) { $.send.emit({ key: process.env.TOP }); $.send.sse({ channel: 'c', payload: { key: "
                + "process.env.TOP } }) } }"
        );
        var run = await server.RunAsync(hook);
        Assert.DoesNotContain("hunter2", await server.Http.GetStringAsync($"/api/v1/runs/{run.Id}"));
        Assert.DoesNotContain("hunter2", await server.Http.GetStringAsync("/api/v1/workflows/source/emits"));
        string listener = Answer(run.Steps[0].Deliveries[0]).GetProperty("listeners")[0].GetProperty("run").GetString()!;
        Assert.True((await server.EndOfAsync(listener)).Steps[0].Exports.GetProperty("same").GetBoolean());
        Assert.Equal(
            """{"key":"hunter2-is-long"}""",
            Assert.Single(await ReadAsync(server, await StreamOfAsync(server, "source"), 1)).Data
        );
    }

    /// <summary>Defines <c>forge(url, body)</c>, which writes a send frame past the harness.</summary>
    const string Forge = """
        const fs = require('fs');
        const u32 = n => { const b = Buffer.alloc(4); b.writeUInt32LE(n); return b; };
        const forge = (url, body) => {
          const head = Buffer.from(JSON.stringify({ run: 1, step: 0, index: 0, method: 'SEND', url, headers: [['content-type', 'application/json']] }));
          const payload = Buffer.concat([u32(head.length), head, Buffer.from(body)]);
          for (let fd = 3; fd < 64; fd++) try { if (fs.fstatSync(fd).isSocket()) fs.writeSync(fd, Buffer.concat([u32(payload.length + 1), Buffer.from([20]), payload])); } catch {}
        };

        """;

    [Theory]
    [InlineData("""{"ok":false},"resume":{"from":1,"runs":1,"sends":0,"trace":"x","exports":[{"$return_value":"forged"}]}""")]
    [InlineData("""{"ok":true},"id":"run_0000000000000","context":{"id":"run_VICTIM"}""")]
    [InlineData("{bad")]
    public async Task Emitted_event_that_is_not_json_never_reaches_a_listener(string body)
    {
        await using var server = await TestServer.StartAsync();
        string hook = await server.DeployAsync(
            "forger",
            Forge + $"forge('emit:', {JsonSerializer.Serialize(body)}); $send.emit({{ honest: 1 }}); return 1;",
            "step.js"
        );
        await DeployListenerAsync(server, "victim", "forger");

        var run = await server.RunAsync(hook);

        Assert.Equal("succeeded", run.Status);
        Assert.Equal("""{"honest":1}""", Only(run).Request.Body);
        Assert.Equal("send_refused", Assert.Single(run.Steps[0].Warnings).Code);
        var victim = Assert.Single(await RunsOfAsync(server, "victim"));
        Assert.Equal("""{"honest":1}""", (await server.EndOfAsync(victim.Id)).Steps[0].Exports.GetProperty("got").GetRawText());
    }

    [Theory]
    [InlineData("""{"ok":false},"resume":{}""")]
    [InlineData("{bad")]
    [InlineData("""{"half":"\ud800"}""")]
    [InlineData(null)]
    public async Task Bad_event_that_is_stored_fails_its_run_and_no_list(string? json)
    {
        await using var server = await TestServer.StartAsync();
        await server.DeployAsync("plain", "return 1", "step.js");
        json ??= string.Concat(Enumerable.Repeat("[", 900)) + string.Concat(Enumerable.Repeat("]", 900));
        var version = server.Get<Sendoff.Engine.Runs.WorkflowCatalog>().FindTrigger("plain")!.Version;

        var accepted = await server
            .Get<Sendoff.Engine.Runs.RunAcceptance>()
            .AcceptAsync(version, "http", System.Text.Encoding.UTF8.GetBytes(json), default);
        var run = await server.EndOfAsync(accepted!.Run.Id.ToString());

        bool isJson = JsonSyntax.IsValue(System.Text.Encoding.UTF8.GetBytes(json));
        Assert.Equal((isJson ? "succeeded" : "failed", isJson ? null : "event_not_json"), (run.Status, run.Error?.Code));
        foreach (
            string path in new[]
            {
                "/api/v1/events",
                $"/api/v1/events/{run.EventId}",
                $"/api/v1/runs/{run.Id}",
                "/api/v1/runs",
                "/",
                $"/runs/{run.Id}",
                "/workflows/plain",
                $"/workflows/plain?run={run.Id}",
            }
        )
        {
            using var response = await server.Http.GetAsync(path);
            Assert.True(response.StatusCode == HttpStatusCode.OK, $"{path}: {response.StatusCode}");
        }
    }
}
