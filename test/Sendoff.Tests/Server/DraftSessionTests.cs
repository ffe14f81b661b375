using Sendoff.Engine.Runs;
using Sendoff.Server;
using Sendoff.Tests.Support;
using Sendoff.Ui.Editor;

namespace Sendoff.Tests.Server;

public sealed class DraftSessionTests(SharedServer shared) : IClassFixture<SharedServer>
{
    readonly TestServer server = shared.Server;
    static readonly CancellationToken Ct = TestContext.Current.CancellationToken;

    async Task<DraftSession> OpenAsync(string name, Dictionary<string, string> files, Func<ServerOptions, ServerOptions>? with = null)
    {
        await server.DeployAsync(name, files);
        var options = server.Get<ServerOptions>();
        var session = new DraftSession(
            server.Get<Drafts>(),
            server.Get<WorkflowCatalog>(),
            server.Get<WorkflowChanges>(),
            with?.Invoke(options) ?? options
        );
        Assert.True(await session.OpenAsync(name, Ct));
        return session;
    }

    [Fact]
    public async Task A_folder_of_step_files_gets_a_workflow_yaml_when_its_order_changes()
    {
        var session = await OpenAsync("loose", new() { ["1-read.js"] = "return 1;", ["2-tell.js"] = "return 2;" });
        Assert.Null(session.MoveStep(1, 0));
        Assert.Equal(["tell", "read"], session.Definition!.Steps.Select(step => step.Name));
        Assert.Null(await session.DeployAsync(Ct));
        Assert.Equal(2, session.Workflow!.Version);
        var run = await server.RunAsync(
            new Uri((await server.Http.GetStringAsync("/api/v1/workflows/loose")).Split("\"url\":\"")[1].Split('"')[0]).AbsolutePath
        );
        Assert.Equal(["tell", "read"], run.Steps.Select(step => step.Name));
    }

    [Fact]
    public async Task What_cannot_be_changed_says_why_and_nothing_changes()
    {
        var session = await OpenAsync(
            "stiff",
            new() { ["workflow.yaml"] = "steps: [ { namespace: a, uses: ./a.js } ]", ["a.js"] = "return 1;" }
        );
        var before = session.Files.ToDictionary();
        Assert.Contains("cannot be changed by this form", session.AddStep("b"));
        Assert.Contains("A step `a` already exists", session.AddStep("a"));
        Assert.Contains("is not a valid step name", session.AddStep("1 b"));
        Assert.Contains("at least one step", session.RemoveStep(0));
        Assert.Contains("uses `a.js`", session.Delete("a.js"));
        Assert.Contains("The file `a.js` already exists", session.Create("a.js"));
        Assert.Contains("is not a workflow file", session.Create("a.exe"));
        Assert.Contains("is not a workflow file", session.Create(".env.js"));
        Assert.Contains("is not inside the folder", session.Rename("a.js", "/etc/a.js"));
        Assert.Contains("does not exist", session.Rename("gone.js", "b.js"));
        Assert.Equal(before, session.Files);
    }

    [Fact]
    public async Task A_file_that_is_renamed_is_used_under_its_new_name()
    {
        var session = await OpenAsync(
            "renamed",
            new() { ["workflow.yaml"] = "steps:\n  - namespace: a\n    uses: ./a.js # here\n", ["a.js"] = "return 1;" }
        );
        Assert.Null(session.Rename("a.js", "folder/b.mjs"));
        Assert.Equal("steps:\n  - namespace: a\n    uses: ./folder/b.mjs # here\n", session.Files["workflow.yaml"]);
        Assert.Equal("folder/b.mjs", session.Definition!.Steps[0].File);
    }

    [Theory]
    [InlineData("{", "The test event is not JSON: line 1")]
    [InlineData("{\n\"a\": nope\n}", "The test event is not JSON: line 2")]
    public async Task A_test_event_that_is_no_JSON_is_said(string json, string says)
    {
        var session = await OpenAsync("said", new() { ["a.js"] = "return 1;" });
        var (run, mistake) = await session.TestAsync(json, true, Ct);
        Assert.Null(run);
        Assert.StartsWith(says, mistake);
    }

    [Fact]
    public async Task A_draft_over_the_limit_of_a_deploy_is_not_saved_and_a_deleted_workflow_says_so()
    {
        var session = await OpenAsync("limited", new() { ["a.js"] = "return 1;" }, options => options with { DeployBytes = 1_000 });
        session.Type("a.js", "// " + new string('é', 500));
        Assert.Contains("more than 1,000 bytes", await session.SaveAsync(Ct));
        session.Type("a.js", "return 2;");
        Assert.Null(await session.SaveAsync(Ct));
        Assert.True(session.IsDraft);
        await server.Http.DeleteAsync("/api/v1/workflows/limited", Ct);
        session.Type("a.js", "return 3;");
        Assert.Contains("was deleted", await session.SaveAsync(Ct));
    }

    [Fact]
    public async Task A_deploy_elsewhere_overtakes_what_is_typed_until_one_insists()
    {
        var session = await OpenAsync("overtaken", new() { ["a.js"] = "return 1;" });
        await server.DeployAsync("overtaken", new Dictionary<string, string> { ["a.js"] = "return 'theirs';" });
        session.Type("a.js", "return 'mine';");
        Assert.Contains("changed elsewhere", await session.CheckAsync(Ct));
        Assert.True(session.IsOvertaken);
        Assert.Null(await session.InsistAsync(Ct));
        Assert.False(session.IsOvertaken);
        Assert.Null(await session.DeployAsync(Ct));
        Assert.Equal(3, session.Workflow!.Version);
    }
}
