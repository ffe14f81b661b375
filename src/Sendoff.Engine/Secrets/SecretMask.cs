using System.Buffers;
using System.Text;
using System.Text.Json;

namespace Sendoff.Engine.Secrets;

/// <summary>Finds secrets in what is about to be written down, in every spelling in which they walk through HTTP, and covers them (C8).</summary>
/// <remarks>
/// A value is looked for as it is, and in Base64 from each of the three places at which it can begin there (Basic credentials, tokens). Percent-encoding
/// and JSON escapes are undone for the search, in any mixture, so that no list of spellings has to be complete. Userinfo in URLs is covered in any case.
/// </remarks>
public sealed class SecretMask
{
    /// <summary>What stands in a record in place of a secret.</summary>
    public const string Cover = "••••••••";
    /// <summary>Characters of the shortest value that is looked for: shorter ones are part of any text.</summary>
    public const int Shortest = 4;
    const int DeepestEscapes = 3;

    /// <summary>No secrets: userinfo only.</summary>
    public static readonly SecretMask None = new([]);

    static readonly byte[] cover = Encoding.UTF8.GetBytes(Cover), quotedCover = Encoding.UTF8.GetBytes($"\"{Cover}\"");
    static readonly SearchValues<byte> userInfoBytes = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:%"u8);
    static readonly SearchValues<byte> numberBytes = SearchValues.Create("0123456789+-.eE"u8);

    /// <summary>A spelling, and the Base64 digits beside it that hold bits of the secret too.</summary>
    readonly record struct Pattern(string Text, int Before, int After);

    readonly string[] values;
    readonly Pattern[] patterns;
    readonly SearchValues<string>? search;
    readonly bool hasSpace;

    public SecretMask(IEnumerable<string> values)
    {
        this.values = [.. values.Where(static value => value.Length >= Shortest).Distinct(StringComparer.Ordinal)];
        // The longest first, so that a secret which begins as another does is covered whole.
        patterns = [.. this.values.SelectMany(PatternsOf).Distinct().OrderByDescending(static pattern => pattern.Text.Length)];
        if (patterns.Length > 0) search = SearchValues.Create([.. patterns.Select(static pattern => pattern.Text)], StringComparison.Ordinal);
        hasSpace = this.values.Any(static value => value.Contains(' '));
    }

    /// <summary>This mask with further values.</summary>
    public SecretMask With(IReadOnlyCollection<string> more) => more.Count == 0 ? this : new(values.Concat(more));

    public string Text(string text)
    {
        if (search is null && !text.Contains("://", StringComparison.Ordinal)) return text;
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        return Find(bytes) is { Count: > 0 } found ? Encoding.UTF8.GetString(Covered(bytes, found, json: false)) : text;
    }

    /// <param name="isCut">The end is missing, and what stands there may be the beginning of a secret.</param>
    public ReadOnlyMemory<byte> Bytes(ReadOnlyMemory<byte> text, bool isCut = false)
    {
        var found = Find(text.Span);
        if (isCut) FindAtEnd(text.Span, ref found);
        return found is { Count: > 0 } ? Covered(text.Span, found, json: false) : text;
    }

    /// <summary>Covers secrets in JSON, which stays JSON: a secret that is not inside a string becomes one.</summary>
    /// <param name="otherwise">What is left when a secret is made of the JSON's own marks.</param>
    public ReadOnlyMemory<byte> Json(ReadOnlyMemory<byte> json, ReadOnlySpan<byte> otherwise)
    {
        if (Find(json.Span) is not { Count: > 0 } found) return json;
        byte[] covered = Covered(json.Span, found, json: true);
        return IsJson(covered) ? covered : otherwise.ToArray();
    }

    public bool Finds(ReadOnlySpan<byte> text) => Find(text) is { Count: > 0 };

