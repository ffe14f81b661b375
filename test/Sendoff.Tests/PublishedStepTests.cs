using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests;

/// <summary>
/// Steps in the shapes that documentation, forums and repositories have them, test/published/*.yaml, from the call of their trigger to what
/// arrives at a service: deployed to a server, with packages of npm, their sends delivered.
/// </summary>
public sealed class PublishedStepTests(SharedServer shared) : IClassFixture<SharedServer>, IAsyncLifetime
{
    static readonly Dictionary<string, JsonObject> cases = StepCases.Read("published").ToDictionary(found => (string)found["name"]!);
    static readonly Lazy<Task<bool>> hasRegistry = new(HasRegistryAsync);

    readonly TestServer server = shared.Server;
    PublishedService service = null!;

    static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => service = await PublishedService.StartAsync();

    public ValueTask DisposeAsync() => service.DisposeAsync();

    public static TheoryData<string> Names => [.. cases.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task A_published_step_runs_unchanged(string name)
    {
        var found = cases[name];
        if (found["packages"] is not null && !await hasRegistry.Value)
            Assert.Skip("npm reaches no registry: npm ping");
        // The cases share a server; a name of its own keeps their checkpoints and stores apart.
        string workflow = $"published-{cases.Keys.ToList().IndexOf(name)}";
        foreach (var (variable, value) in found["env"]?.AsObject() ?? [])
        {
            using var set = await server.Http.PutAsJsonAsync($"/api/v1/secrets/{variable}", new { value = (string)value! }, Ct);
            set.EnsureSuccessStatusCode();
        }
        string hook = await server.DeployAsync(workflow, Files(found, workflow));
        var differences = new List<string>();
        var run = await CallAsync(found, hook, differences);
        StepCases.Compare(found["expect"], JsonSerializer.SerializeToNode(run, ApiJson.Default.RunDocument), "run", differences);
        if (found["received"] is JsonArray received)
            StepCases.Compare(received, service.Received(Filled(received)), "received", differences);
        Assert.True(
            differences.Count == 0,
            string.Join('\n', differences) + "\n" + JsonSerializer.Serialize(run, ApiJson.Default.RunDocument)
        );
    }

    /// <summary>Calls the trigger for each request, and answers the last run once it and all that it continues to have ended.</summary>
    async Task<RunDocument> CallAsync(JsonObject found, string hook, List<string> differences)
    {
        RunDocument? run = null;
        foreach (var request in found["requests"]?.AsArray() ?? [new JsonObject()])
        {
            using var response = await server.Http.SendAsync(Request(request!.AsObject(), hook), Ct);
            byte[] body = await response.Content.ReadAsByteArrayAsync(Ct);
            var answer = new JsonObject
            {
                ["status"] = (double)response.StatusCode,
                ["headers"] = new JsonObject(
                    response.Content.Headers.Select(header =>
                        KeyValuePair.Create(header.Key.ToLowerInvariant(), (JsonNode?)string.Join(',', header.Value))
                    )
                ),
                ["body"] = Encoding.UTF8.GetString(body),
                ["base64"] = Convert.ToBase64String(body),
            };
            StepCases.Compare(request["expect"] ?? new JsonObject(), answer, "response", differences);
            Assert.True(response.Headers.TryGetValues("sendoff-run", out var ids), answer.ToJsonString());
            run = await server.EndOfAsync(ids.Single());
        }
        if ((string?)found["resume"] is { } query)
        {
            string asked = JsonNode.Parse(service.Bodies.First())!["resume_url"]!.GetValue<string>();
            using var resumed = await server.Http.GetAsync(new Uri(asked).AbsolutePath + query, Ct);
            run = await server.EndOfAsync((await resumed.Content.ReadFromJsonAsync(ApiJson.Default.ReleaseDocument, Ct))!.ContinuedBy!);
        }
        else if (found["isFollowed"] is not null)
            run = await server.EndOfAsync((await server.UntilAsync(run!.Id, static one => one.ContinuedBy is not null)).ContinuedBy!);
        return run!;
    }

    HttpRequestMessage Request(JsonObject request, string hook)
    {
        var message = new HttpRequestMessage(new((string?)request["method"] ?? "POST"), hook + (string?)request["path"]);
        string type = "application/json";
        if (request["headers"] is JsonObject headers)
            foreach (var (header, value) in headers)
                if (header == "content-type")
                    type = (string)value!;
                else
                    message.Headers.Add(header, (string)value!);
        string? body = (string?)request["form"];
        if (body is not null)
            type = "application/x-www-form-urlencoded";
        else if (request["body"] is { } json)
            body = json.GetValueKind() == JsonValueKind.String ? (string)json! : json.ToJsonString();
        if (body is null)
            return message;
        message.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(Filled(body)));
        message.Content.Headers.TryAddWithoutValidation("content-type", type);
        return message;
    }

