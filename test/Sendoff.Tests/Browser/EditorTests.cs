using System.Net.Http.Json;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using Sendoff.Engine.Runs;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;
using static Microsoft.Playwright.Assertions;

namespace Sendoff.Tests.Browser;

[Collection("browser")]
public sealed class EditorTests(Site site)
{
    const string Component = """
        export default defineComponent({
          props: {
            url: { type: "string", label: "Address" },
            level: { type: "integer", default: 3, optional: true },
            kind: { type: "string", options: ["plain", "loud"], optional: true },
          },
          async run({ steps, $ }) {
            $.send.http({ method: "POST", url: this.url, data: { level: this.level, name: steps.trigger.event.body.name } });
          },
        });
        """;

    async Task<Window> EditAsync(string name, params (string Step, string Code)[] steps)
    {
        await DeployAsync(name, steps);
        var window = await site.OpenAsync();
        await window.Page.GotoAsync($"/workflows/{name}");
        await ReadyAsync(window);
        return window;
    }

    async Task DeployAsync(string name, params (string Step, string Code)[] steps)
    {
        var files = steps.ToDictionary(step => step.Step + ".mjs", step => step.Code);
        files["workflow.yaml"] =
            $"name: {name}\ntriggers:\n  - type: http\n    key: {name}\nsteps:\n"
            + string.Concat(steps.Select(step => $"  - namespace: {step.Step}\n    uses: ./{step.Step}.mjs\n"));
        await site.Server.DeployAsync(name, files);
    }

    /// <summary>The editor is drawn, and the first check has ended.</summary>
    internal static async Task ReadyAsync(Window window)
    {
        await Expect(window.Page.Locator(".code[data-ready]")).ToBeVisibleAsync();
        await Expect(Code(window).Locator(".monaco .view-lines")).ToBeVisibleAsync();
        await Expect(Button(window, "Check")).ToBeEnabledAsync();
    }

    [Theory]
    [InlineData("**/frame.js*"), InlineData("**/code"), InlineData("**/monaco/loader.js")]
    public async Task The_editor_can_be_left_while_it_loads(string late)
    {
        await DeployAsync("left", ("first", "return 1"));
        int logged = site.Server.Logs.Count;
        await using var window = await site.OpenAsync();
        TaskCompletionSource isAsked = new(),
            mayGo = new();
        await window.Page.RouteAsync(
            late,
            async route =>
            {
                isAsked.TrySetResult();
                await mayGo.Task;
                await route.ContinueAsync();
            }
        );
        await window.Page.GotoAsync("/workflows/left", new() { WaitUntil = WaitUntilState.DOMContentLoaded });
        await isAsked.Task.WithinLimitAsync();
        await window.Page.GetByRole(AriaRole.Link, new() { Name = "Alerts", Exact = true }).ClickAsync();
        await Expect(window.Page).ToHaveTitleAsync(new Regex("Alerts"));
        mayGo.SetResult();
        // The connection that the editor was left on serves it again.
        await window.Page.GoBackAsync();
        await ReadyAsync(window);
        Assert.Empty(window.Faults);
        Assert.DoesNotContain(site.Server.Logs.Skip(logged), static line => line.Contains("Unhandled exception", StringComparison.Ordinal));
    }

    async Task<IReadOnlyDictionary<string, string>> DraftAsync(string name) =>
        (await site.Server.Http.GetFromJsonAsync($"/api/v1/workflows/{name}/draft", ApiJson.Default.DraftDocument))!.Files;

    /// <summary>The frame of the code editor.</summary>
    internal static IFrameLocator Code(Window window) => window.Page.FrameLocator(".code iframe");

    static ILocator Button(Window window, string name) => window.Page.GetByRole(AriaRole.Button, new() { Name = name, Exact = true });

    static ILocator Said(Window window) => window.Page.Locator(".ed-said").First;

    static ILocator Steps(Window window) => window.Page.Locator(".ed-steps li > a");

    static async Task TypeAsync(Window window, string text)
    {
        await Code(window).Locator(".monaco .view-lines").ClickAsync();
        await window.Page.Keyboard.PressAsync("Control+A");
        await window.Page.Keyboard.InsertTextAsync(text);
    }

