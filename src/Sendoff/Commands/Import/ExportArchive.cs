using System.Text.Json;
using System.Text.RegularExpressions;
using Sendoff.Engine;
using Sendoff.Engine.Workflows;

namespace Sendoff.Commands.Import;

/// <summary>The JSON files of an export archive, and its <c>manifest.json</c>. The format is not published. The fields of Pipedream's REST
/// API are read, and other names with the same meaning.</summary>
static partial class ExportArchive
{
    const string Manifest = "manifest.json";
    const string Skipped = "skipped_";
    const int MaxDepth = 6;

    public static List<SyncedWorkflow> Read(IReadOnlyDictionary<string, string> files)
    {
        var listed = new List<JsonElement>();
        List<SyncedWorkflow> found = [],
            broken = [];
        foreach (var file in files.Where(static file => Path.GetFileName(file.Key) == Manifest))
            if (Parse(file.Value) is { ValueKind: JsonValueKind.Object } manifest)
                ReadManifest(manifest, listed, found);
        foreach (
            var (path, json) in files.Where(static file => Path.GetExtension(file.Key) == ".json" && Path.GetFileName(file.Key) != Manifest)
        )
            if (Parse(json) is { } root)
                found.AddRange(Find(root, depth: 0).Select(workflow => ReadWorkflow(path, workflow, listed)));
            else
                broken.Add(
                    Without(path, $"{path} is not JSON", "export it from Pipedream again, or remove the file if it is not a workflow")
                );
        // An unreadable file counts as a lost workflow only if other files can be read.
        return found.Count > 0 ? [.. found, .. broken] : [];
    }

