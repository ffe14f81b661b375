using Spectre.Console;

namespace Sendoff.Commands;

/// <summary>What a command ends with (docs/operating.md).</summary>
static class ExitCode
{
    public const int Ok = 0, RunFailed = 1, Usage = 2, DeliveryFailed = 3, NoServer = 4;
}

/// <summary>A command cannot go on: one line that says what, where and how to mend it.</summary>
sealed class CommandException(string message, int exitCode) : Exception(message)
{
    public int ExitCode { get; } = exitCode;
}

/// <summary>Standard output is for results, standard error for progress and errors. Colour is off in a pipe and with NO_COLOR.</summary>
static class Output
{
    public static readonly IAnsiConsole Console = Create(System.Console.Out, System.Console.IsOutputRedirected);
    public static readonly IAnsiConsole Progress = Create(System.Console.Error, System.Console.IsErrorRedirected);

    public static void Error(string message) => Progress.MarkupLineInterpolated($"[red]sendoff:[/] {message}");
    public static void Warning(string message) => Progress.MarkupLineInterpolated($"[yellow]sendoff:[/] {message}");

    static IAnsiConsole Create(TextWriter writer, bool redirected)
    {
        bool plain = redirected || Environment.GetEnvironmentVariable("NO_COLOR") is { Length: > 0 };
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = plain ? AnsiSupport.No : AnsiSupport.Detect,
            ColorSystem = plain ? ColorSystemSupport.NoColors : ColorSystemSupport.Detect,
            Interactive = redirected ? InteractionSupport.No : InteractionSupport.Detect,
        });
        // A pipe has no width: nothing is wrapped there.
        if (redirected) console.Profile.Width = 10_000;
        return console;
    }
}
