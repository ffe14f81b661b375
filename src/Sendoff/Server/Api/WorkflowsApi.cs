using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Sendoff.Engine;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workflows;

namespace Sendoff.Server.Api;

/// <summary><c>/api/v1/workflows</c>.</summary>
internal static class WorkflowsApi
{
    public static void Map(IEndpointRouteBuilder api)
    {
        var workflows = api.MapGroup("/workflows").WithTags("Workflows");
        workflows.MapGet("/", ListAsync).WithName("listWorkflows").WithSummary("All workflows");
        workflows.MapGet("/{name}", GetAsync).WithName("getWorkflow").WithSummary("One workflow");
        workflows
            .MapPut("/{name}", DeployAsync)
            .WithName("deployWorkflow")
            .WithSummary("Deploy a new version: {files:{path:text}}, a ZIP, or a single step file")
            .TakesBody<DeployDocument>("application/zip", "text/javascript", "text/typescript")
            .ProducesProblem(StatusCodes.Status413PayloadTooLarge)
            .ProducesProblem(StatusCodes.Status422UnprocessableEntity);
        workflows
            .MapDelete("/{name}", DeleteAsync)
            .WithName("deleteWorkflow")
            .WithSummary("Remove a workflow, its versions and its history")
            .ProducesProblem(StatusCodes.Status409Conflict);
        workflows
            .MapGet("/{name}/versions", ListVersionsAsync)
            .WithName("listVersions")
            .WithSummary("All versions of a workflow, newest first");
        workflows.MapGet("/{name}/versions/{version}", GetVersionAsync).WithName("getVersion").WithSummary("One version with its files");
        workflows
            .MapGet("/{name}/emits", ListEmitsAsync)
            .WithName("listEmits")
            .WithSummary("The last 100 events that a workflow emitted, newest first");
        workflows
            .MapPost("/{name}/versions/{version}/deploy", DeployAgainAsync)
            .WithName("deployVersion")
            .WithSummary("Roll back: deploy the files of a version again, as a new version")
            .ProducesProblem(StatusCodes.Status422UnprocessableEntity);
        workflows
            .MapPost("/{name}/events", StartAsync)
            .WithName("startRun")
            .WithSummary("Start a run manually with a custom event, on the current version or the draft; in a test, its sends are captured")
            .TakesBody<ManualEventDocument>()
            .Produces<ReplayDocument>(StatusCodes.Status202Accepted)
            .ProducesProblem(StatusCodes.Status413PayloadTooLarge)
            .ProducesProblem(StatusCodes.Status422UnprocessableEntity)
            .ProducesProblem(StatusCodes.Status429TooManyRequests);
        workflows.MapPost("/{name}/enable", EnableAsync).WithName("enableWorkflow").WithSummary("Enable a workflow's triggers");
        workflows.MapPost("/{name}/disable", DisableAsync).WithName("disableWorkflow").WithSummary("Disable a workflow's triggers");
    }

    static async Task<Results<Ok<ListDocument<WorkflowDocument>>, Problem>> ListAsync(
        HttpRequest request,
        IStore store,
        WorkflowDocuments documents,
        CancellationToken ct
    )
    {
        var input = ApiInput.Of(request);
        if (input.Problem is { } problem)
            return problem;
        return TypedResults.Ok(
            new ListDocument<WorkflowDocument>([.. (await store.ListWorkflowsAsync(ct)).Select(w => documents.Of(w, request))], null)
        );
    }

    static async Task<Results<Ok<WorkflowDocument>, Problem>> GetAsync(
        string name,
        HttpRequest request,
        IStore store,
        WorkflowDocuments documents,
        CancellationToken ct
    ) => await store.GetWorkflowAsync(name, ct) is { } found ? TypedResults.Ok(documents.Of(found, request)) : Missing(name);

