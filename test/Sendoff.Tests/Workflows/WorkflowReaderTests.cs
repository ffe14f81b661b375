using Sendoff.Engine.Workflows;

namespace Sendoff.Tests.Workflows;

public sealed class WorkflowReaderTests
{
    const string Long = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

    static WorkflowReading Read(string yaml, params string[] otherFiles) =>
        WorkflowReader.Read("test", otherFiles.ToDictionary(f => f, _ => "").Append(new("workflow.yaml", yaml)).ToDictionary());

    [Fact]
    public void A_synced_folder_is_taken_as_it_is()
    {
        var definition = Read(
            """
            schema: workflow/2022.04
            name: Orders
            inactive: true
            settings:
              error_notification: true
              lambda_timeout: 40
            triggers:
            - id: hi_xQTMXB8
            steps:
            - namespace: notify
              runtime: nodejs20.x
              notes: free text
              _props_cursor: dyp_MeUXlgy
              uses: "./notify/entry.js"
              props:
                sheetId: { __lv: { label: Guestbook, value: "1RL" } }
                count: 3
                text: "3"
            """,
            "notify/entry.js"
        ).Definition!;

        Assert.Equal("Orders", definition.Name);
        Assert.Equal(TimeSpan.FromSeconds(40), definition.Settings.Timeout);
        Assert.IsType<HttpTrigger>(Assert.Single(definition.Triggers));
        var step = Assert.Single(definition.Steps);
        Assert.Equal(("notify", "notify/entry.js"), (step.Name, step.File));
        // The worker unwraps labels: it knows the props of the component.
        Assert.Equal("""{"sheetId":{"__lv":{"label":"Guestbook","value":"1RL"}},"count":3,"text":"3"}""", step.Props!.Value.GetRawText());
    }

    [Fact]
    public void A_folder_of_step_files_is_a_workflow_in_file_name_order()
    {
        var files = new Dictionary<string, string>
        {
            ["02-notify.js"] = "",
            ["01-fetch.mjs"] = "",
            ["lib/util.js"] = "",
            ["_shared.js"] = "",
            ["types.d.ts"] = "",
        };

        var definition = WorkflowReader.Read("plain", files).Definition!;

        Assert.Equal(["fetch", "notify"], definition.Steps.Select(s => s.Name));
        Assert.IsType<HttpTrigger>(Assert.Single(definition.Triggers));
    }

    [Theory]
    [InlineData("true", true)]
    [InlineData("false", false)]
    [InlineData(null, null)]
    public void A_workflow_says_whether_its_deliveries_carry_an_idempotency_key(string? value, bool? expected)
    {
        string settings = value is null ? "" : $"settings: {{ idempotency_key: {value} }}";
        Assert.Equal(expected, Read(settings + "\nsteps: [ { namespace: a, uses: ./a.js } ]", "a.js").Definition!.Settings.IdempotencyKey);
    }

    [Fact]
    public void Explicit_triggers_carry_key_and_response()
    {
        var definition = Read(
            """
            triggers:
              - type: http
                key: orders
                response: custom
              - { type: http, key: fixed, response: { status: 202, body: taken } }
            settings: { timeout: 500ms, memory: 1GB, concurrency: 4, deliver: success }
            steps: [ { namespace: a, uses: ./a.js } ]
            """,
            "a.js"
        ).Definition!;

        Assert.Equal(new HttpTrigger("orders", new(true, 200, null)), definition.Triggers[0]);
        Assert.Equal(new HttpTrigger("fixed", new(false, 202, "taken")), definition.Triggers[1]);
        Assert.Equal(new WorkflowSettings(TimeSpan.FromMilliseconds(500), 1024, 4, true), definition.Settings);
    }

    [Theory]
    [InlineData("name: [a", "malformed YAML", 1)]
    [InlineData("- a\n- b", "not a YAML mapping", 1)]
    [InlineData("name: x\nsteps:\n  - uses: ./a.js", "needs a `namespace`", 3)]
    [InlineData("name: x\nsteps:\n  - namespace: a\n    uses: ./gone.js", "which does not exist", 4)]
    [InlineData("name: x\nsteps:\n  - namespace: a\n    uses: ../a.js", "is outside the workflow's folder", 4)]
    [InlineData("name: x\nsteps:\n  - namespace: a\n    uses: slack-send@1.0.0", "not a file of this folder", 4)]
    [InlineData(
        "name: x\nsteps:\n  - namespace: a\n    runtime: python3.12\n    uses: ./a.js",
        "'a' is a Python step; steps must be Node.js",
        4
    )]
    [InlineData("name: x\nsteps:\n  - namespace: a\n    uses: ./a/entry.py", "'a' is a Python step", 4)]
    [InlineData("name: x\nsteps:\n  - namespace: a\n    runtime: golang1.x\n    uses: ./a.js", "'a' is a Go step", 4)]
    [InlineData("name: x\nsteps:\n  - namespace: a\n    runtime: cobol85\n    uses: ./a.js", "'a' is a cobol85 step", 4)]
    [InlineData("name: a/b\nsteps:\n  - namespace: a\n    uses: ./a.js", "'a/b' is not valid as a workflow's name", 1)]
    [InlineData("name: x\nsteps:\n  - namespace: a\n    uses: ./a.js\n    disabled: yes", "`disabled` is 'yes'", 5)]
    [InlineData("name: x\nsteps:\n  - namespace: 9a\n    uses: ./a.js", "is not valid as a step's namespace", 3)]
    [InlineData("name: x\nsteps:\n  - namespace: " + Long + "\n    uses: ./a.js", "x…' is not valid as a step's namespace", 3)]
    [InlineData("name: x\nsettings: { timeout: soon }\nsteps:\n  - namespace: a\n    uses: ./a.js", "'soon' is not a valid timeout", 2)]
    [InlineData(
        "name: x\nsettings: { idempotency_key: maybe }\nsteps:\n  - namespace: a\n    uses: ./a.js",
        "is not a valid value for `idempotency_key`",
        2
    )]
    [InlineData("name: x\nsettings: { tiemout: 3s }\nsteps:\n  - namespace: a\n    uses: ./a.js", "the setting 'tiemout'", 2)]
    [InlineData("name: x\ntriggers:\n  - type: smoke\nsteps:\n  - namespace: a\n    uses: ./a.js", "the trigger type 'smoke'", 3)]
    [InlineData(
        "name: x\ntriggers:\n  - { type: http, key: 'a b' }\nsteps:\n  - namespace: a\n    uses: ./a.js",
        "is not valid as a trigger's key",
        3
    )]
    [InlineData(
        "name: x\nsteps:\n  - namespace: a\n    uses: ./a.js\n  - namespace: a\n    uses: ./a.js",
        "two steps have the namespace",
        3
    )]
    public void A_mistake_is_named_with_file_line_and_a_way_to_mend_it(string yaml, string message, int line)
    {
        var problem = Assert.Single(Read(yaml, "a.js").Problems);

        Assert.Contains(message, problem.Message);
        Assert.Equal("workflow.yaml", problem.File);
        Assert.Equal(line, problem.Line);
        Assert.NotNull(problem.SourceLine);
    }

