using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Sendoff.Engine.Workers;
using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Packages;

/// <summary>The packages of a version: the installed folder for each name in imports, and the lock with exact versions; or the
/// problems.</summary>
public sealed record InstalledPackages(IReadOnlyDictionary<string, string> Folders, string? Lock, IReadOnlyList<WorkflowProblem> Problems)
{
    public static readonly InstalledPackages None = new(new Dictionary<string, string>(), null, []);

    /// <summary>The folder with all packages; null if there are none.</summary>
    public string? Root { get; init; }

    /// <summary>Why npm installed them without a sandbox; null if it used one, or was not needed.</summary>
    public string? WithoutSandbox { get; init; }

    /// <summary>Packages whose install scripts were not run.</summary>
    public IReadOnlyList<string> ScriptsLeftOut { get; init; } = [];

    /// <summary>The files to store, including the lock, so that this version has the same packages on every machine.</summary>
    public IReadOnlyDictionary<string, string> AddLock(IReadOnlyDictionary<string, string> files) =>
        Lock is null ? files : new Dictionary<string, string>(files) { [PackageFolder.LockFile] = Lock };
}

/// <summary>Installs npm packages for steps, once for all versions with the same lock (E3).</summary>
/// <remarks>(1) find the imports  (2) look for a folder with the stored lock  (3) otherwise npm installs into a new folder  (4) which is
/// named by its content.</remarks>
/// <param name="root">Contains one folder for each content, and folders of installations in progress.</param>
/// <param name="isolation">Whether npm installs in a sandbox.</param>
public sealed partial class PackageFolder(
    string root,
    NodeRuntime node,
    SandboxOptions isolation,
    EngineLimits limits,
    ILogger<PackageFolder> log
)
{
    /// <summary>The lock in a version's files.</summary>
    public const string LockFile = "sendoff-lock.json";
    const string Fresh = "new-";

    /// <summary>The allocation unit of file systems.</summary>
    const int BlockBytes = 4096;
    static readonly TimeSpan sizeEvery = TimeSpan.FromMilliseconds(250);

    readonly string root = Path.GetFullPath(root);
    readonly SemaphoreSlim one = new(1);
    readonly Npm npm = new(node, isolation, limits, log);

    /// <summary>Finds the installed packages of a version's steps; a missing package is a problem. Used for runs, which never need npm
    /// (E3).</summary>
    public InstalledPackages Find(WorkflowDefinition definition, IReadOnlyDictionary<string, string> files)
    {
        var plan = PackagePlan.Of(definition, files, limits.PackagesImported);
        if (plan.Problems.Count > 0 || plan.IsEmpty)
            return InstalledPackages.None with { Problems = plan.Problems };
        var (asked, names) = plan.Dependencies();
        if (
            files.GetValueOrDefault(LockFile) is { } stored
            && PackageLock.Exact(stored, asked) is not null
            && Directory.Exists(FolderOf(stored))
        )
            return Installed(stored, names);
        return InstalledPackages.None with
        {
            Problems =
            [
                new(
                    $"the packages of this version are no longer in {root}; restart the server or deploy the workflow again "
                        + "to install them"
                ),
            ],
        };
    }

    /// <summary>Finds or installs the packages of a workflow's steps.</summary>
    /// <param name="progress">Called once if npm is needed.</param>
    public async Task<InstalledPackages> InstallAsync(
        WorkflowDefinition definition,
        IReadOnlyDictionary<string, string> files,
        IProgress<string>? progress,
        CancellationToken ct
    )
    {
        // (1)
        var plan = PackagePlan.Of(definition, files, limits.PackagesImported);
        if (plan.Problems.Count > 0)
            return InstalledPackages.None with { Problems = plan.Problems };
        if (plan.IsEmpty)
            return InstalledPackages.None;
        var (asked, names) = plan.Dependencies();
        // (2)
        string? stored = files.GetValueOrDefault(LockFile);
        var exact = stored is null ? null : PackageLock.Exact(stored, asked);
        if (exact is not null && Directory.Exists(FolderOf(stored!)))
            return Installed(stored!, names);
        await one.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            // (3)
            progress?.Report($"npm installs {string.Join(", ", plan.Asked.Select(a => a.Package.Folder))}");
            await using var session = await npm.OpenAsync(ct).ConfigureAwait(false);
            var installed = await InstallAsync(session, plan, exact is null ? null : stored, exact ?? asked, names, ct)
                .ConfigureAwait(false);
            return installed with { WithoutSandbox = session.WithoutSandbox };
        }
        catch (WorkerUnavailableException x)
        {
            return Refused(PackagePlan.Problem(plan.Asked.First().First, x.Message));
        }
        finally
        {
            one.Release();
        }
    }

    /// <param name="stored">The lock to install; null creates a new one.</param>
    async Task<InstalledPackages> InstallAsync(
        NpmSession session,
        PackagePlan plan,
        string? stored,
        JsonObject dependencies,
        IReadOnlyDictionary<string, string> names,
        CancellationToken ct
    )
    {
        string fresh = Path.Combine(root, Fresh + Guid.NewGuid().ToString("N"));
        try
        {
            Directory.CreateDirectory(fresh);
            await WriteAsync(fresh, dependencies, stored is null ? null : PackageLock.ForNpm(stored), ct).ConfigureAwait(false);
            if (await NpmAsync(session, fresh, stored is null ? "install" : "ci", [], plan, ct).ConfigureAwait(false) is { } problem)
                return Refused(problem);
            string made = await File.ReadAllTextAsync(Path.Combine(fresh, "package-lock.json"), ct).ConfigureAwait(false);
            if (PackageLock.WhyForeign(made) is { } foreign)
                return Refused(
                    PackagePlan.Problem(
                        plan.Asked.First().First,
                        $"a package does not come from the registry: {foreign}",
                        NpmError.OnlyRegistry
                    )
                );
            string text = stored ?? PackageLock.From(made, dependencies);
            if (
                PackageLock.PathsWithScripts(text, limits.PackagesAllowScripts) is { Count: > 0 } paths
                && await NpmAsync(session, fresh, "rebuild", [.. paths.Select(static path => "./" + path)], plan, ct).ConfigureAwait(false)
                    is { } failed
            )
                return Refused(failed);
            // (4)
            return Keep(fresh, text, names);
        }
        finally
        {
            if (Directory.Exists(fresh))
                Directory.Delete(fresh, recursive: true);
        }
    }

    static InstalledPackages Refused(WorkflowProblem problem) => InstalledPackages.None with { Problems = [problem] };

    /// <summary>How npm would install packages on this machine.</summary>
    /// <exception cref="WorkerUnavailableException">npm cannot install, because the settings require a sandbox.</exception>
    public Task<NpmState> LookAtNpmAsync(CancellationToken ct) => npm.LookAsync(ct);

    /// <summary>Whether the name is a valid npm package name.</summary>
    public static bool IsName(string name) => PackageSpecifier.IsName(name);

    /// <summary>Removes packages that none of these locks needs, and incomplete installations. Call it at the start.</summary>
    public void Sweep(IEnumerable<string> locks)
    {
        if (!Directory.Exists(root))
            return;
        var needed = locks.Where(text => PackageLock.Count(text) is not null).Select(FolderOf).ToHashSet();
        foreach (string folder in Directory.EnumerateDirectories(root).Where(folder => !needed.Contains(folder)).ToList())
        {
            try
            {
                // Rename the folder first: a folder with this name must be complete.
                string old = Path.Combine(root, Fresh + Guid.NewGuid().ToString("N"));
                Directory.Move(folder, old);
                Directory.Delete(old, recursive: true);
            }
            catch (Exception x) when (x is IOException or UnauthorizedAccessException)
            {
                // The next start removes it.
            }
        }
    }

    string FolderOf(string text) => Path.Combine(root, PackageLock.FolderName(text, Allowed(text)));

    IReadOnlyList<string> Allowed(string text) => [.. PackageLock.WithScripts(text).Where(limits.PackagesAllowScripts.Contains)];

    InstalledPackages Installed(string text, IReadOnlyDictionary<string, string> names)
    {
        string modules = Path.Combine(FolderOf(text), "node_modules");
        var folders = names.ToDictionary(n => n.Key, n => Path.Combine(modules, n.Value));
        return new(folders, text, []) { Root = FolderOf(text), ScriptsLeftOut = [.. PackageLock.WithScripts(text).Except(Allowed(text))] };
    }

    static async Task WriteAsync(string folder, JsonObject dependencies, string? locked, CancellationToken ct)
    {
        var manifest = new JsonObject
        {
            ["name"] = "packages",
            ["private"] = true,
            ["dependencies"] = dependencies.DeepClone(),
        };
        await File.WriteAllTextAsync(Path.Combine(folder, "package.json"), manifest.ToJsonString(), ct).ConfigureAwait(false);
        if (locked is not null)
            await File.WriteAllTextAsync(Path.Combine(folder, "package-lock.json"), locked, ct).ConfigureAwait(false);
    }

    InstalledPackages Keep(string fresh, string text, IReadOnlyDictionary<string, string> names)
    {
        var installed = Installed(text, names);
        string target = FolderOf(text);
        if (Directory.Exists(target))
            return installed;
        Flush();
        Directory.Move(fresh, target);
        log.PackagesInstalled(PackageLock.Count(text) ?? 0, target);
        if (installed.ScriptsLeftOut.Count > 0)
            log.PackageScriptsLeftOut(string.Join(", ", installed.ScriptsLeftOut));
        return installed;
    }

    /// <summary>Returns the error, or null.</summary>
    async Task<WorkflowProblem?> NpmAsync(
        NpmSession session,
        string folder,
        string command,
        IReadOnlyList<string> packages,
        PackagePlan plan,
        CancellationToken ct
    )
    {
        string scripts = command == "rebuild" ? "--ignore-scripts=false" : "--ignore-scripts";
        string[] arguments =
        [
            command,
            .. packages,
            scripts,
            "--no-audit",
            "--no-fund",
            "--no-update-notifier",
            "--json",
            "--omit=dev",
            "--omit-lockfile-registry-resolved",
            "--fetch-retry-mintimeout=1000",
            "--fetch-retry-maxtimeout=5000",
            // Override the user's configuration: npm must write a lock, and install packages where the lock says.
            "--save",
            "--package-lock",
            "--lockfile-version=3",
            "--no-package-lock-only",
            "--no-dry-run",
            "--no-global",
            "--install-strategy=hoisted",
            // npm must not run git, including versions that do not know allow-git.
            "--git=" + Path.Combine(folder, NpmError.NoGit),
        ];
        using var size = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var running = session.RunAsync(arguments, folder, hasCredentials: command != "rebuild", limits.PackagesTimeout, size.Token);
        bool isOver = false;
        while (await Task.WhenAny(running, Task.Delay(sizeEvery, ct)).ConfigureAwait(false) != running)
        {
            if (isOver || SizeOf(folder) <= limits.PackagesBytes)
                continue;
            isOver = true;
            await size.CancelAsync().ConfigureAwait(false);
        }
        var first = plan.Asked.First().First;
        try
        {
            if (await running.ConfigureAwait(false) is not { } result)
                return PackagePlan.Problem(
                    first,
                    "a package is imported, but npm is not on the PATH",
                    "install npm beside Node.js, or put the code into the folder"
                );
            if (result.Code == 0)
                return SizeOf(folder) > limits.PackagesBytes ? TooLarge(first) : null;
            if (result.IsOver is { } bound)
                return OverBound(first, bound);
            return (session.Fault is { } fault ? NpmError.Of(fault) : NpmError.Of(result)).ToProblem(plan);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return TooLarge(first);
        }
    }

    WorkflowProblem OverBound(Import first, NpmBound bound) =>
        bound switch
        {
            NpmBound.Time => PackagePlan.Problem(
                first,
                $"npm did not install within {limits.PackagesTimeout.TotalSeconds:0.#} seconds",
                "try again, or raise the setting Packages:Timeout"
            ),
            NpmBound.Memory => PackagePlan.Problem(
                first,
                $"npm and its install scripts used more than {limits.PackagesMemoryBytes:N0} bytes of memory",
                "import fewer packages, or raise the setting Packages:Memory"
            ),
            _ => PackagePlan.Problem(
                first,
                $"an install script started more than {limits.PackagesThreads:N0} processes and threads",
                "do not run its install script: remove it from Packages:AllowScripts"
            ),
        };

    WorkflowProblem TooLarge(Import first) =>
        PackagePlan.Problem(
            first,
            $"the packages use more than {limits.PackagesBytes:N0} bytes",
            "import fewer packages, or raise the setting Packages:MaxBytes"
        );

    // npm moves and removes files meanwhile. Empty files use space too, and there may be millions of them.
    static long SizeOf(string folder)
    {
        try
        {
            var all = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint };
            return new DirectoryInfo(folder)
                .EnumerateFileSystemInfos("*", all)
                .Sum(static entry => ((entry as FileInfo)?.Length ?? 0) / BlockBytes * BlockBytes + BlockBytes);
        }
        catch (IOException)
        {
            return 0;
        }
    }

    // A power failure after the rename must not leave empty files in the folder.
    static void Flush()
    {
        if (!OperatingSystem.IsWindows())
            Sync();
    }

    [LibraryImport("libc", EntryPoint = "sync")]
    private static partial void Sync();
}
