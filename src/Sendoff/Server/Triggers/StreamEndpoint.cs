using System.Security.Cryptography;
using System.Text;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Secrets;
using Sendoff.Engine.Storage;

namespace Sendoff.Server.Triggers;

/// <summary>The keys of workflows' streams. A key gives permission to read the workflow's <c>$send.sse</c> events.</summary>
internal sealed class StreamKeys(Concealment concealment)
{
    public string PathOf(WorkflowId workflow) => $"/sse/{workflow}/{KeyOf(workflow)}";

    public bool Fits(WorkflowId workflow, string key) =>
        CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(KeyOf(workflow)), Encoding.UTF8.GetBytes(key));

    // 128 bits cannot be guessed.
    string KeyOf(WorkflowId workflow) => Convert.ToHexStringLower(concealment.Cipher.Derive($"sendoff stream {workflow}").AsSpan(0, 16));
}

/// <summary><c>GET /sse/{workflow}/{key}</c>: the events that a workflow sends with <c>$send.sse</c>, as server-sent events (F7).</summary>
/// <remarks>(1) find the stream and check the permission  (2) send the stored events, or those after <c>last-event-id</c>  (3) send new
/// events when signalled, and comments between them. Everything is read from the store at the reader's pace, so a slow reader costs no
/// memory; a reader that does not read at all is disconnected.</remarks>
internal sealed class StreamEndpoint(
    StreamKeys keys,
    WorkflowCatalog workflows,
    IStore store,
    Concealment concealment,
    PublicationBell bell,
    EngineLimits limits,
    TimeProvider time,
    ServerSides sides,
    ServerOptions options,
    IHostApplicationLifetime life
)
{
    public const string Pattern = "/sse/{workflow}/{key}";
    static readonly Problem missing = Problem.NotFound("There is no stream at this URL.");

    /// <summary>A payload can have a megabyte, so only a few are in memory for each reader.</summary>
    const int PageSize = 8;

    int readers;

    public async Task HandleAsync(HttpContext context)
    {
        ResponseHeaders.Sandbox(context);
        if (HttpMethods.IsOptions(context.Request.Method))
        {
            Cors.AnswerPreflight(context, HttpMethods.Get);
            return;
        }
        // (1)
        if (
            !sides.ServesHooks(context)
            || !WorkflowId.TryParse((string)context.Request.RouteValues["workflow"]!, out var workflow)
            || workflows.NameOf(workflow) is null
            || !keys.Fits(workflow, (string)context.Request.RouteValues["key"]!)
        )
        {
            await missing.ExecuteAsync(context);
            return;
        }
        try
        {
            if (Interlocked.Increment(ref readers) > limits.SseReaders)
            {
                context.Response.Headers.RetryAfter = "5";
                await new Problem(
                    StatusCodes.Status503ServiceUnavailable,
                    "Too many readers",
                    $"{limits.SseReaders:N0} streams are open, which is the limit (setting Sse:MaxReaders)."
                ).ExecuteAsync(context);
                return;
            }
            await StreamAsync(context, workflow);
        }
        finally
        {
            Interlocked.Decrement(ref readers);
        }
    }

    async Task StreamAsync(HttpContext context, WorkflowId workflow)
    {
        Api.EventStream.Begin(context.Response);
        string[] channels = [.. context.Request.Query["channel"].OfType<string>()];
        // A reader that reconnects sends the id of its last event. An invalid number replays all stored events.
        _ = long.TryParse(context.Request.Headers["last-event-id"].FirstOrDefault() ?? context.Request.Query["lastEventId"], out long last);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, life.ApplicationStopping);
        try
        {
            await WriteAsync(context.Response, "retry: 2000\n:keepalive\n\n", end.Token);
            while (workflows.NameOf(workflow) is not null)
            {
                var ring = bell.Next(workflow);
                // (2)
                bool more;
                do
                {
                    var page = await store.ListPublicationsAsync(workflow, SendKind.Sse, last, PageSize, end.Token);
                    more = page.Count == PageSize;
                    foreach (var publication in page)
                    {
                        last = publication.Number;
                        if (Describe(publication, channels) is { } text)
                            await WriteAsync(context.Response, text, end.Token);
                    }
                } while (more);
                // (3) Another server of the cluster may have published an event, so the store is read at every comment too.
                bool isQuiet = await Task.WhenAny(ring, Task.Delay(options.StreamKeepAlive, time, end.Token)) != ring;
                end.Token.ThrowIfCancellationRequested();
                if (isQuiet)
                    await WriteAsync(context.Response, ":keepalive\n\n", end.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // The reader disconnected or was too slow, or the server is stopping.
            if (!end.IsCancellationRequested)
                context.Abort();
        }
    }

    /// <summary>Null if the event is on another channel.</summary>
    string? Describe(Publication publication, string[] channels)
    {
        try
        {
            var request = concealment.Open(publication.Delivery).Request;
            string channel = SendKinds.ChannelOf(request.Url),
                payload = Encoding.UTF8.GetString(request.Body.Span);
            if (channels.Length > 0 && !channels.Contains(channel))
                return null;
            var lines = payload.ReplaceLineEndings("\n").Split('\n').Select(static line => $"data: {line}\n");
            return $"id: {publication.Number}\n{(channel.Length > 0 ? $"event: {channel}\n" : "")}{string.Concat(lines)}\n";
        }
        catch (SealedException)
        {
            return $": event {publication.Number} is encrypted with another key\n\n";
        }
    }

    async Task WriteAsync(HttpResponse response, string text, CancellationToken ct)
    {
        using var patience = new CancellationTokenSource(limits.SsePatience, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(ct, patience.Token);
        await response.Body.WriteAsync(Encoding.UTF8.GetBytes(text), both.Token);
        await response.Body.FlushAsync(both.Token);
    }
}
