using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Sendoff.Engine;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Secrets;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workers;
using Sendoff.Server.Api;
using Sendoff.Tests.Runs;
using Sendoff.Tests.Support;
using Sendoff.Tests.Workers;

namespace Sendoff.Tests.Secrets;

/// <summary>C8 through the whole server: the receiver gets the secret, and neither the API nor the data directory ever shows it.</summary>
public sealed class SecretTests(SharedServer shared) : IClassFixture<SharedServer>, IDisposable
{
    const string Secret = "s3cr&t/päss \"7\"",
        Token = "tok-0123456789abcdef",
        Cookie = "sid-fedcba9876543210";

    readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    static Receiver Echoing() =>
        Receiver.Start(async connection =>
        {
            while (await connection.ReadRequestAsync() is { } request)
                await connection.WriteAsync(
                    $"HTTP/1.1 200 OK\r\nset-cookie: {Cookie}\r\ncontent-length: {request.Length}\r\n\r\n{request}"
                );
        });

    static async Task SetAsync(TestServer server, string name, string value, bool secret = true)
    {
        using var response = await server.Http.PutAsJsonAsync(
            $"/api/v1/secrets/{name}",
            new SecretRequestDocument(value, secret),
            ApiJson.Default.SecretRequestDocument
        );
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
    }

