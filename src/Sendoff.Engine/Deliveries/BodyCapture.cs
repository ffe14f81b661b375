using System.Buffers;
using System.Text;

namespace Sendoff.Engine.Deliveries;

/// <summary>Keeps the first bytes of a body and counts the rest (C4).</summary>
internal sealed class BodyCapture(int limit, long? expected = null)
{
    static readonly UTF8Encoding strictUtf8 = new(false, throwOnInvalidBytes: true);

    byte[] bytes = expected is > 0 ? new byte[Math.Min(expected.Value, limit)] : [];
    int length;

    /// <summary>Bytes received, stored or not.</summary>
    public long Total { get; private set; }

    public bool IsCut => Total > length;

    /// <summary>The capture is full.</summary>
    public bool IsFull => length == limit;

    public ReadOnlyMemory<byte> Kept => bytes.AsMemory(0, length);

    public void Add(ReadOnlySpan<byte> piece)
    {
        Total += piece.Length;
        var kept = piece[..Math.Min(piece.Length, limit - length)];
        if (kept.IsEmpty)
            return;
        if (length + kept.Length > bytes.Length)
            Array.Resize(ref bytes, Math.Min(limit, Math.Max(Math.Max(bytes.Length * 2, 512), length + kept.Length)));
        kept.CopyTo(bytes.AsSpan(length));
        length += kept.Length;
    }

    /// <summary>The body to store: as UTF-8 if it is text in its declared charset, otherwise unchanged.</summary>
    /// <param name="isPartial">The end is missing, so the last character may be incomplete.</param>
    /// <returns>The body, and whether it is truncated.</returns>
    public (ReadOnlyMemory<byte> Body, bool IsText, bool IsCut) ToStored(string? contentType, bool isPartial)
    {
        var kept = length < bytes.Length / 2 ? Kept.ToArray() : Kept;
        isPartial |= IsCut;
        var charset = CharsetOf(contentType);
        if (charset is not null)
            return Recode(kept, charset, isPartial) is { } text ? (text.Utf8, true, IsCut || text.IsCut) : (kept, false, IsCut);
        var whole = isPartial ? kept[..WholeCharacters(kept.Span)] : kept;
        return System.Text.Unicode.Utf8.IsValid(whole.Span) ? (whole, true, IsCut) : (kept, false, IsCut);
    }

    /// <summary>Returns null if it is not text in that charset. As UTF-8 it may be longer, and is then truncated.</summary>
    (byte[] Utf8, bool IsCut)? Recode(ReadOnlyMemory<byte> kept, Encoding charset, bool isPartial)
    {
        char[] text = ArrayPool<char>.Shared.Rent(charset.GetMaxCharCount(kept.Length));
        try
        {
            var span = text.AsSpan(0, charset.GetDecoder().GetChars(kept.Span, text, flush: !isPartial));
            // A byte order mark is not part of the text.
            if (span is ['\ufeff', ..])
                span = span[1..];
            byte[] utf8 = new byte[strictUtf8.GetByteCount(span)];
            strictUtf8.GetBytes(span, utf8);
            return utf8.Length <= limit ? (utf8, false) : (utf8[..WholeCharacters(utf8.AsSpan(0, limit))], true);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // Not text in that charset, or its decoder fails.
            return null;
        }
        finally
        {
            ArrayPool<char>.Shared.Return(text);
        }
    }

    /// <summary>The length without a character that was split by truncation.</summary>
    static int WholeCharacters(ReadOnlySpan<byte> utf8)
    {
        for (int back = 1; back <= Math.Min(3, utf8.Length); back++)
        {
            byte b = utf8[^back];
            if ((b & 0xc0) == 0x80)
                continue;
            int needed = b switch
            {
                >= 0xf0 => 4,
                >= 0xe0 => 3,
                >= 0xc0 => 2,
                _ => 1,
            };
            return needed > back ? utf8.Length - back : utf8.Length;
        }
        return utf8.Length;
    }

    static Encoding? CharsetOf(string? contentType)
    {
        int at = contentType?.IndexOf("charset=", StringComparison.OrdinalIgnoreCase) ?? -1;
        if (at < 0)
            return null;
        var name = contentType.AsSpan(at + 8);
        int end = name.IndexOf(';');
        return Charset.Find(end < 0 ? name : name[..end]);
    }
}
