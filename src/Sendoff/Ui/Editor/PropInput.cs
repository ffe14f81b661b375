using System.Globalization;
using System.Text.Json;
using Sendoff.Engine;
using Sendoff.Engine.Workflows;
using Sendoff.Server.Api;

namespace Sendoff.Ui.Editor;

/// <summary>The input for a prop: the kind of control, its text, and the conversion of the text.</summary>
public sealed record PropInput(PropDefinition Prop, PropInput.Control Kind, string Text)
{
    static readonly JsonSerializerOptions indented = new()
    {
        MaxDepth = ApiJson.MaxDepth,
        WriteIndented = true,
        Encoder = PlainJsonEncoder.Instance,
    };

    public enum Control
    {
        /// <summary>Text on one line.</summary>
        Line,

        /// <summary>A list, with one value per line.</summary>
        Lines,

        /// <summary>JSON, or text over several lines.</summary>
        Block,

        /// <summary>One of the component's options.</summary>
        Choice,

        /// <summary>No input: the value comes from another source.</summary>
        None,
    }

    public string Placeholder => Prop.Default is { } value ? TextOf(Prop.Type, value) : "";

    /// <summary>The options of a choice: text and label.</summary>
    public IReadOnlyList<(string Text, string Label)> Choices => OptionsOf(Prop);

    static IReadOnlyList<(string Text, string Label)> OptionsOf(PropDefinition prop) =>
        prop.Type == "boolean"
            ? [("true", "true"), ("false", "false")]
            : [.. prop.Options.Select(option => (TextOf(prop.Type, option.Value), option.Label))];

    /// <param name="value">The configured value; null if there is none.</param>
    public static PropInput Of(PropDefinition prop, JsonElement? value)
    {
        string text = value is { } given ? TextOf(prop.Type, given) : "";
        return new(prop, KindOf(prop, text, value), text);
    }

    static Control KindOf(PropDefinition prop, string text, JsonElement? value) =>
        prop.Type switch
        {
            "app" or "alert" or "dir" => Control.None,
            ['$', ..] => Control.None,
            // A template, or a value that is not an option, is shown as text.
            _ when OptionsOf(prop) is { Count: > 0 } options
                    && !IsList(prop)
                    && (text.Length == 0 || options.Any(option => option.Text == text)) => Control.Choice,
            "object" or "any" => Control.Block,
            _ when IsList(prop) => value is null or { ValueKind: JsonValueKind.String } || IsOfLines(value.Value)
                ? Control.Lines
                : Control.Block,
            _ => text.Contains('\n') ? Control.Block : Control.Line,
        };

    static bool IsList(PropDefinition prop) => prop.Type.EndsWith("[]", StringComparison.Ordinal);

    static bool IsOfLines(JsonElement list) =>
        list.ValueKind == JsonValueKind.Array
        && list.EnumerateArray()
            .All(static item =>
                item.ValueKind == JsonValueKind.String
                    ? item.GetString() is { Length: > 0 } text && !text.Contains('\n')
                    : item.ValueKind is not (JsonValueKind.Object or JsonValueKind.Array)
            );

    static string TextOf(string type, JsonElement value) =>
        value.ValueKind switch
        {
            JsonValueKind.String => value.GetString()!,
            JsonValueKind.Array when type.EndsWith("[]", StringComparison.Ordinal) && IsOfLines(value) => string.Join(
                '\n',
                value.EnumerateArray().Select(static item => item.ValueKind == JsonValueKind.String ? item.GetString() : item.GetRawText())
            ),
            JsonValueKind.Object when type == "data_store" && value.TryGetProperty("storeId", out var store) => store.ToString(),
            JsonValueKind.Object or JsonValueKind.Array => JsonSerializer.Serialize(value, indented),
            _ => value.GetRawText(),
        };

    /// <summary>Converts the entered text to a value; null for the default. Returns an error if the text is invalid.</summary>
    public static (JsonElement? Value, string? Mistake) Parse(PropDefinition prop, string text)
    {
        if (text.Length == 0)
            return (null, null);
        if (IsTemplate(text))
            return (JsonSerializer.SerializeToElement(text), null);
        if (!IsList(prop))
            return ParseOne(prop, prop.Type, text);
        if (text.TrimStart().StartsWith('['))
            return ParseJson(prop, text, JsonValueKind.Array);
        string[] lines = text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var items = lines.Select(line => ParseOne(prop, prop.Type[..^2], line)).ToList();
        return items.FirstOrDefault(static item => item.Mistake is not null) is { Mistake: { } mistake }
            ? (null, mistake)
            : (JsonSerializer.SerializeToElement(items.Select(static item => item.Value)), null);
    }

    // Each line can have its own templates.
    static bool IsTemplate(string text) =>
        text.Contains("{{", StringComparison.Ordinal)
        && (!text.Contains('\n') || text.Trim() is ['{', '{', .., '}', '}'] only && only.LastIndexOf("{{", StringComparison.Ordinal) == 0);

    static (JsonElement? Value, string? Mistake) ParseOne(PropDefinition prop, string type, string text) =>
        type switch
        {
            _ when text.Contains("{{", StringComparison.Ordinal) => (JsonSerializer.SerializeToElement(text), null),
            "integer" => long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long whole)
                ? (JsonSerializer.SerializeToElement(whole), null)
                : Wrong(prop, text, "a whole number"),
            "number" => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
            && double.IsFinite(number)
                ? (JsonSerializer.SerializeToElement(number), null)
                : Wrong(prop, text, "a number"),
            "boolean" => bool.TryParse(text, out bool isSo)
                ? (JsonSerializer.SerializeToElement(isSo), null)
                : Wrong(prop, text, "true or false"),
            "object" => ParseJson(prop, text, JsonValueKind.Object),
            "any" => ParseJson(prop, text, null) is { Value: { } value } ? (value, null) : (JsonSerializer.SerializeToElement(text), null),
            "data_store" => (JsonSerializer.SerializeToElement(new Dictionary<string, string> { ["storeId"] = text }), null),
            _ => (JsonSerializer.SerializeToElement(text), null),
        };

    static (JsonElement? Value, string? Mistake) ParseJson(PropDefinition prop, string text, JsonValueKind? kind)
    {
        string expected = kind == JsonValueKind.Array ? "a list in JSON" : "an object in JSON";
        return RawJson.TryParse(text) is { } value && (kind is null || value.ValueKind == kind)
            ? (value, null)
            : Wrong(prop, text, expected);
    }

    static (JsonElement? Value, string? Mistake) Wrong(PropDefinition prop, string text, string expected) =>
        (
            null,
            $"`{prop.Name}` is `{(text.Length > 40 ? text[..40] + "…" : text)}`. Expected {expected}, "
                + $"or a template such as `{{{{steps.trigger.event.body.x}}}}`."
        );
}
