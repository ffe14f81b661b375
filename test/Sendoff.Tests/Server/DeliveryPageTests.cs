using System.Net;
using System.Text.RegularExpressions;
using Sendoff.Engine.Storage;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;
using Sendoff.Ui;

namespace Sendoff.Tests.Server;

public sealed partial class DeliveryPageTests(SharedServer shared) : IClassFixture<SharedServer>
{
    readonly TestServer server = shared.Server;

    [Theory]
    [InlineData("code=2xx", "crm.example.com/contacts")]
    [InlineData("code=200", "crm.example.com/contacts")]
    [InlineData("phase=wait", "erp.example.com/v2/orders")]
    [InlineData("phase=connect&status=blocked", "169.254.169.254/latest")]
    [InlineData("q=v2%2Forders&since=7d", "erp.example.com/v2/orders")]
    public async Task Deliveries_are_filtered_by_what_the_address_says(string filter, string found)
    {
        await SampleRuns.AddAsync(server, workflow: "filtered");
        string page = await PageAsync($"/deliveries?workflow=filtered&{filter}");
        string[] urls = ["crm.example.com/contacts", "erp.example.com/v2/orders", "169.254.169.254/latest"];
        Assert.All(urls, url => Assert.Equal(url == found, page.Contains(url)));
    }

    [Theory]
    [InlineData("code=7")]
    [InlineData("code=6xx")]
    [InlineData("phase=nonsense")]
    [InlineData("status=nonsense")]
    [InlineData("since=ever")]
    public async Task A_filter_that_is_not_one_is_said(string filter)
    {
        Assert.Contains("Invalid filter", await PageAsync($"/deliveries?{filter}"));
        Assert.Contains("Invalid filter", await PageAsync($"/deliveries/resend-all?{filter}&q=a"));
    }

    [Fact]
    public async Task A_row_says_where_a_delivery_died_and_leads_to_it()
    {
        var run = await SampleRuns.AddAsync(server, workflow: "rows");
        string delivery = (await server.GetRunAsync(run.ToString())).Steps[1].Deliveries[1].Id;
        string page = await PageAsync("/deliveries?workflow=rows&status=failed");

        Assert.Contains($"href=\"/runs/{run}?send={delivery}\"", page);
        foreach (string expected in new[] { "Timed out after 5,000 ms while waiting for the response.", ">wait<", "5,000 ms", ">none<" })
            Assert.Contains(expected, page);
        Assert.Contains("No delivery matches", await PageAsync("/deliveries?workflow=rows&code=404"));
        Assert.DoesNotContain("checked", page);
        Assert.Contains("checked", await PageAsync("/deliveries?workflow=rows&status=failed&select=page"));
    }

    [Fact]
    public async Task The_API_lists_by_code_and_phase()
    {
        await SampleRuns.AddAsync(server, workflow: "asked");
        Assert.Contains("erp.example.com", await server.Http.GetStringAsync("/api/v1/deliveries?workflow=asked&phase=wait"));
        Assert.DoesNotContain("erp.example.com", await server.Http.GetStringAsync("/api/v1/deliveries?workflow=asked&code=2xx"));
        Assert.Equal(HttpStatusCode.BadRequest, (await server.Http.GetAsync("/api/v1/deliveries?code=2x")).StatusCode);
    }

    [Fact]
    public async Task Selected_deliveries_are_sent_again_once_each_and_the_list_says_so()
    {
        await using var receiver = Sink.Start();
        var run = await SendAsync("selected", receiver, 3);
        var ids = run.Steps[0].Deliveries.Select(one => one.Id).ToArray();

        string back = await ResendAsync([
            ("workflow", "selected"),
            ("id", ids[0]),
            ("id", ids[2]),
            ("id", ids[2]),
            ("id", "dlv_0000000000001"),
            ("id", "nonsense"),
        ]);
        await receiver.WaitForRequestsAsync(5);
        var after = await server.EndOfAsync(run.Id);

        Assert.Equal("/deliveries?workflow=selected&resent=2&underway=0&gone=1", back);
        Assert.Contains("2 resent, 1 skipped (gone)", await PageAsync(back));
        Assert.Equal([2, 1, 2], after.Steps[0].Deliveries.Select(one => one.Attempts.Count));
        Assert.Equal(5, receiver.Requests.Count);
    }

