using System.Text;
using Sendoff.Engine.Secrets;

namespace Sendoff.Server.Api;

/// <summary> A delivery's request as a curl command for a POSIX shell, bash or zsh, run as a file or pasted into a terminal, with all
/// headers of the last attempt. The content of the request is always text for the shell: it is in single quotes, including names, or in
/// Base64. Characters that have an effect in an interactive shell or a terminal even in quotes are written in octal. </summary>
internal static class CurlCommand
{
    /// <summary>Linux limits an argument to 128 KiB, so longer bodies are piped.</summary>
    const int ArgumentBytes = 64 * 1024;

    /// <summary>For larger bodies, some versions of curl send <c>expect: 100-continue</c>.</summary>
    const int ExpectBytes = 1024;

    /// <summary>Writes the commands one after another, so that only one is in memory.</summary>
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
        // curl would wait for a body if a response to HEAD announces one.
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

    /// <summary>Methods that announce an empty body get one.</summary>
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
        // Headers that curl would add, but were not sent.
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
            return Quote(name + ";"); // curl's syntax for a header without a value
        string line = $"{name}: {value}";
        if (IsMasked(value))
            return TerminalText.IsActive(line) ? $"\"$(printf {Format(line)})\"" : Quote(line);
        return value.AsSpan().ContainsAnyExceptInRange(' ', '~')
            ? $"\"$(printf '{Octal([.. Encoding.ASCII.GetBytes($"{name}: "), .. WireText.HeaderValue(value)])}')\""
            : Quote(line);
    }

    /// <summary>Bytes as octal escapes for printf, so that neither the terminal's encoding nor the history expansion of an interactive
    /// shell in double quotes can change them. A leading hyphen would be an option.</summary>
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

    /// <summary>Quoted text for printf. The mask remains readable.</summary>
    static string Format(string text) =>
        $"'{string.Join(SecretMask.Cover, text.Split(SecretMask.Cover).Select(static part => Octal(Encoding.UTF8.GetBytes(part))))}'";

    static (string Pipe, string[] Arguments) Data(RequestDocument request)
    {
        if (!HasData(request))
            return ("", []);
        bool isText = request.BodyEncoding == BodyText.Utf8;
        // A terminal interprets control characters in pasted text even inside quotes, and a tab completes names.
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
        // An interactive zsh executes a comment as a command, so names of values are quoted.
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
