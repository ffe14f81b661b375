using System.Text.Json;
using Sendoff.Engine.Workflows;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Commands;

/// <summary>What an import makes of triggers, accounts and steps that a project says little of, and of the JSON of an export.</summary>
public sealed class ImportTriggersTests : ImportRig
{
    async Task<JsonElement> ReportAsync(params string[] more) => (await ImportAsync(more)).Report;

    static string Verdict(JsonElement workflow) => workflow.GetProperty("verdict").GetString()!;

    const string Code = "steps: [ { namespace: code, uses: ./code/entry.js } ]";

    [Fact]
    public async Task A_workflow_without_steps_collects_events()
    {
        Add("catcher-p_1/workflow.yaml", "schema: workflow/2022.04\nname: Catcher\ntriggers:\n- id: hi_1\n");

        var report = await ReportAsync();

        Assert.Equal("runs_unchanged", Verdict(report[0]));
        Assert.Empty(ReadImported("catcher-p_1").Definition!.Steps);
    }

    [Theory]
    [InlineData("ti_1", "a timer", "schedule")]
    [InlineData("sub_1", "a subscription to another workflow's events", "emit")]
    [InlineData("ei_1", "an email address", "http")]
    [InlineData("dc_1", "an event source", "http")]
    public async Task A_trigger_that_nobody_answered_is_written_as_disabled(string id, string kind, string type)
    {
        Add("w-p_1/workflow.yaml", $"name: W\ntriggers: [ {{ id: {id} }} ]\n{Code}");
        Add("w-p_1/code/entry.js", "return 1");

        var report = await ReportAsync();

        Assert.Equal("needs_answer", Verdict(report[0]));
        Assert.Contains($"the trigger {id} is {kind}", Remarks(report[0]));
        Assert.Contains($"type: {type}", File.ReadAllText(Path.Combine(Target, "w-p_1", "workflow.yaml")));
        Assert.Empty(ReadImported("w-p_1").Definition!.Triggers);
    }

    [Fact]
    public async Task An_event_source_of_the_project_is_imported_with_its_props()
    {
        Add("w-p_1/workflow.yaml", $"name: W\ntriggers: [ {{ uses: ./source.mjs, props: {{ n: 1 }} }} ]\n{Code}");
        Add("w-p_1/source.mjs", "export default { type: 'source', async run() { process.env.FEED } };");
        Add("w-p_1/code/entry.js", "return 1");

        var report = await ReportAsync();

        Assert.Equal("needs_answer", Verdict(report[0]));
        Assert.Contains("trigger: the code reads process.env: FEED", Remarks(report[0]));
        var source = Assert.Single(ReadImported("w-p_1").Definition!.Sources);
        Assert.Equal(("source", "source.mjs", 1), (source.Name, source.Code.File, source.Code.Props!.Value.GetProperty("n").GetInt32()));
    }

    [Fact]
    public async Task Each_trigger_has_an_answer_of_its_own_by_its_id_and_the_only_answer_is_used_once()
    {
        Add("w-p_1/workflow.yaml", $"name: W\ntriggers: [ {{ id: sub_1 }}, {{ id: ti_1 }}, {{ id: ti_2 }} ]\n{Code}");
        Add("w-p_1/code/entry.js", "return 1");
        string answers = Path.Combine(folder.Path, "answers.yaml");
        File.WriteAllText(
            answers,
            "w-p_1: { trigger: { type: schedule, every: 1h }, triggers: { sub_1: { type: emit, workflow: orders } } }"
        );

        var report = await ReportAsync("--answers", answers);

        Assert.Collection(
            ReadImported("w-p_1").Definition!.Triggers,
            one => Assert.Equal("orders", Assert.IsType<EmitTrigger>(one).Workflow),
            one => Assert.IsType<ScheduleTrigger>(one)
        );
        Assert.Contains("the trigger ti_2 is a timer", Remarks(report[0]));
        Assert.DoesNotContain("ti_1", Remarks(report[0]));
    }

