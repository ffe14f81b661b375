using System.Text;
using Sendoff.Engine.Deliveries;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

public sealed class DeliveryRequestTests
{
    const string Ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    static async Task<string> SentAsync(Func<Receiver, HttpSend> make)
    {
        await using var receiver = Receiver.Answering(Ok);
        using var sending = new Sending();
        var attempt = await sending.SendAsync(make(receiver));
        Assert.Null(attempt.Error);
        return receiver.Request.Replace($"127.0.0.1:{receiver.Port}", "HOST");
    }

    [Fact]
    public async Task Request_goes_out_exactly_as_it_was_asked_for()
    {
        string request = await SentAsync(r => new HttpSend(
            "POST",
            $"{r.Url}a%20b/?x=1&y[]=%C3%A4|z",
            [new("X-One", "1"), new("x-TWO", "a"), new("x-two", "b"), new("Content-Type", "application/json")],
            "{}"u8.ToArray()
        ));

        Assert.Equal(
            "POST /a%20b/?x=1&y[]=%C3%A4|z HTTP/1.1\r\nhost: HOST\r\nX-One: 1\r\nx-TWO: a\r\nx-two: b\r\nContent-Type: application/json\r\n"
                + "accept: */*\r\naccept-encoding: gzip, deflate\r\nuser-agent: sendoff/0.1.0\r\ncontent-length: 2\r\n\r\n{}",
            request
        );
    }

    [Fact]
    public async Task Recorded_request_headers_are_the_lines_on_the_wire_in_order()
    {
        await using var receiver = Receiver.Answering(Ok);
        using var sending = new Sending();
        var attempt = await sending.PostAsync(receiver.Url);

        string[] lines = receiver.Request.Split("\r\n\r\n")[0].Split("\r\n")[1..];
        Assert.Equal(lines, attempt.RequestHeaders.Select(h => $"{h.Name}: {h.Value}"));
    }

    [Fact]
    public async Task Host_of_the_user_is_honoured_and_goes_first()
    {
        string request = await SentAsync(r => new HttpSend("GET", r.Url, [new("x-a", "1"), new("Host", "elsewhere.example")], default));
        Assert.StartsWith("GET / HTTP/1.1\r\nHost: elsewhere.example\r\nx-a: 1\r\n", request);
    }

    [Theory]
    [InlineData("http://[::ffff:127.0.0.1]:8080/", "[::ffff:7f00:1]:8080")]
    [InlineData("http://[64:ff9b::192.0.2.33]/", "[64:ff9b::c000:221]")]
    [InlineData("https://[::1]:443/", "[::1]")]
    [InlineData("http://0x7f.1:443/", "127.0.0.1:443")]
    public void Host_line_is_written_as_the_URL_standard_writes_the_host(string url, string host)
    {
        Assert.True(Destination.TryParse(url, out var destination, out _));
        Assert.Equal(host, destination.Authority);
    }

    [Fact]
    public async Task Headers_that_frame_the_message_are_ours()
    {
        string request = await SentAsync(r => new HttpSend(
            "POST",
            r.Url,
            [
                new("Content-Length", "99"),
                new("Transfer-Encoding", "chunked"),
                new("Connection", "close"),
                new("TE", "x"),
                new("Upgrade", "x"),
                new("Expect", "100-continue"),
                new("x-a", "1"),
            ],
            "abc"u8.ToArray()
        ));

        Assert.Contains("\r\ncontent-length: 3\r\n", request);
        foreach (string name in new[] { "Transfer-Encoding", "Connection", "TE", "Upgrade", "Expect", "Content-Length: 99" })
            Assert.DoesNotContain($"\r\n{name}", request);
    }

    [Fact]
    public async Task Defaults_give_way_to_what_the_user_says()
    {
        string request = await SentAsync(r => new HttpSend(
            "GET",
            r.Url,
            [new("User-Agent", "mine"), new("Accept", "text/csv"), new("Accept-Encoding", "identity")],
            default
        ));
        Assert.Equal("GET / HTTP/1.1\r\nhost: HOST\r\nUser-Agent: mine\r\nAccept: text/csv\r\nAccept-Encoding: identity\r\n\r\n", request);
    }

