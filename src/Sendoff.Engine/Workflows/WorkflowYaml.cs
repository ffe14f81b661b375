using System.Text.Json;
using System.Text.RegularExpressions;
using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace Sendoff.Engine.Workflows;

/// <summary>
/// Changes of <c>workflow.yaml</c> that leave the rest as people wrote it, comments too. Each answers null where it cannot be made: when the file is malformed, or its
/// steps are not a list with one dash a line.
/// </summary>
public static partial class WorkflowYaml
{
    static readonly JsonSerializerOptions readable = new() { Encoder = PlainJsonEncoder.Instance };

    /// <summary>What a folder without <c>workflow.yaml</c> means, as one.</summary>
    public static string Write(string name, IEnumerable<Step> steps) =>
        string.Join('\n', [$"name: {Scalar(name)}", "triggers:", "  - type: http", "steps:", .. steps.SelectMany(static step => StepLines("  ", step.Name, step.File)), ""]);

    public static string? AddStep(string yaml, string name, string file)
    {
        if (StepList.Find(yaml) is { } list) return list.With([.. list.Blocks, StepLines(list.Indent, name, file)]);
        // There are none yet.
        string bare = NoSteps().Replace(yaml, "");
        if (RootOf(bare) is not { } root || root.Children.ContainsKey("steps")) return null;
        return $"{bare.TrimEnd()}\nsteps:\n{string.Join('\n', StepLines("  ", name, file))}\n".TrimStart('\n');
    }

    public static string? MoveStep(string yaml, int from, int to) =>
        StepList.Find(yaml) is { } list && list.Has(from) && list.Has(to) ? list.With(list.Moved(from, to)) : null;

    public static string? RemoveStep(string yaml, int step) =>
        StepList.Find(yaml) is { Count: > 1 } list && list.Has(step) ? list.With(list.Blocks.Where((_, i) => i != step)) : null;

    /// <param name="value">Null takes the prop away.</param>
    public static string? SetProp(string yaml, int step, string prop, JsonElement? value)
    {
        if (StepList.Find(yaml) is not { } list || list.FieldsOf(step) is not { } fields) return null;
        string? text = value is { } given ? $"{Scalar(prop)}: {Value(given)}" : null;
        if (list.Find(fields, "props") is not { } props)
            return text is null ? yaml : list.Replace(fields.ContentEnd, fields.ContentEnd, [$"{fields.Indent}props:", $"{fields.Indent}  {text}"]);
        // Between braces, or empty: the field is written anew.
        if (props.Node is not YamlMappingNode { Style: MappingStyle.Block, Children.Count: > 0 } map) return Rewrite(yaml, list, fields.Indent, props, prop, text);
        var inner = list.FieldsOf(map, props.End);
        return list.Find(inner, prop) switch
        {
            null => text is null ? yaml : list.Replace(props.End, props.End, [inner.Indent + text]),
            { } found when text is not null => list.Replace(found.Start, found.End, [inner.Indent + text]),
            _ when map.Children.Count == 1 => Remove(list, props),
            { } found => list.Replace(found.Start, found.End, []),
        };
    }

    /// <summary>The steps that use a file use it under its new name.</summary>
    public static string RenameFile(string yaml, string from, string to) =>
        Regex.Replace(
            yaml, $@"^([ \t]*(?:-[ \t]+)?uses:[ \t]*['""]?(?:\./)?){Regex.Escape(from)}(?=['""]?[ \t]*(?:#.*)?\r?$)", match => match.Groups[1].Value + to, RegexOptions.Multiline);

    static string? Rewrite(string yaml, StepList list, string indent, Field props, string prop, string? text)
    {
        if (props.Node is not (YamlMappingNode or YamlScalarNode { Value: "" or null })) return null;
        var kept = (props.Node as YamlMappingNode)?.Children.Where(pair => pair.Key.ToString() != prop)
            .Select(pair => $"{Scalar(pair.Key.ToString())}: {yaml[(int)pair.Value.Start.Index..(int)pair.Value.End.Index]}") ?? [];
        string[] lines = [.. text is null ? kept : kept.Append(text)];
        string start = list.Lines[props.Start][..indent.Length];
        return lines.Length == 0 ? Remove(list, props) : list.Replace(props.Start, props.End, [start + "props:", .. lines.Select(line => $"{indent}  {line}")]);
    }

    // A step whose first line it is would lose its dash.
    static string? Remove(StepList list, Field field) => list.Lines[field.Start].TrimStart().StartsWith('-') ? null : list.Replace(field.Start, field.End, []);

    static string[] StepLines(string indent, string name, string file) => [$"{indent}- namespace: {Scalar(name)}", $"{indent}  uses: {Scalar("./" + file)}"];

    /// <summary>JSON is YAML; a text that needs no quotes has none.</summary>
    static string Value(JsonElement value) => value.ValueKind == JsonValueKind.String ? Scalar(value.GetString()!) : JsonSerializer.Serialize(value, readable);

    static string Scalar(string text) => PlainText().IsMatch(text) && !Keyword().IsMatch(text) ? text : JsonSerializer.Serialize(text, readable);

    static YamlMappingNode? RootOf(string yaml) => BoundedYaml.Read(yaml, out var fault) is { } root ? root as YamlMappingNode : fault is null ? [] : null;

