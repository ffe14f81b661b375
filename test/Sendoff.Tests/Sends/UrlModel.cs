using System.Globalization;
using System.Text;

namespace Sendoff.Tests.Sends;

/// <summary>
/// What the URL standard (WHATWG) makes of an http URL whose host is one of <see cref="Hosts"/>: the parser of special schemes, written
/// from the standard.
/// </summary>
/// <param name="Path">Percent-encoded, dot segments taken out.</param>
/// <param name="Query">Percent-encoded, without its question mark; null when there is none.</param>
/// <param name="Credentials">Percent-decoded <c>username:password</c>; null when there are none.</param>
sealed record UrlModel(string Host, string Path, string? Query, byte[]? Credentials)
{
    /// <summary>Spellings of this machine, and how the standard writes them.</summary>
    public static readonly IReadOnlyDictionary<string, string> Hosts = new Dictionary<string, string>
    {
        ["127.0.0.1"] = "127.0.0.1",
        ["127.1"] = "127.0.0.1",
        ["127.0.0.1."] = "127.0.0.1",
        ["0x7f.1"] = "127.0.0.1",
        ["0X7F000001"] = "127.0.0.1",
        ["2130706433"] = "127.0.0.1",
        ["017700000001"] = "127.0.0.1",
        ["127.0x0.0.01"] = "127.0.0.1",
        ["１２７.0。0．1"] = "127.0.0.1",
        ["%31%32%37.0.0.1"] = "127.0.0.1",
        ["localhost"] = "localhost",
        ["LocalHost"] = "localhost",
        ["loc%61lhost"] = "localhost",
        ["ｌocalhost"] = "localhost",
        ["local\u00adhost"] = "localhost",
        ["[::ffff:127.0.0.1]"] = "[::ffff:7f00:1]",
        ["[0:0::FFFF:7f00:1]"] = "[::ffff:7f00:1]",
    };

    const string PathSet = " \"#<>?^`{}",
        QuerySet = " \"#<>'",
        UserinfoSet = PathSet + "/:;=@[\\]|";

    /// <param name="userinfo">Without <c>/ ? # \</c>, which would end the authority.</param>
    /// <param name="rest">What follows the port: empty, or from its <c>/ \ ? #</c> on.</param>
    public static UrlModel Parse(string? userinfo, string host, string rest)
    {
        // The ends lose controls and spaces, and the whole its tabs and line breaks.
        rest = WithoutBreaks(rest.TrimEnd([.. Enumerable.Range(0, 0x21).Select(static c => (char)c)]));
        int hash = rest.IndexOf('#');
        if (hash >= 0)
            rest = rest[..hash];
        int mark = rest.IndexOf('?');
        string path = mark < 0 ? rest : rest[..mark];
        return new(Hosts[host], EncodePath(path), mark < 0 ? null : Encode(rest[(mark + 1)..], QuerySet), CredentialsOf(userinfo));
    }

    // A lone surrogate is replaced before the breaks go (the parser takes a USVString): what a break kept apart does not become a pair.
    static string WithoutBreaks(string text) =>
        Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)).Replace("\t", "").Replace("\n", "").Replace("\r", "");

    static string EncodePath(string path)
    {
        var segments = new List<string>();
        string[] given = path.Length == 0 ? [""] : path[1..].Split('/', '\\');
        for (int i = 0; i < given.Length; i++)
        {
            string dots = given[i].Replace("%2e", ".", StringComparison.OrdinalIgnoreCase);
            if (dots == ".." && segments.Count > 0)
                segments.RemoveAt(segments.Count - 1);
            if (dots is not ("." or ".."))
                segments.Add(Encode(given[i], PathSet));
            else if (i == given.Length - 1)
                segments.Add("");
        }
        return "/" + string.Join('/', segments);
    }

    static byte[]? CredentialsOf(string? userinfo)
    {
        if (userinfo is null)
            return null;
        userinfo = WithoutBreaks(userinfo);
        int colon = userinfo.IndexOf(':');
        string username = colon < 0 ? userinfo : userinfo[..colon],
            password = colon < 0 ? "" : userinfo[(colon + 1)..];
        if (username.Length + password.Length == 0)
            return null;
        return [.. PercentDecode(Encode(username, UserinfoSet)), (byte)':', .. PercentDecode(Encode(password, UserinfoSet))];
    }

    /// <summary>UTF-8 percent-encode with one of the standard's sets; controls and what is beyond ASCII are in all of them.</summary>
    static string Encode(string text, string set)
    {
        var encoded = new StringBuilder();
        foreach (byte b in Encoding.UTF8.GetBytes(text))
        {
            if (b is < 0x20 or > 0x7e || set.Contains((char)b))
                encoded.Append(CultureInfo.InvariantCulture, $"%{b:X2}");
            else
                encoded.Append((char)b);
        }
        return encoded.ToString();
    }

    /// <summary>A percent sign that no two hexadecimal digits follow stands for itself.</summary>
    public static byte[] PercentDecode(string ascii)
    {
        var bytes = new List<byte>();
        for (int i = 0; i < ascii.Length; i++)
        {
            bool escape =
                ascii[i] == '%' && i + 2 < ascii.Length && char.IsAsciiHexDigit(ascii[i + 1]) && char.IsAsciiHexDigit(ascii[i + 2]);
            bytes.Add(escape ? Convert.ToByte(ascii.Substring(i + 1, 2), 16) : (byte)ascii[i]);
            if (escape)
                i += 2;
        }
        return [.. bytes];
    }
}
