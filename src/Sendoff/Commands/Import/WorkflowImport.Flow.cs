using System.Text.RegularExpressions;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Sendoff.Commands.Import;

sealed partial class WorkflowImport
{
    /// <summary>The key of an exported step that has neither code nor a component.</summary>
    internal const string FlowKey = "control_flow";
    const int MaxFlowDepth = 20;

    /// <summary>if/else, switch and parallel, which contain other steps. The result cannot be deployed, so that these steps are not skipped
    /// silently.</summary>
    bool ImportControlFlow(YamlMappingNode step, string name, string uses)
    {
        var at = Child(step, FlowKey) as YamlMappingNode ?? step;
        if (uses.Length > 0)
            return false;
        string? kind = Value(at, "type", "kind", "control_flow_type");
        string[] holds =
        [
            .. at
                .Children.Where(static field => field.Key.ToString() is not "props")
                .SelectMany(static field => Namespaces(field.Value, 0))
                .Distinct(),
        ];
        if (holds.Length == 0 && (kind is null || !FlowType().IsMatch(kind)))
            return false;
        Note(
            ImportVerdict.CannotRun,
            name,
            $"the step is control flow ({kind ?? "if/else, switch or parallel"}), "
                + $"which is not supported{(holds.Length > 0 ? $"; it holds the steps {string.Join(", ", holds)}" : "")}",
            "write the condition in the code of its steps, with `$.flow.exit` to end early, or use one workflow for each branch, "
                + "started by `$.send.emit`"
        );
        bool disabled = Text(step, "disabled") == "true";
        step.Children.Clear();
        step.Add("namespace", name);
        step.Add("uses", new YamlScalarNode(FlowKey) { Style = ScalarStyle.DoubleQuoted });
        if (disabled)
            step.Add("disabled", "true");
        return true;
    }

    static IEnumerable<string> Namespaces(YamlNode node, int depth) =>
        node switch
        {
            _ when depth > MaxFlowDepth => [],
            YamlMappingNode map =>
            [
                .. Value(map, "namespace") is { } name ? [name] : Array.Empty<string>(),
                .. map.Children.SelectMany(field => Namespaces(field.Value, depth + 1)),
            ],
            YamlSequenceNode list => list.SelectMany(item => Namespaces(item, depth + 1)),
            _ => [],
        };

    bool IsResponseAction(YamlMappingNode step) =>
        Text(step, "disabled") != "true" && ResponseAction().IsMatch(Value(step, "component_key") ?? Text(step, "uses") ?? "");

    void AskForPrivate(YamlMappingNode step, string name, string uses)
    {
        if (UseAnswer(step, name))
            return;
        string example = $"./{name}/entry.mjs";
        findings.Add(
            new(
                ImportVerdict.NeedsAnswer,
                name,
                $"the step uses the private component {uses}, and the project does not contain its code",
                $"put its file into {source.Folder}/{name}, and answer with `{source.Folder}: {{ actions: {{ {name}: {example} }} }}`",
                new(name, example)
            )
        );
    }

    [GeneratedRegex("^(?:if|switch|parallel|branch|control)", RegexOptions.IgnoreCase)]
    private static partial Regex FlowType();

    [GeneratedRegex("^http-return-http-response(?:@|\\z)|^npm:@pipedream/http(?:@[^/]+)?/.*return-http-response")]
    private static partial Regex ResponseAction();

    [GeneratedRegex(@"^@[\w.-]+/[\w.-]+(?:@[\w.]+)?\z")]
    private static partial Regex PrivateKey();
}
