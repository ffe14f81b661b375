using System.Security.Cryptography;
using Sendoff.Engine;
using Sendoff.Server;

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
        app.MapPost("/runs/{id}/replay", ReplayAsync).ExcludeFromDescription();
        app.MapPost("/deliveries/{id}/resend", ResendAsync).ExcludeFromDescription();
        app.MapRazorComponents<App>();
    }

    static async Task<IResult> ReplayAsync(string id, EngineActions engine, CancellationToken ct) =>
        RunId.TryParse(id, out var run) && await engine.Replay(run, ct) is { } made ? Results.LocalRedirect($"/runs/{made.Run.Id}") : Results.LocalRedirect($"/runs/{Uri.EscapeDataString(id)}");

    /// <summary>Back to the run that the delivery is part of, at its place.</summary>
    static async Task<IResult> ResendAsync(string id, EngineActions engine, Engine.Storage.IStore store, CancellationToken ct)
    {
        if (!DeliveryId.TryParse(id, out var delivery) || await store.GetDeliveryAsync(delivery, ct) is not { } found) return Results.LocalRedirect("/deliveries");
        await engine.Resend(delivery, ct);
        return Results.LocalRedirect($"/runs/{found.Delivery.RunId}#{id}");
    }

    static byte[] ReadCss()
    {
        using var stream = typeof(UiEndpoints).Assembly.GetManifestResourceStream("sendoff.css")!;
        byte[] all = new byte[stream.Length];
        stream.ReadExactly(all);
        return all;
    }
}
