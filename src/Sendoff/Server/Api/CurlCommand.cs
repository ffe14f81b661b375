using System.Text;
using Sendoff.Engine.Secrets;

namespace Sendoff.Server.Api;

/// <summary>
/// A delivery's request as a curl command for a POSIX shell, with every header as it was last sent. Whatever the request holds, the shell
/// takes it as text: it stands in single quotes, or is Base64.
/// </summary>
internal static class CurlCommand
{
    /// <summary>One argument of a command can be 128 KiB on Linux; what is longer comes through a pipe.</summary>
    const int ArgumentBytes = 64 * 1024;
    /// <summary>Above it some versions of curl ask whether to go on (<c>expect: 100-continue</c>).</summary>
    const int ExpectBytes = 1024;

    public static string Of(string run, IReadOnlyList<DeliveryDocument> deliveries) =>
        deliveries.Count == 0 ? $"# {run} has no deliveries\n" : string.Join('\n', deliveries.Select(Of));

    public static string Of(DeliveryDocument delivery)
    {
        var request = delivery.Attempts is [.., { Request: { Headers.Count: > 0 } sent }] ? sent : delivery.Request;
        var (pipe, data) = Data(request);
        string[] arguments = [Quote(request.Url), .. Switches(request), .. Headers(request), .. data];
        string masked = Masked(request) is { Length: > 0 } what ? $"# Fill in what is masked as {SecretMask.Cover}: {what}\n" : "";
        return $"# {delivery.Id}\n{masked}{pipe}curl {string.Join(" \\\n  ", arguments)}\n";
    }

    static IEnumerable<string> Switches(RequestDocument request)
    {
        bool hasBody = request.BodyBytes > 0;
        // Where a response to HEAD announces a body, curl would wait for it.
        if (request.Method == "HEAD") yield return hasBody ? "-X HEAD --max-time 10" : "--head";
        else if (request.Method != (HasData(request) ? "POST" : "GET")) yield return $"-X {Quote(request.Method)}";
        if (request.Url.StartsWith("https:", StringComparison.OrdinalIgnoreCase)) yield return "--http1.1";
        if (request.Url.AsSpan().ContainsAny("[]{}")) yield return "--globoff";
        if (request.Url.Contains("/.", StringComparison.Ordinal)) yield return "--path-as-is";
    }

    /// <summary>Methods that announce an empty body are given one.</summary>
    static bool HasData(RequestDocument request) => request.BodyBytes > 0 || request.Method is "POST" or "PUT" or "PATCH";

    static IEnumerable<string> Headers(RequestDocument request)
    {
        bool hasType = false, isEncoded = false;
        foreach (var (name, values) in request.Headers)
        {
            if (Is(name, "content-length") || (Is(name, "host") && Is(values[0], WireText.Authority(request.Url)))) continue;
            hasType |= Is(name, "content-type");
            isEncoded |= Is(name, "accept-encoding");
            foreach (string value in values) yield return "-H " + HeaderLine(name, value);
        }
        // What curl would add by itself, and was not sent.
        if (HasData(request) && !hasType) yield return "-H 'content-type:'";
        if (request.BodyBytes > ExpectBytes) yield return "-H 'expect:'";
        if (isEncoded) yield return "--compressed";
    }

    static string HeaderLine(string name, string value)
    {
        if (value.Length == 0) return Quote(name + ";"); // curl's way to send one without value
        bool isPlain = !value.AsSpan().ContainsAnyExceptInRange(' ', '~') || value.Contains(SecretMask.Cover, StringComparison.Ordinal);
        return isPlain ? Quote($"{name}: {value}") : $"\"$(printf '{name}: {Octal(WireText.HeaderValue(value))}')\"";
    }

    /// <summary>Bytes for the format of printf. A terminal's own encoding has no part in it.</summary>
    static string Octal(byte[] bytes)
    {
        var text = new StringBuilder(bytes.Length + 16);
        foreach (byte b in bytes)
        {
            if (b == '%') text.Append("%%");
            else if (b is >= 32 and < 127 and not (byte)'\'' and not (byte)'\\') text.Append((char)b);
            else text.Append('\\').Append(Convert.ToString(b, 8).PadLeft(3, '0'));
        }
        return text.ToString();
    }

    static (string Pipe, string[] Arguments) Data(RequestDocument request)
    {
        if (!HasData(request)) return ("", []);
        bool isText = request.BodyEncoding == BodyText.Utf8;
        // A terminal acts upon control characters where text is pasted, whatever quotes they stand in.
        bool isPlain = isText && !request.Body.Any(c => char.IsControl(c) && c != '\n');
        bool isMasked = isText && request.Body.Contains(SecretMask.Cover, StringComparison.Ordinal) && !request.Body.Contains('\0');
        if (!isPlain && !isMasked)
        {
            string base64 = isText ? Convert.ToBase64String(Encoding.UTF8.GetBytes(request.Body)) : request.Body;
            return ($"printf '%s' '{base64}' | base64 -d |\n", ["--data-binary @-"]);
        }
        return Encoding.UTF8.GetByteCount(request.Body) <= ArgumentBytes
            ? ("", ["--data-raw " + Quote(request.Body)])
            : ($"printf '%s' {Quote(request.Body)} |\n", ["--data-binary @-"]);
    }

    static string Masked(RequestDocument request)
    {
        List<string> what = [.. request.Headers.Where(h => h.Value.Any(IsMasked)).Select(h => h.Key)];
        if (IsMasked(request.Url)) what.Insert(0, "the URL");
        if (IsMasked(request.Body)) what.Add("the body");
        return string.Join(", ", what);
    }

    static bool IsMasked(string text) => text.Contains(SecretMask.Cover, StringComparison.Ordinal);

    static string Quote(string text) => $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    static bool Is(string one, string other) => one.Equals(other, StringComparison.OrdinalIgnoreCase);
}
