using System.Text.Json;
using System.Text.RegularExpressions;
using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace Sendoff.Engine.Workflows;

/// <summary>Changes <c>workflow.yaml</c> and preserves the rest, including comments. Methods return null if the change is not possible: if
/// the file is malformed, or its steps are not a list with one dash per line.</summary>
public static partial class WorkflowYaml
{
    static readonly JsonSerializerOptions readable = new() { Encoder = PlainJsonEncoder.Instance };

    /// <summary>The <c>workflow.yaml</c> for a folder without one.</summary>
    public static string Write(string name, IEnumerable<Step> steps) =>
        string.Join(
            '\n',
            [
                $"name: {Scalar(name)}",
                "triggers:",
                "  - type: http",
                "steps:",
                .. steps.SelectMany(static step => StepLines("  ", step.Name, step.File)),
                "",
            ]
        );

    public static string? AddStep(string yaml, string name, string file) => Add(yaml, "steps", indent => StepLines(indent, name, file));

    public static string? MoveStep(string yaml, int from, int to) =>
        YamlList.Find(yaml, "steps") is { } list && list.Has(from) && list.Has(to) ? list.With(list.Moved(from, to)) : null;

    public static string? RemoveStep(string yaml, int step) => Remove(yaml, "steps", step);

    /// <summary>Disables or enables a step.</summary>
    public static string? SetDisabled(string yaml, int step, bool disabled) =>
        YamlList.Find(yaml, "steps") is { } list && list.FieldsOf(step) is { } fields
            ? list.Text.Set(fields, "disabled", disabled ? "true" : null)
            : null;

    /// <param name="value">Null removes the prop.</param>
    public static string? SetProp(string yaml, int step, string prop, JsonElement? value)
    {
        if (YamlList.Find(yaml, "steps") is not { } list || list.FieldsOf(step) is not { } fields)
            return null;
        var text = list.Text;
        string? line = value is { } given ? $"{Scalar(prop)}: {Value(given)}" : null;
        if (text.Find(fields, "props") is not { } props)
            return line is null
                ? yaml
                : text.Replace(fields.ContentEnd, fields.ContentEnd, [$"{fields.Indent}props:", $"{fields.Indent}  {line}"]);
        // In braces or empty: the field is rewritten.
        if (props.Node is not YamlMappingNode { Style: MappingStyle.Block, Children.Count: > 0 } map)
            return Rewrite(yaml, text, fields.Indent, props, prop, line);
        var inner = text.FieldsOf(map, props.End);
        return text.Find(inner, prop) switch
        {
            null => line is null ? yaml : text.Replace(props.End, props.End, [inner.Indent + line]),
            { } found when line is not null => text.Replace(found.Start, found.End, [inner.Indent + line]),
            _ when map.Children.Count == 1 => text.Remove(props),
            { } found => text.Replace(found.Start, found.End, []),
        };
    }

    /// <param name="fields">In order; a null value omits its key.</param>
    public static string? AddTrigger(string yaml, IEnumerable<(string Name, JsonElement? Value)> fields) =>
        Add(InLines(yaml, "triggers"), "triggers", indent => ItemLines(indent, fields));

    /// <summary>Rewrites a trigger.</summary> <inheritdoc cref="AddTrigger" path="/param"/>
    public static string? ReplaceTrigger(string yaml, int trigger, IEnumerable<(string Name, JsonElement? Value)> fields) =>
        YamlList.Find(InLines(yaml, "triggers"), "triggers") is { } list && list.Has(trigger)
            ? list.With(
                list.Blocks.Select(
                    (block, i) => i != trigger ? block : [.. block.TakeWhile(YamlLines.IsComment), .. ItemLines(list.Indent, fields)]
                )
            )
            : null;

    /// <param name="value">Null removes the field.</param>
    public static string? SetTrigger(string yaml, int trigger, string field, JsonElement? value) =>
        YamlList.Find(InLines(yaml, "triggers"), "triggers") is { } list && list.FieldsOf(trigger) is { } fields
            ? list.Text.Set(fields, field, value is { } given ? Value(given) : null)
            : null;

    public static string? RemoveTrigger(string yaml, int trigger) => Remove(InLines(yaml, "triggers"), "triggers", trigger);

    /// <param name="value">Null removes the setting.</param>
    public static string? SetSetting(string yaml, string name, JsonElement? value)
    {
        if (YamlLines.Of(yaml) is not { RootFields: { } root } text)
            return null;
        string? line = value is { } given ? Value(given) : null;
        if (text.Find(root, "settings") is not { } settings)
            return line is null ? yaml : text.Replace(root.ContentEnd, root.ContentEnd, ["settings:", $"  {name}: {line}"]);
        if (settings.Node is YamlMappingNode { Style: MappingStyle.Block, Children.Count: > 0 } map)
            return line is null && map.Children.Count == 1 && map.Children.ContainsKey(new YamlScalarNode(name))
                ? text.Remove(settings)
                : text.Set(text.FieldsOf(map, settings.End), name, line);
        return Rewrite(yaml, text, root.Indent, settings, name, line is null ? null : $"{name}: {line}", "settings");
    }

    /// <summary>Renames a file in the steps that use it.</summary>
    public static string RenameFile(string yaml, string from, string to) =>
        Regex.Replace(
            yaml,
            $@"^([ \t]*(?:-[ \t]+)?uses:[ \t]*['""]?(?:\./)?){Regex.Escape(from)}(?=['""]?[ \t]*(?:#.*)?\r?$)",
            match => match.Groups[1].Value + to,
            RegexOptions.Multiline
        );

