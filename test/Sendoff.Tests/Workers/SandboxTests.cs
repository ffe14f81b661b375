using Sendoff.Engine.Workers;

namespace Sendoff.Tests.Workers;

/// <summary>What works in the sandbox, and what is in force where it does not.</summary>
public sealed class SandboxTests
{
    static readonly string Harness = Path.Combine(AppContext.BaseDirectory, "harness", "main.mjs");

    static async Task<Sandbox> PrepareAsync(SandboxOptions options) =>
        await Sandbox.PrepareAsync(
            options,
            await WorkerRig.Node.EnsureAsync(null, TestContext.Current.CancellationToken),
            Harness,
            TestContext.Current.CancellationToken
        );

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Errors_carry_the_users_own_file_and_line(bool inSandbox)
    {
        await using var rig = await SandboxRig.StartAsync(inSandbox);
        var error = (await rig.RunAsync("\nthrow new Error('here');")).Steps[0].Error!;
        Assert.Equal(3, error.Line);
        Assert.Contains("step1.js:3", error.Stack);
        Assert.DoesNotContain("/workflow", error.Stack);
        Assert.DoesNotContain(rig.Rooms, error.Stack);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Files_beside_a_step_and_linked_folders_are_read(bool inSandbox)
    {
        string packages = Directory.CreateDirectory(Path.Combine(AppContext.BaseDirectory, $"packages-{Guid.NewGuid():N}")).FullName;
        Directory.CreateDirectory(Path.Combine(packages, "one", "dep"));
        File.WriteAllText(Path.Combine(packages, "one", "dep", "index.js"), "module.exports = 'from the package';");
        await using var rig = await SandboxRig.StartAsync(inSandbox, new() { Readable = [packages] });
        var program = rig.Workers.Program(
            "return [require('dep'), require('./lib/own.js'), (await import('dep')).default, process.cwd()].join()"
        );
        Directory.CreateDirectory(Path.Combine(program.Root, "lib"));
        File.WriteAllText(Path.Combine(program.Root, "lib", "own.js"), "module.exports = 'own';");
        Directory.CreateSymbolicLink(Path.Combine(program.Root, "node_modules"), Path.Combine(packages, "one"));

        var run = await rig.Workers.RunAsync(program);

        Assert.True(run.End == WorkerEnd.Succeeded, run.Message ?? run.Steps[0].Error?.Message);
        Assert.StartsWith("from the package,own,from the package,/tmp", run.Exports(0).GetProperty("$return_value").GetString());
        Directory.Delete(packages, recursive: true);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_step_sees_the_packages_of_its_own_workflow_and_no_others(bool inSandbox)
    {
        string packages = Directory.CreateDirectory(Path.Combine("/var/tmp", $"sendoff-packages-{Guid.NewGuid():N}")).FullName;
        foreach (string set in (string[])["own", "other"])
        {
            string dep = Directory.CreateDirectory(Path.Combine(packages, set, "node_modules", "dep")).FullName,
                needed = Directory.CreateDirectory(Path.Combine(packages, set, "node_modules", "needed")).FullName;
            File.WriteAllText(Path.Combine(dep, "index.js"), "module.exports = require('needed');");
            File.WriteAllText(Path.Combine(needed, "index.js"), $"module.exports = '{set}';");
            Directory.CreateDirectory(Path.Combine(packages, set, "node_modules", ".bin"));
            File.CreateSymbolicLink(Path.Combine(packages, set, "node_modules", ".bin", "dep"), "../dep/index.js");
        }
        await using var rig = await SandboxRig.StartAsync(inSandbox, new() { Packages = packages });
        string step = $$"""
            const fs = require('fs'), found = [require('dep'), require('@acme/scoped')];
            for (const path of ['{{packages}}', '{{packages}}/other/node_modules/dep/index.js', '{{packages}}/own/node_modules/dep/index.js', '{{packages}}/other/node_modules'])
                try { fs.statSync(path).isFile() ? fs.readFileSync(path) : fs.readdirSync(path); found.push('REACHED ' + path) } catch { }
            const real = fs.realpathSync(require.resolve('dep'));
            found.push(fs.readdirSync(require('path').resolve(real, '../../../..')).join());
            try { fs.writeFileSync(real, 'x'); found.push('WRITTEN'); } catch { }
            try { fs.chmodSync(real, 0o777); found.push('CHANGED'); } catch { }
            return found.join();
            """;
        foreach (string set in (string[])["own", "other"])
        {
            var program = rig.Workers.Program(step);
            Directory.CreateDirectory(Path.Combine(program.Root, "node_modules", "@acme"));
            foreach (string name in (string[])["dep", "@acme/scoped"])
                Directory.CreateSymbolicLink(
                    Path.Combine(program.Root, "node_modules", name),
                    Path.Combine(packages, set, "node_modules", "dep")
                );

            var run = await rig.Workers.RunAsync(program);

            Assert.True(run.End == WorkerEnd.Succeeded, run.Message ?? run.Steps[0].Error?.Message);
            Assert.Equal($"{set},{set},{set}", run.Exports(0).GetProperty("$return_value").GetString());
        }
        Directory.Delete(packages, recursive: true);
    }

    [Fact]
    public async Task Names_time_zones_and_the_user_are_known_in_the_sandbox()
    {
        await using var rig = await SandboxRig.StartAsync();
        Assert.Equal(
            "localhost step /tmp",
            await rig.AskAsync(
                "const found = await require('dns').promises.lookup('localhost'); const os = require('os'); "
                    + "return `${found.address ? 'localhost' : ''} ${os.userInfo().username} ${os.homedir()}`;"
            )
        );
    }

    [Fact]
    public async Task A_workers_room_goes_with_the_worker()
    {
        string rooms;
        await using (var rig = await SandboxRig.StartAsync())
        {
            rooms = rig.Rooms;
            Assert.Equal("1", await rig.AskAsync("return 1;"));
            Assert.Contains(Directory.GetDirectories(rooms), room => File.Exists(Path.Combine(room, "step1.js")));
        }
        Assert.False(Directory.Exists(rooms));
    }

    [Fact]
    public async Task Without_bwrap_auto_goes_on_and_says_how_to_get_it()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "bubblewrap is for Linux only");
        using var sandbox = await PrepareAsync(new() { SearchPath = "" });
        Assert.False(sandbox.HasBubblewrap);
        Assert.Contains("no sandbox (bwrap is not installed: apt-get install bubblewrap); permission model on", sandbox.State);
    }

