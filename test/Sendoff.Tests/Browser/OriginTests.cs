using System.Net.Http.Json;
using Sendoff.Server.Api;

namespace Sendoff.Tests.Browser;

/// <summary>A workflow's document, opened by an admin who is signed in.</summary>
[Collection("browser")]
public sealed class OriginTests(Site site)
{
    const string Attack = """
        export default defineComponent({ async run({ steps, $ }) {
          const script = `(async () => {
            const tries = [];
            for (const [method, path] of [["POST", "/api/v1/tokens"], ["GET", "/api/v1/secrets"], ["GET", "/settings"]])
              tries.push(await fetch(path, { method, credentials: "include", headers: { "content-type": "application/json" }, body: method === "POST" ? '{"name":"stolen","scope":"admin"}' : undefined })
                .then(async r => method + r.status + (await r.text()).slice(0, 40), e => "refused"));
            try { document.cookie = "sendoff_session=evil"; tries.push(document.cookie); } catch { tries.push("no cookies"); }
            document.title = "origin " + origin + ": " + tries.join(" | ");
          })()`;
          await $.respond({ status: 200, headers: { "content-type": steps.trigger.event.query.type }, body: "<html><head><title>waiting</title></head><body><script>" + script + "</" + "script></body></html>" });
        } });
        """;

    [Theory]
    [InlineData("text/html")]
    [InlineData("text/plain, text/html")]
    [InlineData("application/json,text/html")]
    [InlineData("image/svg+xml")]
    public async Task A_document_of_a_workflow_cannot_act_as_whoever_looks_at_it(string type)
    {
        await using var window = await site.OpenAsync();
        await site.Server.DeployAsync("attack", Attack, response: "custom");
        await window.Page.GotoAsync(
            $"/hooks/attack?type={Uri.EscapeDataString(type)}",
            new() { WaitUntil = Microsoft.Playwright.WaitUntilState.NetworkIdle }
        );
        if (type == "text/html")
        {
            await window.Page.WaitForFunctionAsync("document.title.startsWith('origin')");
            Assert.Equal("origin null: refused | refused | refused | no cookies", await window.Page.TitleAsync());
        }
        else
            Assert.DoesNotContain("origin http", await window.Page.TitleAsync());
        var tokens = await site.Server.Http.GetFromJsonAsync("/api/v1/tokens", ApiJson.Default.ListDocumentTokenDocument);
        Assert.DoesNotContain(tokens!.Items, token => token.Name == "stolen");
        // The admin is signed in still.
        await window.Page.GotoAsync("/settings");
        await Microsoft.Playwright.Assertions.Expect(window.Page.Locator("h1")).ToHaveTextAsync("Settings");
    }

    [Fact]
    public async Task A_session_is_ended_on_the_page_of_settings_and_its_live_pages_stop()
    {
        await using var here = await site.OpenStrangerAsync();
        await here.Page.GotoAsync(await site.LinkAsync());
        await using var there = await site.OpenStrangerAsync();
        await there.Page.GotoAsync(await site.LinkAsync());
        await Microsoft.Playwright.Assertions.Expect(there.Page.Locator("h1")).ToBeVisibleAsync();

        // Twice without a reload: one end, then the other.
        await here.Page.GotoAsync("/settings");
        var ends = here
            .Page.Locator("section[aria-labelledby=sessions] .entries li", new() { HasNotText = "This browser" })
            .Locator("button");
        int before = await ends.CountAsync();
        await ends.Last.ClickAsync();
        await Microsoft.Playwright.Assertions.Expect(ends).ToHaveCountAsync(before - 1);
        if (before > 1)
        {
            await there.Page.GotoAsync("/");
            await Microsoft.Playwright.Assertions.Expect(there.Page.GetByLabel("Admin token")).ToBeVisibleAsync();
        }
        await Microsoft.Playwright.Assertions.Expect(here.Page.GetByText("This browser")).ToBeVisibleAsync();
        Assert.Empty(here.Faults);
    }
}
