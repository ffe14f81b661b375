using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine.Runs;

namespace Sendoff.Server.Api;

/// <summary><c>/api/v1/workflows/{name}/draft</c>.</summary>
internal static class DraftsApi
{
    public static void Map(IEndpointRouteBuilder api)
    {
        var draft = api.MapGroup("/workflows/{name}/draft").WithTags("Workflows");
        draft
            .MapGet("/", GetAsync)
            .WithName("getDraft")
            .WithSummary("The files of the draft, or of the current version if there is no draft");
        draft
            .MapPut("/", SaveAsync)
            .WithName("saveDraft")
            .WithSummary("Save a draft, even with errors: {files:{path:text}}, a ZIP, or a single step file")
            .TakesBody<DeployDocument>("application/zip", "text/javascript", "text/typescript")
            .ProducesProblem(StatusCodes.Status413PayloadTooLarge);
        draft.MapPost("/check", CheckAsync).WithName("checkDraft").WithSummary("Check the draft like a deploy; this installs its packages");
        draft.MapDelete("/", DiscardAsync).WithName("discardDraft").WithSummary("Discard the draft");
    }

    static async Task<Results<Ok<DraftDocument>, Problem>> GetAsync(string name, Drafts drafts, CancellationToken ct) =>
        Answer(name, await drafts.FindAsync(name, ct));

    static async Task<Results<Ok<DraftDocument>, Problem>> SaveAsync(
        string name,
        string? file,
        HttpRequest request,
        Drafts drafts,
        ServerOptions options,
        CancellationToken ct
    )
    {
        var input = ApiInput.Of(request, "file");
        if (await WorkflowsApi.ReadBodyAsync(request, options.DeployBytes, ct) is not { } body)
            return Problem.TooLarge($"The body is over {options.DeployBytes:N0} bytes, the limit of a deploy.");
        return DeployedFiles.Read(input, request.ContentType, file, body, options) is { } files
            ? Answer(name, await drafts.SaveAsync(name, files, ct))
            : input.Problem!;
    }

    static async Task<Results<Ok<CheckDocument>, Problem>> CheckAsync(
        string name,
        Drafts drafts,
        WorkflowCatalog catalog,
        CancellationToken ct
    ) =>
        await drafts.FindAsync(name, ct) is { } draft
            ? TypedResults.Ok(CheckDocument.From(await catalog.CheckAsync(name, draft.Files, ct)))
            : WorkflowsApi.Missing(name);

    static async Task<Results<Ok<DraftDocument>, Problem>> DiscardAsync(string name, Drafts drafts, CancellationToken ct) =>
        Answer(name, await drafts.DiscardAsync(name, ct));

    static Results<Ok<DraftDocument>, Problem> Answer(string name, Draft? draft) =>
        draft is null ? WorkflowsApi.Missing(name) : TypedResults.Ok(DraftDocument.From(draft));
}
