using System.Net;
using System.Net.Http.Headers;
using System.Text.RegularExpressions;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

public sealed class SettingsPageTests(SharedServer shared) : IClassFixture<SharedServer>
{
    readonly TestServer server = shared.Server;

    async Task<(HttpStatusCode Status, string Page)> SendAsync(
        HttpMethod method,
        string path,
        string? token = null,
        params (string Name, string Value)[] fields
    )
    {
        using var client = server.NewClient();
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token ?? TestServer.Token);
        using var request = new HttpRequestMessage(method, path);
        if (method == HttpMethod.Post)
            request.Content = new FormUrlEncodedContent(fields.Select(field => KeyValuePair.Create(field.Name, field.Value)));
        using var response = await client.SendAsync(request);
        return (response.StatusCode, WebUtility.HtmlDecode(await response.Content.ReadAsStringAsync()));
    }

    Task<(HttpStatusCode Status, string Page)> PostAsync(string path, params (string Name, string Value)[] fields) =>
        SendAsync(HttpMethod.Post, path, null, fields);

    async Task<string> MakeTokenAsync(string name, string scope)
    {
        var made = await PostAsync("/settings/tokens", ("name", name), ("scope", scope));
        return Regex.Match(made.Page, "sendoff_[A-Za-z0-9]{40}").Value;
    }

    [Fact]
    public async Task A_token_is_shown_once_works_and_is_refused_when_it_was_revoked()
    {
        string token = await MakeTokenAsync("the build", "read");
        Assert.NotEmpty(token);
        string page = (await SendAsync(HttpMethod.Get, "/settings")).Page;
        Assert.Contains("the build", page);
        Assert.DoesNotContain(token, page);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(HttpMethod.Get, "/api/v1/runs", token)).Status);

        string revoke = Regex
            .Match(
                page.Split("<li>").Single(entry => entry.Contains("the build", StringComparison.Ordinal)),
                "/settings/tokens/[^/\"]+/revoke"
            )
            .Value;
        Assert.Equal(HttpStatusCode.Redirect, (await PostAsync(revoke)).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await SendAsync(HttpMethod.Get, "/api/v1/runs", token)).Status);
        Assert.Contains("may have been revoked", (await PostAsync(revoke)).Page);
    }

    [Theory]
    [InlineData("read")]
    [InlineData("write")]
    public async Task Settings_are_for_admins_also_by_token(string scope)
    {
        string token = await MakeTokenAsync("a " + scope + "er", scope);
        Assert.Equal(HttpStatusCode.Forbidden, (await SendAsync(HttpMethod.Get, "/settings", token)).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await SendAsync(HttpMethod.Post, "/settings/sign-in", token)).Status);
    }

    [Fact]
    public async Task A_token_without_a_name_is_refused_with_the_rule()
    {
        var (status, page) = await PostAsync("/settings/tokens", ("name", "  "), ("scope", "read"));
        Assert.Equal(HttpStatusCode.UnprocessableEntity, status);
        Assert.Contains("Name the user of the token", page);
    }

    [Fact]
    public async Task A_sign_in_link_of_the_page_works_once()
    {
        string link = Regex.Match((await PostAsync("/settings/sign-in")).Page, @"/signin\?link=[\w-]+").Value;
        using var client = server.NewClient();
        Assert.Equal(HttpStatusCode.Redirect, (await client.GetAsync(link)).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await client.GetAsync(link)).StatusCode);
    }

    [Fact]
    public async Task A_secret_is_set_and_deleted_and_its_value_is_in_no_page()
    {
        Assert.Equal(
            HttpStatusCode.Redirect,
            (await PostAsync("/settings/secrets", ("name", "API_KEY"), ("value", "tell-nobody-of-this"), ("kind", "secret"))).Status
        );
        Assert.Equal(
            HttpStatusCode.Redirect,
            (await PostAsync("/settings/secrets", ("name", "CHANNEL"), ("value", "#orders"), ("kind", "variable"))).Status
        );
        string page = (await SendAsync(HttpMethod.Get, "/settings")).Page;
        Assert.Contains("API_KEY", page);
        Assert.Contains("#orders", page);
        Assert.DoesNotContain("tell-nobody-of-this", page);

        Assert.Equal(HttpStatusCode.Redirect, (await PostAsync("/settings/secrets/delete", ("name", "API_KEY"))).Status);
        Assert.DoesNotContain("API_KEY", (await SendAsync(HttpMethod.Get, "/settings")).Page);
    }

    [Fact]
    public async Task A_bad_name_is_explained_and_kept_without_its_value()
    {
        var (status, page) = await PostAsync(
            "/settings/secrets",
            ("name", "not a name"),
            ("value", "tell-nobody-of-this"),
            ("kind", "secret")
        );
        Assert.Equal(HttpStatusCode.UnprocessableEntity, status);
        Assert.Contains("value=\"not a name\"", page);
        Assert.DoesNotContain("tell-nobody-of-this", page);
    }

    [Fact]
    public async Task What_stands_between_steps_and_the_machine_is_said()
    {
        await server.RunAsync(await server.DeployAsync("isolated", "return 1;", "step.js"));
        string page = await server.Http.GetStringAsync("/settings");
        foreach (string expected in new[] { "Isolation of steps", "sandbox", "child processes refused", "Workers:Memory" })
            Assert.Contains(expected, page);
    }

    [Fact]
    public async Task Egress_rules_and_limits_are_shown_with_their_settings()
    {
        string page = (await SendAsync(HttpMethod.Get, "/settings")).Page;
        foreach (string expected in new[] { "127.0.0.0/8", "Egress:Allow", "5,000 ms", "Delivery:Deadline", "7 days", "Retention:Age" })
            Assert.Contains(expected, page);
    }

    [Fact]
    public async Task Usage_shows_compute_and_deliveries_apart_and_the_quota()
    {
        await using var limited = await TestServer.StartAsync(new() { QuotaInvocations = 1_000 });
        Assert.Contains("No runs yet", await limited.Http.GetStringAsync("/usage"));
        await limited.RunAsync(await limited.DeployAsync("counted", "export default async () => {};"));
        string page = await limited.Http.GetStringAsync("/usage?days=7");
        Assert.Contains("counted", page);
        Assert.Contains("Invocations today: 1 of 1,000", page);
        Assert.Contains("All workflows", page);
        Assert.Contains("No daily quota is set", await server.Http.GetStringAsync("/usage"));
    }
}
