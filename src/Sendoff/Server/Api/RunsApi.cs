using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;

namespace Sendoff.Server.Api;

/// <summary><c>/api/v1/runs</c>.</summary>
internal static class RunsApi
{
    public static void Map(IEndpointRouteBuilder api)
    {
        var runs = api.MapGroup("/runs").WithTags("Runs");
        runs.MapGet("/", ListAsync).WithSummary("Runs, newest first");
        runs.MapGet("/{id}", GetAsync).WithSummary("The run document");
        runs.MapPost("/{id}/replay", ReplayAsync).WithSummary("Run the same event again, on the workflow's current version or its draft; as a test, its sends are captured")
            .TakesBody<ReplayRequestDocument>().Produces<ReplayDocument>(StatusCodes.Status202Accepted);
    }

    static async Task<Results<Ok<ListDocument<RunSummaryDocument>>, Problem>> ListAsync(
        string? workflow, string? status, string? since, string? until, string? cursor, string? limit,
        HttpRequest request, IStore store, CancellationToken ct)
    {
        var input = ApiInput.Of(request, "workflow", "status", "since", "until", "cursor", "limit");
        var filter = new RunFilter(
            workflow, input.State<RunStatus>("status", status), input.Time("since", since), input.Time("until", until),
            input.Cursor(cursor), input.Limit(limit));
        if (input.Problem is { } problem) return problem;
        return TypedResults.Ok(ListDocument<RunSummaryDocument>.From(await store.ListRunsAsync(filter, ct), RunSummaryDocument.From));
    }

    static async Task<Results<Ok<RunDocument>, Problem>> GetAsync(string id, HttpRequest request, IStore store, CancellationToken ct)
    {
        var input = ApiInput.Of(request);
        var run = input.Run(id);
        if (input.Problem is { } problem) return problem;
        return await store.GetRunAsync(run, ct) is { } stored ? TypedResults.Ok(RunDocument.From(stored)) : Missing(id);
    }

    static async Task<Results<Accepted<ReplayDocument>, Problem>> ReplayAsync(
        string id, HttpRequest request, RunQueue runs, Drafts drafts, CancellationToken ct)
    {
        var input = ApiInput.Of(request);
        var run = input.Run(id);
        if (await WorkflowsApi.ReadBodyAsync(request, MaxBody, ct) is not { } bytes) return Problem.TooLarge($"The body is over {MaxBody} bytes, and takes no more than test and draft.");
        var body = bytes.Length == 0 ? default : input.Object(bytes, ["test", "draft"]) ?? default;
        bool isTest = input.IsSet(body, "test"), isDraft = input.IsSet(body, "draft");
        if (input.Problem is { } problem) return problem;
        if (isDraft) return WorkflowsApi.Answer(await drafts.ReplayAsync(run, isTest, ct), Missing(id));
        return await runs.ReplayAsync(run, null, isTest, ct) is { } accepted ? ReplayDocument.Of(accepted) : Missing(id);
    }

    const int MaxBody = 1024;

    internal static Problem Missing(string id) => Problem.NotFound($"There is no run '{id}'. It may have been pruned (setting Retention:Age).");
}
