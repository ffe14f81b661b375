using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;

namespace Sendoff.Commands.Hostile;

/// <param name="Port">0 for any free port.</param>
/// <param name="Lifetime">Maximum lifetime of a connection.</param>
/// <param name="MaxConnections">Maximum number of open connections; further ones wait to be accepted.</param>
sealed record RawReceiverOptions(
    int Port = 0,
    SslServerAuthenticationOptions? Tls = null,
    TimeSpan? Lifetime = null,
    int MaxConnections = 1024,
    Action<string>? OnRequest = null
);

/// <summary>A TCP server on loopback. It runs a script for every connection, with access to the raw bytes, and then closes the
/// connection.</summary>
sealed class RawReceiver : IAsyncDisposable
{
    readonly RawReceiverOptions options;
    readonly Func<ReceiverConnection, Task> script;
    readonly Socket listener;
    readonly SemaphoreSlim places;
    readonly CancellationTokenSource stop = new();
    readonly ConcurrentDictionary<Socket, Task> open = [];
    readonly Task accepting;
    int connections;

    RawReceiver(Func<ReceiverConnection, Task> script, RawReceiverOptions options)
    {
        (this.script, this.options) = (script, options);
        places = new SemaphoreSlim(options.MaxConnections);
        listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            listener.Bind(new IPEndPoint(IPAddress.Loopback, options.Port));
            listener.Listen(512);
        }
        catch
        {
            listener.Dispose();
            throw;
        }
        Port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        accepting = AcceptAsync();
    }

    /// <exception cref="SocketException">The port is in use.</exception>
    public static RawReceiver Start(Func<ReceiverConnection, Task> script, RawReceiverOptions? options = null) =>
        new(script, options ?? new());

    public int Port { get; }

    /// <summary>Number of accepted connections.</summary>
    public int Connections => Volatile.Read(ref connections);

    /// <summary>Number of open connections.</summary>
    public int Open => open.Count;

    async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                await places.WaitAsync(stop.Token);
                var socket = await listener.AcceptAsync(stop.Token);
                Interlocked.Increment(ref connections);
                open[socket] = Task.CompletedTask;
                var serving = ServeAsync(socket);
                open.TryUpdate(socket, serving, Task.CompletedTask);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The receiver is stopping.
        }
    }

    async Task ServeAsync(Socket socket)
    {
        using var life = CancellationTokenSource.CreateLinkedTokenSource(stop.Token);
        life.CancelAfter(options.Lifetime ?? Timeout.InfiniteTimeSpan);
        socket.NoDelay = true;
        Stream stream = new NetworkStream(socket);
        try
        {
            if (options.Tls is { } tls)
            {
                var session = new SslStream(stream);
                stream = session;
                await session.AuthenticateAsServerAsync(tls, life.Token);
            }
            await script(new ReceiverConnection(socket, stream, options.OnRequest, life.Token));
            socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception e)
            when (e is IOException or SocketException or ObjectDisposedException or OperationCanceledException or AuthenticationException)
        {
            // The peer closed the connection, or its lifetime is over.
        }
        finally
        {
            // Close the socket first: closing a TLS session must not wait for a peer that no longer reads.
            socket.Dispose();
            await stream.DisposeAsync();
            open.TryRemove(socket, out _);
            places.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        listener.Dispose();
        await accepting;
        var serving = open.ToArray();
        foreach (var (socket, _) in serving)
            socket.Dispose();
        await Task.WhenAll(serving.Select(connection => connection.Value));
        stop.Dispose();
    }
}
