using Sendoff.Tests.Support;

namespace Sendoff.Tests.Runs;

/// <summary>The files of deployed versions on disk: written anew at every start, and gone with their workflow.</summary>
public sealed class ProgramFolderTests : IDisposable
{
    readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    string[] Versions => [.. Directory.EnumerateDirectories(Path.Combine(folder.Path, "versions")).Select(path => Path.GetFileName(path))];

    [Fact]
    public async Task What_a_power_cut_left_of_a_version_is_written_anew_at_the_start()
    {
        await using (var rig = await RunRig.StartAsync(folder.Path)) await rig.DeployAsync("orders", "return 7");
        string file = Path.Combine(folder.Path, "versions", Assert.Single(Versions), "step.js");
        await File.WriteAllTextAsync(file, "", TestContext.Current.CancellationToken);
        Directory.CreateDirectory(Path.Combine(folder.Path, "versions", "new-0123"));

        await using var next = await RunRig.StartAsync(folder.Path);

        Assert.Equal("return 7", await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken));
        Assert.Single(Versions);
    }

    [Fact]
    public async Task Older_versions_are_not_kept_on_disk_beyond_a_start()
    {
        await using (var rig = await RunRig.StartAsync(folder.Path))
        {
            await rig.DeployAsync("orders", "return 1");
            await rig.DeployAsync("orders", "return 2");
            Assert.Equal(2, Versions.Length);
        }

        await using var next = await RunRig.StartAsync(folder.Path);

        Assert.EndsWith("-2", Assert.Single(Versions));
    }

    [Fact]
    public async Task Files_of_a_deleted_workflow_go_when_the_run_that_reads_them_has_ended()
    {
        string started = Path.Combine(folder.Path, "started"), gate = Path.Combine(folder.Path, "gate"), said = Path.Combine(folder.Path, "said");
        await using var rig = await RunRig.StartAsync(folder.Path);
        await rig.Catalog.DeployAsync("orders", new Dictionary<string, string>
        {
            ["workflow.yaml"] = "triggers: [ { type: http, key: orders } ]\nsteps: [ { namespace: step, uses: ./step.js } ]",
            ["late.js"] = "module.exports = 'read late'",
            ["step.js"] = $$"""
                const fs = require('fs');
                fs.writeFileSync('{{started}}', '');
                while (!fs.existsSync('{{gate}}')) await new Promise(r => setTimeout(r, 10));
                fs.writeFileSync('{{said}}.new', require('./late.js'));
                fs.renameSync('{{said}}.new', '{{said}}');
                """,
        }, default);
        await rig.AcceptAsync(rig.Catalog.FindTrigger("orders")!.Version);
        await Wait.UntilAsync(() => File.Exists(started));

        Assert.True(await rig.Catalog.DeleteAsync("orders", default));

        Assert.Single(Versions);
        await File.WriteAllTextAsync(gate, "", TestContext.Current.CancellationToken);
        await Wait.UntilAsync(() => File.Exists(said));
        Assert.Equal("read late", await File.ReadAllTextAsync(said, TestContext.Current.CancellationToken));
        await Wait.UntilAsync(() => Versions.Length == 0);
    }
}
