using System.Text.RegularExpressions;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Sendoff.Tests.Browser;

/// <summary>Events, data stores, tags and the API reference.</summary>
[Collection("browser")]
public sealed class PlaceTests(Site site)
{
    static ILocator Button(Window window, string name) => window.Page.GetByRole(AriaRole.Button, new() { Name = name, Exact = true });

    static ILocator Link(Window window, string name) => window.Page.GetByRole(AriaRole.Link, new() { Name = name, Exact = true });

    static ILocator Rows(Window window) => window.Page.Locator(".list tbody tr");

    [Fact]
    public async Task Events_are_listed_live_and_lead_to_their_body_and_their_runs()
    {
        await using var window = await site.OpenAsync(width: 390);
        await window.Page.GotoAsync("/");
        await Link(window, "Events").ClickAsync();
        // The page of runs has a filter of that name as well.
        await Expect(window.Page.Locator("h1")).ToHaveTextAsync("Events");
        await window.Page.GetByLabel("Workflow", new() { Exact = true }).SelectOptionAsync("notify");
        await Expect(window.Page).ToHaveURLAsync(new Regex("/events\\?workflow=notify$"));
        var run = await site.Server.RunAsync("/hooks/notify", """{"names":["Ackbar"]}""");
        await Expect(Rows(window).First).ToContainTextAsync(run.EventId);
        await Expect(Rows(window).Filter(new() { HasText = "contact" })).ToHaveCountAsync(0);
        await Rows(window).First.Locator("td").Last.ClickAsync();
        await Expect(window.Page).ToHaveURLAsync(new Regex($"/events/{run.EventId}$"));
        await Expect(window.Page.Locator(".step", new() { HasText = "Raw body" })).ToContainTextAsync("Ackbar");
        await Expect(Rows(window)).ToHaveCountAsync(1);
        using (await site.Server.Http.PostAsync($"/api/v1/runs/{run.Id}/replay", null))
            await Expect(Rows(window)).ToHaveCountAsync(2);
        var download = await window.Page.RunAndWaitForDownloadAsync(() => Link(window, "Download").ClickAsync());
        Assert.Equal("""{"names":["Ackbar"]}""", await File.ReadAllTextAsync(await download.PathAsync()));
        await Rows(window).Last.GetByRole(AriaRole.Link).First.ClickAsync();
        await Expect(window.Page).ToHaveURLAsync(new Regex($"/runs/{run.Id}$"));
        await window.Page.GotoAsync($"/?q={run.EventId}");
        await Expect(window.Page).ToHaveURLAsync(new Regex($"/events/{run.EventId}$"));
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task Keys_of_a_data_store_are_searched_paged_changed_and_deleted()
    {
        for (int i = 0; i < 60; i++)
            await site.Server.Store.SetValueAsync(
                new(default, "all orders"),
                new($"order/{i:00}", "{\"paid\":false}"u8.ToArray(), DateTimeOffset.UtcNow),
                new(1_000, 1_000_000, 1_000_000),
                default
            );
        await using var window = await site.OpenAsync();
        await window.Page.GotoAsync("/");
        await Link(window, "Data stores").ClickAsync();
        await Link(window, "all orders").ClickAsync();
        await Expect(Rows(window)).ToHaveCountAsync(50);
        await Link(window, "Next").ClickAsync();
        await Expect(Rows(window)).ToHaveCountAsync(10);
        await window.Page.GetByLabel("Key contains").FillAsync("r/1");
        await Expect(window.Page).ToHaveURLAsync(new Regex("q=r%2F1$"));
        await Expect(Rows(window)).ToHaveCountAsync(10);
        await Link(window, "order/17").ClickAsync();
        await Expect(window.Page.Locator(".pretty")).ToContainTextAsync("\"paid\": false");
        await window.Page.GetByLabel("Value, any JSON").FillAsync("{paid}");
        await Button(window, "Save").ClickAsync();
        await Expect(window.Page.GetByRole(AriaRole.Alert)).ToContainTextAsync("The value is not JSON");
        await Expect(window.Page.GetByLabel("Value, any JSON")).ToHaveValueAsync("{paid}");
        await window.Page.GetByLabel("Value, any JSON").FillAsync("{\"paid\":true}");
        await window.Page.Locator(".store-set button").ClickAsync();
        await Expect(window.Page.Locator(".pretty")).ToContainTextAsync("\"paid\": true");
        Assert.Equal(
            "{\"paid\":true}",
            System.Text.Encoding.UTF8.GetString(
                (await site.Server.Store.GetValueAsync(new(default, "all orders"), "order/17", default))!.Json.Span
            )
        );
        await window.ConfirmAsync("Delete order/17");
        await Expect(window.Page.Locator("h1")).ToHaveTextAsync("all orders");
        Assert.Null(await site.Server.Store.GetValueAsync(new(default, "all orders"), "order/17", default));
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task Workflows_are_searched_ordered_and_grouped_by_tags_with_the_failing_first()
    {
        foreach (string name in new[] { "aa tagged", "zz tagged" })
            await site.Server.DeployAsync(
                name,
                new Dictionary<string, string>
                {
                    ["workflow.yaml"] =
                        $"name: {name}\ntags: [billing, <b>]\ntriggers: [{{ type: http, key: {name[..2]}-tagged }}]\nsteps: "
                        + $"[{{ namespace: step, uses: ./step.mjs }}]",
                    ["step.mjs"] =
                        "export default defineComponent({ async run({ steps }) { if (steps.trigger.event.body.bad) throw new "
                        + "Error('bad'); } });",
                }
            );
        await site.Server.RunAsync("/hooks/zz-tagged", """{"bad":true}""");
        await using var window = await site.OpenAsync();
        await window.Page.GotoAsync("/workflows");
        await window.Page.GetByLabel("Tag", new() { Exact = true }).SelectOptionAsync("billing");
        await Expect(Rows(window)).ToHaveCountAsync(2);
        await Expect(Rows(window).First).ToContainTextAsync("zz tagged");
        await window.Page.GetByLabel("Order").SelectOptionAsync("name");
        await Expect(Rows(window).First).ToContainTextAsync("aa tagged");
        await window.Page.Locator("input[name=q]").FillAsync("zz-tag");
        await Expect(Rows(window)).ToHaveCountAsync(1);
        await Expect(window.Page.Locator("input[name=q]")).ToBeFocusedAsync();
        await Rows(window).First.GetByRole(AriaRole.Link, new() { Name = "<b>" }).ClickAsync();
        await Expect(window.Page).ToHaveURLAsync(new Regex("/workflows\\?tag=%3Cb%3E$"));
        await Expect(Rows(window)).ToHaveCountAsync(2);
        Assert.Contains("\"tags\":[\"billing\",", await site.Server.Http.GetStringAsync("/api/v1/workflows/zz%20tagged"));
        Assert.Empty(window.Faults);
    }

    [Theory]
    [InlineData(1440), InlineData(390)]
    public async Task The_API_reference_is_in_the_frame_of_the_pages(int width)
    {
        await using var window = await site.OpenAsync(width: width);
        await window.Page.GotoAsync("/usage");
        await Link(window, "API").ClickAsync();
        await Expect(window.Page).ToHaveURLAsync(new Regex("/docs$"));
        await Expect(Link(window, "API")).ToHaveAttributeAsync("aria-current", "page");
        await Expect(window.Page.FrameLocator("iframe.reference").GetByText("Data stores").First).ToBeAttachedAsync();
        await Link(window, "Usage").ClickAsync();
        await Expect(window.Page.Locator("h1")).ToHaveTextAsync("Usage");
        Assert.Empty(window.Faults);
    }
}