    [Theory]
    [InlineData(SandboxMode.Bubblewrap, true, "Workers:Sandbox is bubblewrap, and bwrap is not installed: apt-get install bubblewrap")]
    [InlineData(SandboxMode.Auto, false, "Workers:Network is none, which requires bubblewrap: bwrap is not installed")]
    [InlineData(SandboxMode.None, false, "Workers:Network is none, which requires bubblewrap: Workers:Sandbox is none")]
    public async Task What_is_demanded_and_not_there_keeps_workers_from_starting(SandboxMode mode, bool network, string says)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "bubblewrap is for Linux only");
        var fault = await Assert.ThrowsAsync<WorkerUnavailableException>(() =>
            PrepareAsync(
                new()
                {
                    Mode = mode,
                    HasNetwork = network,
                    SearchPath = "",
                }
            )
        );
        Assert.StartsWith(says, fault.Message);
    }

    [Fact]
    public async Task A_bwrap_that_does_not_work_is_named_with_its_own_words()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "bubblewrap is for Linux only");
        string folder = Directory.CreateTempSubdirectory("sendoff-test-").FullName,
            file = Path.Combine(folder, "bwrap");
        File.WriteAllText(file, "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n");
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        using var sandbox = await PrepareAsync(new() { SearchPath = folder });
        Assert.Contains("bwrap does not work here: bwrap: No permissions to create new namespace", sandbox.State);
        Directory.Delete(folder, recursive: true);
    }
}
