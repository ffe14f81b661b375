using System.Net;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

public sealed class DeliveryTlsTests
{
    const string Ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    static Receiver Start(string host, Func<ReceiverConnection, Task>? script = null) =>
        Receiver.Start(script ?? (connection => connection.AnswerAllAsync(Ok)), TestCertificates.Issue(host));

    static Sending Trusting() =>
        new(null, TestCertificates.Roots, new NameResolver(new EngineLimits(), _ => Task.FromResult(new[] { IPAddress.Loopback })));

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

    [Fact]
    public async Task Kept_TLS_connection_with_bytes_in_the_session_is_not_used()
    {
        var spoken = new SemaphoreSlim(0);
        await using var receiver = Start(
            "receiver.example",
            async connection =>
            {
                while (await connection.ReadRequestAsync() is not null)
                {
                    await connection.WriteAsync(Ok);
                    await connection.WriteAsync("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n");
                    spoken.Release();
                }
            }
        );
        using var sending = Trusting();
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(200, (await sending.PostAsync($"https://receiver.example:{receiver.Port}/")).Response!.Status);
            await spoken.WaitAsync();
        }
        Assert.Equal((3, 3), (receiver.Connections, receiver.Requests.Count));
    }

    [Fact]
    public async Task Large_bodies_go_both_ways_over_TLS()
    {
        string large = new('x', 2_000_000);
        await using var receiver = Start(
            "receiver.example",
            connection => connection.AnswerAllAsync($"HTTP/1.1 200 OK\r\ncontent-length: {large.Length}\r\n\r\n{large}")
        );
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
