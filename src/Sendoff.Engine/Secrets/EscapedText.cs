using System.Buffers.Text;
using System.Text;

namespace Sendoff.Engine.Secrets;

/// <summary>Text with its escapes decoded, and the original position of each byte.</summary>
internal sealed class EscapedText(byte[] bytes, int[] origin, int length, bool isChanged)
{
    /// <summary><c>&amp;#x0010FFFF;</c></summary>
    const int LongestReference = 12;

    public ReadOnlySpan<byte> Bytes => bytes.AsSpan(0, length);

    /// <summary>One element more than the text has bytes: the last is the end of the original text.</summary>
    public int[] Origin => origin;

    /// <summary>Whether the text contained an escape.</summary>
    public bool IsChanged => isChanged;

    /// <param name="isCut">An escape at the end may be incomplete; it is dropped.</param>
    public static EscapedText UndoPercent(ReadOnlySpan<byte> text, bool plusIsSpace, bool isCut = false)
    {
        if (isCut && text.LastIndexOf((byte)'%') is >= 0 and int last && last > text.Length - 3)
            text = text[..last];
        var output = new Builder(text.Length);
        for (int i = 0; i < text.Length; )
        {
            if (text[i] == '%' && i + 2 < text.Length && TryHex(text.Slice(i + 1, 2), out int value))
                output.Escape((byte)value, ref i, 3);
            else if (text[i] == '+' && plusIsSpace)
                output.Escape((byte)' ', ref i, 1);
            else
                output.Byte(text[i], ref i);
        }
        return output.Build(text.Length);
    }

    public static EscapedText UndoJson(ReadOnlySpan<byte> text, bool isCut = false)
    {
        if (
            isCut
            && text.LastIndexOf((byte)'\\') is >= 0 and int last
            && last > text.Length - 6
            && (last == text.Length - 1 || text[last + 1] == 'u')
        )
            text = text[..last];
        var output = new Builder(text.Length);
        Span<byte> utf8 = stackalloc byte[4];
        for (int i = 0; i < text.Length; )
        {
            if (text[i] != '\\' || i + 1 == text.Length)
                output.Byte(text[i], ref i);
            else if (text[i + 1] != 'u')
                output.Escape(Meaning(text[i + 1]), ref i, 2);
            else if (!TryRune(text[i..], out var rune, out int length))
                output.Byte(text[i], ref i);
            else
                output.Escape(utf8[..rune.EncodeToUtf8(utf8)], ref i, length);
        }
        return output.Build(text.Length);
    }

    /// <summary>The character references of HTML and XML: five names, and numbers.</summary>
    public static EscapedText UndoMarkup(ReadOnlySpan<byte> text)
    {
        var output = new Builder(text.Length);
        Span<byte> utf8 = stackalloc byte[4];
        for (int i = 0; i < text.Length; )
        {
            int length = text[i] == '&' ? text[i..Math.Min(text.Length, i + LongestReference)].IndexOf((byte)';') + 1 : 0;
            if (length > 0 && TryReference(text.Slice(i + 1, length - 2), out var rune))
                output.Escape(utf8[..rune.EncodeToUtf8(utf8)], ref i, length);
            else
                output.Byte(text[i], ref i);
        }
        return output.Build(text.Length);
    }

    static bool TryReference(ReadOnlySpan<byte> name, out Rune rune)
    {
        int value = name switch
        {
            [(byte)'#', (byte)'x' or (byte)'X', .. var digits] => TryHex(digits, out int hex) ? hex : -1,
            [(byte)'#', .. var digits] => Utf8Parser.TryParse(digits, out int number, out int used) && used == digits.Length ? number : -1,
            _ when name.SequenceEqual("amp"u8) => '&',
            _ when name.SequenceEqual("lt"u8) => '<',
            _ when name.SequenceEqual("gt"u8) => '>',
            _ when name.SequenceEqual("quot"u8) => '"',
            _ when name.SequenceEqual("apos"u8) => '\'',
            _ => -1,
        };
        return Rune.TryCreate(value, out rune);
    }

    public static EscapedText DropWhiteSpace(ReadOnlySpan<byte> text)
    {
        var output = new Builder(text.Length);
        for (int i = 0; i < text.Length; )
        {
            if (text[i] is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n')
                i++;
            else
                output.Byte(text[i], ref i);
        }
        return output.Build(text.Length);
    }

    static byte Meaning(byte escaped) =>
        escaped switch
        {
            (byte)'b' => (byte)'\b',
            (byte)'f' => (byte)'\f',
            (byte)'n' => (byte)'\n',
            (byte)'r' => (byte)'\r',
            (byte)'t' => (byte)'\t',
            _ => escaped, // a quote, a slash, a backslash; other characters are not valid JSON
        };

    static bool TryRune(ReadOnlySpan<byte> text, out Rune rune, out int length)
    {
        (rune, length) = (default, 6);
        if (!TryUnit(text, out char first))
            return false;
        if (Rune.TryCreate(first, out rune))
            return true;
        length = 12;
        return TryUnit(text[6..], out char second) && Rune.TryCreate(first, second, out rune);
    }

    static bool TryUnit(ReadOnlySpan<byte> text, out char unit)
    {
        bool isUnit = text is [(byte)'\\', (byte)'u', _, _, _, _, ..] & TryHex(text.Length >= 6 ? text[2..6] : default, out int value);
        unit = (char)value;
        return isUnit;
    }

    static bool TryHex(ReadOnlySpan<byte> digits, out int value)
    {
        value = 0;
        foreach (byte digit in digits)
        {
            if (!char.IsAsciiHexDigit((char)digit))
                return false;
            value = value * 16 + (digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
        }
        return digits.Length > 0;
    }

    /// <summary>Decoding never makes text longer.</summary>
    struct Builder(int most)
    {
        readonly byte[] bytes = new byte[most];
        readonly int[] origin = new int[most + 1];
        int length,
            escapes;

        public void Byte(byte value, ref int from)
        {
            origin[length] = from++;
            bytes[length++] = value;
        }

        public void Escape(byte value, ref int from, int width) => Escape([value], ref from, width);

        public void Escape(scoped ReadOnlySpan<byte> value, ref int from, int width)
        {
            escapes++;
            foreach (byte b in value)
            {
                origin[length] = from;
                bytes[length++] = b;
            }
            from += width;
        }

        public readonly EscapedText Build(int end)
        {
            origin[length] = end;
            return new(bytes, origin, length, escapes > 0);
        }
    }
}
