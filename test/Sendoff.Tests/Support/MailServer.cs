using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Sendoff.Tests.Support;

/// <summary>An SMTP server on loopback with configurable replies.</summary>
sealed class MailServer : IAsyncDisposable
{
    readonly TcpListener listener = new(IPAddress.Loopback, 0);
    readonly CancellationTokenSource stop = new();
    readonly Task running;

    /// <param name="speak">Handles each connection; null for normal SMTP.</param>
    public MailServer(Func<Stream, CancellationToken, Task>? speak = null)
    {
        listener.Start();
        running = AcceptAsync(speak ?? ServeAsync);
    }

    public int Port => ((IPEndPoint)listener.LocalEndpoint).Port;

    /// <summary>Replies by command, instead of the normal ones. The key for the message itself is <c>.</c>.</summary>
    public Dictionary<string, string> Replies { get; } = [];
    public X509Certificate2? Certificate { get; init; }
    public bool IsTls { get; init; }
    public bool OffersSignIn { get; init; }
    public ConcurrentQueue<string> Commands { get; } = new();
    public ConcurrentQueue<string> Messages { get; } = new();

    async Task AcceptAsync(Func<Stream, CancellationToken, Task> speak)
    {
        var connections = new List<Task>();
        try
        {
            while (true)
                connections.Add(SpeakAsync(await listener.AcceptSocketAsync(stop.Token), speak));
        }
        catch (OperationCanceledException) { }
        await Task.WhenAll(connections);
    }

    async Task SpeakAsync(Socket socket, Func<Stream, CancellationToken, Task> speak)
    {
        using (socket)
        {
            try
            {
                await using var stream = new NetworkStream(socket);
                await speak(stream, stop.Token);
            }
            catch (Exception e)
                when (e is IOException or OperationCanceledException or System.Security.Authentication.AuthenticationException) { }
        }
    }

    async Task ServeAsync(Stream stream, CancellationToken ct)
    {
        if (IsTls)
            stream = await SecureAsync(stream, ct);
        await WriteAsync(stream, Reply("greeting", "220 mail.test ESMTP"), ct);
        while (await ReadLineAsync(stream, ct) is { } line)
        {
            Commands.Enqueue(line);
            string verb = line.Split(' ', ':')[0].ToUpperInvariant();
            string extensions =
                (Certificate is not null && stream is not SslStream ? "250-STARTTLS\r\n" : "")
                + (OffersSignIn ? "250-AUTH PLAIN LOGIN\r\n" : "");
            await WriteAsync(
                stream,
                Reply(
                    verb,
                    verb switch
                    {
                        "EHLO" => $"250-mail.test\r\n{extensions}250 8BITMIME",
                        "AUTH" => "235 signed in",
                        "STARTTLS" => "220 go ahead",
                        "DATA" => "354 end with a dot",
                        "QUIT" => "221 bye",
                        _ => "250 fine",
                    }
                ),
                ct
            );
            if (verb == "QUIT")
                return;
            if (verb == "STARTTLS")
                stream = await SecureAsync(stream, ct);
            if (verb == "DATA" && !Replies.ContainsKey("DATA"))
                await TakeMessageAsync(stream, ct);
        }
    }

    async Task TakeMessageAsync(Stream stream, CancellationToken ct)
    {
        var message = new StringBuilder();
        while (await ReadLineAsync(stream, ct) is { } line && line != ".")
            message.Append(line).Append('\n');
        Messages.Enqueue(message.ToString());
        await WriteAsync(stream, Reply(".", "250 queued as 42"), ct);
    }

    string Reply(string to, string own) => Replies.GetValueOrDefault(to, own);

    async Task<Stream> SecureAsync(Stream stream, CancellationToken ct)
    {
        var tls = new SslStream(stream);
        await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = Certificate }, ct);
        return tls;
    }

    static async Task WriteAsync(Stream stream, string reply, CancellationToken ct) =>
        await stream.WriteAsync(Encoding.UTF8.GetBytes(reply + "\r\n"), ct);

    static async Task<string?> ReadLineAsync(Stream stream, CancellationToken ct)
    {
        var line = new List<byte>();
        byte[] one = new byte[1];
        while (await stream.ReadAsync(one, ct) == 1)
        {
            if (one[0] == '\n')
                return Encoding.UTF8.GetString([.. line]).TrimEnd('\r');
            line.Add(one[0]);
        }
        return null;
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await running;
        listener.Stop();
        stop.Dispose();
    }
}
