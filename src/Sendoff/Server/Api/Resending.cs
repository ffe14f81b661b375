using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Storage;

namespace Sendoff.Server.Api;

/// <summary>Which deliveries a resend takes. A request that arrived, or was never meant to go, goes out only when the caller says
/// so.</summary>
internal static class Resending
{
    /// <summary>What a filter finds, unless it names a status.</summary>
    static readonly DeliveryStatus[] unsuccessful = [DeliveryStatus.Failed, DeliveryStatus.Blocked, DeliveryStatus.Interrupted];

    /// <summary>What an id names.</summary>
    static readonly DeliveryStatus[] sent = [.. unsuccessful, DeliveryStatus.Succeeded];
    static readonly DeliveryStatus[] any = [.. sent, DeliveryStatus.Captured];

    /// <summary>The statuses that a resend by filter takes; none when the filter names one that is not resent in bulk.</summary>
    public static IReadOnlyList<DeliveryStatus> Of(DeliveryStatus? named) =>
        named switch
        {
            null => unsuccessful,
            { } status when sent.Contains(status) => [status],
            _ => [],
        };

    /// <summary>Why nothing of this status is resent by a filter; null when it is.</summary>
    public static string? WhyNot(DeliveryStatus? named) =>
        Of(named).Count > 0 ? null
        : named == DeliveryStatus.Captured ? "A filter cannot resend captured deliveries. Send each by its id, with captured=true."
        : $"Deliveries that are {Names.Of(named!.Value)} are already waiting or being sent. "
            + $"Choose one of {string.Join(", ", sent.Select(Names.Of))}.";

    /// <summary>Sends one again by its id.</summary>
    /// <param name="evenCaptured">One that was captured is sent, too.</param>
    public static Task<bool> OneAsync(DeliveryId delivery, bool evenCaptured, DeliveryDispatcher deliveries, CancellationToken ct) =>
        deliveries.ResendAsync(delivery, evenCaptured ? any : sent, ct);

    /// <summary>Sends each again, in their order. Those skipped are <c>unknown</c>, <c>under_way</c>, or have another status than those
    /// that are taken, which is the reason then.</summary>
    /// <param name="taken">The statuses that the filter takes; null with ids.</param>
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

    /// <summary>The ids that a filter finds, oldest first, as they were sent. Every id is found before the first is sent, since sending
    /// changes what the filter finds. Of more than <paramref name="most"/>, the newest.</summary>
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
