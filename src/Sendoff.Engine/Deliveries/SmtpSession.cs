namespace Sendoff.Engine.Deliveries;

/// <summary>The stream of a session with a mail server. It limits the bytes read and reports the progress of the attempt.</summary>
/// <param name="most">Bytes that may be read, TLS included.</param>
internal sealed class SmtpSession(Stream wire, AttemptProgress progress, string host, int most) : Stream
{
    int read;
    bool hasMessage;

    /// <summary>The server has closed the connection.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>From now on the message is written.</summary>
    public void BeginMessage()
    {
        progress.Enter(AttemptPhase.Write, "");
        hasMessage = true;
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        int count = await wire.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        Count(count);
        return count;
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (buffer.Span.StartsWith("STARTTLS"u8))
            progress.Enter(AttemptPhase.Tls, $"making a TLS session with {host}");
        await wire.WriteAsync(buffer, cancellationToken).ConfigureAwait(false);
        if (!hasMessage)
            return;
        progress.RequestBytesWritten += buffer.Length;
        progress.SetWritten();
    }

    void Count(int count)
    {
        HasEnded |= count == 0;
        if ((read += count) > most)
            throw new WireException(AttemptErrorCode.InvalidResponse, $"the mail server {host} sent more than {most:N0} bytes");
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task FlushAsync(CancellationToken cancellationToken) => wire.FlushAsync(cancellationToken);

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => true;
    public override long Length => throw new NotSupportedException();
    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override void Flush() => wire.Flush();

    // Called only when a session is disposed.
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("a session is read asynchronously");

    public override void Write(byte[] buffer, int offset, int count) => wire.Write(buffer, offset, count);

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
