using System.Text;
using System.Text.Json;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Packages;

/// <summary>Registry actions that an import copies from npm packages, and how they run when the packages are gone.</summary>
public sealed class ImportedActionTests : PackageRig
{
    string Project => Path.Combine(folder.Path, "project");
    string Target => Path.Combine(folder.Path, "imported");
    string Imported => Path.Combine(Target, "chat-p_1");

    async Task<string> ImportAsync(params string[] more)
    {
        var environment = new Dictionary<string, string>(registry.Environment) { ["PIPEDREAM_API_KEY"] = "" };
        var result = await SendoffCommand.RunAsync(["import", Project, "-o", Target, "--json", .. more], environment: environment);
        Assert.True(result.ExitCode == 0, result.Error);
        return string.Join(
            "\n",
            JsonElement
                .Parse(result.Output)[0]
                .GetProperty("findings")
                .EnumerateArray()
                .Select(static one => $"{one.GetProperty("where")}: {one.GetProperty("what")}")
        );
    }

    void AddWorkflow(string steps)
    {
        Directory.CreateDirectory(Path.Combine(Project, "chat-p_1"));
        File.WriteAllText(Path.Combine(Project, "chat-p_1", "workflow.yaml"), $"name: Chat\ntriggers: [ {{ id: hi_1 }} ]\nsteps:\n{steps}");
    }

    Dictionary<string, string> Files() =>
        Directory
            .EnumerateFiles(Imported, "*", SearchOption.AllDirectories)
            .ToDictionary(file => Path.GetRelativePath(Imported, file).Replace('\\', '/'), File.ReadAllText);

    const string Main = """{ "main": "chat.app.mjs", "dependencies": { "greeting": "^1.0.0" } }""";

    static Dictionary<string, string> Chat(string url) =>
        new()
        {
            ["chat.app.mjs"] =
                "import { url } from \"./common/constants.mjs\"; export default { type: \"app\", app: \"chat\", methods: { post($, "
                + "data) { $.send.http({ method: \"POST\", url, data }); } } };",
            ["common/constants.mjs"] = $"export const url = \"{url}\";",
            ["actions/greet/greet.mjs"] = """
                import chat from "../../chat.app.mjs"; import greeting from "greeting"; import { url } from "../../common/constants.mjs";
                export default { key: "chat-greet", version: "0.1.0", type: "action", props: { chat, name: "string" }, async run({ $ }) { this.chat.post($, { said: `${greeting} ${this.name}` }); return url; } };
                """,
            ["actions/part/part.mjs"] = """
                import chat from "../../chat.app.mjs";
                export default { key: "chat-part", version: "0.2.0", type: "action", props: { chat }, async run({ $ }) { this.chat.post($, { said: "bye" }); } };
                """,
        };

    [Fact]
    public async Task Two_actions_of_one_app_run_after_their_package_and_the_registry_are_gone()
    {
        await using var receiver = Sink.Start();
        registry.Publish("greeting", "1.0.0");
        registry.Publish("greeting", "2.0.0");
        registry.Publish("@pipedream/chat", "0.5.0", Chat(receiver.Url), Main);
        AddWorkflow(
            "- { namespace: greet, uses: chat-greet@0.1.0, props: { chat: { authProvisionId: apn_1 }, name: Ann } }\n- { namespace: part, "
                + "uses: chat-part@0.1.9, props: { chat: { authProvisionId: apn_1 } } }\n"
        );

        string said = await ImportAsync();
        registry.Unpublish("@pipedream/chat");
        await StartAsync();
        string hook = await server!.DeployAsync("chat", Files());
        await registry.DisposeAsync();
        var run = await server.RunAsync(hook);

        Assert.Equal("succeeded", run.Status);
        await receiver.WaitForRequestsAsync(2);
        Assert.Equal(
            ["""{"said":"bye"}""", """{"said":"greeting 1.0.0 Ann"}"""],
            receiver.Requests.Select(static request => Encoding.UTF8.GetString(request.Body)).Order(StringComparer.Ordinal)
        );
        Assert.Contains(
            "greet: the registry action chat-greet@0.1.0 is copied from the npm package @pipedream/chat 0.5.0 to registry/chat, "
                + "with the files that it imports (version 0.1.0)",
            said
        );
        Assert.Contains(
            "part: the registry action chat-part@0.1.9 is copied from the npm package @pipedream/chat 0.5.0 to registry/chat, "
                + "with the files that it imports; the copy has version 0.2.0, the workflow uses 0.1.9",
            said
        );
    }

