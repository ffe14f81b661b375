using System.Buffers;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace Sendoff.Engine.Deliveries;

/// <summary>One open connection with its unread bytes. It has one exchange at a time. Methods take no cancellation token: the deadline
/// aborts the connection, and pending operations fail.</summary>
internal sealed class HttpConnection : IDisposable
{
    const int SmallBuffer = 4 * 1024,
        LargeBuffer = 32 * 1024;

    readonly Socket socket;
    readonly Stream stream;
    readonly byte[] small = new byte[SmallBuffer];
    byte[] buffer;
    int start,
        end;
    Task<int>? ahead;
    int disposed;

    /// <param name="stream">The socket's bytes, or the TLS session on it. Owned, as is the socket.</param>
    /// <param name="remote">The remote address; with a proxy, the socket's own remote address is that of the proxy.</param>
    public HttpConnection(ConnectionKey key, Socket socket, Stream stream, IPEndPoint remote)
    {
        (Key, this.socket, this.stream, buffer) = (key, socket, stream, small);
        LocalAddress = (socket.LocalEndPoint as IPEndPoint)?.Address.ToString();
        RemoteAddress = remote.ToString();
    }

    /// <summary>Identifies requests that may use it.</summary>
    public ConnectionKey Key { get; }
    public string? LocalAddress { get; }
    public string? RemoteAddress { get; }

    /// <summary>For a protocol other than HTTP, which reads and writes the stream directly.</summary>
    public Stream Stream => stream;

    /// <summary>Bytes that were read and not consumed. Valid until the next read.</summary>
    public ReadOnlyMemory<byte> Unread => buffer.AsMemory(start, end - start);

    /// <summary>Consumes bytes at the start of <see cref="Unread"/>.</summary>
    public void Take(int count) => start += count;

    public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes) => stream.WriteAsync(bytes);

    /// <summary>Reads more bytes into <see cref="Unread"/> and returns their number: 0 at the end.</summary>
    /// <param name="most">Maximum number of unread bytes, and maximum size of the buffer.</param>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<int> ReadAsync(int most)
    {
        if (start == end)
            Rewind(most);
        if (end == buffer.Length)
            MakeRoom(most);
        var begun = ahead;
        ahead = null;
        int count = begun is not null
            ? await begun.ConfigureAwait(false)
            : await stream.ReadAsync(buffer.AsMemory(end)).ConfigureAwait(false);
        end += count;
        return count;
    }

    void Rewind(int most)
    {
        // A read that fills the small buffer probably begins a large body.
        if (end == buffer.Length && buffer == small && most >= LargeBuffer)
            buffer = ArrayPool<byte>.Shared.Rent(LargeBuffer);
        start = end = 0;
    }

    void MakeRoom(int most)
    {
        if (start > 0)
        {
            buffer.AsSpan(start, end - start).CopyTo(buffer);
            (start, end) = (0, end - start);
            return;
        }
        int wanted = Math.Min(Math.Max(buffer.Length * 2, LargeBuffer), most);
        byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(wanted, buffer.Length + SmallBuffer));
        buffer.AsSpan(0, end).CopyTo(larger);
        ReturnBuffer();
        buffer = larger;
    }

    /// <summary>Prepares for the next exchange. Returns false if the receiver sent more than its response: then the connection must not be
    /// reused.</summary>
    public bool TryRest()
    {
        if (start != end)
            return false;
        ReturnBuffer();
        start = end = 0;
        if (stream is SslStream)
        {
            // Bytes may be buffered inside the TLS session, where a check of the socket does not find them, but a pending read does.
            ahead = stream.ReadAsync(small).AsTask();
        }
        return true;
    }

    /// <summary>Whether the receiver has neither closed the idle connection nor sent data.</summary>
    public bool IsQuiet()
    {
        try
        {
            return ahead is not { IsCompleted: true } && !socket.Poll(0, SelectMode.SelectRead);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>Closes the socket immediately, from any thread, so that pending operations fail. <see cref="Dispose"/> must still be
    /// called.</summary>
    public void Abort() => socket.Dispose();

    /// <summary>Call only if no read or write of an exchange is pending.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref disposed, 1) != 0)
            return;
        socket.Dispose();
        ReturnBuffer();
        if (ahead is not null)
            _ = EndReadAheadAsync(ahead);
        else
            stream.Dispose();
    }

    async Task EndReadAheadAsync(Task<int> ahead)
    {
        try
        {
            await ahead.ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or SocketException)
        {
            // The socket was closed by Abort, as intended.
        }
        await stream.DisposeAsync().ConfigureAwait(false);
    }

    void ReturnBuffer()
    {
        if (buffer != small)
            ArrayPool<byte>.Shared.Return(buffer);
        buffer = small;
    }
}
