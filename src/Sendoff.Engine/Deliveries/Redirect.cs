using System.Collections.Frozen;

namespace Sendoff.Engine.Deliveries;

/// <summary>The request for a redirect (C3), by RFC 9110 15.4, and by the Fetch standard where the RFC allows a choice.</summary>
internal static class Redirect
{
    /// <summary>Headers that are not sent to another origin.</summary>
    static readonly FrozenSet<string> ofOrigin = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase,
        "authorization",
        "cookie",
        "host",
        "proxy-authorization"
    );

    /// <summary>The next request; null if the response is final.</summary>
    public static HttpSend? Next(HttpSend send, ResponseHead head)
    {
        if (head.Status is not (301 or 302 or 303 or 307 or 308) || LocationOf(head) is not { } location)
            return null;
        if (UrlReference.Resolve(send.Url, location) is not { } url)
            return null;
        if (!Destination.TryParse(url, out var to, out _) || !Destination.TryParse(send.Url, out var from, out _))
            return null;
        // A receiver cannot redirect encrypted data to an unencrypted URL.
        if (from.IsTls && !to.IsTls)
            return null;

        bool isGet = head.Status == 303 || (head.Status is 301 or 302 && send.Method == "POST");
        bool isForeign = to.Key != from.Key;
        var headers = send.Headers.Where(header => !(isGet && IsOfContent(header)) && !(isForeign && ofOrigin.Contains(header.Name)));
        string method = isGet && send.Method != "HEAD" ? "GET" : send.Method;
        return new HttpSend(method, url, [.. headers], isGet ? default : send.Body);
    }

    /// <summary>Null if there is none, or more than one.</summary>
    static string? LocationOf(ResponseHead head)
    {
        string? found = null;
        foreach (var (name, value) in head.Headers)
        {
            if (name != "location")
                continue;
            if (found is not null || value.Length == 0)
                return null;
            found = value;
        }
        return found;
    }

    static bool IsOfContent(Header header) => header.Name.StartsWith("content-", StringComparison.OrdinalIgnoreCase);
}
