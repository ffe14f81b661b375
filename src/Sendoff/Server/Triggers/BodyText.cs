using System.Text;
using Microsoft.Extensions.Primitives;
using Sendoff.Engine;

namespace Sendoff.Server.Triggers;

/// <summary>Text of a request, in the charset that it declares.</summary>
internal static class BodyText
{
    /// <summary>Null for UTF-8, and where none is declared that can be decoded.</summary>
    public static Encoding? CharsetOf(StringSegment declared) => Charset.Find(declared.AsSpan());

    /// <summary>Null when the bytes are not text in that charset.</summary>
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

    /// <summary>Whether <c>&amp;</c>, <c>=</c> and <c>%</c> are the bytes that they are in ASCII.</summary>
    public static bool KeepsAscii(Encoding charset) => charset.GetBytes("&=%+").AsSpan().SequenceEqual("&=%+"u8);
}
