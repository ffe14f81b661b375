using static Microsoft.Playwright.Assertions;

namespace Sendoff.Tests.Browser;

[Collection("browser")]
public sealed class SignInTests(Site site)
{
    [Fact]
    public async Task A_link_signs_in_once_and_without_a_session_pages_lead_to_the_sign_in()
    {
        await using var window = await site.OpenStrangerAsync();
        foreach (string path in (string[])["/", $"/runs/{site.Sample}", "/deliveries", "/workflows"])
        {
            await window.Page.GotoAsync(path);
            await Expect(window.Page.GetByLabel("Admin token")).ToBeVisibleAsync();
        }
        string link = await site.LinkAsync();
        await window.Page.GotoAsync(link);
        await Expect(window.Page.GetByRole(Microsoft.Playwright.AriaRole.Navigation, new() { Name = "Main" })).ToBeVisibleAsync();

        await using var second = await site.OpenStrangerAsync();
        await second.Page.GotoAsync(link);
        await Expect(second.Page.GetByRole(Microsoft.Playwright.AriaRole.Alert)).ToContainTextAsync("was already used");
        Assert.Empty(window.Faults);
    }

    [Fact]
    public async Task A_wrong_token_is_refused_and_signing_out_ends_the_session()
    {
        await using var stranger = await site.OpenStrangerAsync();
        await stranger.Page.GotoAsync("/signin");
        await stranger.Page.GetByLabel("Admin token").FillAsync("not-the-token-of-this-server");
        await stranger.Page.Keyboard.PressAsync("Enter");
        await Expect(stranger.Page.GetByRole(Microsoft.Playwright.AriaRole.Alert)).ToContainTextAsync("not the token of this server");

        // With a session of its own, as it ends.
        await using var window = await site.OpenStrangerAsync();
        await window.Page.GotoAsync(await site.LinkAsync());
        var cookies = await window.Context.CookiesAsync();
        await window.Page.GetByRole(Microsoft.Playwright.AriaRole.Button, new() { Name = "Sign out" }).ClickAsync();
        await Expect(window.Page.GetByLabel("Admin token")).ToBeVisibleAsync();
        await window.Context.AddCookiesAsync(
            cookies.Select(static one => new Microsoft.Playwright.Cookie
            {
                Name = one.Name,
                Value = one.Value,
                Domain = one.Domain,
                Path = one.Path,
            })
        );
        await window.Page.GotoAsync("/settings");
        await Expect(window.Page.GetByLabel("Admin token")).ToBeVisibleAsync();
    }
}
