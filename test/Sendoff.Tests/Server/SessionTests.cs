using System.Net;
using System.Net.Http.Json;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Time.Testing;
using Sendoff.Server;
using Sendoff.Server.Api;
using Sendoff.Server.Auth;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>Signed-in browsers: each has a session of its own, which ends on the server.</summary>
public sealed class SessionTests(SharedServer shared) : IClassFixture<SharedServer>
{
    readonly TestServer server = shared.Server;
    static CancellationToken Ct => TestContext.Current.CancellationToken;

    static async Task<HttpResponseMessage> AskAsync(
        TestServer server,
        HttpMethod method,
        string path,
        string cookie,
        HttpCompletionOption until = HttpCompletionOption.ResponseContentRead
    )
    {
        var client = server.NewClient();
        var request = new HttpRequestMessage(method, path);
        request.Headers.Add("cookie", cookie);
        request.Headers.Add("sec-fetch-site", "same-origin");
        return await client.SendAsync(request, until, Ct);
    }

    async Task<HttpStatusCode> StatusAsync(HttpMethod method, string path, string cookie)
    {
        using var response = await AskAsync(server, method, path, cookie);
        return response.StatusCode;
    }

    async Task<ListDocument<SessionDocument>> ListAsync(string cookie)
    {
        using var response = await AskAsync(server, HttpMethod.Get, "/api/v1/sessions", cookie);
        return (await response.Content.ReadFromJsonAsync(ApiJson.Default.ListDocumentSessionDocument, Ct))!;
    }

    [Fact]
    public async Task Signing_out_ends_the_session_on_the_server_and_no_other()
    {
        string one = await server.SignInAsync(),
            other = await server.SignInAsync();
        Assert.NotEqual(one, other);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(HttpMethod.Get, "/api/v1/runs", one));

