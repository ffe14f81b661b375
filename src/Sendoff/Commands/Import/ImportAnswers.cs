using System.Text;
using Sendoff.Engine.Workflows;
using Spectre.Console;
using YamlDotNet.RepresentationModel;

namespace Sendoff.Commands.Import;

/// <summary>Information that the project does not contain, by workflow: <c>{ folder: { triggers: { id: {...} }, actions: { step: uses } }
/// }</c>, in YAML or JSON.</summary>
sealed class ImportAnswers(YamlMappingNode answers)
{
    public static ImportAnswers None => new([]);

    public static ImportAnswers Read(string path)
    {
        try
        {
            // A file that is cut off here exceeds the limit of YAML, so the parser reports it.
            var root = BoundedYaml.Read(Encoding.UTF8.GetString(InputText.ReadBytes(path, 4 * BoundedYaml.MaxChars)), out var fault);
            if (fault is not null)
                throw new CommandException($"{path}:{fault.Line}:{fault.Column}: {fault.Message}", ExitCode.Usage);
            return root switch
            {
                null => None,
                YamlMappingNode answers => new(answers),
                _ => throw new CommandException($"{path} has no answers: it must be a mapping of workflow folders", ExitCode.Usage),
            };
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new CommandException($"{path} cannot be read: {x.Message}", ExitCode.Usage);
        }
    }

    /// <summary>Asks the open questions in the terminal. An empty line leaves a question open.</summary>
    public void Ask(ImportedWorkflow workflow, IAnsiConsole console)
    {
        foreach (var finding in workflow.Findings)
        {
            if (finding.Question is not { } question)
                continue;
            console.MarkupLineInterpolated($"[bold]{workflow.Folder}[/], {finding.Where}: {finding.What}");
            var prompt = new TextPrompt<string>($"  such as [grey]{question.Example.EscapeMarkup()}[/], or nothing:") { AllowEmpty = true };
            prompt.Validate(text => TryParse(text, out _) ? ValidationResult.Success() : ValidationResult.Error("  is not valid YAML"));
            if (TryParse(console.Prompt(prompt), out var answer) && answer is not YamlScalarNode { Value: "" or null })
                Set(workflow.Folder, question, answer);
        }
    }

    /// <summary>The answers in the format of <c>--answers</c>.</summary>
    public string ToYaml()
    {
        using var writer = new StringWriter();
        new YamlStream(new YamlDocument(answers)).Save(writer, assignAnchors: false);
        return writer.ToString().TrimEnd('\n', '\r', '.') + "\n";
    }

    public bool IsEmpty => answers.Children.Count == 0;

    void Set(string workflow, ImportQuestion question, YamlNode answer)
    {
        var of = ChildMap(answers, workflow);
        if (question.Step is { } step)
            ChildMap(of, "actions").Children[new YamlScalarNode(step)] = answer;
        else
            ChildMap(of, "triggers").Children[new YamlScalarNode(question.Trigger ?? "")] = answer;
    }

    static YamlMappingNode ChildMap(YamlMappingNode map, string key)
    {
        if (Child(map, key) is YamlMappingNode known)
            return known;
        var made = new YamlMappingNode();
        map.Children[new YamlScalarNode(key)] = made;
        return made;
    }

    static bool TryParse(string text, out YamlNode node)
    {
        node = BoundedYaml.Read(text, out var fault) ?? new YamlScalarNode("");
        return fault is null;
    }

    /// <summary>The trigger that replaces all triggers that the project does not describe.</summary>
    public YamlMappingNode? Trigger(string workflow) => Of(workflow, "trigger") as YamlMappingNode;

    /// <summary>The trigger that replaces the one with this id.</summary>
    public YamlMappingNode? Trigger(string workflow, string id) =>
        Child(Of(workflow, "triggers") as YamlMappingNode, id) as YamlMappingNode;

    /// <summary>The file or package that replaces a registry action.</summary>
    public string? Action(string workflow, string step) =>
        Child(Of(workflow, "actions") as YamlMappingNode, step) is YamlScalarNode { Value: { Length: > 0 } uses } ? uses : null;

    YamlNode? Of(string workflow, string what) => Child(Child(answers, workflow) as YamlMappingNode, what);

    static YamlNode? Child(YamlMappingNode? map, string key) =>
        map is not null && map.Children.TryGetValue(new YamlScalarNode(key), out var node) ? node : null;
}
