using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Sendoff.Tests.Support;

/// <summary>A raw TCP server on loopback that notes the exact bytes of every request and answers by script.</summary>
public sealed class Receiver : IAsyncDisposable
{
    readonly Socket listener;
    readonly Func<ReceiverConnection, Task> script;
    readonly X509Certificate2? certificate;
    readonly CancellationTokenSource stop = new();
    readonly Task accepting;
    readonly ConcurrentBag<Task> serving = [];
    readonly ConcurrentBag<ReceiverConnection> open = [];
    int connections;

    Receiver(Func<ReceiverConnection, Task> script, X509Certificate2? certificate)
    {
        (this.script, this.certificate) = (script, certificate);
        listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(512);
        Port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        accepting = AcceptAsync();
    }

    public int Port { get; }
    public string Url => $"{(certificate is null ? "http" : "https")}://127.0.0.1:{Port}/";
    /// <summary>Connections that were accepted.</summary>
    public int Connections => Volatile.Read(ref connections);
    /// <summary>Every request in full, as Latin-1 text, in the order in which they were read.</summary>
    public ConcurrentQueue<string> Requests { get; } = new();
    /// <summary>The tests' last word: no request ever comes but these.</summary>
    public string Request => Assert.Single(Requests);

    /// <summary>Runs the script for every connection that comes, then closes it.</summary>
    public static Receiver Start(Func<ReceiverConnection, Task> script, X509Certificate2? certificate = null) => new(script, certificate);

    /// <summary>Answers every request with the same bytes and keeps the connection.</summary>
    public static Receiver Answering(string response) => Start(connection => connection.AnswerAllAsync(response));

    /// <summary>Answers every request with bytes, then closes.</summary>
    public static Receiver AnsweringOnce(byte[] response) => Start(async connection =>
    {
        await connection.ReadRequestAsync();
        await connection.WriteAsync(response);
    });

    async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var socket = await listener.AcceptAsync(stop.Token);
                Interlocked.Increment(ref connections);
                serving.Add(ServeAsync(socket));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
        }
    }

    async Task ServeAsync(Socket socket)
    {
        socket.NoDelay = true;
        Stream stream = new NetworkStream(socket);
        try
        {
            if (certificate is not null)
            {
                var tls = new SslStream(stream);
                await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
                {
                    ServerCertificate = certificate,
                    ApplicationProtocols = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11],
                }, stop.Token);
                stream = tls;
            }
            var connection = new ReceiverConnection(this, socket, stream, stop.Token);
            open.Add(connection);
            await script(connection);
            // Closing with unread bytes would reset; take them first, unless the script wants that.
            socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or OperationCanceledException or System.Security.Authentication.AuthenticationException)
        {
        }
        finally
        {
            await stream.DisposeAsync();
            socket.Dispose();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        listener.Dispose();
        await accepting;
        foreach (var connection in open) connection.Drop();
        await Task.WhenAll(serving);
    }
}

/// <summary>A connection at the receiver's end.</summary>
public sealed class ReceiverConnection(Receiver receiver, Socket socket, Stream stream, CancellationToken stop)
{
    readonly MemoryStream unread = new();

    /// <summary>Cancelled when the receiver is disposed of.</summary>
    public CancellationToken Stop => stop;

    /// <summary>Reads head and body by content-length, and notes both. Null at the end of the connection.</summary>
    public async Task<string?> ReadRequestAsync()
    {
        while (true)
        {
            string text = Encoding.Latin1.GetString(unread.GetBuffer(), 0, (int)unread.Length);
            int head = text.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4;
            if (head > 3 && text.Length >= head + LengthOf(text[..head]))
            {
                string request = text[..(head + LengthOf(text[..head]))];
                unread.SetLength(0);
                unread.Write(Encoding.Latin1.GetBytes(text[request.Length..]));
                receiver.Requests.Enqueue(request);
                return request;
            }
            if (!await FillAsync()) return null;
        }
    }

    /// <summary>Reads the head only, and leaves the body where it is.</summary>
    public async Task ReadHeadAsync()
    {
        while (!Encoding.Latin1.GetString(unread.GetBuffer(), 0, (int)unread.Length).Contains("\r\n\r\n", StringComparison.Ordinal))
            if (!await FillAsync()) return;
    }

    async Task<bool> FillAsync()
    {
        byte[] buffer = new byte[16 * 1024];
        int count = await stream.ReadAsync(buffer, stop);
        unread.Write(buffer.AsSpan(0, count));
        return count > 0;
    }

    static int LengthOf(string head)
    {
        int at = head.IndexOf("\r\ncontent-length: ", StringComparison.OrdinalIgnoreCase);
        return at < 0 ? 0 : int.Parse(head[(at + 18)..head.IndexOf("\r\n", at + 2, StringComparison.Ordinal)]);
    }

    public Task WriteAsync(string text) => WriteAsync(Encoding.Latin1.GetBytes(text));

    public async Task WriteAsync(byte[] bytes)
    {
        await stream.WriteAsync(bytes, stop);
        await stream.FlushAsync(stop);
    }

    public async Task AnswerAllAsync(string response)
    {
        while (await ReadRequestAsync() is not null) await WriteAsync(response);
    }

    /// <summary>Closes with a RST.</summary>
    public void Reset()
    {
        socket.LingerState = new LingerOption(true, 0);
        socket.Close();
    }

    public void Drop() => socket.Dispose();

    /// <summary>Keeps the connection open and silent for as long as the test lasts.</summary>
    public Task HoldAsync() => Task.Delay(Timeout.Infinite, stop);
}
