using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Packages;

/// <summary>An imported specifier and its position: line and column from 1.</summary>
/// <param name="LineStart">The offset of the line in <paramref name="Source"/>.</param>
internal sealed record Import(string Specifier, string File, int Line, int Column, string Source, int LineStart)
{
    public string SourceLine
    {
        get
        {
            int end = Source.IndexOf('\n', LineStart);
            return Source[LineStart..(end < 0 ? Source.Length : end)].TrimEnd('\r');
        }
    }
}

/// <summary>Finds the imports of a file: <c>import</c> and <c>export ... from</c>, <c>import()</c>, <c>require()</c> and
/// <c>require.resolve()</c> of a literal.</summary>
internal static class ImportScanner
{
    public static IEnumerable<Import> Scan(string file, string source)
    {
        var tokens = ScriptTokens.Of(source);
        int line = 1,
            lineStart = 0,
            counted = 0;
        for (int i = 0; i < tokens.Count; i++)
        {
            if (tokens[i].Kind != TokenKind.Word || Specifier(tokens, i) is not { } found)
                continue;
            for (; counted < found.Start; counted++)
            {
                if (source[counted] != '\n')
                    continue;
                lineStart = counted + 1;
                line++;
            }
            yield return new(found.Value, file, line, found.Start - lineStart + 1, source, lineStart);
        }
    }

    static Token? Specifier(IReadOnlyList<Token> tokens, int i)
    {
        Token Peek(int ahead) => i + ahead < tokens.Count ? tokens[i + ahead] : default;
        bool isMember = i > 0 && (tokens[i - 1].Is(".") || tokens[i - 1].Is("?."));
        if (isMember)
            return null;
        return tokens[i].Value switch
        {
            "import" when Peek(1).Kind == TokenKind.Text && !Peek(2).Is(":") => Peek(1),
            "import" when Peek(1).Is("(") => Argument(Peek(2), Peek(3)),
            "import" or "export" when !IsTypeOnly(Peek(1), Peek(2)) => From(tokens, i + 1),
            "require" when Peek(1).Is("(") => Argument(Peek(2), Peek(3)),
            "require" when Peek(1).Is(".") && Peek(2).Is("resolve") && Peek(3).Is("(") => Argument(Peek(4), Peek(5)),
            _ => null,
        };
    }

    static Token? Argument(Token argument, Token after) =>
        argument.Kind == TokenKind.Text && (after.Is(")") || after.Is(",")) ? argument : null;

    // `import type X from` is removed by TypeScript; `import type from` and `import type, { a } from` import a value named `type`.
    static bool IsTypeOnly(Token first, Token second) =>
        first.Is("type") && (second.Is("{") || second.Is("*") || (second.Kind == TokenKind.Word && !second.Is("from")));

    static Token? From(IReadOnlyList<Token> tokens, int first)
    {
        for (int i = first; i + 1 < tokens.Count; i++)
        {
            var token = tokens[i];
            if (token.Is("from") && tokens[i + 1].Kind == TokenKind.Text)
                return tokens[i + 1];
            bool inClause =
                token.Kind is TokenKind.Word or TokenKind.Text || token.Is("{") || token.Is("}") || token.Is(",") || token.Is("*");
            // `export { a }` and `export default` end before any `from`, as does a statement that is followed by the next one.
            if (
                !inClause
                || token.Is("import")
                || token.Is("export")
                || (token.Is("}") && !tokens[i + 1].Is("from"))
                || (i == first && token.Is("default"))
            )
                return null;
        }
        return null;
    }
}
