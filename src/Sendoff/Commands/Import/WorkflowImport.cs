using System.Text.RegularExpressions;
using Sendoff.Engine.Workflows;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace Sendoff.Commands.Import;

/// <summary>The verdict for an imported workflow: its worst finding.</summary>
enum ImportVerdict
{
    RunsUnchanged,
    NeedsAnswer,
    CannotRun,
}

/// <summary>A finding of an import: its position, the text, and what to do.</summary>
/// <param name="Verdict">The effect on the workflow. A remark leaves it running unchanged.</param>
/// <param name="Question">The question that would resolve the finding, if there is one.</param>
sealed record ImportFinding(ImportVerdict Verdict, string Where, string What, string Remedy, ImportQuestion? Question = null);

/// <summary>A missing answer: for the trigger if <paramref name="Step"/> is null, otherwise for the code of that step.</summary>
sealed record ImportQuestion(string? Step, string Example)
{
    /// <summary>The id of the trigger.</summary>
    public string? Trigger { get; init; }
}

/// <summary>A converted workflow and the findings of its import.</summary>
sealed record ImportedWorkflow(string Folder, string Name, IReadOnlyDictionary<string, string> Files, IReadOnlyList<ImportFinding> Findings)
{
    public ImportVerdict Verdict => Findings.Select(static finding => finding.Verdict).DefaultIfEmpty().Max();
}

/// <summary>Converts one synced workflow to a Sendoff folder. Code is not changed. In <c>workflow.yaml</c>, triggers are written as Sendoff
/// needs them, and unknown keys are removed.</summary>
sealed partial class WorkflowImport(SyncedWorkflow source, ImportAnswers answers, SharedAccounts accounts, ComponentSources components)
{
    bool respondsByAction;
    readonly List<ImportFinding> findings = [];
    readonly Dictionary<string, string> files = new(
        source.Files.Where(static file => WorkflowReader.Belongs(file.Key)),
        StringComparer.Ordinal
    );

    public static Task<ImportedWorkflow> OfAsync(
        SyncedWorkflow source,
        ImportAnswers answers,
        SharedAccounts accounts,
        ComponentSources components,
        CancellationToken ct
    ) => new WorkflowImport(source, answers, accounts, components).RunAsync(ct);

    async Task<ImportedWorkflow> RunAsync(CancellationToken ct)
    {
        foreach (string warning in source.Warnings)
            Note(ImportVerdict.RunsUnchanged, "export", $"Pipedream's export warns: {warning}", "check whether the workflow needs it");
        if (source.Missing is { } missing)
        {
            Note(ImportVerdict.NeedsAnswer, "export", missing.What, missing.Remedy);
            return new(source.Folder, source.Folder, files, findings);
        }
        if (ReadYaml() is not { } root)
            return new(source.Folder, source.Folder, files, findings);
        string name = ImportName(root);
        if (Text(root, "inactive") == "true")
            Note(
                ImportVerdict.RunsUnchanged,
                "workflow.yaml",
                "the workflow is disabled on Pipedream",
                $"disable it after deploying: sendoff workflows disable {source.Folder}"
            );
        LeaveOut(root, WorkflowKeys.Workflow, "workflow.yaml");
        respondsByAction = Items(root, "steps").OfType<YamlMappingNode>().Any(IsResponseAction);
        await ImportTriggersAsync(root, ct);
        foreach (var step in Items(root, "steps").OfType<YamlMappingNode>())
            await ImportStepAsync(step, ct);
        files.Remove("workflow.yml");
        files[WorkflowReader.YamlFile] = Write(root);
        // The remaining problems are those that a deploy would report.
        foreach (var problem in WorkflowReader.Read(name, files).Problems)
            if (
                !findings.Any(finding =>
                    finding.Verdict != ImportVerdict.RunsUnchanged
                    && problem.Message.Contains($"'{finding.Where}'", StringComparison.Ordinal)
                )
            )
                Note(ImportVerdict.CannotRun, problem.File ?? "workflow.yaml", problem.Message, problem.Hint ?? "correct it manually");
        return new(source.Folder, name, files, findings);
    }

