using System.Net;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

public sealed class EgressPolicyTests
{
    public static TheoryData<string> SpecialAddresses =>
        [
            "0.0.0.0",
            "0.0.0.1",
            "0.255.255.255",
            "10.0.0.0",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.0",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.0",
            "127.0.0.1",
            "127.0.0.2",
            "127.1.2.3",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.0.0",
            "169.254.0.1",
            "169.254.169.254",
            "169.254.170.2",
            "169.254.255.255",
            "172.16.0.0",
            "172.16.0.1",
            "172.20.10.1",
            "172.31.255.255",
            "192.0.0.0",
            "192.0.0.1",
            "192.0.0.170",
            "192.0.0.192",
            "192.0.0.255",
            "192.0.2.0",
            "192.0.2.1",
            "192.0.2.255",
            "192.88.99.0",
            "192.88.99.1",
            "192.88.99.255",
            "192.168.0.0",
            "192.168.0.1",
            "192.168.1.1",
            "192.168.255.255",
            "198.18.0.0",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.0",
            "198.51.100.7",
            "198.51.100.255",
            "203.0.113.0",
            "203.0.113.9",
            "203.0.113.255",
            "224.0.0.0",
            "224.0.0.1",
            "224.0.0.251",
            "232.1.1.1",
            "233.252.0.1",
            "239.255.255.250",
            "239.255.255.255",
            "240.0.0.0",
            "240.0.0.1",
            "250.1.1.1",
            "255.255.255.254",
            "255.255.255.255",
            "::",
            "::1",
            "::2",
            "::127.0.0.1",
            "::8.8.8.8",
            "::10.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:7f00:1",
            "::ffff:10.0.0.1",
            "::ffff:a00:1",
            "::ffff:169.254.169.254",
            "::ffff:192.168.1.1",
            "::ffff:0.0.0.0",
            "::ffff:100.64.0.1",
            "::ffff:172.16.0.1",
            "::ffff:224.0.0.1",
            "::ffff:255.255.255.255",
            "::ffff:0:127.0.0.1",
            "::ffff:0:8.8.8.8",
            "64:ff9b::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::192.168.0.1",
            "64:ff9b::0.0.0.0",
            "64:ff9b::100.64.0.1",
            "64:ff9b::198.18.0.1",
            "64:ff9b::240.0.0.1",
            "64:ff9b:1::1",
            "64:ff9b:1::8.8.8.8",
            "64:ff9b:1:ffff::1",
            "100::",
            "100::1",
            "100::ffff:ffff:ffff:ffff",
            "100:0:0:1::1",
            "2001::",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:0:808:808:0:0:80ff:fffe",
            "2001:1::1",
            "2001:2::1",
            "2001:2:0:ffff::1",
            "2001:3::1",
            "2001:4:112::1",
            "2001:10::1",
            "2001:1f::1",
            "2001:20::1",
            "2001:2f:ffff::1",
            "2001:30::1",
            "2001:1ff:ffff::1",
            "2001:db8::",
            "2001:db8::1",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            "2002::",
            "2002:7f00:1::1",
            "2002:a00:1::1",
            "2002:808:808::1",
            "2002:a9fe:a9fe::1",
            "2002:c0a8:101::",
            "3fff::",
            "3fff::1",
            "3fff:fff:ffff::1",
            "5f00::",
            "5f00::1",
            "5f00:ffff::1",
            "fc00::",
            "fc00::1",
            "fd00::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "fe80::",
            "fe80::1",
            "fe80::a9fe:a9fe",
            "febf:ffff::1",
            "fec0::",
            "fec0::1",
            "feff::1",
            "ff00::",
            "ff02::1",
            "ff05::2",
            "ff0e::1",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "1::1",
            "200::1",
            "400::1",
            "1000::1",
            "1fff:ffff::1",
            "4000::1",
            "6000::1",
            "8000::1",
            "a000::1",
            "e000::1",
            "f000::1",
            "fe00::1",
            "2606:4700::5efe:127.0.0.1",
            "2606:4700::200:5efe:10.0.0.1",
            "2a00:1450::5efe:c0a8:101",
        ];

