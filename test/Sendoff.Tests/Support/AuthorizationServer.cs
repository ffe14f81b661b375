using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Primitives;

namespace Sendoff.Tests.Support;

/// <summary>A strict OAuth 2.0 authorization server on loopback (RFC 6749, with PKCE, RFC 7636): one confidential client, one-time codes
/// and refresh tokens, and a page on which a user allows the access.</summary>
sealed class AuthorizationServer : IAsyncDisposable
{
    public const string ClientId = "sendoff-tests",
        // A '+' and a '/', which must be encoded in the header and in the form.
        ClientSecret = "the+client/secret of the tests";

    readonly WebApplication app;
    readonly ConcurrentDictionary<string, (string Challenge, string RedirectUri)> codes = new();
    readonly ConcurrentDictionary<string, bool> refreshTokens = new();
    readonly ConcurrentDictionary<string, bool> accessTokens = new();
    readonly SemaphoreSlim asked = new(0);
    readonly ConcurrentQueue<string> issued = new();
    int refreshes,
        requests;

    AuthorizationServer(WebApplication app)
    {
        this.app = app;
        app.MapGet("/authorize", Authorize);
        app.MapPost("/allow", AllowAsync);
        app.MapPost("/token", TokenAsync);
    }

    public Uri Address => new(app.Urls.First());
    public string AuthorizeUrl => new Uri(Address, "/authorize").AbsoluteUri;
    public string TokenUrl => new Uri(Address, "/token").AbsoluteUri;

    /// <summary>Lifetime of its tokens.</summary>
    public int? LifetimeSeconds { get; set; } = 3_600;

    /// <summary>A refresh returns a new refresh token, and the old one becomes invalid.</summary>
    public bool Rotates { get; set; } = true;

    /// <summary>Replaces the response to every token request.</summary>
    public Func<HttpContext, Task>? Instead { get; set; }

    /// <summary>Responses wait for this task.</summary>
    public Task Gate { get; set; } = Task.CompletedTask;

    /// <summary>Further members of the responses.</summary>
    public JsonObject More { get; } = [];

    /// <summary>Number of token requests.</summary>
    public int Requests => Volatile.Read(ref requests);

    /// <summary>Number of granted refreshes.</summary>
    public int Refreshes => Volatile.Read(ref refreshes);

    /// <summary>All issued codes and tokens, in order. No record may contain them.</summary>
    public IReadOnlyList<string> Issued => [.. issued];
    public string LastAccessToken => issued.Last(static one => one.StartsWith("at-", StringComparison.Ordinal));

    /// <summary>Waits until a further request for a token has arrived.</summary>
    public Task UntilAskedAsync() => Wait.ForAsync(asked);

    public bool Accepts(string accessToken) => accessTokens.ContainsKey(accessToken);

    /// <summary>Revokes all issued tokens.</summary>
    public void Revoke()
    {
        refreshTokens.Clear();
        accessTokens.Clear();
    }

    /// <summary>A refresh token, as from an earlier sign-in.</summary>
    public string NewRefreshToken() => Issue("rt-", refreshTokens);

    public static async Task<AuthorizationServer> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(static kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var server = new AuthorizationServer(builder.Build());
        await server.app.StartAsync();
        return server;
    }

    public ValueTask DisposeAsync() => app.DisposeAsync();

