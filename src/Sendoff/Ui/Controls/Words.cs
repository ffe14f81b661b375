using System.Globalization;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Storage;
using Sendoff.Server.Api;

namespace Sendoff.Ui.Controls;

/// <summary>States, times and sizes in words.</summary>
public static class Words
{
    /// <summary>The colour of a state: <c>ok bad warn info</c>.</summary>
    public static string Tone(string status) =>
        status switch
        {
            "succeeded" => "ok",
            "failed" or "timed_out" or "out_of_memory" or "blocked" => "bad",
            "interrupted" or "held" or "suspended" => "warn",
            _ => "info",
        };

    /// <summary>Whether the delivery has ended without success.</summary>
    public static bool IsFailure(DeliveryStatus status) =>
        status is DeliveryStatus.Failed or DeliveryStatus.Blocked or DeliveryStatus.Interrupted;

    /// <summary>The sign for a delivery's state, in addition to its colour.</summary>
    public static string Mark(string status) =>
        status switch
        {
            "succeeded" => "●",
            "failed" or "blocked" => "✕",
            "interrupted" => "?",
            "captured" => "◇",
            _ => "○",
        };

    public static string Status(string status) =>
        status switch
        {
            "timed_out" => "Timed out",
            "out_of_memory" => "Out of memory",
            _ => char.ToUpperInvariant(status[0]) + status[1..],
        };

    /// <summary>An explanation of a delivery's state, if its name is not sufficient.</summary>
    public static string? Meaning(string status, bool isTest = false) =>
        status switch
        {
            "pending" => "Queued.",
            "sending" => "In flight.",
            "interrupted" => "The server stopped during this attempt. The request may have arrived. It is not retried automatically.",
            "captured" => isTest
                ? "Recorded, not sent: the run is a test."
                : "Recorded, not sent: the workflow delivers only on success, and the run has not succeeded.",
            _ => null,
        };

    /// <summary>The protocol of a response. Versions of HTTP are numbers.</summary>
    public static string Protocol(string version) => char.IsAsciiDigit(version.FirstOrDefault()) ? $"HTTP/{version}" : version;

    /// <summary>Formats a message of the engine as a sentence.</summary>
    public static string Sentence(string text) =>
        text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..] + (text[^1] is '.' or '?' or '!' or ')' ? "" : ".");

    const int MostSendChars = 48;

    /// <summary>Formats a send as <c>POST example.com/in · 500</c>.</summary>
    public static string Send(SendHead send)
    {
        string kind = Names.Of(SendKinds.KindOf(send.Url));
        string to =
            kind == "http" && Uri.TryCreate(send.Url, UriKind.Absolute, out var url)
                ? $"{send.Method} {url.Authority}{(url.AbsolutePath == "/" ? "" : url.AbsolutePath)}"
                : $"{kind} [{send.Index}]";
        return (to.Length > MostSendChars ? to[..MostSendChars] + "…" : to) + (send.Code is { } code ? $" · {code}" : "");
    }

    public static string Ms(double? ms) =>
        ms switch
        {
            null => "–",
            0 => "0 ms",
            < 10 => ms.Value.ToString("0.##", CultureInfo.InvariantCulture) + " ms",
            < 100 => ms.Value.ToString("0.0", CultureInfo.InvariantCulture) + " ms",
            _ => ms.Value.ToString("#,##0", CultureInfo.InvariantCulture) + " ms",
        };

    /// <summary>Parses a number of a URL; 0 if it is not a number.</summary>
    public static int Number(string? text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : 0;

    public static string Count(long count) => count.ToString("N0", CultureInfo.InvariantCulture);

    public static string Several(long count, string one, string many) => $"{Count(count)} {(count == 1 ? one : many)}";

    public static string Bytes(long bytes) =>
        bytes switch
        {
            < 1024 => $"{bytes} B",
            < 1024 * 1024 => (bytes / 1024.0).ToString("0.0", CultureInfo.InvariantCulture) + " KiB",
            _ => (bytes / 1048576.0).ToString("0.0", CultureInfo.InvariantCulture) + " MiB",
        };

    /// <summary>The source addresses of deliveries, for the operator of a receiver's firewall.</summary>
    public static string Egress(EgressOptions egress)
    {
        string way = egress.Proxy is { } proxy ? $" through the proxy {proxy}" : "";
        return egress.PublicAddresses.Count > 0
            ? $"Sent{way} from {string.Join(", ", egress.PublicAddresses)}"
            : $"Outgoing IP: chosen by the {(egress.Proxy is null ? "system" : $"proxy {egress.Proxy}")} (none pinned)";
    }

    public static string Day(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    public static string Clock(DateTimeOffset at) => at.UtcDateTime.ToString("HH:mm:ss.fff", CultureInfo.InvariantCulture);

    public static string Iso(DateTimeOffset at) => at.UtcDateTime.ToString("o", CultureInfo.InvariantCulture);

    /// <summary>A path with those query parameters that have a value.</summary>
    public static string Url(string path, params ReadOnlySpan<(string Name, string? Value)> query)
    {
        char mark = '?';
        foreach (var (name, value) in query)
        {
            if (string.IsNullOrEmpty(value))
                continue;
            path += $"{mark}{name}={Uri.EscapeDataString(value)}";
            mark = '&';
        }
        return path;
    }
}
