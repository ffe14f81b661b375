using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Sendoff.Tests.Support;

/// <summary>A small proxy on loopback, HTTP CONNECT or SOCKS 5, that records the requested addresses, or misbehaves by script.</summary>
sealed class TestProxy : IAsyncDisposable
{
    readonly Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    readonly CancellationTokenSource stop = new();
    readonly ConcurrentBag<Task> serving = [];
    readonly Task accepting;
    int connections;

    TestProxy(Func<TestProxy, NetworkStream, Task> script)
    {
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(64);
        Port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        accepting = AcceptAsync(script);
    }

    public int Port { get; }
    public int Connections => Volatile.Read(ref connections);

    /// <summary>The requested addresses, in order.</summary>
    public ConcurrentQueue<string> Targets { get; } = [];

    /// <summary>The heads of CONNECT requests.</summary>
    public ConcurrentQueue<string> Heads { get; } = [];

    /// <summary>Cancelled when the proxy is disposed.</summary>
    public CancellationToken Stop => stop.Token;

    public static TestProxy Scripted(Func<TestProxy, NetworkStream, Task> script) => new(script);

    /// <summary>Waits for a CONNECT, responds with these bytes and closes.</summary>
    public static TestProxy Answering(string answer) =>
        new(
            async (proxy, stream) =>
            {
                await proxy.ReadHeadAsync(stream);
                await stream.WriteAsync(Encoding.Latin1.GetBytes(answer), proxy.Stop);
            }
        );

    public static TestProxy Http(string? credentials = null) => new((proxy, stream) => proxy.ServeHttpAsync(stream, credentials));

    /// <param name="credentials"><c>user:password</c>; null requires none.</param>
    /// <param name="reply">The reply to every request.</param>
    public static TestProxy Socks(string? credentials = null, byte reply = 0, byte boundType = 1) =>
        new((proxy, stream) => proxy.ServeSocksAsync(stream, credentials, reply, boundType));

    async Task AcceptAsync(Func<TestProxy, NetworkStream, Task> script)
    {
        try
        {
            while (true)
            {
                var socket = await listener.AcceptAsync(stop.Token);
                Interlocked.Increment(ref connections);
                serving.Add(ServeAsync(socket, script));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException) { }
    }

    async Task ServeAsync(Socket socket, Func<TestProxy, NetworkStream, Task> script)
    {
        await using var stream = new NetworkStream(socket, ownsSocket: true);
        try
        {
            await script(this, stream);
            socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or OperationCanceledException) { }
    }

    public async Task<string> ReadHeadAsync(NetworkStream stream)
    {
        var head = new StringBuilder();
        byte[] one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            await stream.ReadExactlyAsync(one, Stop);
            head.Append((char)one[0]);
        }
        Heads.Enqueue(head.ToString());
        Targets.Enqueue(head.ToString().Split(' ')[1]);
        return head.ToString();
    }

    async Task ServeHttpAsync(NetworkStream stream, string? credentials)
    {
        string head = await ReadHeadAsync(stream);
        string wanted = $"\r\nProxy-Authorization: Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes(credentials ?? ""))}\r\n";
        if (credentials is not null && !head.Contains(wanted, StringComparison.Ordinal))
            await stream.WriteAsync(
                "HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm=x\r\ncontent-length: 0\r\n\r\n"u8.ToArray(),
                Stop
            );
        else
            await JoinAsync(
                stream,
                IPEndPoint.Parse(head.Split(' ')[1]),
                "HTTP/1.1 200 Connection established\r\nvia: test\r\n\r\n"u8.ToArray()
            );
    }

    async Task ServeSocksAsync(NetworkStream stream, string? credentials, byte reply, byte boundType)
    {
        byte[] methods = await ReadAsync(stream, (await ReadAsync(stream, 2))[1]);
        byte method =
            credentials is null ? (byte)0
            : methods.Contains((byte)2) ? (byte)2
            : (byte)255;
        await stream.WriteAsync(new byte[] { 5, method }, Stop);
        if (method == 255)
            return;
        if (method == 2)
        {
            string user = Encoding.UTF8.GetString(await ReadAsync(stream, (await ReadAsync(stream, 2))[1]));
            string password = Encoding.UTF8.GetString(await ReadAsync(stream, (await ReadAsync(stream, 1))[0]));
            bool isRight = $"{user}:{password}" == credentials;
            await stream.WriteAsync(new byte[] { 1, isRight ? (byte)0 : (byte)1 }, Stop);
            if (!isRight)
                return;
        }
        byte[] request = await ReadAsync(stream, 4);
        var address = new IPAddress(await ReadAsync(stream, request[3] == 1 ? 4 : 16));
        var target = new IPEndPoint(address, BinaryPrimitives.ReadUInt16BigEndian(await ReadAsync(stream, 2)));
        Targets.Enqueue(target.ToString());
        byte[] bound = boundType switch
        {
            1 => new byte[4],
            4 => new byte[16],
            _ => [5, .. "proxy"u8],
        };
        byte[] answer = [5, reply, 0, boundType, .. bound, 0, 0];
        if (reply == 0)
            await JoinAsync(stream, target, answer);
        else
            await stream.WriteAsync(answer, Stop);
    }

    async Task<byte[]> ReadAsync(NetworkStream stream, int count)
    {
        byte[] bytes = new byte[count];
        await stream.ReadExactlyAsync(bytes, Stop);
        return bytes;
    }

    async Task JoinAsync(NetworkStream near, IPEndPoint to, byte[] answer)
    {
        using var socket = new Socket(to.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(to, Stop);
        await using var far = new NetworkStream(socket);
        await near.WriteAsync(answer, Stop);
        await Task.WhenAny(near.CopyToAsync(far, Stop), far.CopyToAsync(near, Stop));
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        listener.Dispose();
        await accepting;
        await Task.WhenAll(serving);
    }
}
