using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

public sealed class DeliveryFaultTests
{
    static (AttemptErrorCode, AttemptPhase) Of(Attempt attempt)
    {
        Assert.Equal(DeliveryStatus.Failed, attempt.Status);
        return (attempt.Error!.Code, attempt.Error.Phase);
    }

    static NameResolver Names(Func<string, Task<IPAddress[]>> lookup) => new(new EngineLimits(), lookup);

    [Fact]
    public async Task Port_that_nobody_listens_on_is_connect_refused()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        using var sending = new Sending();
        var attempt = await sending.PostAsync($"http://{socket.LocalEndPoint}/");

        Assert.Equal((AttemptErrorCode.ConnectRefused, AttemptPhase.Connect), Of(attempt));
        Assert.Equal(socket.LocalEndPoint!.ToString(), attempt.RemoteAddress);
        Assert.Empty(attempt.RequestHeaders);
        Assert.NotNull(attempt.Timing.ConnectMs);
        Assert.Null(attempt.Timing.WriteMs);
    }

    [Fact]
    public async Task Name_that_does_not_exist_is_dns_not_found()
    {
        using var sending = new Sending(names: Names(_ => throw new SocketException((int)SocketError.HostNotFound)));
        var attempt = await sending.PostAsync("http://nobody.example/");
        Assert.Equal((AttemptErrorCode.DnsNotFound, AttemptPhase.Dns), Of(attempt));
        Assert.Contains("nobody.example", attempt.Error!.Message);
        Assert.NotNull(attempt.Timing.DnsMs);
    }

    [Fact]
    public async Task Resolver_that_fails_is_dns_failed()
    {
        using var sending = new Sending(names: Names(_ => throw new SocketException((int)SocketError.TryAgain)));
        Assert.Equal((AttemptErrorCode.DnsFailed, AttemptPhase.Dns), Of(await sending.PostAsync("http://nobody.example/")));
    }

    [Fact]
    public async Task Refused_first_address_leads_to_the_next()
    {
        await using var receiver = Receiver.Answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        using var sending = new Sending(names: Names(_ => Task.FromResult(new[] { IPAddress.Parse("127.0.0.2"), IPAddress.Loopback })));
        var attempt = await sending.PostAsync($"http://two.example:{receiver.Port}/");
        Assert.Equal(DeliveryStatus.Succeeded, attempt.Status);
        Assert.Equal($"127.0.0.1:{receiver.Port}", attempt.RemoteAddress);
        Assert.StartsWith($"POST / HTTP/1.1\r\nhost: two.example:{receiver.Port}\r\n", receiver.Request);
    }

    [Fact]
    public async Task Full_backlog_is_timeout_in_connect()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(0);
        var fill = Enumerable
            .Range(0, 4)
            .Select(_ => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
            .ToArray();
        foreach (var socket in fill)
            _ = socket.ConnectAsync(listener.LocalEndPoint!);
        using var sending = new Sending(Sending.Short);
        var attempt = await sending.PostAsync($"http://{listener.LocalEndPoint}/");
        foreach (var socket in fill)
            socket.Dispose();

        Assert.Equal((AttemptErrorCode.Timeout, AttemptPhase.Connect), Of(attempt));
        Assert.Equal($"timed out after 1,000 ms while connecting to {listener.LocalEndPoint}", attempt.Error!.Message);
    }

    [Fact]
    public async Task Receiver_that_is_silent_in_the_handshake_is_timeout_in_tls_and_the_next_delivery_has_a_clock_of_its_own()
    {
        var arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var silent = Receiver.Start(async connection =>
        {
            await connection.ReadSomeAsync();
            arrived.TrySetResult();
            await connection.HoldAsync();
        });
        await using var good = Receiver.Answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        var clock = new FakeTimeProvider();
        using var sender = new DeliverySender(Sending.Loopback, new EngineLimits(), clock);
        Task<Attempt> SendAsync(string url) => sender.SendAsync(Sending.DeliveryOf(Sending.Post(url)), 1, 0, default);

        var waiting = SendAsync($"https://127.0.0.1:{silent.Port}/");
        await arrived.Task.WithinLimitAsync();
        clock.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal((AttemptErrorCode.Timeout, AttemptPhase.Tls), Of(await waiting.WithinLimitAsync()));

        Assert.Equal(DeliveryStatus.Succeeded, (await SendAsync(good.Url)).Status);
        Assert.Equal(DeliveryStatus.Succeeded, (await SendAsync(good.Url)).Status);
    }

    [Fact]
    public async Task Early_answer_then_close_is_the_response()
    {
        await using var receiver = Receiver.Start(async connection =>
        {
            await connection.ReadHeadAsync();
            await connection.WriteAsync("HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 9\r\n\r\ntoo large");
        });
        using var sending = new Sending();
        for (int i = 0; i < 20; i++)
        {
            var attempt = await sending.SendAsync(new HttpSend("POST", receiver.Url, [], new byte[3_000_000]));
            Assert.Equal((DeliveryStatus.Failed, 413), (attempt.Status, attempt.Response?.Status));
            Assert.Null(attempt.Error);
        }
    }

    [Fact]
    public async Task Shutdown_is_told_apart_from_the_deadline()
    {
        var arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var receiver = Receiver.Start(async connection =>
        {
            await connection.ReadRequestAsync();
            arrived.SetResult();
            await connection.HoldAsync();
        });
        using var sending = new Sending();
        using var shutdown = new CancellationTokenSource();
        var attempt = sending.SendAsync(Sending.Post(receiver.Url), shutdown.Token);
        await arrived.Task;
        await shutdown.CancelAsync();

        Assert.Equal(
            (DeliveryStatus.Interrupted, AttemptErrorCode.Interrupted, AttemptPhase.Wait),
            ((await attempt).Status, (await attempt).Error!.Code, (await attempt).Error!.Phase)
        );
    }

    [Fact]
    public async Task Waterfall_adds_up()
    {
        await using var receiver = Receiver.Start(async connection =>
        {
            await connection.ReadRequestAsync();
            await connection.WriteAsync("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        });
        double lookup = 0;
        using var sending = new Sending(
            names: Names(async _ =>
            {
                long start = Stopwatch.GetTimestamp();
                await Task.Delay(10); // what is timed
                lookup = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
                return [IPAddress.Loopback];
            })
        );
        var timing = (await sending.PostAsync($"http://named.example:{receiver.Port}/")).Timing;

        Assert.True(timing.DnsMs!.Value >= lookup, $"{timing.DnsMs} ms of {lookup} ms");
        Assert.Null(timing.TlsMs);
        double[] phases = [timing.DnsMs.Value, timing.ConnectMs!.Value, timing.WriteMs!.Value, timing.WaitMs!.Value, timing.ReadMs!.Value];
        Assert.All(phases, phase => Assert.True(phase >= 0));
        double sum = phases.Sum();
        Assert.Equal(timing.TotalMs, sum, 0.1);
        Assert.Equal(0.5, timing.QueueMs);
    }
}
