using System.Text;
using System.Text.Json;

namespace Sendoff.Engine.Secrets;

/// <summary>A pattern to search for, as Latin-1, and the adjacent Base64 digits that contain bits of the secret.</summary>
internal readonly record struct SecretPattern(string Text, int Before, int After);

/// <summary>The forms of a secret before it is encoded, and the patterns that find them (C8). Encodings that the search decodes are not
/// listed here.</summary>
/// <remarks>
/// Keys are stored in one form and used in another: with literal <c>\n</c> for line endings, in quotes, in Base64, as a member of a JSON
/// document (service accounts), with other line endings, or only as the body of a PEM block. </remarks>
internal static class SecretForms
{
    /// <summary>Minimum length of a part of a secret that is searched for separately.</summary>
    const int ShortestPart = 8;

    /// <summary>Shorter Base64 could be any word.</summary>
    const int ShortestBase64 = 24;
    const int DeepestParts = 4;

    /// <summary>Minimum number of hexadecimal digits to search for: eight bytes.</summary>
    public const int ShortestHex = 16;

    public const string PemBegin = "-----BEGIN ";
    const string PemDashes = "-----";
    const int PemColumns = 64;

    static readonly string[] secretNames = ["key", "secret", "token", "password", "passwd", "passphrase", "credential"];
    static readonly string[] publicNames = ["uri", "url"];

    public static IEnumerable<SecretPattern> PatternsOf(string secret)
    {
        foreach (string spelling in SpellingsOf(secret, 0).Distinct(StringComparer.Ordinal))
        {
            byte[] bytes = Encoding.UTF8.GetBytes(spelling);
            yield return new(Encoding.Latin1.GetString(bytes), 0, 0);
            for (int offset = 0; offset < 3; offset++)
            {
                string digits = Convert.ToBase64String([.. new byte[offset], .. bytes]);
                int first = (offset * 8 + 5) / 6,
                    last = (offset + bytes.Length) * 8 / 6;
                var pattern = new SecretPattern(digits[first..last], offset == 0 ? 0 : 1, (offset + bytes.Length) % 3 == 0 ? 0 : 1);
                yield return pattern;
                yield return pattern with
                {
                    Text = pattern.Text.Replace('+', '-').Replace('/', '_'),
                };
            }
        }
    }

    /// <summary>Hexadecimal patterns, in lower and in upper case.</summary>
    public static IEnumerable<SecretPattern> HexOf(string secret)
    {
        foreach (string spelling in SpellingsOf(secret, 0).Distinct(StringComparer.Ordinal))
        {
            string hex = Convert.ToHexStringLower(Encoding.UTF8.GetBytes(spelling));
            if (hex.Length < ShortestHex)
                continue;
            yield return new(hex, 0, 0);
            yield return new(hex.ToUpperInvariant(), 0, 0);
        }
    }

    static IEnumerable<string> SpellingsOf(string secret, int depth)
    {
        string stored = secret.Trim() is { Length: >= SecretMask.Shortest } trimmed ? trimmed : secret;
        string used = WithLineEnds(stored);
        var blocks = PemBlocks(used).ToList();
        foreach (string text in blocks.Select(static block => block.Lines).Prepend(used).Prepend(stored))
        {
            yield return text;
            if (!text.AsSpan().ContainsAny('\n', '\r'))
                continue;
            string lines = text.ReplaceLineEndings("\n");
            yield return lines;
            yield return lines.Replace("\n", "\r\n", StringComparison.Ordinal);
        }
        // Without white space, it is found regardless of line breaks.
        foreach (var (body, _) in blocks)
            yield return body;
        if (blocks.Count == 0 && used.AsSpan().ContainsAny('\n', '\r') && Compact(used) is { Length: >= ShortestPart } compact)
            yield return compact;
        if (depth == DeepestParts)
            yield break;
        foreach (string part in PartsOf(stored).Concat(PartsOf(used)).Distinct(StringComparer.Ordinal))
            if (part.Length >= ShortestPart)
                foreach (string spelling in SpellingsOf(part, depth + 1))
                    yield return spelling;
    }

