using System.Text;
using System.Text.Json;
using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Runs;

/// <summary>Creates the files for a test of one step. Each earlier step is replaced by a file with its exports of a past run, and later
/// steps are disabled. The files are stored as a version, so that the record shows the tested code.</summary>
static class StepTrial
{
    const string Folder = "past-exports/";

    /// <param name="past">The steps of the past run. Secrets in their exports are masked.</param>
    public static Dictionary<string, string> FilesOf(
        WorkflowDefinition definition,
        IReadOnlyDictionary<string, string> files,
        string step,
        RunId run,
        IReadOnlyList<StepResult> past
    )
    {
        int at = definition.Steps.ToList().FindIndex(one => one.Name == step);
        var trial = new Dictionary<string, string>(files);
        trial.Remove("workflow.yml");
        var steps = definition
            .Steps.Select(
                (one, i) =>
                {
                    if (i >= at)
                        return new
                        {
                            @namespace = one.Name,
                            uses = one.Component ?? "./" + one.File,
                            props = one.Props,
                            disabled = i > at,
                        };
                    string file = $"{Folder}{one.Name}.mjs";
                    trial[file] = Source(one.Name, run, past.FirstOrDefault(done => done.Name == one.Name)?.Exports ?? default);
                    return new
                    {
                        @namespace = one.Name,
                        uses = "./" + file,
                        props = (JsonElement?)null,
                        disabled = one.Disabled,
                    };
                }
            )
            .ToList();
        // JSON is YAML.
        trial[WorkflowReader.YamlFile] = JsonSerializer.Serialize(
            new
            {
                name = definition.Name,
                settings = SettingsOf(definition.Settings),
                steps,
            },
            readable
        );
        return trial;
    }

    static readonly JsonSerializerOptions readable = new()
    {
        WriteIndented = true,
        Encoder = PlainJsonEncoder.Instance,
        MaxDepth = 128,
    };

    static Dictionary<string, string> SettingsOf(WorkflowSettings settings)
    {
        var all = new Dictionary<string, string>();
        if (settings.Timeout is { } timeout)
            all["timeout"] = FormattableString.Invariant($"{timeout.TotalMilliseconds}ms");
        if (settings.MemoryMb is { } memory)
            all["memory"] = FormattableString.Invariant($"{memory}MB");
        if (settings.DeliverOnlyOnSuccess)
            all["deliver"] = "success";
        if (settings.IdempotencyKey is { } key)
            all["idempotency_key"] = key ? "true" : "false";
        return all;
    }

    static string Source(string step, RunId run, ReadOnlyMemory<byte> exports)
    {
        string json = exports.IsEmpty ? "{}" : Encoding.UTF8.GetString(exports.Span);
        return $$"""
            // What the step {{step}} exported in {{run}}.
            const { $return_value, ...named } = JSON.parse({{JsonSerializer.Serialize(json, readable)}});

            export default defineComponent({
              run({ $ }) {
                for (const [name, value] of Object.entries(named)) $.export(name, value);
                return $return_value;
              },
            });

            """;
    }
}
