using System.Buffers;
using System.Globalization;
using System.Text;

namespace Sendoff;

/// <summary>Escapes text so that it cannot control a terminal.</summary>
static class TerminalText
{
    // C0 without tab and line feed, DEL, C1, the controls of bidirectional text, and the other line ends.
    static readonly SearchValues<char> active = SearchValues.Create([
        .. Enumerable.Range(0, 0x20).Select(static c => (char)c).Except(['\t', '\n']),
        .. Enumerable.Range(0x7f, 0x21).Select(static c => (char)c),
        '\u061c',
        '\u200e',
        '\u200f',
        '\u2028',
        '\u2029',
        '\u202a',
        '\u202b',
        '\u202c',
        '\u202d',
        '\u202e',
        '\u2066',
        '\u2067',
        '\u2068',
        '\u2069',
    ]);

    /// <summary>Whether the text contains a character that could control a terminal.</summary>
    public static bool IsActive(ReadOnlySpan<char> text) => text.ContainsAny(active);

    /// <summary>Writes each character that could control a terminal as <c>\u001b</c>. JSON remains equivalent.</summary>
    public static string Clean(string text)
    {
        if (!IsActive(text))
            return text;
        var clean = new StringBuilder(text.Length + 32);
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            bool isLineEnd = c == '\r' && i + 1 < text.Length && text[i + 1] == '\n';
            if (isLineEnd || !active.Contains(c))
                clean.Append(c);
            else
                clean.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture));
        }
        return clean.ToString();
    }
}
