using System.Net;
using System.Net.Sockets;
using System.Text;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

/// <summary>D3: deliveries through a proxy, which dials the address that was checked here.</summary>
public sealed class ProxyTests
{
    const string Ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    const string Password = "hunter2%40";

    static EgressOptions Through(TestProxy proxy, string scheme = "http", string userinfo = "", EgressPolicy? policy = null) =>
        new() { Policies = new(policy ?? Sending.Loopback), Proxy = Parse($"{scheme}://{userinfo}127.0.0.1:{proxy.Port}") };

    static EgressProxy Parse(string text) => EgressProxy.TryParse(text, out var proxy) ? proxy : throw new FormatException(text);

    static NameResolver Names(params string[] addresses) =>
        new(new EngineLimits(), _ => Task.FromResult(addresses.Select(IPAddress.Parse).ToArray()));

    static (AttemptErrorCode, AttemptPhase) Of(Attempt attempt) => (attempt.Error!.Code, attempt.Error.Phase);

    static TestProxy Start(string scheme, string? credentials = null) =>
        scheme == "http" ? TestProxy.Http(credentials) : TestProxy.Socks(credentials);

    [Theory]
    [InlineData("http")]
    [InlineData("socks5")]
    public async Task A_delivery_goes_through_the_proxy_to_the_address_that_was_checked(string scheme)
    {
        await using var receiver = Receiver.Answering(Ok);
        await using var proxy = Start(scheme);
        int questions = 0;
        var names = new NameResolver(
            new EngineLimits(),
            name =>
            {
                Assert.Equal("hook.example", name);
                questions++;
                return Task.FromResult(new[] { IPAddress.Loopback });
            }
        );
        using var sending = new Sending(names: names, egress: Through(proxy, scheme));
        var first = await sending.PostAsync($"http://hook.example:{receiver.Port}/a");
        var second = await sending.PostAsync($"http://hook.example:{receiver.Port}/b");

        Assert.Equal((DeliveryStatus.Succeeded, "ok", $"127.0.0.1:{receiver.Port}"), (first.Status, first.Text(), first.RemoteAddress));
        Assert.NotNull(first.Timing.ConnectMs);
        Assert.Equal((DeliveryStatus.Succeeded, true), (second.Status, second.ConnectionReused));
        Assert.Equal([$"127.0.0.1:{receiver.Port}"], proxy.Targets);
        Assert.Equal((1, 1, 1), (questions, proxy.Connections, receiver.Connections));
        Assert.All(receiver.Requests, request => Assert.Contains($"\r\nhost: hook.example:{receiver.Port}\r\n", request));
    }

    [Theory]
    [InlineData("http")]
    [InlineData("socks5")]
    public async Task Https_goes_through_the_same_way_and_is_between_us_and_the_receiver(string scheme)
    {
        await using var receiver = Receiver.Start(connection => connection.AnswerAllAsync(Ok), TestCertificates.Issue("hook.example"));
        await using var proxy = Start(scheme);
        using var sending = new Sending(roots: TestCertificates.Roots, names: Names("127.0.0.1"), egress: Through(proxy, scheme));
        var attempt = await sending.PostAsync($"https://hook.example:{receiver.Port}/");

        Assert.Equal((DeliveryStatus.Succeeded, $"127.0.0.1:{receiver.Port}"), (attempt.Status, attempt.RemoteAddress));
        Assert.NotNull(attempt.Timing.TlsMs);
        Assert.Equal([$"127.0.0.1:{receiver.Port}"], proxy.Targets);
    }

