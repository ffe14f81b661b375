using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine.Accounts;
using Sendoff.Server.Auth;

namespace Sendoff.Server.Api;

/// <summary>An account of an app. The values of its fields, tokens and the client secret are never returned.</summary>
/// <param name="Kind"><c>keys</c>, <c>authorization_code</c> or <c>client_credentials</c>.</param>
/// <param name="Status"><c>connected</c>, <c>not_connected</c>, <c>failing</c> (the last refresh did not reach the provider) or
/// <c>failed</c> (the provider refused it).</param>
/// <param name="Fields">Names of the fields that are masked.</param>
/// <param name="ExpiresAt">Expiry of the access token; null if it has none.</param>
/// <param name="CanRefresh">Whether the server can get a new token without a sign-in.</param>
/// <param name="Fault">The provider's message for the last failed refresh.</param>
/// <param name="Url">The page of the account, with the sign-in at the provider.</param>
/// <param name="RedirectUrl">The redirect URL to register at the provider.</param>
public sealed record AccountDocument(
    string Id,
    string App,
    string Name,
    string Kind,
    string Status,
    IReadOnlyList<string> Fields,
    IReadOnlyDictionary<string, string> PlainFields,
    OAuthClientDocument? Client,
    DateTimeOffset? ExpiresAt,
    bool CanRefresh,
    string? Fault,
    DateTimeOffset? FaultAt,
    DateTimeOffset CreatedAt,
    string Url,
    string RedirectUrl
)
{
    internal static AccountDocument From(Account account, string origin) =>
        new(
            account.Id.ToString(),
            account.App,
            account.Name,
            Names.Of(account.Kind),
            Names.Of(account.Status),
            [.. account.Fields.Keys],
            account.PlainFields,
            account.Client is { } client ? OAuthClientDocument.From(client) : null,
            account.Tokens?.ExpiresAt,
            account.Kind == AccountKind.ClientCredentials || account.Tokens?.RefreshToken is not null,
            account.Fault?.Message,
            account.Fault?.At,
            account.CreatedAt,
            $"{origin}/accounts?edit={account.Id}",
            origin + AccountsApi.CallbackPath
        );
}

/// <summary>The client registered at the provider.</summary>
/// <param name="Authentication"><c>basic</c> or <c>body</c>.</param>
/// <param name="LifetimeSeconds">Lifetime of tokens if the provider does not return one.</param>
public sealed record OAuthClientDocument(
    string ClientId,
    bool HasSecret,
    string? AuthorizeUrl,
    string TokenUrl,
    string Scope,
    string Authentication,
    IReadOnlyDictionary<string, string> AuthorizeParameters,
    long? LifetimeSeconds
)
{
    internal static OAuthClientDocument From(OAuthClient client) =>
        new(
            client.ClientId,
            client.ClientSecret is not null,
            client.AuthorizeUrl,
            client.TokenUrl,
            client.Scope,
            Names.Of(client.Authentication),
            client.AuthorizeParameters,
            (long?)client.Lifetime?.TotalSeconds
        );
}

/// <summary>An account to create, or changes to an account. Omitted fields are not changed.</summary>
/// <param name="Id">For a new account: the <c>apn_…</c> of an imported workflow. Generated if omitted.</param>
/// <param name="App">The name of the app, such as <c>google_sheets</c>.</param>
/// <param name="Kind"><c>keys</c> (default), <c>authorization_code</c> or <c>client_credentials</c>.</param>
/// <param name="Fields">Masked values by name; null removes a value.</param>
/// <param name="PlainFields">Values by name that are not masked; null removes a value.</param>
/// <param name="AuthorizeUrl">Can be omitted for known providers, like <c>tokenUrl</c>.</param>
public sealed record AccountRequestDocument(
    string? Id,
    string? App,
    string? Name,
    string? Kind,
    IReadOnlyDictionary<string, string?>? Fields,
    IReadOnlyDictionary<string, string?>? PlainFields,
    string? ClientId,
    string? ClientSecret,
    string? AuthorizeUrl,
    string? TokenUrl,
    string? Scope,
    string? Authentication,
    IReadOnlyDictionary<string, string?>? AuthorizeParameters,
    long? LifetimeSeconds
);

/// <summary><c>/api/v1/accounts</c>: the accounts that steps read as <c>$auth</c>.</summary>
internal static class AccountsApi
{
    /// <summary>The path to which providers redirect browsers.</summary>
    public const string CallbackPath = "/accounts/callback";

    static readonly string[] fields =
    [
        "id",
        "app",
        "name",
        "kind",
        "fields",
        "plainFields",
        "clientId",
        "clientSecret",
        "authorizeUrl",
        "tokenUrl",
        "scope",
        "authentication",
        "authorizeParameters",
        "lifetimeSeconds",
    ];

