using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Workers;
using Sendoff.Tests.Support;
using Sendoff.Tests.Workers;

namespace Sendoff.Tests.Packages;

/// <summary>S7: what npm and install scripts take of the machine, and whose scripts run.</summary>
public sealed class PackageLimitTests : PackageRig
{
    [Theory]
    [InlineData("memory", "bytes of memory", "Packages:Memory")]
    [InlineData("processes", "processes and threads", "Packages:AllowScripts")]
    public async Task An_install_script_that_takes_too_much_ends_with_all_that_it_started(string what, string says, string mend)
    {
        await SandboxRig.RequireAsync();
        string mark = $"mark-{Guid.NewGuid():N}";
        string script = $$"""
            const { spawn } = require('child_process');
            const take = {{(
                what == "memory"
                    ? "'const all = []; setInterval(() => all.length < 9 && all.push(Buffer.alloc(16 << 20, 1)), 20)'"
                    : "'setInterval(() => {}, 1000)'"
            )}};
            for (let i = 0; i < {{(
                what == "memory" ? 4 : 20
            )}}; i++) spawn(process.execPath, ['-e', take, '{{mark}}'], { detached: true, stdio: 'ignore' }).on('error', () => { }).unref();
            setInterval(() => { }, 1000);
            """;
        registry.Publish(
            "built",
            "1.0.0",
            new() { ["index.js"] = "", ["install.js"] = script },
            """{ "scripts": { "install": "node install.js" } }"""
        );
        await StartAsync(
            new EngineLimits
            {
                PackagesAllowScripts = ["built"],
                PackagesMemoryBytes = what == "memory" ? 512 << 20 : 8L << 30,
                PackagesThreads = what == "memory" ? 512 : 120,
            },
            SandboxMode.Bubblewrap
        );

        var problem = await ProblemAsync(Workflow(Returning("built", "import built from 'built'")));

        // Where the system's own limit of processes holds, as it does not for root, none is over it.
        if (what == "memory" || Environment.IsPrivilegedProcess)
        {
            AssertAt(problem, "step.mjs", 1, 19, says);
            Assert.Contains(mend, problem.GetRawText());
        }
        await Wait.UntilAsync(() => !Commands(mark).Any());
        Assert.Empty(Installed);
    }

