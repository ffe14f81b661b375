using System.Globalization;
using System.Text;

namespace Sendoff.Engine.Deliveries;

/// <summary>Resolves what a <c>location</c> header says (RFC 3986 5.2). Paths and queries keep their spelling.</summary>
internal static class UrlReference
{
    /// <param name="url">Absolute, as <see cref="Destination.TryParse"/> takes it.</param>
    /// <param name="reference">As it was received, one character a byte.</param>
    /// <returns>Absolute, without fragment and userinfo; null when it is no http or https URL.</returns>
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

    /// <summary>Credentials in a <c>location</c> are the receiver's to choose, and not used.</summary>
    static string Normal(string absolute)
    {
        var (origin, path, query) = Split(absolute);
        int start = origin.IndexOf("//", StringComparison.Ordinal) + 2;
        return origin[..start] + origin[(origin.LastIndexOf('@') is var at and > 0 ? at + 1 : start)..] + WithoutDots(path) + query;
    }

    /// <summary>The query with its question mark. A path that is missing is the root.</summary>
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

    /// <summary>Receivers send spaces and UTF-8 as they are; a request's target is visible ASCII.</summary>
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
