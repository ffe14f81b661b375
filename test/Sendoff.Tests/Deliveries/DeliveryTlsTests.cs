using System.Net;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

public sealed class DeliveryTlsTests
{
    const string Ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    static Receiver Start(string host, Func<ReceiverConnection, Task>? script = null, bool expired = false) =>
        Receiver.Start(script ?? (connection => connection.AnswerAllAsync(Ok)), TestCertificates.Issue(host, expired));

    static Sending Trusting(bool trusting = true, EngineLimits? limits = null) =>
        new(limits, trusting ? TestCertificates.Roots : null, new NameResolver(new EngineLimits(), _ => Task.FromResult(new[] { IPAddress.Loopback })));

    [Fact]
    public async Task Request_over_TLS_arrives_and_its_connection_is_used_again()
    {
        await using var receiver = Start("receiver.example");
        using var sending = Trusting();
        var first = await sending.PostAsync($"https://receiver.example:{receiver.Port}/");
        var second = await sending.PostAsync($"https://receiver.example:{receiver.Port}/");

        Assert.Equal((DeliveryStatus.Succeeded, "ok"), (first.Status, first.Text()));
        Assert.NotNull(first.Timing.TlsMs);
        Assert.Equal((DeliveryStatus.Succeeded, true), (second.Status, second.ConnectionReused));
        Assert.Null(second.Timing.TlsMs);
        Assert.Equal((1, 2), (receiver.Connections, receiver.Requests.Count));
    }

    [Fact]
    public async Task Address_in_the_certificate_counts()
    {
        await using var receiver = Start("127.0.0.1");
        using var sending = Trusting();
        Assert.Equal(DeliveryStatus.Succeeded, (await sending.PostAsync(receiver.Url)).Status);
    }

    [Theory]
    [InlineData("receiver.example", false, true, "expired: ")]
    [InlineData("other.example", true, false, "wrong host: the certificate is for other.example, not for receiver.example")]
    [InlineData("receiver.example", false, false, "untrusted: ")]
    public async Task Certificate_that_does_not_hold_is_tls_failed_with_the_reason(string host, bool trusting, bool expired, string reason)
    {
        await using var receiver = Start(host, expired: expired);
        using var sending = Trusting(trusting || expired);
        var attempt = await sending.PostAsync($"https://receiver.example:{receiver.Port}/");

        Assert.Equal((DeliveryStatus.Failed, AttemptErrorCode.TlsFailed, AttemptPhase.Tls), (attempt.Status, attempt.Error!.Code, attempt.Error.Phase));
        Assert.Contains($"failed: {reason}", attempt.Error.Message);
        Assert.Empty(receiver.Requests);
    }

    [Fact]
    public async Task Receiver_that_speaks_no_TLS_is_tls_failed_by_protocol()
    {
        await using var receiver = Receiver.Start(async connection => { await connection.WriteAsync("HTTP/1.1 400 Bad Request\r\n\r\n"); await connection.HoldAsync(); });
        using var sending = Trusting();
        var attempt = await sending.PostAsync($"https://receiver.example:{receiver.Port}/");
        Assert.Equal((AttemptErrorCode.TlsFailed, AttemptPhase.Tls), (attempt.Error!.Code, attempt.Error.Phase));
        Assert.Contains("protocol: ", attempt.Error.Message);
    }

    [Fact]
    public async Task Handshake_that_stalls_is_timeout_in_tls()
    {
        await using var receiver = Receiver.Start(connection => connection.HoldAsync());
        using var sending = Trusting(limits: Sending.Short);
        var attempt = await sending.PostAsync($"https://receiver.example:{receiver.Port}/");
        Assert.Equal((AttemptErrorCode.Timeout, AttemptPhase.Tls), (attempt.Error!.Code, attempt.Error.Phase));
        Assert.Equal("timed out after 300 ms while making a TLS session with receiver.example", attempt.Error.Message);
    }

    [Fact]
    public async Task Handshake_that_is_cut_off_is_connection_closed_in_tls()
    {
        await using var receiver = Receiver.Start(connection => connection.ReadHeadAsync().WaitAsync(TimeSpan.FromMilliseconds(50)).ContinueWith(_ => { }, TaskScheduler.Default));
        using var sending = Trusting();
        var attempt = await sending.PostAsync($"https://receiver.example:{receiver.Port}/");
        Assert.Equal(AttemptPhase.Tls, attempt.Error!.Phase);
        Assert.Contains(attempt.Error.Code, new[] { AttemptErrorCode.ConnectionClosed, AttemptErrorCode.ConnectionReset });
    }

    [Fact]
    public async Task Kept_TLS_connection_with_bytes_in_the_session_is_not_used()
    {
        var spoken = new SemaphoreSlim(0);
        await using var receiver = Start("receiver.example", async connection =>
        {
            while (await connection.ReadRequestAsync() is not null)
            {
                await connection.WriteAsync(Ok);
                await connection.WriteAsync("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n");
                spoken.Release();
            }
        });
        using var sending = Trusting();
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(200, (await sending.PostAsync($"https://receiver.example:{receiver.Port}/")).Response!.Status);
            await spoken.WaitAsync();
        }
        Assert.Equal((3, 3), (receiver.Connections, receiver.Requests.Count));
    }

    [Fact]
    public async Task Body_that_drips_over_TLS_is_timeout_in_read()
    {
        await using var receiver = Start("receiver.example", async connection =>
        {
            await connection.ReadRequestAsync();
            await connection.WriteAsync("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
            while (true)
            {
                await connection.WriteAsync("a");
                await Task.Delay(20, connection.Stop);
            }
        });
        using var sending = Trusting(limits: Sending.Short);
        var attempt = await sending.PostAsync($"https://receiver.example:{receiver.Port}/");
        Assert.Equal((AttemptErrorCode.Timeout, AttemptPhase.Read), (attempt.Error!.Code, attempt.Error.Phase));
        Assert.Equal(attempt.Response!.BodyBytes, attempt.Response.Body.Length);
    }

    [Fact]
    public async Task Large_bodies_go_both_ways_over_TLS()
    {
        string large = new('x', 2_000_000);
        await using var receiver = Start("receiver.example", connection => connection.AnswerAllAsync($"HTTP/1.1 200 OK\r\ncontent-length: {large.Length}\r\n\r\n{large}"));
        using var sending = Trusting();
        for (int i = 0; i < 2; i++)
        {
            var attempt = await sending.PostAsync($"https://receiver.example:{receiver.Port}/", large);
            Assert.Null(attempt.Error);
            Assert.Equal(large.Length, attempt.Response!.BodyBytes);
        }
        Assert.All(receiver.Requests, request => Assert.EndsWith(large, request));
    }
}