    public static TheoryData<string> UrlsThatMeanHome =>
        [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://127.0.1/",
            "http://127.00.00.01/",
            "http://0177.0.0.1/",
            "http://0177.0.0.01/",
            "http://017700000001/",
            "http://0x7f.0.0.1/",
            "http://0x7f.1/",
            "http://0x7f000001/",
            "http://0X7F000001/",
            "http://0x7F.0x0.0x0.0x1/",
            "http://2130706433/",
            "http://02130706433.0/",
            "http://127.0.0.1./",
            "http://127.1./",
            "http://0/",
            "http://0.0/",
            "http://0x0/",
            "http://00/",
            "http://0.0.0.0./",
            "http://10.1/",
            "http://10.0.1/",
            "http://012.0.0.1/",
            "http://0xa.0.0.1/",
            "http://167772161/",
            "http://192.168.257/",
            "http://192.168.1/",
            "http://0xc0a80101/",
            "http://3232235777/",
            "http://030052000401/",
            "http://169.254.43518/",
            "http://0xa9fea9fe/",
            "http://2852039166/",
            "http://025177524776/",
            "http://0251.0376.0251.0376/",
            "http://0xa9.0xfe.0xa9.0xfe/",
            "http://172.1048577/",
            "http://0xffffffff/",
            "http://4294967295/",
            "http://100.4194305/",
            "http://1.0.0.1.1/",
            "http://256.0.0.1/",
            "http://127.0.0.0.1/",
            "http://127.0.0.256/",
            "http://0x100000000/",
            "http://4294967296/",
            "http://127..1/",
            "http://08.0.0.1/",
            "http://127.0.0.1:80/",
            "http://127.0.0.1:8080/",
            "https://127.0.0.1/",
            "HTTP://127.0.0.1/",
            "http://[::1]/",
            "http://[0:0:0:0:0:0:0:1]/",
            "http://[0000:0000:0000:0000:0000:0000:0000:0001]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::FFFF:7F00:1]/",
            "http://[0:0:0:0:0:ffff:127.0.0.1]/",
            "http://[::127.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://[fe80::1]/",
            "http://[fe80::1%25eth0]/",
            "http://[fe80::1%eth0]/",
            "http://[::1%25lo]/",
            "http://[fc00::1]/",
            "http://[FD00:EC2::254]/",
            "http://[::]/",
            "http://[::]:80/",
            "http://[127.0.0.1]/",
            "http://%31%32%37.0.0.1/",
            "http://127%2e0.0.1/",
            "http://１２７.0.0.1/",
            "http://127。0。0。1/",
            "http://①②⑦.0.0.1/",
            "http://user@127.0.0.1/",
            "http://example.com@127.0.0.1/",
            "http://127.0.0.1#@example.com/",
            "http:///127.0.0.1/",
            "http://127.0.0.1",
            "/",
            "http://0x7g.0.0.1/",
            "http://127.0.0.0x/",
            "http://0x/",
            "http://.127.0.0.1/",
            "http://127.0.0.1../",
            "http://\t127.0.0.1/",
            "http://127.0.0.1\n/",
            "http://127.0.0.1\\@example.com/",
        ];

    [Theory]
    [MemberData(nameof(SpecialAddresses))]
    public void Special_address_is_denied_by_default(string address)
    {
        Assert.NotNull(EgressPolicy.Default.FindBlock("host.example", [IPAddress.Parse(address)], 80));
    }

