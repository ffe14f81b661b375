using System.Text.Json;
using Microsoft.Extensions.Logging;
using Sendoff.Engine.Workers;

namespace Sendoff.Engine.Packages;

/// <summary>Runs npm: in a sandbox where bubblewrap works, else with the server's own rights, which the log says once.</summary>
internal sealed class Npm(NodeRuntime node, SandboxOptions isolation, EngineLimits limits, ILogger log)
{
    static readonly TimeSpan shortLimit = TimeSpan.FromSeconds(30);
    static readonly string harness = Path.Combine(AppContext.BaseDirectory, "harness");

    /// <summary>Why npm runs without a sandbox; empty when it runs in one, null before it was tried.</summary>
    string? missing;

    /// <summary>Makes ready what one installation needs. Dispose it when npm has ended.</summary>
    /// <exception cref="WorkerUnavailableException">A sandbox is demanded, and there is none for npm.</exception>
    public async Task<NpmSession> OpenAsync(CancellationToken ct)
    {
        if (missing is not (null or "")) return new(node, null);
        var (session, why) = await TryAsync(ct).ConfigureAwait(false);
        if (why is not null && isolation.Mode == SandboxMode.Bubblewrap) throw new WorkerUnavailableException($"Workers:Sandbox is bubblewrap, and npm does not run in it: {why}");
        if (missing is null && why is not null) log.NpmWithoutSandbox(why);
        missing ??= why ?? "";
        return session ?? new(node, null);
    }

    async Task<(NpmSession? Session, string? Why)> TryAsync(CancellationToken ct)
    {
        if (isolation.Mode == SandboxMode.None) return (null, "Workers:Sandbox is none");
        if (Sandbox.WhyNot(isolation, out string? bwrap) is { } why) return (null, why);
        if (node.Npm is not { } command) return (new(node, null), null); // the installation says so
        if (NpmSandbox.ScriptOf(command) is not { } script) return (null, $"{command} is not the script of npm's own package");
        var work = Directory.CreateTempSubdirectory("sendoff-npm-");
        Bubblewrap.WriteUsers(work.FullName);
        var listed = (await node.NpmAsync(["config", "list", "--json"], work.FullName, shortLimit, null, ct).ConfigureAwait(false))!;
        NpmSession session;
        try
        {
            var config = NpmConfig.Read(listed.Output, node.NpmVariable);
            session = new(node, new(new(bwrap!, isolation, await node.EnsureAsync(null, ct).ConfigureAwait(false), script, harness), config, new(config, limits.PackagesHosts), work));
        }
        catch (JsonException x)
        {
            work.Delete(recursive: true);
            return (null, $"`npm config list --json` answers with what is not its configuration: {(listed.Code == 0 ? x.Message : listed.Reason)}");
        }
        // Tried, not guessed.
        if (missing == "" || await session.RunAsync(["--version"], work.FullName, hasCredentials: true, shortLimit, ct).ConfigureAwait(false) is not { Code: not 0 } failed) return (session, null);
        await session.DisposeAsync().ConfigureAwait(false);
        return (null, failed.Reason);
    }
}

/// <summary>What is made for one installation in the sandbox.</summary>
internal sealed record NpmEnclosure(NpmSandbox Sandbox, NpmConfig Config, RegistryProxy Proxy, DirectoryInfo Work);

/// <summary>npm for one installation.</summary>
/// <param name="enclosure">Null without a sandbox.</param>
internal sealed class NpmSession(NodeRuntime node, NpmEnclosure? enclosure) : IAsyncDisposable
{
    /// <summary>The last connection out of the sandbox that was not made.</summary>
    public ProxyFault? Fault => enclosure?.Proxy.Fault;

    /// <summary>Runs npm in a folder. Null when there is no npm on the PATH.</summary>
    /// <param name="hasCredentials">npm itself runs, and no code of packages.</param>
    public Task<NpmResult?> RunAsync(string[] arguments, string folder, bool hasCredentials, TimeSpan longest, CancellationToken ct) => node.NpmAsync(
        arguments, folder, longest,
        enclosure is null ? null : environment => enclosure.Sandbox.Command(
            arguments, folder, enclosure.Work.FullName, enclosure.Proxy.Address, enclosure.Config, hasCredentials, environment), ct);

    public async ValueTask DisposeAsync()
    {
        if (enclosure is null) return;
        await enclosure.Proxy.DisposeAsync().ConfigureAwait(false);
        enclosure.Work.Delete(recursive: true);
    }
}
