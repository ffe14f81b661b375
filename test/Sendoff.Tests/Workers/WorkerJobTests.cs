using System.Text;
using Sendoff.Engine;
using Sendoff.Engine.Workers;

namespace Sendoff.Tests.Workers;

/// <summary>What becomes of a run's steps when its worker is cut off.</summary>
public sealed class WorkerJobTests
{
    static readonly StepError late = new("TimeoutError", "too late", "timeout", null, null, null);

    static ProgramStep Step(string name, bool disabled = false) => new(name, name + ".js", null, disabled);

    static (WorkerJob Job, WorkerRun Run) Begin(params ProgramStep[] steps)
    {
        var run = WorkerRig.NewRun();
        var program = new WorkerProgram("key", "wf_1", "test", 1, "", steps, new Dictionary<string, string>(), 64, null);
        var job = new WorkerJob(new ProgramQueue(null!, program, 64), run, 1, new EngineLimits()) { Number = 1 };
        job.Begin(TimeProvider.System.GetUtcNow());
        return (job, run);
    }

    static void End(WorkerJob job, int step, int durationMs) =>
        job.Accept(
            FrameKind.StepEnd,
            Encoding.UTF8.GetBytes($$$"""{"run":1,"step":{{{step}}},"status":"succeeded","durationMs":{{{durationMs}}},"exports":{}}"""),
            new TextCache()
        );

    [Fact]
    public void Step_that_executed_has_the_error_and_the_time_that_the_others_have_not_spent()
    {
        var (job, run) = Begin(Step("a"), Step("b"), Step("c"));
        End(job, 0, 300);

        job.CutOff(WorkerEnd.TimedOut, late, TimeSpan.FromSeconds(1));

        Assert.Equal([StepStatus.Succeeded, StepStatus.TimedOut, StepStatus.Skipped], run.Steps.Select(step => step.Status));
        Assert.Equal([300, 700, 0], run.Steps.Select(step => step.DurationMs));
        Assert.Equal([null, late, null], run.Steps.Select(step => step.Error));
        Assert.Equal((WorkerEnd.TimedOut, "too late", TimeSpan.FromSeconds(1)), (run.End, run.Message, run.Compute));
    }

    [Fact]
    public void Disabled_step_did_not_execute()
    {
        var (job, run) = Begin(Step("a"), Step("b", disabled: true), Step("c"));
        End(job, 0, 300);

        job.CutOff(WorkerEnd.Died, late, TimeSpan.FromSeconds(1));

        Assert.Equal([StepStatus.Succeeded, StepStatus.Skipped, StepStatus.Failed], run.Steps.Select(step => step.Status));
    }

    [Fact]
    public void Step_that_says_it_took_longer_than_the_run_leaves_no_time_below_nothing()
    {
        var (job, run) = Begin(Step("a"), Step("b"));
        End(job, 0, 5_000);

        job.CutOff(WorkerEnd.Died, late, TimeSpan.FromSeconds(1));

        Assert.Equal([5_000, 0], run.Steps.Select(step => step.DurationMs));
    }
}
