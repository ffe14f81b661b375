using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Sendoff.Server;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>What <c>Listen</c> asks for is what is bound: nothing else, and not something else.</summary>
public sealed class ListenTests
{
    static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("http://127.0.0.1:5180", "127.0.0.1", 5180, false)]
    [InlineData("https://[::1]", "::1", 443, true)]
    [InlineData("HTTP://Localhost", "localhost", 80, false)]
    [InlineData("http://[::]:80/", "::", 80, false)]
    public void An_address_is_read(string text, string host, int port, bool isTls)
    {
        Assert.True(ListenAddress.TryParse(text, out var address));
        Assert.Equal((host, port, isTls, (string?)null), (address.Host, address.Port, address.IsTls, address.SocketPath));
    }

    [Theory]
    [InlineData("http://0.0.0.0:5180", "http://localhost:5180/")]
    [InlineData("https://[::]:5181", "https://localhost:5181/")]
    [InlineData("http://127.0.0.2:1", "http://127.0.0.2:1/")]
    [InlineData("http://unix:/run/a.sock", null)]
    public void Where_it_is_reached_is_an_address_that_browsers_can_ask(string text, string? reached) =>
        Assert.Equal(reached, ListenAddress.ReadList(text)!.Single().Reachable?.ToString());

    [Theory]
    [InlineData("http://10.1:5180")]
    [InlineData("http://0x7f.1:5180")]
    [InlineData("http://2130706433:5180")]
    [InlineData("http://127.0.0.1/path")]
    [InlineData("http://127.0.0.1/?")]
    [InlineData("http://127.0.0.1/#")]
    [InlineData("http://user@127.0.0.1")]
    [InlineData("http://unix:relative")]
    [InlineData("http://unix:/")]
    [InlineData("ftp://127.0.0.1")]
    public void Text_that_is_no_plain_address_is_not_read(string text) => Assert.False(ListenAddress.TryParse(text, out _));

    [Fact]
    public async Task Each_address_is_bound_and_no_other()
    {
        await using var app = await StartAsync("http://127.0.0.1:0,http://127.0.0.3:0", "http://127.0.0.4:0");
        Assert.Equal(["127.0.0.1", "127.0.0.3", "127.0.0.4"], Addresses(app).Select(one => one.Host));
        using var client = new HttpClient();
        Assert.Equal("pages", await client.GetStringAsync(Addresses(app)[0], Ct));
        Assert.Equal("hooks", await client.GetStringAsync(Addresses(app)[2], Ct));
        using var other = new TcpClient();
        await Assert.ThrowsAsync<SocketException>(async () =>
            await other.ConnectAsync(IPAddress.Parse("127.0.0.2"), Addresses(app)[0].Port, Ct)
        );
    }

    /// <summary>It bound every address of the machine.</summary>
    [Fact]
    public async Task A_host_name_is_bound_on_the_addresses_that_it_resolves_to()
    {
        var found = await ListenAddress.ReadList($"http://{Dns.GetHostName()}:80")!.Single().ResolveAsync(Ct);
        Assert.Equal((await Dns.GetHostAddressesAsync(Dns.GetHostName(), Ct)).Select(ip => new IPEndPoint(ip, 80)).Distinct(), found);
        Assert.All(found, endPoint => Assert.False(((IPEndPoint)endPoint).Address.Equals(IPAddress.Any)));
    }

    [Theory]
    [InlineData("https://127.0.0.1:0", "https requires a certificate; set Tls:Certificate")]
    [InlineData("http://nobody.invalid:5180", "cannot be resolved")]
    [InlineData("http://198.51.100.77:5180", "198.51.100.77 is not an address of this machine")]
    [InlineData("http://localhost:0", "port 0 needs an IP address")]
    [InlineData("http://unix:/nowhere/at/all.sock", "the folder /nowhere/at")]
    [InlineData("http://unix:/etc/hostname", "is not the socket of an earlier server")]
    public async Task What_cannot_be_bound_is_refused_with_why(string address, string why)
    {
        var refused = await Assert.ThrowsAsync<ListenException>(() =>
            Listeners.PrepareAsync(ListenAddress.ReadList(address)!, [], hasCertificate: false, Ct)
        );
        Assert.StartsWith($"cannot listen on {address}: ", refused.Message);
        Assert.Contains(why, refused.Message);
    }

    [Fact]
    public async Task A_Unix_socket_is_served_and_one_that_a_killed_server_left_is_replaced()
    {
        using var folder = new TempFolder();
        string path = Path.Combine(folder.Path, "http.sock");
        // As a kill leaves it: bound, and nobody listens.
        var left = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        left.Bind(new UnixDomainSocketEndPoint(path));
        await using (await StartAsync($"http://unix:{path}", null))
        {
            using var client = new HttpClient(
                new SocketsHttpHandler
                {
                    ConnectCallback = async (_, ct) =>
                    {
                        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), ct);
                        return new NetworkStream(socket, ownsSocket: true);
                    },
                }
            );
            Assert.Equal("pages", await client.GetStringAsync("http://any.example/", Ct));
            var second = await Assert.ThrowsAsync<ListenException>(() => StartAsync($"http://unix:{path}", null));
            Assert.Contains("is in use by another program", second.Message);
        }
        left.Dispose();
    }

    [Fact]
    public async Task Https_is_TLS_and_a_renewed_certificate_is_served_without_a_restart()
    {
        using var folder = new TempFolder();
        string pem = Path.Combine(folder.Path, "tls.pem"),
            key = Path.Combine(folder.Path, "tls.key");
        var clock = new FakeTimeProvider();
        var first = Write(pem, key);
        var certificate = new ServerCertificate(pem, key, null, clock);
        certificate.Load();
        List<string> kept = [];
        certificate.Kept += kept.Add;
        await using var app = await StartAsync("https://127.0.0.1:0", null, certificate);

        Assert.Equal((first, "pages"), await AskTlsAsync(Addresses(app)[0]));
        using (var client = new HttpClient())
            await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync($"http://{Addresses(app)[0].Authority}/", Ct));

        var second = Write(pem, key);
        Touch(pem, key, 1);
        clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal((second, "pages"), await AskTlsAsync(Addresses(app)[0]));

        File.WriteAllText(pem, "half a file");
        Touch(pem, key, 2);
        clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal((second, "pages"), await AskTlsAsync(Addresses(app)[0]));
        Assert.Contains("Tls:Certificate", Assert.Single(kept));
    }

    [Fact]
    public async Task Hangup_reads_the_certificate_again_and_a_broken_one_leaves_that_before_in_use()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals are of POSIX");
        using var folder = new TempFolder();
        string pem = Path.Combine(folder.Path, "tls.pem"),
            key = Path.Combine(folder.Path, "tls.key");
        string first = Write(pem, key);
        // The time of the files stays, so that it is the signal that has them read.
        var time = File.GetLastWriteTimeUtc(pem);
        var address = new Uri($"https://127.0.0.1:{ServerProcess.FreePort()}");
        await using var server = await ServerProcess.StartAsync(
            Path.Combine(folder.Path, "data"),
            "a-token-for-hangups",
            $"Hooks:Listen={address.OriginalString}",
            $"Tls:Certificate={pem}",
            $"Tls:Key={key}"
        );
        Assert.Equal(first, await SerialAsync());

        string second = Write(pem, key);
        string good = File.ReadAllText(pem),
            goodKey = File.ReadAllText(key),
            other = Path.Combine(folder.Path, "other");
        await HangUpAsync("SIGHUP: reloaded the certificate", 1);
        Assert.Equal(second, await SerialAsync());

        Write(other, other + ".key");
        string[][] broken =
        [
            ["", goodKey],
            [good, ""],
            [good[..(good.Length / 2)], goodKey],
            [good, File.ReadAllText(other + ".key")],
            [good, goodKey.Replace("PRIVATE KEY", "EC PRIVATE KEY")],
            [goodKey, good],
            [good.Replace('M', '!'), goodKey],
            ["-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", goodKey],
            [good, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"],
        ];
        for (int i = 0; i < broken.Length; i++)
        {
            File.WriteAllText(pem, broken[i][0]);
            File.WriteAllText(key, broken[i][1]);
            await HangUpAsync(
                "The certificate could not be reloaded; the previous one stays in use: no certificate with its key can be read from",
                i + 1
            );
            Assert.Equal(second, await SerialAsync());
        }

        async Task HangUpAsync(string says, int times)
        {
            foreach (string file in new[] { pem, key })
                File.SetLastWriteTimeUtc(file, time);
            server.Signal("HUP");
            await Wait.UntilAsync(() => server.Said.Split(says).Length == times + 1);
        }

        async Task<string> SerialAsync() => (await AskTlsAsync(new(address, "/healthz/live"))).Serial;
    }

    /// <summary>As a volume of Kubernetes has them: the files are links through a folder that is a link, and that one is
    /// replaced.</summary>
    [Fact]
    public async Task A_renewed_certificate_behind_links_is_served()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "links need rights there");
        using var folder = new TempFolder();
        string data = Path.Combine(folder.Path, "..data"),
            pem = Path.Combine(folder.Path, "tls.pem"),
            key = Path.Combine(folder.Path, "tls.key");
        List<string> serials = [];
        foreach (string name in new[] { "1", "2" })
        {
            string inside = Directory.CreateDirectory(Path.Combine(folder.Path, name)).FullName;
            serials.Add(Write(Path.Combine(inside, "tls.pem"), Path.Combine(inside, "tls.key")));
            Touch(Path.Combine(inside, "tls.pem"), Path.Combine(inside, "tls.key"), serials.Count);
        }
        Directory.CreateSymbolicLink(data, "1");
        File.CreateSymbolicLink(pem, Path.Combine("..data", "tls.pem"));
        File.CreateSymbolicLink(key, Path.Combine("..data", "tls.key"));
        var clock = new FakeTimeProvider();
        var certificate = new ServerCertificate(pem, key, null, clock);
        certificate.Load();
        await using var app = await StartAsync("https://127.0.0.1:0", null, certificate);
        Assert.Equal(serials[0], (await AskTlsAsync(Addresses(app)[0])).Serial);

        Directory.Delete(data);
        Directory.CreateSymbolicLink(data, "2");
        clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(serials[1], (await AskTlsAsync(Addresses(app)[0])).Serial);
    }

    [Fact]
    public void A_certificate_file_that_holds_none_is_named()
    {
        using var folder = new TempFolder();
        string pem = Path.Combine(folder.Path, "tls.pem");
        File.WriteAllText(pem, "nothing");
        Assert.Contains(
            $"can be read from {pem} (setting Tls:Certificate)",
            Assert.Throws<InvalidDataException>(() => new ServerCertificate(pem, null, null, TimeProvider.System).Load()).Message
        );
    }

    static string Write(string pem, string key)
    {
        var issued = TestCertificates.Issue("127.0.0.1");
        File.WriteAllText(pem, issued.ExportCertificatePem());
        using var ec = issued.GetECDsaPrivateKey();
        using var rsa = issued.GetRSAPrivateKey();
        File.WriteAllText(key, ec?.ExportPkcs8PrivateKeyPem() ?? rsa!.ExportPkcs8PrivateKeyPem());
        return issued.SerialNumber;
    }

    static void Touch(string pem, string key, int later)
    {
        foreach (string file in new[] { pem, key })
            File.SetLastWriteTimeUtc(file, DateTime.UtcNow.AddMinutes(later));
    }

    static async Task<(string Serial, string Body)> AskTlsAsync(Uri address)
    {
        string serial = "";
        using var handler = new SocketsHttpHandler
        {
            SslOptions = new()
            {
                CertificateChainPolicy = new()
                {
                    TrustMode = X509ChainTrustMode.CustomRootTrust,
                    RevocationMode = X509RevocationMode.NoCheck,
                },
                RemoteCertificateValidationCallback = (_, shown, _, errors) =>
                {
                    serial = shown!.GetSerialNumberString();
                    return errors == System.Net.Security.SslPolicyErrors.None;
                },
            },
        };
        handler.SslOptions.CertificateChainPolicy!.CustomTrustStore.AddRange(TestCertificates.Roots);
        using var client = new HttpClient(handler);
        string body = await client.GetStringAsync(address, Ct);
        return (serial, body);
    }

    static IReadOnlyList<Uri> Addresses(WebApplication app) =>
        [.. app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Select(one => new Uri(one))];

    static async Task<WebApplication> StartAsync(string pages, string? hooks, ServerCertificate? certificate = null)
    {
        var listeners = await Listeners.PrepareAsync(
            ListenAddress.ReadList(pages)!,
            hooks is null ? [] : ListenAddress.ReadList(hooks)!,
            certificate is not null,
            Ct
        );
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => listeners.Bind(kestrel, certificate));
        var app = builder.Build();
        app.Run(context => context.Response.WriteAsync(context.Features.Get<HooksConnection>() is null ? "pages" : "hooks"));
        await app.StartAsync(Ct);
        return app;
    }
}
