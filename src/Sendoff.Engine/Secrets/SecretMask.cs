using System.Buffers;
using System.Text;
using System.Text.Json;

namespace Sendoff.Engine.Secrets;

/// <summary>Masks secrets in data before it is written, in all encodings used in HTTP (C8).</summary>
/// <remarks>
/// A value is searched for in the forms of <see cref="SecretForms"/>: unchanged, in Base64 at each of the three possible offsets (Basic
/// credentials, tokens), and in hexadecimal. Percent-encoding, JSON escapes, character references (in any combination) and line breaks in
/// Base64 are decoded before the search, so that no complete list of spellings is needed. Userinfo in URLs is always masked. </remarks>
public sealed class SecretMask
{
    /// <summary>The mask that replaces a secret in records.</summary>
    public const string Cover = "••••••••";

    /// <summary>Minimum length of a value to search for; shorter values occur in any text.</summary>
    public const int Shortest = 4;
    const int DeepestEscapes = 3;

    /// <summary>Minimum number of Base64 digits before white space at the end of a wrapped line.</summary>
    const int DigitsBeforeLineEnd = 16,
        DigitsBeforeSpace = 48;

    /// <summary>Number of a pattern's characters to search for; the rest is compared at each match.</summary>
    const int AnchorChars = 24;

    /// <summary>Shorter header names cannot contain an encoded secret.</summary>
    const int ShortestEncodedName = 20;

    /// <summary>Masks no secrets, only userinfo.</summary>
    public static readonly SecretMask None = new([]);

    static readonly byte[] cover = Encoding.UTF8.GetBytes(Cover),
        quotedCover = Encoding.UTF8.GetBytes($"\"{Cover}\"");
    static readonly SearchValues<byte> userInfoBytes = SearchValues.Create(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:%"u8
    );
    static readonly SearchValues<byte> numberBytes = SearchValues.Create("0123456789+-.eE"u8);

