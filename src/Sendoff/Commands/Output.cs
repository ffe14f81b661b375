using System.Text;
using Microsoft.Win32.SafeHandles;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Sendoff.Commands;

/// <summary>What a command ends with (docs/operating.md).</summary>
static class ExitCode
{
    public const int Ok = 0,
        RunFailed = 1,
        Usage = 2,
        DeliveryFailed = 3,
        NoServer = 4;

    /// <summary>The reader closed the output: 128 plus SIGPIPE, as in shells.</summary>
    public const int OutputClosed = 141;

    /// <summary>A fault of Sendoff: EX_SOFTWARE of sysexits.h.</summary>
    public const int Fault = 70;
}

/// <summary>Ends a command with one line: what is wrong, where, and how to fix it.</summary>
sealed class CommandException(string message, int exitCode) : Exception(message)
{
    public int ExitCode { get; } = exitCode;
}

/// <summary>
/// All that commands print, which nothing else does: no stored text acts upon the terminal. Standard output is for results, standard error
/// for progress and errors. Colour is off in a pipe and with NO_COLOR.
/// </summary>
static class Output
{
    /// <summary>The error of a write without a reader: EPIPE.</summary>
    public const int BrokenPipe = 32;

    static readonly TextWriter results = Results();

    /// <summary>Where content for other programs goes as it comes; null where a terminal shows it.</summary>
    public static Stream? Stream =>
        System.Console.IsOutputRedirected ? (results as StreamWriter)?.BaseStream ?? System.Console.OpenStandardOutput() : null;

    public static readonly IAnsiConsole Console = Create(results, System.Console.IsOutputRedirected);
    public static readonly IAnsiConsole Progress = Create(System.Console.Error, System.Console.IsErrorRedirected);

    public static void Error(string message) => Progress.MarkupLineInterpolated($"[red]sendoff:[/] {message}");

    public static void Warning(string message) => Progress.MarkupLineInterpolated($"[yellow]sendoff:[/] {message}");

    /// <summary>A line, or unchanged JSON.</summary>
    public static void Result(string line) => results.WriteLine(TerminalText.Clean(line));

    /// <summary>Content for other programs: unchanged, unless it is written to a terminal.</summary>
    public static void Content(string text)
    {
        if (!text.EndsWith('\n'))
            text += "\n";
        results.Write(System.Console.IsOutputRedirected ? text : TerminalText.Clean(text));
    }

    /// <summary>
    /// The console's own stream says nothing when the pipe behind it is closed, and a command would go on for nobody. In a file it is the
    /// right one: a file stream counts its own place there, and what the shell's next command prints would go over it.
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
        // A pipe has no width: nothing is wrapped there.
        if (redirected)
            console.Profile.Width = 10_000;
        console.Pipeline.Attach(new CleanText());
        return console;
    }

    /// <summary>Cleans every text on its way to the terminal, whatever it is part of: a line, a table, a tree.</summary>
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
