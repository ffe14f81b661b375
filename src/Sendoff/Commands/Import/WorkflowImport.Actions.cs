using YamlDotNet.RepresentationModel;

namespace Sendoff.Commands.Import;

sealed partial class WorkflowImport
{
    const string CopyFolder = "registry";
    const string License =
        "the code is Pipedream's, under its source-available license; it is copied from your own source and is not part of Sendoff";

    /// <summary>The copied components, by the <c>uses</c> of their steps.</summary>
    readonly Dictionary<string, CopiedComponent> copied = [];

    async Task ImportActionAsync(YamlMappingNode step, string name, string uses, RegistryKey key, CancellationToken ct)
    {
        if (UseAnswer(step, name))
            return;
        var found = await components.FindAsync(key, ct);
        if (found.Component is { } component)
            UseCopy(step, name, uses, key, component, found);
        else
            AskForAction(name, uses, found.Tried);
    }

    bool UseAnswer(YamlMappingNode step, string name)
    {
        if (answers.Action(source.Folder, name) is not { } given)
            return false;
        step.Children[new YamlScalarNode("uses")] = new YamlScalarNode(given);
        return true;
    }

    void UseCopy(YamlMappingNode step, string name, string uses, RegistryKey key, CopiedComponent component, FoundComponent found)
    {
        string folder = FreeFolder(),
            path = $"{folder}/{component.Path}";
        foreach (var (file, text) in component.Files)
            files[$"{folder}/{file}"] = text;
        step.Children[new YamlScalarNode("uses")] = new YamlScalarNode($"./{path}");
        copied[$"./{path}"] = component;
        string version =
            component.Version is not { } has ? "; its code does not contain a version"
            : key.Version is null || key.Version == has ? $" (version {has})"
            : $"; the copy has version {has}, the workflow uses {key.Version}";
        string tried = found.Tried.Count > 0 ? $"; not in {string.Join("; ", found.Tried)}" : "";
        string to = $"{folder}/{key.App}, with the files that it imports";
        Note(
            ImportVerdict.RunsUnchanged,
            name,
            $"the registry {(key.IsSource ? "source" : "action")} {uses} is copied from {found.From} to {to}{version}{tried}",
            License
        );
    }

    /// <summary>A folder name that the project does not use.</summary>
    string FreeFolder()
    {
        string folder = CopyFolder;
        for (int number = 2; IsTaken(folder); number++)
            folder = $"{CopyFolder}-{number}";
        return folder;

        bool IsTaken(string name) => source.Files.Keys.Any(file => file.StartsWith(name + "/", StringComparison.Ordinal));
    }

    void AskForAction(string name, string uses, IReadOnlyList<string> tried)
    {
        string example = $"./{name}/entry.mjs",
            answer = $"`{source.Folder}: {{ actions: {{ {name}: {example} }} }}`";
        findings.Add(
            new(
                ImportVerdict.NeedsAnswer,
                name,
                $"the step uses the registry action {uses}, and no source has its code: {string.Join("; ", tried)}",
                $"clone Pipedream's repository and give its folder with --components, or put the code into {source.Folder}/{name} and "
                    + $"answer with {answer}",
                new(name, example)
            )
        );
    }
}
