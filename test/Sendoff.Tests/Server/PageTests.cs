using System.Net;
using System.Text.RegularExpressions;
using Sendoff.Engine.Storage;
using Sendoff.Tests.Support;
using Sendoff.Ui;

namespace Sendoff.Tests.Server;

public sealed class PageTests(SharedServer shared) : IClassFixture<SharedServer>
{
    readonly TestServer server = shared.Server;

    [Fact]
    public async Task A_run_shows_its_steps_and_each_send_in_words()
    {
        var id = await SampleRuns.AddAsync(server);
        string page = WebUtility.HtmlDecode(await PageAsync($"/runs/{id}"));
        var sends = (await server.GetRunAsync(id.ToString())).Steps[1].Deliveries;

        foreach (
            string expected in new[]
            {
                "Run succeeded",
                "2 sends failed",
                "3 sends within",
                "slowest",
                "5,000 ms",
                "POST crm.example.com/contacts · ",
                "2 sends of 3 failed",
                "Next failed",
                "Timed out after 5,000 ms while waiting for the response",
                "Line 14:",
                "telling 3 systems about order 1043",
                "198.51.100.7",
                "connection reused",
                "attempt 1 of 1",
            }
        )
            Assert.Contains(expected, page);
        Assert.Contains("https://crm.example.com/contacts", await PageAsync($"/runs/{id}?send={sends[0].Id}"));
        Assert.Contains("169.254.169.254 is link-local", await PageAsync($"/runs/{id}?send={sends[2].Id}"));
    }

    [Fact]
    public async Task A_run_and_each_of_its_sends_lead_to_curl_and_HAR()
    {
        var id = await SampleRuns.AddAsync(server);
        string delivery = (await server.GetRunAsync(id.ToString())).Steps[1].Deliveries[0].Id;
        string page = await PageAsync($"/runs/{id}?send={delivery}");

        foreach (
            string path in new[]
            {
                $"/api/v1/runs/{id}/curl",
                $"/api/v1/runs/{id}/har",
                $"/api/v1/deliveries/{delivery}/curl",
                $"/api/v1/deliveries/{delivery}/har",
            }
        )
        {
            Assert.Contains($"href=\"{path}\"", page);
            Assert.True((await server.Http.GetAsync(path)).IsSuccessStatusCode);
        }
    }

    [Fact]
    public async Task Redirects_that_were_followed_are_shown()
    {
        var id = await SampleRuns.AddAsync(server);
        string followed = (await server.GetRunAsync(id.ToString())).Steps[1].Deliveries[0].Id;
        string page = WebUtility.HtmlDecode(await PageAsync($"/runs/{id}?send={followed}"));
        Assert.Contains("from 203.0.113.19:443 to <code class=\"url\">https://crm.example.com/v2/orders</code>", page);
    }

    [Fact]
    public async Task A_failed_run_shows_the_error_at_its_line_and_what_was_skipped()
    {
        var id = await SampleRuns.AddAsync(server, RunStatus.Failed);
        string page = WebUtility.HtmlDecode(await PageAsync($"/runs/{id}"));
        Assert.Contains("Line 4: TypeError:", page);
        Assert.Contains("Skipped", page);
    }

    [Fact]
    public async Task Bodies_are_never_markup_and_pages_run_their_own_script_only()
    {
        var id = await SampleRuns.AddAsync(server);
        using var response = await server.Http.GetAsync($"/runs/{id}");
        string page = await response.Content.ReadAsStringAsync();

        string[] own =
        [
            $"<script src=\"{UiEndpoints.ThemePath}\">",
            "<script src=\"/_framework/blazor.web.js\">",
            $"<script src=\"{UiEndpoints.LivePath}\" type=\"module\">",
            $"<script src=\"{UiEndpoints.PagePath}\" type=\"module\">",
        ];
        Assert.Equal(own, Regex.Matches(page, "<script[^>]*>").Select(found => found.Value));
        Assert.DoesNotContain("style=\"", page);
        Assert.Contains("&lt;script&gt;alert(1)&lt;/script&gt;", page);
        Assert.Contains("default-src 'none'; script-src 'self';", response.Headers.GetValues("content-security-policy").Single());
        Assert.DoesNotContain("of-a-caller", page);
    }