    [Fact]
    public async Task What_is_under_way_is_skipped_and_has_no_box()
    {
        await using var receiver = Sink.Start(hold: true);
        string hook = await server.DeployAsync("waiting", $"$send.http({{ method: 'GET', url: '{receiver.Url}' }});", "step.js");
        string run = await server.PostAsync(hook);
        await receiver.WaitForRequestsAsync(1);
        string id = (await server.GetRunAsync(run)).Steps[0].Deliveries[0].Id;

        Assert.DoesNotContain("type=\"checkbox\"", await PageAsync("/deliveries?workflow=waiting"));
        Assert.Contains("0 resent, 1 skipped (under way)", await PageAsync(await ResendAsync([("id", id)])));
        receiver.Release();
        await server.EndOfAsync(run);
    }

    [Fact]
    public async Task All_that_match_are_sent_again_after_a_confirmation_that_says_how_many()
    {
        await using var receiver = Sink.Start(status: 503);
        var run = await SendAsync("all", receiver, 3);

        Assert.Contains("href=\"/deliveries/resend-all?workflow=all&code=5xx\"", await PageAsync("/deliveries?workflow=all&code=5xx"));
        string confirm = await PageAsync("/deliveries/resend-all?workflow=all&code=5xx");
        Assert.Contains("Resend 3 deliveries?", confirm);
        Assert.All(run.Steps[0].Deliveries, one => Assert.Single(one.Attempts));

        string back = await ResendAsync(Hidden().Matches(confirm).Select(field => (field.Groups[1].Value, field.Groups[2].Value)));
        await receiver.WaitForRequestsAsync(6);
        await server.EndOfAsync(run.Id);
        Assert.Equal("/deliveries?workflow=all&code=5xx&resent=3&underway=0&gone=0", back);
        Assert.Equal(6, receiver.Requests.Count);
    }

    [Fact]
    public async Task All_that_match_leaves_out_what_was_delivered_unless_the_filter_names_it()
    {
        await using var receiver = Sink.Start();
        await SendAsync("delivered", receiver, 2);

        Assert.Contains("No matching delivery has the status", await PageAsync("/deliveries/resend-all?workflow=delivered"));
        Assert.Contains(
            "A filter cannot resend captured deliveries",
            await PageAsync("/deliveries/resend-all?workflow=delivered&status=captured")
        );
        Assert.Contains("resent=0", await ResendAsync([("workflow", "delivered"), ("all", "true")]));
        Assert.DoesNotContain(" checked", await PageAsync("/deliveries?workflow=delivered&select=page"));
        string confirm = await PageAsync("/deliveries/resend-all?workflow=delivered&status=succeeded");
        Assert.Contains("Resend 2 deliveries?", confirm);
        Assert.Contains("Their receivers will get them a second time", confirm);
        Assert.Contains(" checked", await PageAsync("/deliveries?workflow=delivered&status=succeeded&select=page"));
        Assert.Equal(2, receiver.Requests.Count);
    }

    [Fact]
    public async Task The_whole_history_is_not_sent_again_at_once()
    {
        await SampleRuns.AddAsync(server, workflow: "history");
        Assert.Contains("Choose a filter first", await PageAsync("/deliveries/resend-all"));
        Assert.Equal("/deliveries", await ResendAsync([("all", "true")]));
        Assert.DoesNotContain("Resend all matching", await PageAsync("/deliveries"));
        Assert.Contains("Nothing to resend", await PageAsync("/deliveries/resend-all?workflow=history&code=404"));
    }

