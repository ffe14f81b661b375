using System.Net;
using System.Net.Sockets;
using System.Text;
using Sendoff.Engine.Packages;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Packages;

/// <summary>The proxy of npm's sandbox leads to the registry, whatever a program in the sandbox writes to it.</summary>
public sealed class RegistryProxyTests
{
    [Fact]
    public async Task Only_the_very_host_and_port_of_a_registry_are_reached()
    {
        using var registry = new Recorder();
        using var other = new Recorder();
        await using var proxy = new RegistryProxy(Config(registry), []);
        foreach (
            string first in (string[])
                [
                    $"CONNECT {other.Address} HTTP/1.1",
                    $"GET http://{other.Address}/ HTTP/1.1",
                    $"GET http://{registry.Address}@{other.Address}/ HTTP/1.1",
                    $"CONNECT {registry.Address}@{other.Address} HTTP/1.1",
                    $"GET http://{other.Address}/?http://{registry.Address} HTTP/1.1",
                    $"GET http://{other.Address}#{registry.Address} HTTP/1.1",
                    "CONNECT localhost:22 HTTP/1.1",
                    "CONNECT 127.0.0.1:22 HTTP/1.1",
                    $"GET ftp://{registry.Address}/ HTTP/1.1",
                    $"GET https://{registry.Address}/ HTTP/1.1",
                    "GET / HTTP/1.1",
                    "GET file:///etc/passwd HTTP/1.1",
                ]
        )
            Assert.StartsWith("HTTP/1.1 403 ", await AskAsync(proxy, $"{first}\r\nHost: {registry.Address}\r\n\r\n"));
        foreach (string odd in (string[])["nothing\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n", "GET\t/ HTTP/1.1\r\n\r\n", new string('a', 70_000)])
            Assert.Equal("", await AskAsync(proxy, odd));
        Assert.Equal((0, 0), (registry.Connections, other.Connections));
    }

    [Fact]
    public async Task A_second_request_of_a_connection_does_not_choose_another_host()
    {
        using var registry = new Recorder();
        using var other = new Recorder();
        await using var proxy = new RegistryProxy(Config(registry), []);

        Assert.StartsWith(
            "HTTP/1.1 204 ",
            await AskAsync(
                proxy,
                $"GET http://{registry.Address}/ms HTTP/1.1\r\nConnection: keep-alive\r\nProxy-Authorization: "
                    + $"x\r\n\r\nGET http://{other.Address}/ HTTP/1.1\r\n\r\n"
            )
        );

        Assert.Equal((1, 0), (registry.Connections, other.Connections));
        Assert.StartsWith($"GET /ms HTTP/1.1\r\nHost: {registry.Address}\r\nConnection: close\r\n\r\n", registry.Read);
    }

    [Theory]
    [InlineData("Host: other.test\r\nX: 1")]
    [InlineData("Connection: keep-alive\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c")]
    public async Task The_head_that_is_passed_on_names_the_host_that_was_looked_at(string headers)
    {
        using var registry = new Recorder();
        await using var proxy = new RegistryProxy(Config(registry), []);
        Assert.StartsWith("HTTP/1.1 204 ", await AskAsync(proxy, $"GET http://user@{registry.Address}/ms#x HTTP/1.1\r\n{headers}\r\n\r\n"));
        Assert.StartsWith($"GET /ms HTTP/1.1\r\nHost: {registry.Address}\r\n", registry.Read);
        foreach (string hidden in (string[])["other.test", "keep-alive", "Upgrade", "user"])
            Assert.DoesNotContain(hidden, registry.Read);
    }

    [Theory]
    [InlineData("X: 1\nProxy-Connection: keep-alive")]
    [InlineData("X: 1\rConnection: keep-alive")]
    [InlineData(" Connection: keep-alive")]
    [InlineData("Connection : keep-alive")]
    [InlineData("no header")]
    [InlineData("X: \0")]
    public async Task A_head_that_others_may_read_in_another_way_is_not_passed_on(string header)
    {
        using var registry = new Recorder();
        await using var proxy = new RegistryProxy(Config(registry), []);
        Assert.Equal("", await AskAsync(proxy, $"GET http://{registry.Address}/ms HTTP/1.1\r\n{header}\r\n\r\n"));
        Assert.Equal(0, registry.Connections);
    }