    static IEnumerable<Pattern> PatternsOf(string value)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(value);
        yield return new(Encoding.Latin1.GetString(bytes), 0, 0);
        for (int offset = 0; offset < 3; offset++)
        {
            string digits = Convert.ToBase64String([.. new byte[offset], .. bytes]);
            int first = (offset * 8 + 5) / 6, last = (offset + bytes.Length) * 8 / 6;
            var pattern = new Pattern(digits[first..last], offset == 0 ? 0 : 1, (offset + bytes.Length) % 3 == 0 ? 0 : 1);
            yield return pattern;
            yield return pattern with { Text = pattern.Text.Replace('+', '-').Replace('/', '_') };
        }
    }

    /// <summary>Null when there is nothing.</summary>
    List<Range>? Find(ReadOnlySpan<byte> text)
    {
        List<Range>? found = null;
        Find(text, default, 0, ref found);
        return found;
    }

    /// <param name="origin">Where each byte stands in what is to be covered; empty when it is that itself.</param>
    void Find(ReadOnlySpan<byte> text, ReadOnlySpan<int> origin, int depth, ref List<Range>? found)
    {
        FindUserInfo(text, origin, ref found);
        if (search is null) return;
        FindValues(text, origin, ref found);
        if (depth == DeepestEscapes) return;
        if (text.Contains((byte)'\\')) FindUnder(EscapedText.UndoJson(text), origin, depth, ref found);
        if (text.Contains((byte)'%')) FindUnder(EscapedText.UndoPercent(text, plusIsSpace: false), origin, depth, ref found);
        // In a form a plus sign is a space; elsewhere it is itself, which is found above.
        if (hasSpace && text.Contains((byte)'+')) FindUnder(EscapedText.UndoPercent(text, plusIsSpace: true), origin, depth, ref found);
    }

    void FindUnder(EscapedText plain, ReadOnlySpan<int> origin, int depth, ref List<Range>? found)
    {
        if (!plain.IsChanged) return;
        if (!origin.IsEmpty)
            foreach (ref int at in plain.Origin.AsSpan()) at = origin[at];
        Find(plain.Bytes, plain.Origin, depth + 1, ref found);
    }

    void FindValues(ReadOnlySpan<byte> text, ReadOnlySpan<int> origin, ref List<Range>? found)
    {
        char[] rented = ArrayPool<char>.Shared.Rent(text.Length);
        var wide = rented.AsSpan(0, Encoding.Latin1.GetChars(text, rented));
        for (int at = 0; wide[at..].IndexOfAny(search!) is >= 0 and int next; at++)
        {
            at += next;
            foreach (var pattern in patterns)
            {
                if (!wide[at..].StartsWith(pattern.Text, StringComparison.Ordinal)) continue;
                Add(Math.Max(0, at - pattern.Before), Math.Min(text.Length, at + pattern.Text.Length + pattern.After), origin, ref found);
                break;
            }
        }
        ArrayPool<char>.Shared.Return(rented);
    }

    static void FindUserInfo(ReadOnlySpan<byte> text, ReadOnlySpan<int> origin, ref List<Range>? found)
    {
        for (int at = 0; text[at..].IndexOf("://"u8) is >= 0 and int next;)
        {
            at += next + 3;
            int length = text[at..].IndexOfAnyExcept(userInfoBytes);
            if (length > 0 && text[at + length] == '@') Add(at, at + length, origin, ref found);
        }
    }

    void FindAtEnd(ReadOnlySpan<byte> text, ref List<Range>? found)
    {
        Span<byte> latin1 = stackalloc byte[256];
        foreach (var pattern in patterns)
        {
            var start = pattern.Text.AsSpan(0, Math.Min(pattern.Text.Length - 1, latin1.Length));
            int most = Math.Min(Encoding.Latin1.GetBytes(start, latin1), text.Length);
            for (int length = most; length >= Shortest - 1; length--)
            {
                if (!text.EndsWith(latin1[..length])) continue;
                Add(Math.Max(0, text.Length - length - pattern.Before), text.Length, default, ref found);
                break;
            }
        }
    }

    static void Add(int from, int to, ReadOnlySpan<int> origin, ref List<Range>? found) =>
        (found ??= []).Add(origin.IsEmpty ? from..to : origin[from]..origin[to]);

    static byte[] Covered(ReadOnlySpan<byte> text, List<Range> found, bool json)
    {
        found.Sort(static (a, b) => a.Start.Value.CompareTo(b.Start.Value));
        var output = new ArrayBufferWriter<byte>(text.Length + cover.Length * found.Count);
        bool inString = false;
        int at = 0, coveredTo = 0;
        foreach (var range in found)
        {
            int from = Math.Max(range.Start.Value, coveredTo), to = range.End.Value;
            if (from >= to) continue;
            inString = json && IsInString(text[at..from], inString);
            bool isToken = json && !inString;
            if (isToken) (from, to) = (StartOfToken(text, from, at), EndOfToken(text, to));
            output.Write(text[at..from]);
            // What begins where the one before ended is one with it.
            if (from > coveredTo || coveredTo == 0) output.Write(isToken ? quotedCover : cover);
            at = coveredTo = to;
        }
        output.Write(text[at..]);
        return output.WrittenSpan.ToArray();
    }

    // Part of a number is no JSON without the rest.
    static int StartOfToken(ReadOnlySpan<byte> json, int from, int least)
    {
        while (from > least && numberBytes.Contains(json[from - 1])) from--;
        return from;
    }

    static int EndOfToken(ReadOnlySpan<byte> json, int to)
    {
        while (to < json.Length && numberBytes.Contains(json[to])) to++;
        return to;
    }

    static bool IsInString(ReadOnlySpan<byte> json, bool inString)
    {
        for (int i = 0; i < json.Length; i++)
        {
            if (json[i] == '"') inString = !inString;
            else if (json[i] == '\\') i++;
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