    [Theory]
    [InlineData("1.1.1.1")]
    [InlineData("8.8.8.8")]
    [InlineData("9.255.255.255")]
    [InlineData("11.0.0.0")]
    [InlineData("100.63.255.255")]
    [InlineData("100.128.0.0")]
    [InlineData("126.255.255.255")]
    [InlineData("128.0.0.1")]
    [InlineData("169.253.255.255")]
    [InlineData("169.255.0.0")]
    [InlineData("172.15.255.255")]
    [InlineData("172.32.0.0")]
    [InlineData("192.0.1.0")]
    [InlineData("192.167.255.255")]
    [InlineData("192.169.0.0")]
    [InlineData("198.17.255.255")]
    [InlineData("198.20.0.0")]
    [InlineData("223.255.255.255")]
    [InlineData("2606:4700:4700::1111")]
    [InlineData("2a00:1450:4001:80b::200e")]
    [InlineData("2001:200::1")]
    [InlineData("2001:4860:4860::8888")]
    [InlineData("::ffff:8.8.8.8")]
    [InlineData("64:ff9b::8.8.8.8")]
    public void Public_address_is_allowed(string address)
    {
        Assert.Null(EgressPolicy.Default.FindBlock("host.example", [IPAddress.Parse(address)], 80));
    }

    [Theory]
    [InlineData(
        "127.0.0.1",
        "127.0.0.1",
        9000,
        "127.0.0.1 lies in 127.0.0.0/8 (loopback, RFC 1122); no connection was made; to allow exactly this, "
            + "add \"127.0.0.1:9000\" to the setting Egress:Allow"
    )]
    [InlineData(
        "intra.example",
        "10.0.0.7",
        80,
        "intra.example resolves to 10.0.0.7, which lies in 10.0.0.0/8 (private, RFC 1918); no connection was made; to allow exactly this, "
            + "add \"10.0.0.7:80\" to the setting Egress:Allow"
    )]
    [InlineData(
        "six.example",
        "fd00::1",
        443,
        "six.example resolves to fd00::1, which lies in fc00::/7 (unique local, RFC 4193); no connection was made; to allow exactly this, "
            + "add \"[fd00::1]:443\" to the setting Egress:Allow"
    )]
    public void Verdict_says_which_address_lies_where_and_how_to_allow_exactly_that(string host, string address, int port, string verdict)
    {
        Assert.Equal(verdict, EgressPolicy.Default.FindBlock(host, [IPAddress.Parse(address)], port));
        string rule = verdict.Split('"')[1];
        Assert.Null(new EgressPolicy([rule], []).FindBlock(host, [IPAddress.Parse(address)], port));
        Assert.NotNull(new EgressPolicy([rule], []).FindBlock(host, [IPAddress.Parse(address)], port + 1));
    }

    [Theory]
    [InlineData("64:ff9b::10.0.0.1", "10.0.0.1:80")]
    [InlineData("::ffff:10.0.0.1", "10.0.0.1:80")]
    [InlineData("::1", "[::1]:80")]
    public void Embedded_addresses_are_judged_as_what_they_stand_for(string address, string rule)
    {
        Assert.Contains($"\"{rule}\"", EgressPolicy.Default.FindBlock("x.example", [IPAddress.Parse(address)], 80));
        Assert.Null(new EgressPolicy([rule], []).FindBlock("x.example", [IPAddress.Parse(address)], 80));
    }

    [Fact]
    public void Allowing_a_tunnel_does_not_allow_what_is_behind_it()
    {
        var policy = new EgressPolicy(["2002::/16", "2001::/32"], []);
        Assert.NotNull(policy.FindBlock("x", [IPAddress.Parse("2002:7f00:1::1")], 80));
        Assert.NotNull(policy.FindBlock("x", [IPAddress.Parse("2001:0:4136:e378:8000:63bf:80ff:fffe")], 80)); // 127.0.0.1, inverted
        Assert.Null(policy.FindBlock("x", [IPAddress.Parse("2002:808:808::1")], 80));
    }

    [Fact]
    public void One_bad_address_among_many_blocks_them_all()
    {
        Assert.NotNull(
            EgressPolicy.Default.FindBlock("x", [IPAddress.Parse("8.8.8.8"), IPAddress.Parse("10.0.0.1"), IPAddress.Parse("1.1.1.1")], 80)
        );
    }