    /// <summary>Names on Pipedream can contain characters that are not valid here, such as a slash.</summary>
    string ImportName(YamlMappingNode root)
    {
        if (Text(root, "name") is not { } name)
            return source.Folder;
        if (WorkflowName.IsValid(name))
            return name;
        string fit = string.Concat(name.Select(static c => char.IsControl(c) || c is '/' or '\\' ? '-' : c)).Trim();
        fit = fit.Length == 0 ? source.Folder : fit[..Math.Min(fit.Length, WorkflowName.MaxLength)].TrimEnd();
        root.Children[new YamlScalarNode("name")] = fit;
        Note(ImportVerdict.RunsUnchanged, "workflow.yaml", $"the name '{name}' is changed to '{fit}'", WorkflowName.Rule);
        return fit;
    }

    /// <summary>Removes keys that Sendoff does not support. The report names those that Pipedream is not known to write.</summary>
    void LeaveOut(YamlMappingNode map, IReadOnlyList<string> known, string where)
    {
        foreach (var key in map.Children.Keys.Where(key => !known.Contains(key.ToString())).ToList())
        {
            map.Children.Remove(key);
            if (!WorkflowKeys.StepElsewhere.Contains(key.ToString()) && !WorkflowKeys.WorkflowElsewhere.Contains(key.ToString()))
                Note(ImportVerdict.RunsUnchanged, where, $"the key '{key}' was removed", "it has no effect in Sendoff");
        }
    }

    YamlMappingNode? ReadYaml()
    {
        if (
            BoundedYaml.Read(source.Files.GetValueOrDefault(WorkflowReader.YamlFile) ?? source.Files["workflow.yml"], out var fault)
            is YamlMappingNode root
        )
            return root;
        if (fault is null)
            Note(ImportVerdict.CannotRun, "workflow.yaml", "it is not a YAML mapping", "export the workflow again");
        else
            Note(
                ImportVerdict.CannotRun,
                $"workflow.yaml:{fault.Line}:{fault.Column}",
                fault.Message,
                fault.Hint ?? "export the workflow again"
            );
        return null;
    }

    async Task ImportStepAsync(YamlMappingNode step, CancellationToken ct)
    {
        string name = Text(step, "namespace") ?? "?",
            uses = Text(step, "uses") ?? "",
            registryKey = Value(step, "component_key") ?? uses;
        if (ImportControlFlow(step, name, uses))
            return;
        step.Children.Remove(new YamlScalarNode("component_key"));
        LeaveOut(step, WorkflowKeys.Step, name);
        if (Text(step, "runtime")?.StartsWith("nodejs", StringComparison.Ordinal) == true)
            step.Children.Remove(new YamlScalarNode("runtime"));
        if (Text(step, "disabled") == "true")
            return;
        if (Text(step, "runtime") is { } runtime)
        {
            Note(
                ImportVerdict.CannotRun,
                name,
                $"the step is written for {runtime}; steps must be Node.js",
                "rewrite it in JavaScript, or set `disabled: true`"
            );
            return;
        }
        if (RegistryKey.Parse(uses) is { } key)
            await ImportActionAsync(step, name, uses, key, ct);
        else if (PrivateKey().IsMatch(uses))
            AskForPrivate(step, name, uses);
        string? code = copied.GetValueOrDefault(Text(step, "uses") ?? "")?.CodeWithApp ?? Code(uses);
        ImportProps(step, name, RegistryKey.Parse(registryKey)?.App, code);
        if (code is not null)
            LookAtCode(name, code);
    }

    string? Code(string uses) => source.Files.GetValueOrDefault(uses.StartsWith("./", StringComparison.Ordinal) ? uses[2..] : uses);

