using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine.Cluster;
using Sendoff.Engine.Storage;
using Sendoff.Server.Auth;

namespace Sendoff.Server.Api;

/// <summary><c>/healthz/live</c> and <c>/healthz/ready</c>, which need no sign-in.</summary>
internal static class HealthApi
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        var health = routes.MapGroup("/healthz").WithTags("Health").AllowAnonymous().WithMetadata(AnyHost.Mark);
        health
            .MapGet("/live", () => TypedResults.Ok(new HealthDocument("live")))
            .WithName("getLiveness")
            .WithSummary("The process responds");
        health.MapGet("/ready", ReadyAsync).WithName("getReadiness").WithSummary("The store can be read and written");
    }

    static async Task<Results<Ok<HealthDocument>, Problem>> ReadyAsync(IStore store, ClusterWatch cluster, CancellationToken ct)
    {
        try
        {
            await store.CheckAsync(ct);
            return TypedResults.Ok(new HealthDocument("ready", cluster.WhatWaits));
        }
        catch (StoreUnavailableException e)
        {
            return Problem.Of(e)!;
        }
    }
}
