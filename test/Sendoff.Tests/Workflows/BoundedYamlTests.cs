using System.Text;
using CsCheck;
using Sendoff.Engine.Workflows;

namespace Sendoff.Tests.Workflows;

/// <summary>YAML that others wrote is refused at its line and column before it can cost anything.</summary>
public sealed class BoundedYamlTests
{
    const string Cyclic = "name: x\nsteps: &a\n  - namespace: a\n    uses: ./s.js\n    props:\n      z: *a\n";

    static string Bomb =>
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + string.Concat(
            Enumerable
                .Range(0, 9)
                .Select(i => $"{(char)('b' + i)}: &{(char)('b' + i)} [{string.Join(',', Enumerable.Repeat("*" + (char)('a' + i), 9))}]\n")
        )
        + "name: x\nsteps:\n  - namespace: a\n    uses: ./s.js\n    props: {z: *j}\n";

    static string Blocks(int levels) =>
        "steps:\n" + string.Concat(Enumerable.Range(1, levels).Select(level => new string(' ', level) + "a:\n"));

    public static TheoryData<string, int, int, string> Refused =>
        new()
        {
            { Cyclic, 2, 8, "the anchor &a" },
            { Bomb, 1, 4, "the anchor &a" },
            { "name: x\nsteps: *a\n", 2, 8, "the alias *a" },
            { "steps: [ { namespace: &n a } ]", 1, 23, "the anchor &n" },
            { "name: x\nsteps: " + new string('[', 50_000) + new string(']', 50_000), 2, 71, "nested more than 64 levels" },
            { "name: x\nsteps: " + string.Concat(Enumerable.Repeat("{a: ", 50_000)), 2, 260, "nested more than 64 levels" },
            { "steps: \n" + string.Concat(Enumerable.Repeat("- ", 50_000)), 2, 127, "nested more than 64 levels" },
            { Blocks(200), 65, 65, "nested more than 64 levels" },
            { string.Concat(Enumerable.Repeat("? ", 50_000)), 1, 3, "a key must be a string" },
            { "name: x\n? [a, b]\n: c\n", 2, 3, "a key must be a string" },
            { "name: !!str 5\n", 1, 7, "the tag tag:yaml.org,2002:str" },
            { "name: !evil x\n", 1, 7, "the tag !evil" },
            { "a: 1\nsteps: [" + string.Concat(Enumerable.Repeat("x,", BoundedYaml.MaxNodes)) + "]", 2, 99_999, "more than 50,000 values" },
            { string.Concat(Enumerable.Repeat("---\n", 60_000)), 2, 1, "a second document" },
            { "---\nsteps: []\n---\nsteps: [ a ]\n", 3, 1, "a second document" },
            { "a: 1\nb: \"" + new string('x', BoundedYaml.MaxChars) + "\"", 2, BoundedYaml.MaxChars - 4, "more than 1,048,576 characters" },
            { "name: x\nname: y\n", 2, 1, "malformed YAML: duplicate key" },
            { "name: [\n", 1, 1, "malformed YAML" },
        };

    [Theory]
    [MemberData(nameof(Refused))]
    public void A_limit_is_told_with_its_line_and_column(string yaml, int line, int column, string says)
    {
        Assert.Null(BoundedYaml.Read(yaml, out var fault));
        Assert.Contains(says, fault!.Message, StringComparison.Ordinal);
        if (says != "malformed YAML")
            Assert.Equal((line, column), (fault.Line, fault.Column));

        var problem = Assert.Single(
            WorkflowReader.Read("w", new Dictionary<string, string> { ["workflow.yaml"] = yaml, ["s.js"] = "" }).Problems
        );
        Assert.Equal((fault.Message, (int?)fault.Line, (int?)fault.Column), (problem.Message, problem.Line, problem.Column));
    }

    [Theory]
    [MemberData(nameof(Refused))]
    public void A_file_that_is_refused_is_changed_by_no_edit(string yaml, int line, int column, string says)
    {
        Assert.Null(WorkflowYaml.AddStep(yaml, "n", "n.mjs"));
        Assert.Null(WorkflowYaml.MoveStep(yaml, 0, 0));
        Assert.Null(WorkflowYaml.SetProp(yaml, 0, "p", null));
        Assert.True(line + column > 0 && says.Length > 0);
    }

    [Fact]
    public void Any_text_is_read_or_refused_and_nothing_is_thrown()
    {
        string[] pieces =
        [
            "a",
            "-",
            ": ",
            "\n",
            "  ",
            "[",
            "]",
            "{",
            "}",
            ",",
            "? ",
            "|",
            ">",
            "&",
            "*",
            "!",
            "!!",
            "%",
            "@",
            "`",
            "\"",
            "'",
            "#",
            "---",
            "...",
            "\t",
            "\r",
            "\0",
            "\u0085",
            "\\x",
            "\ufeff",
            "\ud800",
            "1",
            "<<",
            "=",
        ];
        Gen.Int[0, pieces.Length - 1]
            .Array[0, 40]
            .Select(parts => string.Concat(parts.Select(part => pieces[part])))
            .Sample(
                static text =>
                {
                    BoundedYaml.Read(text, out var fault);
                    WorkflowReader.Read("w", new Dictionary<string, string> { ["workflow.yaml"] = text });
                    Assert.True(fault is null or { Line: > 0, Column: > 0, Message.Length: > 0 });
                },
                iter: 20_000
            );
    }

