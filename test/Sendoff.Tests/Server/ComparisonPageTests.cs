using System.Net;
using System.Net.Http.Json;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;
using Sendoff.Ui;

namespace Sendoff.Tests.Server;

public sealed class ComparisonPageTests(SharedServer shared) : IClassFixture<SharedServer>
{
    readonly TestServer server = shared.Server;

    async Task<string> PageAsync(string path, HttpStatusCode expected = HttpStatusCode.OK)
    {
        using var answer = await server.Http.GetAsync(path);
        Assert.Equal(expected, answer.StatusCode);
        return WebUtility.HtmlDecode(await answer.Content.ReadAsStringAsync());
    }

    /// <summary>Where a button leads.</summary>
    async Task<string> PressAsync(string path)
    {
        using var client = server.NewClient();
        client.DefaultRequestHeaders.Authorization = server.Http.DefaultRequestHeaders.Authorization;
        using var answer = await client.PostAsync(path, null);
        Assert.Equal(HttpStatusCode.Redirect, answer.StatusCode);
        return answer.Headers.Location!.ToString();
    }

    Task SaveAsync(string workflow, string code) =>
        server.Http.PutAsync($"/api/v1/workflows/{workflow}/draft?file=step.js", new StringContent(code, null, "text/javascript"));

    static Dictionary<string, string> Files(string code) => new() { ["step.js"] = code, ["note.md"] = "same" };

    [Fact]
    public async Task Versions_are_listed_and_what_the_newest_changed_is_shown()
    {
        await server.DeployAsync("grown", Files("return 1;\n// end"));
        await server.DeployAsync("grown", Files("return 2;\n// end"));
        string page = await PageAsync("/workflows/grown/versions");
        foreach (
            string expected in new[]
            {
                "Version 1 → Version 2",
                "1 file differs; 1 is the same",
                "<pre>return 1;</pre>",
                "<pre>return 2;</pre>",
                "+1",
                "−1",
                "Roll back to version 1",
                ">Current<",
            }
        )
            Assert.Contains(expected, page);
        Assert.DoesNotContain("Roll back to version 2", page);
        Assert.Contains("Nothing differs", await PageAsync("/workflows/grown/versions?from=2&to=2"));
        Assert.Contains("Version <code>9</code>", await PageAsync("/workflows/grown/versions?from=9"));
        Assert.Contains("There is no draft", await PageAsync("/workflows/grown/versions?to=draft"));
        await SaveAsync("grown", "return 3;");
        Assert.Contains("The draft", await PageAsync("/workflows/grown/versions?from=1&to=draft"));
    }

    [Fact]
    public async Task Rolling_back_deploys_the_old_files_as_a_new_version()
    {
        await server.DeployAsync("rolled", Files("return 1;"));
        await server.DeployAsync("rolled", Files("return 2;"));
        Assert.Equal("/workflows/rolled/versions", await PressAsync("/workflows/rolled/versions/1/deploy"));
        var workflow = (await server.Store.GetWorkflowAsync("rolled", default))!;
        Assert.Equal((3, "return 1;"), (workflow.Version, (await server.Store.GetVersionAsync(workflow.Id, 3, default))!.Files["step.js"]));
    }

    [Fact]
    public async Task What_is_not_there_is_said()
    {
        await server.DeployAsync("there", Files("return 1;"));
        Assert.Contains("This workflow does not exist", await PageAsync("/workflows/nobody/versions", HttpStatusCode.NotFound));
        using var answer = await server.Http.PostAsync("/workflows/there/versions/7/deploy", null);
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Contains("Version 7", await answer.Content.ReadAsStringAsync());
        Assert.Contains(
            "This run does not exist",
            await PageAsync("/runs/run_0000000000000/compare?with=run_0000000000000", HttpStatusCode.NotFound)
        );
        string run = await server.PostAsync(
            new Uri(
                (await server.Http.GetFromJsonAsync("/api/v1/workflows/there", ApiJson.Default.WorkflowDocument))!.Triggers[0].Url!
            ).AbsolutePath
        );
        Assert.Contains("missing in the URL", await PageAsync($"/runs/{run}/compare", HttpStatusCode.NotFound));
    }

