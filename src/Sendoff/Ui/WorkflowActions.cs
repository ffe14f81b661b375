using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workflows;
using Sendoff.Server.Api;
using Sendoff.Ui.Pages;

namespace Sendoff.Ui;

/// <summary>Actions of the buttons on the pages of workflows. Pages with a form are rendered here, because a refused form is shown
/// again.</summary>
internal static class WorkflowActions
{
    public static void Map(WebApplication app)
    {
        app.MapGet("/workflows/new", (string? template) => NewPage("", template ?? WorkflowTemplate.Default, [])).ExcludeFromDescription();
        app.MapPost("/workflows/new", CreateAsync).ExcludeFromDescription();
        app.MapGet("/workflows/{name}/delete", (string name) => DeletePage(name, "", null)).ExcludeFromDescription();
        app.MapPost("/workflows/{name}/delete", DeleteAsync).ExcludeFromDescription();
        app.MapPost(
                "/workflows/{name}/enable",
                (string name, WorkflowChanges changes, CancellationToken ct) => SetEnabledAsync(name, true, changes, ct)
            )
            .ExcludeFromDescription();
        app.MapPost(
                "/workflows/{name}/disable",
                (string name, WorkflowChanges changes, CancellationToken ct) => SetEnabledAsync(name, false, changes, ct)
            )
            .ExcludeFromDescription();
        app.MapGet("/workflows/{name}/versions", VersionsPageAsync).ExcludeFromDescription();
        app.MapPost("/workflows/{name}/versions/{version:int}/deploy", RollBackAsync).ExcludeFromDescription();
    }

    static async Task<IResult> VersionsPageAsync(string name, string? from, string? to, IStore store, CancellationToken ct) =>
        VersionsPage(
            name,
            from,
            to,
            [],
            await store.GetWorkflowAsync(name, ct) is null ? StatusCodes.Status404NotFound : StatusCodes.Status200OK
        );

    /// <summary>Deploys as a new version, so that the history of deploys stays correct.</summary>
    static async Task<IResult> RollBackAsync(string name, int version, IStore store, WorkflowChanges changes, CancellationToken ct)
    {
        if (
            await store.GetWorkflowAsync(name, ct) is not { } workflow
            || await store.GetVersionAsync(workflow.Id, version, ct) is not { } old
        )
            return VersionsPage(
                name,
                null,
                null,
                [new($"Version {version} of this workflow does not exist.")],
                StatusCodes.Status404NotFound
            );
        var result = await changes.DeployAsync(name, old.Files, ct);
        return result.Workflow is null
            ? VersionsPage(name, null, null, result.Problems, StatusOf(true))
            : Results.LocalRedirect($"/workflows/{Uri.EscapeDataString(name)}/versions");
    }

    static IResult VersionsPage(string name, string? from, string? to, IReadOnlyList<WorkflowProblem> problems, int status) =>
        new RazorComponentResult<VersionsPage>(
            new Dictionary<string, object?>
            {
                ["Name"] = name,
                ["From"] = from,
                ["To"] = to,
                ["Problems"] = problems,
            }
        )
        {
            StatusCode = status,
        };

    /// <summary>Back to the list, also when the workflow is gone: then it is not in it.</summary>
    static async Task<IResult> SetEnabledAsync(string name, bool enabled, WorkflowChanges changes, CancellationToken ct)
    {
        await changes.SetEnabledAsync(name, enabled, ct);
        return Results.LocalRedirect("/workflows");
    }

    static async Task<IResult> DeleteAsync(string name, HttpRequest request, WorkflowChanges changes, CancellationToken ct)
    {
        string typed = await FieldAsync(request, "name", ct);
        if (typed.Trim() != name)
            return DeletePage(
                name,
                typed,
                typed.Length == 0
                    ? "Type the workflow’s name to delete it."
                    : $"“{typed}” is not this workflow’s name. Nothing was deleted."
            );
        return await changes.DeleteAsync(name, ct) is { Failed: not [] } deletion
            ? DeletePage(name, typed, deletion.Reason)
            : Results.LocalRedirect("/workflows");
    }

    static async Task<IResult> CreateAsync(HttpRequest request, IStore store, WorkflowChanges changes, CancellationToken ct)
    {
        string name = (await FieldAsync(request, "name", ct)).Trim(),
            id = await FieldAsync(request, "template", ct);
        if (WorkflowTemplate.All().FirstOrDefault(one => one.Id == id) is not { } template)
            return NewPage(name, WorkflowTemplate.Default, [new("This template does not exist. Choose one of these.")]);
        if (await FindMistakeAsync(name, store, ct) is { } mistake)
            return NewPage(name, id, [new(mistake)]);
        var result = await changes.DeployAsync(name, template.FilesFor(name), ct);
        return result.Workflow is null
            ? NewPage(name, id, result.Problems)
            : Results.LocalRedirect($"/workflows/{Uri.EscapeDataString(name)}");
    }

    static async Task<string?> FindMistakeAsync(string name, IStore store, CancellationToken ct)
    {
        if (name.Length == 0)
            return "Give the workflow a name.";
        var input = new ApiInput();
        input.WorkflowName(name);
        if (input.Problem is { } problem)
            return problem.Detail;
        // These paths are used by other pages.
        if (name is "new" or "." or "..")
            return $"“{name}” cannot be used as a workflow’s name here. Choose another name.";
        return await store.GetWorkflowAsync(name, ct) is null ? null : $"A workflow “{name}” already exists. Choose another name.";
    }

    static async Task<string> FieldAsync(HttpRequest request, string field, CancellationToken ct) =>
        (await UiEndpoints.FormAsync(request, ct))[field].ToString();

    static IResult NewPage(string name, string template, IReadOnlyList<WorkflowProblem> problems) =>
        new RazorComponentResult<NewWorkflowPage>(
            new Dictionary<string, object?>
            {
                ["Name"] = name,
                ["Template"] = template,
                ["Problems"] = problems,
            }
        )
        {
            StatusCode = StatusOf(problems.Count > 0),
        };

    static IResult DeletePage(string name, string typed, string? mistake) =>
        new RazorComponentResult<DeleteWorkflowPage>(
            new Dictionary<string, object?>
            {
                ["Name"] = name,
                ["Typed"] = typed,
                ["Mistake"] = mistake,
            }
        )
        {
            StatusCode = StatusOf(mistake is not null),
        };

    static int StatusOf(bool isRefused) => isRefused ? StatusCodes.Status422UnprocessableEntity : StatusCodes.Status200OK;
}