    [Fact]
    public async Task The_action_that_returns_an_HTTP_response_lets_the_run_answer()
    {
        Add(
            "w-p_1/workflow.yaml",
            "name: W\ntriggers: [ { id: hi_1 } ]\nsteps: [ { namespace: reply, uses: http-return-http-response@0.0.3 } ]"
        );
        Add("w-p_1/reply/entry.mjs", "export default { async run() {} }");
        string answers = Path.Combine(folder.Path, "answers.yaml");
        File.WriteAllText(answers, "w-p_1: { actions: { reply: ./reply/entry.mjs } }");

        await ReportAsync("--answers", answers);

        Assert.True(Assert.IsType<HttpTrigger>(ReadImported("w-p_1").Definition!.Triggers.Single()).Response.FromRun);
    }

    [Fact]
    public async Task A_trigger_that_is_Sendoffs_own_keeps_what_it_says()
    {
        Add(
            "w/workflow.yaml",
            $"name: W\ntriggers: [ {{ type: http, key: mine, response: {{ status: 202 }} }}, {{ type: schedule, every: 1h }}, {{ type: "
                + $"emit, workflow: orders }} ]\n{Code}"
        );
        Add("w/code/entry.js", "return 1");

        await ReportAsync();

        var triggers = ReadImported("w").Definition!.Triggers;
        Assert.Equal(("mine", 202), (Assert.IsType<HttpTrigger>(triggers[0]).Key, ((HttpTrigger)triggers[0]).Response.Status));
        Assert.IsType<ScheduleTrigger>(triggers[1]);
        Assert.IsType<EmitTrigger>(triggers[2]);
    }

    [Fact]
    public async Task An_account_is_named_by_its_app_and_field_and_asked_for_once()
    {
        const string step =
            "name: {0}\ntriggers: [ {{ id: hi_1 }} ]\nsteps: [ {{ namespace: read, uses: google_sheets-get-values@0.1.2, props: "
            + "{{ googleSheets: {{ authProvisionId: apn_A }} }} }} ]";
        foreach (string name in new[] { "a", "b" })
            Add($"{name}/workflow.yaml", string.Format(step, name));
        Add(
            "c/workflow.yaml",
            "name: c\ntriggers: [ { id: hi_1 } ]\nsteps: [ { namespace: code, uses: ./code/entry.js, props: { sheets: { authProvisionId: "
                + "apn_B } } } ]"
        );
        Add(
            "c/code/entry.js",
            "const sheets = { type: 'app', app: 'google_sheets', methods: { token() { return this.$auth.api_key } } }; "
                + "export default { props: { sheets }, async run() {} };"
        );

        var report = await ReportAsync();

        Assert.Contains(
            "connect it once for all workflows: sendoff accounts connect google_sheets --id apn_A --client-id ID --client-secret -, "
                + "with an OAuth client of your own at Google",
            Remarks(report[0])
        );
        Assert.Contains("as for a: ", Remarks(report[1]));
        Assert.Contains("sendoff accounts connect google_sheets --id apn_B --field api_key", Remarks(report[2]));
        Assert.DoesNotContain("FIELD", Remarks(report[2]));
    }

    const string Archived = """
        { "id": "p_1", "name": "Digest", "active": false, "settings": { "lambda_timeout": 40, "unknown": 1 },
          "triggers": [
            { "id": "ti_1", "interval_seconds": null, "cron": "0 9 * * *", "timezone": "Europe/Berlin" },
            { "id": "ti_2", "interval_seconds": 900, "cron": null, "timezone": "UTC" },
            { "id": "dc_3", "component_id": "sc_1", "name_slug": "new-item", "configured_props": {} },
            { "id": "hi_4", "key": "eoabc", "custom_response": true } ],
          "steps": [
            { "namespace": "text", "lang": "nodejs20.x", "code_raw": null, "component_key": null, "savedComponent": { "code": "export default { props: { greeting: { type: 'string' } }, async run() { return this.greeting } }", "key": null, "version": "" },
              "configured_props_json": "{\"greeting\":\"Hello\"}" },
            { "namespace": "send", "lang": "nodejs20.x", "component_key": "chat-send",
              "savedComponent": { "code": "export default { async run() {} }", "key": "chat-send", "version": "0.0.1", "configurableProps": [ { "name": "account", "type": "app", "app": "chat_v2" } ] },
              "configured_props_json": "{\"account\":{\"authProvisionId\":\"apn_Z\"},\"key\":\"<redacted>\",\"headers\":[{\"x\":\"Bearer <redacted>\"}]}" },
            { "namespace": "files", "component_key": "chat-files", "savedComponent": { "code": "import app from '../../chat.app.mjs'; export default {}", "version": "0.2.0" } },
            { "namespace": "ours", "component_key": "@team/ours", "savedComponent": { "version": "0.0.3" } },
            { "namespace": "decide", "type": "IfElse", "branches": [ { "steps": [ { "namespace": "yes" } ] }, { "steps": [ { "namespace": "no" } ] } ] } ] }
        """;

