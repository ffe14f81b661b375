using Microsoft.AspNetCore.Http;
using Sendoff.Engine;
using Sendoff.Engine.Accounts;
using Sendoff.Engine.Deliveries;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Accounts;

/// <summary>What token endpoints answer, and where requests to them may go.</summary>
public sealed class TokenEndpointTests(TokenEndpointTests.Provider provider) : IClassFixture<TokenEndpointTests.Provider>
{
    /// <summary>One server for all cases.</summary>
    public sealed class Provider : IAsyncLifetime
    {
        internal AuthorizationServer Server { get; private set; } = null!;

        public async ValueTask InitializeAsync() => Server = await AuthorizationServer.StartAsync();

        public ValueTask DisposeAsync() => Server.DisposeAsync();
    }

    OAuthClient Client(string? tokenUrl = null) =>
        new(AuthorizationServer.ClientId, null, null, tokenUrl ?? provider.Server.TokenUrl, "", ClientAuthentication.Basic);

    static readonly KeyValuePair<string, string>[] refresh = [new("grant_type", "refresh_token"), new("refresh_token", "rt-old")];

    async Task<TokenAnswer> AskAsync(Func<HttpContext, Task> answer, EngineLimits? limits = null)
    {
        provider.Server.Instead = answer;
        using var endpoint = new TokenEndpoint(Sending.Loopback, limits ?? new(), TimeProvider.System);
        return await endpoint.AskAsync(Client(), refresh, "rt-old");
    }

    Task<TokenAnswer> AskAsync(int status, string json) => AskAsync(context => AuthorizationServer.AnswerAsync(context, status, json));

    [Theory]
    [InlineData("""{"access_token":"at","expires_in":3600}""", 3_600, "rt-old")]
    [InlineData("""{"access_token":"at","expires_in":"3600","refresh_token":"rt-new"}""", 3_600, "rt-new")]
    [InlineData("""{"access_token":"at","expires_in":null,"refresh_token":""}""", null, "rt-old")]
    [InlineData("""{"access_token":"at","expires_in":-1}""", null, "rt-old")]
    [InlineData("""{"access_token":"at","expires_in":1e300}""", 315_360_000, "rt-old")]
    public async Task Tokens_are_read_as_providers_write_them(string json, int? seconds, string refreshToken)
    {
        var tokens = (await AskAsync(200, json)).Tokens!;
        Assert.Equal(("at", refreshToken), (tokens.AccessToken, tokens.RefreshToken));
        Assert.Equal(seconds, (int?)(tokens.ExpiresAt - tokens.ObtainedAt)?.TotalSeconds);
    }

    [Fact]
    public async Task Further_texts_of_the_answer_are_fields_and_tokens_are_not_among_them()
    {
        var tokens = (
            await AskAsync(
                200,
                """{"access_token":"at","id_token":"x.y.z","token_type":"bearer","scope":"a b","instance_url":"https://my.example","team":{"id":1},"n":1}"""
            )
        ).Tokens!;
        Assert.Equal("https://my.example", Assert.Single(tokens.Fields, static one => one.Key == "instance_url").Value);
        Assert.Single(tokens.Fields);
    }

    [Theory]
    [InlineData(
        400,
        """{"error":"invalid_grant","error_description":"Token has been revoked."}""",
        "invalid_grant: Token has been revoked.",
        true
    )]
    [InlineData(401, """{"error":"invalid_client"}""", "invalid_client", true)]
    [InlineData(200, """{"ok":false,"error":"invalid_refresh_token"}""", "invalid_refresh_token", true)]
    [InlineData(400, """{"error":"temporarily_unavailable"}""", "temporarily_unavailable", false)]
    [InlineData(429, """{"error":"rate","message":"Slow\r\ndown"}""", "rate: Slow  down", false)]
    [InlineData(500, """{"error":"invalid_grant"}""", "invalid_grant", false)]
    [InlineData(400, """{"error":{"code":7}}""", "127.0.0.1 responded with 400 without an access token", false)]
    [InlineData(200, """{"access_token":7}""", "127.0.0.1 responded with 200 without an access token", false)]
    [InlineData(400, """{"error":"denied","error_description":"\ud800"}""", "denied: \ufffd", true)]
    [InlineData(200, """["access_token"]""", "127.0.0.1 responded with 200, without a JSON object", false)]
    [InlineData(200, "<html>", "127.0.0.1 responded with 200, without a JSON object", false)]
    public async Task Refusals_keep_the_providers_words_and_only_clear_ones_are_final(int status, string json, string words, bool isFinal)
    {
        var fault = (await AskAsync(status, json)).Fault!;
        Assert.Equal((words, isFinal), (fault.Message, fault.IsFinal));
    }

    [Fact]
    public async Task Redirect_is_not_followed_and_a_response_over_the_limit_is_no_token()
    {
        int before = provider.Server.Requests;
        var redirected = await AskAsync(
            context =>
            {
                context.Response.Redirect(provider.Server.TokenUrl, permanent: true, preserveMethod: true);
                return Task.CompletedTask;
            },
            new() { DeliveryMaxRedirects = 5 }
        );
        Assert.Equal("127.0.0.1 responded with 308, without a JSON object", redirected.Fault!.Message);
        Assert.Equal(1, provider.Server.Requests - before);

        string large = $$"""{"access_token":"at","filler":"{{new string('x', 300_000)}}"}""";
        Assert.Equal("127.0.0.1 responded with 200, without a JSON object", (await AskAsync(200, large)).Fault!.Message);
    }

    [Fact]
    public async Task Small_capture_of_deliveries_does_not_cut_tokens()
    {
        var answer = await AskAsync(
            static context => AuthorizationServer.AnswerAsync(context, 200, """{"access_token":"a-token-of-some-length"}"""),
            new() { DeliveryBodyCapture = 4 }
        );
        Assert.Equal("a-token-of-some-length", answer.Tokens!.AccessToken);
    }

    [Fact]
    public async Task Address_that_sends_may_not_reach_is_not_dialled()
    {
        int before = provider.Server.Requests;
        using var endpoint = new TokenEndpoint(EgressPolicy.Default, new(), TimeProvider.System);

        var fault = (await endpoint.AskAsync(Client(), refresh, null)).Fault!;

        Assert.Contains("127.0.0.1", fault.Message);
        Assert.False(fault.IsFinal);
        Assert.Equal(0, provider.Server.Requests - before);

        // D2: token requests have a name of their own, under which the operator can allow more.
        var own = new EgressOptions
        {
            Policies = new(EgressPolicy.Default, [new EgressLayer(TokenEndpoint.EgressName, ["127.0.0.0/8"], [])]),
        };
        provider.Server.Instead = static context => AuthorizationServer.AnswerAsync(context, 200, """{"access_token":"at"}""");
        using var allowed = new TokenEndpoint(own, new(), TimeProvider.System);
        Assert.Equal("at", (await allowed.AskAsync(Client(), refresh, null)).Tokens?.AccessToken);
    }

    [Fact]
    public async Task Silent_provider_is_given_up_at_the_deadline()
    {
        var silence = new TaskCompletionSource();
        var answer = await AskAsync(_ => silence.Task, new() { AccountTimeout = TimeSpan.FromMilliseconds(200) });
        silence.SetResult();
        Assert.StartsWith("127.0.0.1: timed out after 200 ms", answer.Fault!.Message);
    }
}
