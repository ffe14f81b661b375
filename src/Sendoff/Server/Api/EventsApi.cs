using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine.Storage;

namespace Sendoff.Server.Api;

/// <summary><c>/api/v1/events</c>.</summary>
internal static class EventsApi
{
    public static void Map(IEndpointRouteBuilder api)
    {
        var events = api.MapGroup("/events").WithTags("Events");
        events.MapGet("/", ListAsync).WithName("listEvents").WithSummary("Received events, newest first");
        events.MapGet("/{id}", GetAsync).WithName("getEvent").WithSummary("One received event");
        events
            .MapGet("/{id}/body", GetBodyAsync)
            .WithName("getEventBody")
            .WithSummary("The raw body of a received event; secrets are masked")
            .Produces(StatusCodes.Status200OK, contentType: "application/octet-stream");
        events.MapGet("/{id}/runs", ListRunsAsync).WithName("listEventRuns").WithSummary("The newest runs of an event, including replays");
    }

    static async Task<Results<Ok<ListDocument<EventDocument>>, Problem>> ListAsync(
        string? workflow,
        string? since,
        string? until,
        string? cursor,
        string? limit,
        HttpRequest request,
        IStore store,
        CancellationToken ct
    )
    {
        var input = ApiInput.Of(request, "workflow", "since", "until", "cursor", "limit");
        var filter = new EventFilter(
            workflow,
            input.Time("since", since),
            input.Time("until", until),
            input.Cursor(cursor),
            input.Limit(limit)
        );
        if (input.Problem is { } problem)
            return problem;
        var names = await NamesAsync(store, ct);
        return TypedResults.Ok(
            ListDocument<EventDocument>.From(
                await store.ListEventsAsync(filter, ct),
                e => EventDocument.From(e, names.GetValueOrDefault(e.WorkflowId))
            )
        );
    }

    static async Task<Results<Ok<EventDocument>, Problem>> GetAsync(string id, HttpRequest request, IStore store, CancellationToken ct)
    {
        var input = ApiInput.Of(request);
        var wanted = input.Event(id);
        if (input.Problem is { } problem)
            return problem;
        if (await store.GetEventAsync(wanted, ct) is not { } found)
            return Missing(id);
        return TypedResults.Ok(EventDocument.From(found, (await NamesAsync(store, ct)).GetValueOrDefault(found.WorkflowId)));
    }

    static async Task<IResult> GetBodyAsync(string id, HttpRequest request, IStore store, CancellationToken ct)
    {
        var input = ApiInput.Of(request);
        var wanted = input.Event(id);
        if (input.Problem is { } problem)
            return problem;
        if (await store.GetEventAsync(wanted, ct) is not { } found)
            return Missing(id);
        // Never rendered as a page of this server, whatever its content.
        return BodyOf(found) is { } body
            ? TypedResults.Bytes(body, "application/octet-stream", $"{found.Id}.body")
            : Problem.NotFound($"The event '{id}' has no body.");
    }

    /// <summary>The received bytes with secrets masked; null if the event has no body.</summary>
    public static byte[]? BodyOf(Event received)
    {
        if (!received.Raw.IsEmpty)
            return received.Raw.ToArray();
        var json = RawJson.Parse(received.Json);
        if (json.ValueKind != JsonValueKind.Object || !json.TryGetProperty("body", out var body) || body.ValueKind is JsonValueKind.Null)
            return null;
        return body.ValueKind == JsonValueKind.String
            ? Encoding.UTF8.GetBytes(body.GetString()!)
            : JsonMarshal.GetRawUtf8Value(body).ToArray();
    }

    static async Task<Results<Ok<ListDocument<RunSummaryDocument>>, Problem>> ListRunsAsync(
        string id,
        string? limit,
        HttpRequest request,
        IStore store,
        CancellationToken ct
    )
    {
        var input = ApiInput.Of(request, "limit");
        var wanted = input.Event(id);
        int most = input.Limit(limit);
        if (input.Problem is { } problem)
            return problem;
        if (await store.GetEventAsync(wanted, ct) is null)
            return Missing(id);
        return TypedResults.Ok(
            new ListDocument<RunSummaryDocument>(
                [.. (await store.ListRunsOfEventAsync(wanted, most, ct)).Select(RunSummaryDocument.From)],
                null
            )
        );
    }

    static Problem Missing(string id) => Problem.NotFound($"There is no event '{id}'. It may have been pruned (setting Retention:Age).");

    static async Task<Dictionary<WorkflowId, string>> NamesAsync(IStore store, CancellationToken ct) =>
        (await store.ListWorkflowsAsync(ct)).ToDictionary(w => w.Id, w => w.Name);
}
