using Sendoff.Engine.Workflows;

namespace Sendoff.Tests.Workflows;

public sealed class EmitTriggerTests
{
    static WorkflowReading Read(string trigger) =>
        WorkflowReader.Read(
            "listener",
            new Dictionary<string, string>
            {
                ["workflow.yaml"] = $"triggers:\n  - {trigger}\nsteps: [ {{ namespace: a, uses: ./a.js }} ]",
                ["a.js"] = "1",
            }
        );

    [Fact]
    public void Trigger_names_its_workflow_and_a_channel_where_it_wants_one()
    {
        var all = Assert.IsType<EmitTrigger>(Read("{ type: emit, workflow: orders }").Definition!.Triggers.Single());
        var one = Assert.IsType<EmitTrigger>(Read("{ type: emit, workflow: orders, channel: paid }").Definition!.Triggers.Single());
        Assert.Equal([true, true, false], new[] { all.Hears("orders", ""), all.Hears("orders", "paid"), all.Hears("other", "paid") });
        Assert.Equal([false, true, false], new[] { one.Hears("orders", ""), one.Hears("orders", "paid"), one.Hears("other", "paid") });
    }

    [Theory]
    [InlineData("{ type: emit }", "an emit trigger needs the name of the `workflow` that it listens to")]
    [InlineData("{ type: emit, workflow: orders, event: paid }", "an emit trigger has no 'event'")]
    [InlineData("{ type: mail }", "the trigger type 'mail' does not exist")]
    public void A_mistake_in_an_emit_trigger_says_what_and_where(string trigger, string message)
    {
        var problem = Assert.Single(Read(trigger).Problems);
        Assert.Equal((message, "workflow.yaml", 2), (problem.Message, problem.File, problem.Line));
    }
}
