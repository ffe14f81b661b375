using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Packages;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Workers;
using Sendoff.Engine.Workflows;
using Spectre.Console;

namespace Sendoff.Commands;

/// <summary>The folder that a run in this process reads: the user's folder, or a copy laid out with packages from npm, as in a
/// deploy.</summary>
sealed class PreparedFolder(string root, IDisposable? laidOut) : IDisposable
{
    public string Root { get; } = root;

    /// <summary>The folder of the installed packages; null if there are none.</summary>
    public string? Packages { get; init; }

    public void Dispose() => laidOut?.Dispose();
}

/// <summary>Installs the packages that the steps import, in the user's cache.</summary>
static class PackageSetup
{
    // Imports without a version are resolved again after this time; a deploy always resolves them.
    static readonly TimeSpan lockAge = TimeSpan.FromDays(1);

    public static async Task<PreparedFolder> PrepareAsync(
        NodeRuntime node,
        SandboxOptions isolation,
        EngineLimits limits,
        string root,
        WorkflowDefinition definition,
        IReadOnlyDictionary<string, string> files,
        CancellationToken ct
    )
    {
        var packages = FolderOf(node, isolation, limits);
        string lastLock = Path.Combine(
            node.CacheFolder,
            "locks",
            Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{root}\n{definition.Name}")))[..32] + ".json"
        );
        try
        {
            var installed = await packages.InstallAsync(definition, WithLastLock(files, lastLock), new SaidAtOnce(), ct);
            if (installed.WithoutSandbox is { } why)
                WarnWithoutSandbox(why);
            if (installed.Problems.Count > 0)
            {
                ProblemPrinter.Print(installed.Problems);
                throw new CommandException($"{definition.Name} cannot run; {ProblemPrinter.Count(installed.Problems)}", ExitCode.Usage);
            }
            if (installed.Lock is not { } text)
                return new(root, null);
            if (installed.ScriptsLeftOut.Count > 0)
                Output.Warning(
                    $"the install scripts of {string.Join(", ", installed.ScriptsLeftOut)} were not run; if they are needed, "
                        + "add the packages to SENDOFF_Packages__AllowScripts"
                );
            Remember(lastLock, text);
            var laidOut = new ProgramFolder(Path.Combine(node.CacheFolder, "runs")).Trial(files, installed.Folders);
            return new(laidOut.Root, laidOut) { Packages = installed.Root };
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException)
        {
            throw NotKept(node, x);
        }
    }

    public static PackageFolder FolderOf(NodeRuntime node, SandboxOptions isolation, EngineLimits limits) =>
        new(Path.Combine(node.CacheFolder, "packages"), node, isolation, limits, NullLogger<PackageFolder>.Instance);

    public static CommandException NotKept(NodeRuntime node, Exception why) =>
        new($"packages cannot be stored in {node.CacheFolder}: {why.Message}", ExitCode.Usage);

    static IReadOnlyDictionary<string, string> WithLastLock(IReadOnlyDictionary<string, string> files, string lastLock) =>
        files.ContainsKey(PackageFolder.LockFile)
        || !File.Exists(lastLock)
        || File.GetLastWriteTimeUtc(lastLock) < TimeProvider.System.GetUtcNow() - lockAge
            ? files
            : new Dictionary<string, string>(files) { [PackageFolder.LockFile] = File.ReadAllText(lastLock) };

    // Keep the time of the original lookup.
    static void Remember(string lastLock, string text)
    {
        if (
            File.Exists(lastLock)
            && File.ReadAllText(lastLock) == text
            && File.GetLastWriteTimeUtc(lastLock) >= TimeProvider.System.GetUtcNow() - lockAge
        )
            return;
        Directory.CreateDirectory(Path.GetDirectoryName(lastLock)!);
        File.WriteAllText(lastLock, text);
    }

    public static void WarnWithoutSandbox(string why) =>
        Output.Warning(
            $"npm installs packages without a sandbox, with your permissions and network access: {why} (docs/operating.md, Isolation)"
        );
}

/// <summary>Prints progress of npm as lines on the terminal.</summary>
sealed class SaidAtOnce : IProgress<string>
{
    public void Report(string value) => Output.Progress.MarkupLineInterpolated($"[grey]{value}[/]");
}
