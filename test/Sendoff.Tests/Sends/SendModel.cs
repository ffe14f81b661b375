using System.Text;

namespace Sendoff.Tests.Sends;

/// <summary>What a receiver must find of a send (A2-A7), or a refusal: written from the contract, without a look at the harness.</summary>
/// <param name="OwnQuery">The pieces that stay of the URL's own query, as they stand there; null where it has no query.</param>
/// <param name="Params">The pairs that follow them.</param>
/// <param name="Headers">By lower-case name, in the order of their lines. Whatever may follow a <c>boundary=</c> at the end.</param>
/// <param name="Ignored">Headers, as they were spelled, of which the step was warned.</param>
sealed record SendModel(
    string Method,
    string Path,
    IReadOnlyList<string>? OwnQuery,
    IReadOnlyList<(string, string)> Params,
    IReadOnlyDictionary<string, string[]> Headers,
    BodyModel Body,
    IReadOnlyList<string> Ignored
)
{
    /// <summary>A7, and RFC 9110 7.6.1: what belongs to one connection, or frames the message.</summary>
    static readonly HashSet<string> hopByHop = new(StringComparer.OrdinalIgnoreCase)
    {
        "connection",
        "content-length",
        "transfer-encoding",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "proxy-connection",
        "expect",
        "http2-settings",
    };

    /// <exception cref="RefusedException">The first option that is bad, in the order method, url, data, headers, params, auth.</exception>
    public static SendModel Of(AskedSend asked, AskedUrl? url, int port)
    {
        if (
            asked.Method is not JsText { Value: var given }
            || !IsToken(given)
            || given.ToUpperInvariant() is not (not "CONNECT" and var method)
        )
            throw new RefusedException("method");
        if (url is null)
            throw new RefusedException("url");
        var address = url.Model;

        var (headers, ignored, refusal) = HeadersOf(asked.Headers);
        // What is sent under a content type of headers that are bad is judged without it.
        string? chosen = refusal is null && headers.TryGetValue("content-type", out string[]? types) ? types[0] : null;
        var body = BodyModel.Of(asked.Data, chosen);
        if (refusal is not null)
            throw refusal;
        var pairs = ParamsOf(asked.Params);
        byte[]? credentials = AuthOf(asked.Auth) ?? address.Credentials;

        headers.TryAdd("host", [$"{address.Host}:{port}"]);
        if (chosen is null && body.Type is { } type)
            headers["content-type"] = [type];
        else if (body.Parts is not null && LacksBoundary(chosen!))
            headers["content-type"] = [$"{chosen}; boundary=", .. headers["content-type"][1..]];
        if (credentials is not null)
            headers["authorization"] = [$"Basic {Convert.ToBase64String(credentials)}"];
        headers.TryAdd("accept", ["*/*"]);
        headers.TryAdd("accept-encoding", ["gzip, deflate"]);
        headers.TryAdd("user-agent", ["sendoff/0.1.0"]);
        var asPairs = pairs.Select(static pair => (BodyModel.WellFormed(pair.Key), BodyModel.WellFormed(pair.Value)));
        return new(method, address.Path, Kept(address.Query, pairs), [.. asPairs], headers, body, ignored);
    }

    static bool LacksBoundary(string type) =>
        type.StartsWith("multipart/", StringComparison.OrdinalIgnoreCase)
        && !type.Contains("boundary=", StringComparison.OrdinalIgnoreCase);

    static bool IsToken(string text) =>
        text.Length > 0 && text.All(static c => char.IsAsciiLetterOrDigit(c) || "!#$%&'*+-.^_`|~".Contains(c));

    static (Dictionary<string, string[]>, List<string>, RefusedException?) HeadersOf(Js? given)
    {
        var headers = new Dictionary<string, string[]>();
        var ignored = new List<string>();
        if (given is null or JsOdd { Kind: "undefined" or "null" })
            return (headers, ignored, null);
        if (given is not JsObject { Properties: var properties })
            return (headers, ignored, new("headers"));
        // Of names that differ in case only, the last counts, whatever it is.
        var last = properties
            .GroupBy(static p => p.Key.ToLowerInvariant())
            .Select(static same => same.Last())
            .ToDictionary(static p => p.Key, static p => p.Value);
        var names = properties.Select(static p => p.Key).ToList();
        if (names.Find(static name => !IsToken(name)) is { } bad)
            return (headers, ignored, new($"headers.{Shown(bad)}"));
        foreach (string name in names.Where(last.ContainsKey))
        {
            if (last[name] is JsOdd { Kind: "undefined" or "null" })
                continue;
            if (hopByHop.Contains(name))
            {
                ignored.Add(name);
                continue;
            }
            try
            {
                string[] lines = LinesOf(last[name], name);
                if (lines.Length > 0)
                    headers[name.ToLowerInvariant()] = lines;
            }
            catch (RefusedException refusal)
            {
                return (headers, ignored, refusal);
            }
        }
        return (headers, ignored, null);
    }

    /// <summary>A message holds no control characters.</summary>
    static string Shown(string name) => name.Any(static c => c is < ' ' or '\x7f') ? JsonModel.Of(new JsText(name))![1..^1] : name;

    static string[] LinesOf(Js value, string name)
    {
        string[] lines = value is JsArray { Items: var items }
            ? [.. items.Where(static item => item is not JsOdd { Kind: "undefined" or "null" }).Select(item => LineOf(item, name))]
            : [LineOf(value, name)];
        return lines.Length > 1 && name.Equals("host", StringComparison.OrdinalIgnoreCase)
            ? throw new RefusedException($"headers.{name}")
            : lines;
    }

    static string LineOf(Js value, string name)
    {
        string text = value switch
        {
            JsText { Value: var given } => given,
            JsNumber { Value: var number } => JsText.OfNumber(number),
            JsBool { Value: var yes } => yes ? "true" : "false",
            JsBigInt { Value: var number } => number.ToString(System.Globalization.CultureInfo.InvariantCulture),
            _ => throw new RefusedException($"headers.{name}"),
        };
        // RFC 9110 5.5: field values are of visible characters, spaces, tabs and obs-text; the white space around one is no part of it.
        return text.All(static c => c is '\t' or (>= ' ' and <= '~') or (>= '\x80' and <= '\xff'))
            ? text.Trim(' ', '\t')
            : throw new RefusedException($"headers.{name}");
    }

    static List<(string Key, string Value, string Name)> ParamsOf(Js? given) =>
        given switch
        {
            null or JsOdd { Kind: "undefined" or "null" } => [],
            JsSearchParams { Pairs: var pairs } => [.. pairs.Select(static pair => (pair.Key, pair.Value, pair.Key))],
            JsObject { Properties: var properties } =>
            [
                .. properties.SelectMany(static p =>
                    Pairs
                        .Of(new JsObject("object", [p]), "params", blobs: false)
                        .Select(pair => (pair.Key, ((JsText)pair.Value).Value, p.Key))
                ),
            ],
            _ => throw new RefusedException("params"),
        };

    /// <summary>`params` wins over a key of the same name, also where that has brackets behind it.</summary>
    static List<string>? Kept(string? query, List<(string Key, string Value, string Name)> pairs)
    {
        if (query is null)
            return null;
        var names = pairs.Select(static pair => BodyModel.WellFormed(pair.Name)).ToHashSet();
        return
        [
            .. query
                .Split('&')
                .Where(piece =>
                    piece.Length > 0
                    && !names.Any(name => KeyOf(piece) is var key && (key == name || key.StartsWith(name + "[", StringComparison.Ordinal)))
                ),
        ];
    }

    static string KeyOf(string piece) => Encoding.UTF8.GetString(UrlModel.PercentDecode(piece.Split('=')[0].Replace('+', ' ')));

    static byte[]? AuthOf(Js? given)
    {
        if (given is null or JsOdd { Kind: "undefined" })
            return null;
        if (given is not JsObject { Properties: var properties })
            throw new RefusedException("auth");
        var last = properties.ToDictionary(static p => p.Key, static p => p.Value);
        if (last.GetValueOrDefault("username") is not JsText { Value: var username })
            throw new RefusedException("auth.username");
        if (last.GetValueOrDefault("password") is not JsText { Value: var password })
            throw new RefusedException("auth.password");
        return Encoding.UTF8.GetBytes($"{username}:{password}");
    }
}
