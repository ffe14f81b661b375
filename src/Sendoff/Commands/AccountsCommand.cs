using System.CommandLine;
using Sendoff.Server.Api;
using Spectre.Console;

namespace Sendoff.Commands;

/// <summary><c>sendoff accounts list | show ID | connect APP | remove ID</c>: the accounts that steps read as <c>$auth</c>.</summary>
static class AccountsCommand
{
    static readonly TimeSpan lookEvery = TimeSpan.FromSeconds(1);

    static readonly Option<string?> id = new("--id")
    {
        Description = "The id used by an imported workflow, such as apn_DphexA (default: generated)",
    };
    static readonly Option<string?> name = new("--name") { Description = "Name of the account (default: the app's name)" };
    static readonly Option<string[]> field = new("--field")
    {
        Description = "A field as NAME=VALUE; NAME alone reads the value from standard input, so that it is not in the shell's history",
    };
    static readonly Option<string[]> plain = new("--plain-field") { Description = "A field as NAME=VALUE that is not masked" };
    static readonly Option<string?> clientId = new("--client-id") { Description = "OAuth: the id of your client at the provider" };
    static readonly Option<string?> clientSecret = new("--client-secret")
    {
        Description = "OAuth: the secret of your client; - reads it from standard input",
    };
    static readonly Option<bool> clientCredentials = new("--client-credentials")
    {
        Description = "OAuth: get tokens for the client itself, without a user signing in",
    };
    static readonly Option<string?> authorizeUrl = new("--authorize-url")
    {
        Description = "OAuth: authorization URL (default: the provider's)",
    };
    static readonly Option<string?> tokenUrl = new("--token-url")
    {
        Description = "OAuth: URL of the token endpoint (default: the provider's)",
    };
    static readonly Option<string?> scope = new("--scope") { Description = "OAuth: scopes, separated by spaces (default: the provider's)" };
    static readonly Option<bool> noWait = new("--no-wait") { Description = "Print the sign-in URL and do not wait for the sign-in" };

    public static Command Build() =>
        ApiClient.With(
            new Command("accounts", "Manage accounts of apps, which steps read as $auth")
            {
                BuildList(),
                BuildShow(),
                BuildConnect(),
                Lists.Act("remove", "Delete an account", HttpMethod.Delete, static account => $"/api/v1/accounts/{account}", "removed"),
            }
        );

