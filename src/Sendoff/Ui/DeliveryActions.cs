using System.Globalization;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Storage;
using Sendoff.Server;
using Sendoff.Server.Api;

namespace Sendoff.Ui;

/// <summary>What the buttons of the deliveries' list do.</summary>
internal static class DeliveryActions
{
    public static void Map(WebApplication app)
    {
        app.MapPost("/deliveries/resend", ResendAsync).ExcludeFromDescription();
    }

    /// <summary>Back to the same list, which says what came of it.</summary>
    static async Task<IResult> ResendAsync(
        HttpRequest request, IStore store, DeliveryDispatcher deliveries, ServerOptions options, TimeProvider time, CancellationToken ct)
    {
        if (!request.HasFormContentType) return Results.LocalRedirect("/deliveries");
        var form = await request.ReadFormAsync(ct);
        var query = DeliveryQuery.Of(form);
        bool isAll = form["all"] == "true";
        if (query.Filter(time, ApiInput.LimitMax, out _) is not { } filter || isAll && !query.IsNarrowed) return Results.LocalRedirect(query.Url("/deliveries"));

        var chosen = isAll
            ? (await DeliveriesApi.FindAsync(store, filter, options.ResendAtOnce, static one => DeliveryQuery.IsResendable(one.Status), ct)).Found
            : await ChosenAsync(form["id"], store, options.ResendAtOnce, ct);
        var (resent, skipped) = await DeliveriesApi.ResendEachAsync(chosen, store, deliveries, ct);
        // The confirmation's cursor is where its count began; the list begins at the newest.
        if (isAll) query = query with { Cursor = null };
        int gone = skipped.Values.Count(static why => why == "unknown");
        return Results.LocalRedirect(query.Url(
            "/deliveries", ("resent", Text(resent.Count)), ("underway", Text(skipped.Count - gone)), ("gone", Text(gone))));
    }

    /// <summary>Oldest first, as they were sent; without what was captured.</summary>
    static async Task<List<DeliveryId>> ChosenAsync(IEnumerable<string?> ids, IStore store, int most, CancellationToken ct)
    {
        var chosen = new List<DeliveryId>();
        foreach (string? text in ids.Distinct().Take(most))
        {
            if (!DeliveryId.TryParse(text, out var id)) continue;
            if ((await store.GetDeliveryAsync(id, ct))?.Delivery.Status != DeliveryStatus.Captured) chosen.Add(id);
        }
        return [.. chosen.OrderBy(static id => id.Value)];
    }

    static string Text(int count) => count.ToString(CultureInfo.InvariantCulture);
}
