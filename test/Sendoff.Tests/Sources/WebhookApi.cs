using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Sendoff.Tests.Sources;

/// <summary>A service on loopback that posts to webhooks. It calls a new webhook before it answers, as many do, and expects its
/// challenge back.</summary>
sealed class WebhookApi : IAsyncDisposable
{
    readonly WebApplication app;
    int numbers;

    WebhookApi(WebApplication app)
    {
        this.app = app;
        app.MapPost("/webhooks", (Delegate)CreateAsync);
        app.MapDelete(
            "/webhooks/{id}",
            (string id) =>
            {
                Calls.Enqueue($"delete {id}");
                if (Failures.TryDequeue(out int status))
                    return Results.StatusCode(status);
                return Webhooks.TryRemove(id, out _) ? Results.NoContent() : Results.NotFound();
            }
        );
    }

    public string Url => app.Urls.First();

    /// <summary>Where the webhooks of the server are reached, whatever origin it says.</summary>
    public Uri? Server { get; set; }

    /// <summary>By id, the paths of the webhooks.</summary>
    public ConcurrentDictionary<string, string> Webhooks { get; } = new();
    public ConcurrentQueue<string> Calls { get; } = new();

    /// <summary>Statuses with which it answers the next requests instead.</summary>
    public ConcurrentQueue<int> Failures { get; } = new();

    public static async Task<WebhookApi> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var api = new WebhookApi(app);
        await app.StartAsync();
        return api;
    }

    async Task<IResult> CreateAsync(HttpContext context)
    {
        var body = await JsonNode.ParseAsync(context.Request.Body);
        string id = $"{Interlocked.Increment(ref numbers)}",
            path = new Uri((string)body!["url"]!).AbsolutePath;
        Calls.Enqueue($"create {id}");
        if (Failures.TryDequeue(out int status))
            return Results.StatusCode(status);
        using var client = new HttpClient();
        string answer = await client.GetStringAsync(new Uri(Server!, $"{path}?challenge=c{id}"));
        if (answer != $"c{id}")
            return Results.BadRequest();
        Webhooks[id] = path;
        return Results.Json(new { id });
    }

    public ValueTask DisposeAsync() => app.DisposeAsync();
}
