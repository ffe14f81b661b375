using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using Sendoff.Engine;
using Sendoff.Engine.Runs;

namespace Sendoff.Server.Triggers;

/// <summary><c>ANY /hooks/{key}/{**path}</c>: stores an event durably and responds (E7).</summary>
/// <remarks>(1) find the trigger and check the permission  (2) read the body under its limit  (3) write the event  (4) accept it  (5)
/// respond.</remarks>
internal sealed class HttpTriggerEndpoint(
    WorkflowCatalog workflows,
    TriggerGate gate,
    RunAcceptance runs,
    FileLinks files,
    EngineLimits limits,
    ServerSides sides,
    ServerOptions options,
    ILogger<HttpTriggerEndpoint> log
)
{
    public const string Pattern = "/hooks/{key}/{**path}";

    /// <summary>The response header with the id of the event's run.</summary>
    const string RunHeader = "sendoff-run";

    /// <summary>The response header with the id of an event without a run.</summary>
    const string EventHeader = "sendoff-event";

    /// <summary>Pipedream's flags, as a header or in the query: do not keep the history; store the event without starting a run.</summary>
    const string NoStore = "x-pd-nostore",
        NoTrigger = "x-pd-notrigger";
    const string Text = "text/plain; charset=utf-8";
    internal const string Methods = "GET,HEAD,PUT,PATCH,POST,DELETE";
    static readonly Problem missing = Problem.NotFound("There is no trigger at this URL, or it is disabled.");
    static readonly Problem noTunnel = new(
        StatusCodes.Status405MethodNotAllowed,
        "Method not allowed",
        "Triggers accept every method except CONNECT."
    );
    static readonly byte[] accepted = "Event accepted.\n"u8.ToArray();
    static readonly byte[] overQuota =
        "The daily quota is used up. The event is stored, and will run after the quota is reset.\n"u8.ToArray();
    static readonly byte[] neverResponded = "No $.respond called in workflow"u8.ToArray();

    public Task HandleAsync(HttpContext context) => CallerEndpoint.HandleAsync(context, null, "/hooks", log, TriggerAsync);

    async Task TriggerAsync(HttpContext context)
    {
        // (1) Unknown and disabled keys get the same response.
        string key = (string)context.Request.RouteValues["key"]!;
        var target = sides.ServesHooks(context) ? workflows.FindTrigger(key) : null;
        if (target is not { Enabled: true })
        {
            await missing.ExecuteAsync(context);
            return;
        }
        if (HttpMethods.IsOptions(context.Request.Method))
        {
            Cors.AnswerPreflight(context, Methods);
            return;
        }
        if (HttpMethods.IsConnect(context.Request.Method))
        {
            await noTunnel.ExecuteAsync(context);
            return;
        }
        if (RefuseByRole(target.Trigger) is { } other)
        {
            await other.ExecuteAsync(context);
            return;
        }
        if (gate.Refuse(context, key, target.Trigger) is { } refusal)
        {
            await refusal.ExecuteAsync(context);
            return;
        }

        // (2) The event is written while the buffers of the body are still valid.
        if (await ReadBodyAsync(context) is not { } came)
            return;
        var bytes = came;
        if (BodyCoding.IsCoded(context.Request))
        {
            var plain = BodyCoding.Decode(context.Request, came, limits.TriggerBodyBytes, out var undecoded);
            if (undecoded is not null)
            {
                context.Request.BodyReader.AdvanceTo(came.End);
                await undecoded.ExecuteAsync(context);
                return;
            }
            bytes = new(plain);
        }
        // (3)
        var content = EventWriter.Write(
            context.Request,
            "/" + context.Request.RouteValues["path"],
            Origin.UrlOfHook(context.Request, options),
            bytes,
            files,
            withAuthorization: target.Trigger.Bearer is null,
            options.TrustedProxies
        );
        context.Request.BodyReader.AdvanceTo(came.End);

        // (4) An event that has arrived completely is accepted even if its sender disconnects now.
        if (IsFlagged(context.Request, NoTrigger))
        {
            await KeepAsync(context, target, content);
            return;
        }
        bool keep = !IsFlagged(context.Request, NoStore);
        if (await runs.AcceptAsync(target.Version, target.Trigger.RecordedAs, content, CancellationToken.None, keep: keep) is not { } run)
        {
            await missing.ExecuteAsync(context);
            return;
        }

        // (5)
        context.Response.Headers[RunHeader] = run.Run.Id.ToString();
        var answer = target.Trigger.Response;
        if (run.Run.IsHeld && answer.FromRun)
            await WriteAsync(context.Response, StatusCodes.Status202Accepted, Text, overQuota);
        else if (answer.FromRun)
            await AnswerFromRunAsync(context, run, target.Trigger);
        else if (answer.Body is null)
            await WriteAsync(context.Response, answer.Status, Text, answer.Status == 200 ? accepted : default(ReadOnlyMemory<byte>));
        else
            await AnswerFixedAsync(context.Response, answer);
    }

    // J8: another server can take the same request, so a load balancer may try it there.
    Problem? RefuseByRole(HttpTrigger trigger) =>
        !limits.ServerRoles.HasFlag(ServerRoles.Ingest)
            ? new(
                StatusCodes.Status503ServiceUnavailable,
                "No events here",
                "This server does not accept events; send them to a server with the role ingest (setting Servers:Roles)."
            )
        : trigger.Response.FromRun && !limits.ServerRoles.HasFlag(ServerRoles.Run)
            ? new(
                StatusCodes.Status503ServiceUnavailable,
                "No runs here",
                "This workflow responds with $.respond, but this server does not execute runs; send the request to a server with the "
                    + "roles ingest and run (setting Servers:Roles)."
            )
        : null;

    async Task KeepAsync(HttpContext context, TriggerTarget target, EventContent content)
    {
        if (await runs.KeepEventAsync(target.Version, target.Trigger.RecordedAs, content) is not { } kept)
        {
            await missing.ExecuteAsync(context);
            return;
        }
        context.Response.Headers[EventHeader] = kept.ToString();
        await WriteAsync(context.Response, StatusCodes.Status200OK, Text, accepted);
    }

    static bool IsFlagged(HttpRequest request, string flag) =>
        request.Headers.TryGetValue(flag, out var header) ? header == "1" : request.QueryString.HasValue && request.Query[flag] == "1";

    /// <summary>The complete body; null if it was over the limit and the response was sent. The caller releases the buffers.</summary>
    async ValueTask<ReadOnlySequence<byte>?> ReadBodyAsync(HttpContext context)
    {
        int limit = limits.TriggerBodyBytes;
        if (context.Request.ContentLength > limit)
            return await RefuseAsync(context, limit);
        var reader = context.Request.BodyReader;
        while (true)
        {
            ReadResult read = await reader.ReadAsync();
            if (read.Buffer.Length > limit)
            {
                reader.AdvanceTo(read.Buffer.End);
                return await RefuseAsync(context, limit);
            }
            if (read.IsCompleted)
                return read.Buffer;
            reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    static async ValueTask<ReadOnlySequence<byte>?> RefuseAsync(HttpContext context, int limit)
    {
        await BodyCoding.TooLarge(limit).ExecuteAsync(context);
        return null;
    }

    static Task AnswerFixedAsync(HttpResponse response, TriggerResponse answer)
    {
        byte[] body = Encoding.UTF8.GetBytes(answer.Body!);
        string type = answer.Body!.AsSpan().TrimStart() is ['{' or '[', ..] ? "application/json" : Text;
        return WriteAsync(response, answer.Status, type, body);
    }

    /// <summary>Waits for <c>$.respond</c>; a caller that hangs up ends the waiting, not the run.</summary>
    static async Task AnswerFromRunAsync(HttpContext context, AcceptedRun run, HttpTrigger trigger)
    {
        RunResponse? answer;
        try
        {
            answer = await run.Response.WaitAsync(context.RequestAborted);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            return;
        }
        // An event source responds only if it has something to say.
        if (answer is null && trigger.Source is not null)
            await WriteAsync(context.Response, StatusCodes.Status200OK, Text, accepted);
        else if (answer is null)
            await WriteAsync(context.Response, StatusCodes.Status400BadRequest, Text, neverResponded);
        else if (answer.Status is < 200 or > 599)
        {
            string detail = $"The workflow responded with status {answer.Status}; $.respond accepts 200 to 599.";
            await new Problem(StatusCodes.Status500InternalServerError, "Bad answer", detail).ExecuteAsync(context);
        }
        else if (ResponseHeaders.FindBadType(answer.Headers) is { } type)
        {
            string detail =
                $"The workflow responded with the content type '{type}'; $.respond accepts one media type, such as text/html; "
                + "charset=utf-8.";
            await new Problem(StatusCodes.Status500InternalServerError, "Bad answer", detail).ExecuteAsync(context);
        }
        else
        {
            ResponseHeaders.Copy(answer.Headers, context.Response.Headers);
            await WriteAsync(context.Response, answer.Status, null, answer.Body);
        }
    }

    static async Task WriteAsync(HttpResponse response, int status, string? contentType, ReadOnlyMemory<byte> body)
    {
        response.StatusCode = status;
        if (contentType is not null && body.Length > 0)
            response.Headers.ContentType = contentType;
        if (status is StatusCodes.Status204NoContent or StatusCodes.Status205ResetContent or StatusCodes.Status304NotModified)
            return;
        response.ContentLength = body.Length;
        if (!HttpMethods.IsHead(response.HttpContext.Request.Method))
            await response.BodyWriter.WriteAsync(body);
    }
}