    [Fact]
    public async Task The_fields_of_the_REST_documentation_are_read()
    {
        Add(
            "manifest.json",
            """
            { "schema": "project-export/2026.01", "truncated": true, "truncated_reason": "bytes", "workflows": [
              { "id": "p_1", "path": "x/digest.json", "status": "exported", "warnings": ["a secret was left out"] },
              { "id": "p_2", "name": "Idle", "status": "skipped_never_deployed", "warnings": [] }, { "id": "p_3", "name": "Over", "status": "skipped_export_limit" } ] }
            """
        );
        Add("x/digest.json", Archived);

        var report = (await ReportAsync()).EnumerateArray().ToDictionary(static one => one.GetProperty("folder").GetString()!);

        Assert.Contains("the export is truncated (bytes)", Remarks(report["manifest.json"]));
        Assert.Contains("does not contain the workflow: never deployed", Remarks(report["Idle"]));
        Assert.Contains("does not contain the workflow: export limit", Remarks(report["Over"]));
        Assert.False(Directory.Exists(Path.Combine(Target, "Idle")));
        string said = Remarks(report["Digest"]),
            yaml = File.ReadAllText(Path.Combine(Target, "Digest", "workflow.yaml"));
        Assert.Contains("a secret was left out", said);
        Assert.Contains("the workflow is disabled on Pipedream", said);
        Assert.Contains("the trigger dc_3 is the event source new-item", said);
        Assert.Contains("the account apn_Z of the app chat_v2", said);
        Assert.Contains("sendoff secrets set SEND_KEY; ", said);
        Assert.Contains("files: the step uses the registry action chat-files@0.2.0", said);
        Assert.Contains("ours: the step uses the private component @team/ours@0.0.3", said);
        Assert.Contains("decide: the step is control flow (IfElse), which is not supported; it holds the steps yes, no", said);
        Assert.Contains("key: \"{{process.env.SEND_KEY}}\"", yaml);
        Assert.Contains("x: \"Bearer {{process.env.SEND_HEADERS_1_X}}\"", yaml);
        Assert.DoesNotContain("<redacted>", yaml);
        Assert.Contains("every: \"900s\"", yaml);
        Assert.Contains("cron: \"0 9 * * *\"", yaml);
        Assert.Contains("response: custom", yaml);
        Assert.DoesNotContain("null", yaml);
        Assert.Contains("greeting: \"Hello\"", yaml);
        Assert.Contains("lambda_timeout: 40", yaml);
    }

    [Fact]
    public async Task One_JSON_file_of_an_archive_is_imported_by_itself()
    {
        Add(
            "hello.json",
            """{ "name": "Hello", "triggers": [ { "id": "hi_1", "type": "http", "cron": null } ], "steps": [ { "namespace": "say", "code": "return 1", "props": {} } ] }"""
        );

        var result = await SendoffCommand.RunAsync(["import", Path.Combine(Source, "hello.json"), "-o", Target, "--json"]);

        Assert.Equal("runs_unchanged", Verdict(JsonElement.Parse(result.Output)[0]));
        Assert.IsType<HttpTrigger>(ReadImported("Hello").Definition!.Triggers.Single());
    }
}
