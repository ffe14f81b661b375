using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Time.Testing;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

/// <summary>C3: redirects, followed only where the setting says so.</summary>
public sealed class RedirectTests
{
    const string Ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    static string To(string location, int status = 302, string body = "moved") =>
        $"HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: {body.Length}\r\n\r\n{body}";

    static EngineLimits Following(int most = 5) => new() { DeliveryMaxRedirects = most };

    /// <summary>Answers each request by its target: a redirect where the table has one, else 200.</summary>
    static Receiver Routing(Func<string, string?> redirect, X509Certificate2? certificate = null) =>
        Receiver.Start(
            async connection =>
            {
                while (await connection.ReadRequestAsync() is { } request)
                    await connection.WriteAsync(redirect(request.Split(' ')[1]) ?? Ok);
            },
            certificate
        );

    static HttpSend Send(string method, string url, string body = "", params Header[] headers) =>
        new(method, url, headers, System.Text.Encoding.UTF8.GetBytes(body));

    [Theory]
    [InlineData(301)]
    [InlineData(302)]
    [InlineData(303)]
    [InlineData(307)]
    [InlineData(308)]
    public async Task Without_the_setting_there_is_one_request_and_the_3xx_is_the_response(int status)
    {
        await using var receiver = Routing(target => target == "/" ? To("/next", status) : null);
        using var sending = new Sending();
        var attempt = await sending.PostAsync(receiver.Url);

        Assert.StartsWith("POST / ", receiver.Request);
        Assert.Equal(
            (DeliveryStatus.Failed, null, status, "moved"),
            (attempt.Status, attempt.Error, attempt.Response!.Status, attempt.Text())
        );
        Assert.Empty(attempt.Redirects);
    }

    [Theory]
    [InlineData(301, "POST", "GET", "")]
    [InlineData(302, "POST", "GET", "")]
    [InlineData(303, "POST", "GET", "")]
    [InlineData(307, "POST", "POST", "hello")]
    [InlineData(308, "POST", "POST", "hello")]
    [InlineData(301, "PUT", "PUT", "hello")]
    [InlineData(302, "DELETE", "DELETE", "hello")]
    [InlineData(303, "PUT", "GET", "")]
    [InlineData(303, "HEAD", "HEAD", "")]
    [InlineData(302, "GET", "GET", "")]
    public async Task Each_kind_keeps_or_drops_method_body_and_content_headers(int status, string method, string then, string body)
    {
        await using var receiver = Routing(target => target == "/" ? To("/next", status, body: method == "HEAD" ? "" : "moved") : null);
        using var sending = new Sending(Following());
        string sent = method is "GET" or "HEAD" ? "" : "hello";
        var attempt = await sending.SendAsync(
            Send(method, receiver.Url, sent, new("Content-Type", "text/plain"), new("content-language", "en"), new("x-kept", "1"))
        );

        Assert.Equal((DeliveryStatus.Succeeded, 200), (attempt.Status, attempt.Response!.Status));
        string second = receiver.Requests.Last();
        Assert.StartsWith($"{then} /next HTTP/1.1\r\n", second);
        Assert.EndsWith("\r\n\r\n" + body, second);
        Assert.Contains("\r\nx-kept: 1\r\n", second);
        bool keepsContent = status is not 303 && !(method == "POST" && status is 301 or 302 && then == "GET");
        Assert.Equal(keepsContent, second.Contains("Content-Type: text/plain"));
        Assert.Equal(keepsContent, second.Contains("content-language: en"));
    }

    [Fact]
    public async Task The_attempt_records_each_hop_the_first_request_the_last_response_and_the_last_address()
    {
        await using var last = Routing(_ => null);
        await using var second = Routing(_ => To(last.Url + "c", 307));
        await using var first = Routing(_ => To(second.Url + "b?x=1#part", 302));
        using var sending = new Sending(Following());
        var attempt = await sending.PostAsync(first.Url);

        Assert.Equal(
            [
                new("POST", first.Url, 302, $"127.0.0.1:{first.Port}", second.Url + "b?x=1"),
                new("GET", second.Url + "b?x=1", 307, $"127.0.0.1:{second.Port}", last.Url + "c"),
            ],
            attempt.Redirects
        );
        Assert.Equal(
            (DeliveryStatus.Succeeded, "ok", $"127.0.0.1:{last.Port}", "127.0.0.1"),
            (attempt.Status, attempt.Text(), attempt.RemoteAddress, attempt.LocalAddress)
        );
        Assert.Equal(first.Request.Split("\r\n\r\n")[0].Split("\r\n")[1..], attempt.RequestHeaders.Select(h => $"{h.Name}: {h.Value}"));
        Assert.Equal((1, 1, 1), (first.Requests.Count, second.Requests.Count, last.Requests.Count));
    }

