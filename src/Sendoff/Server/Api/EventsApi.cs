using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine;
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
    }

    static async Task<Results<Ok<ListDocument<EventDocument>>, Problem>> ListAsync(
        string? workflow, string? since, string? until, string? cursor, string? limit,
        HttpRequest request, IStore store, CancellationToken ct)
    {
        var input = ApiInput.Of(request, "workflow", "since", "until", "cursor", "limit");
        var filter = new EventFilter(workflow, input.Time("since", since), input.Time("until", until),
            input.Cursor(cursor), input.Limit(limit));
        if (input.Problem is { } problem) return problem;
        var names = await NamesAsync(store, ct);
        return TypedResults.Ok(ListDocument<EventDocument>.From(
            await store.ListEventsAsync(filter, ct), e => EventDocument.From(e, names.GetValueOrDefault(e.WorkflowId))));
    }

    static async Task<Results<Ok<EventDocument>, Problem>> GetAsync(string id, HttpRequest request, IStore store, CancellationToken ct)
    {
        var input = ApiInput.Of(request);
        var wanted = input.Event(id);
        if (input.Problem is { } problem) return problem;
        if (await store.GetEventAsync(wanted, ct) is not { } found)
            return Problem.NotFound($"There is no event '{id}'. It may have been pruned (setting Retention:Age).");
        return TypedResults.Ok(EventDocument.From(found, (await NamesAsync(store, ct)).GetValueOrDefault(found.WorkflowId)));
    }

    static async Task<Dictionary<WorkflowId, string>> NamesAsync(IStore store, CancellationToken ct) =>
        (await store.ListWorkflowsAsync(ct)).ToDictionary(w => w.Id, w => w.Name);
}
