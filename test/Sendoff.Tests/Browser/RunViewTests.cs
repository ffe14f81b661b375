using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using Sendoff.Server.Auth;
using Sendoff.Tests.Support;
using static Microsoft.Playwright.Assertions;

namespace Sendoff.Tests.Browser;

[Collection("browser")]
public sealed class RunViewTests(Site site)
{
    static ILocator Row(Window window, string run) => window.Page.Locator($".rows a[href^='/runs/{run}']");

    [Fact]
    public async Task A_run_and_its_deliveries_appear_and_change_without_a_reload()
    {
        await using var window = await site.OpenAsync();
        await using var slow = Receiver.Start(async connection =>
        {
            await connection.ReadRequestAsync();
            await Answer.Task;
            await connection.WriteAsync("HTTP/1.1 204 No Content\r\n\r\n"u8.ToArray());
        });
        await site.Server.DeployAsync(
            "live",
            $$"""export default defineComponent({ async run({ $ }) { $.send.http({ method: "POST", url: "{{slow.Url}}" }); } });"""
        );
        await window.Page.GotoAsync("/");
        string run = await site.Server.PostAsync("/hooks/live");

        await Expect(Row(window, run)).ToContainTextAsync("1 under way");
        await Row(window, run).ClickAsync();
        await Expect(window.Page.Locator(".send .pill")).ToHaveTextAsync("Sending");
        Answer.SetResult();
        await Expect(window.Page.Locator(".send .pill")).ToHaveTextAsync("Succeeded");
        await Expect(Row(window, run)).ToContainTextAsync("1 of 1 delivered");
        Assert.Empty(window.Faults);
    }

