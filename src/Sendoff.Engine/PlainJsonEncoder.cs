using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sendoff.Engine;

/// <summary>Writes readable JSON: only quotation marks, backslashes, control and format characters are escaped. Even the relaxed encoder of
/// .NET escapes emoji. Text in HTML is encoded for HTML separately.</summary>
public sealed unsafe class PlainJsonEncoder : JavaScriptEncoder
{
    public static readonly PlainJsonEncoder Instance = new();
    static readonly SearchValues<char> plain = SearchValues.Create([
        .. Enumerable.Range(' ', 95).Select(static code => (char)code).Except(['"', '\\']),
    ]);

    static readonly ConcurrentDictionary<JsonSerializerContext, JsonSerializerOptions> optionsOf = new();

    PlainJsonEncoder() { }

    public override int MaxOutputCharactersPerInputCharacter => UnsafeRelaxedJsonEscaping.MaxOutputCharactersPerInputCharacter;

    /// <summary>The options of a source generation context, with this encoder.</summary>
    public static JsonSerializerOptions OptionsOf(JsonSerializerContext context) =>
        optionsOf.GetOrAdd(context, static from => new(from.Options) { Encoder = Instance, TypeInfoResolver = from });

    // Characters that reorder text or control a terminal are escaped, but not the joiner of emoji (U+200D).
    public override bool WillEncode(int unicodeScalar) =>
        unicodeScalar <= char.MaxValue && UnsafeRelaxedJsonEscaping.WillEncode(unicodeScalar)
        || unicodeScalar != 0x200d
            && CharUnicodeInfo.GetUnicodeCategory(unicodeScalar)
                is UnicodeCategory.Format
                    or UnicodeCategory.LineSeparator
                    or UnicodeCategory.ParagraphSeparator;

    // The relaxed encoder cannot write characters that it would not escape; the default encoder escapes everything but ASCII.
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
            // A lone surrogate is not a scalar value; U+FFFD replaces it.
            if (Rune.DecodeFromUtf16(all[i..], out var scalar, out int length) != OperationStatus.Done || WillEncode(scalar.Value))
                return i;
            i += length;
        }
        return -1;
    }
}
