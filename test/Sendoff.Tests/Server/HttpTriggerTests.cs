using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Sendoff.Engine;
using Sendoff.Engine.Storage;
using Sendoff.Server.Triggers;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

public sealed class HttpTriggerTests(SharedServer shared) : IClassFixture<SharedServer>, IAsyncLifetime
{
    readonly TestServer server = shared.Server;
    readonly HttpClient client = shared.Server.NewClient();

    public async ValueTask InitializeAsync()
    {
        if (await server.Store.GetWorkflowAsync("orders", default) is null)
            await server.DeployAsync("orders", "export default async () => {};");
    }

    public ValueTask DisposeAsync() => default;

    [Fact]
    public async Task An_event_tells_method_path_query_headers_body_client_and_url()
    {
        var request = new HttpRequestMessage(HttpMethod.Put, "/hooks/orders/a/b%20c?x=1&y=2&y=3") { Content = Json("""{ "id": 1043 }""") };
        request.Headers.Add("X-Shop", ["one", "two"]);
        using var response = await client.SendAsync(request);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("*", response.Headers.GetValues("access-control-allow-origin").Single());
        Assert.NotEmpty(await response.Content.ReadAsStringAsync());
        var e = await server.EventOfAsync(response);
        Assert.Equal("PUT", e.GetProperty("method").GetString());
        Assert.Equal("/a/b c", e.GetProperty("path").GetString());
        Assert.Equal("""{"x":"1","y":["2","3"]}""", e.GetProperty("query").GetRawText());
        Assert.Equal("one, two", e.GetProperty("headers").GetProperty("x-shop").GetString());
        Assert.Equal(1043, e.GetProperty("body").GetProperty("id").GetInt32());
        Assert.Equal("127.0.0.1", e.GetProperty("client_ip").GetString());
        Assert.Equal(
            new Uri(server.Address, "/hooks/orders/a/b%20c?x=1&y=2&y=3").ToString(),
            new Uri(e.GetProperty("url").GetString()!).ToString()
        );
        Assert.Equal("JSON", e.GetProperty("inferred_body_type").GetString());
    }

    [Theory]
    [InlineData("application/json", "[1,{\"a\":null}]", "[1,{\"a\":null}]", "JSON")]
    [InlineData("application/vnd.shop+json; charset=utf-8", "{\"a\":\"é\"}", "{\"a\":\"é\"}", "JSON")]
    [InlineData(null, "{\"a\":1}", "{\"a\":1}", "JSON")]
    [InlineData("application/json", "{\"a\":", "\"{\\\"a\\\":\"", "TEXT")]
    [InlineData("application/json", "{} trailing", "\"{} trailing\"", "TEXT")]
    [InlineData("text/plain", "{\"a\":1}", "\"{\\\"a\\\":1}\"", "TEXT")]
    [InlineData("application/x-www-form-urlencoded", "a=1&b=x+y%26&b=2", "{\"a\":\"1\",\"b\":[\"x y&\",\"2\"]}", "FORM")]
    [InlineData("application/x-www-form-urlencoded", "{\"a\":1}", "{\"a\":1}", "JSON")]
    public async Task A_body_is_read_by_its_content_type(string? type, string body, string expected, string inferred)
    {
        using var response = await client.PostAsync("/hooks/orders", Content(type, Encoding.UTF8.GetBytes(body)));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var e = await server.EventOfAsync(response);
        Assert.True(JsonElement.DeepEquals(JsonElement.Parse(expected), e.GetProperty("body")), e.GetRawText());
        Assert.Equal(inferred, e.GetProperty("inferred_body_type").GetString());
    }

    [Fact]
    public async Task A_body_that_is_no_text_is_Base64_and_says_so()
    {
        byte[] bytes = [0xff, 0x00, 0x80, 0x22];
        using var binary = await client.PostAsync("/hooks/orders", Content("application/json", bytes));
        using var latin = await client.PostAsync("/hooks/orders", Content("text/plain; charset=iso-8859-1", [0x63, 0x61, 0x66, 0xe9]));

        var e = await server.EventOfAsync(binary);
        Assert.Equal(bytes, e.GetProperty("body").GetBytesFromBase64());
        Assert.Equal("BASE64", e.GetProperty("inferred_body_type").GetString());
        Assert.Equal("café", (await server.EventOfAsync(latin)).GetProperty("body").GetString());
    }