    string Issue(string prefix, ConcurrentDictionary<string, bool>? among)
    {
        string token = prefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(24));
        issued.Enqueue(token);
        if (among is not null)
            among[token] = true;
        return token;
    }

    // RFC 6749, 4.1.1: without a valid client and redirect URI, there is no target for an error.
    IResult Authorize(HttpRequest request)
    {
        var query = request.Query;
        if (query["client_id"] != ClientId || !Uri.TryCreate(query["redirect_uri"], UriKind.Absolute, out _))
            return Results.BadRequest("unknown client or redirect URI");
        if (query["response_type"] != "code")
            return Back(query, "unsupported_response_type");
        if (query["code_challenge_method"] != "S256" || query["code_challenge"].ToString().Length != 43)
            return Back(query, "invalid_request");
        string hidden = string.Concat(
            query.Select(static one =>
                $"<input type=hidden name='{WebUtility.HtmlEncode(one.Key)}' value='{WebUtility.HtmlEncode(one.Value)}'>"
            )
        );
        return Results.Content(
            $"<!doctype html><title>Provider</title><h1>Allow access?</h1><form method=post action=/allow>{hidden}"
                + "<button name=allow value=yes>Allow</button> <button name=allow value=no>Deny</button></form>",
            "text/html"
        );
    }

    async Task<IResult> AllowAsync(HttpRequest request)
    {
        var form = await request.ReadFormAsync();
        if (form["allow"] != "yes")
            return Back(form, "access_denied", "The person said no");
        string code = Issue("code-", null);
        codes[code] = (form["code_challenge"]!, form["redirect_uri"]!);
        return Results.Redirect(
            $"{form["redirect_uri"]}?code={Uri.EscapeDataString(code)}&state={Uri.EscapeDataString(form["state"].ToString())}"
        );
    }

    static IResult Back(IEnumerable<KeyValuePair<string, StringValues>> asked, string error, string? description = null)
    {
        var given = asked.ToDictionary(static one => one.Key, static one => one.Value.ToString());
        string more = description is null ? "" : $"&error_description={Uri.EscapeDataString(description)}";
        return Results.Redirect(
            $"{given["redirect_uri"]}?error={error}{more}&state={Uri.EscapeDataString(given.GetValueOrDefault("state", ""))}"
        );
    }

    async Task TokenAsync(HttpContext context)
    {
        Interlocked.Increment(ref requests);
        asked.Release();
        await Gate;
        if (Instead is { } instead)
        {
            await instead(context);
            return;
        }
        var form = await context.Request.ReadFormAsync();
        if (!IsClient(context.Request, form))
            await RefuseAsync(context, 401, "invalid_client", "The client is not known");
        else if (form["grant_type"] == "authorization_code")
            await FromCodeAsync(context, form);
        else if (form["grant_type"] == "refresh_token")
            await FromRefreshTokenAsync(context, form["refresh_token"].ToString());
        else if (form["grant_type"] == "client_credentials")
            await GiveAsync(context, null);
        else
            await RefuseAsync(context, 400, "unsupported_grant_type", "");
    }

    // 2.3.1: exactly one of the two ways.
    static bool IsClient(HttpRequest request, IFormCollection form)
    {
        string? header = request.Headers.Authorization;
        if (header is null)
            return form["client_id"] == ClientId && form["client_secret"] == ClientSecret;
        if (!header.StartsWith("Basic ", StringComparison.Ordinal) || form.ContainsKey("client_secret"))
            return false;
        string[] pair = Encoding.UTF8.GetString(Convert.FromBase64String(header["Basic ".Length..])).Split(':');
        return pair is [var id, var secret] && WebUtility.UrlDecode(id) == ClientId && WebUtility.UrlDecode(secret) == ClientSecret;
    }

    async Task FromCodeAsync(HttpContext context, IFormCollection form)
    {
        if (!codes.TryRemove(form["code"].ToString(), out var code))
            await RefuseAsync(context, 400, "invalid_grant", "The code is not known, or was used");
        else if (form["redirect_uri"] != code.RedirectUri)
            await RefuseAsync(context, 400, "invalid_grant", "The redirect URI is another");
        else if (Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(form["code_verifier"].ToString()))) != code.Challenge)
            await RefuseAsync(context, 400, "invalid_grant", "The code verifier is wrong");
        else
            await GiveAsync(context, NewRefreshToken());
    }

    async Task FromRefreshTokenAsync(HttpContext context, string refreshToken)
    {
        if (!refreshTokens.ContainsKey(refreshToken) || Rotates && !refreshTokens.TryRemove(refreshToken, out _))
        {
            await RefuseAsync(context, 400, "invalid_grant", "Token has been expired or revoked.");
            return;
        }
        Interlocked.Increment(ref refreshes);
        await GiveAsync(context, Rotates ? NewRefreshToken() : null);
    }

    Task GiveAsync(HttpContext context, string? refreshToken)
    {
        var body = new JsonObject { ["access_token"] = Issue("at-", accessTokens), ["token_type"] = "Bearer" };
        if (LifetimeSeconds is { } lifetime)
            body["expires_in"] = lifetime;
        if (refreshToken is not null)
            body["refresh_token"] = refreshToken;
        foreach (var (name, value) in More)
            body[name] = value?.DeepClone();
        return AnswerAsync(context, 200, body.ToJsonString());
    }

    static Task RefuseAsync(HttpContext context, int status, string error, string description) =>
        AnswerAsync(context, status, new JsonObject { ["error"] = error, ["error_description"] = description }.ToJsonString());

    public static Task AnswerAsync(HttpContext context, int status, string json, string type = "application/json")
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = type;
        context.Response.Headers.CacheControl = "no-store";
        return context.Response.WriteAsync(json);
    }
}
