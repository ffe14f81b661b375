using System.Text;
using Microsoft.Extensions.Primitives;
using Sendoff.Engine;

namespace Sendoff.Server.Triggers;

/// <summary>Text of a request, in the charset that it declares.</summary>
internal static class BodyText
{
    /// <summary>Null for UTF-8, and if no supported charset is declared.</summary>
    public static Encoding? CharsetOf(StringSegment declared) => Charset.Find(declared.AsSpan());

    /// <summary>Null if the bytes are not text in that charset.</summary>
    public static string? Decode(ReadOnlySpan<byte> bytes, Encoding charset)
    {
        try
        {
            string text = charset.GetString(bytes);
            // The byte order mark is not part of the text.
            return text is ['\ufeff', ..] ? text[1..] : text;
        }
        catch (ArgumentException)
        {
            return null;
        }
    }

    /// <summary>Whether the charset encodes <c>&amp;</c>, <c>=</c> and <c>%</c> as in ASCII.</summary>
    public static bool KeepsAscii(Encoding charset) => charset.GetBytes("&=%+").AsSpan().SequenceEqual("&=%+"u8);
}
