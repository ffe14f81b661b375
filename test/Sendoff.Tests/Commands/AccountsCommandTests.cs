using System.Text.RegularExpressions;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Commands;

/// <summary>Accounts as people enter them in a terminal.</summary>
public sealed class AccountsCommandTests(SharedServer shared) : IClassFixture<SharedServer>
{
    readonly TestServer server = shared.Server;

    Task<CommandResult> CallAsync(params string[] args) =>
        SendoffCommand.RunAsync(["accounts", .. args, "--server", server.Address.ToString(), "--token", TestServer.Token]);

    [Fact]
    public async Task An_account_is_connected_listed_shown_and_removed_without_a_word_of_its_values()
    {
        var connected = await CallAsync("connect", "slack", "--id", "apn_DphexA", "--field", "oauth_access_token=xoxb-hidden");
        var again = await CallAsync("connect", "apn_DphexA", "--name", "Team", "--plain-field", "region=eu");
        var list = await CallAsync("list");
        var shown = await CallAsync("show", "apn_DphexA");
        var json = await CallAsync("show", "apn_DphexA", "--json");
        var removed = await CallAsync("remove", "apn_DphexA");
        var missing = await CallAsync("show", "apn_DphexA");

        Assert.Equal((0, "apn_DphexA\n", "Slack is connected.\n"), (connected.ExitCode, connected.Output, connected.Error));
        Assert.Equal(0, again.ExitCode);
        Assert.Matches("apn_DphexA +slack +Team +keys +connected", list.Output);
        Assert.Contains("fields       oauth_access_token, region=eu", shown.Output);
        Assert.Contains("\"plainFields\":{\"region\":\"eu\"}", json.Output);
        Assert.Equal((0, "apn_DphexA removed\n"), (removed.ExitCode, removed.Output));
        Assert.Contains("There is no account 'apn_DphexA'", missing.Error);
        Assert.DoesNotContain("hidden", connected.Error + again.Output + list.Output + shown.Output + json.Output);
    }

    [Fact]
    public async Task OAuth_says_where_to_sign_in_and_client_credentials_say_what_the_provider_says()
    {
        await using var provider = await AuthorizationServer.StartAsync();
        var waiting = await CallAsync("connect", "spotify", "--client-id", "me", "--client-secret", "secret", "--no-wait");
        Assert.Equal(0, waiting.ExitCode);
        Assert.Matches(new Regex("Register this redirect URL at the provider:\\s+http://\\S+/accounts/callback"), waiting.Error);
        Assert.Matches(new Regex($"Sign in here:\\s+http://\\S+/accounts\\?edit={waiting.Output.Trim()}"), waiting.Error);

        var refused = await CallAsync(
            "connect",
            "erp",
            "--client-credentials",
            "--client-id",
            "nobody",
            "--client-secret",
            "secret",
            "--token-url",
            provider.TokenUrl
        );
        Assert.Equal(1, refused.ExitCode);
        Assert.Contains("is not connected: invalid_client: The client is not known", refused.Error);
        var twice = await CallAsync("connect", "slack", "--field", "a", "--field", "b");
        Assert.Equal(
            (2, true),
            (twice.ExitCode, twice.Error.Contains("only one value can be read from standard input", StringComparison.Ordinal))
        );
    }
}
