using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine.Cluster;
using Sendoff.Engine.Storage;

namespace Sendoff.Server.Api;

/// <param name="Slot">Part of the ids that the server makes.</param>
/// <param name="Since">When it joined.</param>
/// <param name="LeaseSeconds">Until others take over its work, unless it renews its lease; null if it is the only server.</param>
/// <param name="Roles">The work that it takes: ingest, run, deliver.</param>
/// <param name="Runs">Runs that are queued or execute.</param>
/// <param name="Deliveries">Deliveries that wait in memory or are in flight.</param>
/// <param name="IsThis">The server that answers.</param>
public sealed record ServerDocument(
    int Slot,
    string Name,
    string Version,
    DateTimeOffset Since,
    double? LeaseSeconds,
    IReadOnlyList<string> Roles,
    int Runs,
    int Deliveries,
    bool IsThis
)
{
    internal static ServerDocument From(ListedServer server) =>
        new(
            server.Slot,
            server.Name,
            server.Version,
            server.JoinedAt,
            server.LeaseEndsIn is { } left ? Math.Round(left.TotalSeconds, 1) : null,
            RoleNames.Of(server.Roles),
            server.Load.Runs,
            server.Load.Deliveries,
            server.IsThis
        );
}

/// <summary><c>/api/v1/servers</c>: the servers that share the database.</summary>
internal static class ServersApi
{
    public static void Map(IEndpointRouteBuilder api) =>
        api.MapGroup("/servers")
            .WithTags("Servers")
            .MapGet("/", ListAsync)
            .WithName("listServers")
            .WithSummary("The servers that share the database, with their work");

    static async Task<Results<Ok<ListDocument<ServerDocument>>, Problem>> ListAsync(
        HttpRequest request,
        ClusterWatch cluster,
        CancellationToken ct
    ) =>
        ApiInput.Of(request).Problem is { } problem
            ? problem
            : TypedResults.Ok(new ListDocument<ServerDocument>([.. (await cluster.ListAsync(ct)).Select(ServerDocument.From)], null));
}
