using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Sendoff.Engine.Deliveries;

namespace Sendoff.Engine.Accounts;

/// <summary>The response of a token endpoint: tokens, or the error.</summary>
internal sealed record TokenAnswer(OAuthTokens? Tokens, AccountFault? Fault);

/// <summary> Requests tokens from a provider (RFC 6749, sections 4.1.3, 4.4.2 and 6). A request uses the same egress rules, addresses and
/// proxy as an attempt of a delivery (D), and is not recorded (I5). </summary>
public sealed class TokenEndpoint : IDisposable
{
    /// <summary>The name for separate egress rules of token requests (D2). No workflow can have it.</summary>
    public const string EgressName = "sendoff/accounts";

    const int LongestToken = 32 * 1024,
        LongestField = 2_048,
        LongestWords = 500,
        MostFields = 20;

    /// <summary>OAuth errors, and errors of known providers, after which the same request can succeed later.</summary>
    static readonly string[] passing =
    [
        "temporarily_unavailable",
        "server_error",
        "slow_down",
        "ratelimited",
        "rate_limited",
        "internal_error",
    ];

    static readonly string[] ownMembers = ["access_token", "refresh_token", "id_token", "token_type", "expires_in", "scope", "ok", "error"];

    readonly DeliverySender sender;
    readonly TimeProvider time;

    public TokenEndpoint(EgressOptions egress, EngineLimits limits, TimeProvider time)
    {
        this.time = time;
        // A redirect could send the token to another server, and a truncated response cannot be used.
        var own = limits with
        {
            DeliveryDeadline = limits.AccountTimeout,
            DeliveryMaxRedirects = 0,
            DeliveryBodyCapture = limits.TokenResponseBytes,
        };
        sender = new DeliverySender(egress, own, time, static _ => EgressName);
    }

    public void Dispose() => sender.Dispose();

    /// <param name="grant">The parameters of the grant, without those of the client.</param>
    /// <param name="refreshToken">The current refresh token, which is kept if the response has no new one.</param>
    internal async Task<TokenAnswer> AskAsync(OAuthClient client, IReadOnlyList<KeyValuePair<string, string>> grant, string? refreshToken)
    {
        var request = Request(client, grant);
        var now = time.GetUtcNow();
        var asked = new Delivery(
            default,
            default,
            WorkspaceId.Default,
            default,
            0,
            0,
            Destination.Of(client.TokenUrl),
            request,
            DeliveryStatus.Sending
        );
        var attempt = await sender.SendAsync(asked, 1, 0, CancellationToken.None).ConfigureAwait(false);
        if (attempt.Error is { } error)
            return Failed($"{Host(client)}: {error.Message}", false, now);
        return Read(client, attempt.Response!, refreshToken, now);
    }

    static HttpSend Request(OAuthClient client, IReadOnlyList<KeyValuePair<string, string>> grant)
    {
        var headers = new List<Header> { new("content-type", "application/x-www-form-urlencoded"), new("accept", "application/json") };
        var form = grant.ToList();
        if (client is { Authentication: ClientAuthentication.Basic, ClientSecret: { } secret })
        {
            string pair = $"{WebUtility.UrlEncode(client.ClientId)}:{WebUtility.UrlEncode(secret)}";
            headers.Add(new("authorization", $"Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes(pair))}"));
        }
        else
        {
            form.Add(new("client_id", client.ClientId));
            if (client.ClientSecret is not null)
                form.Add(new("client_secret", client.ClientSecret));
        }
        string body = string.Join('&', form.Select(static one => $"{WebUtility.UrlEncode(one.Key)}={WebUtility.UrlEncode(one.Value)}"));
        return new("POST", client.TokenUrl, headers, Encoding.UTF8.GetBytes(body));
    }

    static TokenAnswer Read(OAuthClient client, AttemptResponse response, string? refreshToken, DateTimeOffset now)
    {
        if (Parse(response) is not { ValueKind: JsonValueKind.Object } body)
            return Failed($"{Host(client)} responded with {response.Status}, without a JSON object", false, now);
        if (response.Status is < 200 or >= 300 || Text(body, "access_token") is not { } accessToken)
            return Refused(client, response.Status, body, now);
        if (accessToken.Length is 0 or > LongestToken)
            return Failed(
                $"{Host(client)} returned an access token of {accessToken.Length:N0} characters; 1 to {LongestToken:N0} are accepted",
                false,
                now
            );
        var lifetime = Seconds(body) ?? client.Lifetime;
        var tokens = new OAuthTokens(
            accessToken,
            // RFC 6749, section 6: without a new refresh token, the old one stays valid.
            Text(body, "refresh_token") is { Length: > 0 and <= LongestToken } next
                ? next
                : refreshToken,
            now,
            now + lifetime,
            FieldsOf(body)
        );
        return new(tokens, null);
    }

    // Slack responds with 200 and `ok: false`.
    static TokenAnswer Refused(OAuthClient client, int status, JsonElement body, DateTimeOffset now)
    {
        string? code = Text(body, "error");
        string words = string.Join(
            ": ",
            new[] { code, Text(body, "error_description") ?? Text(body, "message") }.Where(static part => !string.IsNullOrWhiteSpace(part))
        );
        if (words.Length == 0)
            return Failed($"{Host(client)} responded with {status} without an access token", false, now);
        bool isFinal = code is not null && status is < 500 and not 408 and not 429 && !passing.Contains(code, StringComparer.Ordinal);
        return Failed(Plain(words), isFinal, now);
    }

    static TokenAnswer Failed(string message, bool isFinal, DateTimeOffset at) => new(null, new(message, isFinal, at));

    static string Host(OAuthClient client) => new Uri(client.TokenUrl).Host;

    // The provider's message is shown in terminals and lists.
    static string Plain(string words)
    {
        string line = new([.. words.Select(static c => char.IsControl(c) ? ' ' : c)]);
        return line.Length <= LongestWords ? line : $"{line[..LongestWords]}…";
    }

    static JsonElement? Parse(AttemptResponse response)
    {
        try
        {
            return response.Truncated ? null : JsonSyntax.ParseForeign(Encoding.UTF8.GetString(response.Body.Span));
        }
        catch (JsonException)
        {
            return null;
        }
    }

    static string? Text(JsonElement body, string name) =>
        body.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    // Some providers write the number as a string.
    static TimeSpan? Seconds(JsonElement body)
    {
        if (!body.TryGetProperty("expires_in", out var value))
            return null;
        string? text = value.ValueKind switch
        {
            JsonValueKind.Number => value.GetRawText(),
            JsonValueKind.String => value.GetString(),
            _ => null,
        };
        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double seconds) && seconds > 0
            ? TimeSpan.FromSeconds(Math.Min(seconds, TimeSpan.FromDays(3_650).TotalSeconds))
            : null;
    }

    static Dictionary<string, string> FieldsOf(JsonElement body) =>
        body.EnumerateObject()
            .Where(static member =>
                member.Value.ValueKind == JsonValueKind.String && !ownMembers.Contains(member.Name, StringComparer.Ordinal)
            )
            .Select(static member => (member.Name, Value: member.Value.GetString()!))
            .Where(static member => member.Value.Length is > 0 and <= LongestField && member.Name.Length <= 64)
            .DistinctBy(static member => member.Name)
            .Take(MostFields)
            .ToDictionary(static member => member.Name, static member => member.Value);
}
