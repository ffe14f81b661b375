using System.Text.RegularExpressions;
using Sendoff.Engine.Workflows;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Sendoff.Commands.Import;

/// <summary>How a workflow stands after an import, the worst of its findings.</summary>
enum ImportVerdict { RunsUnchanged, NeedsAnswer, CannotRun }

/// <summary>One thing that whoever imports has to know: where, what, and what to do about it.</summary>
/// <param name="Verdict">What it means for the workflow; a mere remark leaves it running unchanged.</param>
/// <param name="Question">What would settle it, when that is an answer.</param>
sealed record ImportFinding(ImportVerdict Verdict, string Where, string What, string Remedy, ImportQuestion? Question = null);

/// <summary>An answer that is missing: the trigger when <paramref name="Step"/> is null, else what that step uses.</summary>
sealed record ImportQuestion(string? Step, string Example);

/// <summary>A workflow as Sendoff takes it, and what was found on the way.</summary>
sealed record ImportedWorkflow(string Folder, string Name, IReadOnlyDictionary<string, string> Files, IReadOnlyList<ImportFinding> Findings)
{
    public ImportVerdict Verdict => Findings.Select(static finding => finding.Verdict).DefaultIfEmpty().Max();
}

/// <summary>Turns one synced workflow into a Sendoff folder. Code is left as it is; only <c>workflow.yaml</c> gets what Sendoff wants said: triggers, and nothing that it does not know.</summary>
sealed partial class WorkflowImport(SyncedWorkflow source, ImportAnswers answers)
{
    readonly List<ImportFinding> findings = [];
    readonly Dictionary<string, string> files = new(source.Files.Where(static file => WorkflowReader.Belongs(file.Key)), StringComparer.Ordinal);

    public static ImportedWorkflow Of(SyncedWorkflow source, ImportAnswers answers) => new WorkflowImport(source, answers).Run();

    ImportedWorkflow Run()
    {
        if (ReadYaml() is not { } root) return new(source.Folder, source.Folder, files, findings);
        string name = ImportName(root);
        if (Text(root, "inactive") == "true") Note(ImportVerdict.RunsUnchanged, "workflow.yaml", "the workflow is disabled on Pipedream", $"disable it after deploying: sendoff workflows disable {source.Folder}");
        LeaveOut(root, WorkflowKeys.Workflow, "workflow.yaml");
        ImportTriggers(root);
        foreach (var step in Items(root, "steps").OfType<YamlMappingNode>()) ImportStep(step);
        files.Remove("workflow.yml");
        files[WorkflowReader.YamlFile] = Write(root);
        // Whatever is still wrong is what a deploy would say.
        foreach (var problem in WorkflowReader.Read(name, files).Problems)
            if (!findings.Any(finding => finding.Verdict != ImportVerdict.RunsUnchanged && problem.Message.Contains($"'{finding.Where}'", StringComparison.Ordinal)))
                Note(ImportVerdict.CannotRun, problem.File ?? "workflow.yaml", problem.Message, problem.Hint ?? "correct it by hand");
        return new(source.Folder, name, files, findings);
    }

    /// <summary>Pipedream's names may hold what a name cannot hold here, such as a slash.</summary>
    string ImportName(YamlMappingNode root)
    {
        if (Text(root, "name") is not { } name) return source.Folder;
        if (WorkflowName.IsValid(name)) return name;
        string fit = string.Concat(name.Select(static c => char.IsControl(c) || c is '/' or '\\' ? '-' : c)).Trim();
        fit = fit.Length == 0 ? source.Folder : fit[..Math.Min(fit.Length, WorkflowName.MaxLength)].TrimEnd();
        root.Children[new YamlScalarNode("name")] = fit;
        Note(ImportVerdict.RunsUnchanged, "workflow.yaml", $"the name '{name}' is written as '{fit}'", WorkflowName.Rule);
        return fit;
    }

    /// <summary>Removes keys that Sendoff does not have. The report names those that Pipedream is not known to write.</summary>
    void LeaveOut(YamlMappingNode map, IReadOnlyList<string> known, string where)
    {
        foreach (var key in map.Children.Keys.Where(key => !known.Contains(key.ToString())).ToList())
        {
            map.Children.Remove(key);
            if (!WorkflowKeys.StepElsewhere.Contains(key.ToString()) && !WorkflowKeys.WorkflowElsewhere.Contains(key.ToString()))
                Note(ImportVerdict.RunsUnchanged, where, $"the key '{key}' was left out", "it has no effect on Sendoff");
        }
    }

    YamlMappingNode? ReadYaml()
    {
        if (BoundedYaml.Read(source.Files.GetValueOrDefault(WorkflowReader.YamlFile) ?? source.Files["workflow.yml"], out var fault) is YamlMappingNode root) return root;
        if (fault is null) Note(ImportVerdict.CannotRun, "workflow.yaml", "it is not a YAML mapping", "export the workflow again");
        else Note(ImportVerdict.CannotRun, $"workflow.yaml:{fault.Line}:{fault.Column}", fault.Message, fault.Hint ?? "export the workflow again");
        return null;
    }

