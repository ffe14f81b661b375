using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;

namespace Sendoff.Server.Api;

/// <summary><c>/api/v1/usage</c>: compute time and delivery time, measured separately (E6).</summary>
internal static class UsageApi
{
    const int DaysDefault = 30;

    public static void Map(IEndpointRouteBuilder api) =>
        api.MapGet("/usage", GetAsync)
            .WithTags("Usage")
            .WithName("getUsage")
            .WithSummary("Compute and delivery time by workflow and UTC day");

    static async Task<Results<Ok<UsageDocument>, Problem>> GetAsync(
        string? since,
        HttpRequest request,
        IStore store,
        Quota quota,
        TimeProvider time,
        CancellationToken ct
    )
    {
        var input = ApiInput.Of(request, "since");
        var day = input.Day("since", since) ?? DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime).AddDays(1 - DaysDefault);
        if (input.Problem is { } problem)
            return problem;
        var rows = await store.ListUsageAsync(day, ct);
        return TypedResults.Ok(
            new UsageDocument(
                day,
                [
                    .. rows.Select(r => new UsageRowDocument(
                        r.Day,
                        r.Workflow,
                        r.Runs,
                        Names.Ms(r.ComputeMs),
                        r.Deliveries,
                        Names.Ms(r.DeliveryMs)
                    )),
                ],
                new(
                    rows.Sum(r => r.Runs),
                    Names.Ms(rows.Sum(r => r.ComputeMs)),
                    rows.Sum(r => r.Deliveries),
                    Names.Ms(rows.Sum(r => r.DeliveryMs))
                ),
                quota is { IsLimited: true, Use: var use } ? From(use) : null
            )
        );
    }

    static QuotaDocument From(QuotaUse use) =>
        new(
            Names.Ms(use.Compute),
            use.ComputeLimit > TimeSpan.Zero ? Names.Ms(use.ComputeLimit) : null,
            use.Invocations,
            use.InvocationsLimit > 0 ? use.InvocationsLimit : null,
            use.ResetAt
        );
}
