using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Sendoff.Tests.Support;

/// <summary>A receiver that records the source address of each path, with one request per connection.</summary>
sealed class AddressSink : IAsyncDisposable
{
    readonly TcpListener listener = new(IPAddress.Loopback, 0);
    readonly CancellationTokenSource stop = new();
    readonly ConcurrentQueue<(string Path, string From)> requests = [];
    readonly Task serving;

    AddressSink()
    {
        listener.Start();
        Url = $"http://{listener.LocalEndpoint}/";
        serving = ServeAsync();
    }

    public string Url { get; }

    public static AddressSink Start() => new();

    public IReadOnlyList<string> From(string path) => [.. requests.Where(r => r.Path == path).Select(r => r.From)];

    async Task ServeAsync()
    {
        byte[] buffer = new byte[4096];
        try
        {
            while (true)
            {
                using var socket = await listener.AcceptSocketAsync(stop.Token);
                var head = new StringBuilder();
                while (!head.ToString().Contains("\r\n\r\n", StringComparison.Ordinal))
                    head.Append(Encoding.Latin1.GetString(buffer, 0, await socket.ReceiveAsync(buffer, stop.Token)));
                requests.Enqueue((head.ToString().Split(' ')[1], ((IPEndPoint)socket.RemoteEndPoint!).Address.ToString()));
                await socket.SendAsync("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"u8.ToArray(), stop.Token);
                socket.Shutdown(SocketShutdown.Both);
            }
        }
        catch (OperationCanceledException) { }
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await serving;
        listener.Dispose();
    }
}