    // hi_ HTTP, ti_ timer, ei_ email, dc_ event source: a synced file has the id only.
    void ImportTriggers(YamlMappingNode root)
    {
        var imported = new YamlSequenceNode();
        foreach (var trigger in Items(root, "triggers").OfType<YamlMappingNode>())
        {
            string id = Text(trigger, "id") ?? "", type = Text(trigger, "type") ?? "";
            if (type == "schedule" || Text(trigger, "cron") is { Length: > 0 }) imported.Add(Schedule(trigger));
            else if (type == "http" || id.StartsWith("hi_", StringComparison.Ordinal)) imported.Add(Http(id));
            else AskForTrigger(id, imported);
        }
        if (imported.Children.Count == 0 && answers.Trigger(source.Folder) is { } given) imported.Add(given);
        if (imported.Children.Count == 0) imported.Add(new YamlMappingNode("type", "http"));
        root.Children[new YamlScalarNode("triggers")] = imported;
    }

    YamlMappingNode Http(string id)
    {
        Note(ImportVerdict.RunsUnchanged, "trigger", $"the HTTP trigger {id} gets a new URL, which deploying prints", "tell its callers; responses are as before if `response: custom` is set where the code calls $.respond");
        var trigger = new YamlMappingNode("type", "http");
        if (source.Files.Values.Any(static code => RespondCall().IsMatch(code))) trigger.Add("response", "custom");
        return trigger;
    }

    static YamlMappingNode Schedule(YamlMappingNode trigger)
    {
        var schedule = new YamlMappingNode("type", "schedule");
        schedule.Add("cron", new YamlScalarNode(Text(trigger, "cron")) { Style = ScalarStyle.DoubleQuoted });
        if (Text(trigger, "timezone") is { Length: > 0 } zone) schedule.Add("timezone", zone);
        return schedule;
    }

    void AskForTrigger(string id, YamlSequenceNode imported)
    {
        string kind = id.Split('_')[0] switch { "ti" => "a timer", "ei" => "an email address", "dc" => "an event source", _ => "of an unknown kind" };
        if (answers.Trigger(source.Folder) is { } given)
        {
            imported.Add(given);
            return;
        }
        string example = id.StartsWith("ti_", StringComparison.Ordinal) ? "{ type: schedule, cron: \"0 9 * * *\", timezone: Europe/Berlin }" : "{ type: http }";
        findings.Add(new(ImportVerdict.NeedsAnswer, "trigger", $"the trigger {id} is {kind}, and a synced project does not say more",
            $"answer with `{source.Folder}: {{ trigger: {example} }}`" + (kind is "a timer" ? "" : "; Sendoff has HTTP and schedule triggers"), new(null, example)));
    }

    void ImportStep(YamlMappingNode step)
    {
        string name = Text(step, "namespace") ?? "?", uses = Text(step, "uses") ?? "";
        LeaveOut(step, WorkflowKeys.Step, name);
        if (Text(step, "runtime")?.StartsWith("nodejs", StringComparison.Ordinal) == true) step.Children.Remove(new YamlScalarNode("runtime"));
        if (Text(step, "disabled") == "true") return;
        if (Text(step, "runtime") is { } runtime)
        {
            Note(ImportVerdict.CannotRun, name, $"the step is written for {runtime}; steps here are Node.js", "rewrite it in JavaScript, or set `disabled: true`");
            return;
        }
        if (RegistryKey().Match(uses) is { Success: true } key) ImportAction(step, name, uses, key);
        ImportProps(step, name, Code(uses));
        if (Code(uses) is { } code) LookAtCode(name, code);
    }

    string? Code(string uses) => source.Files.GetValueOrDefault(uses.StartsWith("./", StringComparison.Ordinal) ? uses[2..] : uses);

    // google_sheets-add-single-row@2.1.2 is published in the npm package @pipedream/google_sheets, whose versions are other ones.
    void ImportAction(YamlMappingNode step, string name, string uses, Match key)
    {
        if (answers.Action(source.Folder, name) is { } given)
        {
            step.Children[new YamlScalarNode("uses")] = new YamlScalarNode(given);
            return;
        }
        string app = key.Groups["app"].Value, action = key.Groups["action"].Value, example = $"npm:@pipedream/{app}@VERSION/actions/{action}/{action}.mjs";
        findings.Add(new(ImportVerdict.NeedsAnswer, name, $"the step uses the registry action {uses}",
            $"its code may be in an npm package: answer with `{source.Folder}: {{ actions: {{ {name}: \"{example}\" }} }}`, or write the step yourself", new(name, example)));
    }

