using System.Text;
using Microsoft.Win32.SafeHandles;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Sendoff.Commands;

/// <summary>Exit codes of commands (docs/operating.md).</summary>
static class ExitCode
{
    public const int Ok = 0,
        RunFailed = 1,
        Usage = 2,
        DeliveryFailed = 3,
        NoServer = 4;

    /// <summary>The reader closed the output pipe: 128 plus SIGPIPE, as in shells.</summary>
    public const int OutputClosed = 141;

    /// <summary>An internal error: EX_SOFTWARE of sysexits.h.</summary>
    public const int Fault = 70;
}

/// <summary>Ends a command with a one-line error: what is wrong, where, and how to fix it.</summary>
sealed class CommandException(string message, int exitCode) : Exception(message)
{
    public int ExitCode { get; } = exitCode;
}

/// <summary> The only class that prints. It escapes stored text, so that it cannot control the terminal. Standard output is for results,
/// standard error for progress and errors. Output to a pipe, or with NO_COLOR, has no colours. </summary>
static class Output
{
    /// <summary>The error code of a write to a pipe without a reader: EPIPE.</summary>
    public const int BrokenPipe = 32;

    static readonly TextWriter results = Results();

    /// <summary>A stream for large content; null if the output is a terminal.</summary>
    public static Stream? Stream =>
        System.Console.IsOutputRedirected ? (results as StreamWriter)?.BaseStream ?? System.Console.OpenStandardOutput() : null;

    public static readonly IAnsiConsole Console = Create(results, System.Console.IsOutputRedirected);
    public static readonly IAnsiConsole Progress = Create(System.Console.Error, System.Console.IsErrorRedirected);

    public static void Error(string message) => Progress.MarkupLineInterpolated($"[red]sendoff:[/] {message}");

    public static void Warning(string message) => Progress.MarkupLineInterpolated($"[yellow]sendoff:[/] {message}");

    /// <summary>Prints a line, or unchanged JSON.</summary>
    public static void Result(string line) => results.WriteLine(TerminalText.Clean(line));

    /// <summary>Prints content for other programs, unchanged unless the output is a terminal.</summary>
    public static void Content(string text)
    {
        if (!text.EndsWith('\n'))
            text += "\n";
        results.Write(System.Console.IsOutputRedirected ? text : TerminalText.Clean(text));
    }

    /// <summary> The console's stream ignores errors when the pipe is closed, so a command would continue without a reader. For a file, the
    /// console's stream is used: a file stream has its own position, and the next command of the shell would overwrite its output.
    /// </summary>
    static TextWriter Results()
    {
        if (!System.Console.IsOutputRedirected || OperatingSystem.IsWindows())
            return System.Console.Out;
        var stream = new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0);
        return new StreamWriter(stream.CanSeek ? System.Console.OpenStandardOutput() : stream, new UTF8Encoding(false))
        {
            AutoFlush = true,
        };
    }

    static IAnsiConsole Create(TextWriter writer, bool redirected)
    {
        bool plain = redirected || Environment.GetEnvironmentVariable("NO_COLOR") is { Length: > 0 };
        var console = AnsiConsole.Create(
            new AnsiConsoleSettings
            {
                Out = new AnsiConsoleOutput(writer),
                Ansi = plain ? AnsiSupport.No : AnsiSupport.Detect,
                ColorSystem = plain ? ColorSystemSupport.NoColors : ColorSystemSupport.Detect,
                Interactive = redirected ? InteractionSupport.No : InteractionSupport.Detect,
            }
        );
        // A pipe has no width, so nothing is wrapped.
        if (redirected)
            console.Profile.Width = 10_000;
        console.Pipeline.Attach(new CleanText());
        return console;
    }

    /// <summary>Escapes all text written to the terminal, in lines, tables and trees.</summary>
    sealed class CleanText : IRenderHook
    {
        public IEnumerable<IRenderable> Process(RenderOptions options, IEnumerable<IRenderable> renderables) =>
            renderables.Select(static one => new Cleaned(one));

        sealed class Cleaned(IRenderable inner) : IRenderable
        {
            public Measurement Measure(RenderOptions options, int maxWidth) => inner.Measure(options, maxWidth);

            public IEnumerable<Segment> Render(RenderOptions options, int maxWidth) =>
                inner
                    .Render(options, maxWidth)
                    .Select(static segment =>
                        segment.IsControlCode || !TerminalText.IsActive(segment.Text)
                            ? segment
                            : new Segment(TerminalText.Clean(segment.Text), segment.Style)
                    );
        }
    }
}
