using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Sendoff.Engine.Workflows;

/// <summary>The result of reading a folder: the definition, or its problems.</summary>
public sealed record WorkflowReading(WorkflowDefinition? Definition, IReadOnlyList<WorkflowProblem> Problems);

/// <summary>Reads a workflow folder: <c>workflow.yaml</c> in Pipedream's GitHub-sync layout plus explicit triggers, or, without it, all
/// step files of the folder in file-name order with an HTTP trigger.</summary>
public static partial class WorkflowReader
{
    public const string YamlFile = "workflow.yaml";

    /// <summary>Maximum problems listed for one file.</summary>
    const int MaxProblems = 100;
    static readonly string[] stepExtensions = [".js", ".mjs", ".cjs", ".ts"];

    /// <summary>Selects the files of a workflow in a folder, which a deploy sends.</summary>
    public static bool Belongs(string path) =>
        !path.Split('/').Any(part => part.StartsWith('.') || part == "node_modules")
        && (
            IsAttachment(path)
            || stepExtensions.Contains(Path.GetExtension(path))
            || Path.GetExtension(path) is ".json" or ".yaml" or ".yml" or ".md" or ".txt"
        );

    /// <summary>A file that steps read as <c>steps.trigger.context.attachments["name"]</c>: text with any extension.</summary>
    public static bool IsAttachment(string path) => path.StartsWith("attachments/", StringComparison.Ordinal);

    public static bool IsStepName(string name) => NamePattern().IsMatch(name);

    /// <summary>Reads a folder's files, given as paths with forward slashes.</summary>
    public static WorkflowReading Read(string name, IReadOnlyDictionary<string, string> files)
    {
        string? yamlFile =
            files.ContainsKey(YamlFile) ? YamlFile
            : files.ContainsKey("workflow.yml") ? "workflow.yml"
            : null;
        var reading = new Reading(name, files, yamlFile ?? YamlFile);
        foreach (string path in files.Keys.Where(LeavesFolder))
            reading.Problems.Add(
                new(
                    $"the path '{path}' is outside the workflow's folder",
                    path,
                    Hint: "use relative paths with forward slashes and without `..`"
                )
            );
        var definition = yamlFile is null ? reading.FromStepFiles() : reading.FromYaml(files[yamlFile]);
        return reading.Problems.Count == 0 ? new(definition, []) : new(null, reading.Problems);
    }

    static bool LeavesFolder(string path) =>
        path.Length == 0 || path[0] == '/' || path.AsSpan().ContainsAny('\\', '\0', ':') || path.Split('/').Any(part => part is ".." or "");

    static bool IsStepFile(string path) =>
        !path.Contains('/')
        && path[0] is not ('.' or '_')
        && stepExtensions.Contains(Path.GetExtension(path))
        && !path.EndsWith(".d.ts", StringComparison.Ordinal)
        && !path.Contains(".test.", StringComparison.Ordinal);

    // 01-fetch.js and 2_notify.mjs are ordered by number and named without it.
    static string StepName(string file) =>
        OrderPrefix().Replace(Path.GetFileNameWithoutExtension(file), "") is { Length: > 0 } name
            ? name
            : Path.GetFileNameWithoutExtension(file);

    [GeneratedRegex(@"^\d+[-_. ]+")]
    private static partial Regex OrderPrefix();

    [GeneratedRegex(@"^[A-Za-z_$][A-Za-z0-9_$-]{0,99}\z")]
    private static partial Regex NamePattern();

    [GeneratedRegex(@"^npm:(?:@[^/@\s]+/)?[^/@\s]+(?:@[^/\s]+)?/[^\s\\]+\.[cm]?js\z")]
    private static partial Regex ComponentPattern();

    [GeneratedRegex(@"^([a-z0-9_]+)-([a-z0-9-]+)@([0-9][0-9A-Za-z.+-]*)\z")]
    private static partial Regex RegistryKeyPattern();

    [GeneratedRegex(@"^[A-Za-z0-9][A-Za-z0-9._~-]{0,63}\z")]
    private static partial Regex KeyPattern();

    [GeneratedRegex(@"^([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h)?\z")]
    private static partial Regex DurationPattern();

    [GeneratedRegex(@"^([0-9]{1,9})\s*(MB|MiB|GB|GiB)?\z", RegexOptions.IgnoreCase)]
    private static partial Regex MemoryPattern();

