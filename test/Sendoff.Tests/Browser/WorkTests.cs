using System.Text.RegularExpressions;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Sendoff.Tests.Browser;

/// <summary>What a day's work presses: workflows, deliveries, settings.</summary>
[Collection("browser")]
public sealed class WorkTests(Site site)
{
    static ILocator Button(Window window, string name) => window.Page.GetByRole(AriaRole.Button, new() { Name = name, Exact = true });

    static ILocator Link(Window window, string name) => window.Page.GetByRole(AriaRole.Link, new() { Name = name, Exact = true });

    static ILocator Rows(Window window) => window.Page.Locator(".list tbody tr");

    [Fact]
    public async Task A_workflow_is_made_switched_off_and_on_and_deleted()
    {
        await using var window = await site.OpenAsync();
        await window.Page.GotoAsync("/workflows");
        await Link(window, "New workflow").ClickAsync();
        await Button(window, "Create the workflow").ClickAsync();
        await Expect(window.Page).ToHaveURLAsync(new Regex("/workflows/new$"));
        await window.Page.GetByLabel("Name", new() { Exact = true }).FillAsync("notify");
        await Button(window, "Create the workflow").ClickAsync();
        await Expect(window.Page.GetByRole(AriaRole.Alert)).ToContainTextAsync("A workflow “notify” already");
        await window.Page.GetByLabel("Name", new() { Exact = true }).FillAsync("brand new");
        await window.Page.GetByText("Contact form", new() { Exact = true }).ClickAsync();
        await Button(window, "Create the workflow").ClickAsync();
        await Expect(window.Page.Locator(".head h1")).ToHaveTextAsync("brand new");
        await EditorTests.ReadyAsync(window);

        await Link(window, "Workflows").First.ClickAsync();
        await Button(window, "Disable brand new").ClickAsync();
        await Expect(Rows(window).Filter(new() { HasText = "brand new" })).ToContainTextAsync("Disabled");
        await Button(window, "Enable brand new").ClickAsync();
        await Expect(Rows(window).Filter(new() { HasText = "brand new" })).ToContainTextAsync("Enabled");
        await Link(window, "Delete brand new").ClickAsync();
        await window.Page.GetByLabel("Type brand new to delete it").FillAsync("brand");
        await Button(window, "Delete the workflow and its history").ClickAsync();
        await Expect(window.Page.GetByRole(AriaRole.Alert)).ToContainTextAsync("Nothing was deleted");
        await window.Page.GetByLabel("Type brand new to delete it").FillAsync("brand new");
        await window.Page.Keyboard.PressAsync("Enter");
        await Expect(window.Page).ToHaveURLAsync(new Regex("/workflows$"));
        await Expect(Rows(window).Filter(new() { HasText = "brand new" })).ToHaveCountAsync(0);
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task Deliveries_are_filtered_selected_and_sent_again()
    {
        await using var window = await site.OpenAsync();
        await site.Server.DeployAsync(
            "bulk",
            $$"""export default defineComponent({ async run({ $ }) { for (let i = 0; i < 3; i++) $.send.http({ method: "POST", url: "{{site.Receiver.Url}}bulk/" + i }); } });"""
        );
        string run = (await site.Server.RunAsync("/hooks/bulk")).Id;
        await window.Page.GotoAsync("/deliveries");
        await window.Page.GetByPlaceholder("URL contains…").FillAsync("/bulk/");
        await Button(window, "Filter").ClickAsync();
        await Expect(Rows(window)).ToHaveCountAsync(3);
        await Rows(window).Nth(0).GetByRole(AriaRole.Checkbox).CheckAsync();
        await Rows(window).Nth(2).GetByRole(AriaRole.Checkbox).CheckAsync();
        await Button(window, "Resend selected").ClickAsync();
        await Expect(window.Page.GetByRole(AriaRole.Status)).ToContainTextAsync("2");
        await Expect(window.Page).ToHaveURLAsync(new Regex("q=%2Fbulk%2F"));
        // What was delivered is resent in bulk only when the filter names it.
        await Link(window, "Resend all matching").ClickAsync();
        await Expect(window.Page.GetByText("Nothing to resend")).ToBeVisibleAsync();
        await window.Page.GotoAsync("/deliveries?q=%2Fbulk%2F&status=succeeded");
        await Link(window, "Resend all matching").ClickAsync();
        await window.Page.Locator("main form button").ClickAsync();
        await Expect(window.Page.GetByRole(AriaRole.Status)).ToContainTextAsync("3");
        await site.Server.EndOfAsync(run);
        Assert.Equal(8, site.Receiver.Requests.Count(request => request.Contains("/bulk/", StringComparison.Ordinal)));
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task A_destination_leads_from_its_figures_to_the_failures_behind_them()
    {
        await using var window = await site.OpenAsync();
        await site.Server.DeployAsync(
            "refused",
            """export default defineComponent({ async run({ $ }) { $.send.http({ method: "POST", url: "http://127.0.0.1:9/refused" }); } });"""
        );
        await site.Server.RunAsync("/hooks/refused");
        await window.Page.GotoAsync("/deliveries/destinations");
        await Link(window, "http://127.0.0.1:9").ClickAsync();
        await Expect(window.Page.Locator(".facts").First).ToContainTextAsync("1 failed");
        await window.Page.Locator(".dlv-two .list").First.GetByRole(AriaRole.Link).First.ClickAsync();
        await Expect(Rows(window)).ToHaveCountAsync(1);
        await Rows(window).First.GetByRole(AriaRole.Link).First.ClickAsync();
        await Expect(window.Page.Locator(".send .say")).ToContainTextAsync("refused");
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task Alerts_are_made_tested_changed_and_deleted_twice_without_a_reload()
    {
        await using var window = await site.OpenAsync();
        await window.Page.GotoAsync("/settings");
        await Link(window, "Alerts").ClickAsync();
        await Expect(window.Page.Locator(".head h1")).ToHaveTextAsync("Alerts");
        foreach (string name in new[] { "ops", "night" })
        {
            await window.Page.GetByLabel("Name", new() { Exact = true }).FillAsync(name);
            await window.Page.GetByLabel("URL, or email addresses").FillAsync("ftp://nowhere");
            await Button(window, "Create alert").ClickAsync();
            await Expect(window.Page.GetByRole(AriaRole.Alert)).ToContainTextAsync("Expected an absolute http or https URL");
            // What was typed is there still.
            await Expect(window.Page.GetByLabel("Name", new() { Exact = true })).ToHaveValueAsync(name);
            await window.Page.GetByLabel("URL, or email addresses").FillAsync($"{site.Receiver.Url}alert/{name}");
            await Button(window, "Create alert").ClickAsync();
            await Expect(window.Page.Locator(".entries li").Filter(new() { HasText = name })).ToContainTextAsync("no message yet");
            await Button(window, $"Test {name}").ClickAsync();
            await Expect(window.Page.Locator(".head h1")).ToHaveTextAsync("sendoff/alerts");
            await Expect(window.Page.Locator(".send .sum")).ToContainTextAsync("200");
            await Expect(Button(window, "Replay")).ToHaveCountAsync(0);
            await Link(window, "sendoff/alerts").ClickAsync();
            await Link(window, $"Change {name}").ClickAsync();
            await Expect(window.Page.Locator("#edit")).ToHaveTextAsync($"Change {name}");
            await window.Page.GetByLabel("Quiet time, in minutes").FillAsync("2.5");
            await Button(window, "Save alert").ClickAsync();
            await Expect(window.Page.Locator(".entries li").Filter(new() { HasText = name })).ToContainTextAsync("quiet for 2.5 min");
        }
        foreach (string name in new[] { "ops", "night" })
        {
            await window.ConfirmAsync($"Delete {name}");
            await Expect(window.Page.Locator(".entries li").Filter(new() { HasText = name })).ToHaveCountAsync(0);
        }
        foreach (string name in new[] { "ops", "night" })
            Assert.Single(site.Receiver.Requests, request => request.Contains($"/alert/{name}", StringComparison.Ordinal));
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task Tokens_and_secrets_are_made_and_taken_back()
    {
        await using var window = await site.OpenAsync();
        await window.Page.GotoAsync("/settings");
        await window.Page.GetByLabel("Token name").FillAsync("the build");
        await window.Page.GetByLabel("Scope").SelectOptionAsync("write");
        await Button(window, "Create token").ClickAsync();
        string token = await window.Page.Locator(".made code").InnerTextAsync();
        await window.Page.GotoAsync("/settings");
        await Expect(window.Page.Locator("main")).Not.ToContainTextAsync(token);
        await window.ConfirmAsync("Revoke the build");
        await Expect(window.Page.Locator("summary[aria-label='Revoke the build']")).ToHaveCountAsync(0);

        await window.Page.GetByLabel("Name", new() { Exact = true }).FillAsync("CHAT_TOKEN");
        await window.Page.GetByLabel("Value", new() { Exact = true }).FillAsync("s3cret-value");
        await Button(window, "Set").ClickAsync();
        await Expect(window.Page.GetByRole(AriaRole.Region, new() { Name = "Variables and secrets" })).ToContainTextAsync("CHAT_TOKEN");
        Assert.DoesNotContain("s3cret-value", await window.Page.ContentAsync());
        await window.ConfirmAsync("Delete CHAT_TOKEN");
        await Expect(window.Page.Locator("summary[aria-label='Delete CHAT_TOKEN']")).ToHaveCountAsync(0);
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task A_mistake_is_shown_at_its_line_which_opens_in_the_editor()
    {
        await using var window = await site.OpenAsync();
        string run = (await site.Server.RunAsync("/hooks/invoice")).Id;
        await window.Page.GotoAsync($"/runs/{run}");
        await Expect(window.Page.Locator(".note .src")).ToContainTextAsync("return steps.trigger.event.body.customer.id;");
        await Link(window, "step.mjs:2").ClickAsync();
        await EditorTests.ReadyAsync(window);
        await Expect(EditorTests.Code(window).Locator(".monaco .current-line-margin, .monaco .line-numbers.active-line-number").First)
            .ToHaveTextAsync("2");
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task Every_place_is_reached_by_keyboard()
    {
        await using var window = await site.OpenAsync();
        await window.Page.GotoAsync("/usage");
        await window.Page.Keyboard.PressAsync("Tab");
        await Expect(window.Page.GetByText("Skip to content")).ToBeFocusedAsync();
        foreach (
            string place in new[]
            {
                "Sendoff",
                "Runs",
                "Deliveries",
                "Events",
                "Workflows",
                "Data stores",
                "Accounts",
                "Usage",
                "Alerts",
                "Servers",
                "Settings",
            }
        )
        {
            await window.Page.Keyboard.PressAsync("Tab");
            await Expect(window.Page.GetByRole(AriaRole.Banner).GetByRole(AriaRole.Link, new() { Name = place, Exact = true }))
                .ToBeFocusedAsync();
        }
        await window.Page.Keyboard.PressAsync("Enter");
        await Expect(window.Page.Locator("h1")).ToHaveTextAsync("Settings");
        Assert.Empty(window.Faults);
    }
}
