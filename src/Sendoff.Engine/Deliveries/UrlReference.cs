using System.Globalization;
using System.Text;

namespace Sendoff.Engine.Deliveries;

/// <summary>Resolves a <c>location</c> header (RFC 3986 5.2) without changing paths and queries.</summary>
internal static class UrlReference
{
    /// <param name="url">Absolute, valid for <see cref="Destination.TryParse"/>.</param>
    /// <param name="reference">As received, one character per byte.</param>
    /// <returns>Absolute, without fragment and userinfo; null if it is not an http or https URL.</returns>
    public static string? Resolve(string url, string reference)
    {
        var (origin, path, query) = Split(url);
        string given = Encode(WithoutFragment(reference));
        if (HasScheme(given))
            return HttpSyntax.SchemeLength(given) > 0 ? Normal(given) : null;
        if (given.StartsWith("//", StringComparison.Ordinal))
            return Normal(origin[..(origin.IndexOf(':') + 1)] + given);

        int mark = given.IndexOf('?');
        string givenPath = mark < 0 ? given : given[..mark],
            givenQuery = mark < 0 ? "" : given[mark..];
        if (givenPath.Length == 0)
            return origin + path + (mark < 0 ? query : givenQuery);
        string whole = givenPath[0] == '/' ? givenPath : path[..(path.LastIndexOf('/') + 1)] + givenPath;
        return origin + WithoutDots(whole) + givenQuery;
    }

    /// <summary>Credentials in a <c>location</c> come from the receiver and are not used.</summary>
    static string Normal(string absolute)
    {
        var (origin, path, query) = Split(absolute);
        int start = origin.IndexOf("//", StringComparison.Ordinal) + 2;
        return origin[..start] + origin[(origin.LastIndexOf('@') is var at and > 0 ? at + 1 : start)..] + WithoutDots(path) + query;
    }

    /// <summary>The path and query with its question mark. A missing path is the root.</summary>
    static (string Origin, string Path, string Query) Split(string absolute)
    {
        string url = WithoutFragment(absolute);
        int path = HttpSyntax.AuthorityEnd(url, HttpSyntax.SchemeLength(url));
        int mark = url.IndexOf('?', path) is var found and >= 0 ? found : url.Length;
        return (url[..path], path == mark ? "/" : url[path..mark], url[mark..]);
    }

    static string WithoutFragment(string text) => text.IndexOf('#') is var at and >= 0 ? text[..at] : text;

    static bool HasScheme(string reference)
    {
        int end = reference.AsSpan().IndexOfAny(':', '/', '?');
        return end > 0 && reference[end] == ':' && char.IsAsciiLetter(reference[0]);
    }

    /// <summary>RFC 3986 5.2.4.</summary>
    static string WithoutDots(string path)
    {
        string[] segments = path.Split('/');
        var kept = new List<string>(segments.Length);
        for (int i = 1; i < segments.Length; i++)
        {
            if (segments[i] is not ("." or ".."))
            {
                kept.Add(segments[i]);
                continue;
            }
            if (segments[i] == ".." && kept.Count > 0)
                kept.RemoveAt(kept.Count - 1);
            if (i == segments.Length - 1)
                kept.Add("");
        }
        return "/" + string.Join('/', kept);
    }

    /// <summary>Receivers send unescaped spaces and UTF-8; a request's target must be visible ASCII.</summary>
    static string Encode(string received)
    {
        if (!received.AsSpan().ContainsAnyExceptInRange('!', '~'))
            return received;
        var text = new StringBuilder(received.Length + 16);
        foreach (char c in received)
        {
            if (c is >= '!' and <= '~')
                text.Append(c);
            else
                text.Append('%').Append(((int)c).ToString("X2", CultureInfo.InvariantCulture));
        }
        return text.ToString();
    }
}
