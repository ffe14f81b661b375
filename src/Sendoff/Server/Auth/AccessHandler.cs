using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;
using Sendoff.Engine.Storage;

namespace Sendoff.Server.Auth;

/// <summary>Authenticates a request by bearer token or session. Not used for triggers.</summary>
internal sealed class AccessHandler(
    IOptionsMonitor<AuthenticationSchemeOptions> options,
    ILoggerFactory logs,
    UrlEncoder encoder,
    AdminToken admin,
    ApiTokens tokens,
    Sessions sessions,
    ServerOptions server
) : AuthenticationHandler<AuthenticationSchemeOptions>(options, logs, encoder)
{
    public const string SchemeName = "Sendoff";
    const string Bearer = "Bearer ";
    static readonly Problem noSuchToken = new(
        StatusCodes.Status401Unauthorized,
        "Not allowed",
        "The bearer token is not valid on this server, or was revoked. The admin token is in the file 'admin-token' of its data directory; "
            + "create other tokens with `sendoff tokens create`."
    );
    static readonly Problem noToken = new(
        StatusCodes.Status401Unauthorized,
        "Not allowed",
        "Send 'Authorization: Bearer <admin token>'. The token is in the file 'admin-token' of the server's data directory."
    );
    static readonly Problem notSignedIn = new(StatusCodes.Status401Unauthorized, "Not signed in", "Sign in first.");
    static readonly Problem crossSite = new(
        StatusCodes.Status403Forbidden,
        "Cross-site request",
        "A request that changes data must come from this server's own pages, or have a bearer token."
    );

    /// <summary>The reason why a credential was refused.</summary>
    Problem? refusal;

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        string? shown = Request.Headers.Authorization;
        if (shown is not null && shown.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase))
            return await OfTokenAsync(shown[Bearer.Length..].Trim());
        if (await sessions.FindAsync(SessionCookie.ValueOf(Request), Context.RequestAborted) is not { } session)
            return AuthenticateResult.NoResult();
        if (!AccessPolicy.IsSafe(Request) && !IsSameOrigin())
            return Refused(crossSite);
        CredentialUse.Begin(Context, session.Stored.ExpiresAt - TimeProvider.GetUtcNow(), TimeProvider, session.Ended.Token);
        Context.Features.Set(session);
        return Allowed("session", TokenScope.Admin);
    }

    async Task<AuthenticateResult> OfTokenAsync(string presented)
    {
        if (admin.Matches(presented))
            return Allowed("admin token", TokenScope.Admin);
        if (await tokens.FindAsync(presented, Context.RequestAborted) is not { } token)
            return Refused(noSuchToken);
        CredentialUse.Begin(Context, TimeSpan.MaxValue, TimeProvider, token.Revoked.Token);
        return Allowed(token.Stored.Name, token.Stored.Scope);
    }

    AuthenticateResult Allowed(string name, TokenScope scope) =>
        AuthenticateResult.Success(new(AccessPolicy.Caller(name, scope), SchemeName));

    AuthenticateResult Refused(Problem why)
    {
        refusal = why;
        return AuthenticateResult.Fail(why.Title);
    }

    protected override async Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        if (refusal is null && RequestKind.IsPage(Request))
        {
            if (AccessPolicy.IsSafe(Request) || HttpMethods.IsGet(Request.Method))
                Response.Redirect("/signin?next=" + Uri.EscapeDataString(Request.Path + Request.QueryString));
            else
                await notSignedIn.ExecuteAsync(Context);
            return;
        }
        var why = refusal ?? noToken;
        if (why.Status == StatusCodes.Status401Unauthorized)
            Response.Headers.WWWAuthenticate = "Bearer";
        await why.ExecuteAsync(Context);
    }

    protected override Task HandleForbiddenAsync(AuthenticationProperties properties) =>
        new Problem(
            StatusCodes.Status403Forbidden,
            "Out of scope",
            $"The token '{Context.User.Identity?.Name}' has the scope '{Scope(AccessPolicy.ScopeOf(Context.User))}'; "
                + $"{Request.Method} {Request.Path} needs '{Scope(AccessPolicy.NeededFor(Context))}'."
        ).ExecuteAsync(Context);

    static string Scope(TokenScope? scope) => scope is { } one ? Api.Names.Of(one) : "none";

    /// <summary>Browsers send the origin of a request. A request without an origin cannot use a cookie.</summary>
    bool IsSameOrigin()
    {
        string? site = Request.Headers["Sec-Fetch-Site"];
        if (site is not null)
            return site == "same-origin";
        return Uri.TryCreate(Request.Headers.Origin, UriKind.Absolute, out var origin)
            && Uri.TryCreate(Origin.Of(Request, server), UriKind.Absolute, out var own)
            && origin.GetLeftPart(UriPartial.Authority).Equals(own.GetLeftPart(UriPartial.Authority), StringComparison.OrdinalIgnoreCase);
    }
}
