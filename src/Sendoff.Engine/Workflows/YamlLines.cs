using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace Sendoff.Engine.Workflows;

/// <summary>The lines of a key and its value: start and end.</summary>
sealed record YamlField(int Start, int End, YamlNode Node);

/// <summary>A mapping with one key per line.</summary>
/// <param name="ContentEnd">The line after its last content.</param>
sealed record YamlFields(YamlMappingNode Map, int ContentEnd, string Indent);

/// <summary>A YAML file as lines, so that changes preserve all other lines.</summary>
sealed record YamlLines(string[] Lines, string NewLine, YamlMappingNode Root)
{
    /// <summary>Null if the file is malformed or not a mapping.</summary>
    public static YamlLines? Of(string yaml) =>
        BoundedYaml.Read(yaml, out var fault) switch
        {
            YamlMappingNode root => new(
                [.. yaml.Split('\n').Select(static line => line.TrimEnd('\r'))],
                yaml.Contains("\r\n", StringComparison.Ordinal) ? "\r\n" : "\n",
                root
            ),
            null when fault is null => new(yaml.Length == 0 ? [] : yaml.Split('\n'), "\n", []),
            _ => null,
        };

    public string Replace(int start, int end, IEnumerable<string> lines) =>
        string.Join(NewLine, [.. Lines[..start], .. lines, .. Lines[end..]]);

    /// <summary>The top-level keys; null if they are in braces.</summary>
    public YamlFields? RootFields => Root is { Style: not MappingStyle.Flow, Children.Count: > 0 } ? FieldsOf(Root, Lines.Length) : null;

    public YamlFields FieldsOf(YamlMappingNode map, int end)
    {
        var first = map.Children.First().Key.Start;
        return new(map, ContentEnd((int)first.Line, end), new(' ', (int)first.Column - 1));
    }

    public YamlField? Find(YamlFields fields, string name)
    {
        var keys = fields.Map.Children.Keys.ToList();
        int at = keys.FindIndex(key => key.ToString() == name);
        if (at < 0)
            return null;
        int end = at + 1 < keys.Count ? (int)keys[at + 1].Start.Line - 1 : fields.ContentEnd;
        return new((int)keys[at].Start.Line - 1, ContentEnd((int)keys[at].Start.Line, end), fields.Map.Children[keys[at]]);
    }

    /// <summary>Sets or removes a key of a mapping. Returns null if it cannot be removed, because its line has the dash of a
    /// list.</summary>
    /// <param name="value">The value as YAML on one line; null removes the key.</param>
    public string? Set(YamlFields fields, string name, string? value) =>
        Find(fields, name) switch
        {
            null => value is null
                ? string.Join(NewLine, Lines)
                : Replace(fields.ContentEnd, fields.ContentEnd, [$"{fields.Indent}{name}: {value}"]),
            { } found when value is not null => Replace(
                found.Start,
                found.End,
                [$"{Lines[found.Start][..fields.Indent.Length]}{name}: {value}"]
            ),
            { } found => Remove(found),
        };

    public string? Remove(YamlField field) => Lines[field.Start].TrimStart().StartsWith('-') ? null : Replace(field.Start, field.End, []);

    // A comment belongs to the line below.
    int ContentEnd(int start, int end)
    {
        while (end > start && (string.IsNullOrWhiteSpace(Lines[end - 1]) || IsComment(Lines[end - 1])))
            end--;
        return end;
    }

    public static bool IsComment(string line) => line.TrimStart().StartsWith('#');
}

/// <summary>A list with one dash per line, and the lines of each item: the comment above, the dash, and the indented lines below.</summary>
sealed record YamlList(YamlLines Text, YamlSequenceNode Items, IReadOnlyList<int> Starts, int End, string Indent)
{
    public int Count => Starts.Count;

    /// <summary>Without the empty lines below, which are kept.</summary>
    public IEnumerable<string[]> Blocks => Starts.Select((start, i) => Text.Lines[start..LastOf(i)]);

    public static YamlList? Find(string yaml, string key)
    {
        if (YamlLines.Of(yaml) is not { } text || !text.Root.Children.TryGetValue(new YamlScalarNode(key), out var node))
            return null;
        if (node is not YamlSequenceNode { Style: not SequenceStyle.Flow, Children.Count: > 0 } items)
            return null;
        string[] lines = text.Lines;
        int[] dashes = [.. items.Select(item => DashAt(lines, (int)item.Start.Line - 1))];
        if (dashes.Contains(-1) || dashes.Distinct().Count() != dashes.Length)
            return null;
        string indent = lines[dashes[0]][..lines[dashes[0]].IndexOf('-')];
        int[] starts = [.. dashes.Select(dash => CommentAbove(lines, dash))];
        int end = dashes[^1] + 1;
        for (int i = end; i < lines.Length && (lines[i].Length == 0 || IsDeeper(lines[i], indent)); i++)
            if (!string.IsNullOrWhiteSpace(lines[i]))
                end = i + 1;
        return new(text, items, starts, end, indent);
    }

    public bool Has(int item) => item >= 0 && item < Count;

    public IEnumerable<string[]> Moved(int from, int to)
    {
        var blocks = Blocks.ToList();
        var block = blocks[from];
        blocks.RemoveAt(from);
        blocks.Insert(to, block);
        return blocks;
    }

    public string With(IEnumerable<string[]> blocks) =>
        Text.Replace(
            Starts[0],
            End,
            blocks.SelectMany((block, i) => i == 0 ? block : [.. i < Count ? Text.Lines[LastOf(i - 1)..Starts[i]] : [], .. block])
        );

    /// <summary>Null if the item is not a mapping with one key per line.</summary>
    public YamlFields? FieldsOf(int item) =>
        Has(item) && Items.Children[item] is YamlMappingNode { Style: not MappingStyle.Flow } map ? Text.FieldsOf(map, EndOf(item)) : null;

    int EndOf(int item) => item + 1 < Count ? Starts[item + 1] : End;

    int LastOf(int item)
    {
        int end = EndOf(item);
        while (string.IsNullOrWhiteSpace(Text.Lines[end - 1]))
            end--;
        return end;
    }

    static int DashAt(string[] lines, int line)
    {
        while (line >= 0 && !lines[line].TrimStart().StartsWith('-'))
            line--;
        return line;
    }

    static int CommentAbove(string[] lines, int dash)
    {
        while (dash > 0 && YamlLines.IsComment(lines[dash - 1]))
            dash--;
        return dash;
    }

    static bool IsDeeper(string line, string indent) =>
        line.Length > indent.Length && line.StartsWith(indent, StringComparison.Ordinal) && char.IsWhiteSpace(line[indent.Length]);
}