    [Fact]
    public async Task Destinations_show_how_their_deliveries_went()
    {
        await using var well = Sink.Start();
        await using var ill = Sink.Start(status: 503);
        await SendAsync("well", well, 2);
        var run = await SendAsync("ill", ill, 1);
        string destination = new Uri(ill.Url).GetLeftPart(UriPartial.Authority),
            detail = $"/deliveries/destinations?host={Uri.EscapeDataString(destination)}";

        string table = await PageAsync("/deliveries/destinations");
        string one = await PageAsync($"{detail}&since=1h");

        foreach (string expected in new[] { destination, "5xx 1", "100 %", $"/runs/{run.Id}?send={run.Steps[0].Deliveries[0].Id}" })
            Assert.Contains(expected, table);
        foreach (
            string expected in new[]
            {
                "<rect class=\"bad\"",
                "Responded with 503.",
                $"href=\"/deliveries?host={Uri.EscapeDataString(new Uri(ill.Url).Authority)}&code=5xx&since=1h\"",
            }
        )
            Assert.Contains(expected, one);
        Assert.Contains(ill.Url, await PageAsync($"/deliveries?host={new Uri(ill.Url).Authority}&code=5xx"));
        Assert.Contains("Invalid filter", await PageAsync("/deliveries/destinations?since=ever"));
        Assert.Contains("No deliveries in this time", await PageAsync("/deliveries/destinations?host=nowhere"));
    }

    [Fact]
    public void Figures_name_a_destination_and_its_errors_as_people_do()
    {
        var figures = Of(
            "https://a.example:443",
            new(null, null, 5, DeliveryStatus.Failed, 1),
            new(AttemptErrorCode.Timeout, AttemptPhase.Wait, null, DeliveryStatus.Failed, 1),
            new(AttemptErrorCode.Timeout, AttemptPhase.Read, null, DeliveryStatus.Failed, 1),
            new(null, null, null, DeliveryStatus.Interrupted, 1)
        );

        Assert.Equal("timeout 2, 5xx 1, interrupted 1", figures.ErrorText);
        Assert.Equal(("https://a.example", 40.0), (figures.Name, figures.SuccessPercent));
        Assert.Equal(["Email", "Emitted by orders"], new[] { "email:", "emit:7" }.Select(one => Of(one).Name));
        Assert.Equal("99.9 %", DestinationFigures.Percent(99.99));
    }

    static DestinationFigures Of(string destination, params ErrorTotals[] errors) =>
        new(new(destination, "orders", 7, 2, 3, 30, 5000, errors, null));

    /// <summary>The run of a step that sends so often, once all have ended.</summary>
    async Task<RunDocument> SendAsync(string workflow, Sink receiver, int sends) =>
        await server.RunAsync(
            await server.DeployAsync(
                workflow,
                $"for (let i = 0; i < {sends}; i++) $send.http({{ method: 'POST', url: '{receiver.Url}' }});",
                "step.js"
            )
        );

    /// <summary>Posts the list's form and answers where it leads.</summary>
    async Task<string> ResendAsync(IEnumerable<(string Name, string Value)> fields)
    {
        using var client = server.NewClient();
        client.DefaultRequestHeaders.Authorization = server.Http.DefaultRequestHeaders.Authorization;
        using var body = new FormUrlEncodedContent(fields.Select(field => KeyValuePair.Create(field.Name, field.Value)));
        using var response = await client.PostAsync("/deliveries/resend", body);
        return response.Headers.Location!.ToString();
    }

    async Task<string> PageAsync(string path)
    {
        using var response = await server.Http.GetAsync(path);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{response.StatusCode}: {text}");
        return WebUtility.HtmlDecode(text);
    }

    [GeneratedRegex("<input type=\"hidden\" name=\"([^\"]*)\" value=\"([^\"]*)\"")]
    private static partial Regex Hidden();
}
