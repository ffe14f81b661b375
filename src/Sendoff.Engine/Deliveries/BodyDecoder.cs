using System.Buffers;
using System.IO.Compression;
using ZstdSharp;
using ZstdSharp.Unsafe;

namespace Sendoff.Engine.Deliveries;

/// <summary>Decodes compressed bodies while they arrive, so that a decompression bomb costs no more than any other body.</summary>
internal static class BodyDecoder
{
    const int MaxLayers = 2;

    /// <summary>RFC 8878 3.1.1.1.2: no sender should ask for more than 8 MiB.</summary>
    const int ZstdWindowLog = 23;

    /// <summary>Windows of Brotli and Zstandard have up to 16 and 8 MiB, which decoding a body keeps in memory.</summary>
    static readonly SemaphoreSlim wholeBodies = new(2),
        longBodies = new(4);

    /// <summary>The codings to decode, outermost last; null if one is unknown, empty if there are none.</summary>
    public static string[]? CodingsOf(string? contentEncoding)
    {
        if (contentEncoding is null)
            return [];
        string[] codings =
        [
            .. contentEncoding
                .ToLowerInvariant()
                .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                .Where(c => c != "identity"),
        ];
        return codings.Length <= MaxLayers && codings.All(c => c is "gzip" or "x-gzip" or "deflate" || HasWindow(c)) ? codings : null;
    }

    static bool HasWindow(string coding) => coding is "br" or "zstd";

    /// <summary>Decodes a body into <paramref name="decoded"/> until it ends, fails or exceeds <paramref name="most"/>.</summary>
    /// <returns>False if it does not decode, or if there is no capacity to decode it.</returns>
    public static async Task<bool> DecodeAsync(
        string[] codings,
        ResponseBodyStream wire,
        BodyCapture decoded,
        long most,
        CancellationToken deadline
    )
    {
        if (!codings.Any(HasWindow))
            return await DecodeAsync(codings, wire, decoded, most).ConfigureAwait(false);

        // A body that fits in the raw capture is read completely before decoding, so that it needs a window only for milliseconds, even if
        // it arrives slowly. Such a body waits for capacity. A longer body is stored raw if there is no capacity, because others may use it
        // until their deadlines.
        bool isWhole = await wire.PrefetchAsync().ConfigureAwait(false);
        var room = isWhole ? wholeBodies : longBodies;
        if (!room.Wait(0, CancellationToken.None) && !(isWhole && await WaitAsync(room, deadline).ConfigureAwait(false)))
            return false;
        try
        {
            return await DecodeAsync(codings, wire, decoded, most).ConfigureAwait(false);
        }
        finally
        {
            room.Release();
        }
    }

    static async Task<bool> WaitAsync(SemaphoreSlim room, CancellationToken deadline)
    {
        try
        {
            await room.WaitAsync(deadline).ConfigureAwait(false);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    static async Task<bool> DecodeAsync(string[] codings, ResponseBodyStream wire, BodyCapture decoded, long most)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(16 * 1024);
        try
        {
            await using var plain = await UndoAsync(codings, wire).ConfigureAwait(false);
            while (decoded.Total < most && await plain.ReadAsync(buffer).ConfigureAwait(false) is > 0 and int count)
                decoded.Add(buffer.AsSpan(0, count));
            return true;
        }
        catch (Exception e) when (e is InvalidDataException or InvalidOperationException or IOException or ZstdException)
        {
            // A body that ended early is not invalid: the decoded part is kept.
            return wire.Fault is not null;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    static async Task<Stream> UndoAsync(string[] codings, Stream stream)
    {
        for (int i = codings.Length - 1; i >= 0; i--)
        {
            stream = codings[i] switch
            {
                "br" => new BrotliStream(stream, CompressionMode.Decompress),
                "zstd" => UndoZstd(stream),
                "deflate" => await UndoDeflateAsync(stream).ConfigureAwait(false),
                _ => new GZipStream(stream, CompressionMode.Decompress),
            };
        }
        return stream;
    }

    static DecompressionStream UndoZstd(Stream stream)
    {
        var plain = new DecompressionStream(stream, bufferSize: 16 * 1024, leaveOpen: false);
        plain.SetParameter(ZSTD_dParameter.ZSTD_d_windowLogMax, ZstdWindowLog);
        return plain;
    }

    /// <summary>"deflate" means zlib (RFC 9110 8.4.1.2), but some servers send raw deflate. The first two bytes distinguish them.</summary>
    static async Task<Stream> UndoDeflateAsync(Stream stream)
    {
        byte[] first = new byte[2];
        int count = await stream.ReadAtLeastAsync(first, 2, throwOnEndOfStream: false).ConfigureAwait(false);
        bool isZlib = count == 2 && (first[0] & 0x0f) == 8 && ((first[0] << 8) | first[1]) % 31 == 0;
        var whole = new PrefixedStream(first.AsMemory(0, count), stream);
        return isZlib ? new ZLibStream(whole, CompressionMode.Decompress) : new DeflateStream(whole, CompressionMode.Decompress);
    }

    sealed class PrefixedStream(ReadOnlyMemory<byte> prefix, Stream rest) : ReadOnlyStream
    {
        ReadOnlyMemory<byte> prefix = prefix;

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (prefix.IsEmpty)
                return rest.ReadAsync(buffer, cancellationToken);
            int count = Math.Min(prefix.Length, buffer.Length);
            prefix[..count].CopyTo(buffer);
            prefix = prefix[count..];
            return new(count);
        }
    }
}
