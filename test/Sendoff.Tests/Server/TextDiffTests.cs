using Sendoff.Ui;

namespace Sendoff.Tests.Server;

public sealed class TextDiffTests
{
    static string Lines(int from, int to) => string.Join('\n', Enumerable.Range(from, to - from + 1));

    static string Say(IEnumerable<DiffLine> lines) =>
        string.Join('|', lines.Select(line => $"{(line.Sign == '\0' ? '0' : line.Sign)}{line.Text}"));

    [Fact]
    public void Equal_lines_far_from_what_differs_are_counted()
    {
        var diff = TextDiff.Unified(Lines(1, 20), Lines(1, 20).Replace("\n10\n", "\nten\n"))!;
        Assert.Equal("…6 unchanged lines| 7| 8| 9|-10|+ten| 11| 12| 13|…7 unchanged lines", Say(diff.Lines));
        Assert.Equal((1, 1), (diff.Added, diff.Removed));
        Assert.Equal([(10, null), (null, 10)], diff.Lines.Where(line => line.Sign is '-' or '+').Select(line => (line.Before, line.After)));
        Assert.Equal((11, 11), (diff.Lines[6].Before, diff.Lines[6].After));
    }

    [Theory]
    [InlineData("a\nb", "a\nb\nc", " a| b|+c")]
    [InlineData("a\nb", "b", "-a| b")]
    [InlineData("a", "", "-a")]
    [InlineData("", "a\n\nb", "+a|+|+b")]
    public void What_is_only_on_one_side_is_signed(string before, string after, string expected) =>
        Assert.Equal(expected, Say(TextDiff.Unified(before, after)!.Lines));

    [Fact]
    public void Side_by_side_a_line_stands_at_the_height_of_its_other()
    {
        var (before, after) = TextDiff.SideBySide("a\nb\nc", "a\nc\nd")!.Value;
        Assert.Equal(" a|-b| c|0", Say(before));
        Assert.Equal(" a|0| c|+d", Say(after));
    }

    [Fact]
    public void Much_is_cut_and_too_much_is_not_compared()
    {
        var diff = TextDiff.Unified(Lines(1, 1_000), Lines(2_001, 3_000))!;
        Assert.True(diff.IsCut);
        Assert.Equal((600, 1_000, 1_000), (diff.Lines.Count, diff.Added, diff.Removed));
        Assert.Null(TextDiff.Unified(Lines(1, 6_000), ""));
        Assert.Null(TextDiff.SideBySide("", new string('x', 600_000)));
    }

    [Fact]
    public void Files_that_differ_are_named_and_lock_files_come_last()
    {
        var diffs = FileDiff.Of(
            new Dictionary<string, string>
            {
                ["a.js"] = "1",
                ["gone.js"] = "",
                ["same.js"] = "x",
                ["package-lock.json"] = "{}",
            },
            new Dictionary<string, string>
            {
                ["a.js"] = "2",
                ["same.js"] = "x",
                ["z.js"] = "",
                ["package-lock.json"] = "{ }",
            }
        );
        Assert.Equal(
            [
                ("a.js", FileChange.Changed),
                ("gone.js", FileChange.Removed),
                ("z.js", FileChange.Added),
                ("package-lock.json", FileChange.Changed),
            ],
            diffs.Select(diff => (diff.Path, diff.Change))
        );
    }
}