    /// <summary>The code has line numbers, colours and its full height: its style sheets are there.</summary>
    static async Task LooksRightAsync(Window window, int lines)
    {
        await Expect(Code(window).Locator(".margin .line-numbers")).ToHaveCountAsync(lines);
        var looks = await Code(window)
            .Locator("body")
            .EvaluateAsync<JsonElement>(
                """
                async body => {
                  const colors = () => new Set([...body.querySelectorAll('.view-line span span')].map(token => getComputedStyle(token).color)).size;
                  // Code is coloured once its language is loaded.
                  for (const start = performance.now(); colors() < 3 && performance.now() - start < 60_000;) await new Promise(requestAnimationFrame);
                  return ({ height: body.querySelector('.monaco-editor').getBoundingClientRect().height, lineHeight: body.querySelector('.view-line').getBoundingClientRect().height,
                  numberLeft: body.querySelector('.line-numbers').getBoundingClientRect().left, codeLeft: body.querySelector('.view-line span').getBoundingClientRect().left,
                  colors: colors() });
                }
                """
            );
        Assert.True(
            looks.GetProperty("height").GetDouble() > 400 && looks.GetProperty("lineHeight").GetDouble() is > 10 and < 40,
            looks.GetRawText()
        );
        Assert.True(looks.GetProperty("codeLeft").GetDouble() > looks.GetProperty("numberLeft").GetDouble() + 10, looks.GetRawText());
        Assert.True(looks.GetProperty("colors").GetInt32() >= 3, looks.GetRawText());
    }