    // A slash inside of a segment is not one between segments.
    [Fact]
    public async Task A_path_is_decoded_but_for_slashes_inside_of_a_segment()
    {
        using var response = await client.PostAsync("/hooks/orders/a%2Fb%20c/d%25e", Json("{}"));
        Assert.Equal("/a%2Fb c/d%e", (await server.EventOfAsync(response)).GetProperty("path").GetString());
    }

    [Fact]
    public async Task Names_of_query_parameters_and_form_fields_are_case_sensitive()
    {
        using var form = await client.PostAsync(
            "/hooks/orders?id=1&ID=2&id=3",
            Content("application/x-www-form-urlencoded", "from=a%40x.example&From=Ann&%zz=%&=x"u8.ToArray())
        );
        var parts = new MultipartFormDataContent { { new StringContent("1"), "id" }, { new StringContent("2"), "ID" } };
        using var multipart = await client.PostAsync("/hooks/orders", parts);

        var e = await server.EventOfAsync(form);
        Assert.Equal("""{"id":["1","3"],"ID":"2"}""", e.GetProperty("query").GetRawText());
        Assert.Equal("""{"from":"a@x.example","From":"Ann","%zz":"%","":"x"}""", e.GetProperty("body").GetRawText());
        Assert.Equal("""{"id":"1","ID":"2"}""", (await server.EventOfAsync(multipart)).GetProperty("body").GetRawText());
    }

    [Theory]
    [InlineData("iso-8859-1", "4A6F73E9", "José")]
    [InlineData("\"windows-1252\"", "4A6F73E92080", "José €")]
    [InlineData("ISO-8859-15", "A4", "€")]
    [InlineData("windows-1251", "CFF0", "Пр")]
    [InlineData("koi8-r", "F0D2", "Пр")]
    [InlineData("Shift_JIS", "93FA967B", "日本")]
    [InlineData("\"gbk\"", "C4E3", "你")]
    [InlineData("iso-2022-jp", "1B2442467E1B2842", "入")]
    [InlineData("utf-16", "FFFE41E90061", null)]
    [InlineData("utf-8", "C3A9", "é")]
    [InlineData("us-ascii", "C3A9", "é")]
    public async Task Text_fields_and_parts_are_read_in_their_charset(string charset, string hex, string? expected)
    {
        byte[] bytes = Convert.FromHexString(hex);
        using var text = await client.PostAsync("/hooks/orders", Content($"text/xml; charset={charset}", bytes));
        byte[] encoded = [.. "a="u8, .. bytes, .. Encoding.ASCII.GetBytes("&b=" + string.Concat(bytes.Select(static b => $"%{b:X2}")))];
        using var form = await client.PostAsync("/hooks/orders", Content($"application/x-www-form-urlencoded; charset={charset}", encoded));
        byte[] part =
        [
            .. Encoding.ASCII.GetBytes(
                $"--B\r\nContent-Disposition: form-data; name=a\r\nContent-Type: text/plain; charset={charset}\r\n\r\n"
            ),
            .. bytes,
            .. "\r\n--B--\r\n"u8,
        ];
        using var multipart = await client.PostAsync("/hooks/orders", Content("multipart/form-data; boundary=B", part));
        byte[] named =
        [
            .. Encoding.ASCII.GetBytes(
                $"--B\r\nContent-Disposition: form-data; name=_charset_\r\n\r\n{charset}\r\n--B\r\nContent-Disposition: form-data; "
                    + "name=a\r\n\r\n"
            ),
            .. bytes,
            .. "\r\n--B--\r\n"u8,
        ];
        using var whole = await client.PostAsync("/hooks/orders", Content("multipart/form-data; boundary=B", named));

        if (expected is null)
            return; // taken without an error, whatever it says
        Assert.Equal(expected, (await server.EventOfAsync(text)).GetProperty("body").GetString());
        Assert.Equal(expected, (await server.EventOfAsync(multipart)).GetProperty("body").GetProperty("a").GetString());
        Assert.Equal(expected, (await server.EventOfAsync(whole)).GetProperty("body").GetProperty("a").GetString());
        var fields = (await server.EventOfAsync(form)).GetProperty("body");
        Assert.Equal([expected, expected], [fields.GetProperty("a").GetString(), fields.GetProperty("b").GetString()]);
    }

