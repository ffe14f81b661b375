using System.Buffers;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace Sendoff.Engine.Deliveries;

/// <summary>
/// One open connection and the bytes read from it that nobody took yet. It carries one exchange at a time. There are no tokens here: the
/// deadline aborts the connection, and whatever is pending on it fails.
/// </summary>
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
    /// <param name="remote">Where the other end is; the socket's own word for it is the proxy's, where there is one.</param>
    public HttpConnection(ConnectionKey key, Socket socket, Stream stream, IPEndPoint remote)
    {
        (Key, this.socket, this.stream, buffer) = (key, socket, stream, small);
        LocalAddress = (socket.LocalEndPoint as IPEndPoint)?.Address.ToString();
        RemoteAddress = remote.ToString();
    }

    /// <summary>Which requests may use it.</summary>
    public ConnectionKey Key { get; }
    public string? LocalAddress { get; }
    public string? RemoteAddress { get; }

    /// <summary>For another protocol than HTTP, which reads and writes by itself.</summary>
    public Stream Stream => stream;

    /// <summary>Bytes read and not taken. Valid until the next read.</summary>
    public ReadOnlyMemory<byte> Unread => buffer.AsMemory(start, end - start);

    /// <summary>Takes bytes off the front of <see cref="Unread"/>.</summary>
    public void Take(int count) => start += count;

    public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes) => stream.WriteAsync(bytes);

    /// <summary>Reads more behind <see cref="Unread"/> and answers how much came: 0 at the end.</summary>
    /// <param name="most">How much may be unread. The buffer never grows beyond it.</param>
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
        // A read that filled the small buffer is the beginning of much.
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

    /// <summary>Makes ready to wait for the next exchange. False when the receiver sent more than its response: the connection is not to be
    /// used again.</summary>
    public bool TryRest()
    {
        if (start != end)
            return false;
        ReturnBuffer();
        start = end = 0;
        if (stream is SslStream)
        {
            // Bytes may wait inside the TLS session, where no look at the socket finds them. A read that stays open does.
            ahead = stream.ReadAsync(small).AsTask();
        }
        return true;
    }

    /// <summary>Whether the receiver has neither closed the connection nor sent anything since it came to rest.</summary>
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

    /// <summary>Closes the socket at once, from any thread: what is pending on it fails. <see cref="Dispose"/> is still due.</summary>
    public void Abort() => socket.Dispose();

    /// <summary>Call when no read or write of an exchange is pending.</summary>
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
            // The socket was closed under it, as it should be.
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
