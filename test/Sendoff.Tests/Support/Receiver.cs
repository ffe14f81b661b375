global using ReceiverConnection = Sendoff.Commands.Hostile.ReceiverConnection;
using System.Collections.Concurrent;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Sendoff.Commands.Hostile;

namespace Sendoff.Tests.Support;

/// <summary>A raw TCP server on loopback that records the exact bytes of every request and responds by script.</summary>
sealed class Receiver : IAsyncDisposable
{
    readonly RawReceiver receiver;
    readonly bool isTls;

    Receiver(Func<ReceiverConnection, Task> script, X509Certificate2? certificate)
    {
        isTls = certificate is not null;
        var tls = certificate is null
            ? null
            : new SslServerAuthenticationOptions
            {
                ServerCertificate = certificate,
                ApplicationProtocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11],
            };
        receiver = RawReceiver.Start(script, new(Tls: tls, OnRequest: Requests.Enqueue));
    }

    public int Port => receiver.Port;
    public string Url => $"{(isTls ? "https" : "http")}://127.0.0.1:{Port}/";

    /// <summary>Number of accepted connections.</summary>
    public int Connections => receiver.Connections;

    /// <summary>Number of open connections.</summary>
    public int Open => receiver.Open;

    /// <summary>All requests as Latin-1 text, in the order in which they were read.</summary>
    public ConcurrentQueue<string> Requests { get; } = new();

    /// <summary>The only request.</summary>
    public string Request => Assert.Single(Requests);

    /// <summary>Runs the script for every connection, then closes it.</summary>
    public static Receiver Start(Func<ReceiverConnection, Task> script, X509Certificate2? certificate = null) => new(script, certificate);

    /// <summary>Responds to every request with the same bytes and keeps the connection.</summary>
    public static Receiver Answering(string response) => Start(connection => connection.AnswerAllAsync(response));

    /// <summary>Responds to every request with the same bytes, then closes.</summary>
    public static Receiver AnsweringOnce(byte[] response) =>
        Start(async connection =>
        {
            await connection.ReadRequestAsync();
            await connection.WriteAsync(response);
        });

    public ValueTask DisposeAsync() => receiver.DisposeAsync();
}