    static IEnumerable<string> Commands(string mark) =>
        Directory
            .EnumerateDirectories("/proc")
            .Select(static folder =>
            {
                try
                {
                    return File.ReadAllText(Path.Combine(folder, "cmdline"));
                }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException)
                {
                    return "";
                }
            })
            .Where(command => command.Contains(mark));

    [Fact]
    public async Task Npm_in_the_sandbox_has_the_limits_of_the_system()
    {
        await SandboxRig.RequireAsync();
        const string script =
            "require('fs').writeFileSync('made.js', 'module.exports = ' + JSON.stringify(require('fs').readFileSync('/proc/self/limits', "
            + "'utf8')))";
        registry.Publish(
            "built",
            "1.0.0",
            new() { ["index.js"] = "module.exports = require('./made.js')", ["install.js"] = script },
            """{ "scripts": { "install": "node install.js" } }"""
        );
        await StartAsync(
            new EngineLimits
            {
                PackagesAllowScripts = ["built"],
                PackagesMemoryBytes = 700 << 20,
                PackagesThreads = 333,
            },
            SandboxMode.Bubblewrap
        );

        string[] lines = (
            await ValueAsync(await server!.DeployAsync("orders", Workflow(Returning("built", "import built from 'built'"))))
        )!.Split('\n');

        foreach (
            var (name, value) in ((string, string)[])
                [
                    ("Max processes", "333"),
                    ("Max data size", $"{700 << 20}"),
                    ("Max open files", "4096"),
                    ("Max core file size", "0"),
                    ("Max file size", $"{(500L + 128) << 20}"),
                ]
        )
            Assert.Contains($" {value} ", lines.Single(line => line.StartsWith(name, StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_package_that_calls_itself_by_an_allowed_name_runs_no_script()
    {
        const string index = "module.exports = require('fs').existsSync(__dirname + '/made.js')",
            script = "require('fs').writeFileSync('made.js', '')",
            manifest = """{ "scripts": { "install": "node install.js" } }""";
        Dictionary<string, string> files = new() { ["index.js"] = index, ["install.js"] = script };
        registry.Publish("trusted", "1.0.0", files, manifest);
        registry.Publish("evil", "2.0.0", files, manifest);
        registry.Publish(
            "alias",
            "1.0.0",
            new() { ["index.js"] = "module.exports = require('trusted')" },
            """{ "dependencies": { "trusted": "npm:evil@2.0.0" } }"""
        );
        registry.Publish(
            "bundle",
            "1.0.0",
            new()
            {
                ["index.js"] = "module.exports = require('trusted')",
                ["node_modules/trusted/index.js"] = index,
                ["node_modules/trusted/install.js"] = script,
                ["node_modules/trusted/package.json"] =
                    """{ "name": "trusted", "version": "1.0.0", "scripts": { "install": "node install.js" } }""",
            },
            """{ "dependencies": { "trusted": "1.0.0" }, "bundleDependencies": ["trusted"] }"""
        );
        await StartAsync(new EngineLimits { PackagesAllowScripts = ["trusted"] });

        string hook = await server!.DeployAsync(
            "orders",
            Workflow(
                Returning(
                    "[trusted, alias, bundle].join()",
                    "import trusted from 'trusted'; import alias from 'alias'; import bundle from 'bundle'"
                )
            )
        );

        Assert.Equal("true,false,false", await ValueAsync(hook));
    }

    [Fact]
    public async Task Empty_files_take_space_too()
    {
        registry.Publish("many", "1.0.0", Enumerable.Range(0, 3_000).ToDictionary(static i => $"{i % 50}/{i}.txt", static _ => ""));
        await StartAsync(new EngineLimits { PackagesBytes = 10_000_000 });
        AssertAt(
            await ProblemAsync(Workflow(Returning("many", "import many from 'many'"))),
            "step.mjs",
            1,
            18,
            "use more than 10,000,000 bytes"
        );
        Assert.Empty(Installed);
    }

    [Fact]
    public async Task A_sandbox_that_has_worked_is_not_given_up()
    {
        await SandboxRig.RequireAsync();
        registry.Publish("ms", "2.1.0");
        registry.Publish("other", "1.0.0");
        string npmrc = registry.Variables["npm_config_userconfig"] = Path.Combine(folder.Path, "npmrc");
        await StartAsync();
        Assert.Equal("ms 2.1.0", await ValueAsync(await server!.DeployAsync("orders", Workflow(Returning("ms", "import ms from 'ms'")))));

        await File.WriteAllTextAsync(npmrc, "usage=true\n", Ct); // npm says how it is used, and nothing else
        AssertAt(
            await ProblemAsync(Workflow(Returning("other", "import other from 'other'"))),
            "step.mjs",
            1,
            19,
            "npm did not start in its sandbox"
        );
        Assert.DoesNotContain(server.Logs, line => line.Contains("without a sandbox"));

        File.Delete(npmrc);
        await server.DeployAsync("orders", Workflow(Returning("other", "import other from 'other'")));
    }

    [Theory]
    [InlineData("package-lock=false")]
    [InlineData("package-lock-only=true")]
    [InlineData("dry-run=true")]
    [InlineData("lockfile-version=1")]
    [InlineData("install-strategy=linked")]
    [InlineData("global=true")]
    [InlineData("save=false")]
    [InlineData("offline=false\nprefer-offline=true\nloglevel=silly\nignore-scripts=false\nprogress=true")]
    public async Task Settings_of_the_users_npm_do_not_change_what_is_installed(string setting)
    {
        string npmrc = registry.Variables["npm_config_userconfig"] = Path.Combine(folder.Path, "npmrc");
        await File.WriteAllTextAsync(npmrc, setting + "\n", Ct);
        registry.Publish("ms", "2.1.0");
        await StartAsync();
        Assert.Equal("ms 2.1.0", await ValueAsync(await server!.DeployAsync("orders", Workflow(Returning("ms", "import ms from 'ms'")))));
    }

    [Fact]
    public async Task What_npm_prints_is_kept_up_to_a_bound()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the fake npm is a shell script");
        string npm = Path.Combine(folder.Path, "npm");
        await File.WriteAllTextAsync(
            npm,
            "#!/bin/sh\nprintf 'the first'\nhead -c 50000000 /dev/zero\nhead -c 50000000 /dev/zero >&2\n",
            Ct
        );
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(npm, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        var node = await TestNode.Runtime.EnsureAsync(null, Ct);
        var runtime = new NodeRuntime(
            new NodeOptions { NodePath = node.Path, SearchPath = folder.Path + ":/usr/bin:/bin" },
            NullLogger<NodeRuntime>.Instance
        );

        var said = await runtime.NpmAsync([], folder.Path, new(TimeSpan.FromMinutes(1), 512, 1L << 30), null, Ct);

        Assert.Equal(0, said!.Code);
        Assert.StartsWith("the first", said.Output);
        Assert.InRange(said.Output.Length, 1, 5_000_000);
    }

    [Fact]
    public async Task Run_says_that_npm_has_no_sandbox()
    {
        registry.Publish("ms", "2.1.0");
        foreach (var (path, text) in Workflow(Returning("ms", "import ms from 'ms'")))
            await File.WriteAllTextAsync(Path.Combine(folder.Path, path), text, Ct);
        var environment = new Dictionary<string, string>(registry.Environment)
        {
            ["XDG_CACHE_HOME"] = Path.Combine(folder.Path, "cache"),
            ["SENDOFF_Workers__NodePath"] = (await TestNode.Runtime.EnsureAsync(null, Ct)).Path,
            ["SENDOFF_Workers__Sandbox"] = "none",
        };
        var result = await SendoffCommand.RunAsync(["run", folder.Path], environment: environment);
        Assert.Equal(0, result.ExitCode);
        Assert.Contains("npm installs packages without a sandbox", result.Error.ReplaceLineEndings(" "));
        Assert.Contains("Workers:Sandbox is none", result.Error.ReplaceLineEndings(" "));
    }
}
