using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Workers;
using Sendoff.Tests.Support;
using Sendoff.Tests.Workers;

namespace Sendoff.Tests.Server;

/// <summary>The authorities of one setting, Tls:Authorities, are trusted by deliveries, by steps and by npm.</summary>
public sealed class AuthoritiesTests : IDisposable
{
    const string Answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    readonly TempFolder folder = new();

    static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => folder.Dispose();

    string Write()
    {
        string file = Path.Combine(folder.Path, "authorities.pem");
        File.WriteAllText(file, string.Join('\n', TestCertificates.Roots.Select(static root => root.ExportCertificatePem())));
        return file;
    }

    static Receiver Start() => Receiver.Start(static connection => connection.AnswerAllAsync(Answer), TestCertificates.Issue("127.0.0.1"));

    [Theory]
    [InlineData(SandboxMode.None)]
    [InlineData(SandboxMode.Bubblewrap)]
    public async Task Deliveries_and_steps_trust_them(SandboxMode mode)
    {
        if (mode == SandboxMode.Bubblewrap)
            await SandboxRig.RequireAsync();
        await using var receiver = Start();
        var settings = Settings.Read([new("Tls:Authorities", Write())], development: true).Settings;
        await using var server = await TestServer.StartAsync(
            egress: new EgressOptions { Policies = new(Sending.Loopback), Authorities = settings.ReadAuthorities() },
            with: options => options with { Isolation = settings.Isolation with { Mode = mode } }
        );
        string hook = await server.DeployAsync(
            "tls",
            $$"""
            $send.http({ method: "POST", url: "{{receiver.Url}}" });
            return [await (await fetch("{{receiver.Url}}")).text(), process.env.NODE_EXTRA_CA_CERTS]
            """,
            "step.js"
        );

        var run = await server.RunAsync(hook);

        Assert.Equal("""["ok",null]""", run.Steps[0].Exports.GetProperty("$return_value").GetRawText());
        Assert.Equal("succeeded", Assert.Single(run.Steps[0].Deliveries).Status);
    }

    [Fact]
    public async Task Without_them_neither_does()
    {
        await using var receiver = Start();
        await using var server = await TestServer.StartAsync();
        string hook = await server.DeployAsync(
            "tls",
            $$"""
            $send.http({ method: "POST", url: "{{receiver.Url}}" });
            try { await fetch("{{receiver.Url}}"); } catch (error) { return error.cause.code }
            """,
            "step.js"
        );

        var run = await server.RunAsync(hook);

        Assert.Equal("UNABLE_TO_VERIFY_LEAF_SIGNATURE", run.Steps[0].Exports.GetProperty("$return_value").GetString());
        Assert.Equal("tls_failed", Assert.Single(run.Steps[0].Deliveries).Error!.Code);
    }

    [Fact]
    public async Task Npm_is_told_of_them()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the fake npm is a shell script");
        string npm = Path.Combine(folder.Path, "npm"),
            file = Write();
        await File.WriteAllTextAsync(npm, "#!/bin/sh\necho \"$NODE_EXTRA_CA_CERTS\"\n", Ct);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(npm, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        var node = await TestNode.Runtime.EnsureAsync(null, Ct);
        var runtime = new NodeRuntime(
            new NodeOptions
            {
                NodePath = node.Path,
                SearchPath = folder.Path + ":/usr/bin:/bin",
                Authorities = file,
            },
            NullLogger<NodeRuntime>.Instance
        );

        var said = await runtime.NpmAsync([], folder.Path, new(TimeSpan.FromMinutes(1), 512, 1L << 30), null, Ct);

        Assert.Equal(file, said!.Output.Trim());
    }

    [Fact]
    public void A_file_without_a_certificate_stops_the_start()
    {
        string empty = Path.Combine(folder.Path, "empty.pem");
        File.WriteAllText(empty, "no certificate");

        Assert.Contains(
            "certificates of authorities",
            Assert.Throws<SettingsException>(() => Settings.Read([new("Tls:Authorities", empty)], false)).Message
        );
        Assert.Throws<SettingsException>(() => Settings.Read([new("Tls:Authorities", empty + ".gone")], false));
        Assert.Equal(
            TestCertificates.Roots.Count,
            Settings.Read([new("Tls:Authorities", Write())], false).Settings.ReadAuthorities()!.Count
        );
    }
}