    [Theory]
    [InlineData("10.0.0.0/8", "x.example", "10.1.2.3", 80, true)]
    [InlineData("10.0.0.0/8:443", "x.example", "10.1.2.3", 80, false)]
    [InlineData("10.0.0.0/8:443", "x.example", "10.1.2.3", 443, true)]
    [InlineData("10.1.2.3", "x.example", "10.1.2.3", 1, true)]
    [InlineData("10.1.2.3", "x.example", "10.1.2.4", 1, false)]
    [InlineData("fd00::/8", "x.example", "fd00::1", 80, true)]
    [InlineData("[fd00::/8]:8000-8099", "x.example", "fd00::1", 8050, true)]
    [InlineData("[fd00::/8]:8000-8099", "x.example", "fd00::1", 8100, false)]
    [InlineData("::1", "localhost", "::1", 80, true)]
    [InlineData("[::1]", "localhost", "::1", 80, true)]
    [InlineData("intra.example", "intra.example", "10.0.0.1", 80, true)]
    [InlineData("Intra.Example", "intra.example.", "10.0.0.1", 80, true)]
    [InlineData("intra.example", "x.intra.example", "10.0.0.1", 80, false)]
    [InlineData("*.example", "a.b.example", "10.0.0.1", 80, true)]
    [InlineData("*.example", "example", "10.0.0.1", 80, false)]
    [InlineData("*.example", "notexample", "10.0.0.1", 80, false)]
    [InlineData("*.example:8080", "a.example", "10.0.0.1", 80, false)]
    [InlineData("*", "anything.example", "10.0.0.1", 80, true)]
    [InlineData("*:9000", "anything.example", "10.0.0.1", 9000, true)]
    public void Allow_rule_opens_what_it_names_and_no_more(string rule, string host, string address, int port, bool allowed)
    {
        Assert.Equal(allowed, new EgressPolicy([rule], []).FindBlock(host, [IPAddress.Parse(address)], port) is null);
    }

    [Fact]
    public void Deny_rule_wins_over_an_allow_rule_but_for_the_one_that_denies_all()
    {
        var address = IPAddress.Parse("8.8.8.8");
        Assert.Contains(
            "is denied by the rule \"8.8.0.0/16\" of the setting Egress:Deny",
            new EgressPolicy(["8.8.8.8"], ["8.8.0.0/16"]).FindBlock("x", [address], 80)
        );
        Assert.Contains("\"*.evil.example\"", new EgressPolicy(["*"], ["*.evil.example"]).FindBlock("a.evil.example", [address], 80));
        Assert.Contains("\"*:25\"", new EgressPolicy([], ["*:25"]).FindBlock("x", [address], 25));
        Assert.Null(new EgressPolicy(["api.example"], ["*"]).FindBlock("api.example", [address], 80));
        Assert.NotNull(new EgressPolicy(["api.example"], ["*"]).FindBlock("other.example", [address], 80));
    }

    [Theory]
    [InlineData("", "neither an address, a range nor a host name")]
    [InlineData("10.0.0.1/8", "did you mean 10.0.0.0/8?")]
    [InlineData("10.0.0.0/33", "the prefix is a number from 0 to 32")]
    [InlineData("10.0.0.0/x", "not a range like 10.0.0.0/8")]
    [InlineData("10.0.0", "write the address in full: 10.0.0.0")]
    [InlineData("010.0.0.1", "write the address in full: 8.0.0.1")]
    [InlineData("10.0.0.1:0", "the port is a number from 1 to 65535")]
    [InlineData("10.0.0.1:99999", "the port is a number from 1 to 65535")]
    [InlineData("10.0.0.1:90-80", "the port is a number from 1 to 65535")]
    [InlineData("[::1]80", "after ']' comes ':' and a port")]
    [InlineData("http://x.example", "the port is")]
    [InlineData("a*.example", "neither")]
    [InlineData("x y", "neither")]
    [InlineData("1::2::3", "not an IPv6 address")]
    public void Text_that_is_no_rule_says_why(string rule, string why)
    {
        var error = Assert.Throws<FormatException>(() => new EgressPolicy([rule], []));
        Assert.StartsWith($"Egress:Allow: \"{rule}\" is not a valid egress rule: ", error.Message);
        Assert.Contains(why, error.Message);
        Assert.StartsWith("Egress:Deny: ", Assert.Throws<FormatException>(() => new EgressPolicy([], [rule])).Message);
    }

