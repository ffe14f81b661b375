using System.Globalization;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Storage;
using Sendoff.Server;
using Sendoff.Server.Api;

namespace Sendoff.Ui;

/// <summary>Actions of the buttons in the list of deliveries.</summary>
internal static class DeliveryActions
{
    public static void Map(WebApplication app)
    {
        app.MapPost("/deliveries/resend", ResendAsync).ExcludeFromDescription();
    }

    /// <summary>Redirects to the same list, which shows the result.</summary>
    static async Task<IResult> ResendAsync(
        HttpRequest request,
        IStore store,
        DeliveryDispatcher deliveries,
        ServerOptions options,
        TimeProvider time,
        CancellationToken ct
    )
    {
        if (!request.HasFormContentType)
            return Results.LocalRedirect("/deliveries");
        var form = await request.ReadFormAsync(ct);
        var query = DeliveryQuery.Of(form);
        bool isAll = form["all"] == "true";
        if (query.Filter(time, ApiInput.LimitMax, out _) is not { } filter || isAll && !query.IsNarrowed)
            return Results.LocalRedirect(query.Url("/deliveries"));

        var chosen = isAll
            ? (await Resending.FindAsync(store, filter, options.ResendAtOnce, ct)).Found
            : Chosen(form["id"], options.ResendAtOnce);
        var (resent, skipped) = await Resending.EachAsync(chosen, isAll ? Resending.Of(filter.Status) : null, store, deliveries, ct);
        // The cursor of the confirmation is where its count began; the list begins at the newest delivery.
        if (isAll)
            query = query with { Cursor = null };
        int Skipped(string why) => skipped.Values.Count(reason => reason == why);
        return Results.LocalRedirect(
            query.Url(
                "/deliveries",
                ("resent", Text(resent.Count)),
                ("underway", Text(Skipped("under_way"))),
                ("gone", Text(Skipped("unknown")))
            )
        );
    }

    /// <summary>Oldest first, in the order in which they were sent.</summary>
    static List<DeliveryId> Chosen(IEnumerable<string?> ids, int most) =>
        [
            .. ids.Distinct()
                .Take(most)
                .Select(static text => DeliveryId.TryParse(text, out var id) ? id : (DeliveryId?)null)
                .OfType<DeliveryId>()
                .OrderBy(static id => id.Value),
        ];

    static string Text(int count) => count.ToString(CultureInfo.InvariantCulture);
}
