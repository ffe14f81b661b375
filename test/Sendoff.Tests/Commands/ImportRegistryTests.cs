using System.Text.Json;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Commands;

/// <summary>Where an import finds the code of registry actions, and what it copies.</summary>
public sealed class ImportRegistryTests : ImportRig
{
    string Checkout => Path.Combine(folder.Path, "pipedream");

    void AddComponent(string path, string text)
    {
        string file = Path.Combine(Checkout, "components", path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
    }

    void AddWorkflow(string uses) =>
        Add(
            "w-p_1/workflow.yaml",
            $"name: W\ntriggers: [ {{ id: hi_1 }} ]\nsteps: [ {{ namespace: send, uses: {uses}, props: {{ chat: {{ authProvisionId: "
                + "apn_1 } } } ]"
        );

    static string Action(string key, string imports = "import chat from \"../../chat.app.mjs\";", string version = "1.2.3") =>
        $"{imports}\nexport default {{ key: \"{key}\", version: \"{version}\", type: \"action\", props: {{ chat }}, "
        + $"async run() {{ return 1 }} }};";

    void AddChat(string dependencies = "{ \"lodash\": \"^4.17.21\" }")
    {
        AddComponent(
            "chat/package.json",
            $$"""{ "name": "@pipedream/chat", "version": "0.9.0", "main": "./chat.app.mjs", "scripts": { "install": "false" }, "dependencies": {{dependencies}} }"""
        );
        AddComponent("chat/LICENSE", "source-available");
        AddComponent(
            "chat/chat.app.mjs",
            "import get from \"lodash/get\";\nimport { limit } from \"./common/limits.mjs\";\nexport default { type: \"app\", app: "
                + "\"chat\", methods: { token() { return this.$auth.bot_token } } };"
        );
        AddComponent("chat/common/limits.mjs", "export const limit = 1;");
        AddComponent("chat/actions/send-text/send-text.mjs", Action("chat-send-text"));
    }

    async Task<JsonElement> ReportAsync(params string[] more)
    {
        var (result, report) = await ImportAsync(more);
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        return report[0];
    }

    string Copied(string path) => File.ReadAllText(Path.Combine(Target, "w-p_1", "registry", path));

    string[] AllCopied =>
        [
            .. Directory
                .EnumerateFiles(Path.Combine(Target, "w-p_1", "registry"), "*", SearchOption.AllDirectories)
                .Select(file => Path.GetRelativePath(Path.Combine(Target, "w-p_1", "registry"), file).Replace('\\', '/'))
                .Order(StringComparer.Ordinal),
        ];

    [Theory]
    [InlineData("")]
    [InlineData("components")]
    public async Task An_action_of_a_checkout_is_copied_with_what_it_imports_and_the_ranges_of_its_packages(string below)
    {
        AddWorkflow("chat-send-text@1.2.3");
        AddChat();
        AddComponent("chat/actions/other/other.mjs", Action("chat-other"));

        var report = await ReportAsync("--components", Path.Combine(Checkout, below));

        Assert.Equal(
            [
                "chat/LICENSE.txt",
                "chat/actions/send-text/send-text.mjs",
                "chat/chat.app.mjs",
                "chat/common/limits.mjs",
                "chat/package.json",
            ],
            AllCopied
        );
        Assert.Equal("registry/chat/actions/send-text/send-text.mjs", ReadImported("w-p_1").Definition!.Steps.Single().File);
        Assert.StartsWith(
            "import get from \"lodash@^4.17.21/get\";\nimport { limit } from \"./common/limits.mjs\";",
            Copied("chat/chat.app.mjs"),
            StringComparison.Ordinal
        );
        Assert.DoesNotContain("scripts", Copied("chat/package.json"), StringComparison.Ordinal);
        string said = Remarks(report);
        Assert.Contains("send: the registry action chat-send-text@1.2.3 is copied from the folder ", said);
        Assert.Contains("to registry/chat, with the files that it imports (version 1.2.3); not in npm: disabled by --no-npm", said);
        Assert.Contains("under its source-available license; it is copied from your own source and is not part of Sendoff", said);
        Assert.Contains("sendoff accounts connect chat --id apn_1 --field bot_token", said);
    }

    [Fact]
    public async Task A_copy_of_another_version_is_reported_with_both()
    {
        AddWorkflow("chat-send-text@0.0.9");
        AddChat();

        Assert.Contains("; the copy has version 1.2.3, the workflow uses 0.0.9", Remarks(await ReportAsync("--components", Checkout)));
    }

    [Fact]
    public async Task An_action_whose_file_has_another_name_is_found_by_its_key()
    {
        AddWorkflow("chat-send-text@1.2.3");
        AddChat();
        AddComponent("chat/actions/send-text/send-text.mjs", Action("chat-send-text-old"));
        AddComponent("chat/actions/texts/post.mjs", Action("chat-send-text"));

        await ReportAsync("--components", Checkout);

        Assert.Equal("registry/chat/actions/texts/post.mjs", ReadImported("w-p_1").Definition!.Steps.Single().File);
    }

    [Fact]
    public async Task TypeScript_is_copied_with_the_endings_that_Node_js_wants()
    {
        AddWorkflow("chat-send-text@1.2.3");
        AddComponent(
            "chat/actions/send-text/send-text.ts",
            Action("chat-send-text", "import chat from \"../../app/chat.app\";\nimport { one } from \"../../common/one.js\";")
        );
        AddComponent("chat/app/chat.app.ts", "export default { type: \"app\", app: \"chat\" };");
        AddComponent("chat/common/one.ts", "export const one: number = 1;");

        await ReportAsync("--components", Checkout);

        Assert.StartsWith(
            "import chat from \"../../app/chat.app.ts\";\nimport { one } from \"../../common/one.ts\";",
            Copied("chat/actions/send-text/send-text.ts"),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public async Task Files_of_another_app_are_copied_beside_those_of_the_app()
    {
        AddWorkflow("chat-send-text@1.2.3");
        AddChat();
        AddComponent(
            "chat/actions/send-text/send-text.mjs",
            Action(
                "chat-send-text",
                "import chat from \"@pipedream/rooms\";\nimport x from \"../../../rooms/x.mjs\";\nimport { axios } from "
                    + "\"@pipedream/platform\";"
            )
        );
        AddComponent("rooms/rooms.app.mjs", "export default { type: \"app\", app: \"rooms\" };");
        AddComponent("rooms/x.mjs", "export default 1;");

        await ReportAsync("--components", Checkout);

        Assert.StartsWith(
            "import chat from \"../../../rooms/rooms.app.mjs\";\nimport x from \"../../../rooms/x.mjs\";\nimport { axios } from "
                + "\"@pipedream/platform\";",
            Copied("chat/actions/send-text/send-text.mjs"),
            StringComparison.Ordinal
        );
        Assert.Contains("rooms/x.mjs", AllCopied);
    }

    public static TheoryData<string, string> Outside =>
        new()
        {
            { "import x from \"../../../../../etc/x.mjs\";", "imports '../../../../../etc/x.mjs', which is outside the source" },
            { "import x from \"/etc/passwd\";", "imports '/etc/passwd', which is outside the source" },
            { "import x from \"file:///etc/passwd\";", "which is outside the source" },
            { "import x from \"../../missing.mjs\";", "imports '../../missing.mjs', which does not exist in the source" },
            { "import x from \"../../link.mjs\";", "chat/link.mjs is a symbolic link or is inside one" },
            { "import x from \"../../linked/x.mjs\";", "chat/linked/x.mjs is a symbolic link or is inside one" },
            { "import x from \"../../large.mjs\";", "chat/large.mjs has more than 1,048,576 bytes" },
            { "import x from \"../../many.mjs\";", "it has more than 200 files" },
            { "import x from \"../../.git/x.mjs\";", "which does not exist in the source" },
            { "import x from \"../../latin.mjs\";", "chat/latin.mjs is not UTF-8 text" },
        };

    [Theory]
    [MemberData(nameof(Outside))]
    public async Task Nothing_is_copied_of_an_action_that_leads_out_of_its_source_or_over_a_limit(string imports, string says)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "symbolic links need rights there");
        AddWorkflow("chat-send-text@1.2.3");
        AddChat();
        AddComponent("chat/actions/send-text/send-text.mjs", Action("chat-send-text", imports));
        string chat = Path.Combine(Checkout, "components", "chat");
        File.CreateSymbolicLink(Path.Combine(chat, "link.mjs"), "/etc/passwd");
        AddComponent("elsewhere/x.mjs", "export default 1;");
        Directory.CreateSymbolicLink(Path.Combine(chat, "linked"), Path.Combine(Checkout, "components", "elsewhere"));
        AddComponent("chat/large.mjs", "//" + new string('x', 1024 * 1024));
        AddComponent("chat/many.mjs", string.Concat(Enumerable.Range(0, 201).Select(i => $"import \"./many/{i}.mjs\";\n")));
        for (int i = 0; i < 201; i++)
            AddComponent($"chat/many/{i}.mjs", "");
        AddComponent("chat/.git/x.mjs", "");
        File.WriteAllBytes(Path.Combine(chat, "latin.mjs"), [0xe9]);

        var report = await ReportAsync("--components", Checkout);

        Assert.Equal("needs_answer", report.GetProperty("verdict").GetString());
        Assert.Contains(says, Remarks(report));
        Assert.False(Directory.Exists(Path.Combine(Target, "w-p_1", "registry")));
    }

    [Fact]
    public async Task An_action_that_no_source_has_is_a_question_that_says_why_of_each()
    {
        AddWorkflow("chat-fly@1.0.0");
        AddChat();

        var report = await ReportAsync("--components", Checkout);

        Assert.Equal("needs_answer", report.GetProperty("verdict").GetString());
        string said = Remarks(report);
        Assert.Contains(
            "the step uses the registry action chat-fly@1.0.0, and no source has its code: npm: disabled by --no-npm; --components: ",
            said
        );
        Assert.Contains(
            "has no component with the key chat-fly in chat; Pipedream's API: PIPEDREAM_API_KEY is not set; clone Pipedream's repository",
            said
        );
    }

    [Fact]
    public async Task A_folder_of_the_project_with_the_name_of_the_copy_is_left_alone()
    {
        AddWorkflow("chat-send-text@1.2.3");
        AddChat();
        Add("w-p_1/registry/chat/chat.app.mjs", "mine");

        await ReportAsync("--components", Checkout);

        Assert.Equal("mine", Copied("chat/chat.app.mjs"));
        Assert.Equal("registry-2/chat/actions/send-text/send-text.mjs", ReadImported("w-p_1").Definition!.Steps.Single().File);
    }

    [Fact]
    public async Task Pipedreams_API_is_asked_with_the_users_key_for_what_no_other_source_has()
    {
        AddWorkflow("chat-send-text@1.2.3");
        await using var api = Sink.Start(
            body: JsonSerializer.Serialize(
                new
                {
                    data = new
                    {
                        key = "chat-send-text",
                        version = "1.2.4",
                        code = Action("chat-send-text", "import { axios } from \"@pipedream/platform\"; const chat = {};"),
                    },
                }
            )
        );
        (Environment["PIPEDREAM_API_KEY"], Environment["PIPEDREAM_API_URL"]) = ("pd-key", api.Url);

        var report = await ReportAsync();

        var request = Assert.Single(api.Requests);
        Assert.Equal(
            ("GET", "/v1/components/registry/chat-send-text", "Bearer pd-key"),
            (request.Method, request.Target, request.Header("authorization"))
        );
        Assert.Contains(
            "is copied from Pipedream's API to registry/chat, with the files that it imports; the copy has version 1.2.4, "
                + "the workflow uses 1.2.3",
            Remarks(report)
        );
        Assert.Contains("key: \"chat-send-text\"", Copied("chat/actions/send-text/send-text.mjs"), StringComparison.Ordinal);
        Assert.DoesNotContain("pd-key", File.ReadAllText(Path.Combine(Target, "import-report.md")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(404, "{}", "it has no component with this key (404)")]
    [InlineData(401, "{}", "it refused the key in PIPEDREAM_API_KEY (401)")]
    [InlineData(302, "{}", "it responded with 302")]
    [InlineData(200, "<html>", "its response is not JSON")]
    [InlineData(200, "[]", "its response is not a JSON object")]
    [InlineData(200, "{\"data\":{\"code\":null}}", "its response contains no code")]
    [InlineData(
        200,
        "{\"data\":{\"code\":\"import a from '../../chat.app.mjs'\"}}",
        "its code imports '../../chat.app.mjs', a file that the API does not return"
    )]
    public async Task What_Pipedreams_API_does_not_give_is_said(int status, string body, string says)
    {
        AddWorkflow("chat-send-text@1.2.3");
        await using var api = Sink.Start(status, body);
        (Environment["PIPEDREAM_API_KEY"], Environment["PIPEDREAM_API_URL"]) = ("pd-key", api.Url);

        Assert.Contains($"Pipedream's API: {says}", Remarks(await ReportAsync()));
    }

    [Fact]
    public async Task An_answer_of_Pipedreams_API_is_read_up_to_its_limit()
    {
        AddWorkflow("chat-send-text@1.2.3");
        await using var api = Sink.Start(body: new string(' ', 4 * 1024 * 1024 + 1));
        (Environment["PIPEDREAM_API_KEY"], Environment["PIPEDREAM_API_URL"]) = ("pd-key", api.Url);

        Assert.Contains("Pipedream's API: its response has more than 4,194,304 bytes", Remarks(await ReportAsync()));
    }

    [Theory]
    [InlineData("http://192.0.2.1", "pd-key", "give an https:// URL, because the key is sent to it")]
    [InlineData("nowhere", "pd-key", "PIPEDREAM_API_URL is 'nowhere'")]
    [InlineData("", "pd key", "PIPEDREAM_API_KEY contains characters that are not valid in a key")]
    public async Task A_key_is_sent_over_TLS_only(string url, string key, string says)
    {
        AddWorkflow("chat-send-text@1.2.3");
        (Environment["PIPEDREAM_API_KEY"], Environment["PIPEDREAM_API_URL"]) = (key, url);

        var (result, _) = await ImportAsync();

        Assert.Equal(2, result.ExitCode);
        Assert.Contains(says, result.Error);
    }

    const string NewMessage =
        "export default { key: \"chat-new-message\", version: \"0.0.4\", type: \"source\", props: { chat }, run() {} };";

    void AddSource(string trigger) =>
        Add("w-p_1/workflow.yaml", $"name: W\ntriggers: [ {trigger} ]\nsteps: [ {{ namespace: code, uses: ./code/entry.js }} ]");

    [Theory]
    [InlineData("{ id: dc_1, component_key: chat-new-message@0.0.4, configured_props: { timer: { intervalSeconds: 900 } } }", null)]
    [InlineData("{ id: dc_1, component_key: chat-new-message, configured_props_json: '{\"timer\":{\"intervalSeconds\":900}}' }", null)]
    [InlineData("{ id: dc_1 }", "{ uses: chat-new-message@0.0.4, props: { timer: { intervalSeconds: 900 } } }")]
    public async Task An_event_source_is_copied_like_an_action_from_an_export_or_an_answer(string trigger, string? answer)
    {
        AddSource(trigger);
        Add("w-p_1/code/entry.js", "return 1");
        AddChat();
        AddComponent("chat/sources/new-message/new-message.mjs", "import chat from \"../../chat.app.mjs\";\n" + NewMessage);
        string answers = Path.Combine(folder.Path, "answers.yaml");
        File.WriteAllText(answers, answer is null ? "{}" : $"w-p_1: {{ trigger: {answer} }}");

        var report = await ReportAsync("--components", Checkout, "--answers", answers);

        var source = Assert.Single(ReadImported("w-p_1").Definition!.Sources);
        Assert.Equal(("new-message", "registry/chat/sources/new-message/new-message.mjs"), (source.Name, source.Code.File));
        Assert.Equal(900, source.Code.Props!.Value.GetProperty("timer").GetProperty("intervalSeconds").GetInt32());
        Assert.Contains("trigger dc_1: the registry source chat-new-message", Remarks(report));
        Assert.Equal("runs_unchanged", report.GetProperty("verdict").GetString());
    }

    [Fact]
    public async Task A_source_that_only_Pipedreams_app_can_serve_is_written_as_disabled_with_the_alternative()
    {
        AddSource("{ id: dc_1, component_key: chat-new-message }");
        Add("w-p_1/code/entry.js", "return 1");
        AddChat();
        AddComponent(
            "chat/sources/new-message/new-message.mjs",
            "import chat from \"../../chat.app.mjs\";\n" + NewMessage.Replace("{ chat }", "{ chat, hook: \"$.interface.apphook\" }")
        );

        var report = await ReportAsync("--components", Checkout);

        Assert.Contains("the trigger dc_1 is the event source chat-new-message", Remarks(report));
        Assert.Contains("register an app of your own with the service, and let it call `{ type: http }`", Remarks(report));
        Assert.Empty(ReadImported("w-p_1").Definition!.Sources);
    }
}
