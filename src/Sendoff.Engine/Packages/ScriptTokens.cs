namespace Sendoff.Engine.Packages;

internal enum TokenKind { Word, Punctuation, Text, Other }

/// <summary>A piece of JavaScript or TypeScript. <paramref name="Value"/> of a text is what is between its quotes.</summary>
internal readonly record struct Token(TokenKind Kind, string Value, int Start)
{
    public bool Is(string value) => Kind is TokenKind.Word or TokenKind.Punctuation && Value == value;
}

/// <summary>Cuts JavaScript into tokens, so that nothing in a comment, a string, a template or a regular expression is taken for code.</summary>
/// <remarks>It knows no grammar: a slash after a closing brace begins a regular expression only when it is the first on its line.</remarks>
internal sealed class ScriptTokens(string source)
{
    static readonly HashSet<string> beforeExpression = new(StringComparer.Ordinal)
    {
        "return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "do", "else", "instanceof", "yield", "await",
    };

    readonly List<Token> tokens = [];
    readonly Stack<bool> controls = []; // of each open parenthesis, whether if, while, for or with stands before it
    readonly Stack<int> templates = []; // of each open ${, how many braces are open in it
    bool closedControl;
    int at;

    public static IReadOnlyList<Token> Of(string source) => new ScriptTokens(source).Read();

    List<Token> Read()
    {
        if (source.StartsWith("#!", StringComparison.Ordinal)) SkipLine();
        while (at < source.Length) ReadOne();
        return tokens;
    }

    void ReadOne()
    {
        char c = source[at];
        if (char.IsWhiteSpace(c) || c == '\uFEFF') at++;
        else if (c == '/' && Next is '/') SkipLine();
        else if (c == '/' && Next is '*') at = source.IndexOf("*/", at + 2, StringComparison.Ordinal) is >= 0 and var end ? end + 2 : source.Length;
        else if (c is '"' or '\'') ReadText(c);
        else if (c == '`') ReadTemplate(at);
        else if (IsWord(c)) ReadWord();
        else if (c == '/' && BeginsExpression()) ReadRegex();
        else ReadPunctuation(c);
    }

    char? Next => at + 1 < source.Length ? source[at + 1] : null;

    static bool IsWord(char c) => char.IsLetterOrDigit(c) || c is '_' or '$' or '#' or '\\' || c > 0x7f;

    void Add(TokenKind kind, string value, int start) => tokens.Add(new(kind, value, start));

    void SkipLine() => at = source.IndexOf('\n', at) is >= 0 and var end ? end : source.Length;

    void ReadWord()
    {
        int start = at;
        while (at < source.Length && IsWord(source[at]) && !char.IsWhiteSpace(source[at])) at++;
        Add(TokenKind.Word, source[start..at], start);
    }

    void ReadText(char quote)
    {
        int start = at++;
        bool escaped = false;
        while (at < source.Length && source[at] != quote && source[at] != '\n')
        {
            escaped |= source[at] == '\\';
            at += source[at] == '\\' ? 2 : 1;
        }
        string value = source[(start + 1)..Math.Min(at, source.Length)];
        at++;
        Add(escaped ? TokenKind.Other : TokenKind.Text, value, start);
    }

    // From a backtick, or from the } that closes a ${: up to the end or the next ${.
    void ReadTemplate(int start)
    {
        bool whole = source[at++] == '`';
        int first = at;
        for (; at < source.Length; at++)
        {
            if (source[at] == '\\') at++;
            else if (source[at] == '`')
            {
                string value = source[first..at++];
                Add(whole && !value.Contains('\\') ? TokenKind.Text : TokenKind.Other, value, start);
                return;
            }
            else if (source[at] == '$' && Next is '{')
            {
                at += 2;
                templates.Push(0);
                Add(TokenKind.Punctuation, "${", start);
                return;
            }
        }
    }

    void ReadPunctuation(char c)
    {
        if (c == '}' && templates.TryPop(out int open))
        {
            if (open == 0)
            {
                ReadTemplate(at);
                return;
            }
            templates.Push(open - 1);
        }
        else if (c == '{' && templates.TryPop(out int outer)) templates.Push(outer + 1);
        if (c == '(') controls.Push(tokens.Count > 0 && tokens[^1].Kind == TokenKind.Word && tokens[^1].Value is "if" or "while" or "for" or "with");
        if (c == ')') closedControl = controls.TryPop(out bool control) && control;
        int length = c is '+' or '-' && Next == c ? 2 : 1;
        Add(TokenKind.Punctuation, source.Substring(at, length), at);
        at += length;
    }

    bool BeginsExpression()
    {
        if (tokens.Count == 0) return true;
        var last = tokens[^1];
        return last switch
        {
            { Kind: TokenKind.Word } => beforeExpression.Contains(last.Value) && !(tokens.Count > 1 && tokens[^2].Is(".")),
            { Kind: TokenKind.Punctuation, Value: ")" } => closedControl,
            { Kind: TokenKind.Punctuation, Value: "}" } => source.AsSpan(last.Start, at - last.Start).Contains('\n'),
            { Kind: TokenKind.Punctuation, Value: "]" or "++" or "--" } => false,
            { Kind: TokenKind.Punctuation } => true,
            _ => false,
        };
    }

    void ReadRegex()
    {
        int start = at++;
        for (bool inClass = false; at < source.Length && source[at] != '\n' && (inClass || source[at] != '/'); at++)
        {
            if (source[at] == '\\') at++;
            else if (source[at] == '[') inClass = true;
            else if (source[at] == ']') inClass = false;
        }
        at++;
        while (at < source.Length && char.IsLetter(source[at])) at++;
        Add(TokenKind.Other, "", start);
    }
}
