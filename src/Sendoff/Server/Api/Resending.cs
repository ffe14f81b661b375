using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Storage;

namespace Sendoff.Server.Api;

/// <summary>Selects the deliveries of a resend. Succeeded and captured deliveries are resent only if the caller asks for them.</summary>
internal static class Resending
{
    /// <summary>The statuses for a filter that names no status.</summary>
    static readonly DeliveryStatus[] unsuccessful = [DeliveryStatus.Failed, DeliveryStatus.Blocked, DeliveryStatus.Interrupted];

    /// <summary>The statuses for a delivery given by its id.</summary>
    static readonly DeliveryStatus[] sent = [.. unsuccessful, DeliveryStatus.Succeeded];
    static readonly DeliveryStatus[] any = [.. sent, DeliveryStatus.Captured];

    /// <summary>The statuses for a resend by filter; empty if the named status cannot be resent by a filter.</summary>
    public static IReadOnlyList<DeliveryStatus> Of(DeliveryStatus? named) =>
        named switch
        {
            null => unsuccessful,
            { } status when sent.Contains(status) => [status],
            _ => [],
        };

    /// <summary>Why deliveries of this status cannot be resent by a filter; null if they can.</summary>
    public static string? WhyNot(DeliveryStatus? named) =>
        Of(named).Count > 0 ? null
        : named == DeliveryStatus.Captured ? "A filter cannot resend captured deliveries. Resend each by its id, with captured=true."
        : $"Deliveries with the status {Names.Of(named!.Value)} are already pending or being sent. "
            + $"Choose one of {string.Join(", ", sent.Select(Names.Of))}.";

    /// <summary>Resends one delivery by its id.</summary>
    /// <param name="evenCaptured">Also resend a captured delivery.</param>
    public static Task<bool> OneAsync(DeliveryId delivery, bool evenCaptured, DeliveryDispatcher deliveries, CancellationToken ct) =>
        deliveries.ResendAsync(delivery, evenCaptured ? any : sent, ct);

    /// <summary>Resends the deliveries in their order. The reason of a skipped one is <c>unknown</c>, <c>under_way</c>, or its status if
    /// the filter does not include it.</summary>
    /// <param name="taken">The statuses of the filter; null with ids.</param>
    public static async Task<(List<string> Resent, OrderedDictionary<string, string> Skipped)> EachAsync(
        IReadOnlyList<DeliveryId> chosen,
        IReadOnlyList<DeliveryStatus>? taken,
        IStore store,
        DeliveryDispatcher deliveries,
        CancellationToken ct
    )
    {
        var resent = new List<string>();
        var skipped = new OrderedDictionary<string, string>();
        foreach (var id in chosen)
        {
            if (await deliveries.ResendAsync(id, taken ?? sent, ct))
                resent.Add(id.ToString());
            else
                skipped[id.ToString()] = await ReasonAsync(id, store, ct);
        }
        return (resent, skipped);
    }

    static async Task<string> ReasonAsync(DeliveryId id, IStore store, CancellationToken ct) =>
        (await store.FindDeliveryAsync(id, ct))?.Status switch
        {
            null => "unknown",
            DeliveryStatus.Pending or DeliveryStatus.Sending => "under_way",
            { } status => Names.Of(status),
        };

    /// <summary>The ids that match a filter, oldest first. All ids are found before the first one is resent, because a resend changes the
    /// result of the filter. If more than <paramref name="most"/> match, the newest are returned.</summary>
    public static async Task<(List<DeliveryId> Found, bool More)> FindAsync(
        IStore store,
        DeliveryFilter filter,
        int most,
        CancellationToken ct
    )
    {
        if (Of(filter.Status) is not { Count: > 0 } taken)
            return ([], false);
        filter = filter with { AnyOf = taken, Limit = most };
        var found = new List<DeliveryId>();
        Page<DeliveryId> page;
        int seen = 0;
        do
        {
            page = await store.ListDeliveryIdsAsync(filter, ct);
            seen += page.Items.Count;
            found.AddRange(page.Items.Take(most - found.Count));
            filter = filter with { Before = page.Next };
        } while (page.Next is not null && found.Count < most);
        found.Reverse();
        return (found, seen > most || page.Next is not null);
    }
}
