using System.Security.Cryptography;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;

namespace Sendoff.Ui;

/// <summary>The pages, their style sheet, and what their buttons do.</summary>
internal static class UiEndpoints
{
    static readonly byte[] css = ReadCss();

    /// <summary>The style sheet's address changes with its content, so that browsers may keep it.</summary>
    public static readonly string CssPath = $"/assets/{Convert.ToHexStringLower(SHA256.HashData(css))[..12]}/sendoff.css";

    public static void Map(WebApplication app)
    {
        app.MapGet(CssPath, (HttpResponse response) =>
        {
            response.Headers.CacheControl = "public, max-age=31536000, immutable";
            return TypedResults.Bytes(css, "text/css; charset=utf-8");
        }).ExcludeFromDescription();
        app.MapGet("/assets/sendoff.d.ts", () => TypedResults.PhysicalFile(Commands.TypesCommand.Source, "text/plain; charset=utf-8")).ExcludeFromDescription();
        app.MapPost("/runs/{id}/replay", ReplayAsync).ExcludeFromDescription();
        app.MapPost("/runs/{id}/release", ReleaseAsync).ExcludeFromDescription();
        app.MapPost("/runs/{id}/resume", ResumeAsync).ExcludeFromDescription();
        app.MapPost("/runs/{id}/cancel", CancelAsync).ExcludeFromDescription();
        app.MapPost("/deliveries/{id}/resend", ResendAsync).ExcludeFromDescription();
        DeliveryActions.Map(app);
        WorkflowActions.Map(app);
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
        await deliveries.ResendAsync(delivery, ct);
        return Results.LocalRedirect($"/runs/{found.Delivery.RunId}?send={id}");
    }

    /// <summary>Empty when the request carries no form.</summary>
    public static async Task<IFormCollection> FormAsync(HttpRequest request, CancellationToken ct) => request.HasFormContentType ? await request.ReadFormAsync(ct) : FormCollection.Empty;

    /// <summary>The sheets in the order of their names: the first is for every page, the rest for one each.</summary>
    static byte[] ReadCss()
    {
        var all = new MemoryStream();
        var assembly = typeof(UiEndpoints).Assembly;
        foreach (string name in assembly.GetManifestResourceNames().Where(name => name.StartsWith("styles/", StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            using var sheet = assembly.GetManifestResourceStream(name)!;
            sheet.CopyTo(all);
        }
        return all.ToArray();
    }
}
