using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

/// <summary>Listeners on one port of 127.0.0.1, 127.0.0.2 and ::1 that take nothing: a connection stays where it can be seen.</summary>
public sealed class HomeListeners : IDisposable
{
    readonly List<Socket> all = [];

    public HomeListeners()
    {
        while (!TryListen(IPAddress.Loopback) || !TryListen(IPAddress.Parse("127.0.0.2")) || !TryListen(IPAddress.IPv6Loopback))
        {
            // The port is taken at one of the addresses; there are others.
            Dispose();
            all.Clear();
            Port = 0;
        }
    }

    public int Port { get; private set; }

    /// <summary>Somebody connected, or has since gone again.</summary>
    public bool WasReached => all.Any(listener => listener.Poll(0, SelectMode.SelectRead));

    bool TryListen(IPAddress address)
    {
        var listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        all.Add(listener);
        try
        {
            listener.Bind(new IPEndPoint(address, Port));
            listener.Listen(64);
            Port = ((IPEndPoint)listener.LocalEndPoint!).Port;
            return true;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            return false;
        }
    }

    public void Dispose() => all.ForEach(listener => listener.Dispose());
}

/// <summary>D1 through the whole sender: no spelling of an address reaches a listener at home.</summary>
public sealed partial class EgressListenerTests(HomeListeners home) : IClassFixture<HomeListeners>
{
    static NameResolver Names(Func<string, IPAddress[]> lookup) => new(new EngineLimits(), name => Task.FromResult(lookup(name)));

    static readonly NameResolver nobody = Names(name => throw new InvalidOperationException($"looked up {name}"));

    public static TheoryData<string> UrlsThatMeanHome => EgressPolicyTests.UrlsThatMeanHome;
    public static TheoryData<string> SpecialAddresses => EgressPolicyTests.SpecialAddresses;

    [GeneratedRegex(@"^([a-zA-Z]+://[^/@:\[\\]*(?:\[[^\]]*\])?)(?::\d+)?(?=/|$)")]
    private static partial Regex Authority();

    [Theory]
    [MemberData(nameof(UrlsThatMeanHome))]
    public async Task No_spelling_of_an_address_reaches_a_listener(string url)
    {
        using var sending = new Sending(names: nobody, egress: EgressPolicy.Default);
        foreach (string spelling in new[] { url, Authority().Replace(url, $"$1:{home.Port}") })
        {
            var attempt = await sending.GetAsync(spelling);
            bool isUrl = attempt.Error!.Code != AttemptErrorCode.Internal;
            if (isUrl)
                Assert.Equal(
                    (DeliveryStatus.Blocked, AttemptErrorCode.BlockedByEgressPolicy, AttemptPhase.Connect),
                    (attempt.Status, attempt.Error.Code, attempt.Error.Phase)
                );
            else
                Assert.StartsWith("the URL is not one that can be sent; no connection was made", attempt.Error.Message);
            Assert.Null(attempt.RemoteAddress);
        }
        Assert.False(home.WasReached);
    }

    [Theory]
    [MemberData(nameof(SpecialAddresses))]
    public async Task No_special_address_is_dialled_as_a_literal_or_through_a_name(string address)
    {
        string host = address.Contains(':') ? $"[{address}]" : address;
        using var sending = new Sending(names: Names(_ => [IPAddress.Parse(address)]), egress: EgressPolicy.Default);
        var literal = await sending.GetAsync($"http://{host}:{home.Port}/");
        var name = await sending.GetAsync($"http://public.example:{home.Port}/");

        Assert.Equal(
            (DeliveryStatus.Blocked, AttemptErrorCode.BlockedByEgressPolicy, AttemptPhase.Connect),
            (literal.Status, literal.Error!.Code, literal.Error.Phase)
        );
        Assert.Equal(
            (DeliveryStatus.Blocked, AttemptErrorCode.BlockedByEgressPolicy, AttemptPhase.Dns),
            (name.Status, name.Error!.Code, name.Error.Phase)
        );
        Assert.Equal((null, null), (literal.RemoteAddress, name.RemoteAddress));
        Assert.False(home.WasReached);
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("0x7f.1")]
    [InlineData("[::1]")]
    [InlineData("[::ffff:127.0.0.1]")]
    public async Task The_listeners_see_whom_the_rules_let_through(string host)
    {
        using var seen = new HomeListeners();
        using var sending = new Sending();
        using var shutdown = new CancellationTokenSource();
        var attempt = sending.SendAsync(new HttpSend("GET", $"http://{host}:{seen.Port}/", [], default), shutdown.Token);
        while (!seen.WasReached && !attempt.IsCompleted)
            await Task.Yield();
        await shutdown.CancelAsync();
        Assert.Contains((await attempt).Error!.Code, new[] { AttemptErrorCode.Interrupted, AttemptErrorCode.Timeout });
        Assert.True(seen.WasReached);
    }

    [Fact]
    public async Task One_bad_address_among_good_ones_blocks_them_all()
    {
        using var sending = new Sending(
            names: Names(_ => [IPAddress.Parse("127.0.0.1"), IPAddress.Parse("127.0.0.2")]),
            egress: new EgressPolicy(["127.0.0.1"], [])
        );
        var attempt = await sending.GetAsync($"http://mixed.example:{home.Port}/");
        Assert.Equal((DeliveryStatus.Blocked, AttemptPhase.Dns), (attempt.Status, attempt.Error!.Phase));
        Assert.StartsWith("mixed.example resolves to 127.0.0.2, which lies in 127.0.0.0/8", attempt.Error.Message);
        Assert.False(home.WasReached);
    }

    [Fact]
    public async Task A_name_that_would_lead_elsewhere_at_a_second_question_is_asked_once_and_dialled_where_it_was_checked()
    {
        await using var receiver = Receiver.Answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        using var second = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        second.Bind(new IPEndPoint(IPAddress.Parse("127.0.0.22"), receiver.Port));
        second.Listen();
        int questions = 0;
        using var sending = new Sending(
            names: Names(_ => [IPAddress.Parse(Interlocked.Increment(ref questions) == 1 ? "127.0.0.1" : "127.0.0.22")]),
            egress: new EgressPolicy(["127.0.0.1"], [])
        );
        var attempt = await sending.GetAsync($"http://rebinding.example:{receiver.Port}/");

        Assert.Equal((DeliveryStatus.Succeeded, 1, $"127.0.0.1:{receiver.Port}"), (attempt.Status, questions, attempt.RemoteAddress));
        Assert.False(second.Poll(0, SelectMode.SelectRead));
    }
}
