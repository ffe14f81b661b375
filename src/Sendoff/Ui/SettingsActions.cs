using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workers;
using Sendoff.Server;
using Sendoff.Server.Api;
using Sendoff.Server.Auth;
using Sendoff.Ui.Pages;

namespace Sendoff.Ui;

/// <summary>A value that is shown only once.</summary>
public sealed record MadeOnce(string What, string Value);

/// <summary>Further data of the settings page.</summary>
public sealed class SettingsView(SecretCatalog secrets, IStepRunner runner, EgressOptions egress, ServerOptions options)
{
    public IsolationState? Isolation => runner.InForce;
    public IReadOnlyList<SecretEntry> Secrets => [.. secrets.Entries.OrderBy(static entry => entry.Name, StringComparer.Ordinal)];
    public EgressOptions Egress => egress;
    public bool IsDevelopment => options.Development;
    public TimeSpan SessionAge => options.SessionAge;
    public string DataDirectory => Path.GetFullPath(options.DataDirectory);
}

/// <summary>Actions of the buttons on the settings page.</summary>
internal static class SettingsActions
{
    public static void Map(WebApplication app)
    {
        var settings = app.MapGroup("/settings").RequireAuthorization(AccessPolicy.Admin).ExcludeFromDescription();
        settings.MapGet("", (HttpResponse response) => Page(response));
        settings.MapPost("/tokens", CreateTokenAsync);
        settings.MapPost("/tokens/{id}/revoke", RevokeTokenAsync);
        settings.MapPost("/sessions/{id}/end", EndSessionAsync);
        settings.MapPost("/sessions/end", EndSessionsAsync);
        settings.MapPost(
            "/sign-in",
            (HttpContext context, SignInLinks links, ServerOptions options) =>
                Page(context.Response, made: new("A sign-in link.", links.Create(new Uri(Origin.Of(context.Request, options))).ToString()))
        );
        settings.MapPost("/release", ReleaseAsync);
        settings.MapPost("/secrets", SetSecretAsync);
        settings.MapPost("/secrets/delete", DeleteSecretAsync);
    }

    static async Task<IResult> ReleaseAsync(ServerHold hold, IStore store, CancellationToken ct)
    {
        await hold.ReleaseAsync(store, ct);
        return Results.LocalRedirect("/");
    }

    static async Task<IResult> CreateTokenAsync(HttpContext context, ApiTokens tokens, CancellationToken ct)
    {
        var form = await UiEndpoints.FormAsync(context.Request, ct);
        var input = new ApiInput();
        string name = TokensApi.Name(input, form["name"].ToString());
        var scope = input.State<TokenScope>("scope", form["scope"]) ?? TokenScope.Read;
        if (input.Problem is { } problem)
            return Page(context.Response, problem.Detail);
        var (token, value) = await tokens.CreateAsync(name, scope, ct);
        return Page(context.Response, made: new($"The token of {token.Name}.", value));
    }

    static async Task<IResult> RevokeTokenAsync(string id, HttpContext context, ApiTokens tokens)
    {
        CredentialUse.Outlive(context);
        return TokenId.TryParse(id, out var token) && await tokens.RevokeAsync(token, CancellationToken.None)
            ? Results.LocalRedirect("/settings")
            : Page(context.Response, $"The token `{id}` does not exist. It may have been revoked.");
    }

    static async Task<IResult> EndSessionAsync(string id, HttpContext context, Sessions sessions)
    {
        CredentialUse.Outlive(context);
        return SessionId.TryParse(id, out var session) && await sessions.EndAsync(session, CancellationToken.None)
            ? Results.LocalRedirect("/settings")
            : Page(context.Response, $"The session `{id}` does not exist. It may have ended.");
    }

    /// <summary>Ends all sessions except the current one.</summary>
    static async Task<IResult> EndSessionsAsync(HttpContext context, Sessions sessions, CancellationToken ct)
    {
        var own = context.Features.Get<Session>()?.Stored.Id;
        foreach (var session in await sessions.ListAsync(ct))
            if (session.Id != own)
                await sessions.EndAsync(session.Id, CancellationToken.None);
        return Results.LocalRedirect("/settings");
    }

    static async Task<IResult> SetSecretAsync(HttpContext context, SecretCatalog secrets, CancellationToken ct)
    {
        var form = await UiEndpoints.FormAsync(context.Request, ct);
        string name = form["name"].ToString().Trim(),
            value = form["value"].ToString();
        bool isSecret = form["kind"] != "variable";
        if (secrets.FindFault(name, value, isSecret) is { } fault)
            return Page(context.Response, fault, name);
        await secrets.SetAsync(name, value, isSecret, ct);
        return Results.LocalRedirect("/settings");
    }

    static async Task<IResult> DeleteSecretAsync(HttpContext context, SecretCatalog secrets, CancellationToken ct)
    {
        string name = (await UiEndpoints.FormAsync(context.Request, ct))["name"].ToString();
        return await secrets.DeleteAsync(name, ct)
            ? Results.LocalRedirect("/settings")
            : Page(context.Response, $"The variable or secret `{name}` does not exist.");
    }

    static IResult Page(HttpResponse response, string? mistake = null, string? typed = null, MadeOnce? made = null)
    {
        response.Headers.CacheControl = "no-store";
        return new RazorComponentResult<SettingsPage>(
            new Dictionary<string, object?>
            {
                ["Mistake"] = mistake,
                ["Typed"] = typed,
                ["Made"] = made,
            }
        )
        {
            StatusCode = mistake is null ? StatusCodes.Status200OK : StatusCodes.Status422UnprocessableEntity,
        };
    }
}
