using System.Text;
using System.Text.RegularExpressions;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Secrets;

namespace Sendoff.Engine.Accounts;

/// <summary>Validation rules of accounts.</summary>
public static partial class AccountRules
{
    const int LongestName = 128,
        MostFields = 50,
        MostBytes = 64 * 1024;

    /// <summary>Parameters of the authorization request that the server sets.</summary>
    static readonly string[] ownParameters =
    [
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "redirect_uri",
        "response_type",
        "scope",
        "state",
    ];

    public static IReadOnlyList<string> FindFaults(Account account)
    {
        var faults = new List<string>();
        if (!App().IsMatch(account.App))
            faults.Add($"'app' is not valid. Expected up to {LongestName} lower-case letters, digits, '_' and '-', such as google_sheets.");
        if (account.Name.Length is 0 or > LongestName || account.Name.Any(char.IsControl))
            faults.Add($"'name' must have 1 to {LongestName} characters without line breaks.");
        foreach (var (name, value) in account.Fields)
            if ((FaultOf("fields", name, value) ?? ShortnessOf(name, value)) is { } fault)
                faults.Add(fault);
        foreach (var (name, value) in account.PlainFields)
            if (FaultOf("plainFields", name, value) is { } fault)
                faults.Add(fault);
        foreach (string name in account.Fields.Keys.Intersect(account.PlainFields.Keys))
            faults.Add($"'{name}' is in both 'fields' and 'plainFields'. Use only one of them.");
        if (account.Fields.Count + account.PlainFields.Count > MostFields)
            faults.Add($"there are more than {MostFields} fields.");
        if (account.Kind == AccountKind.Keys && account.Fields.Count + account.PlainFields.Count == 0)
            faults.Add("'fields' is missing. An account of the kind keys needs at least one field, such as api_key.");
        if (account.Kind != AccountKind.Keys)
            faults.AddRange(FaultsOf(account.Client!, account.Kind));
        return faults;
    }

    static IEnumerable<string> FaultsOf(OAuthClient client, AccountKind kind)
    {
        if (client.ClientId.Length is 0 or > 1_024)
            yield return "'clientId' is missing. Expected the id of the client that you registered at the provider.";
        if (client.ClientSecret is { } secret && secret.Length is < SecretMask.Shortest or > 4_096)
            yield return $"'clientSecret' must have {SecretMask.Shortest} to 4,096 characters. Omit it for a public client.";
        if (kind == AccountKind.ClientCredentials && client.ClientSecret is null)
            yield return "'clientSecret' is missing. Client credentials require it.";
        if (kind == AccountKind.AuthorizationCode && UrlFault("authorizeUrl", client.AuthorizeUrl) is { } authorize)
            yield return authorize;
        if (UrlFault("tokenUrl", client.TokenUrl) is { } token)
            yield return token;
        if (client.Scope.Length > 8_192 || client.Scope.Any(static c => c is < ' ' or > '~' or '"' or '\\'))
            yield return "'scope' must be ASCII text without quotes, separated by spaces, up to 8,192 characters.";
        foreach (string name in client.AuthorizeParameters.Keys.Intersect(ownParameters, StringComparer.Ordinal))
            yield return $"'authorizeParameters' cannot contain '{name}', because the server sets it.";
        if (client.AuthorizeParameters.Count > MostFields || client.AuthorizeParameters.Any(static one => one.Value.Length > 2_048))
            yield return $"'authorizeParameters' can have up to {MostFields} values of up to 2,048 characters.";
        if (client.Lifetime is { } lifetime && (lifetime < TimeSpan.FromSeconds(1) || lifetime > TimeSpan.FromDays(3_650)))
            yield return "'lifetimeSeconds' must be between 1 and 315360000.";
    }

    /// <summary>OAuth 2.0 requires TLS (RFC 6749, section 3.1), except for a server on this computer.</summary>
    static string? UrlFault(string name, string? url)
    {
        if (string.IsNullOrEmpty(url))
            return $"'{name}' is missing. Expected an https URL of the provider.";
        if (url.Length > 4_096 || !HttpSyntax.IsUrl(url))
            return $"'{name}' is not a valid URL. Expected an absolute https URL without user name and fragment.";
        return url.StartsWith("https://", StringComparison.Ordinal) || new Uri(url).IsLoopback
            ? null
            : $"'{name}' is not encrypted. It must begin with https:// unless it is on localhost.";
    }

    static string? FaultOf(string where, string name, string value) =>
        !Field().IsMatch(name)
            ? $"'{where}.{name}' is not a valid name. Expected up to 64 letters, digits and '_', not beginning with a digit."
        : value.Length == 0 ? $"'{where}.{name}' is empty."
        : Encoding.UTF8.GetByteCount(value) > MostBytes ? $"'{where}.{name}' is over {MostBytes / 1024} KiB."
        : null;

    static string? ShortnessOf(string name, string value) =>
        value.Length < SecretMask.Shortest
            ? $"'fields.{name}' is shorter than {SecretMask.Shortest} characters: masking it would hide parts of any text. "
                + "If it is not secret, use 'plainFields'."
            : null;

    [GeneratedRegex("^[a-z0-9][a-z0-9_-]{0,127}\\z")]
    private static partial Regex App();

    [GeneratedRegex("^[A-Za-z_][A-Za-z0-9_]{0,63}\\z")]
    private static partial Regex Field();
}