    [Fact]
    public async Task Phases_are_the_sum_of_all_hops()
    {
        using var certificate = TestCertificates.Issue("127.0.0.1");
        await using var secure = Routing(_ => null, certificate);
        await using var receiver = Routing(target =>
            target == "/" ? To("/next")
            : target == "/next" ? To(secure.Url)
            : null
        );
        using var sending = new Sending(Following(), TestCertificates.Roots);
        var timing = (await sending.PostAsync(receiver.Url)).Timing;

        Assert.All(new[] { timing.ConnectMs, timing.TlsMs, timing.WriteMs, timing.WaitMs, timing.ReadMs }, phase => Assert.NotNull(phase));
        double sum = timing.ConnectMs!.Value + timing.TlsMs!.Value + timing.WriteMs!.Value + timing.WaitMs!.Value + timing.ReadMs!.Value;
        Assert.InRange(sum, 0, timing.TotalMs + 0.001);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(10)]
    public async Task A_loop_ends_after_the_last_allowed_hop_with_the_3xx_as_response(int most)
    {
        await using var receiver = Routing(_ => To("/again", 307));
        using var sending = new Sending(Following(most));
        var attempt = await sending.PostAsync(receiver.Url);

        Assert.Equal(
            (DeliveryStatus.Failed, null, 307, "moved"),
            (attempt.Status, attempt.Error, attempt.Response!.Status, attempt.Text())
        );
        Assert.Equal((most + 1, most), (receiver.Requests.Count, attempt.Redirects.Count));
    }

    [Fact]
    public async Task The_connection_of_a_redirect_is_used_again_for_the_same_origin()
    {
        await using var receiver = Routing(target => target == "/" ? To("/next") : null);
        using var sending = new Sending(Following());
        var attempt = await sending.PostAsync(receiver.Url);

        Assert.Equal((1, 2), (receiver.Connections, receiver.Requests.Count));
        Assert.True(attempt.ConnectionReused);
    }

    [Fact]
    public async Task A_redirect_whose_body_is_larger_than_what_is_read_is_followed_on_another_connection()
    {
        await using var receiver = Routing(target => target == "/" ? To("/next", 302, new string('x', 5_000)) : null);
        using var sending = new Sending(Following() with { DeliveryBodyRead = 1_000 });
        var attempt = await sending.PostAsync(receiver.Url);

        Assert.Equal((DeliveryStatus.Succeeded, "ok", 2), (attempt.Status, attempt.Text(), receiver.Connections));
        Assert.False(attempt.Response!.Truncated);
    }

    [Fact]
    public async Task Another_origin_gets_neither_credentials_nor_a_host_that_were_set_for_the_first()
    {
        await using var other = Routing(_ => null);
        await using var receiver = Routing(target => target == "/" ? To("/same", 307) : To(other.Url, 307));
        using var sending = new Sending(Following());
        await sending.SendAsync(
            Send(
                "POST",
                receiver.Url,
                "hello",
                new("Authorization", "Bearer x"),
                new("cookie", "a=b"),
                new("Proxy-Authorization", "y"),
                new("Host", "shop.example"),
                new("x-kept", "1")
            )
        );

        string same = receiver.Requests.Last();
        foreach (
            string line in new[] { "Authorization: Bearer x", "cookie: a=b", "Proxy-Authorization: y", "Host: shop.example", "x-kept: 1" }
        )
            Assert.Contains($"\r\n{line}\r\n", same);
        foreach (string name in new[] { "authorization:", "cookie:", "shop.example" })
            Assert.DoesNotContain(name, other.Request, StringComparison.OrdinalIgnoreCase);
        Assert.Contains($"\r\nhost: 127.0.0.1:{other.Port}\r\n", other.Request);
        Assert.Contains("\r\nx-kept: 1\r\n", other.Request);
        Assert.EndsWith("\r\n\r\nhello", other.Request);
    }

    [Fact]
    public async Task From_http_to_https_is_followed_and_drops_credentials()
    {
        using var certificate = TestCertificates.Issue("127.0.0.1");
        await using var secure = Routing(_ => null, certificate);
        await using var plain = Routing(_ => To(secure.Url, 308));
        using var sending = new Sending(Following(), TestCertificates.Roots);
        var attempt = await sending.SendAsync(Send("POST", plain.Url, "hello", new Header("authorization", "Bearer x")));

        Assert.Equal(DeliveryStatus.Succeeded, attempt.Status);
        Assert.NotNull(attempt.Timing.TlsMs);
        Assert.DoesNotContain("Bearer", secure.Request);
    }

