using System.Text;

namespace Sendoff.Server.Api;

/// <summary>The parts of a recorded request as they stood on the wire.</summary>
static class WireText
{
    /// <summary>Latin-1 where that is enough, else UTF-8.</summary>
    public static byte[] HeaderValue(string value) =>
        (value.AsSpan().ContainsAnyExceptInRange('\0', '\u00ff') ? Encoding.UTF8 : Encoding.Latin1).GetBytes(value);

    /// <summary>Host and port of an absolute URL, as they are written there.</summary>
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