        using var signedOut = await AskAsync(server, HttpMethod.Post, "/signout", one);
        Assert.Equal("/signin", signedOut.Headers.Location!.ToString());
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(HttpMethod.Get, "/api/v1/runs", one));
        Assert.Equal(HttpStatusCode.Redirect, await StatusAsync(HttpMethod.Get, "/settings", one));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(HttpMethod.Get, "/api/v1/runs", other));
    }

    [Fact]
    public async Task Signing_in_again_replaces_the_session_of_that_browser()
    {
        string before = await server.SignInAsync();
        using var browser = server.NewClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/signin")
        {
            Content = new FormUrlEncodedContent([new("token", TestServer.Token)]),
        };
        request.Headers.Add("cookie", before);
        using var again = await browser.SendAsync(request, Ct);
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(HttpMethod.Get, "/api/v1/runs", before));
        Assert.Equal(
            HttpStatusCode.OK,
            await StatusAsync(HttpMethod.Get, "/api/v1/runs", again.Headers.GetValues("set-cookie").Single().Split(';')[0])
        );
    }

    [Theory]
    [InlineData("/api/v1/stream", null)]
    [InlineData("/_blazor", "websocket")]
    public async Task What_is_open_under_a_session_is_closed_when_it_ends(string path, string? upgrade)
    {
        string cookie = await server.SignInAsync();
        using var client = server.NewClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        foreach (var (name, value) in new[] { ("cookie", cookie), ("sec-fetch-site", "same-origin") })
            request.Headers.Add(name, value);
        if (upgrade is not null)
            foreach (
                var (name, value) in new[]
                {
                    ("connection", "Upgrade"),
                    ("upgrade", upgrade),
                    ("sec-websocket-version", "13"),
                    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
                }
            )
                request.Headers.TryAddWithoutValidation(name, value);
        using var open = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Ct);
        await using var stream = await open.Content.ReadAsStreamAsync(Ct);
        if (upgrade is null)
            Assert.NotEqual(0, await stream.ReadAsync(new byte[100], Ct));

        string id = (await ListAsync(cookie)).Items.Single(session => session.IsCurrent).Id;
        using var ended = await server.Http.DeleteAsync($"/api/v1/sessions/{id}", Ct);
        Assert.Equal(HttpStatusCode.NoContent, ended.StatusCode);
        await AssertClosesAsync(stream);
    }

    static async Task AssertClosesAsync(Stream stream)
    {
        var patience = Wait.Token;
        try
        {
            while (await stream.ReadAsync(new byte[1_000], patience) > 0) { }
        }
        catch (IOException)
        {
            // Cut off, which is an end as well.
        }
    }

    [Fact]
    public async Task What_is_open_under_a_token_is_closed_when_it_is_revoked()
    {
        using var made = await server.Http.PostAsJsonAsync(
            "/api/v1/tokens",
            new TokenRequestDocument("listener", "read"),
            ApiJson.Default.TokenRequestDocument,
            Ct
        );
        var token = (await made.Content.ReadFromJsonAsync(ApiJson.Default.TokenDocument, Ct))!;
        using var client = server.NewClient();
        client.DefaultRequestHeaders.Authorization = new("Bearer", token.Token);
        using var open = await client.GetAsync("/api/v1/stream", HttpCompletionOption.ResponseHeadersRead, Ct);
        await using var stream = await open.Content.ReadAsStreamAsync(Ct);
        Assert.NotEqual(0, await stream.ReadAsync(new byte[100], Ct));
        using var revoked = await server.Http.DeleteAsync($"/api/v1/tokens/{token.Id}", Ct);
        await AssertClosesAsync(stream);
    }

    [Fact]
    public async Task Sessions_are_listed_with_their_browser_and_ended_by_API()
    {
        string cookie = await server.SignInAsync();
        var session = (await ListAsync(cookie)).Items.Single(one => one.IsCurrent);
        Assert.Equal(TimeSpan.FromDays(30), session.ExpiresAt - session.CreatedAt);
        Assert.Equal(HttpStatusCode.NoContent, await StatusAsync(HttpMethod.Delete, $"/api/v1/sessions/{session.Id}", cookie));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(HttpMethod.Get, "/api/v1/sessions", cookie));
        using var again = await server.Http.DeleteAsync($"/api/v1/sessions/{session.Id}", Ct);
        Assert.Equal(HttpStatusCode.NotFound, again.StatusCode);
    }

    [Fact]
    public async Task The_page_of_settings_lists_sessions_and_ends_all_others()
    {
        await using var own = await TestServer.StartAsync();
        string here = await own.SignInAsync(),
            there = await own.SignInAsync();
        using (var page = await AskAsync(own, HttpMethod.Get, "/settings", here))
        {
            string text = await page.Content.ReadAsStringAsync(Ct);
            Assert.Contains("This browser", text);
            Assert.Equal(2, text.Split("class=\"client\"").Length - 1);
        }
        using var ended = await AskAsync(own, HttpMethod.Post, "/settings/sessions/end", here);
        using var mine = await AskAsync(own, HttpMethod.Get, "/api/v1/runs", here);
        using var others = await AskAsync(own, HttpMethod.Get, "/api/v1/runs", there);
        Assert.Equal(
            (HttpStatusCode.Redirect, HttpStatusCode.OK, HttpStatusCode.Unauthorized),
            (ended.StatusCode, mine.StatusCode, others.StatusCode)
        );
    }

    [Fact]
    public async Task A_session_outlives_a_restart_and_its_value_is_nowhere_in_the_data_directory()
    {
        using var folder = new TempFolder();
        string cookie,
            ended;
        await using (var first = await TestServer.StartAsync(folder: folder.Path))
        {
            (cookie, ended) = (await first.SignInAsync(), await first.SignInAsync());
            using var out_ = await AskAsync(first, HttpMethod.Post, "/signout", ended);
        }
        await using var second = await TestServer.StartAsync(folder: folder.Path);
        using var kept = await AskAsync(second, HttpMethod.Get, "/api/v1/runs", cookie);
        using var gone = await AskAsync(second, HttpMethod.Get, "/api/v1/runs", ended);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.Unauthorized), (kept.StatusCode, gone.StatusCode));
        foreach (
            string file in Directory
                .EnumerateFiles(folder.Path, "sendoff.db*")
                .Where(file => !file.EndsWith(".lock", StringComparison.Ordinal))
        )
        {
            using var open = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            var bytes = new MemoryStream();
            await open.CopyToAsync(bytes, Ct);
            Assert.Equal(-1, bytes.ToArray().AsSpan().IndexOf(Encoding.ASCII.GetBytes(cookie.Split('=')[1])));
        }
    }

    [Fact]
    public async Task A_session_ends_with_its_time_with_the_admin_token_and_when_there_are_too_many()
    {
        await using var own = await TestServer.StartAsync();
        var clock = new FakeTimeProvider(DateTimeOffset.UtcNow);
        var options = new ServerOptions
        {
            DataDirectory = ".",
            SessionAge = TimeSpan.FromHours(1),
            SessionsMax = 2,
        };
        Sessions Of(string token) => new(own.Store, AdminToken.Load(token, "."), own.Ids, clock, options);
        var sessions = Of("the-first-admin-token");
        string first = await sessions.BeginAsync("Firefox", Ct),
            second = await sessions.BeginAsync("", Ct);
        Assert.Equal(["Firefox", "unknown"], (await sessions.ListAsync(Ct)).Select(one => one.Client));

        string third = await sessions.BeginAsync("x", Ct);
        Assert.Null(await sessions.FindAsync(first, Ct));
        Assert.NotNull(await sessions.FindAsync(second, Ct));
        Assert.NotNull(await Of("the-first-admin-token").FindAsync(third, Ct));
        Assert.Null(await Of("the-second-admin-token").FindAsync(third, Ct));

        clock.Advance(TimeSpan.FromHours(1));
        Assert.Null(await sessions.FindAsync(third, Ct));
        Assert.Empty(await sessions.ListAsync(Ct));

        await sessions.BeginAsync("late", Ct);
        clock.Advance(TimeSpan.FromHours(1));
        await sessions.BeginAsync("later", Ct);
        Assert.Equal(["later"], (await own.Store.ListSessionsAsync(Ct)).Select(one => one.Client));
    }

    /// <summary>The connection of a request without a server.</summary>
    sealed class Connection : IHttpRequestLifetimeFeature
    {
        public bool IsAborted { get; private set; }
        public CancellationToken RequestAborted { get; set; }

        public void Abort() => IsAborted = true;
    }

    [Theory]
    [InlineData(1)]
    [InlineData(24 * 40)]
    [InlineData(24 * 400)] // longer than a timer takes
    public void A_request_is_cut_off_when_its_credential_runs_out(int hours)
    {
        var clock = new FakeTimeProvider();
        var connection = new Connection();
        var context = new DefaultHttpContext();
        context.Features.Set<IHttpRequestLifetimeFeature>(connection);
        CredentialUse.Begin(context, TimeSpan.FromHours(hours), clock, CancellationToken.None);

        var lasts = TimeSpan.FromHours(Math.Min(hours, 24 * 40));
        clock.Advance(lasts - TimeSpan.FromSeconds(1));
        Assert.False(connection.IsAborted);
        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.True(connection.IsAborted);
    }

    [Fact]
    public void Of_many_sign_in_links_the_newest_hundred_work()
    {
        var clock = new FakeTimeProvider();
        var links = new SignInLinks(clock);
        var codes = new List<string>();
        for (int i = 0; i < 101; i++)
        {
            codes.Add(links.Create(new("http://a.example")).Query.Split('=')[1]);
            clock.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.False(links.Use(codes[0]));
        Assert.All(codes[1..], code => Assert.True(links.Use(code)));
    }

    [Theory]
    [InlineData("read")]
    [InlineData("write")]
    public async Task Sessions_are_for_admins(string scope)
    {
        using var made = await server.Http.PostAsJsonAsync(
            "/api/v1/tokens",
            new TokenRequestDocument("looker", scope),
            ApiJson.Default.TokenRequestDocument,
            Ct
        );
        using var client = server.NewClient();
        client.DefaultRequestHeaders.Authorization = new(
            "Bearer",
            (await made.Content.ReadFromJsonAsync(ApiJson.Default.TokenDocument, Ct))!.Token
        );
        using var looked = await client.GetAsync("/api/v1/sessions", Ct);
        using var ended = await client.DeleteAsync("/api/v1/sessions", Ct);
        Assert.Equal((HttpStatusCode.Forbidden, HttpStatusCode.Forbidden), (looked.StatusCode, ended.StatusCode));
    }

    /// <summary>Idle readers come and go all day.</summary>
    [Fact]
    public async Task A_listener_that_leaves_while_nothing_happens_is_no_fault()
    {
        var quiet = await TestServer.StartAsync(server: options => options with { StreamKeepAlive = TimeSpan.FromMilliseconds(20) });
        for (int i = 0; i < 3; i++)
        {
            using var open = await quiet.Http.GetAsync("/api/v1/stream", HttpCompletionOption.ResponseHeadersRead, Ct);
            await using var stream = await open.Content.ReadAsStreamAsync(Ct);
            var read = new StringBuilder();
            byte[] chunk = new byte[200];
            while (!read.ToString().Contains("still here", StringComparison.Ordinal))
                read.Append(Encoding.UTF8.GetString(chunk, 0, await stream.ReadAsync(chunk, Ct)));
        }
        await quiet.DisposeAsync();
        Assert.Empty(quiet.Logs);
    }
}