    [GeneratedRegex(@"^steps:[ \t]*(?:\[\s*\][ \t]*)?\r?(?:\n|\z)", RegexOptions.Multiline)]
    private static partial Regex NoSteps();

    [GeneratedRegex(@"^[A-Za-z_$./](?:[A-Za-z0-9_$./@ -]*[A-Za-z0-9_$./])?$")]
    private static partial Regex PlainText();

    [GeneratedRegex("^(?:true|false|null|yes|no|on|off|y|n|\\.+.*)$", RegexOptions.IgnoreCase)]
    private static partial Regex Keyword();

    /// <summary>The lines of a key with its value: from, and up to.</summary>
    sealed record Field(int Start, int End, YamlNode Node);

    /// <summary>A mapping with one key a line.</summary>
    /// <param name="ContentEnd">Behind its last line that is neither empty nor a comment.</param>
    sealed record Fields(YamlMappingNode Map, int ContentEnd, string Indent);

    /// <summary>The file's lines, and those of them that each step has: the comment above, the dash, and what is indented below.</summary>
    sealed record StepList(string[] Lines, string NewLine, YamlSequenceNode Steps, IReadOnlyList<int> Starts, int End, string Indent)
    {
        public int Count => Starts.Count;
        /// <summary>Without the empty lines below: these stay at their place, whatever is put there.</summary>
        public IEnumerable<string[]> Blocks => Starts.Select((start, i) => Lines[start..LastOf(i)]);

        public static StepList? Find(string yaml)
        {
            if (RootOf(yaml) is not { } root || !root.Children.TryGetValue("steps", out var node)) return null;
            if (node is not YamlSequenceNode { Style: not SequenceStyle.Flow, Children.Count: > 0 } steps) return null;
            string[] lines = [.. yaml.Split('\n').Select(static line => line.TrimEnd('\r'))];
            int[] dashes = [.. steps.Select(step => DashAt(lines, (int)step.Start.Line - 1))];
            if (dashes.Contains(-1) || dashes.Distinct().Count() != dashes.Length) return null;
            string indent = lines[dashes[0]][..lines[dashes[0]].IndexOf('-')];
            int[] starts = [.. dashes.Select(dash => CommentAbove(lines, dash))];
            int end = dashes[^1] + 1;
            for (int i = end; i < lines.Length && (lines[i].Length == 0 || IsDeeper(lines[i], indent)); i++)
                if (!string.IsNullOrWhiteSpace(lines[i])) end = i + 1;
            return new(lines, yaml.Contains("\r\n", StringComparison.Ordinal) ? "\r\n" : "\n", steps, starts, end, indent);
        }

        public bool Has(int step) => step >= 0 && step < Count;

        public IEnumerable<string[]> Moved(int from, int to)
        {
            var blocks = Blocks.ToList();
            var block = blocks[from];
            blocks.RemoveAt(from);
            blocks.Insert(to, block);
            return blocks;
        }

        public string With(IEnumerable<string[]> blocks) =>
            Replace(Starts[0], End, blocks.SelectMany((block, i) => i == 0 ? block : [.. i < Count ? Lines[LastOf(i - 1)..Starts[i]] : [], .. block]));

        public string Replace(int start, int end, IEnumerable<string> lines) => string.Join(NewLine, [.. Lines[..start], .. lines, .. Lines[end..]]);

        public Fields? FieldsOf(int step) =>
            Has(step) && Steps.Children[step] is YamlMappingNode { Style: not MappingStyle.Flow } map ? FieldsOf(map, EndOf(step)) : null;

        public Fields FieldsOf(YamlMappingNode map, int end)
        {
            var first = map.Children.First().Key.Start;
            return new(map, ContentEnd((int)first.Line, end), new(' ', (int)first.Column - 1));
        }

        public Field? Find(Fields fields, string name)
        {
            var keys = fields.Map.Children.Keys.ToList();
            int at = keys.FindIndex(key => key.ToString() == name);
            if (at < 0) return null;
            int end = at + 1 < keys.Count ? (int)keys[at + 1].Start.Line - 1 : fields.ContentEnd;
            return new((int)keys[at].Start.Line - 1, ContentEnd((int)keys[at].Start.Line, end), fields.Map.Children[keys[at]]);
        }

        int EndOf(int step) => step + 1 < Count ? Starts[step + 1] : End;

        int LastOf(int step)
        {
            int end = EndOf(step);
            while (string.IsNullOrWhiteSpace(Lines[end - 1])) end--;
            return end;
        }

        // A comment belongs to what stands below it.
        int ContentEnd(int start, int end)
        {
            while (end > start && (string.IsNullOrWhiteSpace(Lines[end - 1]) || IsComment(Lines[end - 1]))) end--;
            return end;
        }

        static int DashAt(string[] lines, int line)
        {
            while (line >= 0 && !lines[line].TrimStart().StartsWith('-')) line--;
            return line;
        }

        static int CommentAbove(string[] lines, int dash)
        {
            while (dash > 0 && IsComment(lines[dash - 1])) dash--;
            return dash;
        }

        static bool IsDeeper(string line, string indent) =>
            line.Length > indent.Length && line.StartsWith(indent, StringComparison.Ordinal) && char.IsWhiteSpace(line[indent.Length]);
        static bool IsComment(string line) => line.TrimStart().StartsWith('#');
    }
}
