using System.IO.Compression;
using System.Text;
using Sendoff.Engine;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

public sealed class DeliveryResponseTests
{
    static Task<Attempt> ReadAsync(string response, string method = "GET", EngineLimits? limits = null) =>
        ReadAsync(Encoding.Latin1.GetBytes(response), method, limits);

    static async Task<Attempt> ReadAsync(byte[] response, string method = "GET", EngineLimits? limits = null)
    {
        await using var receiver = Receiver.AnsweringOnce(response);
        using var sending = new Sending(limits);
        return await sending.SendAsync(new HttpSend(method, receiver.Url, [], default));
    }

    [Theory]
    [InlineData(200, DeliveryStatus.Succeeded)]
    [InlineData(201, DeliveryStatus.Succeeded)]
    [InlineData(299, DeliveryStatus.Succeeded)]
    [InlineData(301, DeliveryStatus.Failed)]
    [InlineData(302, DeliveryStatus.Failed)]
    [InlineData(404, DeliveryStatus.Failed)]
    [InlineData(500, DeliveryStatus.Failed)]
    [InlineData(999, DeliveryStatus.Failed)]
    public async Task Status_decides_and_is_no_error(int code, DeliveryStatus status)
    {
        var attempt = await ReadAsync($"HTTP/1.1 {code} Whatever\r\nLocation: /elsewhere\r\ncontent-length: 4\r\n\r\nbody");
        Assert.Equal((status, code, "body"), (attempt.Status, attempt.Response!.Status, attempt.Text()));
        Assert.Null(attempt.Error);
    }

    [Fact]
    public async Task Response_is_recorded_as_it_came()
    {
        var attempt = await ReadAsync(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nSet-Cookie: a=1\r\nSET-COOKIE: "
                + "b=2\r\nX-Odd:\t v w \r\nX-Empty:\r\ncontent-length: 5\r\n\r\nhello"
        );
        Assert.Equal(
            [
                new("content-type", "text/plain"),
                new("set-cookie", "a=1"),
                new("set-cookie", "b=2"),
                new("x-odd", "v w"),
                new("x-empty", ""),
                new("content-length", "5"),
            ],
            attempt.Response!.Headers
        );
        Assert.Equal(
            ("1.1", "hello", true, 5L, false),
            (
                attempt.Response.HttpVersion,
                attempt.Text(),
                attempt.Response.BodyIsText,
                attempt.Response.BodyBytes,
                attempt.Response.Truncated
            )
        );
        Assert.Equal("127.0.0.1", attempt.LocalAddress);
        Assert.StartsWith("127.0.0.1:", attempt.RemoteAddress);
    }

