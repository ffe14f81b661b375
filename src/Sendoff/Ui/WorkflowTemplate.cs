using System.Text.RegularExpressions;
using Sendoff.Commands;
using Sendoff.Engine.Workflows;

namespace Sendoff.Ui;

/// <summary>A template for a new workflow.</summary>
/// <param name="Id">The folder of a sample, or the id of <see cref="Empty"/>.</param>
internal sealed record WorkflowTemplate(string Id, string Title, string About, IReadOnlyDictionary<string, string> Files)
{
    static readonly WorkflowTemplate Empty = new(
        "empty",
        "Empty HTTP workflow",
        "One step that runs for each request to the workflow’s URL.",
        new Dictionary<string, string>
        {
            [WorkflowReader.YamlFile] = """
            name: empty
            triggers:
              - type: http
            steps:
              - namespace: handle
                uses: ./handle/entry.mjs

            """,
            ["handle/entry.mjs"] = """
            // Runs for each request to the workflow's URL.
            export default defineComponent({
              async run({ steps, $ }) {
                console.log(steps.trigger.event.body);
              },
            });

            """,
        }
    );

    public static string Default => Empty.Id;

    /// <summary>The empty template, and the samples included in this program.</summary>
    public static IReadOnlyList<WorkflowTemplate> All() =>
        !Directory.Exists(Samples.Folder)
            ? [Empty]
            : [Empty, .. Directory.EnumerateDirectories(Samples.Folder).Order(StringComparer.Ordinal).Select(FromFolder)];

    static WorkflowTemplate FromFolder(string folder)
    {
        var (_, name, files) = WorkflowFolder.Read(folder);
        string title = char.ToUpperInvariant(name[0]) + name[1..].Replace('-', ' ');
        return new(name, title, LeadingComment(files.GetValueOrDefault(WorkflowReader.YamlFile, "")), files);
    }

    static string LeadingComment(string yaml) =>
        string.Join(' ', yaml.Split('\n').TakeWhile(static line => line.StartsWith('#')).Select(static line => line.Trim('#', ' ', '\r')));

    /// <summary>The files with a new name: triggers get new keys, and data stores new names.</summary>
    public IReadOnlyDictionary<string, string> FilesFor(string name)
    {
        var files = new Dictionary<string, string>(Files);
        if (!files.TryGetValue(WorkflowReader.YamlFile, out string? yaml))
            return files;
        string id = Regex.Escape(Id);
        yaml = Regex.Replace(yaml, @"^name:[^\r\n]*", _ => $"name: {WorkflowYaml.Scalar(name)}", RegexOptions.Multiline);
        yaml = Regex.Replace(yaml, $@"^\s+key: {id}\r?\n", "", RegexOptions.Multiline);
        files[WorkflowReader.YamlFile] = Regex.Replace(yaml, $@"storeId: {id}\b", _ => $"storeId: {WorkflowYaml.Scalar(name)}");
        return files;
    }
}
