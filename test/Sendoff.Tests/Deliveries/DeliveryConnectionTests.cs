using System.Net.NetworkInformation;
using Microsoft.Extensions.Time.Testing;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

public sealed class DeliveryConnectionTests
{
    const string Ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    [Theory]
    [InlineData(Ok, 1)]
    [InlineData("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 1)]
    [InlineData("HTTP/1.1 204 No Content\r\n\r\n", 1)]
    [InlineData("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok", 1)]
    [InlineData("HTTP/1.1 200 OK\r\nkeep-alive: timeout=5, max=100\r\ncontent-length: 2\r\n\r\nok", 1)]
    [InlineData("HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nok", 3)]
    [InlineData("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", 3)]
    [InlineData("HTTP/1.1 200 OK\r\nconnection: foo, Close\r\ncontent-length: 2\r\n\r\nok", 3)]
    [InlineData("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 3)]
    [InlineData("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n", 3)]
    [InlineData("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and more", 3)]
    [InlineData("HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nok", 3)]
    public async Task Connection_is_used_again_only_when_the_response_allows_it(string response, int connections)
    {
        await using var receiver = Receiver.Answering(response);
        using var sending = new Sending();
        for (int i = 0; i < 3; i++)
        {
            var attempt = await sending.PostAsync(receiver.Url);
            Assert.Equal(DeliveryStatus.Succeeded, attempt.Status);
            Assert.Equal(i > 0 && connections == 1, attempt.ConnectionReused);
            if (attempt.ConnectionReused)
                Assert.Null(attempt.Timing.ConnectMs);
        }
        Assert.Equal((connections, 3), (receiver.Connections, receiver.Requests.Count));
    }

    [Fact]
    public async Task Kept_connection_that_was_closed_while_idle_is_not_used()
    {
        var closed = new SemaphoreSlim(0);
        await using var receiver = Receiver.Start(async connection =>
        {
            await connection.ReadRequestAsync();
            await connection.WriteAsync(Ok);
            connection.Drop();
            closed.Release();
        });
        using var sending = new Sending();
        for (int i = 0; i < 50; i++)
        {
            var attempt = await sending.PostAsync(receiver.Url);
            Assert.Equal((DeliveryStatus.Succeeded, false), (attempt.Status, attempt.ConnectionReused));
            await Wait.ForAsync(closed);
            // The end of the connection is on its way through loopback.
            await Wait.UntilAsync(() =>
                !IPGlobalProperties
                    .GetIPGlobalProperties()
                    .GetActiveTcpConnections()
                    .Any(one => one.RemoteEndPoint.Port == receiver.Port && one.State == TcpState.Established)
            );
        }
        Assert.Equal((50, 50), (receiver.Connections, receiver.Requests.Count));
    }

    [Fact]
    public async Task Kept_connection_with_unexpected_bytes_is_not_used()
    {
        var spoken = new SemaphoreSlim(0);
        await using var receiver = Receiver.Start(async connection =>
        {
            while (await connection.ReadRequestAsync() is not null)
            {
                await connection.WriteAsync(Ok);
                await connection.WriteAsync("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n");
                spoken.Release();
            }
        });
        using var sending = new Sending();
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(200, (await sending.PostAsync(receiver.Url)).Response!.Status);
            await Wait.ForAsync(spoken);
        }
        Assert.Equal(3, receiver.Connections);
    }

    [Fact]
    public async Task Connection_idle_for_too_long_is_not_used_and_is_closed()
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var receiver = Receiver.Start(async connection =>
        {
            await connection.AnswerAllAsync(Ok);
            ended.TrySetResult();
        });
        var clock = new FakeTimeProvider();
        using var sender = new DeliverySender(Sending.Loopback, new EngineLimits(), clock);
        Task<Attempt> SendAsync() => sender.SendAsync(Sending.DeliveryOf(Sending.Post(receiver.Url)), 1, 0, default);

        await SendAsync();
        clock.Advance(TimeSpan.FromSeconds(1.9));
        Assert.True((await SendAsync()).ConnectionReused);
        clock.Advance(TimeSpan.FromSeconds(2.1));
        Assert.False((await SendAsync()).ConnectionReused);
        clock.Advance(TimeSpan.FromSeconds(5));
        await ended.Task.WithinLimitAsync();
        Assert.Equal(2, receiver.Connections);
    }

    [Fact]
    public async Task Hint_of_the_receiver_shortens_the_idle_time_by_a_second_more()
    {
        await using var receiver = Receiver.Answering("HTTP/1.1 200 OK\r\nkeep-alive: timeout=2\r\ncontent-length: 0\r\n\r\n");
        var clock = new FakeTimeProvider();
        using var sender = new DeliverySender(Sending.Loopback, new EngineLimits(), clock);
        Task<Attempt> SendAsync() => sender.SendAsync(Sending.DeliveryOf(Sending.Post(receiver.Url)), 1, 0, default);

        await SendAsync();
        clock.Advance(TimeSpan.FromSeconds(0.9));
        Assert.True((await SendAsync()).ConnectionReused);
        clock.Advance(TimeSpan.FromSeconds(1.05)); // before idle connections are looked through
        Assert.False((await SendAsync()).ConnectionReused);
    }

    [Fact]
    public async Task No_more_connections_rest_than_may_be_in_use()
    {
        var receivers = Enumerable.Range(0, 4).Select(_ => Receiver.Answering(Ok)).ToArray();
        using var sending = new Sending(Sending.Patient with { DeliveryMaxConcurrent = 3 });
        foreach (var receiver in receivers)
            await sending.PostAsync(receiver.Url);
        var reused = new List<bool>();
        foreach (var receiver in receivers.Reverse())
            reused.Add((await sending.PostAsync(receiver.Url)).ConnectionReused);
        foreach (var receiver in receivers)
            await receiver.DisposeAsync();

        Assert.Equal([false, true, true, true], reused);
    }

    [Fact]
    public async Task No_more_connections_to_a_destination_rest_than_it_may_have_in_use()
    {
        using var arrived = new CountdownEvent(5);
        var full = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var receiver = Receiver.Start(async connection =>
        {
            while (await connection.ReadRequestAsync() is not null)
            {
                if (arrived.Signal())
                    full.SetResult();
                await full.Task.WaitAsync(connection.Stop);
                await connection.WriteAsync(Ok);
            }
        });
        using var sending = new Sending(Sending.Patient with { DeliveryMaxPerDestination = 2, ConnectionIdle = TimeSpan.FromHours(1) });
        await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => sending.PostAsync(receiver.Url)));

        await Wait.UntilAsync(() => receiver.Open == 2);
        Assert.Equal(5, receiver.Connections);
    }

    [Fact]
    public async Task Destinations_do_not_share_connections()
    {
        await using var one = Receiver.Answering(Ok);
        await using var two = Receiver.Answering(Ok);
        using var sending = new Sending();
        await sending.PostAsync(one.Url);
        Assert.False((await sending.PostAsync(two.Url)).ConnectionReused);
        Assert.True((await sending.PostAsync(one.Url)).ConnectionReused);
    }

    [Fact]
    public async Task Many_at_once_are_each_on_the_wire_once()
    {
        await using var receiver = Receiver.Answering(Ok);
        using var sending = new Sending();
        var attempts = await Task.WhenAll(Enumerable.Range(0, 500).Select(i => sending.PostAsync(receiver.Url, $"body {i}")));

        Assert.All(attempts, attempt => Assert.Equal(DeliveryStatus.Succeeded, attempt.Status));
        Assert.Equal(500, receiver.Requests.Select(request => request.Split("\r\n\r\n")[1]).Distinct().Count());
        Assert.Equal(500, receiver.Requests.Count);
    }
}
