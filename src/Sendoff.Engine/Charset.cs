using System.Text;

namespace Sendoff.Engine;

/// <summary>The charsets that text may be declared in, of responses and of events alike.</summary>
public static class Charset
{
    /// <summary>The encoding of a charset's name, quoted or not, which throws at bytes that it does not define. Null for none, for UTF-8,
    /// for ASCII (which is UTF-8, or not what it says), and for those that .NET does not decode, such as UTF-7.</summary>
    public static Encoding? Find(ReadOnlySpan<char> label)
    {
        string name = label.Trim().Trim("\"'").Trim().ToString().ToLowerInvariant();
        if (name is "" or "utf-8" or "utf8")
            return null;
        // What says Latin-1 means Windows-1252 on the web (WHATWG Encoding 4.2).
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
            // Unknown, or one that .NET refuses (UTF-7).
            return null;
        }
    }
}