    // One line, as stored in an .env file or a form.
    static string WithLineEnds(string stored) =>
        !stored.Contains("\\n", StringComparison.Ordinal) && !stored.Contains("\\r", StringComparison.Ordinal) ? stored
        : stored.Replace("\\r", "\r", StringComparison.Ordinal).Replace("\\n", "\n", StringComparison.Ordinal).Trim()
            is { Length: >= SecretMask.Shortest } used
            ? used
        : stored;

    public static string Compact(string text) => string.Concat(text.Where(static c => !char.IsWhiteSpace(c)));

    /// <summary>The bodies of PEM blocks without white space, and the blocks as RFC 7468 writes them, regardless of the characters between
    /// the digits.</summary>
    static IEnumerable<(string Body, string Lines)> PemBlocks(string text)
    {
        for (int at = 0; text.IndexOf(PemBegin, at, StringComparison.Ordinal) is >= 0 and int start; )
        {
            int label = text.IndexOf(PemDashes, start + PemBegin.Length, StringComparison.Ordinal) + PemDashes.Length;
            if (label < PemDashes.Length || text.IndexOf(PemDashes, label, StringComparison.Ordinal) is not (>= 0 and int end))
                yield break;
            int last = text.IndexOf(PemDashes, end + PemDashes.Length, StringComparison.Ordinal);
            at = last < 0 ? text.Length : last + PemDashes.Length;
            string body = Compact(text[label..end]);
            if (body.Length < ShortestPart)
                continue;
            yield return (
                body,
                string.Join('\n', [text[start..label], .. body.Chunk(PemColumns).Select(static line => new string(line)), text[end..at]])
            );
        }
    }

    /// <summary>Parts that a step extracts from a secret before it uses them: the decoded text, a quoted string, the secret members of a
    /// JSON object.</summary>
    static IEnumerable<string> PartsOf(string text)
    {
        if (Decoded(text) is { } decoded)
            yield return decoded;
        if (text is not (['"', .., '"'] or ['{', .., '}']) || Parse(text) is not { } json)
            yield break;
        if (json.ValueKind == JsonValueKind.String)
            yield return json.GetString()!;
        else
            foreach (string member in SecretMembers(json))
                yield return member;
    }

    static string? Decoded(string text)
    {
        if (text.Length < ShortestBase64)
            return null;
        string digits = Compact(text).TrimEnd('=').Replace('-', '+').Replace('_', '/');
        byte[] bytes = new byte[digits.Length];
        if (!Convert.TryFromBase64String(digits.PadRight((digits.Length + 3) / 4 * 4, '='), bytes, out int length))
            return null;
        var plain = bytes.AsSpan(0, length);
        if (!System.Text.Unicode.Utf8.IsValid(plain))
            return null;
        string decoded = Encoding.UTF8.GetString(plain);
        return decoded.Any(static c => char.IsControl(c) && c is not ('\n' or '\r' or '\t')) ? null : decoded;
    }

    static JsonElement? Parse(string text)
    {
        try
        {
            return JsonSyntax.ParseForeign(text);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    static IEnumerable<string> SecretMembers(JsonElement json) =>
        json.ValueKind switch
        {
            JsonValueKind.Object => json.EnumerateObject()
                .SelectMany(static member =>
                    member.Value.ValueKind == JsonValueKind.String
                        ? member.Value.GetString() is { } text
                        && (IsSecretName(member.Name) || text.Contains('\n', StringComparison.Ordinal))
                            ? [text]
                            : Enumerable.Empty<string>()
                        : SecretMembers(member.Value)
                ),
            JsonValueKind.Array => json.EnumerateArray().SelectMany(SecretMembers),
            _ => [],
        };

    static bool IsSecretName(string name) =>
        secretNames.Any(part => name.Contains(part, StringComparison.OrdinalIgnoreCase))
        && !publicNames.Any(part => name.EndsWith(part, StringComparison.OrdinalIgnoreCase));
}
