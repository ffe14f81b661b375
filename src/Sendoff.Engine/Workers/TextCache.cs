using System.Buffers;
using System.Runtime.CompilerServices;
using System.Text;
using Sendoff.Engine.Deliveries;

namespace Sendoff.Engine.Workers;

/// <summary>Strings for UTF-8 text that comes again and again: methods, URLs, header lines. Bounded, for one thread.</summary>
internal sealed class TextCache
{
    const int Slots = 256, LongestBytes = 512;

    readonly (byte[] Bytes, string Text)[] slots = new (byte[], string)[Slots];
    readonly string?[] urls = new string?[Slots];

    public string Get(ReadOnlySpan<byte> utf8)
    {
        if (utf8.Length > LongestBytes) return Encoding.UTF8.GetString(utf8);
        if (utf8.IsEmpty) return "";
        ref var slot = ref slots[Slot(utf8)];
        if (slot.Bytes is null || !utf8.SequenceEqual(slot.Bytes)) slot = (utf8.ToArray(), Encoding.UTF8.GetString(utf8));
        return slot.Text;
    }

    /// <summary><see cref="HttpText.IsUrl"/>, without parsing a URL twice.</summary>
    public bool IsUrl(string url)
    {
        ref string? slot = ref urls[RuntimeHelpers.GetHashCode(url) & (Slots - 1)];
        if (ReferenceEquals(slot, url)) return true;
        if (!HttpText.IsUrl(url) && !HttpText.IsOtherUrl(url)) return false;
        slot = url;
        return true;
    }

    static int Slot(ReadOnlySpan<byte> utf8)
    {
        var hash = new HashCode();
        hash.AddBytes(utf8);
        return hash.ToHashCode() & (Slots - 1);
    }
}

/// <summary>What may stand in a request (RFC 9110), as the last check of what a worker says.</summary>
internal static class HttpText
{
    static readonly SearchValues<char> Token =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    static readonly SearchValues<char> Value =
        SearchValues.Create([.. Enumerable.Range(0, 256).Select(c => (char)c).Where(c => c is '\t' or (>= ' ' and not '\x7f'))]);

    public static bool IsToken(string text) => text.Length > 0 && !text.AsSpan().ContainsAnyExcept(Token);

    public static bool IsHeaderValue(string text) => !text.AsSpan().ContainsAnyExcept(Value);

    public static bool IsUrl(string text) =>
        (text.StartsWith("http://", StringComparison.Ordinal) || text.StartsWith("https://", StringComparison.Ordinal))
        && !text.AsSpan().ContainsAnyExceptInRange('!', '~')
        && Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Host.Length > 0 && uri.UserInfo.Length == 0 && uri.Fragment.Length == 0;

    /// <summary>Of a destination other than HTTP (F7).</summary>
    public static bool IsOtherUrl(string text) =>
        SendKinds.KindOf(text) is var kind and not SendKind.Http && !text.AsSpan().ContainsAnyExceptInRange('!', '~') && (kind != SendKind.S3 || S3Object.IsUrl(text));
}
