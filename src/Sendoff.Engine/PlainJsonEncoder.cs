using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sendoff.Engine;

/// <summary>Writes JSON as people read it: only quotation marks, backslashes, control and format characters are escaped. Of .NET's encoders
/// even the relaxed one escapes emoji. What is written into HTML is encoded for HTML there.</summary>
public sealed unsafe class PlainJsonEncoder : JavaScriptEncoder
{
    public static readonly PlainJsonEncoder Instance = new();
    static readonly SearchValues<char> plain = SearchValues.Create([
        .. Enumerable.Range(' ', 95).Select(static code => (char)code).Except(['"', '\\']),
    ]);

    static readonly ConcurrentDictionary<JsonSerializerContext, JsonSerializerOptions> optionsOf = new();

    PlainJsonEncoder() { }

    public override int MaxOutputCharactersPerInputCharacter => UnsafeRelaxedJsonEscaping.MaxOutputCharactersPerInputCharacter;

    /// <summary>The options of a context of source generation, with this encoder.</summary>
    public static JsonSerializerOptions OptionsOf(JsonSerializerContext context) =>
        optionsOf.GetOrAdd(context, static from => new(from.Options) { Encoder = Instance, TypeInfoResolver = from });

    // What reorders text or acts upon a terminal is escaped; the joiner of emoji (U+200D) is neither.
    public override bool WillEncode(int unicodeScalar) =>
        unicodeScalar <= char.MaxValue && UnsafeRelaxedJsonEscaping.WillEncode(unicodeScalar)
        || unicodeScalar != 0x200d
            && CharUnicodeInfo.GetUnicodeCategory(unicodeScalar)
                is UnicodeCategory.Format
                    or UnicodeCategory.LineSeparator
                    or UnicodeCategory.ParagraphSeparator;

    // The relaxed encoder writes what it would not escape itself; the default one escapes all but ASCII.
    public override bool TryEncodeUnicodeScalar(int unicodeScalar, char* buffer, int bufferLength, out int numberOfCharactersWritten) =>
        (unicodeScalar < 0x80 ? UnsafeRelaxedJsonEscaping : Default).TryEncodeUnicodeScalar(
            unicodeScalar,
            buffer,
            bufferLength,
            out numberOfCharactersWritten
        );

    public override int FindFirstCharacterToEncode(char* text, int textLength)
    {
        var all = new ReadOnlySpan<char>(text, textLength);
        for (int i = all.IndexOfAnyExcept(plain); i >= 0 && i < all.Length; )
        {
            // A surrogate that stands alone is no scalar: U+FFFD takes its place.
            if (Rune.DecodeFromUtf16(all[i..], out var scalar, out int length) != OperationStatus.Done || WillEncode(scalar.Value))
                return i;
            i += length;
        }
        return -1;
    }
}
