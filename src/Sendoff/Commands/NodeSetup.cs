using Sendoff.Engine.Workers;
using Spectre.Console;

namespace Sendoff.Commands;

/// <summary>Gets the Node.js for workers. During a download, a terminal shows a progress bar; a log gets a line at the start, every ten
/// seconds and at each phase.</summary>
static class NodeSetup
{
    // Approximate size of the package's tarball, only for the progress bar.
    const double TypicalBytes = 52e6;

    public static async Task<NodeRuntime> EnsureAsync(Settings settings, CancellationToken ct)
    {
        var runtime = new NodeRuntime(
            new NodeOptions { NodePath = settings.NodePath, Authorities = settings.TlsAuthorities },
            new WarningsOnly()
        );
        try
        {
            await (
                Output.Progress.Profile.Capabilities.Interactive
                    ? WithBarAsync(runtime, ct)
                    : runtime.EnsureAsync(new Lines(TimeProvider.System), ct)
            );
            return runtime;
        }
        catch (WorkerUnavailableException x)
        {
            throw new CommandException(x.Message, ExitCode.Usage);
        }
    }

    static Task WithBarAsync(NodeRuntime runtime, CancellationToken ct) =>
        Output
            .Progress.Progress()
            .AutoClear(true)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new SpinnerColumn())
            .StartAsync(async bars =>
            {
                // The bar appears with the first byte. Usually Node.js is in the cache, and nothing is shown.
                ProgressTask? bar = null;
                await runtime.EnsureAsync(
                    new Progress<NodeProgress>(progress =>
                    {
                        bar ??= bars.AddTask("", maxValue: TypicalBytes);
                        bar.Description = $"{progress.Phase} Node.js ({progress.Package})";
                        bar.Value = progress.Phase == NodePhase.Fetching ? Math.Min(progress.Bytes, TypicalBytes * 0.9) : TypicalBytes;
                    }),
                    ct
                );
            });

    /// <summary>Progress for a log: the journal, a container's output, a pipe.</summary>
    sealed class Lines(TimeProvider time) : IProgress<NodeProgress>
    {
        static readonly TimeSpan every = TimeSpan.FromSeconds(10);

        readonly long since = time.GetTimestamp();
        NodePhase? phase;
        TimeSpan said;

        public void Report(NodeProgress value)
        {
            var passed = time.GetElapsedTime(since);
            if (phase == value.Phase && passed - said < every)
                return;
            string size = value.Bytes > 0 ? $", {value.Bytes / 1e6:0.0} MB" : "";
            string first =
                phase is null ? $" with npm, about {TypicalBytes / 1e6:0} MB, for the first start only"
                : passed >= every ? $", {passed.TotalSeconds:0} s"
                : "";
            (phase, said) = (value.Phase, passed);
            Output.Progress.MarkupLineInterpolated(
                $"sendoff: {value.Phase.ToString().ToLowerInvariant()} Node.js ({value.Package}){size}{first}"
            );
        }
    }

    sealed class WarningsOnly : ILogger<NodeRuntime>
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

        public void Log<TState>(
            LogLevel logLevel,
            Microsoft.Extensions.Logging.EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        )
        {
            if (logLevel >= LogLevel.Warning)
                Output.Warning(formatter(state, exception));
            else
                Output.Progress.MarkupLineInterpolated($"[grey]{formatter(state, exception)}[/]");
        }
    }
}
