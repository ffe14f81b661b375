using System.Buffers;
using System.Buffers.Text;

namespace Sendoff.Engine.Deliveries;

/// <summary>Reads a response's body in pieces, without its framing (RFC 9112 6 and 7).</summary>
/// <param name="head">The head before the body.</param>
internal sealed class ResponseBody(HttpConnection connection, ResponseHead head, string method, EngineLimits limits)
{
    /// <summary>Size of one read.</summary>
    const int ReadSize = 32 * 1024;

    /// <summary>The longest chunk line, including extensions, which are ignored.</summary>
    const int ChunkLine = 1024;

    static readonly SearchValues<byte> hexDigits = SearchValues.Create("0123456789abcdefABCDEF"u8);

    enum Framing
    {
        None,
        Length,
        Chunks,
        Close,
    }

    readonly Framing framing = FramingOf(head, method);

    /// <summary>Remaining bytes of the body or of the current chunk.</summary>
    long left = FramingOf(head, method) == Framing.Length ? head.ContentLength!.Value : 0;
    bool isFirstChunk = true;
    bool isLastChunk,
        isEnded,
        isAbandoned;
    long framingBytes;

    /// <summary>Received bytes of the body, without chunk lines and not decoded.</summary>
    public long Received { get; private set; }

    /// <summary>The body was read completely.</summary>
    public bool IsComplete => !isAbandoned && (isEnded || framing == Framing.None || (framing == Framing.Length && left == 0));

    /// <summary>The limit for reading a body has been reached (C4), including chunk lines.</summary>
    public bool IsSpent => Received + framingBytes >= limits.DeliveryBodyRead;

    /// <summary>Stops reading.</summary>
    public void Abandon() => isAbandoned = true;

    /// <summary>The body ends with the connection.</summary>
    public bool EndsConnection => framing == Framing.Close;

    /// <summary>Length of the body, if it is known.</summary>
    public long? DeclaredLength => framing == Framing.Length ? head.ContentLength : null;

    static Framing FramingOf(ResponseHead head, string method)
    {
        if (method == "HEAD" || head.Status is 204 or 304)
            return Framing.None;
        if (head.HasTransferEncoding)
            return head.IsChunked ? Framing.Chunks : Framing.Close;
        return head.ContentLength is null ? Framing.Close : Framing.Length;
    }

    /// <summary>Reads the next piece, valid until the next call; empty at the end.</summary>
    /// <exception cref="WireException">The connection ended too early, or the chunks are not valid.</exception>
    public ValueTask<ReadOnlyMemory<byte>> NextAsync()
    {
        // Usually the whole body arrived with the head, or many chunks together; then no wait is needed.
        if (framing == Framing.Chunks && left == 0 && !isLastChunk)
            TryTakeChunkLine();
        if (left > 0 && !connection.Unread.IsEmpty)
            return new(TakePiece());
        return IsComplete ? new(ReadOnlyMemory<byte>.Empty) : ReadNextAsync();
    }

    async ValueTask<ReadOnlyMemory<byte>> ReadNextAsync()
    {
        if (framing == Framing.Chunks && left == 0)
        {
            while (!isLastChunk && !TryTakeChunkLine())
                if (await connection.ReadAsync(ReadSize).ConfigureAwait(false) == 0)
                    throw Closed();
            if (isLastChunk)
            {
                await SkipTrailersAsync().ConfigureAwait(false);
                isEnded = true;
                return default;
            }
        }
        if (connection.Unread.IsEmpty && await connection.ReadAsync(ReadSize).ConfigureAwait(false) == 0)
        {
            if (framing != Framing.Close)
                throw Closed();
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
            if (piece.Length > left)
                piece = piece[..(int)left];
            left -= piece.Length;
        }
        connection.Take(piece.Length);
        Received += piece.Length;
        return piece;
    }

    /// <summary>Consumes the line before the data of the next chunk. Returns false and consumes nothing if it is incomplete.</summary>
    bool TryTakeChunkLine()
    {
        var unread = connection.Unread.Span;
        int before = isFirstChunk ? 0 : 2;
        if (!unread[..Math.Min(before, unread.Length)].SequenceEqual("\r\n"u8[..Math.Min(before, unread.Length)]))
            throw Invalid("a chunk is longer than its declared size");
        if (unread.Length < before || LineLength(unread[before..], ChunkLine) is not (>= 0 and int length))
            return false;

        left = ParseChunkSize(unread.Slice(before, length));
        (isFirstChunk, isLastChunk) = (false, left == 0);
        TakeFraming(before + length + 2);
        return true;
    }