    [Theory]
    [InlineData("http")]
    [InlineData("socks5")]
    public async Task User_and_password_are_given_to_the_proxy_and_to_nobody_else(string scheme)
    {
        await using var receiver = Receiver.Answering(Ok);
        await using var proxy = Start(scheme, "user:hunter2@");
        using var sending = new Sending(egress: Through(proxy, scheme, $"user:{Password}@"));
        var attempt = await sending.PostAsync(receiver.Url);

        Assert.Equal(DeliveryStatus.Succeeded, attempt.Status);
        Assert.DoesNotContain("proxy-authorization", receiver.Request, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain(attempt.RequestHeaders, h => h.Name.Contains("proxy", StringComparison.OrdinalIgnoreCase));
    }

    [Theory]
    [InlineData("http", "")]
    [InlineData("http", "user:hunter3@")]
    [InlineData("socks5", "")]
    [InlineData("socks5", "user:hunter3@")]
    public async Task A_proxy_that_does_not_know_us_is_proxy_failed_and_no_password_is_told(string scheme, string userinfo)
    {
        await using var receiver = Receiver.Answering(Ok);
        await using var proxy = Start(scheme, "user:hunter2");
        using var sending = new Sending(egress: Through(proxy, scheme, userinfo));
        var attempt = await sending.PostAsync(receiver.Url);

        Assert.Equal((AttemptErrorCode.ProxyFailed, AttemptPhase.Connect), Of(attempt));
        Assert.StartsWith(
            $"the proxy {scheme}://127.0.0.1:{proxy.Port} "
                + $"{(userinfo.Length > 0 ? "does not accept its user and password" : "requires a user and a password")}",
            attempt.Error!.Message
        );
        Assert.DoesNotContain("hunter", attempt.Error.Message);
        Assert.Equal(0, receiver.Connections);
    }

    [Theory]
    [InlineData("http")]
    [InlineData("socks5")]
    public async Task What_the_rules_refuse_never_reaches_the_proxy(string scheme)
    {
        await using var proxy = Start(scheme);
        using var sending = new Sending(names: Names("10.0.0.1"), egress: Through(proxy, scheme, policy: EgressPolicy.Default));
        Assert.Equal(DeliveryStatus.Blocked, (await sending.PostAsync("http://inside.example/")).Status);
        Assert.Equal(DeliveryStatus.Blocked, (await sending.PostAsync("http://127.0.0.1/")).Status);
        Assert.Equal(0, proxy.Connections);
    }

    [Fact]
    public async Task The_proxys_own_address_is_not_judged_by_the_rules()
    {
        await using var proxy = TestProxy.Answering("HTTP/1.1 502 Bad Gateway\r\n\r\n");
        using var sending = new Sending(egress: Through(proxy, policy: EgressPolicy.Default));
        Assert.Equal((AttemptErrorCode.ConnectFailed, AttemptPhase.Connect), Of(await sending.PostAsync("http://8.8.8.8/")));
        Assert.Equal(["8.8.8.8:80"], proxy.Targets);
    }

    [Theory]
    [InlineData("HTTP/1.1 407 hunter2\r\n\r\n", AttemptErrorCode.ProxyFailed, "requires a user and a password (407)")]
    [InlineData(
        "HTTP/1.1 403 No\r\n\r\n",
        AttemptErrorCode.ProxyFailed,
        "does not allow a connection to 8.8.8.8:80: it responded with 403"
    )]
    [InlineData("HTTP/1.1 500 hunter2\r\n\r\n", AttemptErrorCode.ProxyFailed, "it responded with 500")]
    [InlineData("HTTP/1.1 503 hunter2\r\n\r\n", AttemptErrorCode.ConnectFailed, "no connection to 8.8.8.8:80 through the proxy")]
    [InlineData("HTTP/1.1 503 Busy\r\nRetry-After: 5\r\n\r\n", AttemptErrorCode.ProxyFailed, "has no room for a connection to 8.8.8.8:80")]
    [InlineData(
        "HTTP/1.1 503 Busy\r\nRetry-After-Hint: 5\r\n\r\n",
        AttemptErrorCode.ConnectFailed,
        "no connection to 8.8.8.8:80 through the proxy"
    )]
    [InlineData(
        "HTTP/1.1 503 Service Unavailable\r\nServer: squid/6.6\r\nX-Squid-Error: ERR_CONNECT_FAIL 111\r\n\r\n",
        AttemptErrorCode.ConnectRefused,
        "8.8.8.8:80 refused the connection"
    )]
    [InlineData(
        "HTTP/1.1 503 Service Unavailable\r\nX-Squid-Error: ERR_CONNECT_FAIL 113\r\n\r\n",
        AttemptErrorCode.ConnectUnreachable,
        "8.8.8.8:80 cannot be reached"
    )]
    [InlineData(
        "HTTP/1.1 503 Service Unavailable\r\nX-Squid-Error: ERR_CONNECT_FAIL 101\r\n\r\n",
        AttemptErrorCode.ConnectUnreachable,
        "8.8.8.8:80 cannot be reached"
    )]
    [InlineData(
        "HTTP/1.1 503 Service Unavailable\r\nX-Squid-Error: ERR_CONNECT_FAIL 110\r\n\r\n",
        AttemptErrorCode.ConnectFailed,
        "did not answer in time"
    )]
    [InlineData(
        "HTTP/1.1 503 Service Unavailable\r\nx-squid-error:ERR_CONNECT_FAIL 99\r\n\r\n",
        AttemptErrorCode.ConnectFailed,
        "no connection to 8.8.8.8:80"
    )]
    [InlineData(
        "HTTP/1.1 503 Service Unavailable\r\nX-Squid-Error: ERR_CANNOT_FORWARD 0\r\n\r\n",
        AttemptErrorCode.ProxyFailed,
        "refused to connect to 8.8.8.8:80: it responded with 503"
    )]
    [InlineData(
        "HTTP/1.1 403 Forbidden\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\n\r\n",
        AttemptErrorCode.ProxyFailed,
        "does not allow a connection to 8.8.8.8:80"
    )]
    [InlineData(
        "HTTP/1.0 500 Unable to connect\r\nServer: tinyproxy/1.11.1\r\n\r\n",
        AttemptErrorCode.ConnectFailed,
        "no connection to 8.8.8.8:80 through the proxy"
    )]
    [InlineData(
        "HTTP/1.1 407 Request rejected by proxy\r\nX-Smokescreen-Error: Egress proxying is denied to host '8.8.8.8:80': hunter2.\r\n\r\n",
        AttemptErrorCode.ProxyFailed,
        "does not allow a connection to 8.8.8.8:80: it responded with 407"
    )]
    [InlineData(
        "HTTP/1.1 502 Bad gateway\r\nX-Smokescreen-Error: Failed to connect to remote host: dial tcp 8.8.8.8:80: connect: "
            + "connection refused\r\n\r\n",
        AttemptErrorCode.ConnectRefused,
        "8.8.8.8:80 refused the connection"
    )]
    [InlineData(
        "HTTP/1.1 502 Bad gateway\r\nX-Smokescreen-Error: Failed to connect to remote host: dial tcp 8.8.8.8:80: connect: "
            + "no route to host\r\n\r\n",
        AttemptErrorCode.ConnectUnreachable,
        "8.8.8.8:80 cannot be reached"
    )]
    [InlineData(
        "HTTP/1.1 504 Gateway timeout\r\nX-Smokescreen-Error: Timed out connecting to remote host: dial tcp 8.8.8.8:80: "
            + "i/o timeout\r\n\r\n",
        AttemptErrorCode.ConnectFailed,
        "did not answer in time"
    )]
    [InlineData(
        "HTTP/1.1 503 x\r\nProxy-Status: envoy; error=connection_refused; details=\"UF\"\r\n\r\n",
        AttemptErrorCode.ConnectRefused,
        "8.8.8.8:80 refused the connection"
    )]
    [InlineData(
        "HTTP/1.1 502 x\r\nproxy-status: a.example; error=destination_ip_unroutable\r\n\r\n",
        AttemptErrorCode.ConnectUnreachable,
        "8.8.8.8:80 cannot be reached"
    )]
    [InlineData(
        "HTTP/1.1 504 x\r\nProxy-Status: edge;error=connection_timeout\r\n\r\n",
        AttemptErrorCode.ConnectFailed,
        "did not answer in time"
    )]
    [InlineData(
        "HTTP/1.1 502 x\r\nProxy-Status: edge; error=proxy_internal_error\r\n\r\n",
        AttemptErrorCode.ProxyFailed,
        "refused to connect to 8.8.8.8:80: it responded with 502"
    )]
    [InlineData(
        "HTTP/1.1 502 x\r\nProxy-Status: edge; error=destination_ip_prohibited\r\n\r\n",
        AttemptErrorCode.ProxyFailed,
        "does not allow a connection to 8.8.8.8:80"
    )]
    [InlineData(
        "HTTP/1.1 502 x\r\nx-note: X-Squid-Error: ERR_CANNOT_FORWARD 0\r\n\r\n",
        AttemptErrorCode.ConnectFailed,
        "no connection to 8.8.8.8:80"
    )]
    [InlineData("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\n\r\n", AttemptErrorCode.ProxyFailed, "it responded with 302")]
    [InlineData("HTTP/1.1 502 Bad Gateway\r\n\r\n", AttemptErrorCode.ConnectFailed, "no connection to 8.8.8.8:80 through the proxy")]
    [InlineData("HTTP/1.1 504 Late\r\n\r\n", AttemptErrorCode.ConnectFailed, "no connection to 8.8.8.8:80 through the proxy")]
    [InlineData("HTTP/1.1 20 OK\r\n\r\n", AttemptErrorCode.ProxyFailed, "not HTTP/1.1")]
    [InlineData("SSH-2.0-OpenSSH_9.9\r\n", AttemptErrorCode.ProxyFailed, "not HTTP/1.1")]
    [InlineData("HTTP/1.1 200 OK\r\nx: y\r\n", AttemptErrorCode.ProxyFailed, "closed the connection before it responded")]
    [InlineData("", AttemptErrorCode.ProxyFailed, "closed the connection before it responded")]
    public async Task Each_answer_to_CONNECT_is_told_as_what_it_is(string answer, AttemptErrorCode code, string says)
    {
        await using var proxy = TestProxy.Answering(answer);
        using var sending = new Sending(egress: Through(proxy));
        var attempt = await sending.PostAsync("http://8.8.8.8/");

        Assert.Equal((code, AttemptPhase.Connect, DeliveryStatus.Failed), (attempt.Error!.Code, attempt.Error.Phase, attempt.Status));
        Assert.Contains(says, attempt.Error.Message);
        Assert.Contains($"the proxy http://127.0.0.1:{proxy.Port}", attempt.Error.Message);
        Assert.DoesNotContain("hunter2", attempt.Error.Message);
        Assert.Equal("8.8.8.8:80", attempt.RemoteAddress);
        Assert.Empty(attempt.RequestHeaders);
    }

    [Theory]
    [InlineData(1, AttemptErrorCode.ProxyFailed, "general proxy failure")]
    [InlineData(2, AttemptErrorCode.ProxyFailed, "does not allow a connection to 8.8.8.8:80")]
    [InlineData(3, AttemptErrorCode.ConnectUnreachable, "8.8.8.8:80 cannot be reached through the proxy")]
    [InlineData(4, AttemptErrorCode.ConnectUnreachable, "8.8.8.8:80 cannot be reached through the proxy")]
    [InlineData(5, AttemptErrorCode.ConnectRefused, "8.8.8.8:80 refused the connection through the proxy")]
    [InlineData(6, AttemptErrorCode.ConnectUnreachable, "TTL expired")]
    [InlineData(7, AttemptErrorCode.ProxyFailed, "does not know the command")]
    [InlineData(8, AttemptErrorCode.ProxyFailed, "cannot connect to addresses like 8.8.8.8")]
    [InlineData(99, AttemptErrorCode.ProxyFailed, "it responded with 99")]
    public async Task Each_reply_of_SOCKS_is_told_as_what_it_is(byte reply, AttemptErrorCode code, string says)
    {
        await using var proxy = TestProxy.Socks(reply: reply);
        using var sending = new Sending(egress: Through(proxy, "socks5"));
        var attempt = await sending.PostAsync("http://8.8.8.8/");

        Assert.Equal((code, AttemptPhase.Connect), Of(attempt));
        Assert.Contains(says, attempt.Error!.Message);
        Assert.Equal(["8.8.8.8:80"], proxy.Targets);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task The_address_that_a_SOCKS_proxy_is_bound_to_may_have_any_form(byte type)
    {
        await using var receiver = Receiver.Answering(Ok);
        await using var proxy = TestProxy.Socks(boundType: type);
        using var sending = new Sending(egress: Through(proxy, "socks5"));
        Assert.Equal("ok", (await sending.PostAsync(receiver.Url)).Text());
    }

    [Theory]
    [InlineData("")]
    [InlineData("\x05")]
    [InlineData("\x04\x00")]
    [InlineData("HTTP/1.1 400 Bad Request\r\n\r\n")]
    [InlineData("\x05\x01")]
    [InlineData("\x05\x00\x04\x00\x00\x01")]
    [InlineData("\x05\x00\x05\x00\x00\x09")]
    [InlineData("\x05\x00\x05\x00\x00\x03\xff")]
    [InlineData("\x05\x02\x05")]
    public async Task A_SOCKS_proxy_that_talks_nonsense_or_leaves_is_proxy_failed(string bytes)
    {
        await using var proxy = TestProxy.Scripted(
            async (proxy, stream) =>
            {
                await stream.ReadExactlyAsync(new byte[4], proxy.Stop);
                await stream.WriteAsync(Encoding.Latin1.GetBytes(bytes), proxy.Stop);
            }
        );
        using var sending = new Sending(egress: Through(proxy, "socks5", $"user:{Password}@"));
        var attempt = await sending.PostAsync("http://8.8.8.8/");
        Assert.Equal((AttemptErrorCode.ProxyFailed, AttemptPhase.Connect), Of(attempt));
        Assert.DoesNotContain("hunter2", attempt.Error!.Message);
    }

    [Fact]
    public async Task Headers_without_end_are_cut_off()
    {
        await using var proxy = TestProxy.Scripted(
            async (proxy, stream) =>
            {
                await stream.WriteAsync("HTTP/1.1 200 OK\r\n"u8.ToArray(), proxy.Stop);
                while (true)
                    await stream.WriteAsync(Encoding.ASCII.GetBytes($"x-a: {new string('y', 1000)}\r\n"), proxy.Stop);
            }
        );
        using var sending = new Sending(egress: Through(proxy));
        var attempt = await sending.PostAsync("http://8.8.8.8/");
        Assert.Equal((AttemptErrorCode.ProxyFailed, AttemptPhase.Connect), Of(attempt));
        Assert.EndsWith("sent more than 16,384 bytes of headers", attempt.Error!.Message);
    }

    [Fact]
    public async Task Interim_answers_without_end_are_cut_off_by_the_same_limit()
    {
        await using var proxy = TestProxy.Scripted(
            async (proxy, stream) =>
            {
                while (true)
                    await stream.WriteAsync("HTTP/1.1 103 Early\r\n\r\n"u8.ToArray(), proxy.Stop);
            }
        );
        using var sending = new Sending(egress: Through(proxy));
        Assert.Equal((AttemptErrorCode.ProxyFailed, AttemptPhase.Connect), Of(await sending.PostAsync("http://8.8.8.8/")));
    }

    [Theory]
    [InlineData("http", "")]
    [InlineData("http", "HTTP/1.1 20")]
    [InlineData("socks5", "")]
    [InlineData("socks5", "\x05")]
    public async Task A_proxy_that_falls_silent_is_timeout_in_connect_and_is_named(string scheme, string first)
    {
        await using var proxy = TestProxy.Scripted(
            async (proxy, stream) =>
            {
                await stream.WriteAsync(Encoding.Latin1.GetBytes(first), proxy.Stop);
                await Task.Delay(Timeout.Infinite, proxy.Stop);
            }
        );
        using var sending = new Sending(Sending.Short, egress: Through(proxy, scheme));
        var attempt = await sending.PostAsync("http://8.8.8.8/");
        Assert.Equal((AttemptErrorCode.Timeout, AttemptPhase.Connect), Of(attempt));
        Assert.Equal(
            $"timed out after 1,000 ms while connecting to 8.8.8.8:80 through the proxy {scheme}://127.0.0.1:{proxy.Port}",
            attempt.Error!.Message
        );
    }

    [Fact]
    public async Task A_head_that_comes_byte_by_byte_with_the_receivers_first_words_behind_it_is_read_to_its_end_only()
    {
        await using var proxy = TestProxy.Scripted(
            async (proxy, stream) =>
            {
                await proxy.ReadHeadAsync(stream);
                foreach (byte b in "HTTP/1.1 200 OK\r\nx: y\r\n\r"u8.ToArray())
                    await stream.WriteAsync(new[] { b }, proxy.Stop);
                await stream.WriteAsync("\nHTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nhi"u8.ToArray(), proxy.Stop);
                await Task.Delay(Timeout.Infinite, proxy.Stop);
            }
        );
        using var sending = new Sending(egress: Through(proxy));
        var attempt = await sending.PostAsync("http://8.8.8.8/");
        Assert.Equal((201, "hi"), (attempt.Response!.Status, attempt.Text()));
    }

    [Fact]
    public async Task A_proxy_that_cannot_be_reached_is_proxy_failed()
    {
        using var closed = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        closed.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        using var refused = new Sending(egress: new EgressOptions { Proxy = Parse($"http://user:hunter2@{closed.LocalEndPoint}") });
        var attempt = await refused.PostAsync("http://8.8.8.8/");
        Assert.Equal((AttemptErrorCode.ProxyFailed, AttemptPhase.Connect), Of(attempt));
        Assert.Equal(
            $"the proxy http://{closed.LocalEndPoint} cannot be reached: {closed.LocalEndPoint} refused the connection: "
                + "nothing is listening on that port",
            attempt.Error!.Message
        );

        using var unknown = new Sending(
            egress: new EgressOptions { Proxy = Parse("socks5://proxy.example") },
            names: new NameResolver(new EngineLimits(), _ => throw new SocketException((int)SocketError.HostNotFound))
        );
        attempt = await unknown.PostAsync("http://8.8.8.8/");
        Assert.Equal((AttemptErrorCode.ProxyFailed, AttemptPhase.Connect), Of(attempt));
        Assert.StartsWith(
            "the proxy socks5://proxy.example:1080 cannot be reached: the name proxy.example does not exist",
            attempt.Error!.Message
        );
    }

    [Fact]
    public async Task The_next_address_is_tried_when_the_proxy_cannot_reach_the_first()
    {
        await using var receiver = Receiver.Answering(Ok);
        await using var proxy = TestProxy.Scripted(
            async (proxy, stream) =>
            {
                string head = await proxy.ReadHeadAsync(stream);
                string answer = head.Contains("127.0.0.2", StringComparison.Ordinal)
                    ? "HTTP/1.1 502 Bad Gateway\r\n\r\n"
                    : "HTTP/1.1 200 OK\r\n\r\n" + Ok;
                await stream.WriteAsync(Encoding.ASCII.GetBytes(answer), proxy.Stop);
                if (answer.Length > 40)
                    await Task.Delay(Timeout.Infinite, proxy.Stop);
            }
        );
        using var sending = new Sending(names: Names("127.0.0.2", "127.0.0.1"), egress: Through(proxy));
        var attempt = await sending.PostAsync($"http://two.example:{receiver.Port}/");
        Assert.Equal((DeliveryStatus.Succeeded, $"127.0.0.1:{receiver.Port}"), (attempt.Status, attempt.RemoteAddress));
        Assert.Equal([$"127.0.0.2:{receiver.Port}", $"127.0.0.1:{receiver.Port}"], proxy.Targets);
    }

    [Fact]
    public async Task Basic_credentials_are_percent_decoded_and_the_request_is_the_address_alone()
    {
        await using var proxy = TestProxy.Answering("HTTP/1.1 502 Bad Gateway\r\n\r\n");
        using var sending = new Sending(
            egress: new EgressOptions
            {
                Policies = new(new EgressPolicy(["2001:db8::/32"], [])),
                Proxy = Parse($"http://us%65r:a%3Ab%20c@localhost:{proxy.Port}"),
            },
            names: new NameResolver(new EngineLimits(), _ => Task.FromResult(new[] { IPAddress.Loopback }))
        );
        await sending.PostAsync("https://[2001:db8::1]/secret?path");
        Assert.Equal(
            "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\nProxy-Authorization: "
                + $"Basic {Convert.ToBase64String("user:a:b c"u8)}\r\n\r\n",
            Assert.Single(proxy.Heads)
        );
    }

    [Theory]
    [InlineData("http://proxy.example:3128", "http://proxy.example:3128")]
    [InlineData("http://proxy.example", "http://proxy.example:80")]
    [InlineData("http://user:pass@proxy.example:3128/", "http://proxy.example:3128")]
    [InlineData("http://user@10.0.0.1:3128", "http://10.0.0.1:3128")]
    [InlineData("socks5://proxy.example", "socks5://proxy.example:1080")]
    [InlineData("socks5://user:pass@[fd00::1]:9050", "socks5://[fd00::1]:9050")]
    public void A_proxy_is_shown_without_user_and_password(string text, string shown) => Assert.Equal(shown, Parse(text).ToString());

    [Theory]
    [InlineData("proxy.example:3128")]
    [InlineData("https://proxy.example:3128")]
    [InlineData("socks5h://proxy.example")]
    [InlineData("socks4://proxy.example")]
    [InlineData("http://")]
    [InlineData("http://proxy.example/path")]
    [InlineData("http://proxy.example?x=y")]
    [InlineData("http://:pass@proxy.example")]
    [InlineData("http://us%3Aer:pass@proxy.example")]
    [InlineData("socks5://user@proxy.example")]
    [InlineData("socks5://proxy.example:0")]
    [InlineData("http://proxy.example:70000")]
    public void What_is_no_proxy_is_refused(string text) => Assert.False(EgressProxy.TryParse(text, out _));
}
