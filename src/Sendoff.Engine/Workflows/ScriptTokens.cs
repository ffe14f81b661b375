using Acornima;
using Tokens = Acornima.TokenKind;

namespace Sendoff.Engine.Workflows;

internal enum TokenKind
{
    Word,
    Punctuation,
    Text,
    Other,
}

/// <summary>A token of JavaScript or TypeScript. <paramref name="Value"/> of a string is its content without quotes.</summary>
internal readonly record struct Token(TokenKind Kind, string Value, int Start)
{
    public bool Is(string value) => Kind is TokenKind.Word or TokenKind.Punctuation && Value == value;
}

/// <summary>Splits JavaScript into tokens, so that comments, strings, templates and regular expressions are not read as code. TypeScript
/// has the same tokens. Stops at a syntax error, which Node.js reports.</summary>
internal static class ScriptTokens
{
    // The content of regular expressions is skipped.
    static readonly TokenizerOptions options = new()
    {
        OnRegExp = static (in _) => RegExpParseResult.ForSuccess(null, null),
        ExperimentalESFeatures = (ExperimentalESFeatures)~0,
    };

    public static IReadOnlyList<Token> Of(string source)
    {
        var tokens = new List<Token>();
        try
        {
            var reader = new Tokenizer(source, options);
            while (reader.GetToken() is { Kind: not Tokens.EOF } token)
                Add(tokens, token, source);
        }
        catch (SyntaxErrorException)
        {
            // A syntax error.
        }
        return tokens;
    }

    static void Add(List<Token> tokens, in Acornima.Token token, string source)
    {
        string text = source[token.Start..token.End];
        switch (token.Kind)
        {
            case Tokens.Identifier or Tokens.Keyword or Tokens.NullLiteral or Tokens.BooleanLiteral:
                tokens.Add(new(TokenKind.Word, text, token.Start));
                break;
            case Tokens.Punctuator
                when text == "`"
                    && tokens is [.., { Kind: TokenKind.Punctuation, Value: "`" } open, { Kind: TokenKind.Other } inside]
                    && IsPlain(inside.Value):
                // A template without expressions is a string.
                tokens.RemoveRange(tokens.Count - 2, 2);
                tokens.Add(new(TokenKind.Text, inside.Value, open.Start));
                break;
            case Tokens.Punctuator:
                tokens.Add(new(TokenKind.Punctuation, text, token.Start));
                break;
            case Tokens.StringLiteral when IsPlain(text):
                tokens.Add(new(TokenKind.Text, text[1..^1], token.Start));
                break;
            default:
                tokens.Add(new(TokenKind.Other, text, token.Start));
                break;
        }
    }

    static bool IsPlain(string text) => !text.Contains('\\');
}
