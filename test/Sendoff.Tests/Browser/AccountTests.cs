using Microsoft.Playwright;
using Sendoff.Tests.Support;
using static Microsoft.Playwright.Assertions;

namespace Sendoff.Tests.Browser;

/// <summary>Accounts are connected at a provider, as people do it.</summary>
[Collection("browser")]
public sealed class AccountTests(Site site)
{
    static ILocator Button(Window window, string name) => window.Page.GetByRole(AriaRole.Button, new() { Name = name, Exact = true });

    static ILocator Link(Window window, string name) => window.Page.GetByRole(AriaRole.Link, new() { Name = name, Exact = true });

    static ILocator Entry(Window window) => window.Page.Locator(".entries li").Filter(new() { HasText = "My ERP" });

    [Fact]
    public async Task Account_is_connected_at_its_provider_refreshed_used_by_a_step_revoked_and_connected_again()
    {
        await using var provider = await AuthorizationServer.StartAsync();
        await using var window = await site.OpenAsync();
        await window.Page.GotoAsync("/accounts");
        await window.Page.GetByLabel("App", new() { Exact = true }).FillAsync("erp");
        await Button(window, "Next").ClickAsync();
        await Link(window, "OAuth: sign in").ClickAsync();
        await Expect(window.Page.Locator(".redirect")).ToHaveTextAsync(new Uri(site.Server.Address, "/accounts/callback").AbsoluteUri);
        await window.Page.GetByLabel("Name", new() { Exact = true }).FillAsync("My ERP");
        await window.Page.GetByLabel("Client id").FillAsync(AuthorizationServer.ClientId);
        await window.Page.GetByLabel("Client secret").FillAsync(AuthorizationServer.ClientSecret);
        await window.Page.GetByLabel("Authorization URL", new() { Exact = true }).FillAsync(provider.AuthorizeUrl);
        await window.Page.GetByLabel("Token URL").FillAsync(provider.TokenUrl);
        await Button(window, "Add account").ClickAsync();
        await Expect(Entry(window)).ToContainTextAsync("not connected");

        // Who denies is back, and told.
        await Link(window, "Connect My ERP").ClickAsync();
        await Button(window, "Deny").ClickAsync();
        await Expect(window.Page.GetByRole(AriaRole.Alert)).ToContainTextAsync("access_denied: The person said no");

        await Link(window, "Connect My ERP").ClickAsync();
        await Button(window, "Allow").ClickAsync();
        await Expect(Entry(window)).ToContainTextAsync("token expires");
        Assert.DoesNotContain(AuthorizationServer.ClientSecret, await window.Page.ContentAsync());

        string hook = await site.Server.DeployAsync(
            "erp-account",
            "export default { props: { erp: { type: 'app', app: 'erp' } }, run() { return this.erp.$auth.oauth_access_token.length; } }"
        );
        Assert.Equal("succeeded", (await site.Server.RunAsync(hook)).Status);

        await Button(window, "Refresh My ERP").ClickAsync();
        await Expect(Entry(window)).ToContainTextAsync("token expires");
        Assert.Equal(1, provider.Refreshes);

        provider.Revoke();
        await Button(window, "Refresh My ERP").ClickAsync();
        await Expect(Entry(window)).ToContainTextAsync("invalid_grant: Token has been expired or revoked.");
        var failed = await site.Server.RunAsync(hook);
        Assert.Contains("must be connected again: invalid_grant", failed.Error!.Message);
        await Link(window, "Connect My ERP").ClickAsync();
        await Button(window, "Allow").ClickAsync();
        await Expect(Entry(window)).ToContainTextAsync("token expires");

        // A sign-in that one browser begins does not end in another one, though that is signed in too.
        await Link(window, "Connect My ERP").ClickAsync();
        string asked = window.Page.Url;
        await using var other = await site.OpenStrangerAsync();
        await other.Page.GotoAsync(await site.LinkAsync());
        await other.Page.GotoAsync(asked);
        int before = provider.Requests;
        await Button(other, "Allow").ClickAsync();
        await Expect(other.Page.GetByRole(AriaRole.Alert)).ToContainTextAsync("This sign-in was not started in this browser");
        Assert.Equal(before, provider.Requests);

        await window.Page.GotoAsync("/accounts");
        await window.ConfirmAsync("Delete My ERP");
        await Expect(Entry(window)).ToHaveCountAsync(0);
        // The provider is elsewhere; that a person was refused is a page with the status 422.
        Assert.DoesNotContain(
            window.Faults,
            fault =>
                !fault.StartsWith($"request: {provider.Address}", StringComparison.Ordinal)
                && !fault.Contains("422", StringComparison.Ordinal)
        );
        Assert.DoesNotContain(
            site.Server.Logs,
            line => provider.Issued.Append(AuthorizationServer.ClientSecret).Any(secret => line.Contains(secret, StringComparison.Ordinal))
        );
    }
}
