using System.Text.Unicode;

namespace Sendoff.Engine.Deliveries;

/// <summary>Validates a send from a worker, by the kind of its destination (A2 to A9, F7). The harness has the same checks at the caller's
/// line; only a send that a step wrote to the socket itself fails here.</summary>
internal static class SendCheck
{
    /// <summary>The error in a send; null if it can be delivered.</summary>
    public static string? FaultOf(HttpSend send, EngineLimits limits) =>
        send.Body.Length > limits.SendBodyBytes
            ? $"a body of {send.Body.Length:N0} bytes, over the limit of {limits.SendBodyBytes:N0} (setting Sends:MaxBodyBytes)"
        : send.Url.Length > limits.SendUrlBytes
            ? $"a URL of {send.Url.Length:N0} bytes, over the limit of {limits.SendUrlBytes:N0} (setting Sends:MaxUrlBytes)"
        : FaultOfHeaders(send.Headers, limits) is { } fault ? fault
        : SendKinds.KindOf(send.Url) is var kind and not SendKind.Http ? FaultOfOther(send, kind)
        : !HttpSyntax.IsMethod(send.Method) ? "a method that is not an HTTP token"
        : !HttpSyntax.IsUrl(send.Url) ? "a URL that is not an absolute http or https URL with a host"
        : null;

    /// <summary>The error in the header lines of a send or a response; null if they are valid.</summary>
    public static string? FaultOfHeaders(IReadOnlyList<Header> headers, EngineLimits limits)
    {
        int bytes = Header.BytesOf(headers);
        if (bytes > limits.SendHeaderBytes)
            return $"headers of {bytes:N0} bytes, over the limit of {limits.SendHeaderBytes:N0} (setting Sends:MaxHeaderBytes)";
        foreach (var (name, value) in headers)
        {
            if (!HttpSyntax.IsToken(name))
                return "a header whose name is not an HTTP token";
            if (!HttpSyntax.IsHeaderValue(value))
                return $"a character in header {name} that is not allowed in headers";
        }
        return null;
    }

    static string? FaultOfOther(HttpSend send, SendKind kind)
    {
        if (send.Method != "SEND")
            return "a method other than SEND, which all destinations except http use";
        if (send.Url.AsSpan().ContainsAnyExceptInRange('!', '~'))
            return "a URL that is not ASCII";
        return kind switch
        {
            SendKind.Email => send.Url == "email:" ? EmailSender.FaultOf(send.Body) : "an email with another URL than email:",
            SendKind.Emit => JsonSyntax.IsValue(send.Body.Span) ? null : "an emitted event that is not JSON",
            SendKind.Source => SourceEvents.IsEvent(send.Body) ? null : "an event of a source that is not JSON",
            SendKind.Sse => SendKinds.ChannelOf(send.Url).Any(char.IsControl) ? "a channel with control characters"
            : Utf8.IsValid(send.Body.Span) ? null
            : "a payload that is not UTF-8",
            _ => S3Object.IsUrl(send.Url) && Utf8.IsValid(send.Body.Span) ? null : "an object without its bucket, or that is not UTF-8",
        };
    }
}
