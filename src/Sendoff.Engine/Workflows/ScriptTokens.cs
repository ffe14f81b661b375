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

/// <summary>A piece of JavaScript or TypeScript. <paramref name="Value"/> of a text is what is between its quotes.</summary>
internal readonly record struct Token(TokenKind Kind, string Value, int Start)
{
    public bool Is(string value) => Kind is TokenKind.Word or TokenKind.Punctuation && Value == value;
}

/// <summary>Cuts JavaScript into tokens, so that nothing in a comment, a string, a template or a regular expression is taken for code.
/// TypeScript has the same tokens. What follows a mistake is not read: Node.js reports it.</summary>
internal static class ScriptTokens
{
    // Regular expressions are not looked into.
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
            // Not JavaScript from here on.
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
                // A template without anything to fill in is a string.
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