    static readonly SearchValues<byte> base64Bytes = SearchValues.Create(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="u8
    );
    static readonly SearchValues<char> nameChars = SearchValues.Create(
        "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    );

    static readonly SearchValues<byte> hexBytes = SearchValues.Create("0123456789abcdefABCDEF"u8);

    readonly HashSet<string> values;
    readonly SecretPattern[] patterns,
        hexPatterns;

    /// <summary>Values that can be a method, a header's name or part of a host. HTTP changes their case.</summary>
    readonly string[] names;
    readonly SearchValues<string>? search,
        searchHex,
        searchNames;
    readonly bool hasSpace,
        hasMarkup,
        hasPem;

    public SecretMask(IEnumerable<string> values)
        : this(null, values) { }

    SecretMask(SecretMask? known, IEnumerable<string> more)
    {
        string[] added =
        [
            .. more.Where(value => value.Length >= Shortest && known?.values.Contains(value) != true).Distinct(StringComparer.Ordinal),
        ];
        values = [.. known?.values ?? [], .. added];
        // Longest first, so that a secret that begins with another secret is masked completely.
        patterns = Sorted(known?.patterns, added.SelectMany(SecretForms.PatternsOf));
        hexPatterns = Sorted(known?.hexPatterns, added.SelectMany(SecretForms.HexOf));
        names =
        [
            .. values.Where(static value => !value.AsSpan().ContainsAnyExcept(nameChars)).OrderByDescending(static value => value.Length),
        ];
        if (patterns.Length == 0)
            return;
        search = Anchors(patterns);
        if (hexPatterns.Length > 0)
            searchHex = Anchors(hexPatterns);
        if (names.Length > 0)
            searchNames = SearchValues.Create(names, StringComparison.OrdinalIgnoreCase);
        hasSpace = patterns.Any(static pattern => pattern.Text.Contains(' '));
        hasMarkup = patterns.Any(static pattern => pattern.Text.AsSpan().ContainsAny("&<>\"'"));
        hasPem = patterns.Any(static pattern => pattern.Text.StartsWith(SecretForms.PemBegin, StringComparison.Ordinal));
    }

    static SecretPattern[] Sorted(SecretPattern[]? known, IEnumerable<SecretPattern> added) =>
        [.. (known ?? []).Concat(added).Distinct().OrderByDescending(static pattern => pattern.Text.Length)];

    static SearchValues<string> Anchors(SecretPattern[] patterns) =>
        SearchValues.Create(
            [.. patterns.Select(static pattern => pattern.Text[..Math.Min(AnchorChars, pattern.Text.Length)]).Distinct()],
            StringComparison.Ordinal
        );

    /// <summary>This mask with additional values.</summary>
    public SecretMask With(IReadOnlyCollection<string> more) =>
        more.All(value => value.Length < Shortest || values.Contains(value)) ? this : new(this, more);

    public string Text(string text)
    {
        if (search is null && !text.Contains("://", StringComparison.Ordinal))
            return text;
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        return Find(bytes) is { Count: > 0 } found ? Encoding.UTF8.GetString(Covered(bytes, found, json: false)) : text;
    }

    /// <summary>Masks a method or a header's name. HTTP changes their case.</summary>
    public string Name(string name) => AnyCase(name.Length < ShortestEncodedName ? name : Text(name));

    /// <summary>Masks a URL, or its part with the host. HTTP changes the case of the host.</summary>
    public string Url(string url)
    {
        string text = Text(url);
        if (searchNames is null || text.IndexOf("://", StringComparison.Ordinal) is not (>= 0 and int scheme))
            return text;
        int start = scheme + 3,
            length = text.AsSpan(start).IndexOfAny('/', '?', '#');
        string host = length < 0 ? text[start..] : text.Substring(start, length);
        string covered = AnyCase(host);
        return ReferenceEquals(covered, host) ? text : string.Concat(text.AsSpan(0, start), covered, text.AsSpan(start + host.Length));
    }

    /// <summary>Masks a message, which may contain a host, a method or a header.</summary>
    public string Message(string text) => AnyCase(Text(text));

    string AnyCase(string text)
    {
        if (searchNames is null || !text.AsSpan().ContainsAny(searchNames))
            return text;
        foreach (string name in names)
            text = text.Replace(name, Cover, StringComparison.OrdinalIgnoreCase);
        return text;
    }

    /// <param name="isCut">The text is truncated, so its end may be the beginning of a secret.</param>
    public ReadOnlyMemory<byte> Bytes(ReadOnlyMemory<byte> text, bool isCut = false) =>
        Find(text.Span, isCut) is { Count: > 0 } found ? Covered(text.Span, found, json: false) : text;

    /// <summary>Masks secrets in JSON. The result is valid JSON: a secret outside a string becomes a string.</summary>
    /// <param name="otherwise">The result if a secret contains the JSON's own punctuation.</param>
    public ReadOnlyMemory<byte> Json(ReadOnlyMemory<byte> json, ReadOnlySpan<byte> otherwise)
    {
        if (Find(json.Span) is not { Count: > 0 } found)
            return json;
        byte[] covered = Covered(json.Span, found, json: true);
        return IsJson(covered) ? covered : otherwise.ToArray();
    }

    public bool Finds(ReadOnlySpan<byte> text) => Find(text) is { Count: > 0 };

    /// <summary>Null if nothing is found.</summary>
    List<Range>? Find(ReadOnlySpan<byte> text, bool isCut = false)
    {
        List<Range>? found = null;
        Find(text, default, 0, isCut, ref found);
        return found;
    }

    /// <param name="origin">The original position of each byte; empty if the text is the original.</param>
    void Find(ReadOnlySpan<byte> text, ReadOnlySpan<int> origin, int depth, bool isCut, ref List<Range>? found)
    {
        FindUserInfo(text, origin, ref found);
        if (search is null)
            return;
        FindValues(text, origin, search, patterns, isCut, ref found);
        // A separate list, because the search is fast with few patterns, and hexadecimal is rare.
        if (searchHex is not null && HasRun(text, hexBytes, SecretForms.ShortestHex))
            FindValues(text, origin, searchHex, hexPatterns, isCut, ref found);
        if (IsWrapped(text))
            FindWrapped(text, origin, isCut, ref found);
        if (depth == DeepestEscapes)
            return;
        if (text.Contains((byte)'\\'))
            FindUnder(EscapedText.UndoJson(text, isCut), origin, depth, isCut, ref found);
        if (text.Contains((byte)'%'))
            FindUnder(EscapedText.UndoPercent(text, plusIsSpace: false, isCut), origin, depth, isCut, ref found);
        // In a form, a plus sign is a space. The plus sign itself was searched for above.
        if (hasSpace && text.Contains((byte)'+'))
            FindUnder(EscapedText.UndoPercent(text, plusIsSpace: true, isCut), origin, depth, isCut, ref found);
        if (hasMarkup && text.Contains((byte)'&'))
            FindUnder(EscapedText.UndoMarkup(text), origin, depth, isCut, ref found);
    }

    void FindUnder(EscapedText plain, ReadOnlySpan<int> origin, int depth, bool isCut, ref List<Range>? found)
    {
        if (!plain.IsChanged)
            return;
        if (!origin.IsEmpty)
            foreach (ref int at in plain.Origin.AsSpan())
                at = origin[at];
        Find(plain.Bytes, plain.Origin, depth + 1, isCut, ref found);
    }

    static void FindValues(
        ReadOnlySpan<byte> text,
        ReadOnlySpan<int> origin,
        SearchValues<string> anchors,
        SecretPattern[] patterns,
        bool isCut,
        ref List<Range>? found
    )
    {
        char[] rented = ArrayPool<char>.Shared.Rent(text.Length);
        var wide = rented.AsSpan(0, Encoding.Latin1.GetChars(text, rented));
        for (int at = 0; wide[at..].IndexOfAny(anchors) is >= 0 and int next; at++)
        {
            at += next;
            foreach (var pattern in patterns)
            {
                if (!wide[at..].StartsWith(pattern.Text, StringComparison.Ordinal))
                    continue;
                Add(Math.Max(0, at - pattern.Before), Math.Min(text.Length, at + pattern.Text.Length + pattern.After), origin, ref found);
                break;
            }
        }
        if (isCut)
            FindAtEnd(wide, origin, patterns, ref found);
        ArrayPool<char>.Shared.Return(rented);
    }

    static void FindAtEnd(ReadOnlySpan<char> text, ReadOnlySpan<int> origin, SecretPattern[] patterns, ref List<Range>? found)
    {
        foreach (var pattern in patterns)
        {
            int most = Math.Min(pattern.Text.Length - 1, text.Length);
            var tail = text[^most..];
            var begin = pattern.Text.AsSpan(0, Shortest - 1);
            for (int at = 0; tail[at..].IndexOf(begin) is >= 0 and int next; at++)
            {
                at += next;
                if (!pattern.Text.AsSpan().StartsWith(tail[at..]))
                    continue;
                Add(Math.Max(0, text.Length - most + at - pattern.Before), text.Length, origin, ref found);
                break;
            }
        }
    }

    /// <summary>Whether the text may contain wrapped Base64.</summary>
    bool IsWrapped(ReadOnlySpan<byte> text)
    {
        for (int at = 0; text[at..].IndexOfAny((byte)'\n', (byte)'\r') is >= 0 and int next; at++)
        {
            at += next;
            if (at >= DigitsBeforeLineEnd && !text.Slice(at - DigitsBeforeLineEnd, DigitsBeforeLineEnd).ContainsAnyExcept(base64Bytes))
                return true;
        }
        // In a key stored on one line, spaces replace its line breaks.
        if (!hasPem || !HasRun(text, base64Bytes, DigitsBeforeSpace))
            return false;
        for (int at = 0; text[at..].IndexOf((byte)' ') is >= 0 and int next; at++)
        {
            at += next;
            if (at >= DigitsBeforeSpace && !text.Slice(at - DigitsBeforeSpace, DigitsBeforeSpace).ContainsAnyExcept(base64Bytes))
                return true;
        }
        return false;
    }

    /// <summary>Whether the text contains a run of these bytes of at least this length.</summary>
    static bool HasRun(ReadOnlySpan<byte> text, SearchValues<byte> of, int length)
    {
        // Checks the end of each possible run first, so that most checks skip a whole run.
        for (int at = 0; at + length <= text.Length; )
        {
            int last = at + length - 1;
            while (last >= at && of.Contains(text[last]))
                last--;
            if (last < at)
                return true;
            at = last + 1;
        }
        return false;
    }

    void FindWrapped(ReadOnlySpan<byte> text, ReadOnlySpan<int> origin, bool isCut, ref List<Range>? found)
    {
        var flat = EscapedText.DropWhiteSpace(text);
        List<Range>? inFlat = null;
        FindValues(flat.Bytes, default, search!, patterns, isCut, ref inFlat);
        foreach (var range in inFlat ?? [])
        {
            // White space after the last digit is not part of the secret.
            int from = flat.Origin[range.Start.Value],
                to = flat.Origin[range.End.Value - 1] + 1;
            Add(from, to, origin, ref found);
        }
    }

    static void FindUserInfo(ReadOnlySpan<byte> text, ReadOnlySpan<int> origin, ref List<Range>? found)
    {
        for (int at = 0; text[at..].IndexOf("://"u8) is >= 0 and int next; )
        {
            at += next + 3;
            int length = text[at..].IndexOfAnyExcept(userInfoBytes);
            if (length > 0 && text[at + length] == '@')
                Add(at, at + length, origin, ref found);
        }
    }

    static void Add(int from, int to, ReadOnlySpan<int> origin, ref List<Range>? found) =>
        (found ??= []).Add(origin.IsEmpty ? from..to : origin[from]..origin[to]);

    static byte[] Covered(ReadOnlySpan<byte> text, List<Range> found, bool json)
    {
        found.Sort(static (a, b) => a.Start.Value.CompareTo(b.Start.Value));
        var output = new ArrayBufferWriter<byte>(text.Length + cover.Length * found.Count);
        bool inString = false;
        int at = 0,
            coveredTo = 0;
        foreach (var range in found)
        {
            int from = Math.Max(range.Start.Value, coveredTo),
                to = range.End.Value;
            if (from >= to)
                continue;
            inString = json && IsInString(text[at..from], inString);
            bool isToken = json && !inString;
            if (isToken)
                (from, to) = (StartOfToken(text, from, at), EndOfToken(text, to));
            output.Write(text[at..from]);
            // Adjacent ranges are joined.
            if (from > coveredTo || coveredTo == 0)
                output.Write(isToken ? quotedCover : cover);
            at = coveredTo = to;
        }
        output.Write(text[at..]);
        return output.WrittenSpan.ToArray();
    }

    // A part of a number is not valid JSON, so the whole number is masked.
    static int StartOfToken(ReadOnlySpan<byte> json, int from, int least)
    {
        while (from > least && numberBytes.Contains(json[from - 1]))
            from--;
        return from;
    }

    static int EndOfToken(ReadOnlySpan<byte> json, int to)
    {
        while (to < json.Length && numberBytes.Contains(json[to]))
            to++;
        return to;
    }

    static bool IsInString(ReadOnlySpan<byte> json, bool inString)
    {
        for (int i = 0; i < json.Length; i++)
        {
            if (json[i] == '"')
                inString = !inString;
            else if (json[i] == '\\')
                i++;
        }
        return inString;
    }

    static bool IsJson(ReadOnlySpan<byte> json)
    {
        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 1_000 });
            while (reader.Read()) { }
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
