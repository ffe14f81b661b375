using System.Text;

namespace Sendoff.Engine;

/// <summary>Charsets of responses and events.</summary>
public static class Charset
{
    /// <summary>The encoding for a charset name, quoted or not, which throws on invalid bytes. Null for none, for UTF-8 and ASCII (a subset
    /// of UTF-8), and for charsets that .NET does not decode, such as UTF-7.</summary>
    public static Encoding? Find(ReadOnlySpan<char> label)
    {
        string name = label.Trim().Trim("\"'").Trim().ToString().ToLowerInvariant();
        if (name is "" or "utf-8" or "utf8")
            return null;
        // On the web, Latin-1 means Windows-1252 (WHATWG Encoding 4.2).
        if (name is "iso-8859-1" or "latin1" or "iso8859-1")
            name = "windows-1252";
        try
        {
            var found =
                CodePagesEncodingProvider.Instance.GetEncoding(name, EncoderFallback.ExceptionFallback, DecoderFallback.ExceptionFallback)
                ?? Encoding.GetEncoding(name, EncoderFallback.ExceptionFallback, DecoderFallback.ExceptionFallback);
            return found.CodePage is 65001 or 20127 ? null : found;
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            // Unknown, or not supported by .NET (UTF-7).
            return null;
        }
    }
}
