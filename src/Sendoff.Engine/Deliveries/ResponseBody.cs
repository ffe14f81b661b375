using System.Buffers;
using System.Buffers.Text;

namespace Sendoff.Engine.Deliveries;

/// <summary>Takes a response's body out of its framing, piece by piece (RFC 9112 6 and 7).</summary>
/// <param name="head">The head that it follows.</param>
internal sealed class ResponseBody(HttpConnection connection, ResponseHead head, string method, EngineLimits limits)
{
    /// <summary>How much is read at once.</summary>
    const int ReadSize = 32 * 1024;
    /// <summary>The longest chunk line, extensions included. They mean nothing to anybody.</summary>
    const int ChunkLine = 1024;

    static readonly SearchValues<byte> hexDigits = SearchValues.Create("0123456789abcdefABCDEF"u8);

    enum Framing { None, Length, Chunks, Close }

    readonly Framing framing = FramingOf(head, method);
    /// <summary>What is left of the body, or of the current chunk.</summary>
    long left = FramingOf(head, method) == Framing.Length ? head.ContentLength!.Value : 0;
    bool isFirstChunk = true;
    bool isEnded;

    /// <summary>Bytes of the body so far, as they came: without chunk lines, not yet decoded.</summary>
    public long Received { get; private set; }

    /// <summary>All of it was read.</summary>
    public bool IsComplete => isEnded || framing == Framing.None || (framing == Framing.Length && left == 0);

    /// <summary>The connection ends with the body, because only its end says where the body ends.</summary>
    public bool EndsConnection => framing == Framing.Close;

    /// <summary>Length of the body, when it was said.</summary>
    public long? DeclaredLength => framing == Framing.Length ? head.ContentLength : null;

    static Framing FramingOf(ResponseHead head, string method)
    {
        if (method == "HEAD" || head.Status is 204 or 304) return Framing.None;
        if (head.HasTransferEncoding) return head.IsChunked ? Framing.Chunks : Framing.Close;
        return head.ContentLength is null ? Framing.Close : Framing.Length;
    }

    /// <summary>The next piece, valid until the next call; empty at the end.</summary>
    /// <exception cref="WireException">The connection ended too early, or the chunks are not valid.</exception>
    public ValueTask<ReadOnlyMemory<byte>> NextAsync()
    {
        // Mostly the whole body came with the head; then nothing has to wait.
        if (framing == Framing.Length && left > 0 && !connection.Unread.IsEmpty) return new(TakePiece());
        return IsComplete ? new(ReadOnlyMemory<byte>.Empty) : ReadNextAsync();
    }

    async ValueTask<ReadOnlyMemory<byte>> ReadNextAsync()
    {
        if (framing == Framing.Chunks && left == 0 && !await ReadChunkLineAsync().ConfigureAwait(false))
        {
            isEnded = true;
            return default;
        }
        if (connection.Unread.IsEmpty && await connection.ReadAsync(ReadSize).ConfigureAwait(false) == 0)
        {
            if (framing != Framing.Close) throw Closed();
            isEnded = true;
            return default;
        }
        return TakePiece();
    }

    ReadOnlyMemory<byte> TakePiece()
    {
        var piece = connection.Unread;
        if (framing != Framing.Close)
        {
            if (piece.Length > left) piece = piece[..(int)left];
            left -= piece.Length;
        }
        connection.Take(piece.Length);
        Received += piece.Length;
        return piece;
    }

    /// <summary>Reads up to the data of the next chunk. False after the last one, when the trailers are read too.</summary>
    async ValueTask<bool> ReadChunkLineAsync()
    {
        if (!isFirstChunk && await ReadLineLengthAsync(2).ConfigureAwait(false) != 0) throw Invalid("a chunk is longer than it says");
        if (!isFirstChunk) connection.Take(2);
        isFirstChunk = false;

        int length = await ReadLineLengthAsync(ChunkLine).ConfigureAwait(false);
        left = ParseChunkSize(connection.Unread.Span[..length]);
        connection.Take(length + 2);
        if (left > 0) return true;
        await SkipTrailersAsync().ConfigureAwait(false);
        return false;
    }

    static long ParseChunkSize(ReadOnlySpan<byte> line)
    {
        int digits = line.IndexOfAnyExcept(hexDigits);
        if (digits < 0) digits = line.Length;
        var rest = line[digits..].TrimStart(" \t"u8);
        // 15 digits are more than any body has, and cannot wrap.
        if (digits is 0 or > 15 || !(rest.IsEmpty || rest[0] == ';') || !Utf8Parser.TryParse(line[..digits], out long size, out _, 'x'))
            throw Invalid("a chunk has no valid size");
        return size;
    }

    async ValueTask SkipTrailersAsync()
    {
        int bytes = 0, lines = 0;
        while (await ReadLineLengthAsync(limits.ResponseHeaderBytes - bytes).ConfigureAwait(false) is > 0 and int length)
        {
            bytes += length + 2;
            if (++lines > limits.ResponseHeaderLines) throw Invalid($"it has more than {limits.ResponseHeaderLines:N0} trailer lines");
            connection.Take(length + 2);
        }
        connection.Take(2);
    }

    /// <summary>Reads until a line is there and answers its length without its end. Takes nothing.</summary>
    async ValueTask<int> ReadLineLengthAsync(int most)
    {
        while (true)
        {
            var unread = connection.Unread;
            int end = unread.Span.IndexOf((byte)'\n');
            if (end > 0 && end <= most && unread.Span[end - 1] == '\r') return end - 1;
            if (end >= 0 || unread.Length > most) throw Invalid("a chunk line is too long or does not end as one");
            if (await connection.ReadAsync(Math.Max(ReadSize, most + 2)).ConfigureAwait(false) == 0) throw Closed();
        }
    }

    WireException Closed()
    {
        string of = DeclaredLength is { } length ? $" of {length:N0}" : "";
        return new(AttemptErrorCode.ConnectionClosed, $"the receiver closed the connection before the response body was complete ({Received:N0}{of} bytes received)");
    }

    static WireException Invalid(string why) => new(AttemptErrorCode.InvalidResponse, $"the response body is not valid HTTP/1.1: {why}");
}

/// <summary>A body as the decompressors of .NET want it. It answers "end" when the body ends, fails or has been read far enough.</summary>
/// <param name="raw">Gets every byte as it came, for a body that turns out not to decode.</param>
internal sealed class ResponseBodyStream(ResponseBody body, BodyCapture raw, long most) : ReadOnlyStream
{
    ReadOnlyMemory<byte> piece;

    /// <summary>Why the body ended early.</summary>
    public Exception? Fault { get; private set; }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (piece.IsEmpty && !await NextAsync().ConfigureAwait(false)) return 0;
        int count = Math.Min(piece.Length, buffer.Length);
        piece.Span[..count].CopyTo(buffer.Span);
        piece = piece[count..];
        return count;
    }

    async ValueTask<bool> NextAsync()
    {
        if (Fault is not null || body.Received >= most) return false;
        try
        {
            piece = await body.NextAsync().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // A decompressor must not see it: what has been decoded so far is kept.
            Fault = e;
            return false;
        }
        raw.Add(piece.Span);
        return !piece.IsEmpty;
    }
}
