using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Sendoff.Engine;
using Sendoff.Engine.Storage;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Runs;

/// <summary>What steps keep between runs, through the whole server.</summary>
public sealed class StepStoresTests : IDisposable
{
    static readonly StoreName Data = new(default, "data");

    readonly TempFolder folder = new();

    static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => folder.Dispose();

    /// <summary>One step with a data store in <c>this.data</c>.</summary>
    static Task<string> DeployAsync(TestServer server, string name, string code, string settings = "{}") =>
        server.DeployAsync(
            name,
            new Dictionary<string, string>
            {
                ["workflow.yaml"] = $$"""
                triggers: [ { type: http, key: {{name}} } ]
                settings: {{settings}}
                steps: [ { namespace: step, uses: ./step.mjs, props: { data: { storeId: data } } } ]
                """,
                ["step.mjs"] =
                    $$"""export default defineComponent({ props: { data: { type: "data_store" } }, async run({ steps, $ }) { const event = steps.trigger.event.body; {{code}} } })""",
            }
        );

    static JsonElement Value(RunDocument run)
    {
        Assert.True(run.Status == "succeeded", run.Message);
        return run.Steps[0].Exports.GetProperty("$return_value");
    }

    static async Task<string?> KeptAsync(TestServer server, string key) =>
        await server.Store.GetValueAsync(Data, key, Ct) is { } value ? Encoding.UTF8.GetString(value.Json.Span) : null;

    [Fact]
    public async Task What_a_step_sets_is_there_for_other_workflows_and_after_a_restart()
    {
        await using (var server = await TestServer.StartAsync(folder: folder.Path))
        {
            string writer = await DeployAsync(server, "writer", "await this.data.set('a', { n: [1, 'ä', null] });");
            string reader = await DeployAsync(
                server,
                "reader",
                "return [await this.data.get('a'), (await this.data.get('b')) === undefined, await this.data.size()];"
            );
            await server.RunAsync(writer);
            Assert.Equal("""[{"n":[1,"ä",null]},true,1]""", JsonSerializer.Serialize(Value(await server.RunAsync(reader)), Relaxed));
        }
        await using var again = await TestServer.StartAsync(folder: folder.Path);
        Assert.Equal("""[{"n":[1,"ä",null]},true,1]""", JsonSerializer.Serialize(Value(await again.RunAsync("/hooks/reader")), Relaxed));
    }