    [Theory]
    [InlineData(
        "tags: billing\nsteps: [ { namespace: a, uses: ./a.js } ]",
        "`tags` is not a list of strings",
        "write a list such as `tags: [billing, nightly]`"
    )]
    [InlineData("tags: ['']\nsteps: [ { namespace: a, uses: ./a.js } ]", "'' is not a valid tag", "use 1 to 40 characters")]
    [InlineData("nmae: x\nsteps: [ { namespace: a, uses: ./a.js } ]", "a workflow has no 'nmae'", "did you mean `name`?")]
    [InlineData("step: []\nsteps: [ { namespace: a, uses: ./a.js } ]", "a workflow has no 'step'", "did you mean `steps`?")]
    [InlineData(
        "timeout: 3s\nsteps: [ { namespace: a, uses: ./a.js } ]",
        "a workflow has no 'timeout'",
        "use one of name, tags, triggers, settings, steps"
    )]
    [InlineData("steps: [ { namespace: a, uses: ./a.js, prosp: { x: 1 } } ]", "a step has no 'prosp'", "did you mean `props`?")]
    [InlineData("steps: [ { namespace: a, uses: ./a.js, Disabled: true } ]", "a step has no 'Disabled'", "did you mean `disabled`?")]
    [InlineData(
        "triggers: [ { type: http, keys: x } ]\nsteps: [ { namespace: a, uses: ./a.js } ]",
        "an HTTP trigger has no 'keys'",
        "did you mean `key`?"
    )]
    [InlineData(
        "triggers: [ { type: http, response: { stauts: 202 } } ]\nsteps: [ { namespace: a, uses: ./a.js } ]",
        "a response has no 'stauts'",
        "did you mean `status`?"
    )]
    [InlineData(
        "triggers: [ { type: schedule, every: 1h, time_zone: UTC } ]\nsteps: [ { namespace: a, uses: ./a.js } ]",
        "a schedule has no 'time_zone'",
        "did you mean `timezone`?"
    )]
    [InlineData(
        "triggers: [ { type: emit, worklow: x, workflow: x } ]\nsteps: [ { namespace: a, uses: ./a.js } ]",
        "an emit trigger has no 'worklow'",
        "did you mean `workflow`?"
    )]
    [InlineData(
        "triggers: [ { type: shedule, every: 1h } ]\nsteps: [ { namespace: a, uses: ./a.js } ]",
        "the trigger type 'shedule'",
        "did you mean `schedule`?"
    )]
    [InlineData(
        "settings: { concurency: 3 }\nsteps: [ { namespace: a, uses: ./a.js } ]",
        "the setting 'concurency'",
        "did you mean `concurrency`?"
    )]
    [InlineData(
        "settings: { lambdaTimeout: 3 }\nsteps: [ { namespace: a, uses: ./a.js } ]",
        "the setting 'lambdaTimeout'",
        "did you mean `lambda_timeout`?"
    )]
    public void An_unknown_key_is_an_error_that_names_the_one_that_was_meant(string yaml, string message, string hint)
    {
        var problem = Assert.Single(Read(yaml, "a.js").Problems);

        Assert.Contains(message, problem.Message);
        Assert.Equal(hint, problem.Hint);
    }

    [Fact]
    public void Every_mistake_is_reported_not_only_the_first()
    {
        Assert.Equal(2, Read("steps:\n  - uses: ./a.js\n  - namespace: b", "a.js").Problems.Count);
    }

    [Fact]
    public void A_file_path_that_leaves_the_folder_is_refused()
    {
        var result = WorkflowReader.Read("x", new Dictionary<string, string> { ["../evil.js"] = "", ["a.js"] = "" });
        Assert.Contains("is outside the workflow's folder", Assert.Single(result.Problems).Message);
    }

    [Fact]
    public void A_folder_without_steps_says_what_is_missing()
    {
        Assert.Contains("no step file", Assert.Single(WorkflowReader.Read("x", new Dictionary<string, string>()).Problems).Message);
    }
}
