using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Accounts;

/// <summary>The URL for the sign-in at a provider, and the state in its callback.</summary>
/// <param name="State">Identifies the sign-in in the provider's callback.</param>
public sealed record BegunSignIn(Uri Url, string State);

/// <summary>The result of a sign-in: the account, or why it is not connected.</summary>
/// <param name="Fault">A sentence for the user.</param>
public sealed record Connected(Account? Account, string? Fault);

/// <summary>Sign-ins at providers (RFC 6749, section 4.1, with PKCE, RFC 7636). Verifiers and states are kept only in memory, so a sign-in
/// does not survive a restart.</summary>
public sealed class Authorizations(
    AccountCatalog catalog,
    TokenEndpoint endpoint,
    Concealment concealment,
    EngineLimits limits,
    TimeProvider time
)
{
    const int RandomBytes = 32,
        MostWords = 500;

    readonly Lock changing = new();
    readonly Dictionary<string, Pending> pending = new(StringComparer.Ordinal);

    /// <param name="Browser">Identifies the browser that started the sign-in (I2).</param>
    sealed record Pending(AccountId Account, OAuthClient Client, string Verifier, string RedirectUri, string Browser, DateTimeOffset Until);

    /// <summary>Starts the sign-in for an account with an authorization code.</summary>
    /// <param name="redirectUri">The URL to which the provider redirects the browser.</param>
    /// <param name="browser">A value that only this browser knows.</param>
    public BegunSignIn Begin(Account account, string redirectUri, string browser)
    {
        var client = account.Client!;
        string state = Random(),
            verifier = Random();
        lock (changing)
        {
            var now = time.GetUtcNow();
            foreach (string ended in pending.Where(one => one.Value.Until <= now).Select(static one => one.Key).ToList())
                pending.Remove(ended);
            while (pending.Count >= limits.AccountsConnecting)
                pending.Remove(pending.MinBy(static one => one.Value.Until).Key);
            pending[state] = new(account.Id, client, verifier, redirectUri, browser, now + limits.AccountConnect);
        }
        return new(UrlOf(client, redirectUri, state, verifier), state);
    }

    static Uri UrlOf(OAuthClient client, string redirectUri, string state, string verifier)
    {
        var query = new List<KeyValuePair<string, string>>
        {
            new("response_type", "code"),
            new("client_id", client.ClientId),
            new("redirect_uri", redirectUri),
            new("state", state),
            new("code_challenge", Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(verifier)))),
            new("code_challenge_method", "S256"),
        };
        if (client.Scope.Length > 0)
            query.Add(new("scope", client.Scope));
        query.AddRange(client.AuthorizeParameters);
        string text = string.Join('&', query.Select(static one => $"{Uri.EscapeDataString(one.Key)}={Uri.EscapeDataString(one.Value)}"));
        string url = client.AuthorizeUrl!;
        return new($"{url}{(url.Contains('?') ? '&' : '?')}{text}");
    }

    /// <summary>Completes a sign-in with the parameters of the callback. A state is valid once, for the browser that started it
    /// (I2).</summary>
    /// <param name="code">Null if the provider sent an error.</param>
    /// <param name="error">The provider's error message.</param>
    public async Task<Connected> EndAsync(string? state, string? code, string? error, string? browser)
    {
        if (Take(state, browser) is not { } began)
            return new(
                null,
                "This sign-in was not started in this browser, has already ended, or took too long. Connect the account again."
            );
        if (code is null)
            return new(null, $"{HostOf(began.Client)} did not grant access: {Plain(error ?? "it sent neither a code nor an error")}.");
        var grant = new KeyValuePair<string, string>[]
        {
            new("grant_type", "authorization_code"),
            new("code", code),
            new("redirect_uri", began.RedirectUri),
            new("code_verifier", began.Verifier),
        };
        var answer = await endpoint.AskAsync(began.Client, grant, null).ConfigureAwait(false);
        if (answer.Fault is { } fault)
            return new(null, $"{HostOf(began.Client)} did not return a token: {concealment.Mask.Text(fault.Message.Replace(code, "…"))}.");
        var account = await catalog
            .ChangeAsync(
                began.Account,
                now => now?.Client != began.Client ? null : now with { Tokens = answer.Tokens, Fault = null },
                untilDurable: true,
                maskedUntil: null,
                CancellationToken.None
            )
            .ConfigureAwait(false);
        return account is null ? new(null, "The account was changed or deleted meanwhile. Connect it again.") : new(account, null);
    }

    Pending? Take(string? state, string? browser)
    {
        if (state is null || browser is null)
            return null;
        lock (changing)
        {
            if (!pending.TryGetValue(state, out var began) || !IsSame(began.Browser, browser))
                return null;
            pending.Remove(state);
            return began.Until > time.GetUtcNow() ? began : null;
        }
    }

    static bool IsSame(string a, string b) => CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(a), Encoding.UTF8.GetBytes(b));

    static string Random() => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(RandomBytes));

    static string HostOf(OAuthClient client) => new Uri(client.TokenUrl).Host;

    static string Plain(string words)
    {
        string line = new([.. words.Select(static c => char.IsControl(c) ? ' ' : c)]);
        return line.Length <= MostWords ? line : $"{line[..MostWords]}…";
    }
}
