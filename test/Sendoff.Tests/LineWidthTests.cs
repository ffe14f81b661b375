using System.Runtime.CompilerServices;

namespace Sendoff.Tests;

/// <summary>The width of lines in source files. CSharpier checks the layout of C# code, but not comments and strings.</summary>
public sealed class LineWidthTests
{
    const int MaxColumns = 140;

    /// <summary>Files with regular expressions that cannot be broken.</summary>
    static readonly string[] exceptions =
    [
        "src/Sendoff.Engine/Workers/Harness/load.mjs",
        "src/Sendoff.Engine/Workers/Harness/responseHeaders.mjs",
        "src/Sendoff.Engine/Workers/Harness/responses.mjs",
    ];

    static readonly string[] extensions = [".cs", ".mjs", ".js", ".ts", ".razor", ".css", ".sh"];

    [Fact]
    public void Lines_have_at_most_140_columns()
    {
        var found = Sources()
            .Where(file => !exceptions.Contains(file))
            .SelectMany(file => LongLines(File.ReadAllLines(Path.Combine(Root(), file))).Select(line => $"{file}:{line}"));
        Assert.True(!found.Any(), $"keep these lines within {MaxColumns} columns: {string.Join(", ", found)}");
    }

    [Fact]
    public void Raw_strings_may_be_longer()
    {
        string words = new('x', MaxColumns + 1);
        Assert.Equal([1, 6], LongLines([words, "\"\"\"", words, "\"\"\";", $"var x = \"\"\"{words}\"\"\";", $"// {words}"]));
    }

    /// <summary>The numbers, from 1, of the lines that are too long. A line break would change the value of a raw string.</summary>
    static IEnumerable<int> LongLines(string[] lines)
    {
        bool raw = false;
        for (int at = 0; at < lines.Length; at++)
        {
            int quotes = lines[at].Split("\"\"\"").Length - 1;
            if (lines[at].Length > MaxColumns && !raw && quotes == 0)
                yield return at + 1;
            raw ^= quotes % 2 == 1;
        }
    }

    /// <summary>Source files and the scripts in <c>.ci</c>, without generated files and test data, relative to the root.</summary>
    static IEnumerable<string> Sources() =>
        new[] { "bench", "samples", "src", "test" }
            .SelectMany(folder => Directory.EnumerateFiles(Path.Combine(Root(), folder), "*", SearchOption.AllDirectories))
            .Where(file => extensions.Contains(Path.GetExtension(file)))
            .Concat(Directory.EnumerateFiles(Path.Combine(Root(), ".ci")))
            .Select(file => Path.GetRelativePath(Root(), file))
            .Where(file =>
                !file.StartsWith(Path.Combine("test", "cases"), StringComparison.Ordinal)
                && !file.Split(Path.DirectorySeparatorChar).Any(part => part is "bin" or "obj" or "node_modules" or "TestResults")
            );

    static string Root([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", ".."));
}
