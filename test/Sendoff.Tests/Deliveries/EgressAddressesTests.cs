using System.Net;
using System.Net.Sockets;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

/// <summary>D3: deliveries leave from the operator's addresses, in turn, and from no other.</summary>
public sealed class EgressAddressesTests
{
    const string Ok = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    const string Closing = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    static readonly string[] four = ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"];

    static EgressOptions From(params string[] addresses) =>
        new() { Policies = new(Sending.Loopback), Addresses = new([.. addresses.Select(IPAddress.Parse)]) };

    static NameResolver Names(params string[] addresses) =>
        new(new EngineLimits(), _ => Task.FromResult(addresses.Select(IPAddress.Parse).ToArray()));

    [Theory]
    [InlineData(Ok, 4)]
    [InlineData(Closing, 12)]
    public async Task Requests_to_a_destination_take_the_addresses_in_turn_over_kept_and_new_connections_alike(
        string response,
        int connections
    )
    {
        await using var receiver = Receiver.Answering(response);
        using var sending = new Sending(egress: From(four));
        var used = new List<string?>();
        for (int i = 0; i < 12; i++)
            used.Add((await sending.PostAsync(receiver.Url)).LocalAddress);

        Assert.Equal(four, used.Take(4).Order());
        Assert.Equal(used.Take(4), used.Skip(4).Take(4));
        Assert.Equal(used.Take(4), used.Skip(8));
        Assert.Equal(connections, receiver.Connections);
    }

    [Fact]
    public async Task The_receiver_sees_the_address_that_the_attempt_records()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var sending = new Sending(egress: From("127.0.0.3"));
        var attempt = sending.PostAsync($"http://{listener.LocalEndpoint}/");
        using var peer = await listener.AcceptSocketAsync();
        Assert.Equal("127.0.0.3", ((IPEndPoint)peer.RemoteEndPoint!).Address.ToString());
        await peer.SendAsync("HTTP/1.1 204 No Content\r\n\r\n"u8.ToArray());
        Assert.Equal("127.0.0.3", (await attempt).LocalAddress);
    }

    [Fact]
    public void Each_destination_has_its_own_turns()
    {
        var addresses = new EgressAddresses([.. four.Select(IPAddress.Parse)]);
        var used = Enumerable.Range(0, 400).Select(i => (Destination: i % 100, addresses.Next($"http://{i % 100}.example:80").V4)).ToList();

        // Destinations that share a place in the table share their turns; they are few, and over all of them no address is left out.
        Assert.InRange(used.GroupBy(u => u.Destination).Count(turns => turns.Distinct().Count() == 4), 80, 100);
        Assert.Equal(4, used.Select(u => u.V4).Distinct().Count());
    }

    [Fact]
    public async Task Many_at_once_are_spread_evenly()
    {
        await using var receiver = Receiver.Answering(Ok);
        using var sending = new Sending(egress: From(four));
        var attempts = await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => sending.PostAsync(receiver.Url)));

        Assert.All(attempts, attempt => Assert.Equal(DeliveryStatus.Succeeded, attempt.Status));
        Assert.All(attempts.CountBy(attempt => attempt.LocalAddress!), count => Assert.Equal(50, count.Value));
    }

    [Fact]
    public async Task A_name_of_both_families_is_reached_from_the_address_of_the_family_that_connects()
    {
        await using var receiver = Receiver.Answering(Closing);
        using var sending = new Sending(names: Names("::1", "127.0.0.1"), egress: From("::1", "127.0.0.2"));
        var attempt = await sending.PostAsync($"http://both.example:{receiver.Port}/");
        Assert.Equal((DeliveryStatus.Succeeded, "127.0.0.2"), (attempt.Status, attempt.LocalAddress));
    }

    [Theory]
    [InlineData("127.0.0.2", "::1", "IPv6")]
    [InlineData("::1", "127.0.0.1", "IPv4")]
    public async Task A_destination_of_a_family_without_an_address_is_unreachable_and_says_what_to_add(
        string from,
        string to,
        string family
    )
    {
        using var sending = new Sending(names: Names(to), egress: From(from));
        var attempt = await sending.PostAsync("http://one-family.example/");

        Assert.Equal((AttemptErrorCode.ConnectUnreachable, AttemptPhase.Connect), (attempt.Error!.Code, attempt.Error.Phase));
        Assert.Contains($"one-family.example has only {family} addresses", attempt.Error.Message);
        Assert.Contains($"add a local {family} address to the setting Egress:Addresses", attempt.Error.Message);
    }

    [Fact]
    public async Task Addresses_of_a_family_without_one_are_passed_over()
    {
        await using var receiver = Receiver.Answering(Ok);
        using var sending = new Sending(names: Names("::1", "127.0.0.1"), egress: From("127.0.0.2"));
        var attempt = await sending.PostAsync($"http://both.example:{receiver.Port}/");
        Assert.Equal(
            (DeliveryStatus.Succeeded, "127.0.0.2", $"127.0.0.1:{receiver.Port}"),
            (attempt.Status, attempt.LocalAddress, attempt.RemoteAddress)
        );
    }

    [Fact]
    public async Task An_address_that_is_gone_fails_the_attempt_instead_of_another_address_serving()
    {
        await using var receiver = Receiver.Answering(Ok);
        using var sending = new Sending(egress: From("198.51.100.77"));
        var attempt = await sending.PostAsync(receiver.Url);

        Assert.Equal((AttemptErrorCode.ConnectUnreachable, "198.51.100.77"), (attempt.Error!.Code, attempt.LocalAddress));
        Assert.Contains("from 198.51.100.77 (Egress:Addresses)", attempt.Error.Message);
        Assert.Equal(0, receiver.Connections);
    }

    [Fact]
    public async Task A_failed_attempt_records_its_address_too()
    {
        using var closed = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        closed.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        using var sending = new Sending(egress: From("127.0.0.4"));
        var attempt = await sending.PostAsync($"http://{closed.LocalEndPoint}/");
        Assert.Equal((AttemptErrorCode.ConnectRefused, "127.0.0.4"), (attempt.Error!.Code, attempt.LocalAddress));
    }

    [Fact]
    public void Only_this_machines_addresses_can_be_used()
    {
        Assert.Null(EgressAddresses.FindFault(IPAddress.Parse("127.0.0.2")));
        Assert.Null(EgressAddresses.FindFault(IPAddress.IPv6Loopback));
        Assert.NotNull(EgressAddresses.FindFault(IPAddress.Parse("198.51.100.77")));
    }

    [Fact]
    public async Task The_port_is_chosen_at_connect_so_that_one_address_carries_more_than_its_ports()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("IP_BIND_ADDRESS_NO_PORT is Linux's");
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        EgressAddresses.Bind(socket, IPAddress.Parse("127.0.0.2"));
        Assert.Equal(0, ((IPEndPoint)socket.LocalEndPoint!).Port);
        await using var receiver = Receiver.Answering(Ok);
        await socket.ConnectAsync(IPAddress.Loopback, receiver.Port);
    }
}
