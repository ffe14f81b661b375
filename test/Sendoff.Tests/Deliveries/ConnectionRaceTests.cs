using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

/// <summary>Several addresses of one name: who is silent holds up nobody.</summary>
public sealed class ConnectionRaceTests
{
    static NameResolver Names(params string[] addresses) =>
        new(new EngineLimits(), _ => Task.FromResult(addresses.Select(IPAddress.Parse).ToArray()));

    static IPEndPoint[] EndPoints(params string[] addresses) => [.. addresses.Select(IPEndPoint.Parse)];

    // Nothing else in these tests comes from 127.0.0.22 and 23, so that a port that is free at 127.0.0.1 is free there.
    /// <summary>A socket that listens and takes no more connections: what knocks gets no answer.</summary>
    sealed class SilentListener : IDisposable
    {
        readonly Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        readonly Socket[] fill =
        [
            .. Enumerable.Range(0, 4).Select(_ => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)),
        ];

        public SilentListener(string address, int port)
        {
            listener.Bind(new IPEndPoint(IPAddress.Parse(address), port));
            listener.Listen(0);
            foreach (var socket in fill)
                _ = socket.ConnectAsync(listener.LocalEndPoint!);
        }

        public void Dispose()
        {
            listener.Dispose();
            foreach (var socket in fill)
                socket.Dispose();
        }
    }

    [Fact]
    public async Task A_first_address_that_is_silent_costs_a_quarter_of_a_second_and_not_the_delivery()
    {
        await using var receiver = Receiver.Answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        using var silent = new SilentListener("127.0.0.22", receiver.Port);
        using var sending = new Sending(new EngineLimits { DeliveryDeadline = Wait.Limit }, names: Names("127.0.0.22", "127.0.0.1"));
        var attempt = await sending.PostAsync($"http://two.example:{receiver.Port}/");

        Assert.Equal((DeliveryStatus.Succeeded, $"127.0.0.1:{receiver.Port}"), (attempt.Status, attempt.RemoteAddress));
        Assert.True(attempt.Timing.ConnectMs >= 200, $"{attempt.Timing.ConnectMs} ms");
        Assert.Equal((1, 1), (receiver.Connections, receiver.Requests.Count));
    }

    [Fact]
    public async Task When_all_are_silent_the_timeout_names_them()
    {
        using var one = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        one.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        int port = ((IPEndPoint)one.LocalEndPoint!).Port;
        using var two = new SilentListener("127.0.0.22", port);
        using var three = new SilentListener("127.0.0.23", port);
        using var sending = new Sending(
            new EngineLimits { DeliveryDeadline = TimeSpan.FromSeconds(3) },
            names: Names("127.0.0.22", "127.0.0.23")
        );
        var attempt = await sending.PostAsync($"http://two.example:{port}/");

        Assert.Equal((AttemptErrorCode.Timeout, AttemptPhase.Connect), (attempt.Error!.Code, attempt.Error.Phase));
        Assert.EndsWith($"while connecting to 127.0.0.22:{port} and 127.0.0.23:{port}", attempt.Error.Message);
    }

    [Fact]
    public async Task When_all_fail_the_error_says_what_each_did()
    {
        using var closed = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        closed.Bind(new IPEndPoint(IPAddress.Any, 0));
        int port = ((IPEndPoint)closed.LocalEndPoint!).Port;
        using var sending = new Sending(names: Names("127.0.0.22", "127.0.0.23"));
        var attempt = await sending.PostAsync($"http://two.example:{port}/");

        Assert.Equal((AttemptErrorCode.ConnectRefused, AttemptPhase.Connect), (attempt.Error!.Code, attempt.Error.Phase));
        Assert.Equal(
            $"none of 2 addresses accepted the connection: 127.0.0.22:{port} refused the connection: nothing is listening on that port; "
                + $"127.0.0.23:{port} refused the connection: nothing is listening on that port",
            attempt.Error.Message
        );
    }

    [Fact]
    public async Task The_next_begins_when_the_one_before_has_had_its_head_start_and_the_first_connection_wins()
    {
        var race = new Race(3);
        race.Clock.Advance(TimeSpan.FromMilliseconds(249));
        Assert.Equal(1, race.Started);
        race.Clock.Advance(TimeSpan.FromMilliseconds(1));
        await race.WaitForAsync(2);
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        race.Attempts[1].SetResult(socket);

        var (won, to) = await race.Ended;
        Assert.Equal((socket, "127.0.0.2:80", 2), (won, to.ToString(), race.Started));
        Assert.True(race.Tokens[0].IsCancellationRequested);
    }

    [Fact]
    public async Task One_that_fails_makes_way_at_once()
    {
        var race = new Race(2);
        race.Attempts[0].SetException(new WireException(AttemptErrorCode.ConnectRefused, "refused"));
        await race.WaitForAsync(2); // no time has passed
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        race.Attempts[1].SetResult(socket);
        Assert.Same(socket, (await race.Ended).Socket);
    }

    [Fact]
    public async Task A_connection_that_comes_after_the_winner_is_closed()
    {
        var race = new Race(2);
        race.Clock.Advance(ConnectionRace.HeadStart);
        await race.WaitForAsync(2);
        using Socket early = new(SocketType.Stream, ProtocolType.Tcp),
            late = new(SocketType.Stream, ProtocolType.Tcp);
        race.Attempts[1].SetResult(early);
        Assert.Same(early, (await race.Ended).Socket);
        race.Attempts[0].SetResult(late);
        await Wait.UntilAsync(() => late.SafeHandle.IsClosed);
        Assert.False(early.SafeHandle.IsClosed);
    }

    [Fact]
    public async Task The_deadline_ends_all_of_them()
    {
        using var deadline = new CancellationTokenSource();
        var race = new Race(2, deadline.Token);
        await deadline.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => race.Ended);
    }

    [Fact]
    public void Families_take_turns_and_no_name_has_more_than_its_share()
    {
        var addresses = new[] { "2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1", "192.0.2.2", "::ffff:192.0.2.2" }
            .Select(IPAddress.Parse)
            .ToArray();
        Assert.Equal(
            EndPoints("[2001:db8::1]:443", "192.0.2.1:443", "[2001:db8::2]:443", "192.0.2.2:443", "[2001:db8::3]:443"),
            ConnectionRace.Interleave(addresses, 443, 16)
        );
        Assert.Equal(EndPoints("[2001:db8::1]:443", "192.0.2.1:443"), ConnectionRace.Interleave(addresses, 443, 2));
    }

    /// <summary>A race whose attempts end when the test says so, on a clock that the test moves.</summary>
    sealed class Race
    {
        readonly SemaphoreSlim begun = new(0);
        int waited;

        public Race(int addresses, CancellationToken ct = default)
        {
            Attempts =
            [
                .. Enumerable
                    .Range(0, addresses)
                    .Select(_ => new TaskCompletionSource<Socket>(TaskCreationOptions.RunContinuationsAsynchronously)),
            ];
            Ended = ConnectionRace.RunAsync(
                EndPoints([.. Enumerable.Range(1, addresses).Select(i => $"127.0.0.{i}:80")]),
                ConnectAsync,
                static _ => { },
                Clock,
                ct
            );
        }

        public FakeTimeProvider Clock { get; } = new();
        public TaskCompletionSource<Socket>[] Attempts { get; }
        public List<CancellationToken> Tokens { get; } = [];
        public int Started => Tokens.Count;
        public Task<(Socket Socket, IPEndPoint To)> Ended { get; }

        Task<Socket> ConnectAsync(IPEndPoint to, CancellationToken ct)
        {
            var attempt = Attempts[to.Address.GetAddressBytes()[3] - 1];
            Tokens.Add(ct);
            begun.Release();
            return attempt.Task;
        }

        public async Task WaitForAsync(int count)
        {
            for (; waited < count; waited++)
                await Wait.ForAsync(begun);
        }
    }
}
