using System.Text;

namespace Sendoff.Commands.Hostile;

/// <summary>A received request, and ways to misbehave in response.</summary>
/// <param name="number">Number of the request on its connection, from 1.</param>
sealed class HostileExchange(ReceiverConnection connection, string head, int number)
{
    /// <summary>Maximum number of bytes sent on a connection.</summary>
    const long MaxSentBytes = 256 * 1024 * 1024;
    const string Ordinary = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok";

    public string Head => head;
    public int Number => number;
    public bool IsClosed { get; private set; }

    public Task ReadBodyAsync() => connection.SkipBodyAsync(head);

    public Task WriteAsync(string text) => connection.WriteAsync(text);

    /// <summary>Reads the complete request and sends these bytes as the response.</summary>
    public Task RespondAsync(string response) => RespondAsync(Encoding.Latin1.GetBytes(response));

    public async Task RespondAsync(ReadOnlyMemory<byte> response)
    {
        await ReadBodyAsync();
        await connection.WriteAsync(response);
    }

    /// <summary>Responds like a normal receiver.</summary>
    public Task RespondOrdinarilyAsync() => RespondAsync(Ordinary);

    public async Task RespondAndCloseAsync(string response)
    {
        await RespondAsync(response);
        Close();
    }

    public async Task RespondAndResetAsync(string response)
    {
        await RespondAsync(response);
        Reset();
    }

    /// <summary>Begins a response and repeats the same bytes until the receiver stops reading.</summary>
    public async Task RespondEndlesslyAsync(string beginning, byte[] piece)
    {
        await RespondAsync(beginning);
        for (long sent = 0; sent < MaxSentBytes; sent += piece.Length)
            await connection.WriteAsync(piece);
        Close();
    }

    /// <summary>Begins a response and continues ten times a second.</summary>
    public async Task DripAsync(string beginning, string piece)
    {
        await RespondAsync(beginning);
        while (true)
        {
            await connection.WriteAsync(piece);
            await Task.Delay(100, connection.Stop);
        }
    }

    /// <summary>Stops reading and writing.</summary>
    public Task IgnoreAsync() => connection.HoldAsync();

    public void Close() => IsClosed = true;

    public void Reset()
    {
        IsClosed = true;
        connection.Reset();
    }
}
