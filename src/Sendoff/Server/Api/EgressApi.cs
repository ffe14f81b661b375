using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine.Deliveries;
using Sendoff.Server.Auth;

namespace Sendoff.Server.Api;

/// <summary>The public source addresses of deliveries, for firewalls of receivers.</summary>
/// <param name="Fixed">If false, the system or the proxy chooses the address, and it may change.</param>
/// <param name="Addresses">IP addresses and ranges.</param>
public sealed record EgressAddressesDocument(bool Fixed, IReadOnlyList<string> Addresses);

/// <summary>A workflow's own rules, in addition to the server's.</summary>
public sealed record WorkflowRulesDocument(string Workflow, IReadOnlyList<string> Allow, IReadOnlyList<string> Deny);

/// <summary>The egress rules and source addresses in force.</summary>
/// <param name="LocalAddresses">Setting <c>Egress:Addresses</c>.</param>
/// <param name="Proxy">The proxy without its user and password; null if there is none.</param>
/// <param name="Development">The development profile is active: <paramref name="Allow"/> includes loopback.</param>
public sealed record EgressDocument(
    bool Fixed,
    IReadOnlyList<string> Addresses,
    IReadOnlyList<string> LocalAddresses,
    string? Proxy,
    IReadOnlyList<string> Allow,
    IReadOnlyList<string> Deny,
    IReadOnlyList<WorkflowRulesDocument> Workflows,
    bool Development
);

/// <summary><c>/.well-known/egress.json</c>, which needs no sign-in, and <c>/api/v1/egress</c> (D3).</summary>
internal static class EgressApi
{
    public static void MapPublic(IEndpointRouteBuilder routes) =>
        routes
            .MapGet("/.well-known/egress.json", Addresses)
            .WithTags("Egress")
            .WithName("getEgressAddresses")
            .WithSummary("The source addresses of deliveries, without authentication")
            .AllowAnonymous()
            .WithMetadata(AnyHost.Mark);

    public static void Map(IEndpointRouteBuilder api) =>
        api.MapGet("/egress", Get).WithTags("Egress").WithName("getEgress").WithSummary("Egress rules and source addresses of deliveries");

    static Ok<EgressAddressesDocument> Addresses(EgressOptions egress) =>
        TypedResults.Ok(new EgressAddressesDocument(egress.PublicAddresses.Count > 0, egress.PublicAddresses));

    static Results<Ok<EgressDocument>, Problem> Get(HttpRequest request, EgressOptions egress, ServerOptions options)
    {
        if (ApiInput.Of(request).Problem is { } problem)
            return problem;
        var server = egress.Policies.Server.Layers[0];
        return TypedResults.Ok(
            new EgressDocument(
                egress.PublicAddresses.Count > 0,
                egress.PublicAddresses,
                [.. egress.Addresses.All.Select(a => a.ToString())],
                egress.Proxy?.ToString(),
                [.. server.Allow],
                [.. server.Deny],
                [.. egress.Policies.Workflows.Select(w => new WorkflowRulesDocument(w.Workflow!, [.. w.Allow], [.. w.Deny]))],
                options.Development
            )
        );
    }
}
