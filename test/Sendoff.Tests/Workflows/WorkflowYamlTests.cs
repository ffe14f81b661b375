using System.Text.Json;
using CsCheck;
using Sendoff.Engine.Workflows;

namespace Sendoff.Tests.Workflows;

public sealed class WorkflowYamlTests
{
    const string Three = """
        # Of the whole.
        name: three
        triggers:
          - type: http # the only one
        steps:
          # Reads.
          - namespace: read
            uses: ./read.mjs
            props:
              # Where to.
              url: http://a.example/ # for now
              many:
                - one
                - two

          - namespace: mend
            uses: './mend.mjs'
          # Tells everybody.
          # Twice.
          - namespace: tell
            uses: ./tell.mjs
            props: { to: "you", n: 1 }
        settings:
          timeout: 10s

        """;

    const string Odd = "abc 019\n\t#:-\"'{}[]|>&*!%@,?\\é~=";
    static readonly Dictionary<string, string> code = new()
    {
        ["read.mjs"] = "",
        ["mend.mjs"] = "",
        ["tell.mjs"] = "",
        ["new.mjs"] = "",
    };

    static WorkflowDefinition Read(string? yaml) =>
        WorkflowReader.Read("w", new Dictionary<string, string>(code) { [WorkflowReader.YamlFile] = yaml! }) is var reading
        && reading.Definition is { } found
            ? found
            : throw new InvalidOperationException(string.Join("\n", reading.Problems) + "\n" + yaml);

    static string Names(string? yaml) => string.Join(' ', Read(yaml).Steps.Select(step => step.Name));

    static JsonElement Json(string json) => JsonElement.Parse(json);

    [Theory]
    [InlineData(0, 2, "mend tell read")]
    [InlineData(2, 0, "tell read mend")]
    [InlineData(1, 0, "mend read tell")]
    [InlineData(1, 1, "read mend tell")]
    public void A_step_moves_with_its_comment_and_nothing_else_changes(int from, int to, string expected)
    {
        string moved = WorkflowYaml.MoveStep(Three, from, to)!;
        Assert.Equal(expected, Names(moved));
        Assert.Equal(Three.Split('\n').Order(), moved.Split('\n').Order());
        Assert.Contains("# Tells everybody.\n  # Twice.\n  - namespace: tell", moved);
        Assert.EndsWith("settings:\n  timeout: 10s\n", moved);
        Assert.Equal(Three, WorkflowYaml.MoveStep(moved, to, from));
    }

    [Fact]
    public void A_step_is_added_at_the_end_of_the_list_and_removed_with_its_comment()
    {
        string added = WorkflowYaml.AddStep(Three, "new", "new.mjs")!;
        Assert.Equal("read mend tell new", Names(added));
        Assert.Equal(Three, WorkflowYaml.RemoveStep(added, 3));
        string removed = WorkflowYaml.RemoveStep(Three, 2)!;
        Assert.Equal("read mend", Names(removed));
        Assert.DoesNotContain("Twice", removed);
    }

    [Theory]
    [InlineData("")]
    [InlineData("name: w\n")]
    [InlineData("name: w\nsteps:\ntriggers:\n  - type: http\n")]
    [InlineData("name: w\nsteps: []\n")]
    public void The_first_step_begins_a_list(string yaml) => Assert.Equal("new", Names(WorkflowYaml.AddStep(yaml, "new", "new.mjs")));

    [Theory]
    [InlineData(0, "url", "\"http://b.example/\"")]
    [InlineData(0, "many", "[\"x\"]")]
    [InlineData(0, "fresh", "{\"a\":[1,true,null],\"b\":\"c: d\"}")]
    [InlineData(1, "first", "\"{{steps.read.$return_value}}\"")]
    [InlineData(2, "n", "2")]
    [InlineData(2, "more", "\"line\\nline # no comment\"")]
    public void A_prop_is_set_and_the_others_and_their_comments_stay(int step, string prop, string json)
    {
        string changed = WorkflowYaml.SetProp(Three, step, prop, Json(json))!;
        var before = Read(Three).Steps;
        var after = Read(changed).Steps;
        Assert.Equal(
            Json(json).GetRawText(),
            after[step].Props!.Value.GetProperty(prop).GetRawText().Replace("\\u0022", "\""),
            ignoreAllWhiteSpace: true
        );
        for (int i = 0; i < before.Count; i++)
            foreach (var other in before[i].Props?.EnumerateObject().Where(one => i != step || one.Name != prop) ?? [])
                Assert.Equal(other.Value.GetRawText(), after[i].Props!.Value.GetProperty(other.Name).GetRawText());
        Assert.Contains("# Where to.", changed);
        Assert.Contains("# Tells everybody.", changed);
    }