    [Fact]
    public async Task Blocked_delivery_dials_nothing_and_says_so()
    {
        await using var receiver = Receiver.Answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        using var sending = new Sending(
            egress: EgressPolicy.Default,
            names: new NameResolver(new EngineLimits(), _ => Task.FromResult(new[] { IPAddress.Loopback }))
        );
        foreach (string url in new[] { receiver.Url, $"http://public.example:{receiver.Port}/" })
        {
            var attempt = await sending.PostAsync(url);
            Assert.Equal((DeliveryStatus.Blocked, AttemptErrorCode.BlockedByEgressPolicy), (attempt.Status, attempt.Error!.Code));
            Assert.Contains($"add \"127.0.0.1:{receiver.Port}\" to the setting Egress:Allow", attempt.Error.Message);
        }
        Assert.Equal(0, receiver.Connections);
    }

    [Fact]
    public async Task Name_is_checked_and_dialled_by_one_and_the_same_lookup()
    {
        await using var receiver = Receiver.Answering("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        int lookups = 0;
        using var sending = new Sending(
            names: new NameResolver(
                new EngineLimits(),
                _ =>
                    Task.FromResult(
                        new[] { Interlocked.Increment(ref lookups) % 2 == 1 ? IPAddress.Loopback : IPAddress.Parse("10.0.0.1") }
                    )
            )
        );
        var first = await sending.PostAsync($"http://rebinding.example:{receiver.Port}/");
        var second = await sending.PostAsync($"http://rebinding.example:{receiver.Port}/");

        Assert.Equal(
            (DeliveryStatus.Succeeded, DeliveryStatus.Blocked, 2, 1),
            (first.Status, second.Status, lookups, receiver.Connections)
        );
    }

    [Theory]
    [InlineData("http://Example.COM/x", "http://example.com:80")]
    [InlineData("https://example.com", "https://example.com:443")]
    [InlineData("https://example.com:8443/?x", "https://example.com:8443")]
    [InlineData("http://[::1]:81/", "http://[::1]:81")]
    [InlineData("http://0x7f.1/", "http://127.0.0.1:80")]
    public void Destination_is_scheme_host_and_port(string url, string destination)
    {
        Assert.Equal(destination, Destination.Of(url));
    }

    [Theory]
    [InlineData("localhost", "evillocalhost", false)]
    [InlineData("localhost", "localhost.evil", false)]
    [InlineData("localhost", "x.localhost", false)]
    [InlineData("localhost", "LOCALHOST.", true)]
    [InlineData("*.localhost", "evillocalhost", false)]
    [InlineData("*.localhost", "evil-localhost", false)]
    [InlineData("*.localhost", "localhost", false)]
    [InlineData("*.localhost", ".localhost", false)]
    [InlineData("*.localhost", "x.localhost.evil", false)]
    [InlineData("*.localhost", "a.b.localhost", true)]
    public void A_host_rule_lets_through_whole_labels_only(string rule, string host, bool isAllowed) =>
        Assert.Equal(isAllowed, new EgressPolicy([rule], []).FindBlock(host, [IPAddress.Loopback], 80) is null);

    [Theory]
    [InlineData("127.0.0.1:80-82", 79, false)]
    [InlineData("127.0.0.1:80-82", 80, true)]
    [InlineData("127.0.0.1:80-82", 82, true)]
    [InlineData("127.0.0.1:80-82", 83, false)]
    [InlineData("localhost:80", 81, false)]
    [InlineData("127.0.0.1", 1, true)]
    [InlineData("127.0.0.1", 65_535, true)]
    public void Ports_of_a_rule_are_taken_with_both_ends(string rule, int port, bool isAllowed) =>
        Assert.Equal(isAllowed, new EgressPolicy([rule], []).FindBlock("localhost", [IPAddress.Loopback], port) is null);
}