    static JsonElement? Parse(string json)
    {
        try
        {
            return JsonSyntax.ParseForeign(json);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    static void ReadManifest(JsonElement manifest, List<JsonElement> listed, List<SyncedWorkflow> missing)
    {
        if (First(manifest, "truncated") is { ValueKind: JsonValueKind.True })
        {
            string why = Text(manifest, "truncated_reason") is { } reason ? $" ({reason})" : "";
            missing.Add(
                Without(
                    Manifest,
                    $"the export is truncated{why}: it does not contain every workflow of the project",
                    "export the other workflows from Pipedream, folder by folder, and import them too"
                )
            );
        }
        if (First(manifest, "workflows") is not { ValueKind: JsonValueKind.Array } workflows)
            return;
        foreach (var one in workflows.EnumerateArray().Where(static one => one.ValueKind == JsonValueKind.Object))
        {
            listed.Add(one);
            if (Text(one, "status") is not { } status || !status.StartsWith(Skipped, StringComparison.Ordinal))
                continue;
            string remedy =
                status == "skipped_never_deployed"
                    ? "if you need it, deploy it on Pipedream and export again"
                    : "export it separately from Pipedream";
            missing.Add(
                Without(
                    Text(one, "name", "id") ?? "workflow",
                    $"the export does not contain the workflow: {status[Skipped.Length..].Replace('_', ' ')}",
                    remedy
                ) with
                {
                    Warnings = Warnings(one),
                }
            );
        }
    }

    static SyncedWorkflow Without(string name, string what, string remedy) =>
        new(name, new Dictionary<string, string>()) { Missing = (what, remedy) };

    static string[] Warnings(JsonElement listed) =>
        First(listed, "warnings") is { ValueKind: JsonValueKind.Array } warnings
            ?
            [
                .. warnings
                    .EnumerateArray()
                    .Select(static one => one.ValueKind == JsonValueKind.String ? one.GetString()! : one.GetRawText()),
            ]
            : [];

    static SyncedWorkflow ReadWorkflow(string path, JsonElement workflow, List<JsonElement> listed)
    {
        var files = new Dictionary<string, string>(StringComparer.Ordinal);
        string name = Text(workflow, "name", "title") ?? Path.GetFileNameWithoutExtension(path);
        var steps = ListOf(workflow, "steps").Select((step, index) => ReadStep(step, index, files)).ToList();
        // JSON is YAML.
        var yaml = new Dictionary<string, object>
        {
            ["name"] = name,
            ["triggers"] = ListOf(workflow, "triggers").Select(WithoutNulls),
            ["steps"] = steps,
        };
        if (First(workflow, "active") is { ValueKind: JsonValueKind.False })
            yaml["inactive"] = true;
        if (Settings(workflow) is { } settings)
            yaml["settings"] = settings;
        files[WorkflowReader.YamlFile] = JsonSerializer.Serialize(yaml);
        string? id = Text(workflow, "id");
        return new(name, files)
        {
            Warnings =
            [
                .. listed
                    .Where(one =>
                        (id is not null && Text(one, "id") == id)
                        || (Text(one, "path") is { } at && path.EndsWith(at, StringComparison.Ordinal))
                    )
                    .SelectMany(Warnings),
            ],
        };
    }

    static IEnumerable<JsonElement> Find(JsonElement element, int depth)
    {
        if (depth > MaxDepth)
            return [];
        if (element.ValueKind == JsonValueKind.Array)
            return element.EnumerateArray().SelectMany(item => Find(item, depth + 1));
        if (element.ValueKind != JsonValueKind.Object)
            return [];
        bool isWorkflow = IsList(element, "steps") || (IsList(element, "triggers") && !element.TryGetProperty("steps", out _));
        return isWorkflow ? [element] : element.EnumerateObject().SelectMany(field => Find(field.Value, depth + 1));
    }

    static bool IsList(JsonElement element, string name) =>
        element.TryGetProperty(name, out var list)
        && list.ValueKind == JsonValueKind.Array
        && list.EnumerateArray().All(static one => one.ValueKind == JsonValueKind.Object);

    static IEnumerable<JsonElement> ListOf(JsonElement workflow, string name) =>
        IsList(workflow, name) ? workflow.GetProperty(name).EnumerateArray() : [];

    static Dictionary<string, JsonElement>? Settings(JsonElement workflow) =>
        First(workflow, "settings") is not { ValueKind: JsonValueKind.Object } given
            ? null
            : given
                .EnumerateObject()
                .Where(static one => WorkflowKeys.Settings.Contains(one.Name) && one.Value.ValueKind != JsonValueKind.Null)
                .DistinctBy(static one => one.Name)
                .ToDictionary(static one => one.Name, static one => one.Value);

    static Dictionary<string, JsonElement> WithoutNulls(JsonElement map) =>
        map.EnumerateObject()
            .Where(static field => field.Value.ValueKind != JsonValueKind.Null)
            .DistinctBy(static field => field.Name)
            .ToDictionary(static field => field.Name, static field => field.Value);

    static Dictionary<string, object?> ReadStep(JsonElement step, int index, Dictionary<string, string> files)
    {
        var saved = First(step, "savedComponent", "saved_component") ?? default;
        string name = Text(step, "namespace", "name", "slug", "key") ?? $"step_{index + 1}";
        string? runtime = Text(step, "runtime", "lang", "language"),
            key = Text(step, "uses", "component_key", "componentKey") ?? Text(saved, "key") ?? Text(step, "key");
        string? code = Text(step, "code", "source", "code_raw", "text") ?? Text(saved, "code"),
            uses = Versioned(key, saved);
        // For a component with several files, the first file is exported.
        if (code is not null && !(key is not null && OtherFile().IsMatch(code)) && WorkflowReader.IsStepName(name))
        {
            string extension = runtime?.StartsWith("python", StringComparison.Ordinal) == true ? "py" : "js";
            files[$"{name}/entry.{extension}"] = code;
            uses = $"./{name}/entry.{extension}";
        }
        var read = new Dictionary<string, object?>
        {
            ["namespace"] = name,
            ["uses"] = uses ?? "",
            ["runtime"] = runtime ?? "nodejs20.x",
        };
        if (First(step, "disabled") is { ValueKind: JsonValueKind.True })
            read["disabled"] = true;
        if (Props(step, saved) is { } props)
            read["props"] = props;
        if (key is not null && uses?.StartsWith("./", StringComparison.Ordinal) == true)
            read["component_key"] = Versioned(key, saved);
        if (key is null && code is null)
            read[WorkflowImport.FlowKey] = step;
        return read;
    }

    static string? Versioned(string? key, JsonElement saved) =>
        key is null || key.LastIndexOf('@') > 0 || Text(saved, "version") is not { Length: > 0 } version ? key : $"{key}@{version}";

    static Dictionary<string, JsonElement>? Props(JsonElement step, JsonElement saved)
    {
        var given = First(step, "props", "configured_props", "configuredProps", "params");
        if (given is null && Text(step, "configured_props_json", "configuredPropsJson") is { } json)
            given = Parse(json);
        if (given is not { ValueKind: JsonValueKind.Object } map)
            return null;
        var props = map.EnumerateObject()
            .DistinctBy(static prop => prop.Name)
            .ToDictionary(static prop => prop.Name, static prop => prop.Value);
        if (First(saved, "configurableProps", "configurable_props") is { ValueKind: JsonValueKind.Array } definitions)
            props[WorkflowImport.DefinitionsKey] = definitions;
        return props;
    }

    /// <summary>The first of these fields that is not null, if it is a string.</summary>
    internal static string? Text(JsonElement from, params string[] names) =>
        First(from, names) is { ValueKind: JsonValueKind.String } found ? found.GetString() : null;

    static JsonElement? First(JsonElement from, params string[] names)
    {
        if (from.ValueKind != JsonValueKind.Object)
            return null;
        foreach (string name in names)
            if (from.TryGetProperty(name, out var value) && value.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined))
                return value;
        return null;
    }

    [GeneratedRegex("""(?:\bfrom|\bimport)(?:\s*\()?\s*["']\.{1,2}/""")]
    private static partial Regex OtherFile();
}
