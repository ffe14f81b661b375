using System.Buffers;
using System.IO.Compression;

namespace Sendoff.Engine.Deliveries;

/// <summary>Decodes compressed bodies as they come, so that a small response that unfolds into a large one costs no more than any other.</summary>
internal static class BodyDecoder
{
    const int MaxLayers = 2;
    /// <summary>A Brotli window takes up to 16 MiB; beyond so many at once a body is kept as it came.</summary>
    const int MaxBrotli = 8;

    static int brotliInUse;

    /// <summary>The codings to undo, outermost last; null when one of them is unknown, and empty when there are none.</summary>
    public static string[]? CodingsOf(string? contentEncoding)
    {
        if (contentEncoding is null) return [];
        string[] codings = [.. contentEncoding.ToLowerInvariant().Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Where(c => c != "identity")];
        return codings.Length <= MaxLayers && codings.All(c => c is "gzip" or "x-gzip" or "deflate" or "br") ? codings : null;
    }

    /// <summary>Decodes a body into <paramref name="decoded"/> until it ends, fails or has grown beyond <paramref name="most"/>.</summary>
    /// <returns>False when it does not decode.</returns>
    public static async Task<bool> DecodeAsync(string[] codings, ResponseBodyStream wire, BodyCapture decoded, long most)
    {
        bool usesBrotli = codings.Contains("br");
        byte[] buffer = ArrayPool<byte>.Shared.Rent(16 * 1024);
        try
        {
            if (usesBrotli && Interlocked.Increment(ref brotliInUse) > MaxBrotli) return false;
            await using var plain = await UndoAsync(codings, wire).ConfigureAwait(false);
            while (decoded.Total < most && await plain.ReadAsync(buffer).ConfigureAwait(false) is > 0 and int count) decoded.Add(buffer.AsSpan(0, count));
            return true;
        }
        catch (Exception e) when (e is InvalidDataException or InvalidOperationException or IOException)
        {
            // Cut off by the wire is not the same as wrong: then what was decoded stands.
            return wire.Fault is not null;
        }
        finally
        {
            if (usesBrotli) Interlocked.Decrement(ref brotliInUse);
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
                "deflate" => await UndoDeflateAsync(stream).ConfigureAwait(false),
                _ => new GZipStream(stream, CompressionMode.Decompress),
            };
        }
        return stream;
    }

    /// <summary>"deflate" means zlib (RFC 9110 8.4.1.2), but some send it bare; the first two bytes tell which.</summary>
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
            if (prefix.IsEmpty) return rest.ReadAsync(buffer, cancellationToken);
            int count = Math.Min(prefix.Length, buffer.Length);
            prefix[..count].CopyTo(buffer);
            prefix = prefix[count..];
            return new(count);
        }
    }
}