    void ImportProps(YamlMappingNode step, string name, string? code)
    {
        if (Child(step, "props") is not YamlMappingNode props) return;
        props.Children.Remove(new YamlScalarNode("__configurableProps"));
        foreach (var (prop, value) in props.Children)
        {
            if (value is not YamlMappingNode map) continue;
            if (Text(map, "authProvisionId") is not null)
                Note(ImportVerdict.NeedsAnswer, name, $"the prop {prop} is an account of Pipedream's", $"set what it holds: {string.Join(", ", AccountSecrets(prop.ToString(), code).Select(s => $"sendoff secrets set {s}"))}");
            else if (Text(map, "storeId") is { } store)
                Note(ImportVerdict.RunsUnchanged, name, $"the data store {store} begins empty", "fill it with a step, if its content is needed");
        }
    }

    static IEnumerable<string> AccountSecrets(string prop, string? code)
    {
        string app = code is null ? prop : AppOfProp(prop).Match(code) is { Success: true } match ? match.Groups[1].Value : prop;
        var fields = code is null ? [] : AuthField().Matches(code).Where(m => m.Groups[1].Value == prop).Select(static m => m.Groups[2].Value).Distinct().ToList();
        return (fields.Count > 0 ? fields : ["FIELD"]).Select(field => $"{app}__{field}".Replace('-', '_').ToUpperInvariant());
    }

    void LookAtCode(string name, string code)
    {
        string[] variables = [.. EnvironmentName().Matches(code).Select(static m => m.Groups[1].Value).Distinct()];
        if (variables.Length > 0)
            Note(ImportVerdict.NeedsAnswer, name, $"the code reads process.env: {string.Join(", ", variables)}", string.Join("; ", variables.Select(v => $"sendoff secrets set {v}")));
        foreach (Match read in AttachmentName().Matches(code).DistinctBy(static m => m.Groups["name"].Value))
        {
            string file = read.Groups["name"].Value;
            if (files.ContainsKey($"attachments/{file}")) continue;
            Note(ImportVerdict.NeedsAnswer, name, $"the code reads the workflow's attachment {file}, which the project does not hold",
                $"download it from Pipedream into {source.Folder}/attachments/{file} (UTF-8 text)");
        }
        string[] settings = [.. NeedsSettings().Matches(code).Select(static m => m.Groups[1].Value == "s3" ? "$send.s3 needs the settings S3:AccessKey and S3:SecretKey" : "$send.email needs the settings Smtp:Host and Smtp:To").Distinct()];
        foreach (string need in settings) Note(ImportVerdict.RunsUnchanged, name, need, "docs/operating.md says which there are");
        foreach (Match call in Unsupported().Matches(code))
        {
            int line = code.AsSpan(0, call.Index).Count('\n') + 1;
            Note(ImportVerdict.CannotRun, $"{name}, line {line}", $"{call.Value} is not supported in this version",
                call.Value.Contains("send", StringComparison.Ordinal) ? "write rows with a package such as pg or snowflake-sdk, or objects with $send.s3" : "take it out, or wait for it");
        }
    }

    void Note(ImportVerdict verdict, string where, string what, string remedy) => findings.Add(new(verdict, where, what, remedy));

    static string Write(YamlMappingNode root)
    {
        using var writer = new StringWriter();
        new YamlStream(new YamlDocument(root)).Save(writer, assignAnchors: false);
        return writer.ToString().TrimEnd('\n', '\r', '.') + "\n";
    }

    static YamlNode? Child(YamlMappingNode map, string key) => map.Children.TryGetValue(new YamlScalarNode(key), out var node) ? node : null;
    static string? Text(YamlMappingNode map, string key) => (Child(map, key) as YamlScalarNode)?.Value;
    static IEnumerable<YamlNode> Items(YamlMappingNode map, string key) => Child(map, key) as YamlSequenceNode ?? [];

    static Regex AppOfProp(string prop) => new($$"""\b{{Regex.Escape(prop)}}\s*:\s*\{[^}]*?\bapp\s*:\s*["'`]([\w-]+)["'`]""", RegexOptions.NonBacktracking);

    [GeneratedRegex(@"^@?(?<app>[a-z0-9_]+)-(?<action>[a-z0-9-]+)@\d+(\.\d+)*$")]
    private static partial Regex RegistryKey();

    [GeneratedRegex(@"\$\.?respond\s*\(")]
    private static partial Regex RespondCall();

    [GeneratedRegex(@"\bthis\.(\w+)\.\$auth\.(\w+)")]
    private static partial Regex AuthField();

    [GeneratedRegex(@"\bprocess\.env\.([A-Za-z_]\w*)")]
    private static partial Regex EnvironmentName();

    // Of the older `$attachments`, fields of a form are read as well: an attachment's name has an ending.
    [GeneratedRegex("""\bcontext\.attachments\s*(?:\?\.)?\[\s*(["'`])(?<name>[^"'`\r\n]+)\1|\$attachments\s*(?:\?\.)?\[\s*(["'`])(?<name>[^"'`\r\n]*\.\w+)\2""")]
    private static partial Regex AttachmentName();

    [GeneratedRegex(@"\$\.flow\.trigger\b|\$\.?send\.(?:sql|snowflake)\b")]
    private static partial Regex Unsupported();

    [GeneratedRegex(@"\$\.?send\.(email|s3)\b")]
    private static partial Regex NeedsSettings();
}
