using System.Security.Claims;
using Microsoft.AspNetCore.Authorization;
using Sendoff.Engine.Storage;

namespace Sendoff.Server.Auth;

/// <summary>What a caller needs for a request. An endpoint that says nothing needs a caller: reading for GET and HEAD, writing for all
/// else.</summary>
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

    /// <summary>The scope that a request needs. What goes through a socket of the pages changes things.</summary>
    public static TokenScope NeededFor(HttpContext context) =>
        context.GetEndpoint()?.Metadata.GetMetadata<IAuthorizeData>()?.Policy == Admin ? TokenScope.Admin
        : IsSafe(context.Request) ? TokenScope.Read
        : TokenScope.Write;

    /// <summary>A socket is asked for with GET or CONNECT, and any page may ask.</summary>
    public static bool IsSafe(HttpRequest request) =>
        (HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method)) && !request.Headers.ContainsKey("Upgrade");

    public static ClaimsPrincipal Caller(string name, TokenScope scope) =>
        new(new ClaimsIdentity([new(ClaimTypes.Name, name), new(ScopeClaim, Api.Names.Of(scope))], AccessHandler.SchemeName));

    public static TokenScope? ScopeOf(ClaimsPrincipal caller) =>
        caller.FindFirst(ScopeClaim) is { } claim && Api.Names.TryParse(claim.Value, out TokenScope scope) ? scope : null;
}

/// <summary>Whether the caller's scope reaches what the request needs.</summary>
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