    [Fact]
    public void A_prop_is_taken_away_and_with_the_last_one_the_list_of_them()
    {
        string? one = WorkflowYaml.SetProp(Three, 2, "to", null);
        Assert.Equal("""{"n":1}""", Read(one).Steps[2].Props?.GetRawText());
        Assert.Null(Read(WorkflowYaml.SetProp(one!, 2, "n", null)).Steps[2].Props);
        string? url = WorkflowYaml.SetProp(Three, 0, "many", null);
        Assert.Null(Read(WorkflowYaml.SetProp(url!, 0, "url", null)).Steps[0].Props);
        Assert.Equal(Three, WorkflowYaml.SetProp(Three, 1, "unknown", null));
    }

    [Fact]
    public void A_file_takes_its_new_name_wherever_a_step_uses_it()
    {
        string yaml = WorkflowYaml.RenameFile(WorkflowYaml.RenameFile(Three, "read.mjs", "new.mjs"), "mend.mjs", "tell.mjs");
        Assert.Equal(["new.mjs", "tell.mjs", "tell.mjs"], Read(yaml).Steps.Select(step => step.File));
    }

    [Theory]
    [InlineData("steps: [{ namespace: a, uses: ./read.mjs }]")]
    [InlineData("steps:\n  - namespace: a\n uses: nonsense: [")]
    [InlineData("steps: nonsense")]
    [InlineData("- a\n- b")]
    public void What_is_written_otherwise_is_left_to_people(string yaml)
    {
        Assert.Null(WorkflowYaml.MoveStep(yaml, 0, 0));
        Assert.Null(WorkflowYaml.SetProp(yaml, 0, "a", Json("1")));
        Assert.Null(WorkflowYaml.AddStep(yaml, "new", "new.mjs"));
        Assert.Null(WorkflowYaml.MoveStep(Three, 0, 3));
        Assert.Null(WorkflowYaml.MoveStep(Three, -1, 0));
    }

    [Fact]
    public void A_folder_of_step_files_becomes_a_list()
    {
        var reading = WorkflowReader.Read("w", code);
        Assert.Equal(
            string.Join(' ', reading.Definition!.Steps.Select(step => step.Name)),
            Names(WorkflowYaml.Write("w", reading.Definition.Steps))
        );
    }

    [Theory]
    [InlineData("\r\n")]
    [InlineData("\n")]
    public void Lines_end_as_they_did(string newLine)
    {
        string yaml = Three.Replace("\n", newLine);
        string moved = WorkflowYaml.MoveStep(yaml, 0, 2)!;
        Assert.Equal("mend tell read", Names(moved));
        Assert.Equal(yaml, WorkflowYaml.MoveStep(moved, 2, 0));
    }

    [Theory]
    [InlineData("plain\n")]
    [InlineData("true\n")]
    [InlineData("\n")]
    public void A_text_with_a_line_break_at_its_end_keeps_it(string text) =>
        Assert.Equal(
            text,
            Read(WorkflowYaml.SetProp(Three, 1, "p", Json(JsonSerializer.Serialize(text))))
                .Steps[1]
                .Props!.Value.GetProperty("p")
                .GetString()
        );

    [Fact]
    public void Any_text_is_read_back_as_it_was_set() =>
        (from picked in Gen.Int[0, Odd.Length - 1].Array[0, 20] select string.Concat(picked.Select(i => Odd[i]))).Sample(text =>
            Read(WorkflowYaml.SetProp(Three, 1, "p", JsonSerializer.SerializeToElement(text)))
                .Steps[1]
                .Props!.Value.GetProperty("p")
                .GetString() == text
        );