    [Theory]
    [InlineData("content-length: 5\r\n\r\nhello")]
    [InlineData("content-length: 5\r\ncontent-length: 5\r\n\r\nhello")]
    [InlineData("content-length: 5, 5\r\n\r\nhello")]
    [InlineData("\r\nhello")]
    [InlineData("transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")]
    [InlineData("transfer-encoding: Chunked\r\n\r\n2;a=b\r\nhe\r\n03 ; c\r\nllo\r\n0\r\nx-trailer: 1\r\ny: 2\r\n\r\n")]
    [InlineData("transfer-encoding: chunked\r\ncontent-length: 99\r\n\r\n5\r\nhello\r\n000\r\n\r\n")]
    [InlineData("transfer-encoding: something\r\n\r\nhello")]
    public async Task Body_in_every_framing_is_read(string rest)
    {
        var attempt = await ReadAsync($"HTTP/1.1 200 OK\r\n{rest}");
        Assert.Equal((DeliveryStatus.Succeeded, "hello", 5L), (attempt.Status, attempt.Text(), attempt.Response!.BodyBytes));
        Assert.Null(attempt.Error);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")]
    [InlineData(
        "HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-a: "
            + "1\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nt: 1\r\n\r\n"
    )]
    [InlineData("HTTP/1.0 200 OK\r\n\r\nhello")]
    public async Task Response_that_comes_byte_by_byte_reads_the_same(string response)
    {
        await using var receiver = Receiver.Start(async connection =>
        {
            await connection.ReadRequestAsync();
            foreach (char c in response)
                await connection.WriteAsync(c.ToString());
        });
        using var sending = new Sending();
        var attempt = await sending.GetAsync(receiver.Url);
        Assert.Null(attempt.Error);
        Assert.Equal("hello", attempt.Text());
    }

    [Theory]
    [InlineData("HEAD", "200 OK")]
    [InlineData("GET", "204 No Content")]
    [InlineData("GET", "304 Not Modified")]
    public async Task Response_without_body_does_not_wait_for_its_length(string method, string status)
    {
        await using var receiver = Receiver.Answering($"HTTP/1.1 {status}\r\ncontent-length: 5\r\n\r\n");
        using var sending = new Sending(Sending.Short);
        var attempt = await sending.SendAsync(new HttpSend(method, receiver.Url, [], default));
        Assert.Null(attempt.Error);
        Assert.Equal(0, attempt.Response!.BodyBytes);
    }

    [Fact]
    public async Task Interim_responses_are_passed_over()
    {
        var attempt = await ReadAsync(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nx: y\r\n\r\nHTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n"
        );
        Assert.Equal((201, DeliveryStatus.Succeeded), (attempt.Response!.Status, attempt.Status));
    }

    [Theory]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n")]
    [InlineData("HTTP/2.0 200 OK\r\n\r\n")]
    [InlineData("HTTP/1.1 20 OK\r\n\r\n")]
    [InlineData("HTTP/1.1 2000 OK\r\n\r\n")]
    [InlineData("HTTP/1.1 abc OK\r\n\r\n")]
    [InlineData("HTTP/1.1 099 OK\r\n\r\n")]
    [InlineData("HTTP/1.1  200 OK\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\na b: c\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\na : c\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\n: c\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nnocolon\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\na: b\r\n folded\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\na: b\0c\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\na: b\rc\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\na: b\nc: d\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\na: b\n\n")]
    [InlineData("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello")]
    [InlineData("HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n\r\nhello")]
    [InlineData("HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello")]
    [InlineData("HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello")]
    [InlineData("HTTP/1.1 200 OK\r\ncontent-length: 0x5\r\n\r\nhello")]
    [InlineData("HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\nhello")]
    [InlineData("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nhello")]
    [InlineData("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n")]
    public async Task What_is_not_HTTP_1_1_is_an_invalid_response(string response)
    {
        var attempt = await ReadAsync(response);
        Assert.Equal(
            (DeliveryStatus.Failed, AttemptErrorCode.InvalidResponse, AttemptPhase.Wait),
            (attempt.Status, attempt.Error!.Code, attempt.Error.Phase)
        );
        Assert.Null(attempt.Response);
    }

    [Theory]
    [InlineData("x\r\nhello\r\n0\r\n\r\n")]
    [InlineData("\r\nhello\r\n0\r\n\r\n")]
    [InlineData("-5\r\nhello\r\n0\r\n\r\n")]
    [InlineData("5\nhello\n0\n\n")]
    [InlineData("5\r\nhelloX\r\n0\r\n\r\n")]
    [InlineData("5 5\r\nhello\r\n0\r\n\r\n")]
    [InlineData("fffffffffffffffff\r\nhello\r\n0\r\n\r\n")]
    public async Task Chunks_that_are_not_valid_fail_in_read_and_keep_the_status(string chunks)
    {
        var attempt = await ReadAsync($"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-a: 1\r\n\r\n{chunks}");
        Assert.Equal(
            (DeliveryStatus.Failed, AttemptErrorCode.InvalidResponse, AttemptPhase.Read),
            (attempt.Status, attempt.Error!.Code, attempt.Error.Phase)
        );
        Assert.Equal(200, attempt.Response!.Status);
    }

    [Fact]
    public async Task Headers_beyond_their_limits_are_too_large()
    {
        var bytes = await ReadAsync($"HTTP/1.1 200 OK\r\nx: {new string('a', 70_000)}\r\n\r\n");
        var lines = await ReadAsync($"HTTP/1.1 200 OK\r\n{string.Concat(Enumerable.Repeat("a: b\r\n", 1_001))}\r\n");
        var within = await ReadAsync(
            $"HTTP/1.1 200 OK\r\nx: {new string('a', 60_000)}\r\n{string.Concat(Enumerable.Repeat("a: b\r\n", 500))}\r\nhello"
        );

        Assert.Equal((AttemptErrorCode.ResponseHeadersTooLarge, AttemptPhase.Wait), (bytes.Error!.Code, bytes.Error.Phase));
        Assert.Equal((AttemptErrorCode.ResponseHeadersTooLarge, AttemptPhase.Wait), (lines.Error!.Code, lines.Error.Phase));
        Assert.Equal("hello", within.Text());
    }

    [Fact]
    public async Task Body_is_kept_to_its_limit_and_counted_to_its_end()
    {
        var attempt = await ReadAsync($"HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n{new string('a', 300_000)}");
        Assert.Equal(
            (DeliveryStatus.Succeeded, 64 * 1024, 300_000L, true),
            (attempt.Status, attempt.Response!.Body.Length, attempt.Response.BodyBytes, attempt.Response.Truncated)
        );
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("x-gzip")]
    [InlineData("GZIP")]
    [InlineData("deflate")]
    [InlineData("raw deflate")]
    [InlineData("br")]
    [InlineData("zstd")]
    [InlineData("gzip, br")]
    [InlineData("zstd, gzip")]
    [InlineData("identity")]
    public async Task Compressed_body_is_stored_decoded_and_counted_on_the_wire(string coding)
    {
        byte[] body = Compress(coding, Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("häppy ", 1_000))));
        string head = $"HTTP/1.1 200 OK\r\ncontent-encoding: {coding.Replace("raw ", "")}\r\ncontent-length: {body.Length}\r\n\r\n";
        var attempt = await ReadAsync([.. Encoding.ASCII.GetBytes(head), .. body]);