    [Fact]
    public void What_is_within_the_limits_is_read()
    {
        string deepest = new string('[', BoundedYaml.MaxDepth) + new string(']', BoundedYaml.MaxDepth);
        Assert.NotNull(BoundedYaml.Read(deepest, out _));
        Assert.NotNull(BoundedYaml.Read("[" + string.Concat(Enumerable.Repeat("x,", BoundedYaml.MaxNodes - 1)) + "]", out _));
        Assert.NotNull(BoundedYaml.Read("'" + new string('x', BoundedYaml.MaxChars - 2) + "'", out _));
        Assert.NotNull(BoundedYaml.Read("a: 'q'\nb: \"q\"\nc: |\n  text\nd: [ e: f, { g: h } ]\n? i\n: j\n'*k': '&l !m'\n", out var none));
        Assert.Null(none);
        Assert.Null(BoundedYaml.Read("# nothing\n", out none));
        Assert.Null(none);
    }

    [Fact]
    public void What_is_one_over_a_limit_is_refused()
    {
        Assert.Null(BoundedYaml.Read(new string('[', BoundedYaml.MaxDepth + 1) + new string(']', BoundedYaml.MaxDepth + 1), out var fault));
        Assert.Contains("nested more than", fault!.Message, StringComparison.Ordinal);
        Assert.Null(BoundedYaml.Read("[" + string.Concat(Enumerable.Repeat("x,", BoundedYaml.MaxNodes)) + "]", out fault));
        Assert.Contains("values", fault!.Message, StringComparison.Ordinal);
        Assert.Null(BoundedYaml.Read("'" + new string('x', BoundedYaml.MaxChars - 1) + "'", out fault));
        Assert.NotNull(fault);
    }

    [Fact]
    public void Problems_are_listed_up_to_a_hundred_and_repeat_no_megabyte()
    {
        string steps = string.Join(", ", Enumerable.Repeat("x", 20_000));
        var many = WorkflowReader.Read("w", new Dictionary<string, string> { ["workflow.yaml"] = $"steps: [ {steps} ]" }).Problems;

        Assert.Equal(101, many.Count);
        Assert.Contains("more than 100 problems", many[^1].Message, StringComparison.Ordinal);
        Assert.All(many, static problem => Assert.Null(problem.SourceLine));

        var one = Assert.Single(
            WorkflowReader
                .Read(
                    "w",
                    new Dictionary<string, string>
                    {
                        ["workflow.yaml"] = $"steps: [ {{ namespace: '{new string('-', 500_000)}', uses: ./s.js }} ]",
                    }
                )
                .Problems
        );
        Assert.InRange(one.Message.Length, 100, 1_001);
    }

    [Theory]
    [InlineData("settings: { timeout: ٣s }", "timeout")]
    [InlineData("settings: { memory: 4194305GB }", "memory")]
    [InlineData("settings: { memory: ٢٥٦MB }", "memory")]
    [InlineData("triggers: [ { type: http, rate: ٣/s } ]", "rate")]
    [InlineData("triggers: [ { type: schedule, every: ٣m } ]", "interval")]
    [InlineData("triggers: [ { type: schedule, cron: '٣ * * * *' } ]", "cron")]
    [InlineData("triggers: [ { type: schedule, cron: 'H * * * *' } ]", "cron")]
    [InlineData("triggers: [ { type: schedule, cron: 'H/15 H(0-7) * * *' } ]", "cron")]
    [InlineData("triggers: [ { type: schedule, cron: '0 0 H 1 H' } ]", "cron")]
    public void A_number_that_is_no_such_number_is_a_problem(string yaml, string says) =>
        Assert.Contains(
            says,
            Assert
                .Single(
                    WorkflowReader
                        .Read(
                            "w",
                            new Dictionary<string, string>
                            {
                                ["workflow.yaml"] = yaml + "\nsteps: [ { namespace: a, uses: ./a.js } ]",
                                ["a.js"] = "",
                            }
                        )
                        .Problems
                )
                .Message
        );

    // Each of them took hours when its time grew with the square of its length.
    [Fact(Timeout = 120_000)]
    public async Task No_text_makes_a_change_take_more_than_one_pass() =>
        await Task.Run(
            static () =>
            {
                string spaces = new(' ', BoundedYaml.MaxChars / 2),
                    lines = new('\n', BoundedYaml.MaxChars / 2);
                Assert.Null(WorkflowYaml.AddStep($"name: x\nsteps:{spaces}x\n", "a", "a.mjs"));
                Assert.Null(WorkflowYaml.AddStep($"name: x\nsteps: [{lines}x\n", "a", "a.mjs"));
                Assert.EndsWith("x", WorkflowYaml.RenameFile(lines + "x", "a.mjs", "b.mjs"));
                Assert.EndsWith(
                    "x",
                    WorkflowYaml.RenameFile(new StringBuilder().Insert(0, "uses: ", 80_000).Append('x').ToString(), "a.mjs", "b.mjs")
                );
            },
            TestContext.Current.CancellationToken
        );
}