    public static void Map(IEndpointRouteBuilder api)
    {
        var accounts = api.MapGroup("/accounts").WithTags("Accounts");
        accounts.MapGet("/", List).WithName("listAccounts").WithSummary("Accounts and their status, without values");
        accounts.MapGet("/{id}", Get).WithName("getAccount").WithSummary("An account, without values");
        accounts
            .MapPost("/", CreateAsync)
            .WithName("createAccount")
            .WithSummary("Create an account")
            .RequireAuthorization(AccessPolicy.Admin)
            .TakesBody<AccountRequestDocument>();
        accounts
            .MapPut("/{id}", ChangeAsync)
            .WithName("changeAccount")
            .WithSummary("Change an account")
            .RequireAuthorization(AccessPolicy.Admin)
            .TakesBody<AccountRequestDocument>();
        accounts
            .MapDelete("/{id}", DeleteAsync)
            .WithName("deleteAccount")
            .WithSummary("Delete an account")
            .RequireAuthorization(AccessPolicy.Admin);
        accounts
            .MapPost("/{id}/refresh", RefreshAsync)
            .WithName("refreshAccount")
            .WithSummary("Get a new token from the provider now")
            .RequireAuthorization(AccessPolicy.Admin);
    }

    static Results<Ok<ListDocument<AccountDocument>>, Problem> List(HttpRequest request, AccountCatalog accounts, ServerOptions options) =>
        ApiInput.Of(request).Problem is { } problem
            ? problem
            : TypedResults.Ok(new ListDocument<AccountDocument>([.. accounts.All.Select(one => Shown(one, request, options))], null));

    static Results<Ok<AccountDocument>, Problem> Get(string id, HttpRequest request, AccountCatalog accounts, ServerOptions options) =>
        ApiInput.Of(request).Problem is { } problem ? problem
        : Find(id, accounts) is { } account ? TypedResults.Ok(Shown(account, request, options))
        : Missing(id);

    static Task<Results<Ok<AccountDocument>, Problem>> CreateAsync(
        HttpRequest request,
        AccountCatalog accounts,
        AccountTokens tokens,
        ServerOptions options,
        TimeProvider time,
        CancellationToken ct
    ) => SaveAsync(request, null, accounts, tokens, options, time, ct);

    static async Task<Results<Ok<AccountDocument>, Problem>> ChangeAsync(
        string id,
        HttpRequest request,
        AccountCatalog accounts,
        AccountTokens tokens,
        ServerOptions options,
        TimeProvider time,
        CancellationToken ct
    ) => Find(id, accounts) is { } before ? await SaveAsync(request, before, accounts, tokens, options, time, ct) : Missing(id);

    static async Task<Results<Ok<AccountDocument>, Problem>> SaveAsync(
        HttpRequest request,
        Account? before,
        AccountCatalog accounts,
        AccountTokens tokens,
        ServerOptions options,
        TimeProvider time,
        CancellationToken ct
    )
    {
        var input = ApiInput.Of(request);
        if (await input.ObjectAsync(request, fields, ct) is not { } body)
            return input.Problem!;
        var given = new AccountFields(
            input.Text(body, "id"),
            input.Text(body, "app"),
            input.Text(body, "name"),
            input.Text(body, "kind"),
            Values(input, body, "fields"),
            Values(input, body, "plainFields"),
            input.Text(body, "clientId"),
            input.Text(body, "clientSecret"),
            input.Text(body, "authorizeUrl"),
            input.Text(body, "tokenUrl"),
            input.Text(body, "scope"),
            input.Text(body, "authentication"),
            Values(input, body, "authorizeParameters"),
            input.Number(body, "lifetimeSeconds")
        );
        return await given.SaveAsync(input, before, accounts, tokens, time, ct) is { } saved
            ? TypedResults.Ok(Shown(saved, request, options))
            : input.Problem!;
    }

    static async Task<Results<NoContent, Problem>> DeleteAsync(string id, AccountCatalog accounts, CancellationToken ct) =>
        AccountId.TryParse(id, out var account) && await accounts.RemoveAsync(account, ct) ? TypedResults.NoContent() : Missing(id);

    static async Task<Results<Ok<AccountDocument>, Problem>> RefreshAsync(
        string id,
        HttpRequest request,
        AccountCatalog accounts,
        AccountTokens tokens,
        ServerOptions options
    ) =>
        Find(id, accounts) is { } account && await tokens.RefreshAsync(account.Id) is { } refreshed
            ? TypedResults.Ok(Shown(refreshed, request, options))
            : Missing(id);

    static Dictionary<string, string?>? Values(ApiInput input, JsonElement body, string name)
    {
        if (!body.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
            return null;
        bool isMap =
            value.ValueKind == JsonValueKind.Object
            && value.EnumerateObject().All(static one => one.Value.ValueKind is JsonValueKind.String or JsonValueKind.Null);
        if (!isMap)
        {
            input.Wrong($"'{name}' is {ApiInput.Kind(value)}. Expected an object whose values are strings, or null to remove one.");
            return null;
        }
        var values = new Dictionary<string, string?>(StringComparer.Ordinal);
        foreach (var one in value.EnumerateObject())
            values[one.Name] = one.Value.GetString();
        return values;
    }

    static AccountDocument Shown(Account account, HttpRequest request, ServerOptions options) =>
        AccountDocument.From(account, Origin.Of(request, options));

    static Account? Find(string id, AccountCatalog accounts) => AccountId.TryParse(id, out var account) ? accounts.Find(account) : null;

    static Problem Missing(string id) => Problem.NotFound($"There is no account '{id}'.");
}
