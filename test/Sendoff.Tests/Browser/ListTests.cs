using System.Text.RegularExpressions;
using Microsoft.Playwright;
using Sendoff.Tests.Support;
using static Microsoft.Playwright.Assertions;

namespace Sendoff.Tests.Browser;

/// <summary>How lists are filtered, and that they stay current.</summary>
[Collection("browser")]
public sealed class ListTests(Site site)
{
    static ILocator Button(Window window, string name) => window.Page.GetByRole(AriaRole.Button, new() { Name = name, Exact = true });

    static ILocator Link(Window window, string name) => window.Page.GetByRole(AriaRole.Link, new() { Name = name, Exact = true });

    [Fact]
    public async Task Filters_of_runs_apply_themselves_while_typing_goes_on()
    {
        await site.Server.RunAsync("/hooks/notify", """{"names":["Lobot"]}""");
        await using var window = await site.OpenAsync();
        await window.Page.GotoAsync("/");
        var rows = window.Page.Locator(".rows a");
        await window.Page.GetByLabel("Workflow", new() { Exact = true }).SelectOptionAsync("notify");
        await Expect(window.Page).ToHaveURLAsync(new Regex(@"/\?workflow=notify$"));
        await Expect(rows.Filter(new() { HasNotText = "notify" })).ToHaveCountAsync(0);
        var search = window.Page.Locator("input[name=q]");
        await search.PressSequentiallyAsync("Lob");
        await Expect(window.Page).ToHaveURLAsync(new Regex("q=Lob"));
        await search.PressSequentiallyAsync("ot");
        await Expect(window.Page).ToHaveURLAsync(new Regex("q=Lobot"));
        await Expect(rows).ToHaveCountAsync(1);
        await Expect(search).ToBeFocusedAsync();
        await Expect(search).ToHaveValueAsync("Lobot");
        // A run that is open stays open, and its list is filtered.
        await rows.First.ClickAsync();
        await Expect(window.Page).ToHaveURLAsync(new Regex("/runs/run_.*q=Lobot"));
        await window.Page.GetByLabel("Status", new() { Exact = true }).SelectOptionAsync("failed");
        await Expect(window.Page.GetByText("No run matches")).ToBeVisibleAsync();
        await Expect(window.Page.Locator(".head h1")).ToHaveTextAsync("notify");
        await Link(window, "All").ClickAsync();
        await Expect(rows.Nth(3)).ToBeVisibleAsync();
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task A_filter_that_is_chosen_while_a_page_loads_applies_to_that_page()
    {
        await site.Server.RunAsync("/hooks/notify", """{"names":["Nien Nunb"]}""");
        await using var window = await site.OpenAsync();
        await window.Page.GotoAsync("/?workflow=notify");
        TaskCompletionSource isAsked = new(),
            mayGo = new();
        await window.Page.RouteAsync(
            new Regex("/runs/run_"),
            async route =>
            {
                isAsked.TrySetResult();
                await mayGo.Task;
                await route.ContinueAsync();
            }
        );
        await window.Page.Locator(".rows a").First.ClickAsync();
        await isAsked.Task.WithinLimitAsync();
        await window.Page.GetByLabel("Status", new() { Exact = true }).SelectOptionAsync("failed");
        await window.Page.Locator("input[name=q]").PressSequentiallyAsync("Nie");
        mayGo.SetResult();
        await Expect(window.Page).ToHaveURLAsync(new Regex(@"/runs/run_\w+\?q=Nie&workflow=notify&status=failed$"));
        await Expect(window.Page.Locator(".head h1")).ToHaveTextAsync("notify");
        await Expect(window.Page.GetByText("No run matches")).ToBeVisibleAsync();
        await Expect(window.Page.Locator("input[name=q]")).ToHaveValueAsync("Nie");
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task Filters_work_by_their_button_where_no_script_runs()
    {
        await using var window = await site.OpenAsync();
        await window.Page.RouteAsync("**/*.js", route => route.AbortAsync());
        await window.Page.GotoAsync("/");
        await window.Page.GetByLabel("Workflow", new() { Exact = true }).SelectOptionAsync("invoice");
        await Button(window, "Filter").ClickAsync();
        await Expect(window.Page).ToHaveURLAsync(new Regex("workflow=invoice"));
        await Expect(window.Page.Locator(".rows a").Filter(new() { HasNotText = "invoice" })).ToHaveCountAsync(0);
        await Expect(window.Page.Locator(".saved")).ToBeHiddenAsync();
    }

    [Theory]
    [InlineData("/", "Status", "failed", ".rows a"), InlineData("/deliveries", "Status", "succeeded", ".list tbody tr")]
    public async Task A_filter_is_saved_under_a_name_found_again_and_deleted(string path, string label, string value, string rows)
    {
        await using var window = await site.OpenAsync();
        await window.Page.GotoAsync(path);
        for (int round = 0; round < 2; round++)
        {
            await window.Page.GetByLabel(label, new() { Exact = true }).SelectOptionAsync(value);
            await window.Page.GetByText("Save filter", new() { Exact = true }).ClickAsync();
            await window.Page.GetByLabel("Name of the filter").FillAsync("my <b>list</b>");
            await window.Page.Keyboard.PressAsync("Enter");
            await Expect(Link(window, "my <b>list</b>")).ToBeFocusedAsync();
            await Link(window, "Usage").ClickAsync();
            await Expect(window.Page).ToHaveTitleAsync(new Regex("Usage"));
            await window.Page.GetByRole(AriaRole.Navigation, new() { Name = "Main" }).Locator($"a[href='{path}']").ClickAsync();
            await Expect(window.Page).ToHaveURLAsync(new Regex($"{path}$"));
            await Link(window, "my <b>list</b>").ClickAsync();
            await Expect(window.Page).ToHaveURLAsync(new Regex($"status={value}$"));
            await Expect(window.Page.Locator(rows).First).ToBeVisibleAsync();
            await Expect(Link(window, "my <b>list</b>")).ToHaveAttributeAsync("aria-current", "true");
            await Button(window, "Delete the filter “my <b>list</b>”").ClickAsync();
            await Expect(Link(window, "my <b>list</b>")).ToHaveCountAsync(0);
            await Button(window, "Undo").ClickAsync();
            await Expect(Link(window, "my <b>list</b>")).ToBeVisibleAsync();
            await Button(window, "Delete the filter “my <b>list</b>”").ClickAsync();
            await Expect(Link(window, "my <b>list</b>")).ToHaveCountAsync(0);
        }
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task New_deliveries_appear_by_themselves_and_what_is_selected_stays_selected()
    {
        await site.Server.RunAsync("/hooks/notify", """{"names":["Wicket"]}""");
        await using var window = await site.OpenAsync();
        await window.Page.GotoAsync("/deliveries?q=in%3Fname");
        var box = window.Page.Locator(".list tbody tr", new() { HasText = "Wicket" }).First.GetByRole(AriaRole.Checkbox);
        await box.CheckAsync();
        await site.Server.RunAsync("/hooks/notify", """{"names":["Paploo"]}""");
        await Expect(window.Page.Locator(".list tbody tr").First).ToContainTextAsync("Paploo");
        await Expect(window.Page.Locator(".list tbody tr").First).ToContainTextAsync("Succeeded");
        await Expect(box).ToBeCheckedAsync();
        await Expect(window.Page.Locator(".list input:checked")).ToHaveCountAsync(1);
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task A_click_anywhere_in_a_row_opens_it_and_its_box_only_selects_it()
    {
        await site.Server.RunAsync("/hooks/notify", """{"names":["Teebo"]}""");
        await using var window = await site.OpenAsync();
        await window.Page.GotoAsync("/deliveries?q=in%3Fname%3DTeebo");
        var row = window.Page.Locator(".list tbody tr").First;
        await row.GetByRole(AriaRole.Checkbox).CheckAsync();
        await Expect(window.Page).ToHaveURLAsync(new Regex("/deliveries"));
        await row.Locator("td").Last.ClickAsync();
        await Expect(window.Page).ToHaveURLAsync(new Regex("/runs/run_.*send=dlv_"));
        await window.Page.GotoAsync("/usage");
        await window.Page.Locator(".list tbody tr", new() { HasText = "notify" }).Locator("td").Last.ClickAsync();
        await Expect(window.Page).ToHaveURLAsync(new Regex("workflow=notify"));
        Assert.Empty(window.Faults);
    }

    [Theory]
    [InlineData("/deliveries", 1), InlineData("/deliveries/destinations", 1), InlineData("/usage", 2)]
    public async Task Charts_have_axes_and_their_values_in_a_table(string path, int charts)
    {
        await site.Server.RunAsync("/hooks/notify", """{"names":["Nien"]}""");
        await using var window = await site.OpenAsync(width: 390);
        await window.Page.GotoAsync(path);
        await Expect(window.Page.Locator(".chart")).ToHaveCountAsync(charts);
        await Expect(window.Page.Locator(".chart .y span").First).ToHaveTextAsync(new Regex("[1-9]"));
        await Expect(window.Page.Locator(".chart rect:not(.hit)").First).ToBeAttachedAsync();
        await window.Page.GetByText("Show as a table").First.FocusAsync();
        await window.Page.Keyboard.PressAsync("Enter");
        await Expect(window.Page.Locator(".chart table td.num", new() { HasTextRegex = new Regex("[1-9]") }).First).ToBeVisibleAsync();
        if (path == "/deliveries")
        {
            // The table stays open while its values change.
            string before = await window.Page.Locator(".chart tbody tr").Last.InnerTextAsync();
            await site.Server.RunAsync("/hooks/notify", """{"names":["Nunb"]}""");
            await Expect(window.Page.Locator(".chart tbody tr").Last).Not.ToHaveTextAsync(before);
            await Expect(window.Page.Locator(".chart tbody tr").Last).ToBeVisibleAsync();
        }
        Assert.Empty(window.Faults);
    }
}