    [Fact]
    public async Task JSON_nested_beyond_all_reason_is_a_string()
    {
        using var response = await client.PostAsync("/hooks/orders", Json(new string('[', 100_000) + new string(']', 100_000)));
        Assert.Equal(JsonValueKind.String, (await server.EventOfAsync(response)).GetProperty("body").ValueKind);
    }

    [Fact]
    public async Task A_multipart_form_is_an_object_with_its_files()
    {
        var form = new MultipartFormDataContent
        {
            { new StringContent("Ada"), "name" },
            { new StringContent("a"), "tag" },
            { new StringContent("b"), "tag" },
        };
        var file = new ByteArrayContent([1, 2, 255]);
        file.Headers.ContentType = new MediaTypeHeaderValue("image/png");
        form.Add(file, "photo", "p.png");
        using var response = await client.PostAsync("/hooks/orders", form);

        var e = await server.EventOfAsync(response);
        var body = e.GetProperty("body");
        Assert.Equal("Ada", body.GetProperty("name").GetString());
        Assert.Equal("""["a","b"]""", body.GetProperty("tag").GetRawText());
        Assert.Equal(
            ("p.png", "image/png"),
            (body.GetProperty("photo").GetProperty("filename").GetString(), body.GetProperty("photo").GetProperty("mimetype").GetString())
        );
        Assert.Equal("MULTIPART_FORM", e.GetProperty("inferred_body_type").GetString());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_body_over_the_limit_is_refused_with_and_without_a_length(bool chunked)
    {
        var content = new ByteArrayContent(new byte[new EngineLimits().TriggerBodyBytes + 1]);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/hooks/orders") { Content = content };
        request.Headers.TransferEncodingChunked = chunked;
        using var response = await client.SendAsync(request);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        await AssertProblemAsync(response, "524,288");
        Assert.False(response.Headers.Contains("sendoff-run"));
    }

    [Fact]
    public async Task A_body_of_exactly_the_limit_is_taken_in_many_pieces()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/hooks/orders")
        {
            Content = new ByteArrayContent([.. Enumerable.Repeat((byte)'x', new EngineLimits().TriggerBodyBytes)]),
        };
        request.Headers.TransferEncodingChunked = true;
        using var response = await client.SendAsync(request);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(new EngineLimits().TriggerBodyBytes, (await server.EventOfAsync(response)).GetProperty("body").GetString()!.Length);
    }

