using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine.Storage;
using Sendoff.Server.Auth;

namespace Sendoff.Server.Api;

/// <summary>A token for the API.</summary>
/// <param name="Scope"><c>read</c>, <c>write</c> or <c>admin</c>.</param>
/// <param name="Token">The token itself, returned only when it is created.</param>
public sealed record TokenDocument(string Id, string Name, string Scope, DateTimeOffset CreatedAt, string? Token)
{
    internal static TokenDocument From(StoredToken token, string? value = null) =>
        new(token.Id.ToString(), token.Name, Names.Of(token.Scope), token.CreatedAt, value);
}

/// <param name="Scope"><c>read</c> by default.</param>
public sealed record TokenRequestDocument(string Name, string? Scope);

/// <param name="Url">The sign-in link. It can be used once, within a day.</param>
public sealed record SignInDocument(Uri Url);

/// <summary><c>/api/v1/tokens</c>, for admins.</summary>
internal static class TokensApi
{
    const int LongestName = 100;

    public static void Map(IEndpointRouteBuilder api)
    {
        var tokens = api.MapGroup("/tokens").WithTags("Tokens").RequireAuthorization(AccessPolicy.Admin);
        tokens.MapGet("/", ListAsync).WithName("listTokens").WithSummary("Tokens without their values");
        tokens
            .MapPost("/", CreateAsync)
            .WithName("createToken")
            .WithSummary("Create a token; it is returned only once")
            .TakesBody<TokenRequestDocument>();
        tokens
            .MapPost(
                "/sign-in",
                (HttpRequest request, SignInLinks links, ServerOptions options) =>
                    TypedResults.Ok(new SignInDocument(links.Create(new Uri(Origin.Of(request, options)))))
            )
            .WithName("createSignInLink")
            .WithSummary("Create a sign-in link; it can be used once, within a day");
        tokens.MapDelete("/{id}", RevokeAsync).WithName("revokeToken").WithSummary("Revoke a token: it is refused immediately");
    }

    static async Task<Results<Ok<ListDocument<TokenDocument>>, Problem>> ListAsync(
        HttpRequest request,
        ApiTokens tokens,
        CancellationToken ct
    ) =>
        ApiInput.Of(request).Problem is { } problem
            ? problem
            : TypedResults.Ok(
                new ListDocument<TokenDocument>([.. (await tokens.ListAsync(ct)).Select(static token => TokenDocument.From(token))], null)
            );

    static async Task<Results<Ok<TokenDocument>, Problem>> CreateAsync(HttpRequest request, ApiTokens tokens, CancellationToken ct)
    {
        var input = ApiInput.Of(request);
        if (await input.ObjectAsync(request, ["name", "scope"], ct) is not { } body)
            return input.Problem!;
        string name = Name(input, input.Text(body, "name") ?? "");
        var scope = input.State<TokenScope>("scope", input.Text(body, "scope")) ?? TokenScope.Read;
        if (input.Problem is { } problem)
            return problem;
        var (token, value) = await tokens.CreateAsync(name, scope, ct);
        return TypedResults.Ok(TokenDocument.From(token, value));
    }

    public static string Name(ApiInput input, string name)
    {
        if (name.Trim().Length == 0 || name.Length > LongestName)
            input.Wrong($"'name' must have 1 to {LongestName} characters. Name the user of the token.");
        return name.Trim();
    }

    static async Task<Results<NoContent, Problem>> RevokeAsync(string id, HttpContext context, ApiTokens tokens)
    {
        CredentialUse.Outlive(context);
        return TokenId.TryParse(id, out var token) && await tokens.RevokeAsync(token, CancellationToken.None)
            ? TypedResults.NoContent()
            : Problem.NotFound($"There is no token '{id}'.");
    }
}
