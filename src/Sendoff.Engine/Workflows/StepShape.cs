namespace Sendoff.Engine.Workflows;

/// <summary>The form of a step's code, by its tokens (E2). Node.js makes the final decision with its parser: code that parses as a function
/// body is a body.</summary>
internal enum StepShape
{
    /// <summary>A function body or a pasted function.</summary>
    Body,

    /// <summary>Has import statements and no exports.</summary>
    Imports,

    /// <summary>Calls <c>defineComponent</c>, or sets <c>module.exports</c>.</summary>
    Component,

    /// <summary>Has export statements.</summary>
    Module,
}

/// <summary>Reads the shape of a step.</summary>
internal static class StepShapes
{
    public static StepShape Of(string file, IReadOnlyDictionary<string, string> files) =>
        files.TryGetValue(file, out string? source) ? Of(source) : StepShape.Module;

    public static StepShape Of(string source)
    {
        var tokens = ScriptTokens.Of(source);
        var shape = StepShape.Body;
        int depth = 0;
        bool ownsExports = false;
        for (int i = 0; i < tokens.Count; i++)
        {
            var token = tokens[i];
            if (token.Kind == TokenKind.Punctuation)
                depth +=
                    token.Value is "{" or "${" ? 1
                    : token.Value == "}" ? -1
                    : 0;
            if (token.Kind != TokenKind.Word)
                continue;
            if (depth == 0 && token.Value is "import" or "export" && BeginsStatement(tokens, i, source))
            {
                if (token.Value == "export")
                    return StepShape.Module;
                if (!At(tokens, i + 1).Is("(") && !At(tokens, i + 1).Is(".") && shape < StepShape.Imports)
                    shape = StepShape.Imports;
            }
            ownsExports |= token.Value == "exports" && At(tokens, i - 1) is { Value: "const" or "let" or "var" };
            if (IsComponent(tokens, i, depth, ownsExports))
                shape = StepShape.Component;
        }
        return shape;
    }

    static bool IsComponent(IReadOnlyList<Token> tokens, int i, int depth, bool ownsExports)
    {
        if (At(tokens, i - 1).Is(".") || At(tokens, i - 1).Is("?."))
            return false;
        return tokens[i].Value switch
        {
            "defineComponent" => At(tokens, i + 1).Is("("),
            "module" => depth == 0 && At(tokens, i + 1).Is(".") && At(tokens, i + 2).Is("exports"),
            "exports" => depth == 0
                && !ownsExports
                && At(tokens, i + 1).Is(".")
                && At(tokens, i + 2).Kind == TokenKind.Word
                && At(tokens, i + 3).Is("="),
            _ => false,
        };
    }

    static Token At(IReadOnlyList<Token> tokens, int i) => i >= 0 && i < tokens.Count ? tokens[i] : default;

    static bool BeginsStatement(IReadOnlyList<Token> tokens, int i, string source) =>
        i == 0
        || At(tokens, i - 1) is var before
            && (before.Is(";") || before.Is("}") || source.AsSpan(before.Start, tokens[i].Start - before.Start).Contains('\n'));
}
