using System.Text.RegularExpressions;
using Microsoft.Playwright;
using Sendoff.Tests.Support;
using static Microsoft.Playwright.Assertions;

namespace Sendoff.Tests.Browser;

/// <summary>What every page does in the browser: times, copying, keys, the theme, and the way to a place.</summary>
[Collection("browser")]
public sealed class PageScriptTests(Site site)
{
    static Task<string> ClipboardAsync(Window window) => window.Page.EvaluateAsync<string>("navigator.clipboard.readText()");

    [Fact]
    public async Task Times_are_relative_with_the_local_and_the_exact_time_on_hover()
    {
        string run = (await site.Server.RunAsync("/hooks/notify", """{"names":["Luke"]}""")).Id;
        await using var window = await site.OpenAsync();
        await window.Page.GotoAsync($"/runs/{run}");
        var time = window.Page.Locator($".rows a[href^='/runs/{run}'] time");
        await Expect(time).ToHaveTextAsync(new Regex("^(just now|[0-9]+ (s|min) ago)$"));
        await Expect(time).ToHaveAttributeAsync("title", new Regex(@"^[0-9]+ \w+ [0-9]{4}(,| at) .* UTC\n[0-9-]+T[0-9:.]+Z$"));
        await Expect(window.Page.Locator(".logs time").First).ToHaveTextAsync(new Regex(@"^[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}$"));
        // The live part is merged with what the server draws, which is the exact time.
        await site.Server.RunAsync("/hooks/notify", """{"names":["Han"]}""");
        await Expect(window.Page.Locator(".rows a").First).Not.ToHaveAttributeAsync("id", run);
        await Expect(time).ToHaveTextAsync(new Regex("ago|now"));
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task Ids_urls_headers_bodies_and_curl_are_copied()
    {
        var document = await site.Server.RunAsync("/hooks/notify", """{"names":["Biggs","Wedge"]}""");
        await using var window = await site.OpenAsync();
        await window.Context.GrantPermissionsAsync(["clipboard-read", "clipboard-write"]);
        await window.Page.GotoAsync($"/runs/{document.Id}");
        await Expect(window.Page.Locator(".tabs a").First).ToHaveTextAsync(new Regex(@"POST 127\.0\.0\.1:[0-9]+/in · 200"));
        for (int round = 0; round < 2; round++)
        {
            foreach (
                var (button, copied) in new[]
                {
                    ("Copy the run’s id", document.Id),
                    ("Copy URL", document.Steps[0].Deliveries[0].Request.Url),
                    ("Copy content-type", "application/json"),
                    ("Copy the body", "{\"name\":\"Biggs\"}"),
                    ("Copy curl", "curl"),
                }
            )
            {
                await window.Page.GetByRole(AriaRole.Button, new() { Name = button, Exact = true }).First.ClickAsync();
                await Expect(window.Page.GetByText("Copied").First).ToBeVisibleAsync();
                Assert.Contains(copied, await ClipboardAsync(window));
                await Expect(window.Page.GetByText("Copied")).ToHaveCountAsync(0);
            }
        }
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task Keys_lead_to_the_search_the_rows_and_any_place()
    {
        await using var window = await site.OpenAsync();
        await window.Page.GotoAsync("/");
        for (int round = 0; round < 2; round++)
        {
            await window.Page.Keyboard.PressAsync("?");
            await Expect(window.Page.Locator("#keys")).ToBeVisibleAsync();
            await window.Page.Keyboard.PressAsync("Escape");
            await window.Page.Keyboard.PressAsync("/");
            await Expect(window.Page.Locator("input[name=q]")).ToBeFocusedAsync();
            await window.Page.Keyboard.PressAsync("Escape");
            await window.Page.Locator("h1").First.ClickAsync();
            await window.Page.Keyboard.PressAsync("j");
            await window.Page.Keyboard.PressAsync("j");
            await Expect(window.Page.Locator(".rows a").Nth(1)).ToBeFocusedAsync();
            await window.Page.Keyboard.PressAsync("k");
            await window.Page.Keyboard.PressAsync("Enter");
            await Expect(window.Page).ToHaveURLAsync(new Regex("/runs/run_"));
            await window.Page.Keyboard.PressAsync("Control+k");
            await window.Page.Keyboard.TypeAsync("contact");
            await Expect(window.Page.Locator("#palette li").First).ToHaveTextAsync("contact (workflow)");
            await window.Page.Keyboard.PressAsync("Enter");
            await Expect(window.Page).ToHaveURLAsync(new Regex("/workflows/contact$"));
            // Keys belong to a page once it has loaded its scripts.
            await window.Page.WaitForFunctionAsync("document.readyState === 'complete'");
            await window.Page.Keyboard.PressAsync("Control+k");
            await window.Page.Keyboard.TypeAsync(site.Sample);
            await window.Page.Keyboard.PressAsync("Enter");
            await Expect(window.Page).ToHaveURLAsync(new Regex($"/runs/{site.Sample}$"));
            await window.Page.WaitForFunctionAsync("document.readyState === 'complete'");
            await window.Page.GetByRole(AriaRole.Link, new() { Name = "Sendoff", Exact = true }).ClickAsync();
            await Expect(window.Page.Locator(".overview h1")).ToHaveTextAsync("Today");
        }
        Assert.Empty(window.Faults);
    }

    [Theory]
    [InlineData("Control+k", "#palette"), InlineData("?", "#keys")]
    public async Task A_dialog_that_is_open_while_a_page_loads_stays_open_with_what_is_typed(string key, string dialog)
    {
        await using var window = await site.OpenAsync();
        await window.Page.GotoAsync("/");
        TaskCompletionSource isAsked = new(),
            mayGo = new();
        await window.Page.RouteAsync(
            "**/usage",
            async route =>
            {
                isAsked.TrySetResult();
                await mayGo.Task;
                await route.ContinueAsync();
            }
        );
        await window.Page.GetByRole(AriaRole.Link, new() { Name = "Usage", Exact = true }).ClickAsync();
        await isAsked.Task.WithinLimitAsync();
        await window.Page.Keyboard.PressAsync(key);
        await Expect(window.Page.Locator(dialog)).ToBeVisibleAsync();
        await window.Page.Keyboard.TypeAsync("con");
        mayGo.SetResult();
        await Expect(window.Page).ToHaveTitleAsync(new Regex("Usage"));
        await Expect(window.Page.Locator(dialog)).ToBeVisibleAsync();
        if (dialog == "#palette")
        {
            await window.Page.Keyboard.TypeAsync("tact");
            await window.Page.Locator("#palette a", new() { HasText = "contact (workflow)" }).ClickAsync();
            await Expect(window.Page).ToHaveURLAsync(new Regex("/workflows/contact$"));
        }
        else
        {
            await window.Page.Keyboard.PressAsync("Escape");
        }
        await Expect(window.Page.Locator(dialog)).ToBeHiddenAsync();
        // Once closed, it stays closed.
        await window.Page.GetByRole(AriaRole.Link, new() { Name = "Alerts", Exact = true }).ClickAsync();
        await Expect(window.Page).ToHaveTitleAsync(new Regex("Alerts"));
        await Expect(window.Page.Locator(dialog)).ToBeHiddenAsync();
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task The_theme_that_is_chosen_stays_and_the_editor_has_it()
    {
        await using var window = await site.OpenAsync();
        await window.Page.GotoAsync("/workflows/contact");
        await EditorTests.ReadyAsync(window);
        var theme = window.Page.Locator("#theme");
        async Task<string> GroundAsync() =>
            await EditorTests.Code(window).Locator("#code").EvaluateAsync<string>("node => getComputedStyle(node).backgroundColor");
        string light = await GroundAsync();
        await theme.ClickAsync();
        await theme.ClickAsync();
        await Expect(theme).ToHaveAttributeAsync("aria-label", "Theme: dark");
        Assert.NotEqual(light, await GroundAsync());
        await Expect(EditorTests.Code(window).Locator(".monaco-editor.vs-dark")).ToBeVisibleAsync();
        await window.Page.GetByRole(AriaRole.Link, new() { Name = "Usage", Exact = true }).ClickAsync();
        await Expect(window.Page.Locator("html")).ToHaveAttributeAsync("data-theme", "dark");
        await theme.ClickAsync();
        await Expect(theme).ToHaveAttributeAsync("aria-label", "Theme: system");
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task A_server_without_runs_shows_the_command_for_a_first_one()
    {
        Site.NeedsChromium();
        await using var server = await TestServer.StartAsync();
        await using var window = await site.OpenStrangerAsync();
        await Site.OpenAsync(window, server, "/");
        await Expect(window.Page.Locator(".overview h1")).ToHaveTextAsync("Create your first workflow");
        await server.DeployAsync("first", "export default defineComponent({ async run() {} });");
        await window.Page.GotoAsync(server.Address.ToString());
        await Expect(window.Page.Locator(".overview pre")).ToContainTextAsync("/hooks/first");
        string run = await server.PostAsync("/hooks/first");
        await Expect(window.Page.Locator(".overview h1")).ToHaveTextAsync("Today");
        await Expect(window.Page.Locator(".numbers dd").First).ToHaveTextAsync("1");
        await window.Page.Locator("input[name=q]").FillAsync(run);
        await window.Page.Keyboard.PressAsync("Enter");
        await Expect(window.Page).ToHaveURLAsync(new Regex($"/runs/{run}$"));
    }
}
