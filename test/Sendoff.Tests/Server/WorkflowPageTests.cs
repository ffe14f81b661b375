using System.Net;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

public sealed class WorkflowPageTests(SharedServer shared) : IClassFixture<SharedServer>
{
    readonly TestServer server = shared.Server;

    [Fact]
    public async Task A_workflow_is_listed_with_its_last_run_and_where_to_go_from_it()
    {
        var run = await SampleRuns.AddAsync(server, RunStatus.Failed, "listed");
        string row = await RowAsync("listed");

        foreach (
            string expected in new[]
            {
                "href=\"/?workflow=listed\"",
                $"href=\"/runs/{run}\"",
                "<span class=\"unseen\">Failed</span>",
                "Cannot read properties of undefined",
                "<span class=\"pill ok\">Enabled</span>",
                "version 1",
                $"{server.Address}hooks/listed",
                "aria-label=\"Disable listed\"",
                "aria-label=\"Delete listed\"",
            }
        )
            Assert.Contains(expected, row);
        await SampleRuns.DeployAsync(server.Store, "never-ran");
        string idle = await RowAsync("never-ran");
        Assert.Contains("Never run", idle);
        Assert.Contains("aria-label=\"No runs in 24 h\"", idle);
    }

    [Fact]
    public async Task Runs_and_failed_ones_are_drawn_by_the_hour_and_said()
    {
        string hook = await server.DeployAsync("counted", "if ((event.body ?? {}).bad) throw new Error('bad');", "step.js");
        await server.RunAsync(hook);
        await server.RunAsync(hook, "{\"bad\":true}");
        string row = await RowAsync("counted");

        Assert.Contains("role=\"img\" aria-label=\"2 runs, 1 failed in 24 h\"", row);
        Assert.Contains("<rect class=\"ran\"", row);
        Assert.Contains("<rect class=\"fell\"", row);
        Assert.DoesNotContain("style=\"", row);
    }

    [Fact]
    public async Task Failing_destinations_lead_to_their_deliveries()
    {
        string hook = await server.DeployAsync(
            "refused",
            "for (let i = 0; i < 2; i++) $send.http({ method: 'GET', url: 'http://127.0.0.1:9/' }); $send.http({ method: 'GET', url: "
                + "'http://169.254.169.254/' });",
            "step.js"
        );
        await server.RunAsync(hook);
        string row = await RowAsync("refused");

        Assert.Contains("href=\"/deliveries?host=127.0.0.1%3A9&workflow=refused&status=failed\"", row);
        Assert.Contains("2 failed", row);
        Assert.Contains("href=\"/deliveries?host=169.254.169.254&workflow=refused&status=blocked\"", row);
    }

    [Fact]
    public async Task Schedules_say_when_they_are_due_next()
    {
        await server.DeployAsync(
            "yearly",
            new Dictionary<string, string>
            {
                ["workflow.yaml"] =
                    "name: yearly\ntriggers: [ { type: schedule, cron: '0 7 1 1 *' } ]\nsteps: [ { namespace: step, uses: ./step.mjs } ]",
                ["step.mjs"] = "export default defineComponent({ async run() {} });",
            }
        );
        Assert.Contains("-01-01 07:00:00.000 UTC</time>", await RowAsync("yearly"));
        await PostAsync("/workflows/yearly/disable");
        Assert.Contains("<span class=\"soft\">off</span>", await RowAsync("yearly"));
    }

    [Fact]
    public async Task Buttons_disable_and_enable()
    {
        string hook = await server.DeployAsync("switched", "return 1", "step.js");

        using var off = await PostAsync("/workflows/switched/disable");
        Assert.Equal("/workflows", off.Headers.Location!.ToString());
        Assert.Contains("aria-label=\"Enable switched\"", await RowAsync("switched"));
        Assert.False((await server.Store.GetWorkflowAsync("switched", default))!.Enabled);

        using var on = await PostAsync("/workflows/switched/enable");
        Assert.Equal(HttpStatusCode.Redirect, on.StatusCode);
        Assert.Contains("aria-label=\"Disable switched\"", await RowAsync("switched"));
        await server.PostAsync(hook);
    }

    [Fact]
    public async Task A_workflow_is_deleted_once_its_name_is_typed_in()
    {
        var run = await SampleRuns.AddAsync(server, workflow: "doomed");
        Assert.Contains("permanently deletes", await PageAsync("/workflows/doomed/delete"));

        using var wrong = await PostAsync("/workflows/doomed/delete", ("name", "dooned"));
        string page = WebUtility.HtmlDecode(await wrong.Content.ReadAsStringAsync());
        Assert.Equal(HttpStatusCode.UnprocessableEntity, wrong.StatusCode);
        Assert.Contains("“dooned” is not this workflow’s name. Nothing was deleted.", page);
        Assert.Contains("value=\"dooned\"", page);
        using var none = await PostAsync("/workflows/doomed/delete");
        Assert.Equal(HttpStatusCode.UnprocessableEntity, none.StatusCode);
        Assert.NotNull(await server.Store.GetWorkflowAsync("doomed", default));

        using var right = await PostAsync("/workflows/doomed/delete", ("name", "doomed"));
        Assert.Equal("/workflows", right.Headers.Location!.ToString());
        Assert.Null(await server.Store.GetWorkflowAsync("doomed", default));
        Assert.Null(await server.Store.GetRunAsync(run, default));
    }

