using System.Text.Json;
using Sendoff.Engine.Runs;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Sources;

/// <summary>Event sources: what they emit starts their workflow, once (K1 to K3).</summary>
public sealed class SourceTests : IAsyncLifetime
{
    TestServer server = null!;

    public async ValueTask InitializeAsync() => server = await TestServer.StartAsync();

    public ValueTask DisposeAsync() => server.DisposeAsync();

    /// <summary>As Pipedream's registry has them: timer, db, dedupe, emit, deploy hook.</summary>
    const string NewItem = """
        export default {
          key: "demo-new-item", name: "New Item", version: "0.0.1", type: "source", dedupe: "unique",
          props: { db: "$.service.db", timer: { type: "$.interface.timer", default: { intervalSeconds: 60 } } },
          hooks: { async deploy() { this.$emit({ n: 0 }, { id: 0, summary: "first", ts: Date.now() }); } },
          async run(event) {
            const last = this.db.get("last") ?? 0;
            for (const n of [last + 1, last + 1]) this.$emit({ n }, { id: n, summary: `item ${n}`, ts: Date.now() });
            this.db.set("last", last + 1);
          },
        };
        """;

    [Fact]
    public async Task A_timer_source_emits_each_item_once_and_remembers_it()
    {
        var deployed = await server.DeploySourceAsync(SourceRig.Files(NewItem, SourceRig.Seldom));
        Assert.Equal("0 0 29 2 *, UTC", Assert.Single(deployed.Triggers).Schedule);
        Assert.Empty(deployed.FailedHooks);

        var first = await server.TickAsync();
        await server.TickAsync();

        Assert.Equal(["""{"n":0}""", """{"n":1}""", """{"n":2}"""], await server.EventsAsync());
        Assert.Equal(["source:source:deploy Succeeded", "source:source Succeeded", "source:source Succeeded"], await server.CallsAsync());
        Assert.Equal(("succeeded", "1 of 2 events were emitted before and are left out"), (first.Status, first.Message));
        var emitted = Assert.Single(first.Steps[0].Deliveries);
        Assert.Equal("source", emitted.Destination);
        Assert.Equal("item 1", JsonElement.Parse(emitted.Request.Body!).GetProperty("summary").GetString());
        Assert.True(first.ComputeMs > 0);
    }

    [Fact]
    public async Task The_timer_of_a_source_is_a_schedule()
    {
        var deployed = await server.DeploySourceAsync(SourceRig.Files(NewItem));
        Assert.Equal(("schedule", "every 1m"), Assert.Single(deployed.Triggers) is var timer ? (timer.Type, timer.Schedule) : default);
        var target = Assert.Single(server.Get<WorkflowCatalog>().Schedules);
        Assert.Equal("source:source", target.Trigger.RecordedAs);
    }

    [Fact]
    public async Task Two_runs_of_a_timer_source_do_not_overlap()
    {
        await server.DeploySourceAsync(
            SourceRig.Files(
                """
                export default {
                  props: { db: "$.service.db", timer: { type: "$.interface.timer" } },
                  async run() {
                    const n = (this.db.get("n") ?? 0) + 1;
                    await new Promise(done => setTimeout(done, 20));
                    this.db.set("n", n);
                    this.$emit(n);
                  },
                };
                """,
                SourceRig.Seldom
            )
        );
        await Task.WhenAll(server.TickAsync(), server.TickAsync(), server.TickAsync());
        Assert.Equal(["1", "2", "3"], await server.EventsAsync());
    }

    [Fact]
    public async Task A_run_that_dies_keeps_its_events_and_its_db_alike()
    {
        await server.DeploySourceAsync(
            SourceRig.Files(
                """
                export default {
                  props: { db: "$.service.db", timer: { type: "$.interface.timer", default: { cron: "0 0 29 2 *" } } },
                  async run() {
                    const n = this.db.get("n") ?? 0;
                    for (const item of [1, 2, 3].filter(item => item > n)) {
                      this.$emit({ item });
                      this.db.set("n", item);
                      if (item === 2) process.exit(1);
                    }
                  },
                };
                """
            )
        );
        Assert.Equal("failed", (await server.TickAsync()).Status);
        await server.TickAsync();
        Assert.Equal(["""{"item":1}""", """{"item":2}""", """{"item":3}"""], await server.EventsAsync());
    }

    [Fact]
    public async Task A_poller_of_a_feed_emits_every_item_once_over_a_restart()
    {
        using var folder = new TempFolder();
        var items = new List<string> { "a", "b" };
        await using var feed = Receiver.Start(async connection =>
        {
            while (await connection.ReadRequestAsync() is not null)
                await connection.WriteAsync(Rss(items));
        });
        var files = SourceRig.Files(
            """
            const read = async url => [...(await (await fetch(url)).text()).matchAll(/<guid>(.*?)<\/guid>/g)].map(match => match[1]);
            export default {
              dedupe: "unique",
              props: { url: "string", timer: { type: "$.interface.timer", default: { cron: "0 0 29 2 *" } } },
              methods: { async emitAll() { for (const guid of (await read(this.url)).reverse()) this.$emit({ guid }, { id: guid, summary: guid }); } },
              hooks: { async deploy() { await this.emitAll(); } },
              async run() { await this.emitAll(); },
            };
            """,
            $"uses: ./source.mjs, props: {{ url: '{feed.Url}' }}"
        );
        await using (var first = await TestServer.StartAsync(folder: folder.Path))
        {
            await first.DeploySourceAsync(files);
            items.Add("c");
            await first.TickAsync();
            await first.TickAsync();
        }
        items.Add("d");
        await using var second = await TestServer.StartAsync(folder: folder.Path);
        await second.TickAsync();
        await second.DeploySourceAsync(files);
        await second.TickAsync();
        Assert.Equal(
            ["a", "b", "c", "d"],
            (await second.EventsAsync()).Select(one => JsonElement.Parse(one).GetProperty("guid").GetString())
        );
        Assert.Single(await second.CallsAsync(), call => call.Contains(":deploy"));
    }

    /// <summary>A feed, with its newest item first.</summary>
    static string Rss(IEnumerable<string> items)
    {
        string xml = $"<rss><channel>{string.Concat(items.Reverse().Select(guid => $"<item><guid>{guid}</guid></item>"))}</channel></rss>";
        return $"HTTP/1.1 200 OK\r\ncontent-type: application/rss+xml\r\ncontent-length: {xml.Length}\r\n\r\n{xml}";
    }

    [Fact]
    public async Task A_source_of_pipedreams_own_app_is_refused_with_the_alternative()
    {
        using var response = await server.Http.PutAsync(
            "/api/v1/workflows/feed",
            SourceRig.JsonContent(
                new(SourceRig.Files("export default { props: { hook: { type: '$.interface.apphook' } }, async run() {} };"))
            )
        );
        string text = await response.Content.ReadAsStringAsync();
        Assert.Contains("gets its events through Pipedream's own app ($.interface.apphook), which Sendoff does not have", text);
        Assert.Contains("let it call an HTTP trigger", text);
    }

    [Fact]
    public async Task A_timer_of_less_than_a_minute_is_refused()
    {
        using var response = await server.Http.PutAsync(
            "/api/v1/workflows/feed",
            SourceRig.JsonContent(new(SourceRig.Files("export default { props: { timer: '$.interface.timer' }, async run() {} };")))
        );
        Assert.Contains("0 seconds is not an interval from a minute to a year", await response.Content.ReadAsStringAsync());
    }
}
