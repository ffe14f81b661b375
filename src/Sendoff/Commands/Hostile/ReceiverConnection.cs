using System.Net.Sockets;
using System.Text;

namespace Sendoff.Commands.Hostile;

/// <summary>The receiver's side of a connection: reads raw bytes and sends any bytes.</summary>
/// <param name="onRequest">Called with each request of <see cref="ReadRequestAsync"/>.</param>
/// <param name="stop">Cancelled at the end of the connection's lifetime, and when the receiver stops.</param>
sealed class ReceiverConnection(Socket socket, Stream stream, Action<string>? onRequest, CancellationToken stop)
{
    const int MaxHead = 1024 * 1024;

    byte[] unread = new byte[16 * 1024];
    int length;

    public CancellationToken Stop => stop;

    /// <summary>Reads a head including its empty line as Latin-1 text, but not the body. Null at the end of the connection.</summary>
    public async Task<string?> ReadHeadAsync()
    {
        while (true)
        {
            int end = unread.AsSpan(0, length).IndexOf("\r\n\r\n"u8);
            if (end >= 0)
                return Take(end + 4);
            if (length >= MaxHead || !await FillAsync())
                return null;
        }
    }

    /// <summary>Reads the head and the body, by content-length. Null at the end of the connection.</summary>
    public async Task<string?> ReadRequestAsync()
    {
        if (await ReadHeadAsync() is not { } head)
            return null;
        int body = (int)LengthOf(head);
        while (length < body)
            if (!await FillAsync())
                return null;
        string request = head + Take(body);
        onRequest?.Invoke(request);
        return request;
    }

    /// <summary>Reads and discards the body after a head.</summary>
    public async Task SkipBodyAsync(string head)
    {
        for (long left = LengthOf(head); left > 0; )
        {
            if (length == 0 && !await FillAsync())
                return;
            int count = (int)Math.Min(left, length);
            Drop(count);
            left -= count;
        }
    }

    /// <summary>Reads and discards everything until the peer closes.</summary>
    public async Task ReadToEndAsync()
    {
        do length = 0;
        while (await FillAsync());
    }

    /// <summary>Reads the first bytes.</summary>
    public Task<bool> ReadSomeAsync() => FillAsync();

    async Task<bool> FillAsync()
    {
        if (length == unread.Length)
            Array.Resize(ref unread, 2 * length);
        int count = await stream.ReadAsync(unread.AsMemory(length), stop);
        length += count;
        return count > 0;
    }

    string Take(int count)
    {
        string text = Encoding.Latin1.GetString(unread, 0, count);
        Drop(count);
        return text;
    }

    void Drop(int count)
    {
        unread.AsSpan(count, length - count).CopyTo(unread);
        length -= count;
    }

    static long LengthOf(string head)
    {
        int at = head.IndexOf("\r\ncontent-length:", StringComparison.OrdinalIgnoreCase);
        return at >= 0 && long.TryParse(head.AsSpan(at + 17, head.IndexOf('\r', at + 17) - at - 17), out long length) ? length : 0;
    }

    public Task WriteAsync(string text) => WriteAsync(Encoding.Latin1.GetBytes(text));

    public async Task WriteAsync(ReadOnlyMemory<byte> bytes)
    {
        await stream.WriteAsync(bytes, stop);
        await stream.FlushAsync(stop);
    }

    /// <summary>Responds to every request with the same bytes.</summary>
    public async Task AnswerAllAsync(string response)
    {
        while (await ReadRequestAsync() is not null)
            await WriteAsync(response);
    }

    /// <summary>Closes with a RST.</summary>
    public void Reset()
    {
        socket.LingerState = new LingerOption(true, 0);
        socket.Close();
    }

    /// <summary>Closes immediately, with a FIN if nothing is left unread.</summary>
    public void Drop() => socket.Dispose();

    /// <summary>Keeps the connection open without reading or writing.</summary>
    public Task HoldAsync() => Task.Delay(Timeout.Infinite, stop);
}
