using System.Text.RegularExpressions;

namespace Sendoff.Commands.Import;

/// <summary>The key of an action or an event source in Pipedream's registry, such as <c>slack-send-message@0.0.3</c>.</summary>
/// <param name="Version">Of the component, which is not the version of a package; null where the project does not say it.</param>
sealed partial record RegistryKey(string App, string Action, string? Version)
{
    /// <summary>It is the key of an event source, not of an action.</summary>
    public bool IsSource { get; init; }

    /// <summary>Where an app usually has it.</summary>
    public string Folder => IsSource ? "sources" : "actions";

    /// <summary>Without the version: what the component itself says as its <c>key</c>.</summary>
    public string Name => $"{App}-{Action}";

    public static RegistryKey? Parse(string uses)
    {
        if (Pattern().Match(uses) is not { Success: true } match)
            return null;
        string? version = match.Groups["version"] is { Success: true } given ? given.Value : null;
        return new(match.Groups["app"].Value, match.Groups["action"].Value, version);
    }

    [GeneratedRegex(@"^@?(?<app>[a-z0-9_]+)-(?<action>[a-z0-9-]+)(?:@(?<version>\d+(\.\d+)*))?\z")]
    private static partial Regex Pattern();
}
