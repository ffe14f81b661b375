using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine.Storage;

namespace Sendoff.Server.Api;

/// <param name="Since">Start of the hold; null if the server is not on hold.</param>
public sealed record HoldDocument(DateTimeOffset? Since)
{
    internal static HoldDocument From(ServerHold hold) => new(hold.IsOn ? hold.Since : null);
}

/// <summary><c>/api/v1/hold</c>: the hold of a server that was started with <c>--hold</c>.</summary>
internal static class HoldApi
{
    public static void Map(IEndpointRouteBuilder api)
    {
        var hold = api.MapGroup("/hold").WithTags("Hold");
        hold.MapGet("/", Get)
            .WithName("getHold")
            .WithSummary("Whether the server is on hold, which pauses deliveries, schedules and unfinished runs");
        hold.MapPost("/release", ReleaseAsync)
            .WithName("releaseHold")
            .WithSummary("Resume deliveries, schedules and unfinished runs")
            .ProducesProblem(StatusCodes.Status409Conflict);
    }

    static Results<Ok<HoldDocument>, Problem> Get(HttpRequest request, ServerHold hold) =>
        ApiInput.Of(request).Problem is { } problem ? problem : TypedResults.Ok(HoldDocument.From(hold));

    static async Task<Results<Ok<HoldDocument>, Problem>> ReleaseAsync(
        HttpRequest request,
        ServerHold hold,
        IStore store,
        CancellationToken ct
    )
    {
        if (ApiInput.Of(request).Problem is { } problem)
            return problem;
        return await hold.ReleaseAsync(store, ct)
            ? TypedResults.Ok(HoldDocument.From(hold))
            : new Problem(StatusCodes.Status409Conflict, "Not on hold", "The server is not on hold, so there is nothing to release.");
    }
}
