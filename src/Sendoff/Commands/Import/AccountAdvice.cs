using Sendoff.Engine.Accounts;

namespace Sendoff.Commands.Import;

/// <summary>The command that connects the account of an imported step under the id used in the workflow.</summary>
static class AccountAdvice
{
    const string OAuthField = "oauth_access_token";

    /// <param name="fields">Fields that the code of the step or its app reads.</param>
    public static string Of(string app, string account, IReadOnlyList<string> fields)
    {
        string connect = $"sendoff accounts connect {app}{(AccountId.TryParse(account, out _) ? $" --id {account}" : "")}";
        var provider = Providers.Find(app.Replace('-', '_').ToLowerInvariant());
        string[] keys = [.. fields.Where(static field => !field.StartsWith("oauth_", StringComparison.Ordinal))];
        if (provider?.Fields is { } known)
            return $"{connect} {Given(keys.Length > 0 && !fields.Contains(OAuthField) ? keys : known)}, {provider.Hint}";
        if (keys.Length > 0 && !fields.Contains(OAuthField))
            return $"{connect} {Given(keys)}";
        const string client = " --client-id ID --client-secret -";
        if (provider is not null)
            return $"{connect}{client}, with an OAuth client of your own at {provider.Name}";
        string oauth = $"{connect}{client} --authorize-url URL --token-url URL, with an OAuth client of your own at the provider";
        return fields.Count > 0 ? oauth : $"{oauth}; or, for an app with a key, {connect} --field api_key";
    }

    static string Given(IReadOnlyList<string> fields) => string.Join(' ', fields.Select(static field => $"--field {field}"));
}
