using System.Buffers;
using System.Collections.Concurrent;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sendoff.Engine;

/// <summary>Writes JSON as people read it: only quotation marks, backslashes and control characters are escaped. Of .NET's encoders even the relaxed one escapes emoji.
/// What is written into HTML is encoded for HTML there.</summary>
public sealed unsafe class PlainJsonEncoder : JavaScriptEncoder
{
    public static readonly PlainJsonEncoder Instance = new();
    static readonly SearchValues<char> plain = SearchValues.Create([.. Enumerable.Range(' ', 95).Select(static code => (char)code).Except(['"', '\\'])]);

    static readonly ConcurrentDictionary<JsonSerializerContext, JsonSerializerOptions> optionsOf = new();

    PlainJsonEncoder()
    {
    }

    public override int MaxOutputCharactersPerInputCharacter => UnsafeRelaxedJsonEscaping.MaxOutputCharactersPerInputCharacter;

    /// <summary>The options of a context of source generation, with this encoder.</summary>
    public static JsonSerializerOptions OptionsOf(JsonSerializerContext context) =>
        optionsOf.GetOrAdd(context, static from => new(from.Options) { Encoder = Instance, TypeInfoResolver = from });

    // A surrogate that stands alone is no scalar: U+FFFD takes its place.
    public override bool WillEncode(int unicodeScalar) => unicodeScalar <= char.MaxValue && UnsafeRelaxedJsonEscaping.WillEncode(unicodeScalar);

    public override bool TryEncodeUnicodeScalar(int unicodeScalar, char* buffer, int bufferLength, out int numberOfCharactersWritten) =>
        UnsafeRelaxedJsonEscaping.TryEncodeUnicodeScalar(unicodeScalar, buffer, bufferLength, out numberOfCharactersWritten);

    public override int FindFirstCharacterToEncode(char* text, int textLength)
    {
        var all = new ReadOnlySpan<char>(text, textLength);
        for (int i = all.IndexOfAnyExcept(plain); i >= 0 && i < all.Length; i++)
        {
            if (char.IsHighSurrogate(all[i]) && i + 1 < all.Length && char.IsLowSurrogate(all[i + 1])) i++;
            else if (char.IsSurrogate(all[i]) || WillEncode(all[i])) return i;
        }
        return -1;
    }
}
