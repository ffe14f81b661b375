using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace Sendoff.Engine.Workflows;

/// <summary>Why YAML was refused, with line and column from 1.</summary>
public sealed record YamlFault(int Line, int Column, string Message, string? Hint = null);

/// <summary> Reads untrusted YAML. Size, depth and number of nodes are checked on the parser's events, before a node is created. Anchors,
/// aliases, tags and keys that are not strings are refused: an alias can repeat or contain itself. </summary>
public static class BoundedYaml
{
    /// <summary>Maximum size of a text, in characters.</summary>
    public const int MaxChars = 1024 * 1024;

    /// <summary>Maximum nesting of lists and mappings.</summary>
    public const int MaxDepth = 64;

    /// <summary>Maximum number of values, keys, lists and mappings.</summary>
    public const int MaxNodes = 50_000;

    /// <summary>The root of the document; null if it is empty, or if there is a <paramref name="fault"/>.</summary>
    public static YamlNode? Read(string yaml, out YamlFault? fault)
    {
        fault = null;
        if (yaml.Length > MaxChars)
        {
            fault = TooLong(yaml);
            return null;
        }
        var scanner = new Scanner(new StringReader(yaml));
        try
        {
            var stream = new YamlStream();
            stream.Load(new BoundedParser(new Parser(scanner)));
            return stream.Documents.Count > 0 ? stream.Documents[0].RootNode : null;
        }
        catch (RefusedYamlException x)
        {
            fault = x.Fault;
        }
        catch (YamlException x)
        {
            string message = x.InnerException is YamlException inner ? inner.Message : x.Message;
            // An error at the end is reported after the last line, so use the last line.
            int line = Math.Min((int)x.Start.Line, yaml.AsSpan().TrimEnd().Count('\n') + 1);
            fault = new(line, (int)x.Start.Column, $"malformed YAML: {char.ToLowerInvariant(message[0])}{message[1..]}");
        }
        catch (Exception x)
            when (x is InvalidOperationException or ArgumentException or FormatException or OverflowException or IndexOutOfRangeException)
        {
            // For some malformed texts, the scanner throws other exceptions.
            fault = new((int)scanner.CurrentPosition.Line, (int)scanner.CurrentPosition.Column, "malformed YAML");
        }
        return null;
    }

    static YamlFault TooLong(string yaml)
    {
        var within = yaml.AsSpan(0, MaxChars);
        return new(
            within.Count('\n') + 1,
            MaxChars - within.LastIndexOf('\n'),
            $"the YAML has more than {MaxChars:N0} characters",
            "move long texts into separate files"
        );
    }

    sealed class RefusedYamlException(YamlFault fault) : YamlException(fault.Message)
    {
        public YamlFault Fault => fault;
    }

    /// <summary>Passes events on until one exceeds a limit.</summary>
    sealed class BoundedParser(Parser inner) : IParser
    {
        enum Expects
        {
            Item,
            Key,
            Value,
        }

        readonly Stack<Expects> open = new();
        int nodes,
            documents;

        public ParsingEvent? Current => inner.Current;

        public bool MoveNext()
        {
            if (!inner.MoveNext())
                return false;
            switch (inner.Current)
            {
                case DocumentStart start when ++documents > 1:
                    throw Refused(start, "the YAML has a second document", "remove the line `---` and everything after it");
                case AnchorAlias alias:
                    throw Refused(alias, $"the alias *{alias.Value} is not supported", "write the value at each place");
                case NodeEvent node:
                    Check(node);
                    break;
                case MappingEnd or SequenceEnd:
                    open.TryPop(out _);
                    break;
            }
            return true;
        }

        void Check(NodeEvent node)
        {
            if (!node.Anchor.IsEmpty)
                throw Refused(node, $"the anchor &{node.Anchor.Value} is not supported", "remove it, and write the value at each place");
            if (!node.Tag.IsEmpty)
                throw Refused(node, $"the tag {node.Tag.Value} is not supported", "remove it; use quotes to keep a value a string");
            if (++nodes > MaxNodes)
                throw Refused(node, $"the YAML has more than {MaxNodes:N0} values", "move large data into a separate file");
            if (open.TryPop(out var expected))
            {
                if (expected == Expects.Key && node is not Scalar)
                    throw Refused(node, "a key must be a string", "write `key: value`");
                open.Push(
                    expected switch
                    {
                        Expects.Key => Expects.Value,
                        Expects.Value => Expects.Key,
                        _ => expected,
                    }
                );
            }
            if (node is Scalar)
                return;
            if (open.Count == MaxDepth)
                throw Refused(node, $"the YAML is nested more than {MaxDepth} levels deep", "move the nested data into a separate file");
            open.Push(node is MappingStart ? Expects.Key : Expects.Item);
        }

        static RefusedYamlException Refused(ParsingEvent at, string message, string hint) =>
            new(new((int)at.Start.Line, (int)at.Start.Column, message, hint));
    }
}