    static readonly JsonSerializerOptions Relaxed = new()
    {
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    [Fact]
    public async Task A_read_waits_for_every_write_that_its_run_began_before_it_also_for_one_that_is_slower_than_a_later_one()
    {
        await using var rig = await RunRig.StartAsync(folder.Path);
        var program = new Sendoff.Engine.Workers.WorkerProgram("p", "", "p", 1, "", [], new Dictionary<string, string>(), 64, null);
        var calls = new Sendoff.Engine.Runs.StepStores(rig.Store, program, TestSecrets.Concealment(), new(), TimeProvider.System);
        Task<ReadOnlyMemory<byte>> CallAsync(string method, string args) => calls.CallAsync(method, Encoding.UTF8.GetBytes(args));
        int Reads() => rig.Failing.CallsOf(nameof(IDataStores.GetValueAsync));

        var (isSet, letGo) = rig.Failing.HoldAnswer(nameof(IDataStores.SetValueAsync));
        var slow = CallAsync("set", """{"store":"data","key":"a","value":1}""");
        await isSet.WithinLimitAsync();
        await CallAsync("set", """{"store":"data","key":"b","value":2}""").WithinLimitAsync();
        var read = CallAsync("get", """{"store":"data","key":"a"}""");
        Assert.Equal((0, false), (Reads(), slow.IsCompleted));

        letGo.SetResult();
        Assert.Equal("1", Encoding.UTF8.GetString((await read.WithinLimitAsync()).Span));
        Assert.Equal(1, Reads());
    }

    [Fact]
    public async Task Runs_that_set_at_once_leave_each_their_own_key_and_one_of_their_values()
    {
        await using var server = await TestServer.StartAsync(new EngineLimits { WorkersMax = 4 });
        string hook = await DeployAsync(
            server,
            "both",
            "await Promise.all([this.data.set('same', event.n), this.data.set('own' + event.n, event.n)]); "
                + "return await this.data.has('own' + event.n);"
        );
        var runs = await Task.WhenAll(Enumerable.Range(0, 20).Select(n => server.RunAsync(hook, $$"""{"n":{{n}}}""")));

        Assert.All(runs, run => Assert.True(Value(run).GetBoolean()));
        Assert.InRange(int.Parse((await KeptAsync(server, "same"))!), 0, 19);
        Assert.Equal(21, await server.Store.CountKeysAsync(Data, Ct));
    }

    [Fact]
    public async Task A_step_may_call_a_thousand_times_at_once_and_reads_what_it_has_set()
    {
        await using var server = await TestServer.StartAsync();
        string hook = await DeployAsync(
            server,
            "many",
            """
            await Promise.all(Array.from({ length: 1000 }, (_, i) => this.data.set('k' + i, { i })));
            const seen = []; for await (const [key, value] of this.data) seen.push(key === 'k' + value.i);
            this.data.set('late', 'not awaited'); const late = await this.data.get('late');
            return { size: await this.data.size(), keys: (await this.data.keys()).length, all: seen.length === 1000 && seen.every(Boolean), late };
            """
        );

        Assert.Equal("""{"size":1001,"keys":1001,"all":true,"late":"not awaited"}""", Value(await server.RunAsync(hook)).GetRawText());
    }

    [Fact]
    public async Task A_run_that_is_killed_leaves_what_it_had_set()
    {
        await using var server = await TestServer.StartAsync();
        string hook = await DeployAsync(
            server,
            "killed",
            "await this.data.set('a', 1); this.data.set('b', 2); for (;;) {}",
            "{ timeout: 2s }"
        );

        Assert.Equal("timed_out", (await server.RunAsync(hook)).Status);
        Assert.Equal(("1", "2"), (await KeptAsync(server, "a"), await KeptAsync(server, "b")));
    }

    [Fact]
    public async Task A_set_that_is_not_awaited_is_durable_at_the_steps_end()
    {
        await using var server = await TestServer.StartAsync();
        string hook = await DeployAsync(server, "loose", "this.data.set('a', 1);");

        Assert.Equal("succeeded", (await server.RunAsync(hook)).Status);
        Assert.Equal("1", await KeptAsync(server, "a"));
    }

    [Fact]
    public async Task What_is_over_a_limit_is_refused_and_can_be_caught()
    {
        await using var server = await TestServer.StartAsync(new EngineLimits { DataStoreValueBytes = 100, DataStoreKeys = 2 });
        await SecretAsync(server, "TOKEN", "s3cret-value");
        string hook = await DeployAsync(
            server,
            "limits",
            """
            const codes = [];
            const attempt = async (call) => { try { await call(); codes.push(null); } catch (e) { codes.push(e.code); } };
            await attempt(() => this.data.set('a', 'x'.repeat(98)));
            await attempt(() => this.data.set('a', 'x'.repeat(99)));
            await attempt(() => this.data.set('b', 1));
            await attempt(() => this.data.set('c', 1));
            await attempt(() => this.data.set('b', 1, { ttl: -1 }));
            await attempt(() => this.data.set('k'.repeat(1025), 1));
            await attempt(() => this.data.get(''));
            await attempt(() => this.data.set('of ' + process.env.TOKEN, 1));
            return codes;
            """
        );

        Assert.Equal(
            """[null,"SENDOFF_STORE_VALUE",null,"SENDOFF_STORE_FULL","SENDOFF_STORE_TTL","SENDOFF_STORE_KEY","SENDOFF_STORE_KEY","SENDOFF_STORE_KEY"]""",
            Value(await server.RunAsync(hook)).GetRawText()
        );
    }

    [Theory]
    [InlineData(10_000, 1_000_000, "Stores:MaxBytes)")]
    [InlineData(1_000_000, 10_000, "Stores:MaxBytesInAll)")]
    public async Task A_step_cannot_fill_the_disk_through_a_store(int most, int mostInAll, string setting)
    {
        await using var server = await TestServer.StartAsync(new EngineLimits { DataStoreBytes = most, DataStoreBytesInAll = mostInAll });
        string hook = await DeployAsync(
            server,
            "filling",
            """
            for (let i = 0; i < 50; i++) {
              try { await this.data.set('k' + i, 'x'.repeat(900)); } catch (e) { return [i, e.code, e.message]; }
            }
            """
        );

        var said = Value(await server.RunAsync(hook));
        Assert.Equal((10, "SENDOFF_STORE_FULL"), (said[0].GetInt32(), said[1].GetString()));
        Assert.Contains($"10,000 bytes, which is the limit (setting {setting}", said[2].GetString());
    }

    [Fact]
    public async Task A_store_that_cannot_be_written_fails_the_call_and_not_the_server()
    {
        await using var rig = await RunRig.StartAsync(folder.Path);
        var version = await rig.DeployAsync("cut", "$checkpoint = 1");
        rig.Failing.Fail(nameof(IStore.SetValueAsync), new StoreUnavailableException("the disk is full"));

        var failed = await rig.EndOfAsync((await rig.AcceptAsync(version)).Run.Id);
        Assert.Equal(("SENDOFF_STORE_UNAVAILABLE", "the disk is full"), (failed.Run.Error!.Code, failed.Run.Error.Message));
        Assert.Null((await rig.EndOfAsync((await rig.AcceptAsync(version)).Run.Id)).Run.Error);
    }

    [Fact]
    public async Task Checkpoints_and_service_db_are_kept_for_each_workflow_apart_and_go_with_it()
    {
        await using var server = await TestServer.StartAsync();
        const string body =
            "$checkpoint = ($checkpoint ?? 0) + 1; this.$checkpoint = (this.$checkpoint ?? 10) + 1; return [$checkpoint, this.$checkpoint]";
        string one = await server.DeployAsync("one", body, "step.js"),
            two = await server.DeployAsync("two", body, "step.js");
        string db = await server.DeployAsync(
            "db",
            "export default { props: { db: '$.service.db' }, run() { const n = (this.db.get('n') ?? 0) + 1; this.db.set('n', n); "
                + "return n } }"
        );

        foreach (string expected in (string[])["[1,11]", "[2,12]"])
            Assert.Equal(expected, Value(await server.RunAsync(one)).GetRawText());
        Assert.Equal("[1,11]", Value(await server.RunAsync(two)).GetRawText());
        for (int i = 1; i <= 2; i++)
            Assert.Equal(i, Value(await server.RunAsync(db)).GetInt32());
        Assert.Empty(await server.Store.ListStoresAsync(Ct));

        (await server.Http.DeleteAsync("/api/v1/workflows/one", Ct)).EnsureSuccessStatusCode();
        Assert.Equal("[1,11]", Value(await server.RunAsync(await server.DeployAsync("one", body, "step.js"))).GetRawText());
    }

    static async Task SecretAsync(TestServer server, string name, string value)
    {
        using var response = await server.Http.PutAsJsonAsync(
            $"/api/v1/secrets/{name}",
            new SecretRequestDocument(value, true),
            ApiJson.Default.SecretRequestDocument,
            Ct
        );
        response.EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task The_api_lists_sets_and_deletes_and_masks_secrets()
    {
        await using var server = await TestServer.StartAsync();
        await SecretAsync(server, "TOKEN", "s3cret-value");
        string hook = await DeployAsync(
            server,
            "secretive",
            "await this.data.set('z', { token: 'is ' + process.env.TOKEN }); return (await this.data.get('a/b c'))?.n;"
        );

        using var put = await server.Http.PutAsync("/api/v1/stores/data/a/b%20c", new StringContent("""{"value":{"n":7},"ttl":60}"""), Ct);
        Assert.Equal(HttpStatusCode.NoContent, put.StatusCode);
        Assert.Equal(7, Value(await server.RunAsync(hook)).GetInt32());

        Assert.Equal("""{"items":[{"name":"data","keys":2}],"nextCursor":null}""", await server.Http.GetStringAsync("/api/v1/stores", Ct));
        var page = JsonSerializer.Deserialize(
            await server.Http.GetStringAsync("/api/v1/stores/data?limit=1", Ct),
            ApiJson.Default.ListDocumentStoredValueDocument
        )!;
        Assert.Equal(("a/b c", """{"n":7}"""), (page.Items[0].Key, page.Items[0].Value.GetRawText()));
        Assert.NotNull(page.Items[0].ExpiresAt);
        string rest = await server.Http.GetStringAsync($"/api/v1/stores/data?cursor={page.NextCursor}", Ct);
        Assert.Contains("\"z\"", rest, StringComparison.Ordinal);
        Assert.EndsWith("\"nextCursor\":null}", rest, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret-value", rest, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret-value", await server.Http.GetStringAsync("/api/v1/stores/data/z", Ct), StringComparison.Ordinal);

        Assert.Equal(HttpStatusCode.NoContent, (await server.Http.DeleteAsync("/api/v1/stores/data/z", Ct)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await server.Http.DeleteAsync("/api/v1/stores/data/z", Ct)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await server.Http.GetAsync("/api/v1/stores/data/z", Ct)).StatusCode);
    }

    [Theory]
    [InlineData("/api/v1/stores/$own/a", """{"value":1}""")]
    [InlineData("/api/v1/stores/data/a", "{}")]
    [InlineData("/api/v1/stores/data/a", """{"value":1,"ttl":0}""")]
    [InlineData("/api/v1/stores/data/a", """{"value":1,"more":0}""")]
    [InlineData("/api/v1/stores/data/a", "1")]
    public async Task The_api_refuses_what_a_store_cannot_take(string path, string body)
    {
        await using var server = await TestServer.StartAsync(new EngineLimits { WorkersWarm = 0 });
        using var put = await server.Http.PutAsync(path, new StringContent(body), Ct);

        Assert.Equal(HttpStatusCode.BadRequest, put.StatusCode);
    }
}
