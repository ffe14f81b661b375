using System.Buffers;
using System.Diagnostics.CodeAnalysis;

namespace Sendoff.Engine.Model;

/// <summary>An account of an app. Text form <c>apn_…</c>; imported workflows use the id from Pipedream.</summary>
public readonly record struct AccountId(string Value)
{
    public const string Prefix = "apn_";
    const int LongestAfterPrefix = 64;
    static readonly SearchValues<char> characters = SearchValues.Create("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-");

    /// <summary>A new id for an account that is not imported.</summary>
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

/// <summary>How an account gets the fields for steps.</summary>
public enum AccountKind
{
    /// <summary>Fields that the user entered, such as an API key.</summary>
    Keys = 1,

    /// <summary>OAuth 2.0 with a sign-in at the provider (RFC 6749, section 4.1, with PKCE).</summary>
    AuthorizationCode = 2,

    /// <summary>OAuth 2.0 with tokens for the client itself (RFC 6749, section 4.4).</summary>
    ClientCredentials = 3,
}

/// <summary>How a client authenticates at the token endpoint (RFC 6749, section 2.3.1).</summary>
public enum ClientAuthentication
{
    /// <summary>In the header <c>authorization</c>.</summary>
    Basic = 1,

    /// <summary>In the request's body.</summary>
    Body = 2,
}

/// <summary>A client registered at a provider, and the provider's URLs.</summary>
/// <param name="AuthorizeUrl">Null for client credentials.</param>
/// <param name="Scope">Separated by spaces; empty for the provider's default.</param>
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

    /// <summary>Lifetime of a token if the provider does not return it. Null if it is unknown.</summary>
    public TimeSpan? Lifetime { get; init; }
}

/// <summary>Tokens from a provider.</summary>
/// <param name="ExpiresAt">Null if the provider does not return it.</param>
/// <param name="Fields">Further strings of the response, such as <c>instance_url</c>, which steps see beside the token.</param>
public sealed record OAuthTokens(
    string AccessToken,
    string? RefreshToken,
    DateTimeOffset ObtainedAt,
    DateTimeOffset? ExpiresAt,
    IReadOnlyDictionary<string, string> Fields
);

/// <summary>Why an account has no valid token.</summary>
/// <param name="Message">The provider's error message, or the error of the request.</param>
/// <param name="IsFinal">The provider refused the request: the account must be connected again.</param>
public sealed record AccountFault(string Message, bool IsFinal, DateTimeOffset At);

/// <summary>An account of an app, which steps see as <c>$auth</c>.</summary>
/// <param name="App">The app's name on Pipedream, such as <c>google_sheets</c>.</param>
/// <param name="Name">The name for people.</param>
/// <param name="Fields">Fields that are masked in every record.</param>
/// <param name="PlainFields">Fields that are shown, such as a subdomain or region.</param>
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

/// <summary>The status of an account.</summary>
public enum AccountStatus
{
    /// <summary>Steps get its fields.</summary>
    Connected,

    /// <summary>Nobody has signed in at the provider yet.</summary>
    NotConnected,

    /// <summary>The last refresh did not reach the provider; the next step tries again.</summary>
    Failing,

    /// <summary>The provider refused the refresh; the account must be connected again.</summary>
    Failed,
}