    static async Task<Results<Ok<WorkflowDocument>, Problem>> DeployAsync(
        string name,
        [FromQuery] string? file,
        HttpRequest request,
        WorkflowChanges changes,
        ServerOptions options,
        WorkflowDocuments documents,
        CancellationToken ct
    )
    {
        var input = ApiInput.Of(request, "file");
        input.WorkflowName(name);
        if (input.Problem is { } bad)
            return bad;
        if (await ReadBodyAsync(request, options.DeployBytes, ct) is not { } body)
            return Problem.TooLarge($"The body is over {options.DeployBytes:N0} bytes, the limit of a deploy.");
        if (DeployedFiles.Read(input, request.ContentType, file, body, options) is not { } files)
            return input.Problem!;
        return Answer(await changes.DeployAsync(name, files, ct), request, documents);
    }

    static Results<Ok<WorkflowDocument>, Problem> Answer(DeployResult result, HttpRequest request, WorkflowDocuments documents) =>
        result.Workflow is { } workflow
            ? TypedResults.Ok(
                documents.Of(workflow, request) with
                {
                    ScriptsLeftOut = result.ScriptsLeftOut,
                    Warnings = [.. result.Warnings.Select(WorkflowProblemDocument.From)],
                }
            )
            : Unfit("Not deployed", result.Problems);

    static Problem Unfit(string title, IReadOnlyList<WorkflowProblem> problems) =>
        new(StatusCodes.Status422UnprocessableEntity, title, Say(problems))
        {
            Problems = [.. problems.Select(WorkflowProblemDocument.From)],
        };

    /// <summary>Deploys as a new version, so that the history of deploys stays correct.</summary>
    static async Task<Results<Ok<WorkflowDocument>, Problem>> DeployAgainAsync(
        string name,
        string version,
        HttpRequest request,
        IStore store,
        WorkflowChanges changes,
        WorkflowDocuments documents,
        CancellationToken ct
    )
    {
        var found = await GetVersionAsync(name, version, store, ct);
        if (found.Result is not Ok<VersionDocument> { Value.Files: { } files })
            return (Problem)found.Result;
        return Answer(await changes.DeployAsync(name, files, ct), request, documents);
    }

    /// <summary>The first problem in one line; all of them are in <c>problems</c>.</summary>
    static string Say(IReadOnlyList<WorkflowProblem> problems)
    {
        if (problems.Count == 0)
            return "The workflow cannot be deployed.";
        var first = problems[0];
        string place = string.Join(':', new object?[] { first.File, first.Line, first.Column }.Where(part => part is not null));
        return (first.File is null ? "" : place + ": ") + first.Message + (problems.Count > 1 ? $" (and {problems.Count - 1} more)" : "");
    }

    static async Task<Results<NoContent, Problem>> DeleteAsync(string name, WorkflowChanges changes, CancellationToken ct) =>
        await changes.DeleteAsync(name, ct) switch
        {
            { IsFound: false } => Missing(name),
            { Failed: [] } => TypedResults.NoContent(),
            var deletion => new Problem(StatusCodes.Status409Conflict, "Not deleted", deletion.Reason),
        };

    static async Task<Results<Ok<ListDocument<EmitDocument>>, Problem>> ListEmitsAsync(
        string name,
        HttpRequest request,
        IStore store,
        EngineLimits limits,
        CancellationToken ct
    )
    {
        var input = ApiInput.Of(request);
        if (input.Problem is { } problem)
            return problem;
        if (await store.GetWorkflowAsync(name, ct) is not { } workflow)
            return Missing(name);
        var kept = await store.ListPublicationsAsync(workflow.Id, SendKind.Emit, 0, limits.PublishedKept, ct);
        return TypedResults.Ok(new ListDocument<EmitDocument>([.. kept.Reverse().Select(EmitDocument.From)], null));
    }

    static async Task<Results<Ok<ListDocument<VersionDocument>>, Problem>> ListVersionsAsync(
        string name,
        IStore store,
        CancellationToken ct
    )
    {
        if (await store.GetWorkflowAsync(name, ct) is not { } workflow)
            return Missing(name);
        var versions = await store.ListVersionsAsync(workflow.Id, ct);
        return TypedResults.Ok(
            new ListDocument<VersionDocument>(
                [.. versions.OrderByDescending(v => v.Number).Select(v => VersionDocument.From(v, withFiles: false))],
                null
            )
        );
    }