    static string Triggers(string yaml) =>
        string.Join(
            " | ",
            WorkflowYaml.TriggersOf(yaml).Select(one => string.Join(' ', one.Select(field => $"{field.Key}={field.Value}")))
        );

    [Fact]
    public void A_step_is_switched_off_and_on_again()
    {
        string off = WorkflowYaml.SetDisabled(Three, 1, true)!;
        Assert.Equal([false, true, false], Read(off).Steps.Select(step => step.Disabled));
        Assert.Equal(Three, WorkflowYaml.SetDisabled(off, 1, false));
        Assert.Equal(Three, WorkflowYaml.SetDisabled(Three, 1, false));
    }

    [Theory]
    [InlineData("triggers:\n  - type: http # the only one\n")]
    [InlineData("triggers: [ { type: http } ]\n")]
    [InlineData("triggers:\n  - { type: http }\n")]
    [InlineData("triggers:\r\n- type: http\r\n")]
    public void A_trigger_is_added_changed_and_removed_in_whatever_style_the_list_is(string triggers)
    {
        string yaml = "# Of the whole.\n" + triggers + "steps:\n  - namespace: read\n    uses: ./read.mjs\n";
        yaml = WorkflowYaml.AddTrigger(yaml, [("type", Json("\"schedule\"")), ("cron", Json("\"0 9 * * *\"")), ("timezone", null)])!;
        Assert.Equal("type=http | type=schedule cron=0 9 * * *", Triggers(yaml));
        yaml = WorkflowYaml.SetTrigger(yaml, 0, "key", Json("\"orders\""))!;
        yaml = WorkflowYaml.SetTrigger(yaml, 0, "response", Json("""{"status":202,"body":"a: b"}"""))!;
        Assert.Equal("type=http key=orders response.status=202 response.body=a: b | type=schedule cron=0 9 * * *", Triggers(yaml));
        Assert.Equal(new HttpTrigger("orders", new(false, 202, "a: b")), Read(yaml).Triggers[0]);
        yaml = WorkflowYaml.SetTrigger(yaml, 0, "response", null)!;
        yaml = WorkflowYaml.ReplaceTrigger(yaml, 0, [("type", Json("\"emit\"")), ("workflow", Json("\"w\""))])!;
        Assert.Equal("type=emit workflow=w | type=schedule cron=0 9 * * *", Triggers(yaml));
        yaml = WorkflowYaml.RemoveTrigger(yaml, 0)!;
        Assert.Equal("type=schedule cron=0 9 * * *", Triggers(yaml));
        Assert.Null(WorkflowYaml.RemoveTrigger(yaml, 0));
        Assert.StartsWith("# Of the whole.\n", yaml.ReplaceLineEndings("\n"));
        Assert.Equal("read", Names(yaml));
    }

    [Fact]
    public void A_first_trigger_is_added_to_a_file_that_has_none()
    {
        string yaml = WorkflowYaml.AddTrigger("steps:\n  - namespace: read\n    uses: ./read.mjs\n", [("type", Json("\"http\""))])!;
        Assert.Equal("type=http", Triggers(yaml));
        Assert.Equal("read", Names(yaml));
    }

    [Theory]
    [InlineData("settings:\n  timeout: 10s # short\n  memory: 64MB\n")]
    [InlineData("settings: { timeout: 10s, memory: 64MB }\n")]
    [InlineData("settings:\n")]
    [InlineData("")]
    public void A_setting_is_written_and_removed(string settings)
    {
        string yaml = settings + "steps:\n  - namespace: read\n    uses: ./read.mjs\n";
        yaml = WorkflowYaml.SetSetting(yaml, "timeout", Json("\"20s\""))!;
        yaml = WorkflowYaml.SetSetting(yaml, "concurrency", Json("3"))!;
        Assert.Equal((TimeSpan.FromSeconds(20), 3), (Read(yaml).Settings.Timeout, Read(yaml).Settings.Concurrency));
        yaml = WorkflowYaml.SetSetting(WorkflowYaml.SetSetting(yaml, "timeout", null)!, "concurrency", null)!;
        Assert.Equal((null, null), (Read(yaml).Settings.Timeout, Read(yaml).Settings.Concurrency));
        Assert.Equal("read", Names(yaml));
    }
}