    [Fact]
    public async Task Compiled_TypeScript_is_copied_with_the_files_of_an_app_that_it_depends_on()
    {
        registry.Publish(
            "@pipedream/rooms",
            "1.0.0",
            new() { ["lib/rooms.app.mjs"] = "export default { type: 'app', app: 'rooms' };" },
            """{ "main": "./lib/rooms.app.mjs" }"""
        );
        registry.Publish(
            "@pipedream/platform",
            "3.0.0",
            new() { ["dist/index.js"] = "module.exports = {};" },
            """{ "main": "dist/index.js" }"""
        );
        registry.Publish(
            "@pipedream/chat",
            "0.5.0",
            new()
            {
                ["dist/app/chat.app.mjs"] =
                    "import rooms from '@pipedream/rooms'; import { axios } from '@pipedream/platform'; export default { type: 'app', "
                    + "app: 'chat' };",
                ["dist/actions/greet/greet.mjs"] =
                    "import chat from '../../app/chat.app.mjs'; export default { key: 'chat-greet', version: '0.1.0', type: 'action', "
                    + "props: { chat }, async run() {} };",
            },
            """{ "main": "dist/app/chat.app.mjs", "dependencies": { "@pipedream/rooms": "^1.0.0", "@pipedream/platform": "^3.0.0" } }"""
        );
        AddWorkflow("- { namespace: greet, uses: chat-greet@0.1.0 }\n");

        await ImportAsync();

        var files = Files();
        Assert.Contains("uses: ./registry/chat/dist/actions/greet/greet.mjs", files["workflow.yaml"]);
        Assert.StartsWith(
            "import rooms from '../../../rooms/lib/rooms.app.mjs'; import { axios } from '@pipedream/platform@^3.0.0';",
            files["registry/chat/dist/app/chat.app.mjs"],
            StringComparison.Ordinal
        );
        Assert.Contains("registry/rooms/lib/rooms.app.mjs", files.Keys);
        Assert.DoesNotContain("registry/platform/package.json", files.Keys);
    }

    [Fact]
    public async Task What_npm_does_not_have_is_looked_for_in_the_folder_that_is_given()
    {
        string action = Path.Combine(folder.Path, "components", "chat", "actions", "greet", "greet.mjs");
        Directory.CreateDirectory(Path.GetDirectoryName(action)!);
        File.WriteAllText(action, "export default { key: 'chat-greet', version: '0.1.0', type: 'action', async run() {} };");
        AddWorkflow("- { namespace: greet, uses: chat-greet@0.1.0 }\n");

        string said = await ImportAsync("--components", folder.Path);

        Assert.Contains(
            "to registry/chat, with the files that it imports (version 0.1.0); not in npm: npm has no package '@pipedream/chat'",
            said
        );
    }

    [Fact]
    public async Task Code_of_a_package_is_not_executed_by_an_import()
    {
        string made = Path.Combine(folder.Path, "made");
        registry.Publish(
            "@pipedream/chat",
            "0.5.0",
            new()
            {
                ["actions/greet/greet.mjs"] =
                    $"import fs from 'node:fs'; fs.writeFileSync({JsonSerializer.Serialize(made)}, ''); export default {{ key: "
                    + $"'chat-greet', version: '0.1.0', type: 'action', async run() {{}} }};",
            },
            JsonSerializer.Serialize(new { scripts = new { install = $"touch {made}" } })
        );
        AddWorkflow("- { namespace: greet, uses: chat-greet@0.1.0 }\n");

        Assert.Contains("is copied from the npm package @pipedream/chat 0.5.0", await ImportAsync());

        Assert.False(File.Exists(made));
    }
}