    static async Task<Results<Ok<VersionDocument>, Problem>> GetVersionAsync(
        string name,
        string version,
        IStore store,
        CancellationToken ct
    )
    {
        if (!int.TryParse(version, out int number) || number < 1)
            return Problem.BadInput($"'{version}' is not a version. Expected a whole number, at least 1.");
        if (await store.GetWorkflowAsync(name, ct) is not { } workflow)
            return Missing(name);
        return await store.GetVersionAsync(workflow.Id, number, ct) is { } found
            ? TypedResults.Ok(VersionDocument.From(found, withFiles: true))
            : Problem.NotFound($"The workflow '{name}' has no version {number}. Its newest is {workflow.Version}.");
    }

    static async Task<Results<Ok<WorkflowDocument>, Problem>> EnableAsync(
        string name,
        HttpRequest request,
        IStore store,
        WorkflowChanges changes,
        WorkflowDocuments documents,
        CancellationToken ct
    ) => await changes.SetEnabledAsync(name, true, ct) ? await GetAsync(name, request, store, documents, ct) : Missing(name);

    static async Task<Results<Ok<WorkflowDocument>, Problem>> DisableAsync(
        string name,
        HttpRequest request,
        IStore store,
        WorkflowChanges changes,
        WorkflowDocuments documents,
        CancellationToken ct
    ) => await changes.SetEnabledAsync(name, false, ct) ? await GetAsync(name, request, store, documents, ct) : Missing(name);

    /// <summary>Also starts runs of a disabled workflow, because only its triggers are disabled.</summary>
    static async Task<Results<Accepted<ReplayDocument>, Problem>> StartAsync(
        string name,
        HttpRequest request,
        IStore store,
        WorkflowCatalog catalog,
        RunAcceptance runs,
        Drafts drafts,
        EngineLimits limits,
        CancellationToken ct
    )
    {
        var input = ApiInput.Of(request);
        if (await ReadBodyAsync(request, limits.TriggerBodyBytes, ct) is not { } bytes)
            return Problem.TooLarge(
                $"The body is over {limits.TriggerBodyBytes:N0} bytes, the limit of a trigger (setting Triggers:MaxBodyBytes)."
            );
        var body = bytes.Length == 0 ? default : input.Object(bytes, ["event", "test", "draft"]) ?? default;
        bool isTest = input.IsSet(body, "test"),
            isDraft = input.IsSet(body, "draft");
        if (input.Problem is { } bad)
            return bad;
        byte[] json =
            body.ValueKind == JsonValueKind.Object && body.TryGetProperty("event", out var given) && given.ValueKind != JsonValueKind.Null
                ? Encoding.UTF8.GetBytes(given.GetRawText())
                : "{}"u8.ToArray();
        if (isDraft)
            return Answer(await drafts.TestAsync(name, json, isTest, ct), Missing(name));
        if (
            await store.GetWorkflowAsync(name, ct) is not { } workflow
            || await catalog.FindAsync(workflow.Id, workflow.Version, ct) is not { } current
            || await runs.AcceptAsync(current.Version, isTest ? QueuedRun.TestTrigger : QueuedRun.ManualTrigger, json, ct)
                is not { } accepted
        )
            return Missing(name);
        return ReplayDocument.Of(accepted);
    }

    internal static Results<Accepted<ReplayDocument>, Problem> Answer(DraftRun? made, Problem missing) =>
        made switch
        {
            null => missing,
            { Run: { } accepted } => ReplayDocument.Of(accepted),
            _ => Unfit("The draft does not run", made.Problems),
        };

    internal static async Task<byte[]?> ReadBodyAsync(HttpRequest request, int limit, CancellationToken ct)
    {
        if (request.ContentLength > limit)
            return null;
        var body = new MemoryStream();
        byte[] chunk = new byte[64 * 1024];
        while (await request.Body.ReadAsync(chunk, ct) is > 0 and var read)
        {
            if (body.Length + read > limit)
                return null;
            body.Write(chunk, 0, read);
        }
        return body.ToArray();
    }

    internal static Problem Missing(string name) => Problem.NotFound($"There is no workflow '{name}'.");
}