    [Fact]
    public async Task The_proxy_before_the_registry_is_asked_for_the_registry_alone()
    {
        using var registry = new Recorder();
        using var before = new Recorder();
        await using var proxy = new RegistryProxy(
            Config(registry) with
            {
                HttpProxy = new($"http://{before.Address}"),
                HttpsProxy = new($"http://{before.Address}"),
            },
            []
        );
        // Readers that take the last colon, or what stands behind an @, for the host's find another one in these.
        Assert.StartsWith(
            "HTTP/1.1 204 ",
            await AskAsync(proxy, $"CONNECT {registry.Address}/evil.test:443 HTTP/1.1\r\nHost: evil.test\r\nX: y\r\n\r\n")
        );
        Assert.Equal($"CONNECT {registry.Address} HTTP/1.1\r\nHost: {registry.Address}\r\n\r\n", before.Read);
    }

    [Fact]
    public async Task Nothing_follows_a_tunnel_that_the_proxy_before_the_registry_refuses()
    {
        using var registry = new Recorder();
        using var before = new Recorder("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
        await using var proxy = new RegistryProxy(Config(registry) with { HttpsProxy = new($"http://{before.Address}") }, []);
        Assert.StartsWith(
            "HTTP/1.1 407 ",
            await AskAsync(proxy, $"CONNECT {registry.Address} HTTP/1.1\r\n\r\nGET http://evil.test/ HTTP/1.1\r\n\r\n")
        );
        await before.Ended.WithinLimitAsync();
        Assert.DoesNotContain("evil.test", before.Read);
    }

    [Fact]
    public async Task A_tunnel_passes_bytes_both_ways()
    {
        using var registry = new Recorder();
        await using var proxy = new RegistryProxy(Config(registry), []);
        Assert.StartsWith(
            "HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 204 ",
            await AskAsync(proxy, $"CONNECT {registry.Address} HTTP/1.1\r\n\r\nhello\r\n\r\n")
        );
        Assert.Equal("hello\r\n\r\n", registry.Read);
        Assert.Null(proxy.Fault);
    }

    [Fact]
    public async Task What_cannot_be_connected_to_is_told_as_Node_tells_it()
    {
        var gone = new Recorder();
        gone.Dispose();
        await using var proxy = new RegistryProxy(Config(gone), []);
        Assert.Equal("", await AskAsync(proxy, $"CONNECT {gone.Address} HTTP/1.1\r\n\r\n"));
        Assert.Equal(new ProxyFault(gone.Address, "ECONNREFUSED"), proxy.Fault);
    }

    [Fact]
    public void The_configuration_of_npm_names_registries_proxies_and_files()
    {
        using var folder = new TempFolder();
        string user = Path.Combine(folder.Path, "npmrc");
        File.WriteAllText(user, "; a comment\nhttps-proxy = \"http://user:${PASSWORD}@proxy.test:3128\"\nproxy=http://wrong.test\n");
        var variables = new Dictionary<string, string> { ["PASSWORD"] = "secret", ["npm_config_proxy"] = "http://u:p@plain.test:8080" };
        // What has credentials is left out.
        var config = NpmConfig.Read(
            $$"""
            {"registry":"https://registry.test/","@acme:registry":"http://Acme.test:4873/npm/","cache":"/c","noproxy":["", "*.acme.test"],"cafile":"/ca.pem","userconfig":"{{user}}","globalconfig":""}
            """,
            variables.GetValueOrDefault
        );
        Assert.Equal(["acme.test:4873", "registry.test:443"], config.Registries.Order());
        Assert.Equal(("/c", "/ca.pem", user, null), (config.Cache, config.AuthorityFile, config.UserFile, config.GlobalFile));
        Assert.Equal("http://user:secret@proxy.test:3128/", config.ProxyFor("registry.test", tunnel: true)!.AbsoluteUri);
        Assert.Equal("http://u:p@plain.test:8080/", config.ProxyFor("registry.test", tunnel: false)!.AbsoluteUri);
        Assert.Null(config.ProxyFor("npm.acme.test", tunnel: true));
        Assert.NotNull(config.ProxyFor("evilacme.test", tunnel: true));
    }

    [Theory]
    [InlineData("HTTPS_PROXY", true)]
    [InlineData("https_proxy", true)]
    [InlineData("HTTP_PROXY", false)]
    [InlineData("PROXY", true)]
    public void Where_the_configuration_has_no_proxy_that_of_the_environment_counts(string name, bool tunnel)
    {
        var config = NpmConfig.Read(
            """{"registry":"https://registry.test/","cache":"/c","proxy":null,"https-proxy":null,"noproxy":""}""",
            asked => asked == name ? "http://proxy.test:1" : null
        );
        Assert.Equal("proxy.test", config.ProxyFor("registry.test", tunnel)!.Host);
    }

    [Fact]
    public void Only_npms_own_package_is_shown_to_the_sandbox()
    {
        using var folder = new TempFolder();
        string bin = Directory.CreateDirectory(Path.Combine(folder.Path, "npm", "bin")).FullName,
            script = Path.Combine(bin, "npm-cli.js"),
            command = Path.Combine(folder.Path, "npm-command");
        File.WriteAllText(script, "#!/usr/bin/env node\n");
        File.CreateSymbolicLink(command, script);
        Assert.Null(NpmSandbox.ScriptOf(command));
        // A manifest above that is somebody else's: all of that folder would be seen.
        File.WriteAllText(Path.Combine(folder.Path, "package.json"), """{ "name": "home" }""");
        Assert.Null(NpmSandbox.ScriptOf(command));
        File.WriteAllText(Path.Combine(folder.Path, "npm", "package.json"), """{ "name": "npm" }""");
        Assert.Equal(script, NpmSandbox.ScriptOf(command));
        File.WriteAllText(Path.Combine(folder.Path, "shim"), "#!/bin/sh\n");
        Assert.Null(NpmSandbox.ScriptOf(Path.Combine(folder.Path, "shim")));
    }

    static NpmConfig Config(Recorder registry) =>
        new()
        {
            Registries = new HashSet<string> { registry.Address },
            Cache = "",
        };

    static async Task<string> AskAsync(RegistryProxy proxy, string request)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(proxy.Address), Wait.Token);
        await using var stream = new NetworkStream(socket);
        var answer = new MemoryStream();
        try
        {
            await stream.WriteAsync(Encoding.Latin1.GetBytes(request), Wait.Token);
            await stream.CopyToAsync(answer, Wait.Token);
        }
        catch (IOException)
        {
            // It was closed before all was read.
        }
        return Encoding.Latin1.GetString(answer.ToArray());
    }

    /// <summary>Answers the first head of each connection with 204, and closes.</summary>
    sealed class Recorder : IDisposable
    {
        readonly TcpListener listener = new(IPAddress.Loopback, 0);
        int connections;

        readonly string answer;
        readonly TaskCompletionSource ended = new();

        public Recorder(string answer = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        {
            this.answer = answer;
            listener.Start();
            Address = listener.LocalEndpoint.ToString()!;
            _ = ServeAsync();
        }

        public string Address { get; }
        public int Connections => Volatile.Read(ref connections);
        public string Read { get; private set; } = "";

        /// <summary>A connection that is kept after the answer has ended.</summary>
        public Task Ended => ended.Task;

        async Task ServeAsync()
        {
            try
            {
                while (true)
                {
                    using var socket = await listener.AcceptSocketAsync();
                    Interlocked.Increment(ref connections);
                    await using var stream = new NetworkStream(socket);
                    var buffer = new byte[4096];
                    while (!Read.Contains("\r\n\r\n"))
                        Read += Encoding.Latin1.GetString(buffer, 0, await stream.ReadAtLeastAsync(buffer, 1));
                    await stream.WriteAsync(Encoding.Latin1.GetBytes(answer));
                    if (!answer.Contains("close"))
                        await ReadToEndAsync(stream);
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or EndOfStreamException)
            {
                // The test is over.
            }
        }

        async Task ReadToEndAsync(NetworkStream stream)
        {
            try
            {
                Read += await new StreamReader(stream).ReadToEndAsync();
            }
            catch (IOException)
            {
                // It was reset.
            }
            ended.SetResult();
        }

        public void Dispose() => listener.Dispose();
    }
}
