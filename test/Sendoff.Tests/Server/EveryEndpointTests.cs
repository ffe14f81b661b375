using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Reflection;
using System.Text;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Endpoints;
using Microsoft.AspNetCore.Routing;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>Whatever a caller sends to whatever is mapped: the answer is never 500, and nothing fails behind it.</summary>
public sealed class EveryEndpointTests
{
    static CancellationToken Ct => TestContext.Current.CancellationToken;
    const int AtOnce = 4;

    /// <summary>One pair in so many is sent of types and bodies, and of fields and values: each with several of the other.</summary>
    const int Spread = 4;

    /// <summary>Each input that these take has a worker load the workflow: every type, body, field and value comes once.</summary>
    static readonly string[] loading = ["/deploy", "/draft/check", "/replay-draft"];

    static readonly string[] texts =
    [
        "%00",
        "%ff",
        "%ed%a0%80",
        "%F0%9F%98%80",
        "%2e%2e",
        "x%2fy",
        "%0d%0a",
        "%22",
        "%5b::1",
        new string('a', 3_000),
        "-1",
        "0",
        "99999999999999999999",
        "0x10",
        "NaN",
        "7fffffffffffffff",
        "ffffffffffffffff",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00%2B14:00",
        "10000-01-01",
        "run_zzzzzzzzzzzzz",
        "dlv_7zzzzzzzzzzzz",
        "gA",
    ];

    static readonly string[] bodies =
    [
        "",
        "{",
        "[]",
        "null",
        "\"\\ud800\"",
        new string('[', 100_000),
        "{\"a\":1,\"a\":2}",
        "a=%00&name=%ff",
        "name=%ED%A0%80&scope=x",
        "--x\r\n\r\n",
        new string('%', 50),
        "--x\r\ncontent-disposition: form-data; name=\"name\"; filename*=utf-7''x\r\n\r\n1\r\n--x--\r\n",
        "PK\u0003\u0004nonsense",
        "\u00ff\u00fe\u0000",
        "\u00ef\u00bb\u00bf",
    ];

    static readonly string?[] types =
    [
        null,
        "",
        "application/json",
        "application/json; charset=utf-7",
        "text/plain; charset=utf-7",
        "text/plain; charset=bogus",
        "text/plain; charset=utf-32BE",
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=utf-7",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "multipart/form-data; boundary=\"\"",
        "application/zip",
        ",",
        "\u00ff",
    ];

    static readonly string[] fields =
    [
        "name",
        "value",
        "files",
        "event",
        "ids",
        "test",
        "ttl",
        "scope",
        "status",
        "q",
        "draft",
        "host",
        "since",
    ];

    static readonly string[] values =
    [
        "\"\\ud800\"",
        "\"\\u0000\"",
        "1e999",
        "-0",
        "null",
        "{}",
        "[]",
        "true",
        "\"\"",
        "\"" + new string('a', 3_000) + "\"",
        "{\"\\udc00\":1}",
        new string('[', 450) + new string(']', 450),
    ];

    static readonly (string Name, string Value)[] headers =
    [
        ("cookie", "sendoff_session=\u00ff"),
        ("cookie", "a;;;=;sendoff_session"),
        ("accept", "\u00ff"),
        ("accept-encoding", "zstd;q=9"),
        ("if-none-match", "\u00ff"),
        ("range", "bytes=9-1"),
        ("origin", "\u00ff"),
        ("sec-fetch-site", "x"),
        ("upgrade", "h2c"),
        ("content-encoding", "gzip"),
        ("accept-language", new string('a', 2_000)),
        ("blazor-enhanced-nav", "on"),
        ("last-event-id", "\u00ff"),
        ("authorization", "Bearer \u00ff"),
        ("authorization", "Basic x"),
        ("host", "127.0.0.1:99999"),
        ("host", "[::1"),
        ("host", "a b"),
        ("host", "\u00ff"),
        ("x-pd-nostore", "\u00ff"),
    ];

    sealed record Asked(string Method, string Path, string? Type = null, byte[]? Body = null, (string Name, string Value)? Header = null);

