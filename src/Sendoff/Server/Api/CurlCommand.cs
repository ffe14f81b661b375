using System.Text;
using Sendoff.Engine.Secrets;

namespace Sendoff.Server.Api;

/// <summary>
/// A delivery's request as a curl command for a POSIX shell, bash or zsh, run as a file or pasted into a terminal, with every header as it
/// was last sent. Whatever the request holds, the shell takes it as text: it is in single quotes, names too, or is Base64. What an
/// interactive shell or a terminal would act upon even there is written in octal.
/// </summary>
internal static class CurlCommand
{
    /// <summary>One argument of a command can be 128 KiB on Linux; what is longer comes through a pipe.</summary>
    const int ArgumentBytes = 64 * 1024;

    /// <summary>Above it some versions of curl ask whether to go on (<c>expect: 100-continue</c>).</summary>
    const int ExpectBytes = 1024;

    /// <summary>Writes one command after another, so that no more than one is held.</summary>
    public static async Task WriteAsync(Stream output, string of, IAsyncEnumerable<DeliveryDocument> deliveries, CancellationToken ct)
    {
        await using var writer = new StreamWriter(output, new UTF8Encoding(false), leaveOpen: true);
        bool any = false;
        await foreach (var delivery in deliveries.WithCancellation(ct))
        {
            if (any)
                await writer.WriteAsync('\n');
            any = true;
            await writer.WriteAsync(Of(delivery).AsMemory(), ct);
            await writer.FlushAsync(ct);
        }
        if (!any)
            await writer.WriteAsync($"# {of} has no deliveries\n");
    }

    public static string Of(DeliveryDocument delivery)
    {
        var request = delivery.Attempts is [.., { Request: { Headers.Count: > 0 } sent }] ? sent : delivery.Request;
        var (pipe, data) = Data(request);
        string[] arguments = [Quote(request.Url), .. Switches(request), .. Headers(request), .. data];
        string masked = Masked(request) is { Length: > 0 } what ? $"# Fill in the values masked as {SecretMask.Cover}: {what}\n" : "";
        return $"# {delivery.Id}\n{masked}{pipe}curl {string.Join(" \\\n  ", arguments)}\n";
    }

    static IEnumerable<string> Switches(RequestDocument request)
    {
        bool hasBody = request.BodyBytes > 0;
        // Where a response to HEAD announces a body, curl would wait for it.
        if (request.Method == "HEAD")
            yield return hasBody ? "-X HEAD --max-time 10" : "--head";
        else if (request.Method != (HasData(request) ? "POST" : "GET"))
            yield return $"-X {Quote(request.Method)}";
        if (request.Url.StartsWith("https:", StringComparison.OrdinalIgnoreCase))
            yield return "--http1.1";
        if (request.Url.AsSpan().ContainsAny("[]{}"))
            yield return "--globoff";
        if (request.Url.Contains("/.", StringComparison.Ordinal))
            yield return "--path-as-is";
    }

    /// <summary>Methods that announce an empty body are given one.</summary>
    static bool HasData(RequestDocument request) => request.BodyBytes > 0 || request.Method is "POST" or "PUT" or "PATCH";

    static IEnumerable<string> Headers(RequestDocument request)
    {
        bool hasType = false,
            isEncoded = false;
        foreach (var (name, values) in request.Headers)
        {
            if (Is(name, "content-length") || (Is(name, "host") && Is(values[0], WireText.Authority(request.Url))))
                continue;
            hasType |= Is(name, "content-type");
            isEncoded |= Is(name, "accept-encoding");
            foreach (string value in values)
                yield return "-H " + HeaderLine(name, value);
        }
        // What curl would add by itself, and was not sent.
        if (HasData(request) && !hasType)
            yield return "-H 'content-type:'";
        if (request.BodyBytes > ExpectBytes)
            yield return "-H 'expect:'";
        if (isEncoded)
            yield return "--compressed";
    }

    static string HeaderLine(string name, string value)
    {
        if (value.Length == 0)
            return Quote(name + ";"); // curl's way to send one without value
        string line = $"{name}: {value}";
        if (IsMasked(value))
            return TerminalText.IsActive(line) ? $"\"$(printf {Format(line)})\"" : Quote(line);
        return value.AsSpan().ContainsAnyExceptInRange(' ', '~')
            ? $"\"$(printf '{Octal([.. Encoding.ASCII.GetBytes($"{name}: "), .. WireText.HeaderValue(value)])}')\""
            : Quote(line);
    }

    /// <summary>Bytes for the format of printf: a terminal's own encoding has no part in it, nor has the history of an interactive shell,
    /// which looks into double quotes. A hyphen at the beginning would be an option.</summary>
    static string Octal(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder(bytes.Length + 16);
        foreach (byte b in bytes)
        {
            if (
                char.IsAsciiLetterOrDigit((char)b)
                || b is (byte)' ' or (byte)':' or (byte)'_' or (byte)'.' or (byte)',' or (byte)'/' or (byte)'='
            )
                text.Append((char)b);
            else
                text.Append('\\').Append(Convert.ToString(b, 8).PadLeft(3, '0'));
        }
        return text.ToString();
    }

    /// <summary>Text for the format of printf, quoted, of which the mask stays readable.</summary>
    static string Format(string text) =>
        $"'{string.Join(SecretMask.Cover, text.Split(SecretMask.Cover).Select(static part => Octal(Encoding.UTF8.GetBytes(part))))}'";

    static (string Pipe, string[] Arguments) Data(RequestDocument request)
    {
        if (!HasData(request))
            return ("", []);
        bool isText = request.BodyEncoding == BodyText.Utf8;
        // A terminal acts upon control characters where text is pasted, whatever quotes they are in; a tab completes names.
        bool isMasked = IsMasked(request.Body);
        bool isPlain = isText && !TerminalText.IsActive(request.Body) && (isMasked || !request.Body.Contains('\t'));
        if (!isPlain && isText && isMasked)
            return ($"printf {Format(request.Body)} |\n", ["--data-binary @-"]);
        if (!isPlain)
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
        // An interactive zsh reads a comment as a command, so that a name must not be one.
        List<string> what =
        [
            .. request.Headers.Where(h => h.Value.Any(IsMasked)).Select(h => h.Key.All(IsWord) ? h.Key : "a header").Distinct(),
        ];
        if (IsMasked(request.Url))
            what.Insert(0, "the URL");
        if (IsMasked(request.Body))
            what.Add("the body");
        return string.Join(", ", what);
    }

    static bool IsWord(char c) => char.IsAsciiLetterOrDigit(c) || c is '-' or '_';

    static bool IsMasked(string text) => text.Contains(SecretMask.Cover, StringComparison.Ordinal);

    static string Quote(string text) => $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    static bool Is(string one, string other) => one.Equals(other, StringComparison.OrdinalIgnoreCase);
}
