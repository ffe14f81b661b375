using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

/// <summary>C5: why there is no TLS session is named, as the receiver's OpenSSL tells it.</summary>
public sealed class TlsFaultTests
{
    [Theory]
    [InlineData(
        "-tls1_3 -Verify 1 -verify_return_error",
        "client certificate: the receiver requires one, and deliveries have none (alert 116, certificate_required)"
    )]
    [InlineData("-tls1_2 -Verify 1 -verify_return_error", "or the receiver requires a client certificate (alert 40, handshake_failure)")]
    [InlineData("-tls1_2 -cipher AES128-SHA256", "no common protocol version or cipher")]
    [InlineData("-tls1_3 -ciphersuites TLS_AES_128_CCM_8_SHA256", "no common protocol version or cipher")]
    [InlineData("-alpn h2", "the receiver does not offer HTTP/1.1, perhaps HTTP/2 only (alert 120, no_application_protocol)")]
    public async Task A_server_of_OpenSSL_that_refuses_is_understood(string options, string says)
    {
        await using var server = await OpenSslServer.StartAsync(options);
        using var sending = new Sending(
            null,
            TestCertificates.Roots,
            new NameResolver(new EngineLimits(), _ => Task.FromResult(new[] { IPAddress.Loopback }))
        );
        var attempt = await sending.GetAsync($"https://receiver.example:{server.Port}/");

        Assert.Equal((AttemptErrorCode.TlsFailed, DeliveryStatus.Failed), (attempt.Error!.Code, attempt.Status));
        Assert.Contains(says, attempt.Error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(40, "no common protocol version or cipher")]
    [InlineData(42, "client certificate: the receiver requires one")]
    [InlineData(48, "client certificate: the receiver requires one")]
    [InlineData(70, "no common protocol version; deliveries use TLS 1.2 and 1.3")]
    [InlineData(71, "no common cipher")]
    [InlineData(80, "the receiver ended the handshake (alert 80, internal_error)")]
    [InlineData(112, "the receiver does not know the host")]
    [InlineData(120, "does not offer HTTP/1.1")]
    [InlineData(200, "the receiver ended the handshake (alert 200, unnamed)")]
    public async Task Each_alert_is_named(int alert, string says) =>
        Assert.Contains(says, await AnswerAsync([0x15, 3, 3, 0, 2, 2, (byte)alert]), StringComparison.Ordinal);

    [Fact]
    public async Task A_port_that_does_not_speak_TLS_is_named() =>
        Assert.Contains(
            "does not speak TLS on this port; perhaps the URL should begin with http://",
            await AnswerAsync("HTTP/1.1 400 Bad Request\r\n\r\n"u8.ToArray()),
            StringComparison.Ordinal
        );

    /// <summary>The error of an attempt whose handshake is answered with these bytes.</summary>
    static async Task<string> AnswerAsync(byte[] answer)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var serving = Task.Run(async () =>
        {
            using var client = await listener.AcceptTcpClientAsync();
            byte[] hello = new byte[16 * 1024];
            Assert.True(await client.GetStream().ReadAsync(hello) > 0);
            await client.GetStream().WriteAsync(answer);
            client.Client.Shutdown(SocketShutdown.Send);
            while (await client.GetStream().ReadAsync(hello) > 0) { }
        });
        using var sending = new Sending();
        var attempt = await sending.GetAsync($"https://{listener.LocalEndpoint}/");
        await serving.WithinLimitAsync().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Assert.Equal((AttemptErrorCode.TlsFailed, AttemptPhase.Tls), (attempt.Error!.Code, attempt.Error.Phase));
        return attempt.Error.Message;
    }

    /// <summary><c>openssl s_server</c> on a port of its own.</summary>
    sealed class OpenSslServer : IAsyncDisposable
    {
        readonly Process process;
        readonly TempFolder folder;

        OpenSslServer(Process process, TempFolder folder, int port) => (this.process, this.folder, Port) = (process, folder, port);

        public int Port { get; }

        public static async Task<OpenSslServer> StartAsync(string options)
        {
            var folder = new TempFolder();
            using var certificate = TestCertificates.Issue("receiver.example");
            string pem = Path.Combine(folder.Path, "server.pem");
            await File.WriteAllTextAsync(
                pem,
                certificate.ExportCertificatePem() + "\n" + certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem()
            );
            var start = new ProcessStartInfo("openssl", ["s_server", "-accept", "127.0.0.1:0", "-cert", pem, .. options.Split(' ')])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                RedirectStandardInput = true,
            };
            Process process;
            try
            {
                process = Process.Start(start)!;
            }
            catch (System.ComponentModel.Win32Exception)
            {
                folder.Dispose();
                const string why = "there is no openssl on the PATH: apt-get install openssl";
                if (Environment.GetEnvironmentVariable("CI") == "true")
                    Assert.Fail(why);
                Assert.Skip(why);
                throw;
            }
            process.ErrorDataReceived += static (_, _) => { };
            process.BeginErrorReadLine();
            var ct = Wait.Token;
            while (await process.StandardOutput.ReadLineAsync(ct) is { } line)
                if (line.StartsWith("ACCEPT ", StringComparison.Ordinal))
                    return new(process, folder, IPEndPoint.Parse(line[7..].Trim()).Port);
            throw new InvalidOperationException("openssl ended before it listened");
        }

        public async ValueTask DisposeAsync()
        {
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
            folder.Dispose();
        }
    }
}
