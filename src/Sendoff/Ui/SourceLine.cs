using System.Text.RegularExpressions;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workflows;
using Sendoff.Ui.Controls;

namespace Sendoff.Ui;

/// <summary>The source line of an error or a warning.</summary>
/// <param name="Url">The URL of the line in the editor.</param>
public sealed record SourceLine(string File, int Line, string Text, string Url)
{
    const int ShownChars = 200;

    /// <summary>Null if the version does not have this line.</summary>
    /// <param name="stack">Contains the file name if the line is not in the step's own file.</param>
    public static SourceLine? Find(StoredVersion version, string step, int? line, int? column, string? stack)
    {
        if (line is not { } number)
            return null;
        string? named = stack is null
            ? null
            : Regex.Match(stack, $@"([^\s()]+):{number}:{column}\b", RegexOptions.NonBacktracking).Groups[1].Value;
        string? file =
            named is { Length: > 0 } && version.Files.ContainsKey(named)
                ? named
                : WorkflowReader.Read(version.Name, version.Files).Definition?.Steps.FirstOrDefault(one => one.Name == step)?.File;
        if (
            file is null
            || !version.Files.TryGetValue(file, out string? text)
            || text.Split('\n').ElementAtOrDefault(number - 1)?.Trim() is not { Length: > 0 } code
        )
            return null;
        return new(
            file,
            number,
            code.Length > ShownChars ? code[..ShownChars] + "…" : code,
            Words.Url($"/workflows/{Uri.EscapeDataString(version.Name)}", ("file", file), ("line", $"{number}"))
        );
    }
}
