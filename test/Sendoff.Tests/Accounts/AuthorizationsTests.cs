using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Sendoff.Engine;
using Sendoff.Engine.Accounts;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Sqlite;
using Sendoff.Tests.Storage;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Accounts;

/// <summary>Sign-ins at a provider: what begins and what ends them.</summary>
public sealed class AuthorizationsTests : IAsyncLifetime
{
    const string RedirectUri = "http://localhost:5180/accounts/callback",
        Browser = "what-only-this-browser-knows";

    readonly StoreFolder folder = new();
    readonly FakeTimeProvider clock = new(DateTimeOffset.Parse("2026-11-28T12:00:00Z"));
    readonly HttpClient person = new(new SocketsHttpHandler { AllowAutoRedirect = false });
    AuthorizationServer provider = null!;
    IStore store = null!;
    AccountCatalog catalog = null!;
    TokenEndpoint endpoint = null!;
    Authorizations authorizations = null!;

    static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        provider = await AuthorizationServer.StartAsync();
        var (concealment, ids, limits) = (TestSecrets.Concealment(), new IdSequence(clock), new EngineLimits { AccountsConnecting = 3 });
        store = await SqliteStore.OpenAsync(folder.Database, concealment, ids, limits, clock, NullLogger<SqliteStore>.Instance, Ct);
        catalog = new(store, concealment, ids, limits, clock);
        endpoint = new(Sending.Loopback, limits, clock);
        authorizations = new(catalog, endpoint, concealment, limits, clock);
    }

    public async ValueTask DisposeAsync()
    {
        person.Dispose();
        endpoint.Dispose();
        await store.DisposeAsync();
        await provider.DisposeAsync();
        folder.Dispose();
    }

    async Task<Account> AddAsync()
    {
        var none = new Dictionary<string, string>();
        var client = new OAuthClient(
            AuthorizationServer.ClientId,
            AuthorizationServer.ClientSecret,
            provider.AuthorizeUrl + "?tenant=a%20b",
            provider.TokenUrl,
            "read write",
            ClientAuthentication.Basic
        )
        {
            AuthorizeParameters = new Dictionary<string, string> { ["access_type"] = "offline" },
        };
        var account = new Account(
            catalog.NewId(),
            "google_sheets",
            "Sheets",
            AccountKind.AuthorizationCode,
            none,
            none,
            client,
            null,
            null,
            clock.GetUtcNow()
        );
        Assert.Empty(catalog.FindFaults(account));
        await catalog.SaveAsync(account, Ct);
        return account;
    }

    /// <summary>A person goes where the URL leads, allows or denies, and is sent back with this.</summary>
    async Task<Dictionary<string, string>> AnswerAsync(BegunSignIn begun, string allow = "yes")
    {
        var asked = QueryOf(begun.Url);
        asked["allow"] = allow;
        using var page = await person.GetAsync(begun.Url, Ct);
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        using var answer = await person.PostAsync(new Uri(provider.Address, "/allow"), new FormUrlEncodedContent(asked), Ct);
        Assert.StartsWith(RedirectUri, answer.Headers.Location!.AbsoluteUri);
        return QueryOf(answer.Headers.Location);
    }

    static Dictionary<string, string> QueryOf(Uri url) =>
        url.Query[1..]
            .Split('&')
            .Select(static pair => pair.Split('='))
            .ToDictionary(static pair => Uri.UnescapeDataString(pair[0]), static pair => Uri.UnescapeDataString(pair[1]));

    Task<Connected> EndAsync(Dictionary<string, string> given, string browser = Browser) =>
        authorizations.EndAsync(
            given.GetValueOrDefault("state"),
            given.GetValueOrDefault("code"),
            given.GetValueOrDefault("error"),
            browser
        );

    [Fact]
    public async Task Sign_in_asks_for_what_the_client_says_and_ends_with_an_account_that_is_connected()
    {
        var account = await AddAsync();
        var begun = authorizations.Begin(account, RedirectUri, Browser);
        var asked = QueryOf(begun.Url);
        Assert.Equal(
            ("a b", "read write", "offline", "code", "S256", begun.State),
            (asked["tenant"], asked["scope"], asked["access_type"], asked["response_type"], asked["code_challenge_method"], asked["state"])
        );
        Assert.Equal(AccountStatus.NotConnected, account.Status);

        var connected = await EndAsync(await AnswerAsync(begun));

        Assert.Null(connected.Fault);
        Assert.Equal(
            (AccountStatus.Connected, provider.LastAccessToken),
            (connected.Account!.Status, connected.Account.Tokens!.AccessToken)
        );
        Assert.Equal(provider.Issued[1], connected.Account.Tokens.RefreshToken);
    }

    [Fact]
    public async Task State_is_good_once_for_the_browser_that_began_it_and_for_its_time()
    {
        var account = await AddAsync();
        const string refused = "This sign-in was not started in this browser";
        var begun = authorizations.Begin(account, RedirectUri, Browser);
        var given = await AnswerAsync(begun);

        Assert.StartsWith(refused, (await EndAsync(given, "another browser")).Fault);
        Assert.StartsWith(refused, (await authorizations.EndAsync(begun.State, given["code"], null, null)).Fault);
        Assert.StartsWith(refused, (await authorizations.EndAsync(begun.State + "x", given["code"], null, Browser)).Fault);
        Assert.StartsWith(refused, (await authorizations.EndAsync(null, given["code"], null, Browser)).Fault);
        Assert.Equal(0, provider.Requests);

        Assert.Null((await EndAsync(given)).Fault);
        Assert.StartsWith(refused, (await EndAsync(given)).Fault);
        Assert.Equal(1, provider.Requests);

        given = await AnswerAsync(authorizations.Begin(account, RedirectUri, Browser));
        clock.Advance(TimeSpan.FromMinutes(15));
        Assert.StartsWith(refused, (await EndAsync(given)).Fault);

        // A code that was meant for another sign-in does not fit this one's verifier.
        var other = await AnswerAsync(authorizations.Begin(account, RedirectUri, Browser));
        var mixed = await authorizations.EndAsync(authorizations.Begin(account, RedirectUri, Browser).State, other["code"], null, Browser);
        Assert.Contains("did not return a token: invalid_grant: The code verifier is wrong", mixed.Fault);

        // Only so many are remembered, the newest.
        given = await AnswerAsync(authorizations.Begin(account, RedirectUri, Browser));
        for (int i = 0; i < 3; i++)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            authorizations.Begin(account, RedirectUri, Browser);
        }
        Assert.StartsWith(refused, (await EndAsync(given)).Fault);
    }

    [Fact]
    public async Task Person_who_denies_leaves_the_account_as_it_was()
    {
        var account = await AddAsync();
        var denied = await EndAsync(await AnswerAsync(authorizations.Begin(account, RedirectUri, Browser), allow: "no"));
        Assert.Equal("127.0.0.1 did not grant access: access_denied.", denied.Fault);
        Assert.Equal(AccountStatus.NotConnected, catalog.Find(account.Id)!.Status);
    }

    [Fact]
    public async Task Account_that_is_changed_or_removed_meanwhile_does_not_get_the_token()
    {
        var account = await AddAsync();
        var given = await AnswerAsync(authorizations.Begin(account, RedirectUri, Browser));
        var other = account with { Client = account.Client! with { ClientId = "another" } };
        await catalog.SaveAsync(other, Ct);
        Assert.Equal("The account was changed or deleted meanwhile. Connect it again.", (await EndAsync(given)).Fault);
        Assert.Null(catalog.Find(account.Id)!.Tokens);

        await catalog.SaveAsync(account, Ct);
        given = await AnswerAsync(authorizations.Begin(account, RedirectUri, Browser));
        Assert.True(await catalog.RemoveAsync(account.Id, Ct));
        Assert.Equal("The account was changed or deleted meanwhile. Connect it again.", (await EndAsync(given)).Fault);
        Assert.Empty(catalog.All);
    }
}
