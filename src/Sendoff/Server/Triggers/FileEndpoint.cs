using System.Globalization;
using System.Text.Json;
using Microsoft.Net.Http.Headers;
using Sendoff.Engine;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;

namespace Sendoff.Server.Triggers;

/// <summary><c>GET /files/{event}/{sign}/{number}/{**name}</c>: a file of an event's form (E7). The signature is the permission.</summary>
/// <remarks>(1) check the signature  (2) read the event  (3) refuse an expired URL, unless a run of the event executes  (4) extract the
/// file from the form.</remarks>
internal sealed class FileEndpoint(
    IStore store,
    FileLinks links,
    RunCompletion runs,
    Concealment concealment,
    EngineLimits limits,
    TimeProvider time,
    ServerSides sides,
    ILogger<FileEndpoint> log
)
{
    public const string Pattern = "/files/{event}/{sign}/{number}/{**name}";
    const string AnyType = "application/octet-stream";
    static readonly Problem missing = Problem.NotFound("There is no file at this URL.");
    static readonly Problem expired = new(
        StatusCodes.Status410Gone,
        "Expired",
        "The URL of this file has expired (setting Triggers:FileUrlAge)."
    );

    public Task HandleAsync(HttpContext context) =>
        CallerEndpoint.HandleAsync(context, "GET,HEAD", "/files", log, async _ => await (await AnswerAsync(context)).ExecuteAsync(context));

    async Task<IResult> AnswerAsync(HttpContext context)
    {
        var values = context.Request.RouteValues;
        // (1) A request without a valid signature does not read the store.
        if (
            !sides.ServesHooks(context)
            || !Engine.Model.EventId.TryParse((string)values["event"]!, out var id)
            || !links.IsOwn(id, (string)values["sign"]!)
        )
            return missing;
        // (2)
        if (await store.GetEventAsync(id, context.RequestAborted) is not { } stored)
            return missing;
        // (3)
        if (time.GetUtcNow() - stored.ReceivedAt > limits.TriggerFileUrlAge && !runs.ExecutesWithFiles(id))
            return expired;
        // (4)
        var received = concealment.Open(stored);
        if (
            !int.TryParse((string)values["number"]!, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            || TypeOf(received) is not { } type
            || Multipart.TryRead(type, received.Raw.Span)?.FileAt(number) is not var (name, mimeType, content)
        )
            return missing;
        context.Response.Headers.CacheControl = "private, no-store";
        return Results.Bytes(content, TypeToSend(mimeType), name, enableRangeProcessing: true);
    }

    static MediaTypeHeaderValue? TypeOf(Event received)
    {
        var root = JsonElement.Parse(received.Json.Span, new JsonDocumentOptions { MaxDepth = JsonSyntax.MaxDepth });
        return
            root.TryGetProperty("headers", out var headers)
            && headers.TryGetProperty("content-type", out var type)
            && MediaTypeHeaderValue.TryParse(type.GetString(), out var parsed)
            ? parsed
            : null;
    }

    static string TypeToSend(string? mimeType) =>
        mimeType is not null
        && ResponseHeaders.FindBadType([new("content-type", mimeType)]) is null
        && mimeType.All(static c => c is >= ' ' and <= '~')
            ? mimeType
            : AnyType;
}
