using Microsoft.Extensions.Logging;
using Sendoff.Engine.Cluster;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Accounts;

/// <summary>An account for a step: its fields, or the reason why they are not available.</summary>
public sealed record AccountAnswer(Account Account, IReadOnlyDictionary<string, string>? Fields, string? Fault);

/// <summary>Provides accounts with valid tokens to steps (I3, I4). A token that expires soon is refreshed first, once for all
/// callers.</summary>
/// <remarks>(1) check the token, (2) join the refresh in progress, or start one, (3) ask the provider, (4) store the tokens,
/// (5) return.</remarks>
public sealed class AccountTokens(
    AccountCatalog catalog,
    TokenEndpoint endpoint,
    Concealment concealment,
    Turns turns,
    EngineLimits limits,
    TimeProvider time,
    ILogger<AccountTokens> log
)
{
    /// <summary>After a failed refresh, a token is used only if it is valid for at least this time.</summary>
    static readonly TimeSpan leastLeft = TimeSpan.FromSeconds(30);

    readonly Lock beginning = new();
    readonly Dictionary<AccountId, Task<Account?>> refreshing = [];

    /// <summary>The account for the first name that has one; null if no name has one.</summary>
    public async Task<AccountAnswer?> FindAsync(IEnumerable<string> names)
    {
        var account = names.Select(catalog.Find).FirstOrDefault(static found => found is not null);
        return account is null ? null : await GiveAsync(account).ConfigureAwait(false);
    }

    /// <summary>One account for each app, by the app's name.</summary>
    public Task<AccountAnswer[]> ListAsync() => Task.WhenAll(catalog.All.DistinctBy(static account => account.App).Select(GiveAsync));

    async Task<AccountAnswer> GiveAsync(Account account)
    {
        // (1)
        if (IsDue(account))
            account = await RefreshAsync(account.Id).ConfigureAwait(false) ?? account;
        bool isUsable =
            account.Kind == AccountKind.Keys || account is { Fault: not { IsFinal: true }, Tokens: { } tokens } && !HasEnded(tokens);
        // (5)
        return isUsable ? new(account, AccountContent.FieldsOf(account), null) : new(account, null, FaultOf(account));
    }

    /// <summary>Requests a new token, even if the current one is valid. Returns the changed account, or null if it does not
    /// exist.</summary>
    public Task<Account?> RefreshAsync(AccountId id)
    {
        lock (beginning)
        {
            // (2)
            if (refreshing.TryGetValue(id, out var underWay))
                return underWay;
            var refresh = Task.Run(() => RefreshOnceAsync(id));
            refreshing[id] = refresh;
            return refresh;
        }
    }

    async Task<Account?> RefreshOnceAsync(AccountId id)
    {
        try
        {
            var before = catalog.Find(id)?.Tokens;
            using var turn = await turns.EnterAsync(id, CancellationToken.None).ConfigureAwait(false);
            // Another server may have used the refresh token, which may be valid only once.
            await catalog.FollowAsync(CancellationToken.None).ConfigureAwait(false);
            if (catalog.Find(id) is not { Client: { } client } account || !IsSame(account.Tokens, before))
                return catalog.Find(id);
            if (GrantOf(account) is not { } grant)
                return account;
            // (3)
            var answer = await endpoint.AskAsync(client, grant, account.Tokens?.RefreshToken).ConfigureAwait(false);
            // (4)
            return await KeepAsync(account, answer).ConfigureAwait(false);
        }
        catch (Exception x)
        {
            log.AccountFaulted(x, id);
            return catalog.Find(id);
        }
        finally
        {
            lock (beginning)
                refreshing.Remove(id);
        }
    }

    /// <summary>Stores a provider's response, unless the account was connected again or deleted meanwhile.</summary>
    internal async Task<Account?> KeepAsync(Account asked, TokenAnswer answer)
    {
        // C8: a provider's error message may repeat the request.
        var fault = answer.Fault is { } words ? words with { Message = concealment.Mask.Text(words.Message) } : null;
        var kept = await catalog
            .ChangeAsync(
                asked.Id,
                now =>
                    now is null || !IsSame(now.Tokens, asked.Tokens) || !IsSame(now.Client, asked.Client)
                        ? null
                        : now with
                        {
                            Tokens = answer.Tokens ?? now.Tokens,
                            Fault = fault,
                        },
                untilDurable: answer.Tokens is not null,
                maskedUntil: MaskedUntil(asked),
                CancellationToken.None
            )
            .ConfigureAwait(false);
        if (fault is not null)
            log.AccountNotRefreshed(asked.Id, fault.Message);
        else
            log.AccountRefreshed(asked.Id);
        return kept ?? catalog.Find(asked.Id);
    }

    // The account may have been read again from the store.
    static bool IsSame(OAuthTokens? one, OAuthTokens? other) =>
        one?.AccessToken == other?.AccessToken && one?.RefreshToken == other?.RefreshToken;

    static bool IsSame(OAuthClient? one, OAuthClient? other) =>
        (one?.ClientId, one?.ClientSecret, one?.TokenUrl, one?.Scope)
        == (other?.ClientId, other?.ClientSecret, other?.TokenUrl, other?.Scope);

    // Hourly tokens would accumulate over the days of the history, and a mask with thousands of values is slow.
    DateTimeOffset? MaskedUntil(Account asked)
    {
        var now = time.GetUtcNow();
        return asked.Tokens?.ExpiresAt is { } end ? (end > now ? end : now) + limits.AccountTokenMasked : null;
    }

    /// <summary>Null if there is no grant to request a token with.</summary>
    static IReadOnlyList<KeyValuePair<string, string>>? GrantOf(Account account) =>
        account switch
        {
            { Kind: AccountKind.ClientCredentials, Client.Scope: { Length: > 0 } scope } =>
            [
                new("grant_type", "client_credentials"),
                new("scope", scope),
            ],
            { Kind: AccountKind.ClientCredentials } => [new("grant_type", "client_credentials")],
            { Tokens.RefreshToken: { } token } => [new("grant_type", "refresh_token"), new("refresh_token", token)],
            _ => null,
        };

    /// <summary>Whether a token expires soon: within the setting's time, or within half of its lifetime if that is less than twice the
    /// setting.</summary>
    bool IsDue(Account account)
    {
        if (account.Kind == AccountKind.Keys || account.Fault is { IsFinal: true })
            return false;
        if (account.Tokens is not { } tokens)
            return account.Kind == AccountKind.ClientCredentials;
        if (tokens.ExpiresAt is not { } end)
            return false;
        var early = limits.AccountRefreshBefore;
        var half = (end - tokens.ObtainedAt) / 2;
        return GrantOf(account) is not null && end - time.GetUtcNow() <= (half < early ? half : early);
    }

    bool HasEnded(OAuthTokens tokens) => tokens.ExpiresAt is { } end && end - time.GetUtcNow() < Least(tokens, end);

    static TimeSpan Least(OAuthTokens tokens, DateTimeOffset end) =>
        (end - tokens.ObtainedAt) / 2 is var half && half < leastLeft ? half : leastLeft;

    static string FaultOf(Account account)
    {
        string who = $"the account {account.Id} of the app {account.App} ({account.Name})";
        string again = $"Connect it on the page Accounts, or with `sendoff accounts connect {account.Id}`";
        return account switch
        {
            { Fault: { IsFinal: true } fault } => $"{who} must be connected again: {fault.Message}. {again}",
            { Fault: { } fault } => $"{who} could not get a new token: {fault.Message}",
            { Tokens: null } => $"{who} is not connected. {again}",
            _ => $"the token of {who} expired at {account.Tokens!.ExpiresAt:u}, and the provider returned no refresh token. {again}",
        };
    }

    /// <summary>Waits for the refreshes in progress, because a provider may return a refresh token only once.</summary>
    public async Task StopAsync()
    {
        Task[] left;
        lock (beginning)
            left = [.. refreshing.Values];
        await Task.WhenAll(left)
            .WaitAsync(limits.AccountTimeout + limits.StoreClosing, time)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }
}
