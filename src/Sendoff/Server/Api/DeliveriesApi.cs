using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Storage;

namespace Sendoff.Server.Api;

/// <summary><c>/api/v1/deliveries</c>.</summary>
internal static class DeliveriesApi
{
    static readonly string[] resendFields = ["ids", "status", "host", "workflow", "since", "until", "q", "code", "phase"];

    public static void Map(IEndpointRouteBuilder api)
    {
        var deliveries = api.MapGroup("/deliveries").WithTags("Deliveries");
        deliveries.MapGet("/", ListAsync).WithSummary("Deliveries with their attempts, newest first. Bodies over 64 KiB, and what is over 4 MiB in all, are left out and say so");
        deliveries.MapGet("/{id}", GetAsync).WithSummary("One delivery with its attempts");
        deliveries.MapPost("/{id}/resend", ResendAsync).WithSummary("Send one delivery again: a new attempt of it");
        deliveries.MapPost("/resend", ResendManyAsync).WithSummary("Send many deliveries again, by id or by filter")
            .TakesBody<ResendRequestDocument>();
    }

    static async Task<Results<Ok<ListDocument<DeliveryDocument>>, Problem>> ListAsync(
        string? status, string? host, string? workflow, string? since, string? until, string? q, string? code, string? phase,
        string? cursor, string? limit,
        HttpRequest request, IStore store, CancellationToken ct)
    {
        var input = ApiInput.Of(request, "status", "host", "workflow", "since", "until", "q", "code", "phase", "cursor", "limit");
        var filter = new DeliveryFilter(
            workflow, input.State<DeliveryStatus>("status", status), host, q, input.Time("since", since), input.Time("until", until),
            input.Cursor(cursor), input.Limit(limit))
        { Code = input.Code(code), Phase = input.State<AttemptPhase>("phase", phase) };
        if (input.Problem is { } problem) return problem;
        return TypedResults.Ok(ListDocument<DeliveryDocument>.From(await store.ListDeliveriesAsync(filter, ct), DeliveryDocument.From));
    }

    static async Task<Results<Ok<DeliveryDocument>, Problem>> GetAsync(string id, HttpRequest request, IStore store, CancellationToken ct)
    {
        var input = ApiInput.Of(request);
        var delivery = input.Delivery(id);
        if (input.Problem is { } problem) return problem;
        return await store.GetDeliveryAsync(delivery, ct) is { } stored ? TypedResults.Ok(DeliveryDocument.From(stored)) : Missing(id);
    }

    static async Task<Results<Accepted<ResendDocument>, Problem>> ResendAsync(
        string id, HttpRequest request, IStore store, DeliveryDispatcher deliveries, CancellationToken ct)
    {
        var input = ApiInput.Of(request);
        var delivery = input.Delivery(id);
        if (input.Problem is { } problem) return problem;
        if (await deliveries.ResendAsync(delivery, ct)) return TypedResults.Accepted($"/api/v1/deliveries/{id}", new ResendDocument(1, [], [id], new Dictionary<string, string>(), More: false));
        if (await store.GetDeliveryAsync(delivery, ct) is null) return Missing(id);
        return new Problem(StatusCodes.Status409Conflict, "Under way",
            $"The delivery '{id}' is waiting or being sent already. Resend it when it has ended.");
    }

