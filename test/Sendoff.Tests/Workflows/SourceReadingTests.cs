using Sendoff.Engine.Workflows;

namespace Sendoff.Tests.Workflows;

public sealed class SourceReadingTests
{
    static Dictionary<string, string> Files(string triggers) =>
        new()
        {
            ["workflow.yaml"] = $"triggers:\n{triggers}\nsteps: [ {{ namespace: a, uses: ./a.js }} ]",
            ["a.js"] = "1",
            ["rss/new-item.mjs"] = "export default {}",
            ["source.mjs"] = "export default {}",
        };

    static WorkflowReading Read(string triggers) => WorkflowReader.Read("w", Files(triggers));

    [Fact]
    public void A_source_is_named_after_its_file_and_replaces_the_default_trigger()
    {
        var definition = Read(
            "  - { uses: ./rss/new-item.mjs, props: { url: https://example.com } }\n"
                + "  - { uses: 'npm:@pipedream/rss@0.5.2/sources/x/x.mjs', name: other }"
        ).Definition!;
        Assert.Empty(definition.Triggers);
        Assert.Equal(
            [
                ("new-item", "rss/new-item.mjs", null),
                ("other", "node_modules/@pipedream/rss@0.5.2/sources/x/x.mjs", "npm:@pipedream/rss@0.5.2/sources/x/x.mjs"),
            ],
            definition.Sources.Select(source => (source.Name, source.Code.File, source.Code.Component))
        );
        Assert.Equal("https://example.com", definition.Sources[0].Code.Props!.Value.GetProperty("url").GetString());
    }

    [Theory]
    [InlineData("  - { uses: ./none.mjs }", "the step 'none' uses ./none.mjs, which does not exist")]
    [InlineData("  - { uses: ./source.mjs, key: a }", "an event source has no 'key'")]
    [InlineData("  - { uses: ./source.mjs, name: a b }", "'a b' cannot be the name of an event source")]
    [InlineData("  - { uses: ./source.mjs }\n  - { uses: ./source.mjs }", "two event sources are named 'source'")]
    public void A_mistake_in_a_source_says_what_and_where(string triggers, string message)
    {
        var problem = Assert.Single(Read(triggers).Problems);
        Assert.Equal((message, "workflow.yaml"), (problem.Message, problem.File));
    }

    [Fact]
    public void A_key_of_the_registry_is_answered_with_the_place_of_sources_in_its_package()
    {
        var problem = Assert.Single(Read("  - { uses: rss-new-item-in-feed@1.2.3, name: a }").Problems);
        Assert.Contains("npm:@pipedream/rss/sources/new-item-in-feed/new-item-in-feed.mjs", problem.Hint);
    }

    [Fact]
    public void What_a_deploy_found_in_the_code_gives_the_triggers_of_a_source()
    {
        var facts = new Dictionary<string, SourceFacts>
        {
            ["source"] = new(
                SourceDedupe.Unique,
                ["deploy"],
                Http: true,
                CustomResponse: true,
                Cron: "0 9 * * *",
                Timezone: "Europe/Berlin"
            ),
        };
        var triggers = WorkflowReader
            .Read("w", SourceFacts.AddTo(Files("  - { uses: ./source.mjs }\n  - { type: emit, workflow: b }"), facts))
            .Definition!.Triggers;
        Assert.Equal(
            [
                ("http", "source:source", "source source"),
                ("schedule", "source:source", "0 9 * * * Europe/Berlin source source"),
                ("emit", "emit", "b "),
            ],
            triggers.Select(trigger => (trigger.Type, trigger.RecordedAs, trigger.Identity))
        );
        Assert.True(Assert.IsType<HttpTrigger>(triggers[0]).Response.FromRun);
    }
}
