using Sendoff.Tests.Support;

namespace Sendoff.Tests.Runs;

/// <summary>The files of deployed versions on disk: written anew at every start, and gone with their workflow.</summary>
public sealed class ProgramFolderTests : IDisposable
{
    readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    string[] Versions => [.. Directory.EnumerateDirectories(Path.Combine(folder.Path, "versions")).Select(path => Path.GetFileName(path))];

    static async Task RunAsync(RunRig rig)
    {
        var accepted = await rig.AcceptAsync(rig.Catalog.FindTrigger("orders")!.Version);
        Assert.Equal(RunStatus.Succeeded, (await rig.EndOfAsync(accepted.Run.Id)).Run.Status);
    }

    [Fact]
    public async Task A_version_is_laid_out_for_its_first_run_and_neither_by_its_deploy_nor_by_a_start()
    {
        await using (var rig = await RunRig.StartAsync(folder.Path))
        {
            await rig.DeployAsync("orders", "return 7");
            Assert.Empty(Versions);
            await RunAsync(rig);
            Assert.Single(Versions);
        }
        await using var next = await RunRig.StartAsync(folder.Path);
        Assert.Empty(Versions);
        await RunAsync(next);
        Assert.Single(Versions);
    }

    [Fact]
    public async Task What_a_power_cut_left_of_a_version_is_written_anew_after_the_start()
    {
        await using (var rig = await RunRig.StartAsync(folder.Path))
        {
            await rig.DeployAsync("orders", "return 7");
            await RunAsync(rig);
        }
        string file = Path.Combine(folder.Path, "versions", Assert.Single(Versions), "step.js");
        await File.WriteAllTextAsync(file, "", TestContext.Current.CancellationToken);
        Directory.CreateDirectory(Path.Combine(folder.Path, "versions", "new-0123"));

        await using var next = await RunRig.StartAsync(folder.Path);
        Assert.Empty(Versions);
        await RunAsync(next);

        Assert.Equal("return 7", await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Files_of_a_deleted_workflow_go_when_the_run_that_reads_them_has_ended()
    {
        string started = Path.Combine(folder.Path, "started"),
            gate = Path.Combine(folder.Path, "gate"),
            said = Path.Combine(folder.Path, "said");
        await using var rig = await RunRig.StartAsync(folder.Path);
        await rig.Catalog.DeployAsync(
            "orders",
            new Dictionary<string, string>
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
            },
            default
        );
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
