using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using static Microsoft.Playwright.Assertions;

namespace Sendoff.Tests.Browser;

/// <summary>How fast pages are, printed and asserted by nobody. They run when they are asked for by name (bench/README.md); the figures are
/// kept in bench/results.</summary>
[Collection("browser")]
public sealed class PageMeasures(Site site)
{
    const string Frames = """
        () => { const gaps = []; let last = performance.now(); const see = now => { gaps.push(now - last); last = now; window.framesEnd ? 0 : requestAnimationFrame(see); }; requestAnimationFrame(see); window.framesGaps = gaps; window.framesEnd = false; }
        """;

    static void Print(string what, IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        TestContext.Current.SendDiagnosticMessage(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{what}: median {sorted[sorted.Length / 2]:N0}, p99 {sorted[(int)(sorted.Length * 0.99)]:N0}, "
                    + $"max {sorted[^1]:N0} ms of {sorted.Length}"
            )
        );
    }

    [Fact(Explicit = true)]
    public async Task From_an_event_to_its_row_and_to_its_delivery()
    {
        await using var window = await site.OpenAsync();
        await window.Page.GotoAsync("/?workflow=notify");
        await window.Page.EvaluateAsync(
            """
            () => { window.seen = {}; new MutationObserver(() => { for (const row of document.querySelectorAll('.rows a')) { const id = row.pathname; const s = window.seen[id] ??= { row: Date.now() }; if (!s.done && row.textContent.includes('1 of 1 delivered')) s.done = Date.now(); } }).observe(document.querySelector('.runs'), { subtree: true, childList: true, characterData: true }); }
            """
        );
        List<double> rows = [],
            deliveries = [];
        for (int i = 0; i < 40; i++)
        {
            long start = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
            string run = (await site.Server.RunAsync("/hooks/notify", """{"names":["x"]}""")).Id;
            await window.Page.WaitForFunctionAsync("id => window.seen['/runs/' + id]?.done", run);
            var seen = await window.Page.EvaluateAsync<JsonElement>("id => window.seen['/runs/' + id]", run);
            rows.Add(seen.GetProperty("row").GetDouble() - start);
            deliveries.Add(seen.GetProperty("done").GetDouble() - start);
        }
        Print("event to its row in the list", rows);
        Print("event to its delivery in the list", deliveries);
    }

    [Fact(Explicit = true)]
    public async Task A_run_with_1000_sends()
    {
        await using var window = await site.OpenAsync();
        string run = (
            await site.Server.RunAsync(
                "/hooks/notify",
                JsonSerializer.Serialize(new { names = Enumerable.Range(0, 1_000).Select(i => $"n{i}") })
            )
        ).Id;
        List<double> opened = [];
        for (int i = 0; i < 10; i++)
        {
            await window.Page.GotoAsync("about:blank");
            long start = Stopwatch.GetTimestamp();
            await window.Page.GotoAsync($"/runs/{run}", new() { WaitUntil = Microsoft.Playwright.WaitUntilState.DOMContentLoaded });
            await Expect(window.Page.Locator(".tabs a")).ToHaveCountAsync(1_000);
            opened.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        Print("1,000 sends: drawn", opened);
        await window.Page.EvaluateAsync(Frames);
        await window.Page.EvaluateAsync(
            """
            async () => { const view = document.querySelector('.view'), tabs = document.querySelector('.tabs'); for (let i = 0; i < 120; i++) { view.scrollBy(0, i < 60 ? 30 : -30); tabs.scrollBy(0, i < 60 ? 40 : -40); await new Promise(requestAnimationFrame); } window.framesEnd = true; }
            """
        );
        Print("1,000 sends: frames while scrolling", await window.Page.EvaluateAsync<double[]>("() => window.framesGaps"));
    }

    [Fact(Explicit = true)]
    public async Task The_live_list_under_200_events_a_second()
    {
        await site.Server.DeployAsync("flood", "export default defineComponent({ async run() { return 1; } });");
        await using var window = await site.OpenAsync();
        await window.Page.GotoAsync("/");
        await window.Page.EvaluateAsync(Frames);
        long start = Stopwatch.GetTimestamp();
        var posts = new List<Task>();
        for (int i = 0; i < 2_000; i++)
        {
            var due = TimeSpan.FromMilliseconds(i * 5) - Stopwatch.GetElapsedTime(start);
            if (due > TimeSpan.Zero)
                await Task.Delay(due);
            posts.Add(site.Server.Http.PostAsJsonAsync("/hooks/flood", new { i }));
        }
        await Task.WhenAll(posts);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        await window.Page.EvaluateAsync("() => { window.framesEnd = true; }");
        TestContext.Current.SendDiagnosticMessage(
            string.Create(CultureInfo.InvariantCulture, $"{2_000 / seconds:N0} events a second for {seconds:N0} s")
        );
        Print("live list: frames", await window.Page.EvaluateAsync<double[]>("() => window.framesGaps"));
        long click = Stopwatch.GetTimestamp();
        await window.Page.Locator(".rows a").First.ClickAsync();
        await Expect(window.Page.Locator(".head h1")).ToBeVisibleAsync();
        TestContext.Current.SendDiagnosticMessage(
            string.Create(
                CultureInfo.InvariantCulture,
                $"a click on a row after it: {Stopwatch.GetElapsedTime(click).TotalMilliseconds:N0} ms"
            )
        );
    }
}
