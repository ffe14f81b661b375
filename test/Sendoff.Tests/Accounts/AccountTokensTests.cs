using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using Sendoff.Engine;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workflows;
using Sendoff.Tests.Runs;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Accounts;

/// <summary>Accounts with tokens that end, as steps get them: against an authorization server that gives each refresh token once.</summary>
public sealed class AccountTokensTests : IAsyncLifetime
{
    readonly TempFolder folder = new();
    readonly FakeTimeProvider clock = new(DateTimeOffset.Parse("2026-11-28T12:00:00Z"));
    AuthorizationServer provider = null!;
    RunRig rig = null!;

    public async ValueTask InitializeAsync()
    {
        provider = await AuthorizationServer.StartAsync();
        rig = await StartAsync();
    }

    Task<RunRig> StartAsync() => RunRig.StartAsync(folder.Path, time: clock);

    public async ValueTask DisposeAsync()
    {
        await rig.DisposeAsync();
        await provider.DisposeAsync();
        folder.Dispose();
    }

    OAuthClient Client(ClientAuthentication authentication = ClientAuthentication.Basic) =>
        new(
            AuthorizationServer.ClientId,
            AuthorizationServer.ClientSecret,
            provider.AuthorizeUrl,
            provider.TokenUrl,
            "read write",
            authentication
        );

    /// <summary>An account that is connected, whose token ends in so many minutes.</summary>
    async Task<Account> ConnectAsync(double minutes, string id = "apn_sheet1", string app = "google_sheets")
    {
        AccountId.TryParse(id, out var account);
        var now = clock.GetUtcNow();
        var tokens = new OAuthTokens(
            $"at-first-{id}",
            provider.NewRefreshToken(),
            now.AddMinutes(minutes - 60),
            now.AddMinutes(minutes),
            new Dictionary<string, string>()
        );
        var made = new Account(
            account,
            app,
            "Sheets",
            AccountKind.AuthorizationCode,
            new Dictionary<string, string>(),
            new Dictionary<string, string>(),
            Client(),
            tokens,
            null,
            now
        );
        Assert.Empty(rig.Accounts.FindFaults(made));
        await rig.Accounts.SaveAsync(made, default);
        return made;
    }

    /// <summary>JavaScript that says which token a step has without telling it.</summary>
    static string Hash(string value) => $"require('crypto').createHash('sha256').update({value}).digest('hex')";

    /// <summary>A workflow whose step says which token it has, without telling it.</summary>
    async Task<WorkflowVersion> DeployAsync(string code)
    {
        var deployed = await rig.Catalog.DeployAsync(
            "sheets",
            new Dictionary<string, string>
            {
                ["workflow.yaml"] = """
                triggers: [ { type: http, key: sheets } ]
                steps:
                  - { namespace: before, uses: ./before.js }
                  - { namespace: step, uses: ./step.mjs, props: { sheets: { authProvisionId: apn_sheet1 } } }
                """,
                ["before.js"] = "return 'no account here'",
                ["step.mjs"] = code,
            },
            default
        );
        Assert.Empty(deployed.Problems);
        return rig.Catalog.FindTrigger("sheets")!.Version;
    }

    Task<WorkflowVersion> DeployAsync() => DeployAsync(Component("return " + Hash("this.sheets.$auth.oauth_access_token")));

    static string Component(string body) =>
        $$"""
            import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);
            export default { props: { sheets: { type: 'app', app: 'google_sheets' } }, async run({ steps, $ }) { {{body}} } }
            """;

    async Task<StoredRun> RunAsync(WorkflowVersion version) => await rig.EndOfAsync((await rig.AcceptAsync(version)).Run.Id);