    Dictionary<string, string> Files(JsonObject found, string workflow)
    {
        string file = (string?)found["file"] ?? "step.js";
        var files = found["files"]?.AsObject().ToDictionary(one => one.Key, one => Filled((string)one.Value!)) ?? [];
        if ((string?)found["source"] is { } source)
            files[file] = Filled(source);
        string steps =
            (string?)found["yaml"]
            ?? $"steps: [ {{ namespace: step, uses: ./{file}, props: {found["props"]?.ToJsonString() ?? "{}"} }} ]\n";
        files["workflow.yaml"] = Filled(steps).Replace("$.NAME", workflow, StringComparison.Ordinal);
        if (!steps.StartsWith("triggers:", StringComparison.Ordinal))
            files["workflow.yaml"] +=
                $"triggers: [ {{ type: http, key: {workflow}, response: {(string?)found["response"] ?? "default"} }} ]\n";
        return files;
    }

    string Filled(string text) => text.Replace("$.RECEIVER", service.Url, StringComparison.Ordinal);

    JsonArray Filled(JsonArray received) => (JsonArray)JsonNode.Parse(Filled(received.ToJsonString()))!;

    static async Task<bool> HasRegistryAsync()
    {
        try
        {
            using var npm = Process.Start(
                new ProcessStartInfo("npm", ["view", "lodash", "version", "--fetch-retries=0", "--fetch-timeout=10000"])
                {
                    RedirectStandardOutput = true,
                    RedirectStandardError = true,
                }
            )!;
            await npm.WaitForExitAsync(Wait.Token);
            return npm.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }
}

/// <summary>A service on loopback with a few fixed documents; every other address answers what it got.</summary>
sealed class PublishedService : IAsyncDisposable
{
    static readonly Dictionary<string, (string Type, byte[] Body)> documents = new()
    {
        ["/people.json"] = Text(
            "application/json",
            """[{"name":"Ada","team":"blue"},{"name":"Ben","team":"red"},{"name":"Cleo","team":"blue"}]"""
        ),
        ["/table.csv"] = Text("text/csv", "sku,price\nA 1,10\n\nB,2.5\n"),
        ["/feed.xml"] = Text(
            "application/rss+xml",
            """
            <?xml version="1.0"?><rss version="2.0"><channel><title>News</title>
            <item><guid>a1</guid><title>One &amp; two</title><link>https://a.example/1</link></item>
            <item><guid>a2</guid><title>Three</title><link>https://a.example/2</link></item></channel></rss>
            """
        ),
        ["/page.html"] = Text("text/html", """<ul class="prices"><li data-name="tea">3</li><li data-name="pie">4.5</li></ul>"""),
        ["/picture.png"] = ("image/png", [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0xff]),
    };

    readonly ConcurrentQueue<(string Method, string Target, string Body, JsonObject Headers)> requests = new();
    readonly WebApplication app;

    PublishedService(WebApplication app)
    {
        this.app = app;
        app.Run(AnswerAsync);
    }

    public static async Task<PublishedService> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var service = new PublishedService(builder.Build());
        await service.app.StartAsync();
        return service;
    }

    public string Url => app.Urls.First();

    /// <summary>The bodies, in the order in which they arrived.</summary>
    public IEnumerable<string> Bodies => requests.Select(static one => one.Body);

    static (string, byte[]) Text(string type, string text) => (type, Encoding.UTF8.GetBytes(text));

    async Task AnswerAsync(HttpContext context)
    {
        string body = await new StreamReader(context.Request.Body).ReadToEndAsync(context.RequestAborted);
        string target = context.Features.Get<IHttpRequestFeature>()!.RawTarget,
            path = target.Split('?')[0];
        var headers = context.Request.Headers.Select(header =>
            KeyValuePair.Create(header.Key.ToLowerInvariant(), (JsonNode?)(string?)header.Value)
        );
        requests.Enqueue((context.Request.Method, target, body, new JsonObject(headers)));
        context.Response.StatusCode = path == "/busy" ? 503 : 200;
        var (type, answer) =
            path == "/busy" ? Text("application/json", """{"error":"busy"}""")
            : documents.TryGetValue(path, out var document) ? document
            : Text(
                "application/json",
                JsonSerializer.Serialize(
                    new
                    {
                        ok = true,
                        method = context.Request.Method,
                        target,
                        type = context.Request.ContentType,
                        body,
                    }
                )
            );
        (context.Response.ContentType, context.Response.ContentLength) = (type, answer.Length);
        await context.Response.Body.WriteAsync(answer, context.RequestAborted);
    }

    /// <summary>What arrived. Deliveries arrive in any order: each is put beside the first expectation that it fits.</summary>
    public JsonArray Received(JsonArray expected)
    {
        var left = requests
            .Select(one => new JsonObject
            {
                ["method"] = one.Method,
                ["target"] = one.Target,
                ["body"] = one.Body,
                ["headers"] = one.Headers.DeepClone(),
            })
            .ToList();
        var ordered = new List<JsonObject>();
        foreach (var one in expected)
            if (left.FirstOrDefault(request => Fits(one, request)) is { } fitting)
            {
                ordered.Add(fitting);
                left.Remove(fitting);
            }
        return [.. ordered, .. left];
    }

    public ValueTask DisposeAsync() => app.DisposeAsync();

    static bool Fits(JsonNode? expected, JsonObject request)
    {
        var differences = new List<string>();
        StepCases.Compare(expected, request, "", differences);
        return differences.Count == 0;
    }
}
