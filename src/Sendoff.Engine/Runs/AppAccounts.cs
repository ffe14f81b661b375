using System.Collections.Frozen;
using System.Text.RegularExpressions;

namespace Sendoff.Engine.Runs;

/// <summary>Accounts of apps, available to steps as <c>auths.app.field</c> or <c>this.app.$auth.field</c>.</summary>
public static partial class AppAccounts
{
    /// <summary>Fields of accounts, from variables and secrets: <c>SLACK__API_KEY</c> is the field <c>api_key</c> of the app
    /// <c>slack</c>.</summary>
    public static IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> From(
        IEnumerable<KeyValuePair<string, string>> environment
    )
    {
        var accounts = new Dictionary<string, IReadOnlyDictionary<string, string>>(StringComparer.Ordinal);
        // In order, so that the result is always the same if names differ only in case.
        foreach (var (name, value) in environment.OrderBy(static variable => variable.Key, StringComparer.Ordinal))
        {
            var parts = FieldName().Match(name);
            if (parts.Success)
                Add(accounts, parts.Groups["app"].Value.ToLowerInvariant(), parts.Groups["field"].Value.ToLowerInvariant(), value);
        }
        return accounts.ToFrozenDictionary();
    }

    static void Add(Dictionary<string, IReadOnlyDictionary<string, string>> accounts, string app, string field, string value)
    {
        if (!accounts.TryGetValue(app, out var fields))
            accounts[app] = fields = new Dictionary<string, string>(StringComparer.Ordinal);
        ((Dictionary<string, string>)fields)[field] = value;
    }

    // The app ends at the first double underscore.
    [GeneratedRegex("^(?=\\w+\\z)(?<app>[A-Za-z][A-Za-z0-9_]*?)__(?<field>[A-Za-z0-9]\\w*)\\z")]
    private static partial Regex FieldName();
}