    /// <summary>The fields of the triggers as text; fields of a mapping as <c>response.status</c>.</summary>
    public static IReadOnlyList<IReadOnlyDictionary<string, string>> TriggersOf(string yaml) =>
        Find(yaml, "triggers") is YamlSequenceNode list ? [.. list.Select(TextsOf)] : [];

    /// <inheritdoc cref="TriggersOf"/>
    public static IReadOnlyDictionary<string, string> SettingsOf(string yaml) => TextsOf(Find(yaml, "settings"));

    static YamlNode? Find(string yaml, string key) =>
        YamlLines.Of(yaml)?.Root.Children.TryGetValue(new YamlScalarNode(key), out var node) == true ? node : null;

    static Dictionary<string, string> TextsOf(YamlNode? node) =>
        (node as YamlMappingNode)
            ?.Children.SelectMany(static pair =>
                pair.Value is YamlMappingNode inner
                    ? TextsOf(inner).Select(one => KeyValuePair.Create($"{pair.Key}.{one.Key}", one.Value))
                    : [KeyValuePair.Create(pair.Key.ToString(), (pair.Value as YamlScalarNode)?.Value ?? "")]
            )
            .DistinctBy(static pair => pair.Key)
            .ToDictionary()
        ?? [];

    static string? Rewrite(string yaml, YamlLines text, string indent, YamlField field, string key, string? line, string name = "props")
    {
        if (field.Node is not (YamlMappingNode or YamlScalarNode { Value: "" or null }))
            return null;
        var kept =
            (field.Node as YamlMappingNode)
                ?.Children.Where(pair => pair.Key.ToString() != key)
                .Select(pair => $"{Scalar(pair.Key.ToString())}: {yaml[(int)pair.Value.Start.Index..(int)pair.Value.End.Index]}")
            ?? [];
        string[] lines = [.. line is null ? kept : kept.Append(line)];
        string start = text.Lines[field.Start][..indent.Length];
        return lines.Length == 0
            ? text.Remove(field)
            : text.Replace(field.Start, field.End, [$"{start}{name}:", .. lines.Select(one => $"{indent}  {one}")]);
    }

    static string? Add(string yaml, string key, Func<string, string[]> item)
    {
        if (YamlList.Find(yaml, key) is { } list)
            return list.With([.. list.Blocks, item(list.Indent)]);
        // There are none yet.
        string bare = Regex.Replace(yaml, $@"^{key}:[ \t]*(?:\[\s*\][ \t]*)?\r?(?:\n|\z)", "", RegexOptions.Multiline);
        if (YamlLines.Of(bare) is not { } text || text.Root.Children.ContainsKey(new YamlScalarNode(key)))
            return null;
        return $"{bare.TrimEnd()}\n{key}:\n{string.Join('\n', item("  "))}\n".TrimStart('\n');
    }

    static string? Remove(string yaml, string key, int item) =>
        YamlList.Find(yaml, key) is { Count: > 1 } list && list.Has(item) ? list.With(list.Blocks.Where((_, i) => i != item)) : null;

    /// <summary>Converts a list in brackets, or items in braces, to lines, so that a part can be changed.</summary>
    static string InLines(string yaml, string key)
    {
        if (YamlLines.Of(yaml) is not { RootFields: { } root } text || text.Find(root, key) is not { Node: YamlSequenceNode list } field)
            return yaml;
        if (list.Style != SequenceStyle.Flow && list.All(static item => item is YamlMappingNode { Style: not MappingStyle.Flow }))
            return yaml;
        if (!list.All(static item => item is YamlMappingNode { Children.Count: > 0 }))
            return yaml;
        var items = list.Cast<YamlMappingNode>()
            .SelectMany(map =>
                Dashed("  ", map.Children.Select(pair => $"{pair.Key}: {yaml[(int)pair.Value.Start.Index..(int)pair.Value.End.Index]}"))
            );
        return text.Replace(field.Start, field.End, [$"{key}:", .. items]);
    }

    static string[] ItemLines(string indent, IEnumerable<(string Name, JsonElement? Value)> fields) =>
        Dashed(
            indent,
            fields.Where(static field => field.Value is not null).Select(static field => $"{field.Name}: {Value(field.Value!.Value)}")
        );

    static string[] Dashed(string indent, IEnumerable<string> lines) =>
        [.. lines.Select((line, i) => $"{indent}{(i == 0 ? "- " : "  ")}{line}")];

    static string[] StepLines(string indent, string name, string file) =>
        Dashed(indent, [$"namespace: {Scalar(name)}", $"uses: {Scalar("./" + file)}"]);

    /// <summary>JSON is YAML; strings are quoted only if necessary.</summary>
    static string Value(JsonElement value) =>
        value.ValueKind == JsonValueKind.String ? Scalar(value.GetString()!) : JsonSerializer.Serialize(value, readable);

    /// <summary>A string as YAML on one line: plain where YAML reads it back as the same string, quoted otherwise.</summary>
    public static string Scalar(string text) =>
        PlainText().IsMatch(text) && !Keyword().IsMatch(text) ? text : JsonSerializer.Serialize(text, readable);

    [GeneratedRegex(@"^[A-Za-z_$./](?:[A-Za-z0-9_$./@ -]*[A-Za-z0-9_$./])?\z")]
    private static partial Regex PlainText();

    [GeneratedRegex("^(?:true|false|null|yes|no|on|off|y|n|\\.+.*)\\z", RegexOptions.IgnoreCase)]
    private static partial Regex Keyword();
}
