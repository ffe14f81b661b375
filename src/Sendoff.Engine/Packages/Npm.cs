using System.Text.Json;
using Microsoft.Extensions.Logging;
using Sendoff.Engine.Workers;

namespace Sendoff.Engine.Packages;

/// <summary>The npm on the PATH, and its isolation.</summary>
/// <param name="Command">Null where there is none.</param>
/// <param name="WithoutSandbox">The reason why it installs without a sandbox; null if it uses one.</param>
public sealed record NpmState(string? Command, string? WithoutSandbox);

/// <summary>Runs npm in a sandbox if bubblewrap works, otherwise with the server's permissions and a warning in the log.</summary>
internal sealed class Npm(NodeRuntime node, SandboxOptions isolation, EngineLimits limits, ILogger log)
{
    static readonly TimeSpan shortLimit = TimeSpan.FromSeconds(30);
    static readonly string harness = Path.Combine(AppContext.BaseDirectory, "harness");

    /// <summary>Why npm runs without a sandbox; empty when it runs in one, null before it was tried.</summary>
    string? missing;

    /// <summary>What sets limits in the sandbox; null where that does not work.</summary>
    string? prlimit = SystemLimits.Command;

    NpmBounds Bounds(TimeSpan longest) => new(longest, limits.PackagesThreads, limits.PackagesMemoryBytes);

    /// <summary>Makes ready what one installation needs. Dispose it when npm has ended.</summary>
    /// <exception cref="WorkerUnavailableException">A sandbox is demanded, or has worked before, and there is none for npm now.</exception>
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
        // A sandbox that works is never given up: a busy machine, or whoever keeps it busy, would end it.
        if (missing is "" || passes)
            throw new WorkerUnavailableException($"npm did not start in its sandbox this time: {why}");
        log.NpmWithoutSandbox(why);
        missing = why;
        return new(node, null, Bounds) { WithoutSandbox = why };
    }

    /// <returns>Why there is none, and whether that passes.</returns>
    async Task<(NpmSession? Session, string? Why, bool Passes)> TryAsync(CancellationToken ct)
    {
        if (isolation.Mode == SandboxMode.None)
            return (null, "Workers:Sandbox is none", false);
        if (Sandbox.WhyNot(isolation, out string? bwrap) is { } why)
            return (null, why, false);
        if (node.Npm is not { } command)
            return (null, null, false); // the installation says so
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
                return (null, $"`npm config list --json` does not work: {listed.Reason}", listed.IsOver is not null);
            var config = NpmConfig.Read(listed.Output, node.NpmVariable);
            var sandbox = new NpmSandbox(bwrap!, isolation, await node.EnsureAsync(null, ct).ConfigureAwait(false), script, harness, limits)
            {
                Prlimit = prlimit,
            };
            session = new(node, new(sandbox, config, new(config, limits.PackagesHosts), work), Bounds);
            if (missing is not "" && await ProbeAsync(session, work.FullName, ct).ConfigureAwait(false) is { } failed)
                return (null, failed.Reason, failed.IsOver is not null);
            var opened = session;
            (session, work) = (null, null); // they are the caller's from here on
            return (opened, null, false);
        }
        catch (JsonException x)
        {
            return (null, $"`npm config list --json` does not print its configuration: {x.Message}", false);
        }
        finally
        {
            if (session is not null)
                await session.DisposeAsync().ConfigureAwait(false);
            else
                work?.Delete(recursive: true);
        }
    }

    /// <summary>Tried, not guessed: with the limits of the system, and without where they cannot be set. Null when it runs.</summary>
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

    /// <summary>How npm would install.</summary>
    public async Task<NpmState> LookAsync(CancellationToken ct)
    {
        await using var session = await OpenAsync(ct).ConfigureAwait(false);
        return new(node.Npm, session.WithoutSandbox);
    }
}

/// <summary>What is made for one installation in the sandbox.</summary>
internal sealed record NpmEnclosure(NpmSandbox Sandbox, NpmConfig Config, RegistryProxy Proxy, DirectoryInfo Work);

/// <summary>npm for one installation.</summary>
/// <param name="enclosure">Null without a sandbox.</param>
/// <param name="bounds">Makes the bounds of one call that may take so long.</param>
internal sealed class NpmSession(NodeRuntime node, NpmEnclosure? enclosure, Func<TimeSpan, NpmBounds> bounds) : IAsyncDisposable
{
    /// <summary>The reason why there is no sandbox; null if there is one.</summary>
    public string? WithoutSandbox { get; init; }
    public NpmSandbox? Sandbox => enclosure?.Sandbox;

    /// <summary>The last connection out of the sandbox that was not made.</summary>
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