    [Fact]
    public async Task An_unknown_key_and_a_disabled_one_get_the_same_answer()
    {
        using var unknown = await client.PostAsync("/hooks/nobody", Json("{}"));
        string hook = await server.DeployAsync("off", "export default async () => {};");
        (await server.Http.PostAsync("/api/v1/workflows/off/disable", null)).EnsureSuccessStatusCode();
        using var disabled = await client.PostAsync(hook, Json("{}"));

        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, disabled.StatusCode);
        Assert.Equal(await unknown.Content.ReadAsStringAsync(), await disabled.Content.ReadAsStringAsync());
        await AssertProblemAsync(disabled, "no trigger");
    }

    [Fact]
    public async Task A_full_queue_and_a_lost_store_say_when_to_come_again()
    {
        await using var gate = Sink.Start(hold: true);
        await using var small = await TestServer.StartAsync(new EngineLimits { RunsQueued = 1 });
        string busy = await small.DeployAsync("busy", $"export default async () => {{ await fetch('{gate.Url}'); }};");
        string idle = await small.DeployAsync("idle", "export default async () => {};");
        using var first = await client.PostAsync(new Uri(small.Address, busy), Json("{}"));
        using var full = await client.PostAsync(new Uri(small.Address, busy), Json("{}"));
        small.StoreFails = new StoreUnavailableException("the disk is full");
        using var lost = await client.PostAsync(new Uri(small.Address, idle), Json("{}"));
        small.StoreFails = new InvalidOperationException("secret detail");
        using var fault = await client.PostAsync(new Uri(small.Address, idle), Json("{}"));

        Assert.Equal(HttpStatusCode.TooManyRequests, full.StatusCode);
        Assert.NotNull(full.Headers.RetryAfter);
        await AssertProblemAsync(full, "1 queued runs");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, lost.StatusCode);
        Assert.NotNull(lost.Headers.RetryAfter);
        await AssertProblemAsync(lost, "the disk is full");
        Assert.Equal(HttpStatusCode.InternalServerError, fault.StatusCode);
        Assert.DoesNotContain("secret detail", await fault.Content.ReadAsStringAsync());
        gate.Release(); // or the server waits for the run
    }

    [Fact]
    public async Task A_preflight_is_answered_and_starts_no_run()
    {
        using var request = new HttpRequestMessage(HttpMethod.Options, "/hooks/orders");
        request.Headers.Add("origin", "https://shop.example");
        request.Headers.Add("access-control-request-method", "POST");
        request.Headers.Add("access-control-request-headers", "content-type, x-shop");
        using var response = await client.SendAsync(request);

        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        Assert.Equal("https://shop.example", response.Headers.GetValues("access-control-allow-origin").Single());
        Assert.Equal("GET,HEAD,PUT,PATCH,POST,DELETE", response.Headers.GetValues("access-control-allow-methods").Single());
        Assert.Equal("content-type, x-shop", response.Headers.GetValues("access-control-allow-headers").Single());
        Assert.False(response.Headers.Contains("sendoff-run"));
    }

    [Fact]
    public async Task A_fixed_answer_is_given_as_it_stands()
    {
        string hook = await server.DeployAsync(
            "fixed",
            "export default async () => {};",
            response: "{ status: 202, body: '{\"queued\":true}' }"
        );
        using var response = await client.PostAsync(hook, Json("{}"));

        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        Assert.Equal("application/json", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal("{\"queued\":true}", await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task The_run_answers_with_its_own_status_headers_and_body_and_without_hop_by_hop_headers()
    {
        string hook = await server.DeployAsync(
            "tea",
            """
            $respond({
              status: 418,
              headers: { "content-type": "text/html", "X-Own": "1", "set-cookie": ["a=1", "b=2"], connection: "close", "transfer-encoding": "chunked", "content-length": "9999" },
              body: "<p>tea</p>",
            });
            """,
            "step.js",
            "custom"
        );
        using var response = await client.PostAsync(hook, Json("{}"));

        Assert.Equal(418, (int)response.StatusCode);
        Assert.Equal("<p>tea</p>", await response.Content.ReadAsStringAsync());
        Assert.Equal("1", response.Headers.GetValues("x-own").Single());
        Assert.Equal(["a=1", "b=2"], response.Headers.GetValues("set-cookie"));
        Assert.Null(response.Headers.ConnectionClose);
        Assert.Equal(10, response.Content.Headers.ContentLength);
        Assert.Contains("sandbox", response.Headers.GetValues("content-security-policy").Single());
    }

    [Fact]
    public void Header_lines_that_would_break_the_response_are_left_out_whatever_a_worker_says()
    {
        var headers = new HeaderDictionary();
        ResponseHeaders.Copy(
            [new("bad name", "x"), new("", "x"), new("x-split", "a\r\nb: c"), new("x-null", "\0"), new("x-ok", "1")],
            headers
        );
        Assert.Equal("x-ok", Assert.Single(headers).Key);
    }

    [Fact]
    public async Task A_run_that_never_responds_is_a_400_that_says_so()
    {
        using var response = await client.PostAsync(
            await server.DeployAsync("silent", "export default async () => {};", response: "custom"),
            Json("{}")
        );

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("No $.respond called in workflow", await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task The_session_of_a_signed_in_browser_does_not_reach_the_workflow()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/hooks/orders");
        request.Headers.Add("cookie", "theme=dark; sendoff_session=abc; cart=7");
        using var response = await client.SendAsync(request);

        var e = await server.EventOfAsync(response);
        Assert.Equal("theme=dark; cart=7", e.GetProperty("headers").GetProperty("cookie").GetString());
        Assert.Equal("", e.GetProperty("body").GetString());
    }

    [Fact]
    public async Task A_trigger_answers_for_any_host_without_a_token()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/hooks/orders");
        request.Headers.Host = "hooks.example.com";
        using var response = await client.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    static async Task AssertProblemAsync(HttpResponseMessage response, string says)
    {
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType!.MediaType);
        var problem = JsonElement.Parse(await response.Content.ReadAsStringAsync());
        Assert.Equal((int)response.StatusCode, problem.GetProperty("status").GetInt32());
        Assert.Contains(says, problem.GetProperty("detail").GetString());
    }

    static ByteArrayContent Json(string text) => Content("application/json", Encoding.UTF8.GetBytes(text));

    static ByteArrayContent Content(string? type, byte[] body)
    {
        var content = new ByteArrayContent(body);
        if (type is not null)
            content.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
        return content;
    }
}
