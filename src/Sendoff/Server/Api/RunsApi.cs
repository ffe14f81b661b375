using System.Buffers;
using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;
using Sendoff.Server.Triggers;

namespace Sendoff.Server.Api;

/// <summary><c>/api/v1/runs</c>.</summary>
internal static class RunsApi
{
    public static void Map(IEndpointRouteBuilder api)
    {
        var runs = api.MapGroup("/runs").WithTags("Runs");
        runs.MapGet("/", ListAsync)
            .WithName("listRuns")
            .WithSummary(
                "Runs, newest first. status accepts several values, separated by commas; q is searched in event and message, "
                    + "sends=failed selects runs with a failed send. "
                    + "A search reads up to 20,000 runs per page"
            );
        runs.MapGet("/{id}", GetAsync)
            .WithName("getRun")
            .WithSummary(
                "The run document. Bodies over 64 KiB, and data beyond 4 MiB in total, are omitted and marked; "
                    + "a delivery's own document includes them"
            );
        runs.MapPost("/{id}/replay", ReplayAsync)
            .WithName("replayRun")
            .WithSummary("Run the same event again, on the workflow's current version or its draft; in a test, its sends are captured")
            .TakesBody<ReplayRequestDocument>()
            .Produces<ReplayDocument>(StatusCodes.Status202Accepted);
        runs.MapPost("/{id}/release", ReleaseHeldAsync)
            .WithName("releaseRun")
            .WithSummary("Start a run that is held over quota")
            .ProducesProblem(StatusCodes.Status410Gone);
        runs.MapPost("/{id}/resume", ResumeAsync)
            .WithName("resumeRun")
            .WithSummary("Resume a suspended run; its step receives the JSON body of this request")
            .ProducesProblem(StatusCodes.Status409Conflict)
            .ProducesProblem(StatusCodes.Status410Gone);
        runs.MapPost("/{id}/cancel", CancelAsync)
            .WithName("cancelRun")
            .WithSummary("End a suspended run as failed")
            .ProducesProblem(StatusCodes.Status409Conflict)
            .ProducesProblem(StatusCodes.Status410Gone);
    }

    static async Task<Results<Ok<ListDocument<RunSummaryDocument>>, Problem>> ListAsync(
        string? workflow,
        string? status,
        string? since,
        string? until,
        string? q,
        string? sends,
        string? cursor,
        string? limit,
        HttpRequest request,
        IStore store,
        CancellationToken ct
    )
    {
        var input = ApiInput.Of(request, "workflow", "status", "since", "until", "q", "sends", "cursor", "limit");
        if (sends is not (null or "failed"))
            input.Wrong($"sends={sends}: expected 'failed', or omit it.");
        var filter = new RunFilter(
            workflow,
            input.States<RunStatus>("status", status),
            input.Time("since", since),
            input.Time("until", until),
            input.Cursor(cursor),
            input.Limit(limit)
        )
        {
            Text = string.IsNullOrEmpty(q) ? null : q,
            HasFailedSends = sends is not null,
        };
        if (input.Problem is { } problem)
            return problem;
        return TypedResults.Ok(ListDocument<RunSummaryDocument>.From(await store.ListRunsAsync(filter, ct), RunSummaryDocument.From));
    }

    static async Task<Results<Ok<RunDocument>, Problem>> GetAsync(string id, HttpRequest request, IStore store, CancellationToken ct)
    {
        var input = ApiInput.Of(request);
        var run = input.Run(id);
        if (input.Problem is { } problem)
            return problem;
        return await store.GetRunAsync(run, ct) is { } stored ? TypedResults.Ok(RunDocument.From(stored)) : Missing(id);
    }

    static async Task<Results<Accepted<ReplayDocument>, Problem>> ReplayAsync(
        string id,
        HttpRequest request,
        RunAcceptance runs,
        Drafts drafts,
        CancellationToken ct
    )
    {
        var input = ApiInput.Of(request);
        var run = input.Run(id);
        if (await WorkflowsApi.ReadBodyAsync(request, MaxBody, ct) is not { } bytes)
            return Problem.TooLarge($"The body is over {MaxBody} bytes. It can contain only test and draft.");
        var body = bytes.Length == 0 ? default : input.Object(bytes, ["test", "draft"]) ?? default;
        bool isTest = input.IsSet(body, "test"),
            isDraft = input.IsSet(body, "draft");
        if (input.Problem is { } problem)
            return problem;
        if (isDraft)
            return WorkflowsApi.Answer(await drafts.ReplayAsync(run, isTest, ct), Missing(id));
        return await runs.ReplayAsync(run, null, isTest, ct) is { } accepted ? ReplayDocument.Of(accepted) : Missing(id);
    }

    const int MaxBody = 1024;

    static async Task<Results<NoContent, Problem>> ReleaseHeldAsync(
        string id,
        HttpRequest request,
        IStore store,
        QuotaReset quota,
        CancellationToken ct
    )
    {
        var input = ApiInput.Of(request);
        var run = input.Run(id);
        if (input.Problem is { } problem)
            return problem;
        if (await store.FindRunAsync(run, ct) is not { } found)
            return Missing(id);
        return found.Status == RunStatus.Held && await quota.ReleaseAsync(run)
            ? TypedResults.NoContent()
            : new Problem(
                StatusCodes.Status410Gone,
                "Not held",
                $"The run '{id}' is not held over quota: its status is {Names.Of(found.Status)}."
            );
    }

    static async Task<Results<Ok<ReleaseDocument>, Problem>> ResumeAsync(
        string id,
        HttpRequest request,
        Suspensions suspensions,
        EngineLimits limits,
        ServerOptions options,
        CancellationToken ct
    )
    {
        if (await WorkflowsApi.ReadBodyAsync(request, limits.TriggerBodyBytes, ct) is not { } body)
            return Problem.TooLarge(
                $"The body is over {limits.TriggerBodyBytes:N0} bytes, the limit of a trigger (setting Triggers:MaxBodyBytes)."
            );
        // The workflow does not get the caller's token.
        var callback = EventWriter
            .Write(request, "/", Origin.UrlOf(request, options), new ReadOnlySequence<byte>(body), withAuthorization: false)
            .Json;
        return await ReleaseAsync(id, request, "resume", run => suspensions.ResumeAsync(run, callback, ct));
    }

    static Task<Results<Ok<ReleaseDocument>, Problem>> CancelAsync(
        string id,
        HttpRequest request,
        Suspensions suspensions,
        CancellationToken ct
    ) => ReleaseAsync(id, request, "cancel", run => suspensions.CancelAsync(run, ct));

    static async Task<Results<Ok<ReleaseDocument>, Problem>> ReleaseAsync(
        string id,
        HttpRequest request,
        string what,
        Func<RunId, Task<Release>> release
    )
    {
        var input = ApiInput.Of(request);
        var run = input.Run(id);
        if (input.Problem is { } problem)
            return problem;
        var done = await release(run);
        if (done.IsDone)
            return TypedResults.Ok(new ReleaseDocument(id, done.Next?.ToString()));
        return done.Status is null ? Missing(id) : ReleaseEndpoint.Refused(done, what, id);
    }

    internal static Problem Missing(string id) =>
        Problem.NotFound($"There is no run '{id}'. It may have been pruned (setting Retention:Age).");
}