    [Theory]
    [InlineData("POST", true)]
    [InlineData("PUT", true)]
    [InlineData("PATCH", true)]
    [InlineData("GET", false)]
    [InlineData("DELETE", false)]
    [InlineData("OPTIONS", false)]
    public async Task Empty_body_is_announced_where_a_body_is_expected(string method, bool announced)
    {
        string request = await SentAsync(r => new HttpSend(method, r.Url, [], default));
        Assert.Equal(announced, request.Contains("\r\ncontent-length: 0\r\n"));
    }

    [Theory]
    [InlineData("?a=b", "/?a=b")]
    [InlineData("", "/")]
    [InlineData("/x#part", "/x")]
    [InlineData("?q#part", "/?q")]
    public async Task Target_is_in_origin_form(string end, string target)
    {
        string request = await SentAsync(r => new HttpSend("GET", r.Url.TrimEnd('/') + end, [], default));
        Assert.StartsWith($"GET {target} HTTP/1.1\r\n", request);
    }

    [Fact]
    public async Task Body_of_a_GET_is_sent()
    {
        string request = await SentAsync(r => new HttpSend("GET", r.Url, [], "x"u8.ToArray()));
        Assert.EndsWith("content-length: 1\r\n\r\nx", request);
    }

    [Fact]
    public async Task Request_has_one_host_line_whatever_was_asked_for()
    {
        string request = await SentAsync(r => new HttpSend(
            "GET",
            r.Url,
            [new("host", "first.example"), new("x-a", "1"), new("Host", "second.example")],
            default
        ));
        Assert.StartsWith("GET / HTTP/1.1\r\nhost: first.example\r\nx-a: 1\r\n", request);
        Assert.DoesNotContain("second.example", request, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(100)]
    [InlineData(RequestWriter.BodyWithHead + 1)]
    [InlineData(1_000_000)]
    public async Task Body_of_any_size_arrives_whole(int size)
    {
        byte[] body = new byte[size];
        new Random(1).NextBytes(body);
        string request = await SentAsync(r => new HttpSend("POST", r.Url, [], body));
        Assert.Equal(
            body,
            Encoding.Latin1.GetBytes(request[(request.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..].Replace("HOST", "HOST"))
        );
    }

    [Fact]
    public async Task Header_values_are_Latin_1_and_UTF_8_beyond()
    {
        string request = await SentAsync(r => new HttpSend("GET", r.Url, [new("x-a", "é"), new("x-b", "€")], default));
        Assert.Contains("x-a: \u00e9\r\n", request);
        Assert.Contains("x-b: \u00e2\u0082\u00ac\r\n", request);
    }

    [Theory]
    [InlineData("GET", "x-a", "1\r\nx-b: 2")]
    [InlineData("GET", "x a", "1")]
    [InlineData("GET", "", "1")]
    [InlineData("GET", "x-a", "\0")]
    [InlineData("G T", "x-a", "1")]
    [InlineData("CONNECT", "x-a", "1")]
    [InlineData("GET", "x-a", "a\nx-b: c")]
    [InlineData("GET", "x-a", "a\rx-b: c")]
    [InlineData("GET", "x-a", "a\0")]
    public async Task Nothing_that_would_forge_a_request_is_written(string method, string name, string value)
    {
        await using var receiver = Receiver.Answering(Ok);
        using var sending = new Sending();
        var attempt = await sending.SendAsync(new HttpSend(method, receiver.Url, [new(name, value)], default));

        Assert.Equal((DeliveryStatus.Failed, AttemptErrorCode.Internal), (attempt.Status, attempt.Error!.Code));
        Assert.Empty(receiver.Requests);
    }

    [Theory]
    [InlineData("ftp://127.0.0.1/")]
    [InlineData("http://user:pw@127.0.0.1/")]
    [InlineData("http://127.0.0.1/a b")]
    [InlineData("http://127.0.0.1/ä")]
    [InlineData("http://127.0.0.1:99999/")]
    [InlineData("http:///x")]
    [InlineData("/x")]
    public async Task URL_that_the_harness_would_refuse_is_not_dialled(string url)
    {
        using var sending = new Sending();
        var attempt = await sending.GetAsync(url);
        Assert.Equal(
            (DeliveryStatus.Failed, AttemptErrorCode.Internal, AttemptPhase.Queue),
            (attempt.Status, attempt.Error!.Code, attempt.Error.Phase)
        );
    }
}
