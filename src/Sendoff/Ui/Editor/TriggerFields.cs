using System.Globalization;
using System.Text.Json;
using Sendoff.Engine.Workflows;

namespace Sendoff.Ui.Editor;

/// <summary>A field of a trigger's form.</summary>
/// <param name="Choices">Null for a text field.</param>
sealed record TriggerField(string Name, string Label, string Example = "", IReadOnlyList<(string Value, string Label)>? Choices = null);

/// <summary>The fields of a trigger's form, by its type.</summary>
static class TriggerFields
{
    static readonly IReadOnlyList<TriggerField> http =
    [
        new("key", "Key (last part of the URL)", "generated at the first deploy"),
        new(
            "response",
            "Response",
            Choices: [("default", "Default: 200 immediately"), ("custom", "Custom: from $.respond"), ("fixed", "Fixed: status and body")]
        ),
        new("bearer", "Bearer token", "${HOOK_TOKEN}"),
        new("rate", "Rate limit", "10/s"),
    ];

    static readonly IReadOnlyList<TriggerField> schedule =
    [
        new("cron", "Cron: minute, hour, day, month, weekday", "0 9 * * MON-FRI"),
        new("every", "Or every", "15m"),
        new("timezone", "Time zone", "UTC"),
    ];

    static readonly IReadOnlyList<TriggerField> emit =
    [
        new("workflow", "Workflow that emits the events", "orders"),
        new("channel", "Channel", "all"),
    ];

    public static IReadOnlyList<TriggerField> Of(string type) =>
        type switch
        {
            "http" => http,
            ScheduleTrigger.TypeName => schedule,
            EmitTrigger.TypeName => emit,
            _ => [],
        };

    /// <summary>A trigger that a deploy accepts unchanged.</summary>
    public static IReadOnlyList<(string Name, JsonElement? Value)> New(string type) =>
        type switch
        {
            ScheduleTrigger.TypeName => [("type", Text(type)), ("cron", Text("0 9 * * *")), ("timezone", Text("UTC"))],
            EmitTrigger.TypeName => [("type", Text(type)), ("workflow", Text("workflow"))],
            _ => [("type", Text("http"))],
        };

    /// <summary>The field <c>response</c> for a choice. Null is the default.</summary>
    public static JsonElement? Response(string choice) =>
        choice switch
        {
            "custom" => Text("custom"),
            "fixed" => Fixed("202", "accepted"),
            _ => null,
        };

    public static JsonElement Fixed(string? status, string? body) =>
        JsonSerializer.SerializeToElement(
            new
            {
                status = int.TryParse(status, CultureInfo.InvariantCulture, out int number) ? (object)number : status ?? "200",
                body = body ?? "",
            }
        );

    /// <summary>The schedule of the fields, parsed like at a deploy; null if they are invalid.</summary>
    public static ScheduleTrigger? Schedule(IReadOnlyDictionary<string, string> fields)
    {
        // JSON is YAML.
        string yaml = JsonSerializer.Serialize(
            new { triggers = new[] { fields }, steps = new[] { new { @namespace = "step", uses = "./step.mjs" } } }
        );
        return WorkflowReader
                .Read("form", new Dictionary<string, string> { [WorkflowReader.YamlFile] = yaml, ["step.mjs"] = "" })
                .Definition?.Triggers[0] as ScheduleTrigger;
    }

    static JsonElement Text(string text) => JsonSerializer.SerializeToElement(text);
}
