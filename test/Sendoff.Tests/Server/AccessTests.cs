using System.Net;
using System.Net.Http.Json;
using Microsoft.Extensions.Time.Testing;
using Sendoff.Server.Api;
using Sendoff.Server.Auth;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

public sealed class AccessTests(SharedServer shared) : IClassFixture<SharedServer>
{
    readonly TestServer server = shared.Server;
    readonly HttpClient client = shared.Server.NewClient();

    [Theory]
    [InlineData(null)]
    [InlineData("Bearer wrong")]
    [InlineData("Bearer ")]
    [InlineData("Basic YTpi")]
    public async Task The_API_wants_the_token(string? authorization)
    {
        using var response = await SendAsync(HttpMethod.Get, "/api/v1/runs", ("authorization", authorization));
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal("Bearer", response.Headers.WwwAuthenticate.Single().Scheme);
    }

    /// <summary>After a sign-out, nothing of it is found in a cache.</summary>
    [Theory]
    [InlineData("/")]
    [InlineData("/deliveries")]
    [InlineData("/workflows")]
    [InlineData("/workflows/new")]
    [InlineData("/stores")]
    [InlineData("/alerts")]
    [InlineData("/usage")]
    [InlineData("/servers")]
    [InlineData("/settings")]
    [InlineData("/nowhere")]
    [InlineData("/openapi/v1.json")]
    [InlineData("/api/v1/runs")]
    [InlineData("/api/v1/secrets")]
    [InlineData("/api/v1/nowhere")]
    public async Task No_cache_keeps_what_only_a_caller_may_see(string path)
    {
        using var response = await server.Http.GetAsync(path, TestContext.Current.CancellationToken);

        Assert.True(response.Headers.CacheControl?.NoStore);
    }

    [Fact]
    public async Task A_sign_in_link_works_once()
    {
        string link = await NewLinkAsync(server);
        using var signedIn = await client.GetAsync(link);
        string cookie = signedIn.Headers.GetValues("set-cookie").Single();

        Assert.Equal(HttpStatusCode.Redirect, signedIn.StatusCode);
        Assert.Equal("/", signedIn.Headers.Location!.ToString());
        Assert.Contains("httponly", cookie);
        Assert.Contains("samesite=strict", cookie);
        Assert.DoesNotContain(TestServer.Token, cookie);
        using var page = await SendAsync(HttpMethod.Get, "/", ("cookie", cookie.Split(';')[0]));
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        using var again = await client.GetAsync(link);
        Assert.Equal(HttpStatusCode.Unauthorized, again.StatusCode);
        Assert.False(again.Headers.Contains("set-cookie"));
        Assert.Contains("was already used", await again.Content.ReadAsStringAsync());
    }

    [Fact]
    public void A_sign_in_link_ends_after_a_day()
    {
        var clock = new FakeTimeProvider();
        var links = new SignInLinks(clock);
        string old = Code(),
            late = Code();
        clock.Advance(TimeSpan.FromHours(23));
        Assert.True(links.Use(late));
        clock.Advance(TimeSpan.FromHours(1));
        Assert.False(links.Use(old));
        string Code() => links.Create(new Uri("http://localhost")).Query["?link=".Length..];
    }

    [Theory]
    [InlineData("http://evil.example", HttpStatusCode.Forbidden)]
    [InlineData(null, HttpStatusCode.Forbidden)]
    [InlineData("own", HttpStatusCode.SwitchingProtocols)]
    public async Task A_socket_of_the_pages_opens_for_own_pages_with_a_session_only(string? origin, HttpStatusCode expected)
    {
        if (origin == "own")
            origin = server.Address.GetLeftPart(UriPartial.Authority);
        (string, string?)[] socket =
        [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("origin", origin),
        ];
        using var response = await SendAsync(HttpMethod.Get, "/_blazor", [("cookie", await server.SignInAsync()), .. socket]);
        using var without = await SendAsync(HttpMethod.Get, "/_blazor", socket);
        Assert.Equal(expected, response.StatusCode);
        Assert.Equal(HttpStatusCode.Redirect, without.StatusCode);
    }

    static async Task<string> NewLinkAsync(TestServer server)
    {
        using var made = await server.Http.PostAsync("/api/v1/tokens/sign-in", null);
        return (await made.Content.ReadFromJsonAsync(ApiJson.Default.SignInDocument))!.Url.PathAndQuery;
    }

