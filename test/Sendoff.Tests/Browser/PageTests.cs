using Deque.AxeCore.Playwright;
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

    public static TheoryData<string, string> Pages => new()
    {
        { "sign-in", "/signin" }, { "runs", "/" }, { "runs-failed", "/?status=failed" }, { "runs-none", "/?q=nobody-ever" }, { "run", "/runs/{run}" }, { "run-unknown", "/runs/run_0000000000000" },
        { "deliveries", "/deliveries" }, { "deliveries-failed", "/deliveries?status=failed" }, { "destinations", "/deliveries/destinations" }, { "workflows", "/workflows" },
        { "workflow-new", "/workflows/new" }, { "workflow-delete", "/workflows/hello/delete" }, { "editor", "/workflows/contact?step=notify" }, { "editor-test", "/workflows/contact?step=notify&run={tested}" }, { "editor-yaml", "/workflows/contact?file=workflow.yaml" },
        { "versions", "/workflows/contact/versions" }, { "compare", "/runs/{tested}/compare?with={compared}" }, { "workflow-unknown", "/workflows/nobody" }, { "usage", "/usage" }, { "settings", "/settings" }, { "no-such-page", "/nowhere" },
    };

    [Theory]
    [MemberData(nameof(Pages))]
    public async Task A_page_has_no_serious_fault_fits_its_width_and_asks_nobody_else(string name, string path)
    {
        foreach (var scheme in (ColorScheme[])[ColorScheme.Light, ColorScheme.Dark])
        {
            await using var window = name == "sign-in" ? await site.OpenStrangerAsync(scheme) : await site.OpenAsync(scheme);
            await window.Page.GotoAsync(path.Replace("{run}", site.Sample).Replace("{tested}", site.Tested).Replace("{compared}", site.Compared), new() { WaitUntil = WaitUntilState.Load });
            if (await window.Page.Locator(".editor").CountAsync() > 0) await EditorTests.ReadyAsync(window);
            // What the language's worker marks is looked at as well.
            if (path.Contains("step=notify", StringComparison.Ordinal)) await Expect(window.Page.Locator(".squiggly-inline-unnecessary").First).ToBeVisibleAsync();
            // Colours and names are the same at any width.
            await CheckAsync(window.Page, $"{name} {scheme}");
            foreach (int width in (int[])[1440, 390])
            {
                await window.Page.SetViewportSizeAsync(width, width > 800 ? 900 : 844);
                // Some parts measure themselves after a change of the width.
                await window.Page.WaitForFunctionAsync("document.documentElement.scrollWidth <= innerWidth", null);
                if (writes) await PhotographAsync(window.Page, $"{name}-{scheme.ToString().ToLowerInvariant()}-{width}.png", width);
            }
            Assert.Empty(window.Faults);
        }
    }

    static async Task CheckAsync(IPage page, string what)
    {
        var found = await page.RunAxe();
        string faults = string.Join("\n", found.Violations.Where(one => one.Impact is "serious" or "critical")
            .Select(one => $"{what}: {one.Id}: {one.Help}: {string.Join(" | ", one.Nodes.Take(5).Select(node => node.Html))}"));
        Assert.True(faults.Length == 0, faults);
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
        while (!File.Exists(Path.Combine(at.FullName, "Sendoff.slnx"))) at = at.Parent!;
        return Path.Combine(at.FullName, "docs", "screens");
    }
}
