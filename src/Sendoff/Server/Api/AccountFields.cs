using Sendoff.Engine.Accounts;

namespace Sendoff.Server.Api;

/// <summary>Fields of an account from the API or the form. A field that is null is not changed, or is taken from the provider if it is
/// known.</summary>
public sealed record AccountFields(
    string? Id = null,
    string? App = null,
    string? Name = null,
    string? Kind = null,
    IReadOnlyDictionary<string, string?>? Fields = null,
    IReadOnlyDictionary<string, string?>? PlainFields = null,
    string? ClientId = null,
    string? ClientSecret = null,
    string? AuthorizeUrl = null,
    string? TokenUrl = null,
    string? Scope = null,
    string? Authentication = null,
    IReadOnlyDictionary<string, string?>? AuthorizeParameters = null,
    long? LifetimeSeconds = null
)
{
    static readonly IReadOnlyDictionary<string, string> none = new Dictionary<string, string>();

    /// <summary>Saves the account; null if <paramref name="input"/> has a problem. For client credentials, this requests the first
    /// token.</summary>
    /// <param name="before">The account to change; null for a new one.</param>
    internal async Task<Account?> SaveAsync(
        ApiInput input,
        Account? before,
        AccountCatalog accounts,
        AccountTokens tokens,
        TimeProvider time,
        CancellationToken ct
    )
    {
        if (ToAccount(input, before, accounts, time) is not { } account)
            return null;
        if (accounts.FindFaults(account) is [var fault, ..])
        {
            input.Wrong(fault);
            return null;
        }
        await accounts.SaveAsync(account, ct);
        return account is { Kind: AccountKind.ClientCredentials, Tokens: null }
            ? await tokens.RefreshAsync(account.Id) ?? account
            : account;
    }

    Account? ToAccount(ApiInput input, Account? before, AccountCatalog accounts, TimeProvider time)
    {
        var kind = input.State<AccountKind>("kind", Kind) ?? before?.Kind ?? AccountKind.Keys;
        var id = before?.Id ?? IdOf(input, accounts);
        string? app = Blank(App)?.ToLowerInvariant() ?? before?.App;
        if (app is null)
            input.Wrong("'app' is missing. Expected the app's name, such as google_sheets.");
        if (before is not null && kind != before.Kind)
            input.Wrong("'kind' cannot be changed. Create another account and delete this one.");
        if (before is not null && Id is not null && Id != before.Id.Value)
            input.Wrong("'id' cannot be changed.");
        var client = kind == AccountKind.Keys || app is null ? null : ClientOf(input, before?.Client, Providers.Find(app), app, kind);
        if (input.Problem is not null)
            return null;
        // Tokens are valid only for the client and provider that requested them.
        bool isSameClient =
            (client?.ClientId, client?.AuthorizeUrl, client?.TokenUrl)
            == (before?.Client?.ClientId, before?.Client?.AuthorizeUrl, before?.Client?.TokenUrl);
        return new(
            id,
            app!,
            Blank(Name) ?? before?.Name ?? Providers.Find(app!)?.Name ?? app!,
            kind,
            Merged(before?.Fields, Fields),
            Merged(before?.PlainFields, PlainFields),
            client,
            isSameClient ? before?.Tokens : null,
            isSameClient && client == before?.Client ? before?.Fault : null,
            before?.CreatedAt ?? time.GetUtcNow()
        );
    }

    AccountId IdOf(ApiInput input, AccountCatalog accounts)
    {
        if (Blank(Id) is not { } given)
            return accounts.NewId();
        if (!AccountId.TryParse(given, out var id))
            input.Wrong($"'id' is '{given}'. Expected 'apn_' and up to 64 letters, digits, '_' and '-', as in workflow.yaml.");
        else if (accounts.Find(id) is not null)
            input.Wrong($"An account '{id}' already exists. Change it, or use another id.");
        return id;
    }

    OAuthClient? ClientOf(ApiInput input, OAuthClient? before, Provider? provider, string app, AccountKind kind)
    {
        var authentication =
            input.State<ClientAuthentication>("authentication", Authentication)
            ?? before?.Authentication
            ?? provider?.Authentication
            ?? ClientAuthentication.Basic;
        if (LifetimeSeconds is < 1 or > 315_360_000)
            input.Wrong($"'lifetimeSeconds' is {LifetimeSeconds}. Expected a whole number from 1 to 315360000.");
        if (input.Problem is not null)
            return null;
        var after = new OAuthClient(
            Blank(ClientId) ?? before?.ClientId ?? "",
            Blank(ClientSecret) ?? before?.ClientSecret,
            kind == AccountKind.AuthorizationCode ? Blank(AuthorizeUrl) ?? before?.AuthorizeUrl ?? provider?.AuthorizeUrl : null,
            Blank(TokenUrl) ?? before?.TokenUrl ?? provider?.TokenUrl ?? "",
            Scope ?? before?.Scope ?? provider?.ScopeOf(app) ?? "",
            authentication
        )
        {
            AuthorizeParameters = AuthorizeParameters is null
                ? before?.AuthorizeParameters ?? provider?.AuthorizeParameters ?? none
                : Merged(before?.AuthorizeParameters, AuthorizeParameters),
            Lifetime =
                LifetimeSeconds is { } seconds ? TimeSpan.FromSeconds(seconds)
                : before is not null ? before.Lifetime
                : provider?.LifetimeSeconds is { } known ? TimeSpan.FromSeconds(known)
                : null,
        };
        return after == before ? before : after;
    }

    static IReadOnlyDictionary<string, string> Merged(
        IReadOnlyDictionary<string, string>? before,
        IReadOnlyDictionary<string, string?>? given
    )
    {
        if (given is null)
            return before ?? none;
        var merged = new Dictionary<string, string>(before ?? none, StringComparer.Ordinal);
        foreach (var (name, value) in given)
            if (value is null)
                merged.Remove(name);
            else
                merged[name] = value;
        return merged;
    }

    static string? Blank(string? text) => string.IsNullOrWhiteSpace(text) ? null : text.Trim();
}