    static async Task<string> PostWithCredentialsAsync(TestServer server, string hook)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, hook)
        {
            Content = new StringContent("{}", Encoding.UTF8, "application/json"),
        };
        request.Headers.TryAddWithoutValidation("authorization", $"Bearer {Token}");
        request.Headers.TryAddWithoutValidation("cookie", $"sid={Cookie}");
        using var response = await server.NewClient().SendAsync(request);
        return response.Headers.GetValues("sendoff-run").Single();
    }

    static readonly string sendsEverything = """
        export default defineComponent({ async run({ steps, $ }) {
          const secret = process.env.TOKEN, headers = steps.trigger.event.headers;
          console.log("the secret is", secret, "and came with", headers.authorization, headers.cookie);
          const to = (options) => $.send.http({ method: "POST", url: "RECEIVER" + "x/" + encodeURIComponent(secret), ...options });
          to({ params: { token: secret, next: "https://user" + ":pass@example.com/" }, data: { nested: [{ secret }], headers } });
          to({ auth: { username: "me", password: secret }, headers: { "x-token": encodeURIComponent(secret), cookie: "a=" + encodeURIComponent(secret) }, data: new URLSearchParams({ secret }) });
          to({ data: Buffer.from("prefix:" + secret + ":suffix").toString("base64"), headers: { authorization: "Bearer " + headers.authorization.slice(7) } });
          $.export("again", { secret, deep: JSON.stringify({ secret }), headers });
          throw new Error("failed with " + secret);
        }});
        """;

    [Fact]
    public async Task The_receiver_gets_what_no_record_shows()
    {
        await using var receiver = Echoing();
        await using (var server = await TestServer.StartAsync(folder: folder.Path))
        {
            await SetAsync(server, "TOKEN", Secret);
            string hook = await server.DeployAsync(
                "secretive",
                sendsEverything.Replace("RECEIVER", receiver.Url, StringComparison.Ordinal)
            );

            var run = await server.EndOfAsync(await PostWithCredentialsAsync(server, hook));

            Assert.Equal("failed", run.Status);
            Assert.All(run.Steps[0].Deliveries, delivery => Assert.Equal("succeeded", delivery.Status));
            AssertReceived(receiver, 3);
            AssertShowsNothing(await server.Http.GetStringAsync($"/api/v1/runs/{run.Id}"));
            AssertShowsNothing(await server.Http.GetStringAsync($"/api/v1/events/{run.EventId}"));
            AssertShowsNothing(await server.Http.GetStringAsync("/api/v1/deliveries"));
            AssertShowsNothing(await server.Http.GetStringAsync("/api/v1/secrets"));
            AssertShowsNothing(await server.Http.GetStringAsync("/api/v1/runs"));
        }
        foreach (string file in Directory.EnumerateFiles(folder.Path))
            AssertShowsNothing(await File.ReadAllBytesAsync(file, default));
    }

    static void AssertReceived(Receiver receiver, int count)
    {
        string[] requests = [.. receiver.Requests];
        Assert.Equal(count, requests.Length);
        string escaped = Uri.EscapeDataString(Secret);
        Assert.All(requests, request => Assert.Contains(escaped, request, StringComparison.Ordinal));
        Assert.Contains(
            requests,
            request => request.Contains($"Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes("me:" + Secret))}", StringComparison.Ordinal)
        );
        Assert.Contains(requests, request => request.Contains($"Bearer {Token}\r\n", StringComparison.Ordinal));
        Assert.Contains(requests, request => request.Contains($"\"cookie\":\"sid={Cookie}\"", StringComparison.Ordinal));
    }

    static void AssertShowsNothing(string text) => AssertShowsNothing(Encoding.UTF8.GetBytes(text));

    static void AssertShowsNothing(byte[] bytes)
    {
        foreach (string plain in new[] { Secret, "päss", Token, Cookie, "user:pass", "p%C3%A4ss", "cDpzM2NyJnQv", "OnMzY3ImdC" })
            Assert.True(bytes.AsSpan().IndexOf(Encoding.UTF8.GetBytes(plain)) < 0, $"{plain} is shown");
        Assert.False(new SecretMask([Secret, Token, Cookie]).Finds(bytes));
    }

    [Fact]
    public async Task A_resend_sends_the_original_also_after_a_restart()
    {
        await using var receiver = Echoing();
        string delivery;
        await using (var server = await TestServer.StartAsync(folder: folder.Path))
        {
            await SetAsync(server, "TOKEN", Secret);
            string hook = await server.DeployAsync("resent", sendsEverything.Replace("RECEIVER", receiver.Url, StringComparison.Ordinal));
            var run = await server.EndOfAsync(await PostWithCredentialsAsync(server, hook));
            delivery = run.Steps[0].Deliveries[1].Id;
        }
        await using (var server = await TestServer.StartAsync(folder: folder.Path))
        {
            using var response = await server.Http.PostAsync($"/api/v1/deliveries/{delivery}/resend", null);
            var document = await EndOfResendAsync(server, delivery);

            Assert.Equal(2, document.Attempts.Count);
            string[] requests = [.. receiver.Requests];
            Assert.Equal(requests[..3].Single(r => r.Contains("Basic ", StringComparison.Ordinal)), requests[3]);
            AssertShowsNothing(await server.Http.GetStringAsync($"/api/v1/deliveries/{delivery}"));
        }
    }

    [Fact]
    public async Task A_redirect_that_carries_a_secret_is_recorded_without_it()
    {
        await using var receiver = Receiver.Start(async connection =>
        {
            while (await connection.ReadRequestAsync() is { } request)
                await connection.WriteAsync(
                    request.StartsWith("POST", StringComparison.Ordinal)
                        ? $"HTTP/1.1 303 See Other\r\nlocation: /done?token={Uri.EscapeDataString(Secret)}\r\ncontent-length: 0\r\n\r\n"
                        : "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
                );
        });
        await using var server = await TestServer.StartAsync(new EngineLimits { DeliveryMaxRedirects = 1 });
        await SetAsync(server, "TOKEN", Secret);
        string hook = await server.DeployAsync(
            "redirected",
            $"$send.http({{ method: 'POST', url: '{receiver.Url}?token=' + encodeURIComponent(process.env.TOKEN) }});",
            "step.js"
        );

        var run = await server.RunAsync(hook);

        Assert.Equal(2, receiver.Requests.Count);
        var hop = Assert.Single(run.Steps[0].Deliveries[0].Attempts[0].Redirects);
        Assert.EndsWith($"/done?token={SecretMask.Cover}", hop.Location, StringComparison.Ordinal);
        AssertShowsNothing(await server.Http.GetStringAsync($"/api/v1/runs/{run.Id}"));
        AssertShowsNothing(await server.Http.GetStringAsync($"/api/v1/runs/{run.Id}/har"));
        AssertShowsNothing(await server.Http.GetStringAsync($"/api/v1/runs/{run.Id}/curl"));
    }

    static async Task<DeliveryDocument> EndOfResendAsync(TestServer server, string delivery)
    {
        var first = JsonSerializer.Deserialize(
            await server.Http.GetStringAsync($"/api/v1/deliveries/{delivery}"),
            ApiJson.Default.DeliveryDocument
        )!;
        await server.EndOfAsync(first.RunId);
        return JsonSerializer.Deserialize(
            await server.Http.GetStringAsync($"/api/v1/deliveries/{delivery}"),
            ApiJson.Default.DeliveryDocument
        )!;
    }

    [Fact]
    public async Task A_run_that_is_recovered_or_replayed_sees_the_original_event()
    {
        await using var receiver = Echoing();
        string code = $"$send.http({{ method: 'POST', url: '{receiver.Url}', data: event.headers.authorization }});";
        RunId left;
        await using (var rig = await RunRig.StartAsync(folder.Path))
        {
            var version = await rig.DeployAsync("left", code);
            byte[] json = Encoding.UTF8.GetBytes($$$"""{"headers":{"authorization":"Bearer {{{Token}}}"}}""");
            var received = new Event(
                new(rig.Ids.Next()),
                WorkspaceId.Default,
                version.WorkflowId,
                "http",
                TimeProvider.System.GetUtcNow(),
                json
            );
            await rig.Store.AcceptAsync(new(left = new(rig.Ids.Next()), received, version.Number), default);
        }
        await using (var rig = await RunRig.StartAsync(folder.Path))
        {
            Assert.True((await rig.EndOfAsync(left)).Run.Recovered);
            await rig.EndOfAsync((await rig.Acceptance.ReplayAsync(left, null, captured: false, default))!.Run.Id);
        }
        Assert.All(receiver.Requests, request => Assert.EndsWith($"Bearer {Token}", request, StringComparison.Ordinal));
        foreach (string file in Directory.EnumerateFiles(folder.Path))
            AssertShowsNothing(await File.ReadAllBytesAsync(file, default));
    }

    [Fact]
    public async Task A_secret_named_after_an_app_and_a_field_is_its_account()
    {
        var server = shared.Server;
        string hook = await server.DeployAsync(
            "account",
            """
            export default defineComponent({
              props: { slack: { type: "app", app: "slack" } },
              run() { return [this.slack.$auth.oauth_access_token, this.slack.$auth.oauth_access_token.length] },
            });
            """
        );
        await SetAsync(server, "SLACK__OAUTH_ACCESS_TOKEN", "xoxb-0123456789");

        Assert.Equal("""["••••••••",15]""", Returned(await server.RunAsync(hook)));
    }

    [Fact]
    public async Task A_change_reaches_the_next_run_and_the_old_value_stays_masked()
    {
        await using var server = await TestServer.StartAsync(folder: folder.Path);
        string hook = await server.DeployAsync(
            "env",
            "export default async () => [process.env.TOKEN ?? 'none', process.env.TOKEN?.length, 'old-value-1234', process.env.MODE];"
        );
        var before = await server.RunAsync(hook);
        await SetAsync(server, "TOKEN", "old-value-1234");
        await SetAsync(server, "MODE", "debug", secret: false);
        var first = await server.RunAsync(hook);
        await SetAsync(server, "TOKEN", "a-new-value-56789");
        var second = await server.RunAsync(hook);
        using var deleted = await server.Http.DeleteAsync("/api/v1/secrets/TOKEN");
        var last = await server.RunAsync(hook);

        Assert.Equal("""["none",null,"old-value-1234",null]""", Returned(before));
        Assert.Equal("""["••••••••",14,"••••••••","debug"]""", Returned(first));
        Assert.Equal("""["••••••••",17,"••••••••","debug"]""", Returned(second));
        Assert.Equal("""["none",null,"••••••••","debug"]""", Returned(last));
    }

    [Fact]
    public async Task A_secret_that_changes_twice_while_a_version_is_read_is_not_stale_in_the_next_run()
    {
        await using var server = await TestServer.StartAsync(folder: folder.Path);
        await server.DeployAsync("env", "export default async () => [...process.env.TOKEN].join('');");
        await server.DeployAsync("env", "export default async () => 2;");
        var (catalog, secrets) = (server.Get<WorkflowCatalog>(), server.Get<SecretCatalog>());
        var workflow = catalog.FindTrigger("env")!.Version.WorkflowId;
        await secrets.SetAsync("TOKEN", "first-value", true, Wait.Token);
        using SemaphoreSlim entered = new(0),
            goOn = new(0);
        // An older version is read from the store.
        server.StoreEntering = method =>
        {
            if (method != nameof(IStore.GetVersionAsync))
                return;
            entered.Release();
            Assert.True(goOn.Wait(Wait.Limit));
        };
        var during = Task.Run(() => catalog.FindAsync(workflow, 1, Wait.Token).AsTask());
        await Wait.ForAsync(entered);
        server.StoreEntering = null;
        await secrets.SetAsync("TOKEN", "second-value", true, Wait.Token);
        await secrets.SetAsync("TOKEN", "third-value", true, Wait.Token);
        goOn.Release();

        Assert.Equal("first-value", await ValueAsync((await during)!));
        Assert.Equal("third-value", await ValueAsync((await catalog.FindAsync(workflow, 1, Wait.Token))!));

        async Task<string?> ValueAsync(Deployment deployment)
        {
            var run = WorkerRig.NewRun();
            await server.Get<IStepRunner>().RunAsync(deployment.Program, run, Wait.Token);
            return run.Exports(0).GetProperty("$return_value").GetString();
        }
    }

    static string Returned(RunDocument run) => run.Steps[0].Exports.GetProperty("$return_value").GetRawText();

    [Fact]
    public async Task Variables_are_shown_and_secrets_are_not()
    {
        await using var server = await TestServer.StartAsync(folder: folder.Path);
        await SetAsync(server, "MODE", "debug", secret: false);
        await SetAsync(server, "TOKEN", Secret);

        var items = JsonElement.Parse(await server.Http.GetStringAsync("/api/v1/secrets")).GetProperty("items");

        Assert.Equal(
            ["MODE false debug", "TOKEN true "],
            items
                .EnumerateArray()
                .Select(i =>
                    $"{i.GetProperty("name").GetString()} {(i.GetProperty("secret").GetBoolean() ? "true" : "false")} "
                    + $"{i.GetProperty("value").GetString()}"
                )
        );
    }

    [Theory]
    [InlineData("TOKEN", """{"value":"abc"}""", "shorter than 4 characters")]
    [InlineData("1TOKEN", """{"value":"abcdef"}""", "is not a valid name")]
    [InlineData("TOKEN", """{}""", "'value' is missing")]
    [InlineData("TOKEN", """{"value":7}""", "Expected a string")]
    [InlineData("TOKEN", """{"value":"abcdef","secret":"yes"}""", "true or false")]
    public async Task What_cannot_be_a_secret_is_refused_with_the_reason(string name, string body, string reason)
    {
        using var response = await shared.Server.Http.PutAsync(
            $"/api/v1/secrets/{name}",
            new StringContent(body, Encoding.UTF8, "application/json")
        );

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains(
            reason,
            JsonElement.Parse(await response.Content.ReadAsStringAsync()).GetProperty("detail").GetString(),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task A_database_under_another_key_is_not_served()
    {
        await using (await TestServer.StartAsync(folder: folder.Path)) { }

        var refused = await Assert.ThrowsAsync<StoreUnavailableException>(() =>
            TestServer.StartAsync(folder: folder.Path, cipher: new SecretCipher(new byte[32]))
        );

        Assert.Contains("secret-key", refused.Message, StringComparison.Ordinal);
    }
}