    void TakeFraming(int count)
    {
        connection.Take(count);
        framingBytes += count;
    }

    static long ParseChunkSize(ReadOnlySpan<byte> line)
    {
        int digits = line.IndexOfAnyExcept(hexDigits);
        if (digits < 0)
            digits = line.Length;
        var rest = line[digits..].TrimStart(" \t"u8);
        // 15 digits are enough for any body and cannot overflow.
        if (digits is 0 or > 15 || !(rest.IsEmpty || rest[0] == ';') || !Utf8Parser.TryParse(line[..digits], out long size, out _, 'x'))
            throw Invalid("a chunk has no valid size");
        return size;
    }

    async ValueTask SkipTrailersAsync()
    {
        int bytes = 0,
            lines = 0;
        while (await ReadLineLengthAsync(limits.ResponseHeaderBytes - bytes).ConfigureAwait(false) is > 0 and int length)
        {
            bytes += length + 2;
            if (++lines > limits.ResponseHeaderLines)
                throw Invalid($"it has more than {limits.ResponseHeaderLines:N0} trailer lines");
            connection.Take(length + 2);
        }
        connection.Take(2);
    }

    /// <summary>Reads until a line is complete, and returns its length without its ending. Consumes nothing.</summary>
    async ValueTask<int> ReadLineLengthAsync(int most)
    {
        while (true)
        {
            int length = LineLength(connection.Unread.Span, most);
            if (length >= 0)
                return length;
            if (await connection.ReadAsync(Math.Max(ReadSize, most + 2)).ConfigureAwait(false) == 0)
                throw Closed();
        }
    }

    /// <summary>Length of the first line without its ending; -1 if it is incomplete.</summary>
    static int LineLength(ReadOnlySpan<byte> unread, int most)
    {
        int end = unread.IndexOf((byte)'\n');
        if (end > 0 && end <= most && unread[end - 1] == '\r')
            return end - 1;
        if (end >= 0 || unread.Length > most)
            throw Invalid("a chunk line is too long or has no valid end");
        return -1;
    }

    WireException Closed()
    {
        string of = DeclaredLength is { } length ? $" of {length:N0}" : "";
        return new(
            AttemptErrorCode.ConnectionClosed,
            $"the receiver closed the connection before the response body was complete ({Received:N0}{of} bytes received)"
        );
    }

    static WireException Invalid(string why) => new(AttemptErrorCode.InvalidResponse, $"the response body is not valid HTTP/1.1: {why}");
}

/// <summary>A body as a stream for the decompressors of .NET. It ends if the body ends, fails or has reached its limit.</summary>
/// <param name="raw">Captures the raw bytes, for a body that does not decode.</param>
internal sealed class ResponseBodyStream(ResponseBody body, BodyCapture raw) : ReadOnlyStream
{
    ReadOnlyMemory<byte> prefetched,
        piece;

    /// <summary>The error that ended the body.</summary>
    public Exception? Fault { get; private set; }

    /// <summary>Reads ahead up to the size of the raw capture. Returns true if that is the whole body.</summary>
    public async ValueTask<bool> PrefetchAsync()
    {
        bool isWhole = false;
        while (!raw.IsFull && !isWhole)
            isWhole = !await NextAsync().ConfigureAwait(false);
        prefetched = raw.Kept;
        piece = piece[^(int)(raw.Total - prefetched.Length)..];
        return isWhole;
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (!prefetched.IsEmpty)
            return Take(ref prefetched, buffer);
        if (piece.IsEmpty && !await NextAsync().ConfigureAwait(false))
            return 0;
        return Take(ref piece, buffer);
    }

    static int Take(ref ReadOnlyMemory<byte> from, Memory<byte> buffer)
    {
        int count = Math.Min(from.Length, buffer.Length);
        from[..count].CopyTo(buffer);
        from = from[count..];
        return count;
    }

    async ValueTask<bool> NextAsync()
    {
        if (Fault is not null || body.IsSpent)
            return false;
        try
        {
            piece = await body.NextAsync().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // Hidden from the decompressor, so that the decoded part is kept.
            Fault = e;
            return false;
        }
        raw.Add(piece.Span);
        return !piece.IsEmpty;
    }
}
