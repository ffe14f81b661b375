using System.Text;

namespace Sendoff.Server.Api;

/// <summary>Parts of a recorded request as they were sent.</summary>
static class WireText
{
    /// <summary>Latin-1 if possible, otherwise UTF-8.</summary>
    public static byte[] HeaderValue(string value) =>
        (value.AsSpan().ContainsAnyExceptInRange('\0', '\u00ff') ? Encoding.UTF8 : Encoding.Latin1).GetBytes(value);

    /// <summary>Host and port of an absolute URL, unchanged.</summary>
    public static string Authority(string url) => Split(url).Authority;

    /// <summary>Path and query.</summary>
    public static string Target(string url) => Split(url).Target is ['/', ..] target ? target : "/" + Split(url).Target;

    static (string Authority, string Target) Split(string url)
    {
        int start = url.IndexOf("//", StringComparison.Ordinal) + 2;
        int length = url.AsSpan(start).IndexOfAny('/', '?', '#');
        int end = length < 0 ? url.Length : start + length;
        int fragment = url.IndexOf('#', end);
        return (url[start..end], fragment < 0 ? url[end..] : url[end..fragment]);
    }
}
