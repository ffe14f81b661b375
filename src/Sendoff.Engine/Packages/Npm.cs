using System.Text.Json;
using Microsoft.Extensions.Logging;
using Sendoff.Engine.Workers;

namespace Sendoff.Engine.Packages;

/// <summary>The npm on the PATH, and its isolation.</summary>
/// <param name="Command">Null if there is no npm.</param>
/// <param name="WithoutSandbox">The reason why it installs without a sandbox; null if it uses one.</param>
public sealed record NpmState(string? Command, string? WithoutSandbox);

/// <summary>Runs npm in a sandbox if bubblewrap works, otherwise with the server's permissions and a warning in the log.</summary>
internal sealed class Npm(NodeRuntime node, SandboxOptions isolation, EngineLimits limits, ILogger log)
{
    static readonly TimeSpan shortLimit = TimeSpan.FromSeconds(30);
    static readonly string harness = Path.Combine(AppContext.BaseDirectory, "harness");

    /// <summary>Why npm runs without a sandbox; empty if it runs in one, null before the first try.</summary>
    string? missing;

    /// <summary>The command that sets system limits in the sandbox; null if it does not work.</summary>
    string? prlimit = SystemLimits.Command;

    NpmBounds Bounds(TimeSpan longest) => new(longest, limits.PackagesThreads, limits.PackagesMemoryBytes);

    /// <summary>Prepares npm for one installation. Dispose the session after npm has ended.</summary>
    /// <exception cref="WorkerUnavailableException">A sandbox is required, or has worked before, but npm cannot run in one now.</exception>
    public async Task<NpmSession> OpenAsync(CancellationToken ct)
    {
        if (missing is not (null or ""))
            return new(node, null, Bounds) { WithoutSandbox = missing };
        var (session, why, passes) = await TryAsync(ct).ConfigureAwait(false);
        if (why is null)
        {
            missing = "";
            return session ?? new(node, null, Bounds);
        }
        if (isolation.Mode == SandboxMode.Bubblewrap)
            throw new WorkerUnavailableException($"Workers:Sandbox is bubblewrap, and npm does not run in it: {why}");
        // After the sandbox has worked once, npm never runs without it: otherwise an overloaded machine, or someone who overloads it, could
        // disable it.
        if (missing is "" || passes)
            throw new WorkerUnavailableException($"npm did not start in its sandbox: {why}");
        log.NpmWithoutSandbox(why);
        missing = why;
        return new(node, null, Bounds) { WithoutSandbox = why };
    }

    /// <returns>Why there is no sandbox, and whether the reason is temporary.</returns>
    async Task<(NpmSession? Session, string? Why, bool Passes)> TryAsync(CancellationToken ct)
    {
        if (isolation.Mode == SandboxMode.None)
            return (null, "Workers:Sandbox is none", false);
        if (Sandbox.WhyNot(isolation, out string? bwrap) is { } why)
            return (null, why, false);
        if (node.Npm is not { } command)
            return (null, null, false); // the installation reports it
        if (NpmSandbox.ScriptOf(command) is not { } script)
            return (null, $"{command} is not the script of npm's own package", false);
        DirectoryInfo? work = Directory.CreateTempSubdirectory("sendoff-npm-");
        NpmSession? session = null;
        try
        {
            Bubblewrap.WriteUsers(work.FullName);
            var listed = (
                await node.NpmAsync(["config", "list", "--json"], work.FullName, Bounds(shortLimit), null, ct).ConfigureAwait(false)
            )!;
            if (listed.Code != 0)
                return (null, $"`npm config list --json` failed: {listed.Reason}", listed.IsOver is not null);
            var config = NpmConfig.Read(listed.Output, node.NpmVariable);
            var sandbox = new NpmSandbox(bwrap!, isolation, await node.EnsureAsync(null, ct).ConfigureAwait(false), script, harness, limits)
            {
                Prlimit = prlimit,
            };
            session = new(node, new(sandbox, config, new(config, limits.PackagesHosts), work), Bounds);
            if (missing is not "" && await ProbeAsync(session, work.FullName, ct).ConfigureAwait(false) is { } failed)
                return (null, failed.Reason, failed.IsOver is not null);
            var opened = session;
            (session, work) = (null, null); // the caller owns them now
            return (opened, null, false);
        }
        catch (JsonException x)
        {
            return (null, $"`npm config list --json` did not print the configuration: {x.Message}", false);
        }
        finally
        {
            if (session is not null)
                await session.DisposeAsync().ConfigureAwait(false);
            else
                work?.Delete(recursive: true);
        }
    }

    /// <summary>Runs npm as a test, with system limits, and without them if they cannot be set. Null if it works.</summary>
    async Task<NpmResult?> ProbeAsync(NpmSession session, string work, CancellationToken ct)
    {
        while (true)
        {
            if (
                await session.RunAsync(["--version"], work, hasCredentials: true, shortLimit, ct).ConfigureAwait(false)
                is not { Code: not 0 } failed
            )
                return null;
            if (prlimit is null || failed.IsOver is not null)
                return failed;
            session.Sandbox!.Prlimit = prlimit = null;
        }
    }

    /// <summary>How npm would install packages.</summary>
    public async Task<NpmState> LookAsync(CancellationToken ct)
    {
        await using var session = await OpenAsync(ct).ConfigureAwait(false);
        return new(node.Npm, session.WithoutSandbox);
    }
}

/// <summary>The parts of the sandbox for one installation.</summary>
internal sealed record NpmEnclosure(NpmSandbox Sandbox, NpmConfig Config, RegistryProxy Proxy, DirectoryInfo Work);

/// <summary>npm for one installation.</summary>
/// <param name="enclosure">Null without a sandbox.</param>
/// <param name="bounds">Creates the limits for one call with this timeout.</param>
internal sealed class NpmSession(NodeRuntime node, NpmEnclosure? enclosure, Func<TimeSpan, NpmBounds> bounds) : IAsyncDisposable
{
    /// <summary>The reason why there is no sandbox; null if there is one.</summary>
    public string? WithoutSandbox { get; init; }
    public NpmSandbox? Sandbox => enclosure?.Sandbox;

    /// <summary>The last connection from the sandbox that failed.</summary>
    public ProxyFault? Fault => enclosure?.Proxy.Fault;

    /// <summary>Runs npm in a folder. Returns null if there is no npm on the PATH.</summary>
    /// <param name="hasCredentials">True if npm itself runs, and no code of packages.</param>
    public Task<NpmResult?> RunAsync(string[] arguments, string folder, bool hasCredentials, TimeSpan longest, CancellationToken ct) =>
        node.NpmAsync(
            arguments,
            folder,
            bounds(longest),
            enclosure is null
                ? null
                : environment =>
                    enclosure.Sandbox.Command(
                        arguments,
                        folder,
                        enclosure.Work.FullName,
                        enclosure.Proxy.Address,
                        enclosure.Config,
                        hasCredentials,
                        environment
                    ),
            ct
        );

    public async ValueTask DisposeAsync()
    {
        if (enclosure is null)
            return;
        await enclosure.Proxy.DisposeAsync().ConfigureAwait(false);
        enclosure.Work.Delete(recursive: true);
    }
}
