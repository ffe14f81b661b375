using System.Net;
using System.Text;
using System.Text.Json;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>Accounts as operators enter and look at them.</summary>
public sealed class AccountsApiTests(SharedServer shared) : IClassFixture<SharedServer>
{
    readonly TestServer server = shared.Server;

    static CancellationToken Ct => TestContext.Current.CancellationToken;

    async Task<(HttpStatusCode Status, JsonElement Body)> SendAsync(HttpMethod method, string path, string? json = null)
    {
        using var request = new HttpRequestMessage(method, $"/api/v1/accounts{path}")
        {
            Content = json is null ? null : new StringContent(json, Encoding.UTF8, "application/json"),
        };
        using var response = await server.Http.SendAsync(request, Ct);
        byte[] body = await response.Content.ReadAsByteArrayAsync(Ct);
        return (response.StatusCode, body.Length == 0 ? default : JsonElement.Parse(body));
    }

    static string Text(JsonElement body, string name) => body.GetProperty(name).ToString();

    [Fact]
    public async Task An_account_of_keys_is_made_changed_read_by_a_step_and_deleted_and_no_value_is_ever_answered()
    {
        var (_, made) = await SendAsync(
            HttpMethod.Post,
            "",
            """{"id":"apn_slack1","app":"slack","fields":{"oauth_access_token":"xoxb-hidden-1","team":"hidden-team"},"plainFields":{"region":"eu"}}"""
        );
        Assert.Equal(
            ("apn_slack1", "Slack", "keys", "connected", """["oauth_access_token","team"]""", """{"region":"eu"}"""),
            (
                Text(made, "id"),
                Text(made, "name"),
                Text(made, "kind"),
                Text(made, "status"),
                Text(made, "fields"),
                Text(made, "plainFields")
            )
        );
        var (_, changed) = await SendAsync(
            HttpMethod.Put,
            "/apn_slack1",
            """{"name":"Team","fields":{"team":null,"oauth_access_token":"xoxb-hidden-2"}}"""
        );
        Assert.Equal(("Team", """["oauth_access_token"]"""), (Text(changed, "name"), Text(changed, "fields")));

        string hook = await server.DeployAsync(
            "accounts-of-keys",
            "export default { props: { slack: { type: 'app', app: 'slack' } }, "
                + "run() { return [this.slack.$auth, this.slack.$auth.oauth_access_token.length]; } }"
        );
        var run = await server.RunAsync(hook);
        Assert.Equal(
            """[{"region":"eu","oauth_access_token":"••••••••"},13]""",
            run.Steps[0].Exports.GetProperty("$return_value").GetRawText()
        );

        var (_, list) = await SendAsync(HttpMethod.Get, "");
        Assert.DoesNotContain("hidden", $"{made}{changed}{list}{(await SendAsync(HttpMethod.Get, "/apn_slack1")).Body}");
        Assert.Equal(HttpStatusCode.NoContent, (await SendAsync(HttpMethod.Delete, "/apn_slack1")).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(HttpMethod.Get, "/apn_slack1")).Status);
    }

    [Fact]
    public async Task Well_known_providers_fill_in_what_is_left_out_and_a_change_of_the_client_ends_its_tokens()
    {
        var (_, google) = await SendAsync(
            HttpMethod.Post,
            "",
            """{"app":"google_sheets","kind":"authorization_code","clientId":"me","clientSecret":"hidden-secret"}"""
        );
        var client = google.GetProperty("client");
        Assert.Equal(
            ("not_connected", "https://oauth2.googleapis.com/token", "body", """{"access_type":"offline","prompt":"consent"}""", "True"),
            (
                Text(google, "status"),
                Text(client, "tokenUrl"),
                Text(client, "authentication"),
                Text(client, "authorizeParameters"),
                Text(client, "hasSecret")
            )
        );
        Assert.EndsWith("/accounts/callback", Text(google, "redirectUrl"));

        await using var provider = await AuthorizationServer.StartAsync();
        var (_, made) = await SendAsync(
            HttpMethod.Post,
            "",
            $$"""{"app":"erp","kind":"client_credentials","clientId":"{{AuthorizationServer.ClientId}}","clientSecret":"{{AuthorizationServer.ClientSecret}}","tokenUrl":"{{provider.TokenUrl}}"}"""
        );
        Assert.Equal(("connected", 1), (Text(made, "status"), provider.Requests));
        var (_, refreshed) = await SendAsync(HttpMethod.Post, $"/{Text(made, "id")}/refresh");
        Assert.Equal(("connected", 2), (Text(refreshed, "status"), provider.Requests));

        var (_, changed) = await SendAsync(HttpMethod.Put, $"/{Text(made, "id")}", """{"clientId":"another"}""");
        Assert.Equal(("failed", "invalid_client: The client is not known"), (Text(changed, "status"), Text(changed, "fault")));
    }

    [Theory]
    [InlineData("{}", "'app' is missing")]
    [InlineData("""{"app":"slack"}""", "'fields' is missing")]
    [InlineData("""{"app":"a b","fields":{"k":"value"}}""", "'app' is not valid")]
    [InlineData("""{"app":"slack","fields":{"k":"abc"}}""", "shorter than 4 characters")]
    [InlineData("""{"app":"slack","fields":{"1k":"value"}}""", "'fields.1k' is not a valid name")]
    [InlineData("""{"app":"slack","fields":{"k":7}}""", "'fields' is an object")]
    [InlineData("""{"app":"slack","kind":"magic","fields":{"k":"value"}}""", "'kind' is 'magic'")]
    [InlineData("""{"app":"slack","id":"nope","fields":{"k":"value"}}""", "'id' is 'nope'")]
    [InlineData("""{"app":"erp","kind":"authorization_code"}""", "'clientId' is missing")]
    [InlineData("""{"app":"erp","kind":"authorization_code","clientId":"a"}""", "'authorizeUrl' is missing")]
    [InlineData(
        """{"app":"erp","kind":"authorization_code","clientId":"a","authorizeUrl":"http://erp.example/a","tokenUrl":"https://erp.example/t"}""",
        "'authorizeUrl' is not encrypted"
    )]
    [InlineData(
        """{"app":"erp","kind":"client_credentials","clientId":"a","clientSecret":"secret","tokenUrl":"https://user@erp.example/t"}""",
        "'tokenUrl' is not a valid URL"
    )]
    [InlineData(
        """{"app":"google_sheets","kind":"authorization_code","clientId":"a","authorizeParameters":{"state":"x"}}""",
        "cannot contain 'state'"
    )]
    public async Task What_is_wrong_with_an_account_is_said_and_nothing_is_stored(string json, string said)
    {
        var (status, body) = await SendAsync(HttpMethod.Post, "", json);
        Assert.True((int)status is 400 or 422, $"{status}");
        Assert.Contains(said, Text(body, "detail"));
    }

    [Fact]
    public async Task Sign_in_goes_by_the_public_url_and_begins_only_there()
    {
        await using var behind = await TestServer.StartAsync(publicUrl: new Uri("https://flows.example"));
        using var created = await behind.Http.PostAsync(
            "/api/v1/accounts",
            new StringContent(
                """{"id":"apn_1","app":"spotify","kind":"authorization_code","clientId":"me"}""",
                Encoding.UTF8,
                "application/json"
            ),
            Ct
        );
        Assert.Equal(HttpStatusCode.OK, created.StatusCode);
        using var browser = behind.NewClient();
        async Task<HttpResponseMessage> ConnectAsync(string host)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/accounts/apn_1/connect");
            request.Headers.Authorization = behind.Http.DefaultRequestHeaders.Authorization;
            request.Headers.Host = host;
            return await browser.SendAsync(request, Ct);
        }

        using var led = await ConnectAsync("flows.example");
        Assert.StartsWith("https://accounts.spotify.com/authorize?response_type=code&client_id=me", led.Headers.Location!.AbsoluteUri);
        Assert.Contains("redirect_uri=https%3A%2F%2Fflows.example%2Faccounts%2Fcallback", led.Headers.Location.AbsoluteUri);
        using var elsewhere = await ConnectAsync("localhost");
        Assert.Equal(HttpStatusCode.UnprocessableEntity, elsewhere.StatusCode);
        Assert.Contains("Open this page at that address", await elsewhere.Content.ReadAsStringAsync(Ct));
    }

    [Fact]
    public async Task A_callback_that_nobody_began_connects_nothing()
    {
        using var stranger = server.NewClient();
        using var page = await stranger.GetAsync("/accounts/callback?state=x&code=y", Ct);
        Assert.Contains("url=/accounts/connected?state=x&amp;code=y", await page.Content.ReadAsStringAsync(Ct));
        Assert.Equal("no-store", page.Headers.CacheControl!.ToString());
        using var refused = await stranger.GetAsync("/accounts/connected?state=x&code=y", Ct);
        Assert.Equal(HttpStatusCode.Redirect, refused.StatusCode);
        using var unknown = await server.Http.GetAsync("/accounts/connected?state=x&code=y", Ct);
        Assert.Contains("This sign-in was not started in this browser", await unknown.Content.ReadAsStringAsync(Ct));
    }
}