    [Fact]
    public async Task A_replay_on_the_draft_stands_beside_what_was_sent()
    {
        await using var receiver = Receiver.Answering("HTTP/1.1 204 No Content\r\n\r\n");
        string Code(string data, string more) =>
            $$"""
                $send.http({ method: "POST", url: "{{receiver.Url}}same" });
                $send.http({ method: "POST", url: "{{receiver.Url}}changed", data: {{data}} });
                {{more}}
                """;
        string hook = await server.DeployAsync(
            "replayed",
            Code("{ total: 1, id: event.body.id }", $"$send.http({{ method: 'GET', url: '{receiver.Url}gone' }});"),
            "step.js"
        );
        string run = (await server.RunAsync(hook, """{"id":7}""")).Id;
        await server.Http.PutAsJsonAsync(
            "/api/v1/workflows/replayed/draft",
            new DeployDocument(
                new Dictionary<string, string>
                {
                    ["workflow.yaml"] =
                        "triggers: [ { type: http, key: replayed } ]\nsteps: [ { namespace: step, uses: ./step.js }, { namespace: late, "
                        + "uses: ./late.js } ]",
                    ["step.js"] = Code("{ total: 2, id: event.body.id }", ""),
                    ["late.js"] = $"$send.http({{ method: 'GET', url: '{receiver.Url}new' }});",
                }
            ),
            ApiJson.Default.DeployDocument
        );

        string compare = await PressAsync($"/runs/{run}/replay-draft");
        Assert.StartsWith($"/runs/{run}/compare?with=run_", compare);
        await server.EndOfAsync(compare.Split("with=")[1]);
        string page = await PageAsync(compare);
        foreach (
            string expected in new[]
            {
                "1 same, 1 changed, 1 added, 1 removed",
                "Original: succeeded, 204",
                "<pre>  \"total\": 1,</pre>",
                "<pre>  \"total\": 2,</pre>",
                "The draft run sends nothing here",
                "The original run sent nothing here",
                "sends recorded and not sent",
            }
        )
            Assert.Contains(expected, page);
        Assert.DoesNotContain($"POST {receiver.Url}same", page);
        Assert.Contains($"POST {receiver.Url}same", await PageAsync(compare + "&show=all"));
        Assert.DoesNotContain(receiver.Requests, request => request.Contains("/new", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_draft_that_does_not_run_leads_to_the_editor_which_says_why()
    {
        var run = await server.RunAsync(await server.DeployAsync("broken", "return 1;", "step.js"));
        await SaveAsync("broken", "return (;");
        Assert.Equal("/workflows/broken", await PressAsync($"/runs/{run.Id}/replay-draft"));
        Assert.Equal("/runs/run_0000000000000", await PressAsync("/runs/run_0000000000000/replay-draft"));
    }

    [Fact]
    public async Task Sends_are_paired_by_step_and_place()
    {
        var then = await server.RunAsync(
            await server.DeployAsync(
                "pairs",
                "for (let i = 0; i < 60; i++) $send.http({ method: 'GET', url: 'http://127.0.0.1:9/' + i });",
                "step.js"
            )
        );
        var same = SendDiff.Of(then, then);
        Assert.Equal(60, same.Count);
        Assert.All(same, pair => Assert.Equal(SendChange.Same, pair.Change));
        Assert.Contains("1 to 50 of 60", await PageAsync($"/runs/{then.Id}/compare?with={then.Id}"));
        Assert.Contains("51 to 60 of 60", await PageAsync($"/runs/{then.Id}/compare?with={then.Id}&show=all&skip=50"));
        var none = SendDiff.Of(then, then with { Steps = [] });
        Assert.All(none, pair => Assert.Equal(SendChange.Removed, pair.Change));
    }
}