        Assert.Null(attempt.Error);
        Assert.Equal(string.Concat(Enumerable.Repeat("häppy ", 1_000)), attempt.Text());
        Assert.Equal(
            (true, (long)body.Length, false),
            (attempt.Response!.BodyIsText, attempt.Response.BodyBytes, attempt.Response.Truncated)
        );
    }

    static byte[] Compress(string codings, byte[] bytes)
    {
        foreach (string coding in codings.ToLowerInvariant().Split(", "))
        {
            var to = new MemoryStream();
            using (
                Stream stream = coding switch
                {
                    "br" => new BrotliStream(to, CompressionLevel.Fastest),
                    "zstd" => new ZstdSharp.CompressionStream(to),
                    "deflate" => new ZLibStream(to, CompressionLevel.Fastest),
                    "raw deflate" => new DeflateStream(to, CompressionLevel.Fastest),
                    "identity" => to,
                    _ => new GZipStream(to, CompressionLevel.Fastest),
                }
            )
                stream.Write(bytes);
            bytes = to.ToArray();
        }
        return bytes;
    }

    [Theory]
    [InlineData("gzip", "this is not gzip")]
    [InlineData("zstd", "this is not zstd")]
    [InlineData("br", "\u00ff\u00ff\u00ff\u00ff not brotli")]
    [InlineData("deflate", "x\u0001 not zlib")]
    [InlineData("gzip, gzip, gzip", "too many layers")]
    public async Task Body_that_does_not_decode_is_kept_as_it_came(string coding, string body)
    {
        var attempt = await ReadAsync($"HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {body.Length}\r\n\r\n{body}");
        Assert.Equal(DeliveryStatus.Succeeded, attempt.Status);
        Assert.Equal(body, Encoding.Latin1.GetString(attempt.Response!.Body.Span));
        Assert.Equal(body.Length, attempt.Response.BodyBytes);
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("br")]
    [InlineData("deflate")]
    [InlineData("zstd")]
    public async Task Compressed_body_that_ends_early_though_the_response_is_whole_is_kept_as_it_came(string coding)
    {
        byte[] whole = Compress(coding, Letters(5_000)),
            body = whole[..(whole.Length / 2)];
        var attempt = await ReadAsync([
            .. Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {body.Length}\r\n\r\n"),
            .. body,
        ]);
        Assert.Equal(DeliveryStatus.Succeeded, attempt.Status);
        Assert.Equal(body, attempt.Response!.Body.ToArray());
    }

    /// <summary>Letters that do not compress well.</summary>
    static byte[] Letters(int length)
    {
        byte[] text = new byte[length];
        new Random(1).NextBytes(text);
        for (int i = 0; i < text.Length; i++)
            text[i] = (byte)('a' + text[i] % 26);
        return text;
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("br")]
    [InlineData("zstd")]
    public async Task Compressed_body_that_is_cut_off_keeps_what_was_decoded(string coding)
    {
        // So long that it is decoded while it comes.
        byte[] text = Letters(1_000_000);
        byte[] body = Compress(coding, text);
        string head = $"HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {body.Length}\r\n\r\n";
        var attempt = await ReadAsync([.. Encoding.ASCII.GetBytes(head), .. body.AsSpan(0, body.Length / 2)]);

        Assert.Equal(
            (DeliveryStatus.Failed, AttemptErrorCode.ConnectionClosed, AttemptPhase.Read),
            (attempt.Status, attempt.Error!.Code, attempt.Error.Phase)
        );
        Assert.Equal(text[..(64 * 1024)], attempt.Response!.Body.ToArray());
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("br")]
    [InlineData("zstd")]
    public async Task Long_compressed_body_is_decoded_as_it_comes_and_counted_to_its_end(string coding)
    {
        byte[] text = Letters(1_000_000);
        byte[] body = Compress(coding, text);
        var attempt = await ReadAsync([
            .. Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {body.Length}\r\n\r\n"),
            .. body,
        ]);

        Assert.Null(attempt.Error);
        Assert.Equal(text[..(64 * 1024)], attempt.Response!.Body.ToArray());
        Assert.Equal((body.Length, true), (attempt.Response.BodyBytes, attempt.Response.Truncated));
    }

    [Theory]
    [InlineData("br")]
    [InlineData("zstd")]
    public async Task Many_bodies_that_need_a_window_wait_for_it_and_are_all_decoded(string coding)
    {
        byte[] body = Compress(coding, Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("häppy ", 1_000))));
        string answer = Encoding.Latin1.GetString([
            .. Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {body.Length}\r\n\r\n"),
            .. body,
        ]);
        await using var receiver = Receiver.Answering(answer);
        using var sending = new Sending(new EngineLimits { DeliveryDeadline = TimeSpan.FromMinutes(1) });
        var attempts = await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => sending.GetAsync(receiver.Url)));
        Assert.All(attempts, attempt => Assert.Equal(string.Concat(Enumerable.Repeat("häppy ", 1_000)), attempt.Text()));
    }

    [Theory]
    [InlineData("text/plain; charset=iso-8859-1", "h\u00e9", "hé")]
    [InlineData("text/plain; charset=\"windows-1252\"", "\u0080", "€")]
    [InlineData("text/plain; charset=windows-1251", "\u00cf", "П")]
    [InlineData("text/plain; charset=utf-16le", "h\0i\0", "hi")]
    [InlineData("text/plain; charset=utf-16", "\u00ff\u00feh\0", "h")]
    [InlineData("text/plain; charset=shift_jis", "\u0083e\u0083X", "テス")]
    [InlineData("text/plain; charset=UTF-8", "h\u00c3\u00a9", "hé")]
    [InlineData("text/plain; charset=nonsense", "h\u00c3\u00a9", "hé")]
    [InlineData("text/plain", "h\u00c3\u00a9", "hé")]
    public async Task Text_is_stored_as_UTF_8_from_its_declared_charset(string type, string body, string text)
    {
        var attempt = await ReadAsync($"HTTP/1.1 200 OK\r\ncontent-type: {type}\r\ncontent-length: {body.Length}\r\n\r\n{body}");
        Assert.True(attempt.Response!.BodyIsText);
        Assert.Equal(text, attempt.Text());
    }

    [Theory]
    [InlineData("image/png", "\u0089PNG")]
    [InlineData("text/plain; charset=utf-8", "a\u00ff")]
    [InlineData("text/plain; charset=utf-16le", "a\0\u0000\u00d8b\0")]
    public async Task What_is_no_text_is_stored_as_bytes(string type, string body)
    {
        var attempt = await ReadAsync($"HTTP/1.1 200 OK\r\ncontent-type: {type}\r\ncontent-length: {body.Length}\r\n\r\n{body}");
        Assert.False(attempt.Response!.BodyIsText);
        Assert.Equal(body, Encoding.Latin1.GetString(attempt.Response.Body.Span));
    }

    [Theory]
    [InlineData("é")]
    [InlineData("€")]
    [InlineData("😀")]
    public async Task Cut_never_splits_a_character(string character)
    {
        for (int offset = 0; offset < 4; offset++)
        {
            string text = new string('a', offset) + string.Concat(Enumerable.Repeat(character, 100));
            byte[] body = Encoding.UTF8.GetBytes(text);
            var attempt = await ReadAsync(
                [.. Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\ncontent-length: {body.Length}\r\n\r\n"), .. body],
                limits: new EngineLimits { DeliveryBodyCapture = 50 }
            );
            Assert.True(attempt.Response!.BodyIsText);
            Assert.True(attempt.Response.Truncated);
            Assert.StartsWith(attempt.Text(), text);
            Assert.InRange(attempt.Response.Body.Length, 47, 50);
        }
    }

    [Theory]
    [InlineData("\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")]
    [InlineData("HTTP/1.1 100 Continue\r\n\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")]
    public async Task An_empty_line_before_a_status_line_is_left_out(string response)
    {
        foreach (int piece in new[] { response.Length, 1 })
        {
            await using var receiver = Receiver.Start(async connection =>
            {
                while (await connection.ReadRequestAsync() is not null)
                    foreach (string part in response.Chunk(piece).Select(static part => new string(part)))
                        await connection.WriteAsync(part);
            });
            using var sending = new Sending();
            var first = await sending.GetAsync(receiver.Url);
            var second = await sending.GetAsync(receiver.Url);

            Assert.Equal((DeliveryStatus.Succeeded, "ok", 200), (first.Status, first.Text(), first.Response!.Status));
            Assert.Equal((DeliveryStatus.Succeeded, "ok", true), (second.Status, second.Text(), second.ConnectionReused));
        }
    }

    [Theory]
    [InlineData("\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "it does not begin with HTTP/1.1")]
    [InlineData("\nHTTP/1.1 200 OK\r\n\r\n", "it does not begin with HTTP/1.1")]
    [InlineData("\r\n", "closed the connection in the middle of the headers")]
    [InlineData("\r", "closed the connection in the middle of the headers")]
    [InlineData("\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0d", "the receiver speaks HTTP/2 only")]
    [InlineData("\x15\x03\x01\0\x02\x02F", "the receiver expects TLS; perhaps the URL should begin with https://")]
    public async Task What_begins_otherwise_is_named(string response, string says) =>
        Assert.Contains(says, (await ReadAsync(response)).Error!.Message, StringComparison.Ordinal);

    [Fact]
    public async Task A_connection_whose_body_was_not_read_to_its_end_is_not_used_again()
    {
        // The rest is not on the way yet, so that nothing but the count tells.
        await using var receiver = Receiver.Start(async connection =>
        {
            while (await connection.ReadRequestAsync() is not null)
                await connection.WriteAsync($"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{new string('x', 1_000)}");
        });
        using var sending = new Sending(Sending.Patient with { DeliveryBodyRead = 1_000 });
        var first = await sending.GetAsync(receiver.Url);
        var second = await sending.GetAsync(receiver.Url);

        Assert.Equal((true, DeliveryStatus.Succeeded), (first.Response!.Truncated, first.Status));
        Assert.Equal((false, 2), (second.ConnectionReused, receiver.Connections));
    }

    [Fact]
    public async Task Lines_between_chunks_count_to_what_is_read_of_a_body()
    {
        string chunks = string.Concat(Enumerable.Repeat("1\r\nx\r\n", 1_000));
        await using var receiver = Receiver.AnsweringOnce(
            Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
        );
        using var sending = new Sending(Sending.Patient with { DeliveryBodyRead = 3_000 });
        var attempt = await sending.GetAsync(receiver.Url);

        Assert.Equal((DeliveryStatus.Succeeded, true), (attempt.Status, attempt.Response!.Truncated));
        Assert.InRange(attempt.Response.BodyBytes, 1, 600);
    }

    [Fact]
    public async Task Trailers_are_bounded_in_all_and_not_only_each()
    {
        string trailers = string.Concat(Enumerable.Repeat($"x-a: {new string('x', 93)}\r\n", 30));
        await using var receiver = Receiver.AnsweringOnce(
            Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n{trailers}\r\n")
        );
        using var sending = new Sending(Sending.Patient with { ResponseHeaderBytes = 2_000 });
        Assert.Equal(AttemptErrorCode.InvalidResponse, (await sending.GetAsync(receiver.Url)).Error?.Code);
    }
}