    [Fact]
    public async Task From_https_to_http_is_not_followed()
    {
        using var certificate = TestCertificates.Issue("127.0.0.1");
        await using var plain = Routing(_ => null);
        await using var secure = Routing(_ => To(plain.Url, 307), certificate);
        using var sending = new Sending(Following(), TestCertificates.Roots);
        var attempt = await sending.PostAsync(secure.Url);

        Assert.Equal((DeliveryStatus.Failed, null, 307), (attempt.Status, attempt.Error, attempt.Response!.Status));
        Assert.Empty(plain.Requests);
    }

    [Theory]
    [InlineData("http://169.254.169.254/latest/meta-data/", "169.254.169.254 lies in 169.254.0.0/16")]
    [InlineData("http://0xa9fea9fe/", "169.254.169.254 lies in 169.254.0.0/16")]
    [InlineData("//10.0.0.1/", "10.0.0.1 lies in 10.0.0.0/8")]
    public async Task A_hop_that_egress_refuses_fails_the_attempt_and_keeps_the_redirect_as_response(string location, string reason)
    {
        await using var receiver = Routing(_ => To(location, 307));
        using var sending = new Sending(Following());
        var attempt = await sending.PostAsync(receiver.Url);

        Assert.Equal((DeliveryStatus.Failed, AttemptErrorCode.BlockedByEgressPolicy), (attempt.Status, attempt.Error!.Code));
        Assert.StartsWith("after 1 redirect, at http://", attempt.Error.Message);
        Assert.Contains(reason, attempt.Error.Message);
        Assert.Equal((307, "moved"), (attempt.Response!.Status, attempt.Text()));
        Assert.Equal((1, null), (attempt.Redirects.Count, attempt.RemoteAddress));
        Assert.Single(receiver.Requests);
    }

    [Fact]
    public async Task A_hop_where_nobody_listens_is_that_error_behind_the_redirect()
    {
        int port = ServerProcess.FreePort();
        await using var receiver = Routing(_ => To($"http://127.0.0.1:{port}/secret", 307));
        using var sending = new Sending(Following());
        var attempt = await sending.PostAsync(receiver.Url);

        Assert.Equal(
            (DeliveryStatus.Failed, AttemptErrorCode.ConnectRefused, AttemptPhase.Connect),
            (attempt.Status, attempt.Error!.Code, attempt.Error.Phase)
        );
        Assert.StartsWith($"after 1 redirect, at http://127.0.0.1:{port}: ", attempt.Error.Message);
        Assert.DoesNotContain("secret", attempt.Error.Message);
        Assert.Equal((307, $"127.0.0.1:{port}"), (attempt.Response!.Status, attempt.RemoteAddress));
    }

    [Fact]
    public async Task Slow_hops_share_one_deadline()
    {
        // Each hop takes 2 s of the 5: the third is cut off.
        var time = new FakeTimeProvider();
        await using var receiver = Receiver.Start(async connection =>
        {
            while (await connection.ReadRequestAsync() is not null)
            {
                time.Advance(TimeSpan.FromSeconds(2));
                await connection.WriteAsync(To("/again", 307));
            }
        });
        using var sender = new DeliverySender(Sending.Loopback, Following(10), time);
        var attempt = await sender.SendAsync(Sending.DeliveryOf(Sending.Post(receiver.Url)), 1, 0, default);

        Assert.Equal((DeliveryStatus.Failed, AttemptErrorCode.Timeout), (attempt.Status, attempt.Error!.Code));
        Assert.Contains("after 2 redirects, at http://127.0.0.1", attempt.Error.Message);
        Assert.Contains("timed out after 5,000 ms", attempt.Error.Message);
        Assert.Equal((3, 2), (receiver.Requests.Count, attempt.Redirects.Count));
    }

    [Fact]
    public async Task A_kept_connection_that_dies_under_a_hop_brings_no_second_request()
    {
        await using var receiver = Receiver.Start(async connection =>
        {
            await connection.ReadRequestAsync();
            await connection.WriteAsync(To("/next", 307));
            await connection.ReadRequestAsync();
        });
        using var sending = new Sending(Following());
        var attempt = await sending.PostAsync(receiver.Url);

        Assert.Equal(
            (DeliveryStatus.Failed, AttemptErrorCode.ConnectionClosed, true),
            (attempt.Status, attempt.Error!.Code, attempt.ConnectionReused)
        );
        Assert.Equal((1, 2), (receiver.Connections, receiver.Requests.Count));
    }