    /// <summary>A duration such as <c>30s</c>, <c>500ms</c>, <c>2m</c> or a bare number of seconds.</summary>
    public static TimeSpan? ParseDuration(string text)
    {
        var match = DurationPattern().Match(text.Trim());
        if (!match.Success)
            return null;
        double number = double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture);
        double seconds = match.Groups[2].Value switch
        {
            "ms" => number / 1000,
            "m" => number * 60,
            "h" => number * 3600,
            _ => number,
        };
        return seconds is > 0 and < 1e9 ? TimeSpan.FromSeconds(seconds) : null;
    }

    static int? ParseMemoryMb(string text)
    {
        var match = MemoryPattern().Match(text.Trim());
        if (!match.Success)
            return null;
        long number = long.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture);
        return (int)
            Math.Min(int.MaxValue, match.Groups[2].Value.StartsWith("g", StringComparison.OrdinalIgnoreCase) ? number * 1024 : number);
    }

    /// <summary>Reads one folder and collects all problems.</summary>
    sealed partial class Reading(string name, IReadOnlyDictionary<string, string> files, string yamlFile)
    {
        string[]? lines;
        bool hasDisabledTrigger;
        readonly List<Source> sources = [];
        readonly IReadOnlyDictionary<string, SourceFacts> facts = SourceFacts.ReadAll(files);

        public List<WorkflowProblem> Problems { get; } = [];

        public WorkflowDefinition? FromStepFiles()
        {
            var steps = files
                .Keys.Where(IsStepFile)
                .Order(StringComparer.Ordinal)
                .Select(file => new Step(StepName(file), file, null, false))
                .ToList();
            if (steps.Count == 0)
                Problems.Add(
                    new(
                        $"there is no {YamlFile} and no step file (.js .mjs .cjs .ts)",
                        Hint: "give a workflow folder, or a folder with step files"
                    )
                );
            foreach (var twins in steps.GroupBy(s => s.Name).Where(g => g.Count() > 1))
                Problems.Add(new($"two step files have the same step name '{twins.Key}'", twins.Last().File, Hint: "rename one of them"));
            return new(name, [new HttpTrigger(null, TriggerResponse.Default)], WorkflowSettings.Default, steps);
        }

        public WorkflowDefinition? FromYaml(string yaml)
        {
            var root = ParseRoot(yaml);
            if (root is null)
                return null;
            CheckKeys(root, "a workflow", WorkflowKeys.Workflow, WorkflowKeys.WorkflowElsewhere);
            string title = Text(root, "name") ?? name;
            if (!WorkflowName.IsValid(title))
                Problem(Child(root, "name") ?? root, $"'{title}' is not valid as a workflow's name", Lower(WorkflowName.Rule.TrimEnd('.')));
            var settings = Child(root, "settings") is YamlMappingNode map ? ReadSettings(map) : WorkflowSettings.Default;
            var triggers = Items(root, "triggers").SelectMany(ReadTriggers).ToList();
            var steps = Items(root, "steps").Select(ReadStep).OfType<Step>().ToList();
            foreach (var twins in steps.GroupBy(s => s.Name).Where(g => g.Count() > 1))
                Problem(Child(root, "steps")!, $"two steps have the namespace '{twins.Key}'", "rename one of them");
            // A synced folder has only ids of triggers: by default the workflow gets an HTTP trigger.
            bool isGiven = triggers.Count > 0 || sources.Count > 0 || hasDisabledTrigger;
            return new(title, isGiven ? triggers : [new HttpTrigger(null, TriggerResponse.Default)], settings, steps)
            {
                Tags = ReadTags(root),
                Sources = sources,
            };
        }

        YamlMappingNode? ParseRoot(string yaml)
        {
            if (BoundedYaml.Read(yaml, out var fault) is YamlMappingNode root)
                return root;
            fault ??= new(1, 1, "this is not a YAML mapping", "begin with `name: Orders` and `steps:`");
            Problems.Add(new(fault.Message, yamlFile, fault.Line, fault.Column, SourceLine(fault.Line), fault.Hint));
            return null;
        }

        IEnumerable<Trigger> ReadTriggers(YamlNode node)
        {
            if (node is not YamlMappingNode map)
            {
                Problem(node, "a trigger is a mapping", "write `- type: http`");
                return [];
            }
            if (IsOn(map, "disabled"))
            {
                hasDisabledTrigger = true;
                return [];
            }
            if (Child(map, "uses") is not null)
                return ReadSource(map);
            return ReadTrigger(map) is { } trigger ? [trigger] : [];
        }

        Trigger? ReadTrigger(YamlMappingNode map)
        {
            string? type = Text(map, "type");
            if (type == "http")
                CheckKeys(map, "an HTTP trigger", WorkflowKeys.HttpTrigger, WorkflowKeys.TriggerElsewhere);
            if (type is null && Text(map, "id") is { } id)
            {
                // hi_ HTTP, ti_ timer, ei_ email, dc_ event source: only the id is in a synced file.
                if (map.Children.Keys.Any(k => k.ToString() is "cron" or "every"))
                    return ReadSchedule(map);
                return id.StartsWith("hi_", StringComparison.Ordinal) ? new HttpTrigger(null, TriggerResponse.Default) : null;
            }
            return type switch
            {
                "http" => new HttpTrigger(ReadKey(map), ReadResponse(map)) { Bearer = ReadBearer(map), Rate = ReadRate(map) },
                ScheduleTrigger.TypeName => ReadSchedule(map),
                EmitTrigger.TypeName => ReadEmit(map),
                null => Problem<Trigger>(
                    map,
                    "a trigger needs a `type`",
                    "write `type: http`, `type: schedule`, `type: emit`, or `uses: ./source.mjs`"
                ),
                _ => Problem<Trigger>(
                    Child(map, "type")!,
                    $"the trigger type '{type}' does not exist",
                    Spelling.Hint(type, WorkflowKeys.Triggers)
                ),
            };
        }

        string? ReadKey(YamlMappingNode map)
        {
            string? key = Text(map, "key");
            if (key is null || KeyPattern().IsMatch(key))
                return key;
            Problem(Child(map, "key")!, $"'{key}' is not valid as a trigger's key", "use up to 64 letters, digits and . _ ~ -");
            return null;
        }

        TriggerResponse ReadResponse(YamlMappingNode map)
        {
            switch (Child(map, "response"))
            {
                case null or YamlScalarNode { Value: "default" }:
                    return TriggerResponse.Default;
                case YamlScalarNode { Value: "custom" }:
                    return new(FromRun: true, 200, null);
                case YamlMappingNode fixedAnswer:
                    int status = 200;
                    CheckKeys(fixedAnswer, "a response", WorkflowKeys.Response, []);
                    if (Text(fixedAnswer, "status") is { } text && (!int.TryParse(text, out status) || status is < 200 or > 599))
                        Problem(fixedAnswer, $"'{text}' is not a valid response status", "use 200 to 599");
                    return new(FromRun: false, status, Text(fixedAnswer, "body") ?? "");
                case var other:
                    Problem(other, $"'{other}' is not a valid response", "use `default`, `custom`, or `{ status: 202, body: taken }`");
                    return TriggerResponse.Default;
            }
        }

        WorkflowSettings ReadSettings(YamlMappingNode map)
        {
            TimeSpan? timeout = null;
            int? memory = null,
                concurrency = null;
            bool onSuccess = false;
            bool? idempotencyKey = null;
            foreach (var (keyNode, node) in map.Children)
            {
                string key = keyNode.ToString(),
                    value = node.ToString();
                switch (key)
                {
                    case "timeout" or "lambda_timeout":
                        timeout =
                            ParseDuration(value)
                            ?? Problem<TimeSpan?>(node, $"'{value}' is not a valid timeout", "write `30s`, at most `750s`");
                        if (timeout > TimeSpan.FromSeconds(750))
                            Problem(node, $"a timeout of {value} is over the limit of 750s", "lower it");
                        break;
                    case "memory" or "lambda_memory":
                        memory = ParseMemoryMb(value) ?? Problem<int?>(node, $"'{value}' is not a valid amount of memory", "write `256MB`");
                        if (memory is < 64 or > 10240)
                            Problem(node, $"memory of {value} is outside 64MB to 10GB", "change it");
                        break;
                    case "concurrency":
                        concurrency =
                            int.TryParse(value, out int n) && n > 0
                                ? n
                                : Problem<int?>(node, $"'{value}' is not a valid concurrency", "write a whole number, at least 1");
                        break;
                    case "deliver":
                        if (value is not ("always" or "success"))
                            Problem(node, $"'{value}' is not a valid value for `deliver`", "use `always` or `success`");
                        onSuccess = value == "success";
                        break;
                    case "idempotency_key":
                        if (value is not ("true" or "false"))
                            Problem(node, $"'{value}' is not a valid value for `idempotency_key`", "use `true` or `false`");
                        idempotencyKey = value == "true";
                        break;
                    default:
                        if (!WorkflowKeys.SettingsElsewhere.Contains(key))
                            Problem(keyNode, $"the setting '{key}' does not exist", Spelling.Hint(key, WorkflowKeys.Settings));
                        break;
                }
            }
            return new(timeout, memory, concurrency, onSuccess) { IdempotencyKey = idempotencyKey };
        }

        Step? ReadStep(YamlNode node)
        {
            if (node is not YamlMappingNode map)
                return Problem<Step>(node, "a step must be a mapping", "write `- namespace: notify` and `uses: ./notify/entry.js`");
            CheckKeys(map, "a step", WorkflowKeys.Step, WorkflowKeys.StepElsewhere);
            string? stepName = Text(map, "namespace"),
                uses = Text(map, "uses");
            if (stepName is null)
                return Problem<Step>(map, "a step needs a `namespace`", "write `namespace: notify`");
            if (!NamePattern().IsMatch(stepName))
                return Problem<Step>(
                    Child(map, "namespace")!,
                    $"'{(stepName.Length > 100 ? stepName[..100] + "…" : stepName)}' is not valid as a step's namespace",
                    "use 1 to 100 letters, digits, _ $ and -, not beginning with a digit"
                );
            if (uses is null)
                return Problem<Step>(map, $"the step '{stepName}' needs `uses`", "write `uses: ./notify/entry.js`");
            bool disabled = IsOn(map, "disabled");
            if (!disabled && LanguageOf(Text(map, "runtime"), uses) is { } language)
                return Problem<Step>(
                    Child(map, "runtime") ?? Child(map, "uses")!,
                    $"'{stepName}' is a {language} step; steps must be Node.js",
                    "rewrite it in JavaScript, or set `disabled: true`"
                );
            if (uses.StartsWith("npm:", StringComparison.Ordinal) && !disabled)
                return ReadComponent(map, stepName, uses);
            string? file = ResolveFile(map, stepName, uses, disabled);
            return file is null ? null : new(stepName, file, ReadProps(map), disabled);
        }

        bool IsOn(YamlMappingNode map, string key)
        {
            string? text = Text(map, key);
            if (text is not (null or "true" or "false"))
                Problem(Child(map, key)!, $"`{key}` is '{text}'", "write `true` or `false`");
            return text == "true";
        }

        /// <summary>The language of a step that is not Node.js. The runtime decides; without one, the file's name.</summary>
        static string? LanguageOf(string? runtime, string uses)
        {
            if (runtime?.StartsWith("nodejs", StringComparison.Ordinal) == true)
                return null;
            string name = runtime ?? Path.GetExtension(uses);
            return WorkflowKeys.Languages.FirstOrDefault(one => name.StartsWith(one.Start, StringComparison.Ordinal)).Name ?? runtime;
        }

        /// <summary>Refuses keys that neither Sendoff nor Pipedream's synchronisation uses.</summary>
        void CheckKeys(YamlMappingNode map, string what, IReadOnlyList<string> known, IReadOnlyList<string> elsewhere)
        {
            foreach (var key in map.Children.Keys)
                if (!known.Contains(key.ToString()) && !elsewhere.Contains(key.ToString()))
                    Problem(key, $"{what} has no '{key}'", Spelling.Hint(key.ToString(), known));
        }

        static JsonElement? ReadProps(YamlMappingNode map) =>
            Child(map, "props") is { } given ? JsonSerializer.SerializeToElement(ToJson(given)) : null;

        // Installed packages are in the folder's node_modules under the name of the import (docs/decisions/0013).
        Step? ReadComponent(YamlMappingNode map, string stepName, string uses)
        {
            if (ComponentPattern().IsMatch(uses) && !uses.Split('/').Contains(".."))
                return new(stepName, "node_modules/" + uses["npm:".Length..], ReadProps(map), false) { Component = uses };
            return Problem<Step>(
                Child(map, "uses")!,
                $"'{uses}' is not a file of an npm package",
                "write `uses: npm:@scope/name@1.2.3/actions/x/x.mjs`"
            );
        }

        /// <param name="folder">Where packages of Pipedream have components of this kind.</param>
        string? ResolveFile(YamlMappingNode map, string stepName, string uses, bool disabled, string folder = "actions")
        {
            var node = Child(map, "uses")!;
            bool isFile = uses.StartsWith("./", StringComparison.Ordinal) || stepExtensions.Contains(Path.GetExtension(uses));
            if (uses.StartsWith("npm:", StringComparison.Ordinal) || !isFile)
            {
                if (disabled)
                    return uses;
                if (RegistryKeyPattern().Match(uses) is { Success: true } key)
                {
                    return Problem<string>(
                        node,
                        $"the step '{stepName}' uses '{uses}', a key of Pipedream's registry, which is not a file of this folder",
                        "the component is in an npm package: try `uses: "
                            + $"npm:@pipedream/{key.Groups[1]}/{folder}/{key.Groups[2]}/{key.Groups[2]}.mjs`"
                    );
                }
                return Problem<string>(
                    node,
                    $"the step '{stepName}' uses the component '{uses}', which is not a file of this folder",
                    "put the component's file into the folder and write `uses: ./component.mjs`"
                );
            }
            string path = uses.StartsWith("./", StringComparison.Ordinal) ? uses[2..] : uses;
            if (LeavesFolder(path))
                return Problem<string>(node, $"'{uses}' is outside the workflow's folder", "use a file inside it");
            return files.ContainsKey(path) || disabled
                ? path
                : Problem<string>(node, $"the step '{stepName}' uses {uses}, which does not exist", $"add {path}, or correct `uses`");
        }

        static JsonNode? ToJson(YamlNode node) =>
            node switch
            {
                YamlMappingNode map => new JsonObject(
                    map.Children.Select(pair => KeyValuePair.Create(pair.Key.ToString(), ToJson(pair.Value)))
                ),
                YamlSequenceNode list => new JsonArray([.. list.Select(ToJson)]),
                YamlScalarNode { Style: ScalarStyle.Plain or ScalarStyle.Any, Value: var plain } => PlainScalar(plain ?? ""),
                _ => JsonValue.Create(node is YamlScalarNode scalar ? scalar.Value : node.ToString()),
            };

        // YAML 1.2 core schema.
        static JsonNode? PlainScalar(string text) =>
            text switch
            {
                "" or "~" or "null" or "Null" or "NULL" => null,
                "true" or "True" or "TRUE" => JsonValue.Create(true),
                "false" or "False" or "FALSE" => JsonValue.Create(false),
                _ when long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long whole) => JsonValue.Create(
                    whole
                ),
                _ when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
                        && double.IsFinite(number) => JsonValue.Create(number),
                _ => JsonValue.Create(text),
            };

        static YamlNode? Child(YamlMappingNode map, string key) =>
            map.Children.TryGetValue(new YamlScalarNode(key), out var node) ? node : null;

        string? Text(YamlMappingNode map, string key) =>
            Child(map, key) switch
            {
                null => null,
                YamlScalarNode scalar => scalar.Value,
                var other => Problem<string>(other, $"`{key}` must be a string", "write it on one line"),
            };

        IEnumerable<YamlNode> Items(YamlMappingNode map, string key) =>
            Child(map, key) switch
            {
                null or YamlScalarNode { Value: "" or null } => [],
                YamlSequenceNode list => list,
                var other => Problem<IEnumerable<YamlNode>>(other, $"`{key}` must be a list", "start each item with `- `") ?? [],
            };

        void Problem(YamlNode at, string message, string hint)
        {
            if (Problems.Count < MaxProblems)
                Problems.Add(new(message, yamlFile, (int)at.Start.Line, (int)at.Start.Column, SourceLine((int)at.Start.Line), hint));
            else if (Problems.Count == MaxProblems)
                Problems.Add(new($"there are more than {MaxProblems} problems; only the first are listed", yamlFile));
        }

        T? Problem<T>(YamlNode at, string message, string hint)
        {
            Problem(at, message, hint);
            return default;
        }

        string? SourceLine(int line) => (lines ??= files[yamlFile].Split('\n')).ElementAtOrDefault(line - 1)?.TrimEnd('\r');

        static string Lower(string message) => message.Length > 0 ? char.ToLowerInvariant(message[0]) + message[1..] : message;
    }
}
