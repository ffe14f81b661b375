using Sendoff.Engine.Workers;
using Spectre.Console;

namespace Sendoff.Commands;

/// <summary>Gets the Node.js that workers run on, with a progress bar when it has to be fetched and somebody watches.</summary>
static class NodeSetup
{
    public static async Task<string> EnsureAsync(string? configured, CancellationToken ct)
    {
        var runtime = new NodeRuntime(configured);
        try
        {
            return runtime.IsCached || !Output.Progress.Profile.Capabilities.Interactive
                ? await EnsureAsync(runtime, new Progress<NodeProgress>(), ct)
                : await WithBarAsync(runtime, ct);
        }
        catch (WorkerUnavailableException x)
        {
            throw new CommandException(x.Message, ExitCode.Usage);
        }
    }

    static async Task<string> EnsureAsync(NodeRuntime runtime, IProgress<NodeProgress> progress, CancellationToken ct)
    {
        var found = await runtime.EnsureAsync(progress, ct);
        if (found.Warning is { } warning) Output.Warning(warning);
        return found.Path;
    }

    static Task<string> WithBarAsync(NodeRuntime runtime, CancellationToken ct) => Output.Progress.Progress()
        .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new SpinnerColumn())
        .StartAsync(async bars =>
        {
            var bar = bars.AddTask($"Getting Node.js {NodeRuntime.PinnedVersion}", maxValue: 1);
            return await EnsureAsync(runtime, new Progress<NodeProgress>(p => { bar.Description = p.Phase; bar.Value = p.Fraction; }), ct);
        });
}
