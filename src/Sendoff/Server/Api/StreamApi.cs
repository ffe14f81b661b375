using System.Text;
using System.Text.Json;
using Sendoff.Engine;

namespace Sendoff.Server.Api;

/// <summary><c>/api/v1/stream</c>: changes of runs and deliveries as server-sent events. Earlier changes are in the lists.</summary>
internal static class StreamApi
{
    public static void Map(IEndpointRouteBuilder api) =>
        api.MapGet("/stream", StreamAsync)
            .WithTags("Stream")
            .WithName("streamChanges")
            .WithSummary("Changes of runs and deliveries, as server-sent events")
            .Produces(StatusCodes.Status200OK, contentType: "text/event-stream");

    static async Task StreamAsync(
        string? run,
        HttpContext context,
        ChangeFeed changes,
        ServerOptions options,
        TimeProvider time,
        IHostApplicationLifetime life,
        CancellationToken ct
    )
    {
        var input = ApiInput.Of(context.Request, "run");
        RunId? only = string.IsNullOrEmpty(run) ? null : input.Run(run);
        if (input.Problem is { } problem)
        {
            await problem.ExecuteAsync(context);
            return;
        }
        EventStream.Begin(context.Response);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(ct, life.ApplicationStopping);
        try
        {
            await SendAsync(context.Response, changes, only, options.StreamKeepAlive, time, end.Token);
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            // The listener disconnected, or the server is stopping.
        }
    }

    static async Task SendAsync(
        HttpResponse response,
        ChangeFeed changes,
        RunId? only,
        TimeSpan keepAlive,
        TimeProvider time,
        CancellationToken ct
    )
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var feed = changes.ListenAsync(end.Token).GetAsyncEnumerator(CancellationToken.None);
        // Subscribe before the response starts, so that no change is missed after it.
        var next = feed.MoveNextAsync().AsTask();
        try
        {
            await WriteAsync(response, "retry: 2000\n: listening\n\n", ct);
            while (await IsNextAsync(response, next, keepAlive, time, ct))
            {
                var change = feed.Current;
                next = feed.MoveNextAsync().AsTask();
                if (only is not null && change.Run != only)
                    continue;
                var document = ChangeDocument.From(change);
                string data = JsonSerializer.Serialize(document, PlainJsonEncoder.OptionsOf(ApiJson.Default));
                await WriteAsync(response, $"event: {document.Type}\ndata: {data}\n\n", ct);
            }
        }
        finally
        {
            // An enumerator may be disposed only after its last call has ended.
            await end.CancelAsync();
            await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await feed.DisposeAsync();
        }
    }

    /// <summary>Writes a comment after a time without events, so that no proxy closes the stream.</summary>
    static async Task<bool> IsNextAsync(HttpResponse response, Task<bool> next, TimeSpan keepAlive, TimeProvider time, CancellationToken ct)
    {
        while (true)
        {
            try
            {
                return await next.WaitAsync(keepAlive, time, ct);
            }
            catch (TimeoutException)
            {
                await WriteAsync(response, ": still here\n\n", ct);
            }
        }
    }

    static async Task WriteAsync(HttpResponse response, string text, CancellationToken ct)
    {
        await response.Body.WriteAsync(Encoding.UTF8.GetBytes(text), ct);
        await response.Body.FlushAsync(ct);
    }
}
