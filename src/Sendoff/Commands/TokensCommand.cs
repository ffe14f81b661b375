using System.CommandLine;
using Sendoff.Server.Api;

namespace Sendoff.Commands;

/// <summary><c>sendoff tokens list | create NAME | revoke ID | sign-in</c>: tokens for the API.</summary>
static class TokensCommand
{
    public static Command Build() =>
        ApiClient.With(
            new Command("tokens", "Manage tokens for the API (in addition to the admin token)")
            {
                Lists.List(
                    "tokens",
                    "/api/v1/tokens",
                    ApiJson.Default.ListDocumentTokenDocument,
                    ["token", "name", "scope", "created"],
                    t => [t.Id, t.Name, t.Scope, Lists.Time(t.CreatedAt)]
                ),
                BuildCreate(),
                BuildSignIn(),
                Lists.Act("revoke", "Revoke a token immediately", HttpMethod.Delete, id => $"/api/v1/tokens/{id}", "revoked"),
            }
        );

    static Command BuildSignIn()
    {
        var command = new Command("sign-in", "Print a sign-in link; it can be used once, within a day");
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                if (await api.SendAsync(HttpMethod.Post, "/api/v1/tokens/sign-in", null, ApiJson.Default.SignInDocument, ct) is { } made)
                    Output.Result(made.Url.ToString());
                return ExitCode.Ok;
            }
        );
        return command;
    }

    static Command BuildCreate()
    {
        var name = new Argument<string>("name") { Description = "Token name" };
        var scope = new Option<string>("--scope")
        {
            Description = "read: read-only; write: also change workflows, runs and deliveries; admin: everything",
            DefaultValueFactory = _ => "read",
        };
        var command = new Command("create", "Create a token; it is shown only once") { name, scope };
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                var body = JsonContent.Create(
                    new TokenRequestDocument(parsed.GetValue(name)!, parsed.GetValue(scope)),
                    ApiJson.Default.TokenRequestDocument
                );
                if (await api.SendAsync(HttpMethod.Post, "/api/v1/tokens", body, ApiJson.Default.TokenDocument, ct) is { } made)
                    Output.Result(made.Token!);
                return ExitCode.Ok;
            }
        );
        return command;
    }
}
