using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine.Runs;
using Sendoff.Server.Auth;

namespace Sendoff.Server.Api;

/// <summary>A variable or a secret. The value of a secret is never returned.</summary>
public sealed record SecretDocument(string Name, bool Secret, string? Value, DateTimeOffset ChangedAt);

public sealed record SecretListDocument(IReadOnlyList<SecretDocument> Items);

/// <param name="Secret">True (default) for a secret, which is masked in every record and never returned; false for a variable.</param>
public sealed record SecretRequestDocument(string Value, bool? Secret);

/// <summary><c>/api/v1/secrets</c>: variables and secrets that steps see in <c>process.env</c>.</summary>
internal static class SecretsApi
{
    static readonly string[] fields = ["value", "secret"];

    public static void Map(IEndpointRouteBuilder api)
    {
        var secrets = api.MapGroup("/secrets").WithTags("Secrets").RequireAuthorization(AccessPolicy.Admin);
        secrets.MapGet("/", List).WithName("listSecrets").WithSummary("Variables with their values, secrets without");
        secrets
            .MapPut("/{name}", PutAsync)
            .WithName("setSecret")
            .WithSummary("Set a variable or a secret; it applies from the next run")
            .TakesBody<SecretRequestDocument>();
        secrets.MapDelete("/{name}", DeleteAsync).WithName("deleteSecret").WithSummary("Delete a variable or a secret");
    }

    static Results<Ok<SecretListDocument>, Problem> List(HttpRequest request, SecretCatalog secrets) =>
        ApiInput.Of(request).Problem is { } problem ? problem : TypedResults.Ok(new SecretListDocument([.. secrets.Entries.Select(From)]));

    static async Task<Results<Ok<SecretDocument>, Problem>> PutAsync(
        string name,
        HttpRequest request,
        SecretCatalog secrets,
        CancellationToken ct
    )
    {
        var input = ApiInput.Of(request);
        if (await input.ObjectAsync(request, fields, ct) is not { } body)
            return input.Problem!;
        string? value = input.Text(body, "value");
        if (value is null)
            input.Wrong("'value' is missing. Expected a string.");
        bool isSecret = input.Flag(body, "secret") ?? true;
        if (value is not null && secrets.FindFault(name, value, isSecret) is { } fault)
            input.Wrong(fault);
        if (input.Problem is { } problem)
            return problem;
        await secrets.SetAsync(name, value!, isSecret, ct);
        return TypedResults.Ok(From(secrets.Entries.First(entry => entry.Name == name)));
    }

    static async Task<Results<NoContent, Problem>> DeleteAsync(string name, SecretCatalog secrets, CancellationToken ct) =>
        await secrets.DeleteAsync(name, ct) ? TypedResults.NoContent() : Problem.NotFound($"There is no variable or secret '{name}'.");

    static SecretDocument From(SecretEntry entry) => new(entry.Name, entry.IsSecret, entry.Value, entry.ChangedAt);
}
