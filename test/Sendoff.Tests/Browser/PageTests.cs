using Deque.AxeCore.Commons;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Sendoff.Tests.Browser;

/// <summary>Every page, light and dark, wide and narrow.</summary>
[Collection("browser")]
public sealed class PageTests(Site site)
{
    /// <summary>Makes the pictures of docs/screens, as it makes other documents.</summary>
    static readonly bool writes = Environment.GetEnvironmentVariable("SENDOFF_WRITE_DOCS") == "1";
    const int HighestPx = 1_600;

    public static TheoryData<string, string> Pages =>
        new()
        {
            { "sign-in", "/signin" },
            { "runs", "/" },
            { "runs-failed", "/?status=failed" },
            { "runs-none", "/?q=nobody-ever" },
            { "run", "/runs/{run}" },
            { "run-unknown", "/runs/run_0000000000000" },
            { "deliveries", "/deliveries" },
            { "deliveries-failed", "/deliveries?status=failed" },
            { "destinations", "/deliveries/destinations" },
            { "workflows", "/workflows" },
            { "workflow-new", "/workflows/new" },
            { "workflow-delete", "/workflows/hello/delete" },
            { "editor", "/workflows/contact?step=notify" },
            { "editor-test", "/workflows/contact?step=notify&run={tested}" },
            { "editor-yaml", "/workflows/contact?file=workflow.yaml" },
            { "versions", "/workflows/contact/versions" },
            { "compare", "/runs/{tested}/compare?with={compared}" },
            { "workflow-unknown", "/workflows/nobody" },
            { "usage", "/usage" },
            { "events", "/events" },
            { "event", "/events/{event}" },
            { "event-unknown", "/events/evt_0000000000000" },
            { "stores", "/stores" },
            { "store", "/stores/counters" },
            { "store-value", "/stores/counters?key=last%2Frun" },
            { "api", "/docs" },
            { "alerts", "/alerts" },
            { "accounts", "/accounts" },
            { "account-new", "/accounts?app=google_sheets" },
            { "servers", "/servers" },
            { "settings", "/settings" },
            { "no-such-page", "/nowhere" },
        };

    [Theory]
    [MemberData(nameof(Pages))]
    public async Task A_page_has_no_serious_fault_fits_its_width_and_asks_nobody_else(string name, string path)
    {
        // Every other page is opened in the dark, and each is switched over while it is open, as a system does in the evening.
        ColorScheme[] schemes = [ColorScheme.Light, ColorScheme.Dark];
        if (Pages.Select(static row => row.Data.Item1).ToList().IndexOf(name) % 2 == 1)
            Array.Reverse(schemes);
        await using var window = name == "sign-in" ? await site.OpenStrangerAsync(schemes[0]) : await site.OpenAsync(schemes[0]);
        await window.Page.GotoAsync(
            path.Replace("{run}", site.Sample)
                .Replace("{tested}", site.Tested)
                .Replace("{compared}", site.Compared)
                .Replace("{event}", site.Event),
            new() { WaitUntil = WaitUntilState.Load }
        );
        if (await window.Page.Locator(".editor").CountAsync() > 0)
            await EditorTests.ReadyAsync(window);
        // What the language's worker marks is looked at as well. It is loaded when the code is first used.
        if (path.Contains("step=notify", StringComparison.Ordinal))
        {
            await EditorTests.Code(window).Locator(".view-lines").HoverAsync();
            await Expect(EditorTests.Code(window).Locator(".squiggly-inline-unnecessary").First).ToBeVisibleAsync();
        }
        // The reference shows bars until it has read the description.
        if (name == "api")
            await Expect(Reference(window.Page).GetByRole(AriaRole.Heading, new() { Name = "Sendoff", Exact = true })).ToBeVisibleAsync();
        foreach (var scheme in schemes)
        {
            await window.Page.EmulateMediaAsync(new() { ColorScheme = scheme });
            // Of names, roles and widths, the scheme changes nothing.
            await CheckAsync(window.Page, $"{name} {scheme}", scheme == schemes[0] ? null : colours);
            if (writes || scheme == schemes[0])
                foreach (int width in (int[])[1440, 390])
                {
                    await window.Page.SetViewportSizeAsync(width, width > 800 ? 900 : 844);
                    // Some parts measure themselves after a change of the width.
                    await window.Page.WaitForFunctionAsync("document.documentElement.scrollWidth <= innerWidth", null);
                    if (writes)
                        await PhotographAsync(window.Page, $"{name}-{scheme.ToString().ToLowerInvariant()}-{width}.png", width);
                }
        }
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task The_API_reference_has_the_theme_of_the_page_around_it()
    {
        await using var window = await site.OpenAsync(ColorScheme.Light);
        await window.Page.GotoAsync("/docs");
        var body = Reference(window.Page).Locator("body");
        await Expect(Reference(window.Page).GetByRole(AriaRole.Heading, new() { Name = "Sendoff", Exact = true })).ToBeVisibleAsync();
        var theme = window.Page.Locator("#theme");
        for (int round = 0; round < 2; round++)
            foreach (var (chosen, shown) in new[] { ("light", "light"), ("dark", "dark"), ("system", "light") })
            {
                await theme.ClickAsync();
                await Expect(theme).ToHaveAttributeAsync("aria-label", $"Theme: {chosen}");
                await Expect(body).ToContainClassAsync($"{shown}-mode");
                await Expect(body).Not.ToContainClassAsync(shown == "dark" ? "light-mode" : "dark-mode");
            }
        await window.Page.EmulateMediaAsync(new() { ColorScheme = ColorScheme.Dark });
        await Expect(body).ToContainClassAsync("dark-mode");
        Assert.Empty(window.Faults);
    }

    static IFrameLocator Reference(IPage page) => page.FrameLocator("iframe.reference");

    static readonly string axe = new BundledAxeScriptProvider().GetScript();
    static readonly string[] colours = ["color-contrast", "link-in-text-block"];

    /// <summary>In the page itself: the package's own way opens another page for the results, which are larger than the page.</summary>
    static async Task CheckAsync(IPage page, string what, string[]? rules = null)
    {
        foreach (var frame in page.Frames)
            if (!await frame.EvaluateAsync<bool>("'axe' in window"))
                await frame.EvaluateAsync(axe);
        string[] faults = await page.EvaluateAsync<string[]>(
            """
            async rules => (await axe.run({ resultTypes: ['violations'], ...rules && { runOnly: rules } })).violations
              .filter(one => ['serious', 'critical'].includes(one.impact)).map(one => `${one.id}: ${one.help}: ${one.nodes.slice(0, 5).map(node => node.html).join(' | ')}`)
            """,
            rules
        );
        Assert.True(faults.Length == 0, $"{what}: {string.Join('\n', faults)}");
    }

    static async Task PhotographAsync(IPage page, string file, int width)
    {
        int tall = Math.Min(HighestPx, await page.EvaluateAsync<int>("Math.max(innerHeight, document.documentElement.scrollHeight)"));
        await page.SetViewportSizeAsync(width, tall);
        await page.ScreenshotAsync(new() { Path = Path.Combine(Screens(), file), Animations = ScreenshotAnimations.Disabled });
    }

    static string Screens()
    {
        var at = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(at.FullName, "Sendoff.slnx")))
            at = at.Parent!;
        return Path.Combine(at.FullName, "docs", "screens");
    }
}
