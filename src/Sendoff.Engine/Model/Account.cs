using System.Buffers;
using System.Diagnostics.CodeAnalysis;

namespace Sendoff.Engine.Model;

/// <summary>An account of an app. Text form <c>apn_…</c>; imported workflows name theirs as Pipedream did.</summary>
public readonly record struct AccountId(string Value)
{
    public const string Prefix = "apn_";
    const int LongestAfterPrefix = 64;
    static readonly SearchValues<char> characters = SearchValues.Create("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-");

    /// <summary>For an account that no imported workflow names.</summary>
    public static AccountId From(long id) => new(IdText.Format(Prefix, id));

    public override string ToString() => Value;

    public static bool TryParse([NotNullWhen(true)] string? text, out AccountId id)
    {
        bool ok =
            text?.StartsWith(Prefix, StringComparison.Ordinal) == true
            && text.Length > Prefix.Length
            && text.Length <= Prefix.Length + LongestAfterPrefix
            && !text.AsSpan(Prefix.Length).ContainsAnyExcept(characters);
        id = new(ok ? text! : "");
        return ok;
    }
}

/// <summary>How an account gets what steps see of it.</summary>
public enum AccountKind
{
    /// <summary>Fields that a person gave, such as an API key.</summary>
    Keys = 1,

    /// <summary>OAuth 2.0: a person signs in at the provider (RFC 6749, section 4.1, with PKCE).</summary>
    AuthorizationCode = 2,

    /// <summary>OAuth 2.0: the client itself has access (RFC 6749, section 4.4).</summary>
    ClientCredentials = 3,
}

/// <summary>How a client names itself at the token endpoint (RFC 6749, section 2.3.1).</summary>
public enum ClientAuthentication
{
    /// <summary>In the header <c>authorization</c>.</summary>
    Basic = 1,

    /// <summary>In the request's body.</summary>
    Body = 2,
}

/// <summary>A client that the workspace's owner registered at a provider, and where the provider is.</summary>
/// <param name="AuthorizeUrl">Null for client credentials.</param>
/// <param name="Scope">Separated by spaces; empty asks for the provider's default.</param>
public sealed record OAuthClient(
    string ClientId,
    string? ClientSecret,
    string? AuthorizeUrl,
    string TokenUrl,
    string Scope,
    ClientAuthentication Authentication
)
{
    /// <summary>Further query parameters of the authorization request, such as <c>access_type=offline</c>.</summary>
    public IReadOnlyDictionary<string, string> AuthorizeParameters { get; init; } = new Dictionary<string, string>();

    /// <summary>How long a token lasts when the provider does not say it. Null is until the provider refuses it.</summary>
    public TimeSpan? Lifetime { get; init; }
}

/// <summary>What a provider gave.</summary>
/// <param name="ExpiresAt">Null if the provider does not say it.</param>
/// <param name="Fields">Further texts of the response, such as <c>instance_url</c>; steps see them beside the token.</param>
public sealed record OAuthTokens(
    string AccessToken,
    string? RefreshToken,
    DateTimeOffset ObtainedAt,
    DateTimeOffset? ExpiresAt,
    IReadOnlyDictionary<string, string> Fields
);

/// <summary>Why an account has no valid token.</summary>
/// <param name="Message">The provider's own words, or what went wrong on the way to it.</param>
/// <param name="IsFinal">The provider refused: a person has to connect the account again.</param>
public sealed record AccountFault(string Message, bool IsFinal, DateTimeOffset At);

/// <summary>An account of an app, as steps see it by <c>$auth</c>.</summary>
/// <param name="App">The app's slug on Pipedream, such as <c>google_sheets</c>.</param>
/// <param name="Name">What people call it.</param>
/// <param name="Fields">Masked in every record.</param>
/// <param name="PlainFields">Shown: a subdomain, a region.</param>
/// <param name="Client">Null for keys.</param>
/// <param name="Tokens">Null until it is connected.</param>
public sealed record Account(
    AccountId Id,
    string App,
    string Name,
    AccountKind Kind,
    IReadOnlyDictionary<string, string> Fields,
    IReadOnlyDictionary<string, string> PlainFields,
    OAuthClient? Client,
    OAuthTokens? Tokens,
    AccountFault? Fault,
    DateTimeOffset CreatedAt
)
{
    public AccountStatus Status =>
        Fault is { IsFinal: true } ? AccountStatus.Failed
        : Kind != AccountKind.Keys && Tokens is null ? AccountStatus.NotConnected
        : Fault is not null ? AccountStatus.Failing
        : AccountStatus.Connected;
}

/// <summary>What a person has to know of an account.</summary>
public enum AccountStatus
{
    /// <summary>Steps get its fields.</summary>
    Connected,

    /// <summary>Nobody has signed in at the provider yet.</summary>
    NotConnected,

    /// <summary>The last refresh did not reach the provider; the next step tries again.</summary>
    Failing,

    /// <summary>The provider refused the refresh; the account has to be connected again.</summary>
    Failed,
}
