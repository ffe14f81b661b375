using System.Diagnostics;
using System.Text.Json;
using Sendoff.Engine;
using Sendoff.Engine.Workers;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Workers;

/// <summary>The worker in which a program was checked then serves it, and no other.</summary>
public sealed class CheckedWorkerTests
{
    static CancellationToken Ct => TestContext.Current.CancellationToken;

    const string Step = """
        import fs from "node:fs";
        export default defineComponent({
          props: { url: { type: "string", default: "x" } },
          run({ steps }) {
            const { workflow_id, deployment_id, workflow_name } = steps.trigger.context;
            return [process.pid, workflow_id, deployment_id, workflow_name, fs.readdirSync(import.meta.dirname).length];
          },
        });
        """;

    static WorkerRig Rig(SandboxOptions? isolation = null) =>
        new(new EngineLimits { WorkersWarm = 0, WorkersMax = 4 }, isolation: isolation);

    /// <summary>A trial in a folder of its own, which is gone after the check.</summary>
    static async Task<ProgramCheck> CheckAsync(WorkerRig rig, string step, string content, string name = "test")
    {
        var trial = rig.Program(step) with { WorkflowId = "wf_0", Version = 0, Name = name, IsTrial = true, Content = content };
        var found = await rig.Pool.CheckAsync(trial, Ct);
        Directory.Delete(trial.Root, recursive: true);
        return found;
    }

    static async Task GoneAsync(WorkerRig rig, int process) => await Wait.UntilAsync(() => !rig.Pool.ProcessIds.Contains(process));

    [Fact]
    public async Task A_program_runs_in_the_worker_that_checked_it_under_its_own_name()
    {
        await using var rig = Rig();
        var found = await CheckAsync(rig, Step, "a");
        Assert.Equal("url", found.Props[0]!.Value[0].GetProperty("name").GetString());
        int process = Assert.Single(rig.Pool.ProcessIds);

        var program = rig.Program(Step) with { WorkflowId = "wf_7", Version = 3, Content = "a" };
        var run = await rig.RunAsync(program);

        Assert.Equal($"""[{process},"wf_7",3,"test",1]""", run.Exports(0).GetProperty("$return_value").GetRawText());
        await rig.RunAsync(program);
        Assert.Equal([process], rig.Pool.ProcessIds);
    }

    [Fact]
    public async Task The_same_content_is_checked_once_while_its_worker_is_left()
    {
        await using var rig = Rig();
        var found = await CheckAsync(rig, Step, "a");
        Assert.Same(found, await CheckAsync(rig, "another step, that is not read", "a"));
        int process = Assert.Single(rig.Pool.ProcessIds);

        await rig.RunAsync(rig.Program(Step) with { Content = "a" });
        Assert.NotSame(found, await CheckAsync(rig, Step, "a"));
        Assert.Equal(2, rig.Pool.ProcessIds.Count);
        Assert.Contains(process, rig.Pool.ProcessIds);
    }

    [Theory]
    [InlineData("b"), InlineData(null)]
    public async Task Other_content_is_loaded_in_a_worker_of_its_own(string? content)
    {
        await using var rig = Rig();
        await CheckAsync(rig, Step, "a");
        int left = Assert.Single(rig.Pool.ProcessIds);
        var run = await rig.RunAsync(rig.Program("return process.pid") with { Content = content });
        Assert.NotEqual(left, run.Exports(0).GetProperty("$return_value").GetInt32());
    }

    [Fact]
    public async Task A_workflow_leaves_the_worker_of_its_newest_content_only()
    {
        await using var rig = Rig();
        await CheckAsync(rig, Step, "a", "one");
        int older = Assert.Single(rig.Pool.ProcessIds);
        await CheckAsync(rig, Step, "c", "two");
        await CheckAsync(rig, Step, "b", "one");
        await GoneAsync(rig, older);
        Assert.Equal(2, rig.Pool.ProcessIds.Count);
    }

    [Fact]
    public async Task What_does_not_load_is_checked_again()
    {
        await using var rig = Rig();
        string flag = rig.FileIn("flag");
        string step =
            $"import fs from 'node:fs';\nfs.readFileSync({JsonSerializer.Serialize(flag)});\n"
            + "export default defineComponent({ run() {} });";
        Assert.Single((await CheckAsync(rig, step, "a")).Problems);
        await File.WriteAllTextAsync(flag, "", Ct);
        Assert.Empty((await CheckAsync(rig, step, "a")).Problems);
    }

    [Fact]
    public async Task A_worker_that_reads_the_files_of_the_check_is_not_left()
    {
        using var open = new TempFolder();
        await using var rig = new WorkerRig(
            new EngineLimits { WorkersWarm = 0 },
            isolation: new() { Mode = SandboxMode.None, Readable = [open.Path] },
            folder: Path.Combine(open.Path, "programs")
        );
        await CheckAsync(rig, Step, "a");
        await Wait.UntilAsync(() => rig.Pool.ProcessIds.Count == 0);
    }

    [Fact]
    public async Task The_workers_of_a_deleted_workflow_end_also_the_one_that_a_check_has_left()
    {
        await using var rig = Rig();
        await CheckAsync(rig, Step, "a");
        await rig.Pool.RetireAsync("wf_7").WaitAsync(Wait.Limit, Ct);
        await Wait.UntilAsync(() => rig.Pool.ProcessIds.Count == 0);
    }

    [Fact]
    public async Task A_worker_that_died_after_the_check_is_replaced()
    {
        await using var rig = Rig();
        await CheckAsync(rig, Step, "a");
        int left = Assert.Single(rig.Pool.ProcessIds);
        using (var process = Process.GetProcessById(left))
            process.Kill();
        await GoneAsync(rig, left);
        var run = await rig.RunAsync(rig.Program(Step) with { Content = "a" });
        Assert.Equal(WorkerEnd.Succeeded, run.End);
    }
}
