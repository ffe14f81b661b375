using System.Diagnostics;
using System.IO.Compression;
using System.Text.Json;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Commands;

/// <summary>Projects, exports and sources of components that nobody wrote by hand: an import reads them, or says what they have.</summary>
public sealed class ImportHostileTests : ImportRig
{
    const string Step = """{ "namespace": "send", "code": "return 1" }""";

    string Checkout => Path.Combine(folder.Path, "pipedream");

    void AddComponent(string path, string text)
    {
        string file = Path.Combine(Checkout, "components", path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
    }

    void AddWorkflow(string uses) =>
        Add("w-p_1/workflow.yaml", $"name: W\ntriggers: [ {{ id: hi_1 }} ]\nsteps: [ {{ namespace: send, uses: {uses} }} ]");

    void AddExport(params string[] workflows)
    {
        Directory.CreateDirectory(folder.Path);
        using var archive = ZipFile.Open(Source, ZipArchiveMode.Create);
        for (int i = 0; i < workflows.Length; i++)
        {
            using var writer = new StreamWriter(archive.CreateEntry($"{i}.json").Open());
            writer.Write(workflows[i]);
        }
    }

    async Task<JsonElement> ReportAsync(params string[] more)
    {
        var (result, report) = await ImportAsync(more);
        Assert.Equal(("", true), (result.Error, result.ExitCode is 0 or 1));
        return report;
    }

    static string[] Folders(JsonElement report) => [.. report.EnumerateArray().Select(one => one.GetProperty("folder").GetString()!)];

    [Theory]
    [InlineData("""{ "name": "\ud800", "steps": [ { "namespace": "send", "code": "return 1" } ] }""")]
    [InlineData("""{ "name": "W", "steps": [ { "namespace": "send", "code": "return '\udfff'" } ] }""")]
    [InlineData("""{ "name": "W", "steps": [ { "namespace": "send", "code": "return 1", "props": { "\ud800": "\udc00" } } ] }""")]
    [InlineData("""{ "name": "W", "steps": [ { "namespace": "send", "code": "return 1", "runtime": "\ud800" } ] }""")]
    [InlineData("""{ "name": "W", "triggers": [ { "type": "http", "\ud800": 1 } ], "steps": [] }""")]
    public async Task Half_of_a_surrogate_pair_in_an_export_is_read_as_the_character_that_stands_for_it(string workflow)
    {
        AddExport(workflow);

        Assert.Single(Folders(await ReportAsync()));
    }

    [Theory]
    [InlineData("""{ "name": "x", "version": "\ud800" }""")]
    [InlineData("""{ "main": "\ud800", "type": "\ud800", "license": "\ud800" }""")]
    [InlineData("""{ "dependencies": { "\ud800": "1", "lodash": "\udc00" } }""")]
    [InlineData("""{ "dependencies": { "a": "1" }, "dependencies": { "b": "1", "b": "2" } }""")]
    public async Task An_action_is_copied_whatever_the_package_of_its_app_says(string manifest)
    {
        AddWorkflow("chat-send@1.0.0");
        AddComponent("chat/package.json", manifest);
        AddComponent("chat/actions/send/send.mjs", "export default { key: \"chat-send\", version: \"1.0.0\", async run() {} };");

        Assert.Contains("is copied from the folder", Remarks((await ReportAsync("--components", Checkout))[0]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Half_of_a_surrogate_pair_in_an_answer_of_the_API_is_read()
    {
        AddWorkflow("chat-send@1.0.0");
        await using var api = Sink.Start(body: """{ "data": { "version": "\ud800", "code": "export default '\udfff'", "\udc00": 1 } }""");
        (Environment["PIPEDREAM_API_KEY"], Environment["PIPEDREAM_API_URL"]) = ("pd-key", api.Url);

        Assert.Contains("is copied from Pipedream's API", Remarks((await ReportAsync())[0]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Workflows_get_folders_whatever_they_are_called()
    {
        string[] names = ["", "..", "...", "-", "a/b", "../../b", "\\n", new string('n', 3_000), new string('n', 3_000), "A", "a"];
        AddExport([.. names.Select(name => $$"""{ "name": "{{name}}", "steps": [ {{Step}} ] }""")]);

        var report = await ReportAsync();

        string longest = new('n', 80);
        Assert.Equal(
            ["workflow", "workflow-2", "workflow-3", "workflow-4", "a-b", "b", "workflow-5", longest, longest + "-2", "A", "a-2"],
            Folders(report)
        );
        Assert.All(Folders(report), one => Assert.True(File.Exists(Path.Combine(Target, one, "workflow.yaml")), one));
    }

    [Fact]
    public async Task A_namespace_or_a_file_name_that_is_too_long_is_named()
    {
        AddExport($$"""{ "name": "W", "steps": [ { "namespace": "{{new string('n', 300)}}", "code": "return 1" } ] }""");
        string remarks = Remarks((await ReportAsync())[0]);
        Assert.Contains(
            $"'{new string('n', 100)}…' is not valid as a step's namespace; use 1 to 100 letters",
            remarks,
            StringComparison.Ordinal
        );

        using (var archive = ZipFile.Open(Source, ZipArchiveMode.Update))
        {
            archive.Entries[0].Delete();
            foreach (string file in new[] { "w-p_1/workflow.yaml", $"w-p_1/{new string('f', 300)}.js" })
            {
                using var writer = new StreamWriter(archive.CreateEntry(file).Open());
                writer.Write(file.EndsWith("yaml", StringComparison.Ordinal) ? "name: W\ntriggers: [ { id: hi_1 } ]\nsteps: []\n" : "// x");
            }
        }
        Directory.Delete(Target, recursive: true);
        var (result, _) = await ImportAsync();
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("w-p_1: a file name is too long for this file system: fff", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Names_of_an_export_do_nothing_to_the_terminal_that_shows_the_report()
    {
        AddExport(
            """{ "name": "W\u001b]0;x\u0007", "triggers": [ { "type": "x\u001b[2J", "id": "ti_\u202e" } ], "steps": [ { "namespace": "s", "lang": "python\u001b" } ] }"""
        );

        await ReportAsync();

        string report = File.ReadAllText(Path.Combine(Target, "import-report.md"));
        Assert.Contains("\\u001b", report, StringComparison.Ordinal);
        Assert.False(TerminalText.IsActive(report), report);
    }

    [Fact]
    public async Task A_name_that_an_export_has_twice_counts_once()
    {
        AddExport(
            $$"""
            { "name": "W", "settings": { "timeout": 30, "timeout": 40 }, "triggers": [ { "type": "http", "type": "http" } ], "steps": [ {{Step}} ] }
            """
        );

        Assert.Equal(["W"], Folders(await ReportAsync()));
    }

    [Fact]
    public async Task A_file_of_an_export_that_is_not_JSON_is_reported()
    {
        AddExport($$"""{ "name": "W", "steps": [ {{Step}} ] }""", """{ "name": "cut", "ste""");

        var report = await ReportAsync();

        Assert.Equal(["W", "1.json"], Folders(report));
        Assert.Contains("1.json is not JSON; export it from Pipedream again", Remarks(report[1]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_path_of_an_archive_that_is_none_is_left_out()
    {
        Directory.CreateDirectory(folder.Path);
        using (var archive = ZipFile.Open(Source, ZipArchiveMode.Create))
            foreach (string path in (string[])["w/workflow.yaml", "w//b.js", "/w/c.js", "w/./d.js", "../w/e.js", "w/a.js"])
            {
                using var writer = new StreamWriter(archive.CreateEntry(path).Open());
                writer.Write(path.EndsWith("yaml", StringComparison.Ordinal) ? "steps: [ { namespace: a, uses: ./a.js } ]" : "return 1");
            }

        Assert.Equal(["w"], Folders(await ReportAsync()));
        Assert.Equal(
            ["a.js", "workflow.yaml"],
            Directory.EnumerateFiles(Path.Combine(Target, "w")).Select(static file => Path.GetFileName(file)).Order(StringComparer.Ordinal)
        );
    }

    [Theory]
    [InlineData("project")]
    [InlineData("components")]
    [InlineData("workflow")]
    public async Task A_named_pipe_among_files_is_not_waited_for(string where)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "named pipes are no files there");
        AddWorkflow(where == "components" ? "chat-send@1.0.0" : "./send.js");
        Add("w-p_1/send.js", "return 1");
        string pipe =
            where == "components" ? Path.Combine(Checkout, "components/chat/actions/send/send.mjs") : Path.Combine(Source, "w-p_1/pipe.js");
        Directory.CreateDirectory(Path.GetDirectoryName(pipe)!);
        using (var made = Process.Start("mkfifo", pipe))
            await made.WaitForExitAsync(TestContext.Current.CancellationToken);

        string[] command =
            where == "workflow"
                ? ["types", Path.Combine(Source, "w-p_1")]
                :
                [
                    "import",
                    Source,
                    "-o",
                    Target,
                    "--no-npm",
                    .. where == "components" ? ["--components", Checkout] : Array.Empty<string>(),
                ];

        Assert.Equal(0, (await SendoffCommand.RunAsync(command, environment: Environment)).ExitCode);
    }
}