    static Command BuildList()
    {
        var command = new Command("list", "List accounts with their status");
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                if (await api.GetAsync("/api/v1/accounts", ApiJson.Default.ListDocumentAccountDocument, ct) is { } page)
                    Lists.PrintTable(page.Items, ["account", "app", "name", "kind", "status", "token expires", "error"], Row);
                return ExitCode.Ok;
            }
        );
        return command;
    }

    static string[] Row(AccountDocument account) =>
        [
            account.Id,
            account.App,
            account.Name,
            account.Kind,
            account.Status,
            account.ExpiresAt is { } at ? Lists.Time(at) : "",
            account.Fault ?? "",
        ];

    static Command BuildShow()
    {
        var account = new Argument<string>("id");
        var command = new Command("show", "Show an account, without its values") { account };
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                if (await api.GetAsync(PathOf(parsed.GetValue(account)!), ApiJson.Default.AccountDocument, ct) is { } found)
                    Print(found);
                return ExitCode.Ok;
            }
        );
        return command;
    }

    static void Print(AccountDocument account)
    {
        Output.Result($"{account.Id}  {account.App}  {account.Name}");
        Output.Result($"status       {account.Status}{(account.Fault is { } fault ? $": {fault}" : "")}");
        Output.Result($"kind         {account.Kind}");
        string[] names = [.. account.Fields, .. account.PlainFields.Select(static one => $"{one.Key}={one.Value}")];
        if (names.Length > 0)
            Output.Result($"fields       {string.Join(", ", names)}");
        if (account.Client is not { } client)
            return;
        Output.Result($"client       {client.ClientId}");
        Output.Result($"token url    {client.TokenUrl}");
        Output.Result($"scope        {client.Scope}");
        Output.Result(
            $"token ends   {(account.ExpiresAt is { } at ? Lists.Time(at) : "unknown")}{(account.CanRefresh ? ", refreshed" : "")}"
        );
        Output.Result($"redirect url {account.RedirectUrl}");
    }

    static Command BuildConnect()
    {
        var app = new Argument<string>("app") { Description = "The app, such as google_sheets; or the id of an account to connect again" };
        var command = new Command("connect", "Create an account, or connect one again, and print its id") { app };
        foreach (
            var option in (Option[])
                [id, name, field, plain, clientId, clientSecret, clientCredentials, authorizeUrl, tokenUrl, scope, noWait]
        )
            command.Add(option);
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                string given = parsed.GetValue(app)!;
                bool isAgain = given.StartsWith("apn_", StringComparison.Ordinal);
                var body = JsonContent.Create(
                    await RequestAsync(parsed, isAgain ? null : given, ct),
                    ApiJson.Default.AccountRequestDocument
                );
                var answer = await api.SendAsync(
                    isAgain ? HttpMethod.Put : HttpMethod.Post,
                    isAgain ? PathOf(given) : "/api/v1/accounts",
                    body,
                    ct
                );
                if (api.AsJson)
                {
                    Output.Result(answer);
                    return ExitCode.Ok;
                }
                var account = api.Read(answer, ApiJson.Default.AccountDocument);
                return await ConnectAsync(api, account, parsed.GetValue(noWait), ct);
            }
        );
        return command;
    }

    static async Task<int> ConnectAsync(ApiClient api, AccountDocument account, bool noWait, CancellationToken ct)
    {
        Output.Result(account.Id);
        if (account.Kind == "authorization_code")
        {
            Output.Progress.MarkupLineInterpolated($"Register this redirect URL at the provider: {account.RedirectUrl}");
            Output.Progress.MarkupLineInterpolated($"Sign in here: {account.Url}");
            if (noWait)
                return ExitCode.Ok;
            var before = (account.Status, account.ExpiresAt, account.FaultAt);
            Output.Progress.MarkupLineInterpolated($"Waiting for the sign-in. Ctrl+C stops waiting.");
            while (account.Status != "connected" || (account.Status, account.ExpiresAt, account.FaultAt) == before)
            {
                await Task.Delay(lookEvery, ct);
                account = api.Read(await api.SendAsync(HttpMethod.Get, PathOf(account.Id), null, ct), ApiJson.Default.AccountDocument);
            }
        }
        if (account.Fault is { } fault)
            throw new CommandException($"{account.Id} is not connected: {fault}", ExitCode.RunFailed);
        Output.Progress.MarkupLineInterpolated($"{account.Name} is connected.");
        return ExitCode.Ok;
    }

    static async Task<AccountRequestDocument> RequestAsync(ParseResult parsed, string? app, CancellationToken ct)
    {
        string[] all = [.. parsed.GetValue(field) ?? [], .. parsed.GetValue(plain) ?? []];
        if (all.Count(static one => !one.Contains('=')) + (parsed.GetValue(clientSecret) == InputText.StandardInput ? 1 : 0) > 1)
            throw new CommandException("only one value can be read from standard input; give the others as NAME=VALUE", ExitCode.Usage);
        bool isOAuth = parsed.GetValue(clientId) is not null;
        string? kind =
            parsed.GetValue(clientCredentials) ? "client_credentials"
            : isOAuth && app is not null ? "authorization_code"
            : null;
        string? secret = parsed.GetValue(clientSecret);
        return new(
            parsed.GetValue(id),
            app,
            parsed.GetValue(name),
            kind,
            await ValuesAsync("--field", parsed.GetValue(field) ?? [], ct),
            await ValuesAsync("--plain-field", parsed.GetValue(plain) ?? [], ct),
            parsed.GetValue(clientId),
            secret == InputText.StandardInput ? await InputText.ReadValueAsync(ct) : secret,
            parsed.GetValue(authorizeUrl),
            parsed.GetValue(tokenUrl),
            parsed.GetValue(scope),
            null,
            null,
            null
        );
    }

    static async Task<Dictionary<string, string?>?> ValuesAsync(string option, string[] given, CancellationToken ct)
    {
        if (given.Length == 0)
            return null;
        var values = new Dictionary<string, string?>(StringComparer.Ordinal);
        foreach (string one in given)
        {
            int end = one.IndexOf('=');
            string key = end < 0 ? one : one[..end];
            if (!values.TryAdd(key, end < 0 ? await InputText.ReadValueAsync(ct) : one[(end + 1)..]))
                throw new CommandException($"{option} {key} is given more than once", ExitCode.Usage);
        }
        return values;
    }

    static string PathOf(string account) => $"/api/v1/accounts/{Uri.EscapeDataString(account)}";
}