    [Fact]
    public async Task There_is_nothing_to_delete_of_an_unknown_workflow() =>
        Assert.Contains("This workflow does not exist", await PageAsync("/workflows/unknown/delete", HttpStatusCode.NotFound));

    [Fact]
    public async Task A_workflow_is_created_from_every_template()
    {
        Assert.Contains("Empty HTTP workflow", await PageAsync("/workflows/new"));
        foreach (var template in Sendoff.Ui.WorkflowTemplate.All())
        {
            Assert.NotEmpty(template.About);
            using var created = await PostAsync("/workflows/new", ("name", $"my {template.Id}"), ("template", template.Id));
            Assert.True(created.StatusCode == HttpStatusCode.Redirect, $"{template.Id}: {await created.Content.ReadAsStringAsync()}");
            Assert.Equal($"/workflows/my%20{template.Id}", created.Headers.Location!.ToString());
            var workflow = (await server.Store.GetWorkflowAsync($"my {template.Id}", default))!;
            Assert.NotEqual(template.Id, workflow.Triggers[0].Key);
            string yaml = (await server.Store.GetVersionAsync(workflow.Id, 1, default))!.Files["workflow.yaml"];
            Assert.Contains($"name: my {template.Id}\n", yaml);
            Assert.DoesNotContain($": {template.Id}\n", yaml);
        }
    }

    [Fact]
    public async Task A_copy_of_the_feed_watch_remembers_in_a_store_of_its_own() =>
        Assert.Contains(
            "storeId: copy }",
            Sendoff.Ui.WorkflowTemplate.All().Single(one => one.Id == "feed-watch").FilesFor("copy")["workflow.yaml"]
        );

    [Theory]
    [InlineData("taken", "post", "A workflow “taken” already")]
    [InlineData("a/b", "post", "is not valid as a workflow's name")]
    [InlineData(" ", "post", "Give the workflow a name")]
    [InlineData("new", "post", "“new” cannot be used as a workflow’s name here")]
    [InlineData("<script>alert(1)</script>", "post", "is not valid as a workflow's name")]
    [InlineData("fine", "../..", "This template does not exist")]
    public async Task What_cannot_be_created_is_said_and_what_was_typed_stays(string name, string template, string expected)
    {
        await SampleRuns.DeployAsync(server.Store, "taken");
        using var refused = await PostAsync("/workflows/new", ("name", name), ("template", template));
        string page = await refused.Content.ReadAsStringAsync();

        Assert.Equal(HttpStatusCode.UnprocessableEntity, refused.StatusCode);
        Assert.Contains(expected, WebUtility.HtmlDecode(page));
        if (name.Trim().Length > 0)
            Assert.Contains($"value=\"{WebUtility.HtmlEncode(name)}\"", page);
        if (template == "post")
            Assert.Matches("value=\"post\"[^>]* checked", page);
        Assert.DoesNotContain("<script>alert", page);
        Assert.Equal(1, (await server.Store.GetWorkflowAsync("taken", default))!.Version);
        Assert.Null(await server.Store.GetWorkflowAsync("fine", default));
    }

    [Fact]
    public async Task Names_are_text_and_whole_in_addresses()
    {
        const string name = "\"><img src=x onerror=alert(1)>?&#%41";
        await server.Store.DeployAsync(
            name,
            new Dictionary<string, string> { ["step.js"] = "return 1" },
            [new HttpTrigger(null, TriggerResponse.Default)],
            default
        );
        string path = "/workflows/" + Uri.EscapeDataString(name);
        string list = await PageAsync("/workflows");
        Assert.DoesNotContain("<img", list);
        Assert.Contains($"href=\"{path}/delete\"", list);
        Assert.DoesNotContain("<img", await PageAsync($"{path}/delete"));
        using var deleted = await PostAsync($"{path}/delete", ("name", name));
        Assert.Equal(HttpStatusCode.Redirect, deleted.StatusCode);
        Assert.Null(await server.Store.GetWorkflowAsync(name, default));
    }

    [Fact]
    public async Task Forms_of_other_sites_change_nothing()
    {
        await SampleRuns.DeployAsync(server.Store, "safe");
        using var client = server.NewClient();
        using var refused = await client.PostAsync("/workflows/safe/disable", null);
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        Assert.True((await server.Store.GetWorkflowAsync("safe", default))!.Enabled);
    }

    /// <summary>The list's row of a workflow.</summary>
    async Task<string> RowAsync(string name) =>
        (await PageAsync("/workflows"))
            .Split("<tr>")
            .Single(row => row.Contains($"href=\"/workflows/{name}/delete\"", StringComparison.Ordinal))
            .Replace("&amp;", "&", StringComparison.Ordinal);

    async Task<string> PageAsync(string path, HttpStatusCode expected = HttpStatusCode.OK)
    {
        using var response = await server.Http.GetAsync(path);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == expected, $"{response.StatusCode}: {text}");
        return text;
    }

    async Task<HttpResponseMessage> PostAsync(string path, params (string Name, string Value)[] fields)
    {
        using var client = server.NewClient();
        client.DefaultRequestHeaders.Authorization = server.Http.DefaultRequestHeaders.Authorization;
        using var form = new FormUrlEncodedContent(fields.Select(field => KeyValuePair.Create(field.Name, field.Value)));
        return await client.PostAsync(path, form);
    }
}
