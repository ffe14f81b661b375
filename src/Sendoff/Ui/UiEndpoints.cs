using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;
using Sendoff.Server.Api;

namespace Sendoff.Ui;

/// <summary>The pages, their style sheets and scripts, and the actions of their buttons.</summary>
internal static class UiEndpoints
{
    const string Script = "text/javascript; charset=utf-8";

    // The sign-in page needs these two assets.
    static readonly Asset css = new("sendoff.css", "styles/", "text/css; charset=utf-8", isOpen: true),
        theme = new("theme.js", "scripts/theme", Script, isOpen: true),
        editor = new("editor.js", "scripts/editor", Script),
        live = new("live.js", "scripts/live", Script),
        page = new("page.js", "scripts/page", Script),
        frame = new("frame.js", "scripts/frame", Script);

    public static string CssPath => css.Path;
    public static string ThemePath => theme.Path;
    public static string EditorPath => editor.Path;
    public static string LivePath => live.Path;
    public static string PagePath => page.Path;
    public static string FramePath => frame.Path;

    public static void Map(WebApplication app)
    {
        foreach (var asset in (Asset[])[css, theme, editor, live, page, frame])
            asset.Map(app);
        app.MapGet("/assets/sendoff.d.ts", () => TypedResults.PhysicalFile(Commands.TypesCommand.Source, "text/plain; charset=utf-8"))
            .ExcludeFromDescription();
        app.MapPost("/runs/{id}/replay", ReplayAsync).ExcludeFromDescription();
        app.MapPost("/runs/{id}/replay-draft", ReplayOnDraftAsync).ExcludeFromDescription();
        app.MapPost("/runs/{id}/release", ReleaseAsync).ExcludeFromDescription();
        app.MapPost("/runs/{id}/resume", ResumeAsync).ExcludeFromDescription();
        app.MapPost("/runs/{id}/cancel", CancelAsync).ExcludeFromDescription();
        app.MapPost("/deliveries/{id}/resend", ResendAsync).ExcludeFromDescription();
        DeliveryActions.Map(app);
        WorkflowActions.Map(app);
        AlertActions.Map(app);
        AccountActions.Map(app);
        StoreActions.Map(app);
        SettingsActions.Map(app);
        app.MapStaticAssets(Path.Combine(AppContext.BaseDirectory, "sendoff.staticwebassets.endpoints.json"));
        // PageHeaders says it
        app.MapRazorComponents<App>().AddInteractiveServerRenderMode(server => server.ContentSecurityFrameAncestorsPolicy = null);
    }

    /// <summary>Redirects to the new run, or to a page with the error.</summary>
    static async Task<IResult> ReplayAsync(string id, RunAcceptance runs, CancellationToken ct)
    {
        var replay = RunId.TryParse(id, out var run) ? await runs.ReplayAsync(run, null, captured: false, ct) : null;
        return Results.LocalRedirect($"/runs/{replay?.Run.Id.ToString() ?? Uri.EscapeDataString(id)}");
    }

    /// <summary>Redirects to the comparison of both runs' sends, or to the editor if the draft has errors.</summary>
    static async Task<IResult> ReplayOnDraftAsync(string id, IStore store, Drafts drafts, CancellationToken ct)
    {
        if (
            !RunId.TryParse(id, out var run)
            || await store.FindRunAsync(run, ct) is not { } head
            || await drafts.ReplayAsync(run, captured: true, ct) is not { } made
        )
            return Results.LocalRedirect($"/runs/{Uri.EscapeDataString(id)}");
        return Results.LocalRedirect(
            made.Run is { } accepted
                ? $"/runs/{id}/compare?with={accepted.Run.Id}"
                : $"/workflows/{Uri.EscapeDataString(head.WorkflowName)}"
        );
    }

    static async Task<IResult> ReleaseAsync(string id, QuotaReset quota)
    {
        if (RunId.TryParse(id, out var run))
            await quota.ReleaseAsync(run);
        return Results.LocalRedirect($"/runs/{Uri.EscapeDataString(id)}");
    }

    /// <summary>Redirects to the resumed run, or to a page with the error.</summary>
    static async Task<IResult> ResumeAsync(string id, Suspensions suspensions, CancellationToken ct)
    {
        var released = RunId.TryParse(id, out var run) ? await suspensions.ResumeAsync(run, "{}"u8.ToArray(), ct) : null;
        return Results.LocalRedirect($"/runs/{released?.Next?.ToString() ?? Uri.EscapeDataString(id)}");
    }

    static async Task<IResult> CancelAsync(string id, Suspensions suspensions, CancellationToken ct)
    {
        if (RunId.TryParse(id, out var run))
            await suspensions.CancelAsync(run, ct);
        return Results.LocalRedirect($"/runs/{Uri.EscapeDataString(id)}");
    }

    /// <summary>Redirects to the delivery on its run's page.</summary>
    static async Task<IResult> ResendAsync(string id, IStore store, DeliveryDispatcher deliveries, CancellationToken ct)
    {
        if (!DeliveryId.TryParse(id, out var delivery) || await store.FindDeliveryAsync(delivery, ct) is not { } found)
            return Results.LocalRedirect("/deliveries");
        await Resending.OneAsync(delivery, evenCaptured: false, deliveries, ct);
        return Results.LocalRedirect($"/runs/{found.RunId}?send={id}");
    }

    /// <summary>Empty if the request has no form.</summary>
    public static async Task<IFormCollection> FormAsync(HttpRequest request, CancellationToken ct) =>
        request.HasFormContentType ? await request.ReadFormAsync(ct) : FormCollection.Empty;
}
