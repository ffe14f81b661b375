using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
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
        deliveries
            .MapGet("/", ListAsync)
            .WithName("listDeliveries")
            .WithSummary(
                "Deliveries with their attempts, newest first. Bodies over 64 KiB, and data beyond 4 MiB in total, are omitted and marked"
            );
        deliveries.MapGet("/{id}", GetAsync).WithName("getDelivery").WithSummary("One delivery with its attempts");
        deliveries
            .MapPost("/{id}/resend", ResendAsync)
            .WithName("resendDelivery")
            .WithSummary("Resend one delivery as a new attempt; a captured delivery needs captured=true");
        deliveries
            .MapPost("/resend", ResendManyAsync)
            .WithName("resendDeliveries")
            .WithSummary(
                "Resend many deliveries by id or filter. A filter without a status selects failed, blocked and interrupted deliveries"
            )
            .TakesBody<ResendRequestDocument>();
    }

    static async Task<Results<Ok<ListDocument<DeliveryDocument>>, Problem>> ListAsync(
        string? status,
        string? host,
        string? workflow,
        string? since,
        string? until,
        string? q,
        string? code,
        string? phase,
        string? cursor,
        string? limit,
        HttpRequest request,
        IStore store,
        CancellationToken ct
    )
    {
        var input = ApiInput.Of(request, "status", "host", "workflow", "since", "until", "q", "code", "phase", "cursor", "limit");
        var filter = new DeliveryFilter(
            workflow,
            input.State<DeliveryStatus>("status", status),
            host,
            q,
            input.Time("since", since),
            input.Time("until", until),
            input.Cursor(cursor),
            input.Limit(limit)
        )
        {
            Code = input.Code(code),
            Phase = input.State<AttemptPhase>("phase", phase),
        };
        if (input.Problem is { } problem)
            return problem;
        return TypedResults.Ok(ListDocument<DeliveryDocument>.From(await store.ListDeliveriesAsync(filter, ct), DeliveryDocument.From));
    }

    static async Task<Results<Ok<DeliveryDocument>, Problem>> GetAsync(string id, HttpRequest request, IStore store, CancellationToken ct)
    {
        var input = ApiInput.Of(request);
        var delivery = input.Delivery(id);
        if (input.Problem is { } problem)
            return problem;
        return await store.GetDeliveryAsync(delivery, ct) is { } stored ? TypedResults.Ok(DeliveryDocument.From(stored)) : Missing(id);
    }

    static async Task<Results<Accepted<ResendDocument>, Problem>> ResendAsync(
        string id,
        string? captured,
        HttpRequest request,
        IStore store,
        DeliveryDispatcher deliveries,
        CancellationToken ct
    )
    {
        var input = ApiInput.Of(request, "captured");
        var delivery = input.Delivery(id);
        bool evenCaptured = input.Switch("captured", captured);
        if (input.Problem is { } problem)
            return problem;
        if (await Resending.OneAsync(delivery, evenCaptured, deliveries, ct))
            return TypedResults.Accepted(
                $"/api/v1/deliveries/{id}",
                new ResendDocument(1, [], [id], new Dictionary<string, string>(), More: false)
            );
        return (await store.FindDeliveryAsync(delivery, ct))?.Status switch
        {
            null => Missing(id),
            DeliveryStatus.Captured => new Problem(
                StatusCodes.Status409Conflict,
                "Captured",
                $"The delivery '{id}' was captured and has not been sent. To send it, add ?captured=true."
            ),
            _ => new Problem(
                StatusCodes.Status409Conflict,
                "Under way",
                $"The delivery '{id}' is already pending or being sent. Resend it after it has ended."
            ),
        };
    }

    static async Task<Results<Ok<ResendDocument>, Problem>> ResendManyAsync(
        HttpRequest request,
        IStore store,
        DeliveryDispatcher deliveries,
        ServerOptions options,
        CancellationToken ct
    )
    {
        var input = ApiInput.Of(request);
        if (await input.ObjectAsync(request, resendFields, ct) is not { } body)
            return input.Problem!;
        var chosen = body.TryGetProperty("ids", out var ids) ? ReadIds(input, body, ids, options.ResendAtOnce) : null;
        var filter = new DeliveryFilter(
            input.Text(body, "workflow"),
            input.State<DeliveryStatus>("status", input.Text(body, "status")),
            input.Text(body, "host"),
            input.Text(body, "q"),
            input.Time("since", input.Text(body, "since")),
            input.Time("until", input.Text(body, "until")),
            null,
            ApiInput.LimitMax
        )
        {
            Code = input.Code(input.Text(body, "code")),
            Phase = input.State<AttemptPhase>("phase", input.Text(body, "phase")),
        };
        // A request without ids and filter would resend the whole history.
        if (chosen is null && filter == new DeliveryFilter(null, null, null, null, null, null, null, ApiInput.LimitMax))
            input.Wrong($"Choose deliveries with 'ids', or with at least one of {string.Join(", ", resendFields[1..])}.");
        if (chosen is null && Resending.WhyNot(filter.Status) is { } why)
            input.Wrong(why);
        if (input.Problem is { } problem)
            return problem;

        bool more = false;
        var taken = chosen is null ? Resending.Of(filter.Status) : null;
        if (chosen is null)
            (chosen, more) = await Resending.FindAsync(store, filter, options.ResendAtOnce, ct);
        var (resent, skipped) = await Resending.EachAsync(chosen, taken, store, deliveries, ct);
        return TypedResults.Ok(new ResendDocument(resent.Count, [.. skipped.Keys], resent, skipped, more));
    }

    static List<DeliveryId> ReadIds(ApiInput input, JsonElement body, JsonElement ids, int most)
    {
        var all = new List<DeliveryId>();
        if (body.EnumerateObject().Count() > 1)
            input.Wrong("'ids' cannot be combined with a filter.");
        else if (ids.ValueKind != JsonValueKind.Array || ids.EnumerateArray().Any(i => i.ValueKind != JsonValueKind.String))
            input.Wrong("'ids' must be an array of delivery ids.");
        else if (ids.GetArrayLength() > most)
            input.Wrong($"'ids' contains {ids.GetArrayLength():N0} ids. The limit is {most:N0} per request.");
        else
            all.AddRange(ids.EnumerateArray().Select(i => input.Delivery(i.GetString()!)).Distinct());
        return all;
    }

    internal static Problem Missing(string id) =>
        Problem.NotFound($"There is no delivery '{id}'. It may have been pruned (setting Retention:Age).");
}