    [Fact]
    public async Task No_input_to_any_mapped_endpoint_is_answered_500()
    {
        await using var server = await TestServer.StartAsync();
        var known = await PrepareAsync(server);
        var asked = server
            .Get<EndpointDataSource>()
            .Endpoints.OfType<RouteEndpoint>()
            .SelectMany(endpoint => Inputs(endpoint, known))
            .Distinct()
            .ToList();
        Assert.True(asked.Count > 3_000, $"only {asked.Count} inputs");
        var failed = await SendAllAsync(server, asked);

        // What came in is shown again, wherever it is shown.
        var kept = await server.Store.ListRunsAsync(new("fuzzed", null, null, null, null, 200), Ct);
        Assert.NotEmpty(kept.Items);
        var shown = kept.Items.SelectMany(run => new[] { $"/runs/{run.Id}", $"/api/v1/runs/{run.Id}", $"/api/v1/events/{run.EventId}" });
        failed =
        [
            .. failed,
            .. await SendAllAsync(
                server,
                [
                    .. shown
                        .Concat(["/", "/api/v1/events", "/api/v1/runs?q=a", "/settings", "/deliveries"])
                        .Select(path => new Asked("GET", path)),
                ]
            ),
        ];
        Assert.True(failed.Count == 0, string.Join('\n', failed.Take(20).Concat(server.Logs.Take(5))));
        Assert.DoesNotContain(
            server.Logs,
            line => line.Contains("RequestErrors", StringComparison.Ordinal) || line.Contains("Endpoint:", StringComparison.Ordinal)
        );
    }

    /// <summary>A page whose parameter is no string answers 500 to whatever does not fit it.</summary>
    [Fact]
    public void Parameters_of_pages_are_strings()
    {
        var others = typeof(Sendoff.Ui.App)
            .Assembly.GetTypes()
            .SelectMany(type => type.GetProperties())
            .Where(property =>
                property.GetCustomAttribute<SupplyParameterFromQueryAttribute>() is not null
                && property.PropertyType != typeof(string)
                && property.PropertyType != typeof(string[])
            );
        Assert.Empty(others.Select(property => $"{property.DeclaringType!.Name}.{property.Name}"));
    }

    /// <summary>Values under which each endpoint finds something.</summary>
    static async Task<Dictionary<string, string>> PrepareAsync(TestServer server)
    {
        string hook = await server.DeployAsync(
            "fuzzed",
            "export default defineComponent({ async run({ $ }) { $.send.http({ method: 'GET', url: 'http://127.0.0.1:9/' }); return 1; "
                + "} });"
        );
        var run = await server.RunAsync(hook);
        return new()
        {
            ["name"] = "fuzzed",
            ["key"] = "fuzzed",
            ["version"] = "1",
            ["run"] = run.Id,
            ["runs"] = run.Id,
            ["deliveries"] = run.Steps[0].Deliveries[0].Id,
            ["events"] = run.EventId,
        };
    }