    [Fact]
    public async Task Runs_are_listed_filtered_and_paged()
    {
        for (int i = 0; i < 50; i++)
            await SampleRuns.AddAsync(server, workflow: "listed");
        await SampleRuns.AddAsync(server, RunStatus.Failed, "listed");

        string all = await PageAsync("/?workflow=listed");
        Assert.Contains("1 of 3 delivered", all);
        Assert.Contains("2 failed", all);
        Assert.Contains("rel=\"next\"", all);
        Assert.Contains("Cannot read properties of undefined", all);
        Assert.DoesNotContain("rel=\"next\"", await PageAsync("/?status=failed&workflow=listed"));
        await SampleRuns.AddAsync(server, RunStatus.TimedOut, "listed");
        Assert.Contains("href=\"/?status=failed%2Ctimed_out%2Cout_of_memory\"", await PageAsync("/"));
        string failures = await PageAsync("/?status=failed%2Ctimed_out%2Cout_of_memory&workflow=listed");
        Assert.Contains("<option value=\"failed,timed_out,out_of_memory\" selected", failures);
        Assert.Equal(2, failures.Split("class=\"row\"").Length - 1);
        Assert.DoesNotContain("No run matches", await PageAsync("/?workflow=listed&sends=failed&q=ada"));
        Assert.Contains("No run matches", await PageAsync("/?q=nobody"));
        Assert.Contains("No run matches", await PageAsync("/?status=held"));
        Assert.Contains("Invalid filter", await PageAsync("/?since=ever"));
        Assert.Contains("Invalid filter", await PageAsync("/?status=nonsense"));
    }

    [Fact]
    public async Task Deliveries_and_workflows_have_their_lists()
    {
        await SampleRuns.AddAsync(server);
        Assert.Contains("https://erp.example.com/v2/orders", await PageAsync("/deliveries?status=failed"));
        Assert.Contains("No delivery matches", await PageAsync("/deliveries?q=nowhere"));
        Assert.Contains($"{server.Address}hooks/orders", await PageAsync("/workflows"));
    }

    [Fact]
    public async Task Empty_missing_and_broken_are_drawn()
    {
        await using var empty = await TestServer.StartAsync();
        Assert.Contains("No runs yet", await PageAsync(empty, "/"));
        Assert.Contains("No deliveries yet", await PageAsync(empty, "/deliveries"));
        Assert.Contains("No workflows yet", await PageAsync(empty, "/workflows"));
        Assert.Contains("This run does not exist", await PageAsync(empty, "/runs/run_0000000000001", HttpStatusCode.NotFound));
        Assert.Contains("Page not found", await PageAsync(empty, "/nowhere/at/all", HttpStatusCode.NotFound));
        empty.StoreFails = new StoreUnavailableException("the database is locked");
        Assert.Contains("the database is locked", await PageAsync(empty, "/", HttpStatusCode.ServiceUnavailable));
    }

    [Fact]
    public async Task The_style_sheet_comes_from_the_server_itself()
    {
        string page = await PageAsync("/");
        string href = page.Split("rel=\"stylesheet\" href=\"")[1].Split('"')[0];
        using var css = await server.NewClient().GetAsync(href);
        Assert.Equal("text/css", css.Content.Headers.ContentType!.MediaType);
        Assert.Contains("light-dark(", await css.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Buttons_replay_and_resend()
    {
        await using var receiver = Sink.Start();
        var run = await server.RunAsync(
            await server.DeployAsync("buttons", $"$send.http({{ method: 'GET', url: '{receiver.Url}' }});", "step.js")
        );
        string delivery = run.Steps[0].Deliveries[0].Id;
        using var client = server.NewClient();
        client.DefaultRequestHeaders.Authorization = server.Http.DefaultRequestHeaders.Authorization;

        using var replay = await client.PostAsync($"/runs/{run.Id}/replay", null);
        using var resend = await client.PostAsync($"/deliveries/{delivery}/resend", null);

        Assert.StartsWith("/runs/run_", replay.Headers.Location!.ToString());
        Assert.NotEqual($"/runs/{run.Id}", replay.Headers.Location.ToString());
        Assert.Equal($"/runs/{run.Id}?send={delivery}", resend.Headers.Location!.ToString());
        await receiver.WaitForRequestsAsync(3);
    }

    Task<string> PageAsync(string path, HttpStatusCode expected = HttpStatusCode.OK) => PageAsync(server, path, expected);

    static async Task<string> PageAsync(TestServer server, string path, HttpStatusCode expected = HttpStatusCode.OK)
    {
        using var response = await server.Http.GetAsync(path);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == expected, $"{response.StatusCode}: {text}");
        Assert.Equal("text/html", response.Content.Headers.ContentType!.MediaType);
        return text;
    }
}
