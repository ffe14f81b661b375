using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>Tokens for the API: what each scope may do, and that a revoked one may nothing.</summary>
public sealed class TokenTests(SharedServer shared) : IClassFixture<SharedServer>
{
    readonly TestServer server = shared.Server;
    static CancellationToken Ct => TestContext.Current.CancellationToken;

    async Task<(TokenDocument Token, HttpClient Client)> CreateAsync(string? scope)
    {
        using var made = await server.Http.PostAsJsonAsync(
            "/api/v1/tokens",
            new TokenRequestDocument("a test", scope),
            ApiJson.Default.TokenRequestDocument,
            Ct
        );
        Assert.Equal(HttpStatusCode.OK, made.StatusCode);
        var token = (await made.Content.ReadFromJsonAsync(ApiJson.Default.TokenDocument, Ct))!;
        var client = server.NewClient();
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token.Token);
        return (token, client);
    }

    static async Task<HttpStatusCode> AskAsync(HttpClient client, string method, string path)
    {
        using var request = new HttpRequestMessage(new(method), path);
        using var response = await client.SendAsync(request, Ct);
        return response.StatusCode;
    }

    [Theory]
    [InlineData(null, HttpStatusCode.OK, HttpStatusCode.Forbidden, HttpStatusCode.Forbidden, HttpStatusCode.Forbidden)]
    [InlineData("read", HttpStatusCode.OK, HttpStatusCode.Forbidden, HttpStatusCode.Forbidden, HttpStatusCode.Forbidden)]
    [InlineData("write", HttpStatusCode.OK, HttpStatusCode.NotFound, HttpStatusCode.Forbidden, HttpStatusCode.Forbidden)]
    [InlineData("admin", HttpStatusCode.OK, HttpStatusCode.NotFound, HttpStatusCode.OK, HttpStatusCode.OK)]
    public async Task A_token_may_do_what_its_scope_says(
        string? scope,
        HttpStatusCode looks,
        HttpStatusCode changes,
        HttpStatusCode secrets,
        HttpStatusCode tokens
    )
    {
        var (_, client) = await CreateAsync(scope);
        using (client)
        {
            Assert.Equal(looks, await AskAsync(client, "GET", "/api/v1/runs"));
            Assert.Equal(changes, await AskAsync(client, "DELETE", "/api/v1/workflows/nobody"));
            Assert.Equal(secrets, await AskAsync(client, "GET", "/api/v1/secrets"));
            Assert.Equal(tokens, await AskAsync(client, "GET", "/api/v1/tokens"));
        }
    }

    /// <summary>Through it the editor deploys.</summary>
    [Theory]
    [InlineData("read", HttpStatusCode.Forbidden)]
    [InlineData("write", HttpStatusCode.SwitchingProtocols)]
    public async Task A_socket_of_the_pages_needs_a_token_that_may_change_things(string scope, HttpStatusCode expected)
    {
        var (_, client) = await CreateAsync(scope);
        using (client)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/_blazor");
            foreach (
                var (name, value) in new[]
                {
                    ("connection", "Upgrade"),
                    ("upgrade", "websocket"),
                    ("sec-websocket-version", "13"),
                    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
                }
            )
                request.Headers.TryAddWithoutValidation(name, value);
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Ct);
            Assert.Equal(expected, response.StatusCode);
        }
    }

    [Fact]
    public async Task A_token_is_shown_once_and_refused_when_it_is_revoked()
    {
        var (token, client) = await CreateAsync("read");
        using (client)
        {
            Assert.Equal(HttpStatusCode.OK, await AskAsync(client, "GET", "/api/v1/runs"));
            string list = await server.Http.GetStringAsync("/api/v1/tokens", Ct);
            Assert.Contains(token.Id, list);
            Assert.DoesNotContain(token.Token!, list);
            Assert.Equal(HttpStatusCode.NoContent, await AskAsync(server.Http, "DELETE", $"/api/v1/tokens/{token.Id}"));
            Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(client, "GET", "/api/v1/runs"));
            Assert.Equal(HttpStatusCode.NotFound, await AskAsync(server.Http, "DELETE", $"/api/v1/tokens/{token.Id}"));
        }
    }

    [Fact]
    public async Task A_token_outlives_a_restart_and_is_nowhere_in_the_data_directory()
    {
        using var folder = new TempFolder();
        string value;
        await using (var first = await TestServer.StartAsync(folder: folder.Path))
        {
            using var made = await first.Http.PostAsJsonAsync(
                "/api/v1/tokens",
                new TokenRequestDocument("kept", "read"),
                ApiJson.Default.TokenRequestDocument,
                Ct
            );
            value = (await made.Content.ReadFromJsonAsync(ApiJson.Default.TokenDocument, Ct))!.Token!;
        }
        await using var second = await TestServer.StartAsync(folder: folder.Path);
        using var client = second.NewClient();
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", value);
        Assert.Equal(HttpStatusCode.OK, await AskAsync(client, "GET", "/api/v1/runs"));
        foreach (
            string file in Directory
                .EnumerateFiles(folder.Path, "sendoff.db*")
                .Where(file => !file.EndsWith(".lock", StringComparison.Ordinal))
        )
        {
            using var open = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            byte[] bytes = new byte[open.Length];
            try
            {
                open.ReadExactly(bytes);
            }
            catch (EndOfStreamException) { }
            Assert.Equal(-1, bytes.AsSpan().IndexOf(System.Text.Encoding.ASCII.GetBytes(value)));
        }
    }

    [Theory]
    [InlineData("{\"name\":\"\"}", "must have 1 to 100")]
    [InlineData("{\"name\":\"x\",\"scope\":\"all\"}", "read, write, admin")]
    public async Task A_token_that_cannot_be_made_says_why(string body, string says)
    {
        using var refused = await server.Http.PostAsync("/api/v1/tokens", new StringContent(body, null, "application/json"), Ct);
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Contains(says, await refused.Content.ReadAsStringAsync(Ct));
    }

    [Fact]
    public async Task Tokens_are_made_listed_and_revoked_from_a_terminal()
    {
        string[] to = ["--server", server.Address.ToString(), "--token", TestServer.Token];
        var made = await SendoffCommand.RunAsync(["tokens", "create", "ci", "--scope", "write", .. to]);
        var list = await SendoffCommand.RunAsync(["tokens", "list", .. to]);
        string id = list.Output.Split('\n').First(line => line.Contains("ci ")).Split(' ')[0];
        var own = await SendoffCommand.RunAsync(["runs", "list", "--server", server.Address.ToString(), "--token", made.Output.Trim()]);
        var outOfScope = await SendoffCommand.RunAsync([
            "secrets",
            "list",
            "--server",
            server.Address.ToString(),
            "--token",
            made.Output.Trim(),
        ]);
        var revoked = await SendoffCommand.RunAsync(["tokens", "revoke", id, .. to]);
        var refused = await SendoffCommand.RunAsync(["runs", "list", "--server", server.Address.ToString(), "--token", made.Output.Trim()]);

        Assert.Equal((0, 0, 0, 0, 4), (made.ExitCode, list.ExitCode, own.ExitCode, revoked.ExitCode, refused.ExitCode));
        Assert.Equal(4, outOfScope.ExitCode);
        Assert.Contains("has the scope 'write'; GET /api/v1/secrets needs 'admin'", outOfScope.Error);
        Assert.StartsWith("sendoff_", made.Output);
    }
}
