using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Sendoff.Engine;
using Sendoff.Engine.Workers;
using Sendoff.Tests.Workers;

namespace Sendoff.Tests.Packages;

/// <summary>S7: what npm sees and reaches while it installs.</summary>
public sealed class PackageSandboxTests : PackageRig
{
    [Fact]
    public async Task Npm_installs_from_no_host_but_its_registry_and_those_of_the_setting()
    {
        await SandboxRig.RequireAsync();
        using var elsewhere = new Elsewhere();
        registry.Publish("ms", "2.1.0");
        registry.TarballsAt = $"http://{elsewhere.Address}/";
        registry.Variables["npm_config_allow_remote"] = "all"; // as an npm that does not know it
        await StartAsync(sandbox: SandboxMode.Bubblewrap);
        var files = Workflow(Returning("ms", "import ms from 'ms'"));

        var problem = await ProblemAsync(files);
        AssertAt(problem, "step.mjs", 1, 16, $"tried to connect to {elsewhere.Address}, which is not the registry");
        Assert.Contains("Packages:Hosts", problem.GetRawText());
        Assert.Equal(0, elsewhere.Connections);

        await StartAsync(new EngineLimits { PackagesHosts = [elsewhere.Address] }, SandboxMode.Bubblewrap);
        await ProblemAsync(files);
        Assert.True(elsewhere.Connections > 0);
    }

    [Fact]
    public async Task An_install_script_sees_its_packages_and_neither_files_credentials_nor_other_hosts()
    {
        await SandboxRig.RequireAsync();
        using var elsewhere = new Elsewhere();
        string secret = Path.Combine(folder.Path, "beside.txt"),
            npmrc = Path.Combine(folder.Path, "npmrc");
        await File.WriteAllTextAsync(secret, "private", Ct);
        await File.WriteAllTextAsync(npmrc, "//registry.test/:_authToken=${NPM_TOKEN}\n", Ct);
        registry.Variables["npm_config_userconfig"] = npmrc;
        registry.Variables["NPM_TOKEN"] = "a-token-of-the-user";
        registry.Variables["npm_config__auth"] = "credentials-of-the-user";
        registry.Variables["OTHER_SECRET"] = "another";
        registry.Variables["npm_config_@acme:registry"] = "http://user:password-in-a-url@registry.test/";
        string script = $$"""
            const fs = require('fs'), net = require('net'), found = [];
            for (const path of [{{JsonSerializer.Serialize(secret)}}, {{JsonSerializer.Serialize(
                npmrc
            )}}, '/npm-cache', process.env.npm_config_userconfig, process.env.HOME + '/.npmrc'])
              try { fs.statSync(path); found.push(path) } catch { }
            for (const [name, value] of Object.entries(process.env)) if (/a-token-of-the-user|credentials-of-the-user|password-in-a-url|another/.test(value)) found.push(name);
            const proxy = new URL(process.env.HTTPS_PROXY), done = () => fs.writeFileSync('made.js', 'module.exports = ' + JSON.stringify(found.join()));
            net.connect({{elsewhere.Address.Split(':')[1]}}, '127.0.0.1').on('connect', () => { found.push('direct'); }).on('error', () => {
              const socket = net.connect(proxy.port, proxy.hostname).on('error', done).on('close', done).on('data', data => { if (!/^HTTP\/1.1 403/.test(data)) found.push('proxy: ' + data); socket.destroy(); });
              socket.write('CONNECT {{elsewhere.Address}} HTTP/1.1\r\n\r\n');
            });
            """;
        registry.Publish(
            "built",
            "1.0.0",
            new() { ["index.js"] = "module.exports = require('./made.js')", ["install.js"] = script },
            """{ "scripts": { "install": "node install.js" } }"""
        );

        await StartAsync(new EngineLimits { PackagesAllowScripts = ["built"] }, SandboxMode.Bubblewrap);

        Assert.Equal("", await ValueAsync(await server!.DeployAsync("orders", Workflow(Returning("built", "import built from 'built'")))));
        Assert.Equal(0, elsewhere.Connections);
    }

    [Fact]
    public async Task Npm_in_the_sandbox_goes_through_the_proxy_of_its_configuration()
    {
        await SandboxRig.RequireAsync();
        registry.Publish("ms", "2.1.0");
        await using var proxy = new HttpProxy();
        registry.Variables["npm_config_proxy"] = $"http://user:p%40ss@{proxy.Address}";
        await StartAsync(sandbox: SandboxMode.Bubblewrap);

        Assert.Equal("ms 2.1.0", await ValueAsync(await server!.DeployAsync("orders", Workflow(Returning("ms", "import ms from 'ms'")))));

        Assert.Contains(
            proxy.Heads,
            head =>
                head.StartsWith($"GET {registry.Url}ms ", StringComparison.Ordinal)
                && head.Contains("Proxy-Authorization: Basic dXNlcjpwQHNz\r\n")
        );
    }

    [Fact]
    public async Task Without_a_sandbox_npm_installs_and_a_warning_says_why()
    {
        registry.Publish("ms", "2.1.0");
        await StartAsync(sandbox: SandboxMode.None);
        Assert.Equal("ms 2.1.0", await ValueAsync(await server!.DeployAsync("orders", Workflow(Returning("ms", "import ms from 'ms'")))));
        Assert.Single(
            server.Logs,
            line => line.Contains("npm installs packages without a sandbox") && line.Contains("Workers:Sandbox is none")
        );
    }

    /// <summary>A proxy for plain requests that notes their heads.</summary>
    sealed class HttpProxy : IAsyncDisposable
    {
        readonly TcpListener listener = new(IPAddress.Loopback, 0);
        readonly Task serving;

        public HttpProxy()
        {
            listener.Start();
            serving = ServeAsync();
        }

        public string Address => listener.LocalEndpoint.ToString()!;
        public ConcurrentQueue<string> Heads { get; } = [];

        async Task ServeAsync()
        {
            using var http = new HttpClient();
            try
            {
                while (true)
                {
                    using var socket = await listener.AcceptSocketAsync();
                    await using var stream = new NetworkStream(socket);
                    var buffer = new byte[64 * 1024];
                    int have = 0;
                    while (!Encoding.Latin1.GetString(buffer, 0, have).Contains("\r\n\r\n"))
                        have += await stream.ReadAtLeastAsync(buffer.AsMemory(have), 1);
                    string head = Encoding.Latin1.GetString(buffer, 0, have);
                    Heads.Enqueue(head);
                    byte[] body = await http.GetByteArrayAsync(head.Split(' ')[1]);
                    await stream.WriteAsync(
                        Encoding.Latin1.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {body.Length}\r\nConnection: close\r\n\r\n")
                    );
                    await stream.WriteAsync(body);
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // The test is over.
            }
        }

        public async ValueTask DisposeAsync()
        {
            listener.Dispose();
            await serving;
        }
    }
}