    void LookAtCode(string name, string code)
    {
        string[] variables = [.. EnvironmentName().Matches(code).Select(static m => m.Groups[1].Value).Distinct()];
        if (variables.Length > 0)
            Note(
                ImportVerdict.NeedsAnswer,
                name,
                $"the code reads process.env: {string.Join(", ", variables)}",
                string.Join("; ", variables.Select(v => $"sendoff secrets set {v}"))
            );
        foreach (Match read in AttachmentName().Matches(code).DistinctBy(static m => m.Groups["name"].Value))
        {
            string file = read.Groups["name"].Value;
            if (files.ContainsKey($"attachments/{file}"))
                continue;
            Note(
                ImportVerdict.NeedsAnswer,
                name,
                $"the code reads the workflow's attachment {file}, which the project does not contain",
                $"download it from Pipedream into {source.Folder}/attachments/{file} (UTF-8 text)"
            );
        }
        string[] settings =
        [
            .. NeedsSettings()
                .Matches(code)
                .Select(static m =>
                    m.Groups[1].Value == "s3"
                        ? "$send.s3 needs the settings S3:AccessKey and S3:SecretKey"
                        : "$send.email needs the settings Smtp:Host and Smtp:To"
                )
                .Distinct(),
        ];
        foreach (string need in settings)
            Note(ImportVerdict.RunsUnchanged, name, need, "docs/operating.md describes them");
        foreach (Match call in Unsupported().Matches(code))
        {
            int line = code.AsSpan(0, call.Index).Count('\n') + 1;
            Note(
                ImportVerdict.CannotRun,
                $"{name}, line {line}",
                $"{call.Value} is not supported",
                call.Value.Contains("send", StringComparison.Ordinal)
                    ? "write rows with a package such as pg or snowflake-sdk, or objects with $send.s3"
                    : "remove it; there is no equivalent (see docs/pipedream.md)"
            );
        }
    }

    void Note(ImportVerdict verdict, string where, string what, string remedy) => findings.Add(new(verdict, where, what, remedy));

    static string Write(YamlMappingNode root)
    {
        // JSON is converted to block style, one line per field, so that people can read it and the editor can change it.
        if (root.Style == MappingStyle.Flow)
        {
            foreach (var node in root.AllNodes)
            {
                if (node is YamlMappingNode map)
                {
                    map.Style = MappingStyle.Block;
                    foreach (var key in map.Children.Keys.OfType<YamlScalarNode>().Where(static key => PlainKey().IsMatch(key.Value ?? "")))
                        key.Style = ScalarStyle.Plain;
                }
                else if (node is YamlSequenceNode list)
                    list.Style = SequenceStyle.Block;
            }
        }
        using var writer = new StringWriter();
        new YamlStream(new YamlDocument(root)).Save(writer, assignAnchors: false);
        return writer.ToString().TrimEnd('\n', '\r', '.') + "\n";
    }

    static YamlNode? Child(YamlMappingNode map, string key) =>
        map.Children.TryGetValue(new YamlScalarNode(key), out var node) ? node : null;

    static string? Text(YamlMappingNode map, string key) => (Child(map, key) as YamlScalarNode)?.Value;

    static IEnumerable<YamlNode> Items(YamlMappingNode map, string key) => Child(map, key) as YamlSequenceNode ?? [];

    [GeneratedRegex("^[a-z]*[A-Z_][A-Za-z0-9_]*\\z|^(?!(?:y|n|yes|no|on|off|true|false|null)\\z)[a-z]+\\z")]
    private static partial Regex PlainKey();

    [GeneratedRegex(@"\$\.?respond\s*\(")]
    private static partial Regex RespondCall();

    [GeneratedRegex(@"\bprocess\.env\.([A-Za-z_]\w*)")]
    private static partial Regex EnvironmentName();

    // With the older `$attachments`, fields of a form are matched too; an attachment's name has an extension.
    [GeneratedRegex(
        """\bcontext\.attachments\s*(?:\?\.)?\[\s*(["'`])(?<name>[^"'`\r\n]+)\1|\$attachments\s*(?:\?\.)?\[\s*(["'`])(?<name>[^"'`\r\n]*\.\w+)\2"""
    )]
    private static partial Regex AttachmentName();

    [GeneratedRegex(@"\$\.flow\.trigger\b|\$\.?send\.(?:sql|snowflake)\b")]
    private static partial Regex Unsupported();

    [GeneratedRegex(@"\$\.?send\.(email|s3)\b")]
    private static partial Regex NeedsSettings();
}
