using Sendoff.Engine.Workflows;
using Spectre.Console;

namespace Sendoff.Commands;

/// <summary>Prints errors in a workflow's files: position, message, the line with a caret, and a hint.</summary>
static class ProblemPrinter
{
    public static void Print(IReadOnlyList<WorkflowProblem> problems)
    {
        foreach (var problem in problems)
        {
            string where = string.Join(':', new object?[] { problem.File, problem.Line, problem.Column }.Where(part => part is not null));
            Output.Progress.MarkupLineInterpolated($"[bold]{where}[/]{(where.Length > 0 ? ": " : "")}[red]{problem.Message}[/]");
            if (problem.SourceLine is { } source)
                PrintSource(source, problem.Line ?? 1, problem.Column);
            if (problem.Hint is { } hint)
                Output.Progress.MarkupLineInterpolated($"  {hint}");
        }
    }

    public static string Count(IReadOnlyList<WorkflowProblem> problems) => problems.Count == 1 ? "1 error" : $"{problems.Count} errors";

    static void PrintSource(string source, int line, int? column)
    {
        string margin = $"  {line} | ";
        Output.Progress.MarkupLineInterpolated($"[grey]{margin}[/]{source}");
        if (column is not { } at || at < 1 || at > source.Length + 1)
            return;
        // Keeps tabs, so that the caret is under its character at any tab width.
        string indent = string.Concat(source.Take(at - 1).Select(c => c == '\t' ? '\t' : ' '));
        Output.Progress.MarkupLineInterpolated($"{new string(' ', margin.Length)}{indent}[red]^[/]");
    }
}