    static async Task<Results<Ok<ResendDocument>, Problem>> ResendManyAsync(
        HttpRequest request, IStore store, DeliveryDispatcher deliveries, ServerOptions options, CancellationToken ct)
    {
        var input = ApiInput.Of(request);
        if (await input.ObjectAsync(request, resendFields, ct) is not { } body) return input.Problem!;
        var chosen = body.TryGetProperty("ids", out var ids) ? ReadIds(input, body, ids, options.ResendAtOnce) : null;
        var filter = new DeliveryFilter(
            input.Text(body, "workflow"), input.State<DeliveryStatus>("status", input.Text(body, "status")),
            input.Text(body, "host"), input.Text(body, "q"),
            input.Time("since", input.Text(body, "since")), input.Time("until", input.Text(body, "until")), null, ApiInput.LimitMax)
        { Code = input.Code(input.Text(body, "code")), Phase = input.State<AttemptPhase>("phase", input.Text(body, "phase")) };
        // A body that chooses nothing would send the whole history again.
        if (chosen is null && filter == new DeliveryFilter(null, null, null, null, null, null, null, ApiInput.LimitMax))
            input.Wrong($"Choose deliveries: 'ids', or at least one of {string.Join(", ", resendFields[1..])}.");
        if (input.Problem is { } problem) return problem;

        bool more = false;
        if (chosen is null) (chosen, more) = await FindAsync(store, filter, options.ResendAtOnce, ct);
        var (resent, skipped) = await ResendEachAsync(chosen, store, deliveries, ct);
        return TypedResults.Ok(new ResendDocument(resent.Count, [.. skipped.Keys], resent, skipped, more));
    }

    /// <summary>In their order. What is skipped is <c>unknown</c> or <c>under_way</c>.</summary>
    internal static async Task<(List<string> Resent, OrderedDictionary<string, string> Skipped)> ResendEachAsync(
        IReadOnlyList<DeliveryId> chosen, IStore store, DeliveryDispatcher deliveries, CancellationToken ct)
    {
        var resent = new List<string>();
        var skipped = new OrderedDictionary<string, string>();
        foreach (var id in chosen)
        {
            if (await deliveries.ResendAsync(id, ct)) resent.Add(id.ToString());
            else skipped[id.ToString()] = await store.GetDeliveryAsync(id, ct) is null ? "unknown" : "under_way";
        }
        return (resent, skipped);
    }

    static List<DeliveryId> ReadIds(ApiInput input, JsonElement body, JsonElement ids, int most)
    {
        var all = new List<DeliveryId>();
        if (body.EnumerateObject().Count() > 1) input.Wrong("'ids' stands alone: no filter beside it.");
        else if (ids.ValueKind != JsonValueKind.Array || ids.EnumerateArray().Any(i => i.ValueKind != JsonValueKind.String))
            input.Wrong("'ids' is an array of delivery ids.");
        else if (ids.GetArrayLength() > most) input.Wrong($"'ids' has {ids.GetArrayLength():N0} ids. It takes {most:N0} at once.");
        else all.AddRange(ids.EnumerateArray().Select(i => input.Delivery(i.GetString()!)).Distinct());
        return all;
    }

    /// <summary>Oldest first, as they were sent. Every id is found before the first is sent,
    /// since sending changes what the filter finds. Of more than <paramref name="most"/>, the newest.</summary>
    internal static Task<(List<DeliveryId> Found, bool More)> FindAsync(IStore store, DeliveryFilter filter, int most, CancellationToken ct) =>
        FindAsync(store, filter, most, static _ => true, ct);

    /// <inheritdoc cref="FindAsync(IStore, DeliveryFilter, int, CancellationToken)"/>
    internal static async Task<(List<DeliveryId> Found, bool More)> FindAsync(
        IStore store, DeliveryFilter filter, int most, Func<Delivery, bool> isMeant, CancellationToken ct)
    {
        var found = new List<DeliveryId>();
        Page<StoredDelivery> page;
        int seen = 0;
        do
        {
            page = await store.ListDeliveriesAsync(filter, ct);
            var meant = page.Items.Where(d => isMeant(d.Delivery)).ToList();
            seen += meant.Count;
            found.AddRange(meant.Select(d => d.Delivery.Id).Take(most - found.Count));
            filter = filter with { Before = page.Next };
        }
        while (page.Next is not null && found.Count < most);
        found.Reverse();
        return (found, seen > most || page.Next is not null);
    }

    internal static Problem Missing(string id) => Problem.NotFound($"There is no delivery '{id}'. It may have been pruned (setting Retention:Age).");
}
