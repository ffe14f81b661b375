using System.Security.Cryptography;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;
using Sendoff.Server.Api;

namespace Sendoff.Ui;

/// <summary>The pages, their style sheet, and what their buttons do.</summary>
internal static class UiEndpoints
{
    static readonly byte[] css = Read("styles/"), editor = Read("scripts/editor"), live = Read("scripts/live"), frame = Read("scripts/frame");

    public static readonly string CssPath = PathOf(css, "sendoff.css"), EditorPath = PathOf(editor, "editor.js"), LivePath = PathOf(live, "live.js"), FramePath = PathOf(frame, "frame.js");

    public static void Map(WebApplication app)
    {
        // The sign-in page is drawn with it.
        MapAsset(app, CssPath, css, "text/css; charset=utf-8").AllowAnonymous();
        MapAsset(app, EditorPath, editor, "text/javascript; charset=utf-8");
        MapAsset(app, LivePath, live, "text/javascript; charset=utf-8");
        MapAsset(app, FramePath, frame, "text/javascript; charset=utf-8");
        app.MapGet("/assets/sendoff.d.ts", () => TypedResults.PhysicalFile(Commands.TypesCommand.Source, "text/plain; charset=utf-8")).ExcludeFromDescription();
        app.MapPost("/runs/{id}/replay", ReplayAsync).ExcludeFromDescription();
        app.MapPost("/runs/{id}/replay-draft", ReplayOnDraftAsync).ExcludeFromDescription();
        app.MapPost("/runs/{id}/release", ReleaseAsync).ExcludeFromDescription();
        app.MapPost("/runs/{id}/resume", ResumeAsync).ExcludeFromDescription();
        app.MapPost("/runs/{id}/cancel", CancelAsync).ExcludeFromDescription();
        app.MapPost("/deliveries/{id}/resend", ResendAsync).ExcludeFromDescription();
        DeliveryActions.Map(app);
        WorkflowActions.Map(app);
        AlertActions.Map(app);
        SettingsActions.Map(app);
        app.MapStaticAssets(Path.Combine(AppContext.BaseDirectory, "sendoff.staticwebassets.endpoints.json"));
        app.MapRazorComponents<App>().AddInteractiveServerRenderMode(server => server.ContentSecurityFrameAncestorsPolicy = null); // PageHeaders says it
    }

    /// <summary>To the new run; to the page that says so when there is none.</summary>
    static async Task<IResult> ReplayAsync(string id, RunQueue runs, CancellationToken ct)
    {
        var replay = RunId.TryParse(id, out var run) ? await runs.ReplayAsync(run, null, captured: false, ct) : null;
        return Results.LocalRedirect($"/runs/{replay?.Run.Id.ToString() ?? Uri.EscapeDataString(id)}");
    }

    /// <summary>To what both sent; to the editor, which shows what is wrong with the draft, when it does not run.</summary>
    static async Task<IResult> ReplayOnDraftAsync(string id, IStore store, Drafts drafts, CancellationToken ct)
    {
        if (!RunId.TryParse(id, out var run) || await store.GetRunOutlineAsync(run, ct) is not { } outline || await drafts.ReplayAsync(run, captured: true, ct) is not { } made)
            return Results.LocalRedirect($"/runs/{Uri.EscapeDataString(id)}");
        return Results.LocalRedirect(made.Run is { } accepted ? $"/runs/{id}/compare?with={accepted.Run.Id}" : $"/workflows/{Uri.EscapeDataString(outline.WorkflowName)}");
    }

    static async Task<IResult> ReleaseAsync(string id, QuotaReset quota)
    {
        if (RunId.TryParse(id, out var run)) await quota.ReleaseAsync(run);
        return Results.LocalRedirect($"/runs/{Uri.EscapeDataString(id)}");
    }

    /// <summary>To the run that goes on; to the page that says why there is none.</summary>
    static async Task<IResult> ResumeAsync(string id, Suspensions suspensions, CancellationToken ct)
    {
        var released = RunId.TryParse(id, out var run) ? await suspensions.ResumeAsync(run, "{}"u8.ToArray(), ct) : null;
        return Results.LocalRedirect($"/runs/{released?.Next?.ToString() ?? Uri.EscapeDataString(id)}");
    }

    static async Task<IResult> CancelAsync(string id, Suspensions suspensions, CancellationToken ct)
    {
        if (RunId.TryParse(id, out var run)) await suspensions.CancelAsync(run, ct);
        return Results.LocalRedirect($"/runs/{Uri.EscapeDataString(id)}");
    }

    /// <summary>Back to the run that the delivery is part of, at its place.</summary>
    static async Task<IResult> ResendAsync(string id, IStore store, DeliveryDispatcher deliveries, CancellationToken ct)
    {
        if (!DeliveryId.TryParse(id, out var delivery) || await store.GetDeliveryAsync(delivery, ct) is not { } found)
            return Results.LocalRedirect("/deliveries");
        await Resending.OneAsync(delivery, evenCaptured: false, deliveries, ct);
        return Results.LocalRedirect($"/runs/{found.Delivery.RunId}?send={id}");
    }

    /// <summary>Empty when the request carries no form.</summary>
    public static async Task<IFormCollection> FormAsync(HttpRequest request, CancellationToken ct) => request.HasFormContentType ? await request.ReadFormAsync(ct) : FormCollection.Empty;

    /// <summary>An address that changes with the content, so that browsers may keep it.</summary>
    static string PathOf(byte[] content, string name) => $"/assets/{Convert.ToHexStringLower(SHA256.HashData(content))[..12]}/{name}";

    static RouteHandlerBuilder MapAsset(WebApplication app, string path, byte[] content, string type) => app.MapGet(path, (HttpResponse response) =>
    {
        response.Headers.CacheControl = "public, max-age=31536000, immutable";
        return TypedResults.Bytes(content, type);
    }).ExcludeFromDescription();

    /// <summary>What begins with a name, in the order of the names: the first style sheet is for every page, the rest are for one each.</summary>
    static byte[] Read(string prefix)
    {
        var all = new MemoryStream();
        var assembly = typeof(UiEndpoints).Assembly;
        foreach (string name in assembly.GetManifestResourceNames().Where(name => name.StartsWith(prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            using var part = assembly.GetManifestResourceStream(name)!;
            part.CopyTo(all);
        }
        return all.ToArray();
    }
}
