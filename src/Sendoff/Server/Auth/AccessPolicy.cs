using System.Security.Claims;
using Microsoft.AspNetCore.Authorization;
using Sendoff.Engine.Storage;

namespace Sendoff.Server.Auth;

/// <summary>The scope required for a request. By default, GET and HEAD require the scope for reading, other methods that for
/// writing.</summary>
internal static class AccessPolicy
{
    /// <summary>Required for endpoints with secrets, tokens and sessions, also for reading.</summary>
    public const string Admin = "admin";
    const string ScopeClaim = "scope";

    public static void Add(IServiceCollection services)
    {
        services
            .AddAuthentication(AccessHandler.SchemeName)
            .AddScheme<Microsoft.AspNetCore.Authentication.AuthenticationSchemeOptions, AccessHandler>(AccessHandler.SchemeName, null);
        services.AddSingleton<IAuthorizationHandler, ScopeCheck>();
        var needsScope = new AuthorizationPolicyBuilder().RequireAuthenticatedUser().AddRequirements(new ScopeCheck.Requirement()).Build();
        services.AddAuthorizationBuilder().SetDefaultPolicy(needsScope).SetFallbackPolicy(needsScope).AddPolicy(Admin, needsScope);
    }

    /// <summary>The scope required for a request. A WebSocket of the pages requires writing, because it changes data.</summary>
    public static TokenScope NeededFor(HttpContext context) =>
        context.GetEndpoint()?.Metadata.GetMetadata<IAuthorizeData>()?.Policy == Admin ? TokenScope.Admin
        : IsSafe(context.Request) ? TokenScope.Read
        : TokenScope.Write;

    /// <summary>A WebSocket is requested with GET or CONNECT, and any page can request one.</summary>
    public static bool IsSafe(HttpRequest request) =>
        (HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method)) && !request.Headers.ContainsKey("Upgrade");

    public static ClaimsPrincipal Caller(string name, TokenScope scope) =>
        new(new ClaimsIdentity([new(ClaimTypes.Name, name), new(ScopeClaim, Api.Names.Of(scope))], AccessHandler.SchemeName));

    public static TokenScope? ScopeOf(ClaimsPrincipal caller) =>
        caller.FindFirst(ScopeClaim) is { } claim && Api.Names.TryParse(claim.Value, out TokenScope scope) ? scope : null;
}

/// <summary>Checks that the caller's scope is sufficient for the request.</summary>
internal sealed class ScopeCheck : AuthorizationHandler<ScopeCheck.Requirement, HttpContext>
{
    protected override Task HandleRequirementAsync(AuthorizationHandlerContext context, Requirement requirement, HttpContext resource)
    {
        if (AccessPolicy.ScopeOf(context.User) >= AccessPolicy.NeededFor(resource))
            context.Succeed(requirement);
        return Task.CompletedTask;
    }

    internal sealed class Requirement : IAuthorizationRequirement;
}