    TaskCompletionSource Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    [Fact]
    public async Task Each_send_has_its_address_and_back_and_reload_land_where_one_was()
    {
        await using var window = await site.OpenAsync();
        await window.Page.GotoAsync($"/runs/{site.Sample}");
        var tabs = window.Page.GetByRole(AriaRole.Navigation, new() { NameRegex = new Regex("^Sends of") }).GetByRole(AriaRole.Link);
        await tabs.Nth(0).ClickAsync();
        await Expect(window.Page).ToHaveURLAsync(new Regex(@"\?send=dlv_"));
        string first = window.Page.Url;
        await Expect(window.Page.Locator(".send .url").First).ToContainTextAsync("crm.example.com");
        await tabs.Nth(1).ClickAsync();
        await Expect(window.Page.Locator(".send")).ToContainTextAsync("Timed out after 5,000 ms");

        await window.Page.GoBackAsync();
        await Expect(window.Page).ToHaveURLAsync(first);
        await Expect(window.Page.Locator(".send .url").First).ToContainTextAsync("crm.example.com");
        await window.Page.ReloadAsync();
        await Expect(window.Page.Locator(".send .url").First).ToContainTextAsync("crm.example.com");
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task Runs_are_filtered_and_searched_and_the_filter_stays_when_one_is_opened()
    {
        await using var window = await site.OpenAsync();
        await window.Page.GotoAsync("/");
        await window.Page.GetByLabel("Search ids, URLs, bodies and messages").FillAsync("leia");
        await window.Page.Keyboard.PressAsync("Enter");
        await Expect(window.Page.Locator(".rows a")).ToHaveCountAsync(1);
        await window.Page.Locator(".rows a").ClickAsync();
        await Expect(window.Page).ToHaveURLAsync(new Regex("q=leia"));
        await Expect(window.Page.Locator(".view")).ToContainTextAsync("telling 3");

        await window.Page.GotoAsync("/");
        await window.Page.GetByRole(AriaRole.Link, new() { Name = "Failed", Exact = true }).ClickAsync();
        await Expect(window.Page.Locator(".rows")).ToContainTextAsync("invoice");
        await Expect(window.Page.Locator(".rows")).Not.ToContainTextAsync("notify");
    }

    [Fact]
    public async Task A_paused_list_stands_still_until_it_is_resumed_also_when_a_run_is_opened()
    {
        await using var window = await site.OpenAsync();
        string first = await site.Server.PostAsync("/hooks/hello");
        await window.Page.GotoAsync("/?workflow=hello");
        var pause = window.Page.Locator(".pause");
        await pause.ClickAsync();
        await Expect(pause).ToHaveTextAsync("Resume live updates");
        string run = await site.Server.PostAsync("/hooks/hello");
        await site.Server.EndOfAsync(run);
        await Row(window, first).ClickAsync();
        await Expect(window.Page.Locator(".head h1")).ToHaveTextAsync("hello");
        await Expect(Row(window, run)).ToHaveCountAsync(0);
        await pause.ClickAsync();
        await Expect(pause).ToHaveTextAsync("Pause");
        await Expect(Row(window, run)).ToHaveCountAsync(1);
    }

    [Fact]
    public async Task The_keyboard_reaches_a_run_and_a_send()
    {
        await using var window = await site.OpenAsync();
        await window.Page.GotoAsync("/?workflow=notify&q=leia");
        await window.Page.Locator(".rows a").First.FocusAsync();
        await window.Page.Keyboard.PressAsync("Enter");
        await Expect(window.Page.Locator(".tabs a")).ToHaveCountAsync(3);
        await window.Page.Locator(".tabs a").Nth(1).FocusAsync();
        await window.Page.Keyboard.PressAsync("Tab");
        await window.Page.Keyboard.PressAsync("Enter");
        await Expect(window.Page.Locator(".send .url").First).ToContainTextAsync("name=Leia");
    }

    [Fact]
    public async Task What_the_reader_focused_opened_and_scrolled_to_stays_when_the_page_changes_around_it()
    {
        await using var window = await site.OpenAsync();
        string run = (
            await site.Server.RunAsync(
                "/hooks/notify",
                JsonSerializer.Serialize(new { names = Enumerable.Range(0, 40).Select(i => $"m{i}") })
            )
        ).Id;
        await window.Page.GotoAsync($"/runs/{run}");
        await window.Page.GetByText("Raw event").ClickAsync();
        await Row(window, run).FocusAsync();
        await window.Page.EvaluateAsync("() => { window.kept = document.activeElement; document.querySelector('.view').scrollTop = 20; }");
        for (int i = 0; i < 5; i++)
        {
            string next = (await site.Server.RunAsync("/hooks/notify", """{"names":["x"]}""")).Id;
            await Expect(Row(window, next)).ToContainTextAsync("1 of 1 delivered");
        }
        await window
            .Page.GetByRole(AriaRole.Button, new() { Name = "Resend" })
            .EvaluateAsync("button => fetch(button.form.action, { method: 'POST' })");
        await Expect(window.Page.Locator(".send footer").First).ToContainTextAsync("attempt 2 of 2");
        Assert.True(await window.Page.EvaluateAsync<bool>("() => document.activeElement === window.kept"));
        await Expect(window.Page.Locator("details.more")).ToHaveAttributeAsync("open", "");
        Assert.Equal(20, await window.Page.EvaluateAsync<int>("() => document.querySelector('.view').scrollTop"));
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task A_page_is_live_again_after_the_server_was_away_and_leads_to_the_sign_in_when_the_session_ended()
    {
        Site.NeedsChromium();
        using var folder = new TempFolder();
        await using var window = await site.OpenStrangerAsync();
        int port;
        await using (var before = await TestServer.StartAsync(folder: folder.Path))
        {
            port = before.Address.Port;
            await before.DeployAsync("hello", "export default defineComponent({ async run() {} });");
            await Site.OpenAsync(window, before, "/");
            await Expect(Row(window, await before.PostAsync("/hooks/hello"))).ToHaveCountAsync(1);
        }
        var lost = window.Page.Locator("#lost");
        await Expect(lost).ToBeVisibleAsync();
        await using var after = await TestServer.StartAsync(folder: folder.Path, port: port);
        string run = await after.PostAsync("/hooks/hello");
        await Expect(Row(window, run)).ToHaveCountAsync(1);
        await Expect(lost).ToBeHiddenAsync();

        foreach (var session in await after.Store.ListSessionsAsync(default))
            await after.Get<Sessions>().EndAsync(session.Id, default);
        await after.PostAsync("/hooks/hello");
        await Expect(window.Page).ToHaveURLAsync(new Regex("/signin"));
    }

    [Fact]
    public async Task A_step_with_1000_sends_opens_and_stays_usable()
    {
        await using var window = await site.OpenAsync();
        string run = (
            await site.Server.RunAsync(
                "/hooks/notify",
                JsonSerializer.Serialize(new { names = Enumerable.Range(0, 1_000).Select(i => $"n{i}") })
            )
        ).Id;
        long start = Stopwatch.GetTimestamp();
        await window.Page.GotoAsync($"/runs/{run}");
        await Expect(window.Page.Locator(".tabs a")).ToHaveCountAsync(1_000);
        TestContext.Current.TestOutputHelper?.WriteLine($"opened in {Stopwatch.GetElapsedTime(start).TotalMilliseconds:N0} ms");
        await window.Page.Locator(".tabs a").Nth(777).ClickAsync();
        await Expect(window.Page.Locator(".send .url").First).ToContainTextAsync("name=n777");
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task Bodies_with_markup_or_in_one_long_line_harm_nothing()
    {
        await using var window = await site.OpenAsync();
        string line = new('x', 400_000);
        await site.Server.DeployAsync(
            "nasty",
            $$"""
            export default defineComponent({ async run({ steps, $ }) {
              $.send.http({ method: "POST", url: "{{site.Receiver.Url}}", data: "<script>alert(1)</script><img src=x onerror=alert(2)>" });
              $.send.http({ method: "POST", url: "{{site.Receiver.Url}}", data: "y".repeat(1_000_000) });
              console.log("<script>alert(3)</script>");
              return steps.trigger.event.body;
            } });
            """
        );
        string run = (await site.Server.RunAsync("/hooks/nasty", $$"""{"html":"<script>alert(4)</script>","line":"{{line}}"}""")).Id;
        await window.Page.GotoAsync($"/runs/{run}");
        await Expect(window.Page.Locator(".send").First).ToContainTextAsync("<script>alert(1)</script>");
        await window.Page.Locator(".tabs a").Nth(1).ClickAsync();
        await Expect(window.Page.Locator(".send").First).ToContainTextAsync("characters are shown");
        Assert.True(await window.Page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= innerWidth"));
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task A_send_that_failed_is_sent_again_from_its_place()
    {
        await using var window = await site.OpenAsync();
        string run = (await site.Server.RunAsync("/hooks/notify", """{"names":["Chewie"]}""")).Id;
        await window.Page.GotoAsync($"/runs/{run}");
        await window.Page.GetByRole(AriaRole.Button, new() { Name = "Resend" }).ClickAsync();
        await Expect(window.Page.Locator(".send footer").First).ToContainTextAsync("attempt 2 of 2");
        Assert.Equal(2, site.Receiver.Requests.Count(request => request.Contains("name=Chewie", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_picture_is_shown_as_one_and_a_form_by_its_fields()
    {
        const string pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
        await using var window = await site.OpenAsync();
        await site.Server.DeployAsync(
            "shown",
            $$"""
            export default defineComponent({ async run({ $ }) {
              $.send.http({ method: "POST", url: "{{site.Receiver.Url}}", headers: { "content-type": "image/png" }, data: Buffer.from("{{pixel}}", "base64") });
              $.send.http({ method: "POST", url: "{{site.Receiver.Url}}", headers: { "content-type": "application/x-www-form-urlencoded" }, data: "name=Obi+Wan&side=light" });
            } });
            """
        );
        string run = (await site.Server.RunAsync("/hooks/shown")).Id;
        await window.Page.GotoAsync($"/runs/{run}");
        Assert.True(
            await window
                .Page.Locator(".send .picture")
                .EvaluateAsync<bool>("picture => picture.decode().then(() => picture.naturalWidth === 1)")
        );
        await window.Page.GetByText("Bytes", new() { Exact = true }).ClickAsync();
        await Expect(window.Page.Locator(".send .hex")).ToContainTextAsync("89 50 4e 47");
        await window.Page.Locator(".tabs a").Nth(1).ClickAsync();
        await Expect(window.Page.Locator(".send .headers").Filter(new() { HasText = "Obi Wan" })).ToBeVisibleAsync();
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task Bodies_are_pretty_or_raw_long_lists_fold_and_a_step_that_was_closed_stays_closed()
    {
        await using var window = await site.OpenAsync();
        await site.Server.DeployAsync(
            "long",
            $$"""
            export default defineComponent({ async run({ $ }) {
              console.log(Array.from({ length: 30 }, (_, i) => `line ${i}`).join("\n"));
              console.log("a\nb");
              const orders = Array.from({ length: 60 }, (_, id) => ({ id, customer: { name: "Ada", city: "London, and further on" } }));
              for (const name of ["one", "two"]) $.send.http({ method: "POST", url: "{{site.Receiver.Url}}long/" + name, data: { name, orders } });
            } });
            """
        );
        string run = (await site.Server.RunAsync("/hooks/long")).Id;
        await window.Page.GotoAsync($"/runs/{run}");
        var request = window.Page.Locator(".send .two > section").First;
        await Expect(request.Locator(".raw")).ToBeHiddenAsync();
        await Expect(request.GetByText("60 items")).ToBeVisibleAsync();
        await Expect(request.GetByText("\"Ada\"").First).ToBeHiddenAsync();
        await request.GetByText("60 items").ClickAsync();
        await Expect(request.GetByText("\"Ada\"").First).ToBeVisibleAsync();
        await request.GetByLabel("Raw").CheckAsync();
        await Expect(request.Locator(".raw pre")).ToContainTextAsync("{\"name\":\"one\",\"orders\":[{\"id\":0,");
        await Expect(request.Locator(".pretty")).ToBeHiddenAsync();
        await Expect(window.Page.Locator(".logs")).ToContainTextAsync("30 lines");
        await Expect(window.Page.GetByText("line 29")).ToBeHiddenAsync();
        await window.Page.GetByText("30 lines").ClickAsync();
        await Expect(window.Page.GetByText("line 29")).ToBeVisibleAsync();

        // Closed by the keyboard; the page of another run and back, and a change of this run, leave it closed.
        var trigger = window.Page.Locator("details.step summary").First;
        await trigger.FocusAsync();
        await window.Page.Keyboard.PressAsync("Enter");
        await Expect(window.Page.Locator(".send")).ToBeHiddenAsync();
        await Row(window, site.Sample).Or(window.Page.Locator(".rows a").Nth(1)).First.ClickAsync();
        await Expect(window.Page).Not.ToHaveURLAsync(new Regex(run));
        await window.Page.GoBackAsync();
        await Expect(window.Page).ToHaveURLAsync(new Regex(run));
        await Expect(window.Page.Locator($"#step-{run}-0")).Not.ToHaveAttributeAsync("open", "");
        await Expect(window.Page.Locator(".send")).ToBeHiddenAsync();
        await trigger.ClickAsync();
        await Expect(window.Page.Locator(".send")).ToBeVisibleAsync();
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task Sends_of_all_steps_are_on_one_axis_and_the_failed_are_listed_and_walked_through()
    {
        await using var window = await site.OpenAsync();
        string step = $$"""
            export default defineComponent({ async run({ $ }) {
              for (let i = 0; i < 30; i++) $.send.http({ method: "POST", url: i % 10 === 3 ? "http://127.0.0.1:7/refused/" + i : "{{site.Receiver.Url}}axis/" + i });
            } });
            """;
        await site.Server.DeployAsync(
            "axis",
            new Dictionary<string, string>
            {
                ["workflow.yaml"] =
                    "name: axis\ntriggers: [{ type: http, key: axis }]\nsteps:\n  - { namespace: first, uses: "
                    + "./step.mjs }\n  - { namespace: second, uses: ./step.mjs }\n",
                ["step.mjs"] = step,
            }
        );
        string run = (await site.Server.RunAsync("/hooks/axis")).Id;
        await window.Page.GotoAsync($"/runs/{run}");
        var rows = window.Page.Locator(".sends li");
        await Expect(rows).ToHaveCountAsync(40);
        await Expect(rows.Locator(".line rect:not(.queued)")).ToHaveCountAsync(40);
        await Expect(window.Page.Locator(".facts")).ToContainTextAsync("60 sends within");
        await window.Page.GetByRole(AriaRole.Link, new() { Name = "Show all 60", Exact = true }).ClickAsync();
        await Expect(rows).ToHaveCountAsync(60);
        await window.Page.GetByRole(AriaRole.Link, new() { Name = "Failed (6)", Exact = true }).ClickAsync();
        await Expect(rows).ToHaveCountAsync(6);
        // Through the failed of both steps, and from the last to the first.
        foreach (int index in new[] { 3, 13, 23, 3, 13, 23, 3 })
        {
            await window.Page.Locator(".sends header").GetByRole(AriaRole.Link, new() { Name = "Next failed" }).ClickAsync();
            await Expect(window.Page.Locator(".sends li a[aria-current]")).ToContainTextAsync($"/refused/{index}");
            await Expect(window.Page.Locator($".send .url").Filter(new() { HasText = $"/refused/{index}" }).First).ToBeVisibleAsync();
        }
        await rows.Nth(1).GetByRole(AriaRole.Link).FocusAsync();
        await window.Page.Keyboard.PressAsync("Enter");
        await Expect(rows.Nth(1).GetByRole(AriaRole.Link)).ToHaveAttributeAsync("aria-current", "true");
        await Expect(rows).ToHaveCountAsync(6);
        Assert.Empty(window.Faults);
    }
}