    [Theory]
    [InlineData("HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n")]
    [InlineData("HTTP/1.1 302 Found\r\nlocation:\r\ncontent-length: 0\r\n\r\n")]
    [InlineData("HTTP/1.1 302 Found\r\nlocation: /a\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n")]
    [InlineData("HTTP/1.1 302 Found\r\nlocation: ftp://127.0.0.1/\r\ncontent-length: 0\r\n\r\n")]
    [InlineData("HTTP/1.1 302 Found\r\nlocation: javascript:alert(1)\r\ncontent-length: 0\r\n\r\n")]
    [InlineData("HTTP/1.1 302 Found\r\nlocation: http:///x\r\ncontent-length: 0\r\n\r\n")]
    [InlineData("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:99999/\r\ncontent-length: 0\r\n\r\n")]
    [InlineData("HTTP/1.1 302 Found\r\nlocation: http://\u00e4.example/\r\ncontent-length: 0\r\n\r\n")]
    [InlineData("HTTP/1.1 300 Choices\r\nlocation: /a\r\ncontent-length: 0\r\n\r\n")]
    [InlineData("HTTP/1.1 304 Not Modified\r\nlocation: /a\r\n\r\n")]
    [InlineData("HTTP/1.1 305 Use Proxy\r\nlocation: /a\r\ncontent-length: 0\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nlocation: /a\r\ncontent-length: 0\r\n\r\n")]
    public async Task What_leads_nowhere_is_the_response(string response)
    {
        await using var receiver = Receiver.Answering(response);
        using var sending = new Sending(Following());
        var attempt = await sending.PostAsync(receiver.Url);

        Assert.Null(attempt.Error);
        Assert.Empty(attempt.Redirects);
        Assert.Single(receiver.Requests);
    }

    [Fact]
    public async Task Credentials_in_a_location_are_not_used()
    {
        await using var receiver = Routing(_ => null);
        await using var first = Routing(_ => To($"http://user:secret@127.0.0.1:{receiver.Port}/in"));
        using var sending = new Sending(Following());
        var attempt = await sending.GetAsync(first.Url);

        Assert.StartsWith("GET /in ", receiver.Request);
        Assert.DoesNotContain("authorization", receiver.Request, StringComparison.OrdinalIgnoreCase);
        Assert.Equal($"{receiver.Url}in", Assert.Single(attempt.Redirects).Location);
    }

    [Theory]
    // RFC 3986 5.4, normal and abnormal.
    [InlineData("g", "http://a/b/c/g")]
    [InlineData("./g", "http://a/b/c/g")]
    [InlineData("g/", "http://a/b/c/g/")]
    [InlineData("/g", "http://a/g")]
    [InlineData("//g", "http://g/")]
    [InlineData("?y", "http://a/b/c/d;p?y")]
    [InlineData("g?y", "http://a/b/c/g?y")]
    [InlineData("#s", "http://a/b/c/d;p?q")]
    [InlineData("g#s", "http://a/b/c/g")]
    [InlineData("g?y#s", "http://a/b/c/g?y")]
    [InlineData(";x", "http://a/b/c/;x")]
    [InlineData(".", "http://a/b/c/")]
    [InlineData("..", "http://a/b/")]
    [InlineData("../g", "http://a/b/g")]
    [InlineData("../..", "http://a/")]
    [InlineData("../../g", "http://a/g")]
    [InlineData("../../../g", "http://a/g")]
    [InlineData("/./g", "http://a/g")]
    [InlineData("/../g", "http://a/g")]
    [InlineData("g.", "http://a/b/c/g.")]
    [InlineData("..g", "http://a/b/c/..g")]
    [InlineData("./g/.", "http://a/b/c/g/")]
    [InlineData("g/../h", "http://a/b/c/h")]
    [InlineData("g;x=1/../y", "http://a/b/c/y")]
    [InlineData("g?y/../x", "http://a/b/c/g?y/../x")]
    [InlineData("https://x", "https://x/")]
    [InlineData("HTTP://x?y", "HTTP://x/?y")]
    [InlineData("http://u:p@x:8080/y@z", "http://x:8080/y@z")]
    [InlineData("//u@v@x/y", "http://x/y")]
    [InlineData("/a b/\u00c3\u00a4", "http://a/a%20b/%C3%A4")]
    [InlineData("/%2e%2E/x%20", "http://a/%2e%2E/x%20")]
    [InlineData("http:g", null)]
    [InlineData("mailto:x@y", null)]
    public void Locations_resolve_as_the_standard_says(string location, string? url) =>
        Assert.Equal(url, UrlReference.Resolve("http://a/b/c/d;p?q", location));

    [Theory]
    [InlineData("http://a", "g", "http://a/g")]
    [InlineData("http://a?q", "?y", "http://a/?y")]
    [InlineData("http://a/b#f", "c", "http://a/c")]
    public void A_base_without_path_has_the_root(string url, string location, string expected) =>
        Assert.Equal(expected, UrlReference.Resolve(url, location));
}
