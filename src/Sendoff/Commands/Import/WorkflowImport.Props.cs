using System.Text.RegularExpressions;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Sendoff.Commands.Import;

/// <summary>The accounts that this import has already asked for. An account of several workflows is connected once.</summary>
sealed class SharedAccounts
{
    readonly Dictionary<string, string> askedFor = [];

    /// <summary>The workflow that asked for these secrets first; null if it is this one.</summary>
    public string? FirstToNeed(string secrets, string workflow) =>
        askedFor.TryAdd(secrets, workflow) || askedFor[secrets] == workflow ? null : askedFor[secrets];
}

sealed partial class WorkflowImport
{
    /// <summary>The definitions of a step's props, which Pipedream stores beside their values.</summary>
    internal const string DefinitionsKey = "__configurableProps";
    const string Redacted = "<redacted>";

    void ImportProps(YamlMappingNode step, string name, string? app, string? code)
    {
        if (Child(step, "props") is not YamlMappingNode props)
            return;
        var definitions = Items(props, DefinitionsKey).OfType<YamlMappingNode>().ToList();
        props.Children.Remove(new YamlScalarNode(DefinitionsKey));
        foreach (var (prop, value) in props.Children)
        {
            if (value is not YamlMappingNode map)
                continue;
            if (Text(map, "authProvisionId") is { } account)
                AskForAccount(name, prop.ToString(), account, AppOf(prop.ToString(), app, definitions, code), code);
            else if (Text(map, "storeId") is { } store)
                Note(
                    ImportVerdict.RunsUnchanged,
                    name,
                    $"the data store {store} is empty at first",
                    "if its content is needed, fill it with a step"
                );
        }
        foreach (var (prop, value) in props.Children.ToList())
            props.Children[prop] = WithoutRedacted(value, name, prop.ToString());
    }

    void AskForAccount(string step, string prop, string account, string app, string? code)
    {
        string[] fields = code is null
            ? []
            :
            [
                .. AuthField()
                    .Matches(code)
                    .Where(m => m.Groups[1].Value == "" || m.Groups[1].Value == $".{prop}")
                    .Select(static m => m.Groups[2].Value)
                    .Distinct(),
            ];
        string advice = AccountAdvice.Of(app, account, fields);
        string once = accounts.FirstToNeed($"{account} {advice}", source.Folder) is { } first
            ? $"connect it once for all workflows, as for {first}: "
            : "connect it once for all workflows: ";
        Note(ImportVerdict.NeedsAnswer, step, $"the prop {prop} is the account {account} of the app {app} on Pipedream", once + advice);
    }

    /// <summary>The app of an account: from the definition of the prop, otherwise from the registry action.</summary>
    static string AppOf(string prop, string? app, List<YamlMappingNode> definitions, string? code)
    {
        if (definitions.FirstOrDefault(one => Text(one, "name") == prop) is { } definition && Value(definition, "app") is { } defined)
            return defined;
        if (code is not null && AppOfProp(prop).Match(code) is { Success: true } match)
            return match.Groups[1].Value;
        return app ?? prop;
    }

    /// <summary>An omitted value of the export becomes a secret, so that the placeholder is never deployed.</summary>
    YamlNode WithoutRedacted(YamlNode value, string step, string prop)
    {
        switch (value)
        {
            case YamlMappingNode map:
                foreach (var (key, inner) in map.Children.ToList())
                    map.Children[key] = WithoutRedacted(inner, step, $"{prop}_{key}");
                return map;
            case YamlSequenceNode list:
                for (int i = 0; i < list.Children.Count; i++)
                    list.Children[i] = WithoutRedacted(list.Children[i], step, $"{prop}_{i + 1}");
                return list;
            case YamlScalarNode { Value: { } text } when text.Contains(Redacted, StringComparison.Ordinal):
                string secret = NotInNames().Replace($"{step}_{prop}", "_").ToUpperInvariant();
                Note(
                    ImportVerdict.NeedsAnswer,
                    step,
                    $"the export omits the value of the prop {prop}",
                    $"sendoff secrets set {secret}; workflow.yaml reads it from there"
                );
                return new YamlScalarNode(text.Replace(Redacted, $"{{{{process.env.{secret}}}}}", StringComparison.Ordinal))
                {
                    Style = ScalarStyle.DoubleQuoted,
                };
            default:
                return value;
        }
    }

    static Regex AppOfProp(string prop) =>
        new($$"""\b{{Regex.Escape(prop)}}\s*[:=]\s*\{[^}]*?\bapp\s*:\s*["'`]([\w-]+)["'`]""", RegexOptions.NonBacktracking);

    [GeneratedRegex(@"\bthis(\.\w+)?\.\$auth\.(\w+)")]
    private static partial Regex AuthField();

    [GeneratedRegex(@"\W")]
    private static partial Regex NotInNames();
}