    [Fact]
    public async Task A_page_without_session_leads_to_the_sign_in_and_back()
    {
        using var page = await client.GetAsync("/deliveries?status=failed");
        Assert.Equal(HttpStatusCode.Redirect, page.StatusCode);
        Assert.Equal("/signin?next=%2Fdeliveries%3Fstatus%3Dfailed", page.Headers.Location!.ToString());

        using var signedIn = await client.PostAsync(
            "/signin",
            new FormUrlEncodedContent([new("token", TestServer.Token), new("next", "/deliveries?status=failed")])
        );
        Assert.Equal("/deliveries?status=failed", signedIn.Headers.Location!.ToString());
    }

    [Theory]
    [InlineData("//evil.example")]
    [InlineData("/\\evil.example")]
    [InlineData("https://evil.example/")]
    public async Task The_sign_in_leads_to_this_server_only(string next)
    {
        using var signedIn = await client.GetAsync($"{await NewLinkAsync(server)}&next={Uri.EscapeDataString(next)}");
        Assert.Equal("/", signedIn.Headers.Location!.ToString());
    }

    [Fact]
    public async Task A_wrong_token_signs_nobody_in()
    {
        using var response = await client.PostAsync("/signin", new FormUrlEncodedContent([new("token", "wrong")]));
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.False(response.Headers.Contains("set-cookie"));
        Assert.Contains("not the token of this server", await response.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("sec-fetch-site", "same-origin", HttpStatusCode.Accepted)]
    [InlineData("sec-fetch-site", "same-site", HttpStatusCode.Forbidden)]
    [InlineData("sec-fetch-site", "cross-site", HttpStatusCode.Forbidden)]
    [InlineData("origin", "https://evil.example", HttpStatusCode.Forbidden)]
    [InlineData("origin", "null", HttpStatusCode.Forbidden)]
    [InlineData("origin", "own", HttpStatusCode.Accepted)]
    [InlineData("origin", "https", HttpStatusCode.Forbidden)]
    [InlineData("accept", "*/*", HttpStatusCode.Forbidden)]
    public async Task A_session_changes_things_from_own_pages_only(string header, string value, HttpStatusCode expected)
    {
        string run = await server.PostAsync(await server.DeployAsync("orders", "export default async () => {};"));
        await server.EndOfAsync(run);
        value = value switch
        {
            "own" => server.Address.GetLeftPart(UriPartial.Authority),
            "https" => $"https://{server.Address.Authority}",
            _ => value,
        };
        using var response = await SendAsync(
            HttpMethod.Post,
            $"/api/v1/runs/{run}/replay",
            ("cookie", await server.SignInAsync()),
            (header, value)
        );
        Assert.Equal(expected, response.StatusCode);
    }

    [Fact]
    public async Task The_file_of_the_admin_token_is_there_before_the_first_request()
    {
        using var folder = new TempFolder();
        await using var fresh = await TestServer.StartAsync(folder: folder.Path, server: static options => options with { Token = null });
        string token = await File.ReadAllTextAsync(Path.Combine(folder.Path, AdminToken.FileName), TestContext.Current.CancellationToken);

        using var client = fresh.NewClient();
        client.DefaultRequestHeaders.Authorization = new("Bearer", token.Trim());
        using var response = await client.GetAsync("/api/v1/tokens", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Theory]
    [InlineData("evil.example", HttpStatusCode.Forbidden)]
    [InlineData("localhost.evil.example", HttpStatusCode.Forbidden)]
    [InlineData("evillocalhost", HttpStatusCode.Forbidden)]
    [InlineData("evil-localhost:5180", HttpStatusCode.Forbidden)]
    [InlineData("localhost.", HttpStatusCode.Forbidden)]
    [InlineData("0.0.0.0", HttpStatusCode.Forbidden)]
    [InlineData("app.localhost", HttpStatusCode.OK)]
    [InlineData("localhost:5180", HttpStatusCode.OK)]
    [InlineData("[::1]", HttpStatusCode.OK)]
    public async Task A_foreign_host_name_on_loopback_is_refused_even_with_a_session(string host, HttpStatusCode expected)
    {
        using var response = await SendAsync(HttpMethod.Get, "/api/v1/runs", ("cookie", await server.SignInAsync()), ("host", host));
        using var page = await SendAsync(HttpMethod.Get, "/", ("cookie", await server.SignInAsync()), ("host", host));
        Assert.Equal(expected, response.StatusCode);
        using var health = await SendAsync(HttpMethod.Get, "/healthz/live", ("host", host));
        Assert.Equal(expected, page.StatusCode);
        Assert.Equal(HttpStatusCode.OK, health.StatusCode);
    }

    [Theory]
    [InlineData("127.0.0.1:99999")]
    [InlineData("127.0.0.1:x")]
    public async Task A_host_that_is_none_is_a_bad_request(string host)
    {
        foreach (string path in new[] { "/api/v1/runs", "/signin", "/healthz/live" })
        {
            using var response = await SendAsync(HttpMethod.Get, path, ("host", host));
            Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        }
    }

    [Fact]
    public async Task Behind_a_proxy_the_public_URL_is_where_everything_is()
    {
        await using var server = await TestServer.StartAsync(publicUrl: new Uri("https://hooks.example.com"));
        using var browser = server.NewClient();
        await server.DeployAsync("orders", "export default async () => {};");

        using var signedIn = await SendAsync(browser, HttpMethod.Get, await NewLinkAsync(server), ("host", "hooks.example.com"));
        string cookie = signedIn.Headers.GetValues("set-cookie").Single();
        using var page = await SendAsync(
            browser,
            HttpMethod.Get,
            "/workflows",
            ("host", "hooks.example.com"),
            ("cookie", cookie.Split(';')[0])
        );
        using var posted = await SendAsync(browser, HttpMethod.Post, "/hooks/orders/a?b=1", ("host", "127.0.0.1"));
        await server.EndOfAsync(posted.Headers.GetValues("sendoff-run").Single());
        string replay = $"/api/v1/runs/{posted.Headers.GetValues("sendoff-run").Single()}/replay";
        using var own = await SendAsync(
            browser,
            HttpMethod.Post,
            replay,
            ("cookie", cookie.Split(';')[0]),
            ("origin", "https://hooks.example.com")
        );
        using var foreign = await SendAsync(
            browser,
            HttpMethod.Post,
            replay,
            ("cookie", cookie.Split(';')[0]),
            ("origin", "https://evil.example")
        );
        using var other = await SendAsync(
            browser,
            HttpMethod.Get,
            "/workflows",
            ("host", "evil.example"),
            ("cookie", cookie.Split(';')[0])
        );

        Assert.Contains("secure", cookie);
        Assert.Contains("https://hooks.example.com/hooks/orders", await page.Content.ReadAsStringAsync());
        Assert.Equal("https://hooks.example.com/hooks/orders/a?b=1", (await server.EventOfAsync(posted)).GetProperty("url").GetString());
        Assert.Equal(
            (HttpStatusCode.Accepted, HttpStatusCode.Forbidden, HttpStatusCode.Forbidden),
            (own.StatusCode, foreign.StatusCode, other.StatusCode)
        );
    }

    [Fact]
    public void A_token_is_made_once_and_is_for_its_owner_only()
    {
        string folder = Directory.CreateTempSubdirectory("sendoff-").FullName;
        var made = AdminToken.Load(null, folder);
        var again = AdminToken.Load(null, folder);

        Assert.Equal(43, made.Value.Length);
        Assert.Equal(made.Value, again.Value);
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(folder, AdminToken.FileName)));
        Assert.True(made.Matches(again.Value));
        Assert.False(made.Matches(again.Value + "x"));
        Assert.Contains("Auth:Token", Assert.Throws<InvalidDataException>(() => AdminToken.Load("short", folder)).Message);
        Directory.Delete(folder, recursive: true);
    }

    Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, params (string Name, string? Value)[] headers) =>
        SendAsync(client, method, path, headers);

    static async Task<HttpResponseMessage> SendAsync(
        HttpClient client,
        HttpMethod method,
        string path,
        params (string Name, string? Value)[] headers
    )
    {
        using var request = new HttpRequestMessage(method, path);
        foreach (var (name, value) in headers)
        {
            if (value is not null)
                request.Headers.TryAddWithoutValidation(name, value);
        }
        // A socket that opens has no end to wait for.
        return await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }
}
