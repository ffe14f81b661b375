using System.Text.Json;

namespace Sendoff.Engine.Workflows;

/// <summary>One of the options of a prop.</summary>
public sealed record PropOption(string Label, JsonElement Value);

/// <summary>The definition of a component's prop, for forms.</summary>
/// <param name="Type">Pipedream's name of the type: <c>string</c>, <c>integer[]</c>, <c>app</c>, <c>data_store</c>,
/// <c>$.service.db</c>.</param>
public sealed record PropDefinition(string Name, string Type)
{
    public string? Label { get; init; }
    public string? Description { get; init; }

    /// <summary>The app of the account.</summary>
    public string? App { get; init; }
    public bool Optional { get; init; }
    public bool Hidden { get; init; }
    public bool Secret { get; init; }
    public IReadOnlyList<PropOption> Options { get; init; } = [];
    public JsonElement? Default { get; init; }

    /// <summary>Reads definitions from a worker. They come from the step's own code, so invalid ones are ignored.</summary>
    public static IReadOnlyList<PropDefinition> ReadAll(JsonElement? list) =>
        list is not { ValueKind: JsonValueKind.Array } all ? [] : [.. all.EnumerateArray().Select(Read).OfType<PropDefinition>()];

    static PropDefinition? Read(JsonElement one) =>
        Text(one, "name") is not { } name
            ? null
            : new(name, Text(one, "type") ?? "any")
            {
                Label = Text(one, "label"),
                Description = Text(one, "description"),
                App = Text(one, "app"),
                Optional = Is(one, "optional"),
                Hidden = Is(one, "hidden"),
                Secret = Is(one, "secret"),
                Options =
                    one.TryGetProperty("options", out var options) && options.ValueKind == JsonValueKind.Array
                        ? [.. options.EnumerateArray().Select(ReadOption).OfType<PropOption>()]
                        : [],
                Default = one.TryGetProperty("default", out var value) && value.ValueKind != JsonValueKind.Null ? value : null,
            };

    static PropOption? ReadOption(JsonElement option) =>
        Text(option, "label") is { } label && option.TryGetProperty("value", out var value) ? new(label, value) : null;

    static string? Text(JsonElement one, string field) =>
        one.ValueKind == JsonValueKind.Object && one.TryGetProperty(field, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;

    static bool Is(JsonElement one, string field) => one.TryGetProperty(field, out var value) && value.ValueKind == JsonValueKind.True;
}