    static string HashOf(string token) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(token)));

    static JsonElement Returned(StoredRun run, int step = 1)
    {
        Assert.True(run.Run.Status == RunStatus.Succeeded, run.Run.Message);
        return JsonElement.Parse(run.Run.Steps[step].Exports.Span).GetProperty("$return_value");
    }

    [Fact]
    public async Task Token_that_ends_within_five_minutes_is_refreshed_before_the_step_and_one_that_does_not_is_left()
    {
        await ConnectAsync(minutes: 6);
        var version = await DeployAsync();
        Assert.Equal(HashOf("at-first-apn_sheet1"), Returned(await RunAsync(version)).GetString());
        Assert.Equal(0, provider.Requests);

        clock.Advance(TimeSpan.FromMinutes(1));
        string next = Returned(await RunAsync(version)).GetString()!;

        Assert.Equal((HashOf(provider.LastAccessToken), 1), (next, provider.Requests));
        Assert.Equal(clock.GetUtcNow().AddHours(1), rig.Accounts.All[0].Tokens!.ExpiresAt);
        Assert.Equal(next, Returned(await RunAsync(version)).GetString());
        Assert.Equal(1, provider.Requests);
    }

    [Fact]
    public async Task Runs_at_once_refresh_once()
    {
        await ConnectAsync(minutes: -10);
        var version = await DeployAsync();
        var gate = new TaskCompletionSource();
        provider.Gate = gate.Task;
        var runs = new List<RunId>();
        for (int i = 0; i < 5; i++)
            runs.Add((await rig.AcceptAsync(version)).Run.Id);
        await provider.UntilAskedAsync();
        // Those that ask while the provider has not answered wait for the same answer.
        var asked = Enumerable.Range(0, 50).Select(_ => rig.Tokens.FindAsync(["google_sheets"])).ToList();
        gate.SetResult();

        var given = await Task.WhenAll(asked).WithinLimitAsync();
        foreach (var run in runs)
            Assert.Equal(HashOf(provider.LastAccessToken), Returned(await rig.EndOfAsync(run)).GetString());
        Assert.All(given, one => Assert.Equal(provider.LastAccessToken, one!.Fields!["oauth_access_token"]));
        Assert.Equal((1, 1), (provider.Requests, provider.Refreshes));
    }

    [Fact]
    public async Task Refresh_token_that_replaces_another_is_durable_before_a_step_gets_its_access_token()
    {
        await ConnectAsync(minutes: 0);
        var gate = rig.Failing.Hold(nameof(IAccountStore.SaveAccountAsync));
        var given = rig.Tokens.FindAsync(["apn_sheet1"]);
        await provider.UntilAskedAsync();
        await Wait.UntilAsync(() => rig.Failing.CallsOf(nameof(IAccountStore.SaveAccountAsync)) == 2);
        Assert.False(given.IsCompleted);
        gate.SetResult();
        Assert.NotNull((await given.WithinLimitAsync())!.Fields);

        // After a crash the next server goes on with the new one; the old one is worth nothing any more.
        await rig.DisposeAsync();
        rig = await StartAsync();
        clock.Advance(TimeSpan.FromHours(2));
        string next = (await rig.Tokens.FindAsync(["apn_sheet1"]))!.Fields!["oauth_access_token"];
        Assert.Equal((provider.LastAccessToken, 2), (next, provider.Refreshes));
    }

    [Fact]
    public async Task Token_that_a_refresh_replaced_is_masked_until_an_hour_after_it_has_ended_also_over_a_restart()
    {
        await ConnectAsync(minutes: 0);
        var said = await rig.DeployAsync("said", "return 'at-first-apn_sheet1'");
        async Task<string?> SaidAsync() => Returned(await RunAsync(said), 0).GetString();
        for (int minutes = 0; minutes <= 59; minutes += 59, clock.Advance(TimeSpan.FromMinutes(59)))
        {
            Assert.NotNull((await rig.Tokens.FindAsync(["apn_sheet1"]))!.Fields);
            Assert.Equal("••••••••", await SaidAsync());
        }
        await rig.DisposeAsync();
        rig = await StartAsync();
        said = rig.Catalog.FindTrigger("said")!.Version;
        Assert.Equal("••••••••", await SaidAsync());

        while ((await rig.Store.PruneAsync(clock.GetUtcNow() - new EngineLimits().RetentionAge, 0, default)).More) { }
        await rig.Secrets.LoadAsync(default);
        Assert.Equal("at-first-apn_sheet1", await SaidAsync());
        // The access token and the refresh token of the second refresh; those of the first are gone.
        Assert.Equal(2, (await rig.Store.ListSecretsAsync(default)).Count);
    }

    [Fact]
    public async Task Refresh_token_stays_where_the_provider_gives_no_other()
    {
        provider.Rotates = false;
        string first = (await ConnectAsync(minutes: 0)).Tokens!.RefreshToken!;
        for (int i = 1; i <= 2; i++, clock.Advance(TimeSpan.FromHours(2)))
        {
            Assert.NotNull((await rig.Tokens.FindAsync(["apn_sheet1"]))!.Fields);
            Assert.Equal((i, first), (provider.Refreshes, rig.Accounts.All[0].Tokens!.RefreshToken));
        }
    }

    [Fact]
    public async Task Revoked_token_fails_the_step_that_uses_it_with_the_providers_words_and_marks_the_account()
    {
        await ConnectAsync(minutes: 0);
        provider.Revoke();
        var version = await DeployAsync();

        var run = (await RunAsync(version)).Run;

        Assert.Equal((RunStatus.Failed, StepStatus.Succeeded, StepStatus.Failed), (run.Status, run.Steps[0].Status, run.Steps[1].Status));
        Assert.Equal(("ConfigurationError", "SENDOFF_ACCOUNT"), (run.Error!.Name, run.Error.Code));
        Assert.Contains(
            "the account apn_sheet1 of the app google_sheets (Sheets) must be connected again: "
                + "invalid_grant: Token has been expired or revoked.",
            run.Error.Message
        );
        var marked = rig.Accounts.All[0];
        Assert.Equal((AccountStatus.Failed, "invalid_grant: Token has been expired or revoked."), (marked.Status, marked.Fault!.Message));

        // The provider is not asked again for what it has refused.
        Assert.Equal(RunStatus.Failed, (await RunAsync(version)).Run.Status);
        Assert.Equal(1, provider.Requests);

        // A step that has the prop and does not read the account is not affected.
        Assert.Equal("done", Returned(await RunAsync(await DeployAsync(Component("return 'done'")))).GetString());
    }

    [Fact]
    public async Task Provider_that_is_down_fails_no_step_whose_token_is_still_valid()
    {
        await ConnectAsync(minutes: 3);
        provider.Instead = static context => AuthorizationServer.AnswerAsync(context, 503, "<h1>Down</h1>", "text/html");
        var version = await DeployAsync();

        Assert.Equal(HashOf("at-first-apn_sheet1"), Returned(await RunAsync(version)).GetString());
        Assert.Equal(AccountStatus.Failing, rig.Accounts.All[0].Status);

        clock.Advance(TimeSpan.FromMinutes(4));
        Assert.Contains("could not get a new token: 127.0.0.1 responded with 503", (await RunAsync(version)).Run.Message);

        provider.Instead = null;
        string next = Returned(await RunAsync(version)).GetString()!;
        Assert.Equal(HashOf(provider.LastAccessToken), next);
        Assert.Equal(AccountStatus.Connected, rig.Accounts.All[0].Status);
    }

    [Fact]
    public async Task Client_credentials_get_a_token_when_the_first_step_asks_and_another_when_it_ends()
    {
        provider.LifetimeSeconds = 120;
        var made = (await ConnectAsync(minutes: 0)) with
        {
            Kind = AccountKind.ClientCredentials,
            Client = Client(ClientAuthentication.Body),
            Tokens = null,
        };
        await rig.Accounts.SaveAsync(made, default);

        string first = (await rig.Tokens.FindAsync(["apn_sheet1"]))!.Fields!["oauth_access_token"];
        clock.Advance(TimeSpan.FromSeconds(59)); // less than half of its time
        Assert.Equal(first, (await rig.Tokens.FindAsync(["apn_sheet1"]))!.Fields!["oauth_access_token"]);
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.NotEqual(first, (await rig.Tokens.FindAsync(["apn_sheet1"]))!.Fields!["oauth_access_token"]);
        Assert.Equal(2, provider.Requests);
    }

    [Fact]
    public async Task Older_steps_read_accounts_by_app_and_by_prop_and_a_dead_one_fails_only_who_reads_it()
    {
        await ConnectAsync(minutes: 30);
        await ConnectAsync(minutes: 0, "apn_slack1", "slack");
        provider.Revoke();
        async Task<StoredRun> EndOfAsync(string code, string name)
        {
            var deployed = await rig.Catalog.DeployAsync(
                name,
                new Dictionary<string, string>
                {
                    ["workflow.yaml"] =
                        $"triggers: [ {{ type: http, key: {name} }} ]\nsteps:\n"
                        + "  - { namespace: step, uses: ./step.js, props: { mine: { authProvisionId: apn_sheet1 } } }",
                    ["step.js"] = code,
                },
                default
            );
            Assert.Empty(deployed.Problems);
            return await RunAsync(rig.Catalog.FindTrigger(name)!.Version);
        }
        string hash = Hash("auths.google_sheets.oauth_access_token + auths['mine']?.oauth_access_token");
        Assert.Equal(
            HashOf("at-first-apn_sheet1at-first-apn_sheet1"),
            Returned(await EndOfAsync($"return {hash}", "named"), 0).GetString()
        );
        Assert.Equal(0, provider.Requests);
        Assert.Equal(
            """["google_sheets","mine"]""",
            Returned(await EndOfAsync("const all = auths; return Object.keys(all).sort()", "every"), 0).GetRawText()
        );
        Assert.Contains("must be connected again", (await EndOfAsync("const { slack } = auths; return slack", "dead")).Run.Message);
    }

    [Fact]
    public async Task Nothing_of_a_token_is_in_any_record_and_receivers_get_it_as_it_is()
    {
        await using var sink = Sink.Start();
        await ConnectAsync(minutes: 0);
        var version = await DeployAsync(
            Component(
                $$"""
                const { oauth_access_token: token } = this.sheets.$auth;
                console.log('token', token, Buffer.from(token).toString('base64'));
                $.export('token', token);
                $.send.http({ method: 'POST', url: '{{sink.Url}}' + token, data: { token }, headers: { 'x-token': token } });
                throw new Error(`no luck with ${token}`);
                """
            )
        );
        var run = await RunAsync(version);
        Assert.Contains("no luck with ••••", run.Run.Message);
        string token = provider.LastAccessToken;
        Assert.Equal((token, "/" + token), (Assert.Single(sink.Requests).Header("x-token"), Assert.Single(sink.Requests).Target));

        await rig.Accounts.RemoveAsync(rig.Accounts.All[0].Id, default);
        await rig.StopAsync(default);
        await rig.DisposeAsync();
        foreach (string file in Directory.EnumerateFiles(folder.Path, "*", SearchOption.AllDirectories))
        {
            byte[] bytes = await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken);
            foreach (string secret in provider.Issued.Append("at-first-apn_sheet1").Append(AuthorizationServer.ClientSecret))
                Assert.False(
                    bytes.AsSpan().IndexOf(Encoding.UTF8.GetBytes(secret)) >= 0
                        || bytes.AsSpan().IndexOf(Encoding.UTF8.GetBytes(Convert.ToBase64String(Encoding.UTF8.GetBytes(secret)))) >= 0,
                    $"{Path.GetFileName(file)} has {secret[..4]}…"
                );
        }

        // Of an account that is gone, what late records may hold stays masked over a restart.
        rig = await StartAsync();
        var late = await RunAsync(await rig.DeployAsync("late", $"return 'again {token} and at-first-apn_sheet1'"));
        Assert.Equal("again •••••••• and ••••••••", Returned(late, 0).GetString());
    }
}