    static IEnumerable<Asked> Inputs(RouteEndpoint endpoint, Dictionary<string, string> known)
    {
        var allowed = endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? ["GET", "POST"];
        string pattern = "/" + endpoint.RoutePattern.RawText!.TrimStart('/');
        string path = Fill(
            endpoint,
            part =>
                known.GetValueOrDefault(part) ?? known.GetValueOrDefault(pattern.Split('/').FirstOrDefault(known.ContainsKey) ?? "") ?? "x"
        );
        // What would take the workflow away that all others ask is done to one that is not there.
        string other = path.Replace("fuzzed", "doomed", StringComparison.Ordinal);
        foreach (string method in new[] { "GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "CONNECT", "FOO" })
            yield return new(method, method is "GET" or "HEAD" ? path : other);
        foreach (string method in allowed)
        {
            if (
                method is "PUT" or "DELETE"
                || pattern.EndsWith("/disable", StringComparison.Ordinal)
                || pattern.EndsWith("/delete", StringComparison.Ordinal)
            )
                path = other;
            if (endpoint.RoutePattern.Parameters.Count > 0)
                foreach (string text in texts)
                    yield return new(method, Fill(endpoint, _ => text));
            foreach (string name in QueryOf(endpoint))
            foreach (string text in texts)
                yield return new(method, $"{path}?{name}={text}");
            yield return new(method, path + "?a=1&a=2&%ff=%00&=");
            foreach (var header in headers)
                yield return new(method, path, Header: header);
            if (method is "GET" or "HEAD" or "DELETE")
                continue;
            bool once = loading.Any(end => pattern.EndsWith(end, StringComparison.Ordinal));
            for (int type = 0; type < types.Length; type++)
            for (int body = 0; body < bodies.Length; body++)
                if ((type + body) % (once ? Math.Min(types.Length, bodies.Length) : Spread) == 0)
                    yield return new(method, path, types[type], Encoding.Latin1.GetBytes(bodies[body]));
            for (int field = 0; field < fields.Length; field++)
            for (int value = 0; value < values.Length; value++)
                if ((field + value) % (once ? Math.Min(fields.Length, values.Length) : Spread) == 0)
                    yield return new(method, path, "application/json", Encoding.UTF8.GetBytes($"{{\"{fields[field]}\":{values[value]}}}"));
            foreach (string value in values)
                yield return new(method, path, "application/json", Encoding.UTF8.GetBytes($"{{\"files\":{{\"step.js\":{value}}}}}"));
        }
    }

    static string Fill(RouteEndpoint endpoint, Func<string, string> value) =>
        "/"
        + string.Join(
            '/',
            endpoint.RoutePattern.PathSegments.Select(segment =>
                string.Concat(
                    segment.Parts.Select(part =>
                        part is Microsoft.AspNetCore.Routing.Patterns.RoutePatternParameterPart parameter ? value(parameter.Name)
                        : part is Microsoft.AspNetCore.Routing.Patterns.RoutePatternLiteralPart literal ? literal.Content
                        : "."
                    )
                )
            )
        );

    static IEnumerable<string> QueryOf(RouteEndpoint endpoint)
    {
        if (endpoint.Metadata.GetMetadata<ComponentTypeMetadata>() is { Type: var page })
            return page.GetProperties()
                .Where(one => one.GetCustomAttribute<SupplyParameterFromQueryAttribute>() is not null)
                .Select(one => one.GetCustomAttribute<SupplyParameterFromQueryAttribute>()!.Name ?? one.Name);
        return endpoint
                .Metadata.GetMetadata<MethodInfo>()
                ?.GetParameters()
                .Where(one => one.ParameterType == typeof(string))
                .Select(one => one.Name!)
            ?? [];
    }

    static async Task<IReadOnlyCollection<string>> SendAllAsync(TestServer server, IReadOnlyCollection<Asked> all)
    {
        using var handler = new SocketsHttpHandler
        {
            UseCookies = false,
            AllowAutoRedirect = false,
            RequestHeaderEncodingSelector = static (_, _) => Encoding.Latin1,
        };
        using var client = new HttpClient(handler) { BaseAddress = server.Address, Timeout = Wait.Limit };
        var failed = new ConcurrentQueue<string>();
        await Parallel.ForEachAsync(
            all,
            new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = Ct },
            async (one, ct) =>
            {
                if (await SendAsync(client, one, ct) is { } fault)
                    failed.Enqueue(fault);
            }
        );
        return failed;
    }

    static async Task<string?> SendAsync(HttpClient client, Asked asked, CancellationToken ct)
    {
        var address = new Uri(
            client.BaseAddress!.GetLeftPart(UriPartial.Authority) + asked.Path,
            new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }
        );
        using var request = new HttpRequestMessage(new(asked.Method), address);
        if (asked.Method == "CONNECT")
            request.Headers.Host = address.Authority;
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", TestServer.Token);
        if (asked.Body is not null)
            request.Content = new ByteArrayContent(asked.Body);
        if (asked.Type is not null)
            request.Content!.Headers.TryAddWithoutValidation("content-type", asked.Type);
        if (asked.Header is { } header)
        {
            if (header.Name == "authorization")
                request.Headers.Authorization = null;
            if (!request.Headers.TryAddWithoutValidation(header.Name, header.Value))
                (request.Content ??= new ByteArrayContent([])).Headers.TryAddWithoutValidation(header.Name, header.Value);
        }
        string what =
            $"{asked.Method} {(asked.Path.Length > 150 ? asked.Path[..150] + "…" : asked.Path)} {asked.Type} {asked.Header} "
            + $"{(asked.Body is { } body ? Encoding.Latin1.GetString(body[..Math.Min(body.Length, 100)]) : "")}";
        try
        {
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
            return response.StatusCode == HttpStatusCode.InternalServerError ? what : null;
        }
        // Kestrel answers some before the request is sent to its end, and closes.
        catch (HttpRequestException x) when (x.InnerException is IOException || x.HttpRequestError == HttpRequestError.ConnectionError)
        {
            return null;
        }
        // The client's own rules.
        catch (Exception x) when (x is HttpRequestException { InnerException: null } or FormatException or NotSupportedException)
        {
            return null;
        }
    }
}
