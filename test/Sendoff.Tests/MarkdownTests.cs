using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace Sendoff.Tests;

/// <summary>The layout of the project's Markdown files.</summary>
public sealed partial class MarkdownTests
{
    const int MaxColumns = 100;

    [Fact]
    public void Prose_is_wrapped_at_100_columns()
    {
        var found = Documents()
            .SelectMany(file => LongLines(File.ReadAllLines(file)).Select(line => $"{Path.GetRelativePath(Root(), file)}:{line}"));
        Assert.True(!found.Any(), $"wrap these lines at {MaxColumns} columns: {string.Join(", ", found)}");
    }

    [Fact]
    public void Tables_code_and_links_may_be_longer()
    {
        string words = string.Concat(Enumerable.Repeat("word ", 30)),
            path = new('x', 120);
        Assert.Equal(
            [1, 8],
            LongLines([words, $"| {words} |", "```sh", words, "```", $"- [{path}](../{path})", $"  `{words}`", $"- {words}"])
        );
    }

    /// <summary>The numbers, from 1, of the lines that are too long and could be broken at a space.</summary>
    static IEnumerable<int> LongLines(string[] lines)
    {
        bool code = false;
        for (int at = 0; at < lines.Length; at++)
        {
            string line = lines[at],
                text = line.TrimStart();
            bool fence = text.StartsWith("```", StringComparison.Ordinal);
            code ^= fence;
            if (code || fence || text.StartsWith('|') || line.Length <= MaxColumns)
                continue;
            if (Unbreakable().Replace(ListMarker().Replace(text, ""), "x").TrimEnd().Contains(' '))
                yield return at + 1;
        }
    }

    static IEnumerable<string> Documents() =>
        Directory
            .EnumerateFiles(Root(), "*.md")
            .Concat(
                new[] { "docs", "bench", "samples", "src", "test" }.SelectMany(folder =>
                    Directory.EnumerateFiles(Path.Combine(Root(), folder), "*.md", SearchOption.AllDirectories)
                )
            )
            .Where(file =>
                !Path.GetRelativePath(Root(), file)
                    .Split(Path.DirectorySeparatorChar)
                    .Any(part => part is "bin" or "obj" or "node_modules" || part.StartsWith('.'))
            );

    static string Root([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", ".."));

    [GeneratedRegex(@"^([-*]|\d+\.) +")]
    private static partial Regex ListMarker();

    [GeneratedRegex(@"`[^`]+`|\]\([^)]*\)")]
    private static partial Regex Unbreakable();
}