    [Fact]
    public async Task The_code_looks_right_after_every_click()
    {
        const string code =
            "// one\nexport default defineComponent({\n  async run({steps}) {\n    return steps.trigger.event.x ?? \"none\";\n  },\n});";
        await using var window = await EditAsync("clicked", ("one", code), ("two", "// two\n" + code));
        await LooksRightAsync(window, 6);
        // The code has not been touched: TypeScript is loaded for the button.
        await Button(window, "Format").ClickAsync();
        await Expect(Code(window).Locator(".view-lines")).ToContainTextAsync("run({ steps })");
        for (int round = 0; round < 2; round++)
        {
            await Steps(window).Nth(1).ClickAsync();
            await LooksRightAsync(window, 7);
            await window.Page.Locator(".ed-files a").GetByText("workflow.yaml").ClickAsync();
            await LooksRightAsync(window, 10);
            await Steps(window).Nth(0).ClickAsync();
            await LooksRightAsync(window, 6);
            await Button(window, "Test").ClickAsync();
            await Expect(Said(window)).ToContainTextAsync("Test finished");
            await Expect(window.Page.Locator(".ed-run h1")).ToBeVisibleAsync();
            await LooksRightAsync(window, 6);
            await Button(window, "Format").ClickAsync();
            await window.Page.GoBackAsync();
            await LooksRightAsync(window, 6);
        }
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task Syntax_of_today_is_not_marked_and_a_mistake_is_found_by_its_button()
    {
        await using var window = await EditAsync("today", ("one", "export default defineComponent({ async run() {} });"));
        await window.Page.GetByLabel("New file’s path").FillAsync("lib.ts");
        await window.Page.Keyboard.PressAsync("Enter");
        await Expect(window.Page.Locator(".ed-file > code")).ToHaveTextAsync("lib.ts");
        await TypeAsync(
            window,
            "export const pick = <const T extends readonly string[]>(all: T) => all satisfies readonly string[];\nexport type { T } from "
                + "\"./one.mjs\";\nexport async function close(file: AsyncDisposable) { await using it = file; }\nlet wrong = ;"
        );
        await Expect(Code(window).Locator(".squiggly-error")).ToHaveCountAsync(1);
        await Button(window, "Next error").ClickAsync();
        await Expect(Code(window).Locator(".marker-widget")).ToContainTextAsync("Expression expected");
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task What_is_typed_while_the_server_is_away_is_saved_when_it_is_back()
    {
        Site.NeedsChromium();
        using var folder = new TempFolder();
        await using var window = await site.OpenStrangerAsync();
        int port;
        await using (var before = await TestServer.StartAsync(folder: folder.Path))
        {
            port = before.Address.Port;
            await before.DeployAsync("kept", "export default defineComponent({ async run() {} });");
            await Site.OpenAsync(window, before, "/workflows/kept");
            await ReadyAsync(window);
        }
        await Expect(window.Page.Locator("#components-reconnect-modal")).ToBeVisibleAsync();
        await TypeAsync(window, "// typed while the server was away");
        await using var after = await TestServer.StartAsync(folder: folder.Path, port: port);
        await Expect(Said(window)).ToHaveTextAsync("Draft saved.");
        await Expect(Code(window).Locator(".view-lines")).ToContainTextAsync("typed");
        var draft = await after.Http.GetFromJsonAsync("/api/v1/workflows/kept/draft", ApiJson.Default.DraftDocument);
        Assert.Equal("// typed while the server was away", draft!.Files["step.mjs"]);
    }

    [Fact]
    public async Task A_workflow_is_opened_from_the_list_changed_tested_and_deployed()
    {
        await using var window = await EditAsync("edited", ("one", "export default defineComponent({ async run() { return 1; } });"));
        await window.Page.GotoAsync("/workflows");
        await window.Page.GetByRole(AriaRole.Link, new() { Name = "edited", Exact = true }).ClickAsync();
        await ReadyAsync(window);
        await TypeAsync(window, "export default defineComponent({ async run({ steps }) { return steps.trigger.event.twice * 2; } });");
        await Expect(Said(window)).ToHaveTextAsync("Draft saved.");
        await window.Page.GetByLabel("Event, as steps see it").FillAsync("""{"twice":21}""");
        await Button(window, "Test").ClickAsync();
        await Expect(window.Page.Locator(".ed-run .kv").Filter(new() { HasText = "exports" })).ToContainTextAsync("42");
        await Expect(window.Page).ToHaveURLAsync(new Regex("run=run_"));
        await window.Page.ReloadAsync();
        await Expect(window.Page.Locator(".ed-run .kv").Filter(new() { HasText = "exports" })).ToContainTextAsync("42");
        await ReadyAsync(window);
        await Button(window, "Deploy").ClickAsync();
        await Expect(Said(window)).ToHaveTextAsync("Deployed as version 2.");
        Assert.Contains("twice * 2", (await DraftAsync("edited"))["one.mjs"]);
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task Mistakes_are_marked_at_their_line_and_nothing_is_deployed()
    {
        await using var window = await EditAsync("mistakes", ("one", "export default defineComponent({ async run() {} });"));
        await TypeAsync(window, "import x from \"./missing.mjs\";\nexport default defineComponent({ async run() { return x; } });");
        await window.Page.Keyboard.PressAsync("Control+S");
        await Expect(window.Page.Locator(".ed-problems li")).ToContainTextAsync("one.mjs:1");
        await Expect(Code(window).Locator(".monaco .squiggly-error")).ToHaveCountAsync(1);
        await Button(window, "Deploy").ClickAsync();
        await Expect(Said(window)).ToContainTextAsync("1 error, see below");
        await Expect(window.Page.Locator(".head .pill").Nth(1)).ToHaveTextAsync("Draft after version 1");
        await Button(window, "Discard draft").ClickAsync();
        await Expect(window.Page.Locator(".head .pill").Nth(1)).ToHaveTextAsync("Version 1");
        await Expect(Code(window).Locator(".monaco .view-lines")).Not.ToContainTextAsync("missing");
        await Button(window, "Undo").ClickAsync();
        await Expect(Code(window).Locator(".monaco .view-lines")).ToContainTextAsync("missing");
        await Expect(window.Page.Locator(".head .pill").Nth(1)).ToHaveTextAsync("Draft after version 1");
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task A_syntax_error_is_marked_while_one_types()
    {
        await using var window = await EditAsync("typing", ("one", "export default defineComponent({ async run() {} });"));
        await TypeAsync(window, "export default defineComponent({ async run() { const = 1; } });");
        await Expect(Code(window).Locator(".monaco .squiggly-error").First).ToBeVisibleAsync();
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task What_a_step_can_call_is_completed()
    {
        await using var window = await EditAsync("completed", ("one", "export default defineComponent({ async run() {} });"));
        await TypeAsync(window, "export default defineComponent({ async run({ steps, $ }) { $");
        await window.Page.Keyboard.TypeAsync(".send.");
        await Expect(Code(window).Locator(".suggest-widget .monaco-list-row").Filter(new() { HasText = "http" })).ToBeVisibleAsync();
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task Steps_are_ordered_by_mouse_and_by_keyboard()
    {
        const string code = "export default defineComponent({ async run() {} });";
        await using var window = await EditAsync("ordered", ("one", code), ("two", code), ("three", code));
        await window.Page.Locator(".ed-steps li").Nth(2).DragToAsync(window.Page.Locator(".ed-steps li").Nth(0));
        await Expect(Steps(window)).ToHaveTextAsync(["1 three", "2 one", "3 two"]);
        await Button(window, "Move two up").FocusAsync();
        await window.Page.Keyboard.PressAsync("Enter");
        await Expect(Steps(window)).ToHaveTextAsync(["1 three", "2 two", "3 one"]);
        await Button(window, "Deploy").ClickAsync();
        await Expect(Said(window)).ToHaveTextAsync("Deployed as version 2.");
        Assert.Matches("three[^~]*two[^~]*one", (await DraftAsync("ordered"))["workflow.yaml"]);
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task Props_are_filled_in_and_a_real_test_sends()
    {
        await using var window = await EditAsync("filled", ("tell", Component));
        await window.Page.GetByLabel("Address").FillAsync(site.Receiver.Url + "filled");
        await window.Page.GetByLabel("level").FillAsync("loud");
        await window.Page.Keyboard.PressAsync("Tab");
        await Expect(Said(window)).ToContainTextAsync("level is loud. Expected a whole number");
        await window.Page.GetByLabel("level").FillAsync("7");
        await window.Page.GetByLabel("kind").SelectOptionAsync("loud");
        await window.Page.GetByLabel("Event, as steps see it").FillAsync("""{"body":{"name":"Padmé"}}""");
        await Button(window, "Test").ClickAsync();
        await Expect(window.Page.Locator(".ed-run .send .pill")).ToHaveTextAsync("Captured");
        await Expect(window.Page.Locator(".ed-run .kv").Filter(new() { HasText = "inputs" })).ToContainTextAsync("\"level\": 7");
        Assert.Contains("kind: loud", (await DraftAsync("filled"))["workflow.yaml"]);
        Assert.DoesNotContain(site.Receiver.Requests, request => request.Contains("/filled", StringComparison.Ordinal));
        await window.Page.GetByLabel("Live: sends go out").CheckAsync();
        await Button(window, "Test").ClickAsync();
        await Expect(window.Page.Locator(".ed-run .send .pill")).ToHaveTextAsync("Succeeded");
        Assert.Single(site.Receiver.Requests, request => request.Contains("/filled", StringComparison.Ordinal));
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task Steps_and_files_are_added_renamed_and_deleted()
    {
        await using var window = await EditAsync("grown", ("one", "export default defineComponent({ async run() {} });"));
        await window.Page.GetByLabel("New step’s name").FillAsync("second");
        await window.Page.Keyboard.PressAsync("Enter");
        await Expect(Steps(window)).ToHaveTextAsync(["1 one", "2 second"]);
        await Expect(window.Page).ToHaveURLAsync(new Regex("step=second"));
        await Expect(window.Page.Locator(".ed-file > code")).ToHaveTextAsync("second/entry.mjs");
        await window.Page.GetByText("Rename or delete").ClickAsync();
        await window.Page.GetByLabel("Path", new() { Exact = true }).FillAsync("two.mjs");
        await Button(window, "Rename").ClickAsync();
        await Expect(window.Page.Locator(".ed-files a")).ToHaveTextAsync(["one.mjs", "two.mjs", "workflow.yaml"]);
        await Button(window, "Delete").ClickAsync();
        await Expect(Said(window)).ToContainTextAsync("The step second uses two.mjs");
        await window.Page.GetByLabel("New file’s path").FillAsync("../secret.mjs");
        await window.Page.Keyboard.PressAsync("Enter");
        await Expect(Said(window)).ToContainTextAsync("is not inside the folder");
        await Button(window, "Remove second").ClickAsync();
        await Expect(Steps(window)).ToHaveTextAsync(["1 one"]);
        await Expect(window.Page.Locator(".ed-files a")).ToHaveTextAsync(["one.mjs", "workflow.yaml"]);
        await Button(window, "Undo").ClickAsync();
        await Expect(Steps(window)).ToHaveTextAsync(["1 one", "2 second"]);
        await Expect(window.Page.Locator(".ed-files a")).ToHaveTextAsync(["one.mjs", "two.mjs", "workflow.yaml"]);
        await Expect(Button(window, "Undo")).ToHaveCountAsync(0);
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task Triggers_and_settings_are_filled_in_and_a_step_is_switched_off()
    {
        const string code = "export default defineComponent({ async run() {} });";
        await using var window = await EditAsync("formed", ("one", code), ("two", code));
        for (int round = 1; round <= 2; round++)
        {
            await window.Page.GetByRole(AriaRole.Link, new() { Name = "Triggers and settings" }).ClickAsync();
            await Button(window, "Add schedule").ClickAsync();
            var trigger = window.Page.GetByRole(AriaRole.Group, new() { Name = $"Trigger {round + 1}", Exact = true });
            await trigger.GetByLabel("Cron").FillAsync($"{round} 25 * * *");
            await window.Page.Keyboard.PressAsync("Tab");
            await Expect(Said(window)).ToContainTextAsync($"'{round} 25 * * *' is not a valid cron expression");
            await trigger.GetByLabel("Cron").FillAsync($"{round} 5 * * *");
            await trigger.GetByLabel("Time zone").FillAsync("Europe/Berlin");
            await window.Page.Keyboard.PressAsync("Tab");
            await Expect(Said(window)).ToHaveTextAsync("Draft saved.Undo");
            await Expect(trigger.Locator(".ed-next")).ToContainTextAsync($"05:0{round}, ");
            await window.Page.GetByLabel("Run timeout").FillAsync($"{round}0s");
            await window.Page.GetByLabel("Sends of a failed run").SelectOptionAsync("success");
            await window.Page.GetByLabel("Response").First.SelectOptionAsync("fixed");
            await window.Page.GetByLabel("Status").FillAsync($"20{round}");
            await window.Page.Keyboard.PressAsync("Tab");
            await Expect(Code(window).Locator(".view-lines")).ToContainTextAsync($"20{round}");
            await Steps(window).Nth(1).ClickAsync();
            await window.Page.GetByLabel("Step runs").SetCheckedAsync(round == 2);
            await Expect(Steps(window).Nth(1)).ToHaveTextAsync(round == 1 ? "2 two (disabled)" : "2 two");
        }
        string yaml = (await DraftAsync("formed"))["workflow.yaml"];
        Assert.Contains("    cron: \"2 5 * * *\"\n    timezone: Europe/Berlin\n", yaml);
        Assert.Contains("settings:\n  deliver: success\n  timeout: \"20s\"\n", yaml);
        await Button(window, "Deploy").ClickAsync();
        await Expect(Said(window)).ToHaveTextAsync("Deployed as version 2.");
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task A_workflow_that_never_ran_has_a_sample_event_and_one_step_is_tested_with_the_exports_of_a_run()
    {
        await using var window = await EditAsync(
            "alone",
            (
                "read",
                "export default defineComponent({ async run({ steps, $ }) { $.export(\"named\", steps.trigger.event.body.name); "
                    + "return { count: 20 }; } });"
            ),
            (
                "twice",
                "export default defineComponent({ async run({ steps }) { return `${steps.read.named} ${steps.read.$return_value.count * "
                    + "2}`; } });"
            ),
            ("tell", "export default defineComponent({ async run() { throw new Error(\"not asked\"); } });")
        );
        await Expect(window.Page.GetByLabel("Event, as steps see it")).ToHaveValueAsync(new Regex("ada@example.com"));
        await Expect(window.Page.GetByLabel("Only")).ToHaveCountAsync(1);
        await Expect(window.Page.GetByLabel("Only")).ToBeDisabledAsync();
        await Button(window, "Test").ClickAsync();
        await Expect(window.Page.Locator(".ed-run")).ToContainTextAsync("not asked");

        await Steps(window).Nth(1).ClickAsync();
        await TypeAsync(
            window,
            "export default defineComponent({ async run({ steps }) { return `${steps.read.named} has ${steps.read.$return_value.count * 2 "
                + "+ 2}`; } });"
        );
        await Expect(Said(window)).ToHaveTextAsync("Draft saved.");
        for (int round = 0; round < 2; round++)
        {
            await window.Page.GetByLabel("Test event").SelectOptionAsync(new SelectOptionValue { Index = 2 + round });
            await window.Page.GetByLabel("Only twice").CheckAsync();
            await Button(window, "Test").ClickAsync();
            await Expect(window.Page.Locator(".ed-run .kv").Filter(new() { HasText = "Ada has 42" })).ToHaveCountAsync(1);
            await Expect(window.Page.Locator(".ed-run")).Not.ToContainTextAsync("not asked");
        }
        Assert.Contains("has", (await DraftAsync("alone"))["twice.mjs"]);
        Assert.DoesNotContain("past-exports", string.Join(' ', (await DraftAsync("alone")).Keys));
        await Button(window, "Deploy").ClickAsync();
        await Expect(Said(window)).ToHaveTextAsync("Deployed as version 2.");
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task Variables_are_completed_and_lines_are_found_in_all_files()
    {
        await site.Server.Get<SecretCatalog>().SetAsync("EDITOR_COLOUR", "blue", false, default);
        await using var window = await EditAsync(
            "sought",
            ("one", "export default defineComponent({ async run() {} });"),
            ("two", "// here\nconst Here = 1;\nexport default defineComponent({ async run() {} });")
        );
        await TypeAsync(window, "export default defineComponent({ async run() { return process");
        await window.Page.Keyboard.TypeAsync(".env.EDIT");
        await Expect(Code(window).Locator(".suggest-widget .monaco-list-row").Filter(new() { HasText = "EDITOR_COLOUR" }))
            .ToBeVisibleAsync();
        await window.Page.GetByLabel("Find in files").FillAsync("here");
        await Expect(window.Page.Locator(".ed-find li")).ToHaveTextAsync(["two.mjs:1 // here", "two.mjs:2 const Here = 1;"]);
        await window.Page.Locator(".ed-find a").Nth(1).ClickAsync();
        await Expect(window.Page.Locator(".ed-file > code")).ToHaveTextAsync("two.mjs");
        await Expect(Code(window).Locator(".line-numbers.active-line-number")).ToHaveTextAsync("2");
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task A_draft_that_others_saved_is_not_written_over_unasked()
    {
        await using var window = await EditAsync("shared", ("one", "export default defineComponent({ async run() {} });"));
        var theirs = await DraftAsync("shared");
        using var saved = await site.Server.Http.PutAsJsonAsync(
            "/api/v1/workflows/shared/draft",
            new DeployDocument(new Dictionary<string, string>(theirs) { ["one.mjs"] = "// theirs" }),
            ApiJson.Default.DeployDocument
        );
        await TypeAsync(window, "// mine");
        await Expect(Said(window)).ToContainTextAsync("changed elsewhere");
        Assert.Equal("// theirs", (await DraftAsync("shared"))["one.mjs"]);
        await Button(window, "Overwrite with mine").ClickAsync();
        await Expect(Button(window, "Overwrite with mine")).ToHaveCountAsync(0);
        Assert.Equal("// mine", (await DraftAsync("shared"))["one.mjs"]);
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task A_past_event_on_the_draft_is_compared_with_what_was_sent_and_a_version_is_rolled_back()
    {
        string Code(string total) =>
            $$"""export default defineComponent({ async run({ $ }) { $.send.http({ method: "POST", url: "{{site.Receiver.Url}}", data: { total: {{total}} } }); } });""";
        await using var window = await EditAsync("compared", ("one", Code("1")));
        string run = (await site.Server.RunAsync("/hooks/compared")).Id;
        await TypeAsync(window, Code("2"));
        await Expect(Said(window)).ToHaveTextAsync("Draft saved.");
        await window.Page.GotoAsync($"/runs/{run}");
        await Button(window, "Compare with the draft").ClickAsync();
        await Expect(window.Page.Locator(".cmp .less pre")).ToHaveTextAsync("  \"total\": 1");
        await Expect(window.Page.Locator(".cmp .more pre")).ToHaveTextAsync("  \"total\": 2");

        await window.Page.GotoAsync("/workflows/compared");
        await ReadyAsync(window);
        await Button(window, "Deploy").ClickAsync();
        await Expect(Said(window)).ToHaveTextAsync("Deployed as version 2.");
        await window.Page.GetByRole(AriaRole.Link, new() { Name = "Versions", Exact = true }).ClickAsync();
        await Expect(window.Page.Locator(".ver-title")).ToHaveTextAsync("Version 1 → Version 2");
        await window.ConfirmAsync("Roll back to version 1");
        await Expect(window.Page.Locator(".list tbody tr").First).ToContainTextAsync("Current");
        Assert.Contains("total: 1", (await DraftAsync("compared"))["one.mjs"]);
        Assert.Empty(window.Faults);
    }
}
