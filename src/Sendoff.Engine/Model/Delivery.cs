namespace Sendoff.Engine.Model;

/// <summary>
/// pending -> sending -> succeeded | failed | interrupted; pending -> blocked. Captured is the end of a send that was never meant to go:
/// a dry run, or a failed run of a workflow that delivers on success only.
/// </summary>
/// <remarks>The numbers are stored. They start at 2 because SQLite gives 0 and 1 no byte, and a row that keeps its size is updated in
/// place.</remarks>
public enum DeliveryStatus
{
    Pending = 2,
    Sending = 3,
    Succeeded = 4,
    Failed = 5,
    Blocked = 6,
    Interrupted = 7,
    Captured = 8,
}

/// <summary>A header line. Names keep the spelling they were given.</summary>
public readonly record struct Header(string Name, string Value);

/// <summary>
/// A validated send: final method, URL, headers and body, as the worker's harness made it (A4-A7). <paramref name="Url"/> is absolute http
/// or https, without userinfo and fragment, or says another kind of destination (<see cref="SendKind"/>); the body is then what is to be
/// sent there.
/// </summary>
public sealed record HttpSend(string Method, string Url, IReadOnlyList<Header> Headers, ReadOnlyMemory<byte> Body)
{
    /// <summary>Bytes of the body, when this copy of a record leaves it out for its size.</summary>
    public int BodyLeftOut { get; init; }

    /// <summary>This copy of a record leaves out headers and body.</summary>
    public bool HeadersLeftOut { get; init; }

    /// <summary>Bytes of the header lines, each with its colon, space and line end.</summary>
    internal int HeaderBytes
    {
        get
        {
            int bytes = 0;
            for (int i = 0; i < Headers.Count; i++)
                bytes += Headers[i].Name.Length + Headers[i].Value.Length + 4;
            return bytes;
        }
    }

    /// <summary>Bytes of method, URL, headers and body; the harness counts them alike (A9).</summary>
    internal int Bytes => Method.Length + Url.Length + HeaderBytes + Body.Length;

    /// <summary>With a header line more, unless there is one of that name.</summary>
    internal HttpSend WithDefault(string name, string value) =>
        Headers.Any(header => header.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
            ? this
            : this with
            {
                Headers = [.. Headers, new(name, value)],
            };
}

/// <summary>A committed send. <paramref name="Step"/> is the step's index, <paramref name="Index"/> the send's index in that step, both
/// from 0.</summary>
/// <param name="Destination">Scheme, host and port that it goes to, as <c>https://example.com:443</c>; the kind, as <c>email:</c>, where it
/// is not http.</param>
/// <param name="Error">Why it was blocked, or the last attempt's error.</param>
/// <param name="Attempts">How many were made before; read back with what is pending.</param>
/// <param name="Sealed">What <paramref name="Request"/> hides of the original when it is masked as it is stored (C8); read back with what
/// is pending.</param>
public sealed record Delivery(
    DeliveryId Id,
    RunId RunId,
    WorkspaceId WorkspaceId,
    WorkflowId WorkflowId,
    int Step,
    int Index,
    string Destination,
    HttpSend Request,
    DeliveryStatus Status,
    AttemptError? Error = null,
    int Attempts = 0,
    ReadOnlyMemory<byte> Sealed = default
)
{
    /// <summary>What its run's event carried of credentials: a response that echoes them must not show them. Sealed with the request
    /// (C8).</summary>
    public IReadOnlyList<string> Credentials { get; init; } = [];
}

/// <summary>One try at a delivery, as it went over the wire (C6).</summary>
/// <param name="Number">From 1; a resend counts on.</param>
/// <param name="RequestHeaders">Every header line that was written, in order. The body is the delivery's.</param>
public sealed record Attempt(
    DeliveryId DeliveryId,
    int Number,
    DateTimeOffset StartedAt,
    DeliveryStatus Status,
    IReadOnlyList<Header> RequestHeaders,
    AttemptResponse? Response,
    AttemptError? Error,
    AttemptTiming Timing,
    string? LocalAddress,
    string? RemoteAddress,
    bool ConnectionReused
)
{
    /// <summary>Redirects that were followed, in order (C3). The request is the first one, response and addresses are the last one's, the
    /// timing is the sum.</summary>
    public IReadOnlyList<RedirectHop> Redirects { get; init; } = [];

    /// <summary>The delivery's; they are not stored.</summary>
    public IReadOnlyList<string> Credentials { get; init; } = [];

    /// <summary>This copy of a record leaves out the headers of request and response, and the response's body.</summary>
    public bool ContentLeftOut { get; init; }
}

/// <summary>A redirect that was followed: the request, the status and address that answered it, and where that led.</summary>
/// <param name="Location">Absolute, without userinfo and fragment.</param>
public sealed record RedirectHop(string Method, string Url, int Status, string? RemoteAddress, string Location);

/// <summary>What came back, complete or not. Header names are lower-case. The body is decoded and cut (C4).</summary>
/// <param name="BodyIsText">The body is valid UTF-8, converted from its declared charset; else raw bytes.</param>
/// <param name="BodyBytes">Bytes of the body on the wire.</param>
public sealed record AttemptResponse(
    int Status,
    string HttpVersion,
    IReadOnlyList<Header> Headers,
    ReadOnlyMemory<byte> Body,
    bool BodyIsText,
    long BodyBytes,
    bool Truncated
)
{
    /// <summary>Bytes that are kept of the body, when this copy of a record leaves them out for their size.</summary>
    public int BodyLeftOut { get; init; }
}

/// <summary>The waterfall, in ms; null where the phase did not happen. <paramref name="TotalMs"/> leaves <paramref name="QueueMs"/>
/// out.</summary>
public sealed record AttemptTiming(
    double QueueMs,
    double? DnsMs,
    double? ConnectMs,
    double? TlsMs,
    double? WriteMs,
    double? WaitMs,
    double? ReadMs,
    double TotalMs
);

/// <summary>What went wrong and in which phase (C5). The message says what and where, in a sentence.</summary>
public sealed record AttemptError(AttemptErrorCode Code, AttemptPhase Phase, string Message);

/// <summary>The phases of an attempt, in order. Status line and headers are <see cref="Wait"/>, the body is <see cref="Read"/>.</summary>
public enum AttemptPhase
{
    Queue,
    Dns,
    Connect,
    Tls,
    Write,
    Wait,
    Read,
}

/// <summary>All the ways in which an attempt can end without a complete response (C5). Closed: nothing else is ever reported.</summary>
public enum AttemptErrorCode
{
    /// <summary>The address is one that deliveries may not reach (D1, D2). It was not dialled.</summary>
    BlockedByEgressPolicy,

    /// <summary>The name does not exist.</summary>
    DnsNotFound,

    /// <summary>The resolver failed or gave no usable answer.</summary>
    DnsFailed,

    /// <summary>Nobody listens on that port.</summary>
    ConnectRefused,

    /// <summary>No route to that host or network.</summary>
    ConnectUnreachable,

    /// <summary>The connection could not be made for another reason.</summary>
    ConnectFailed,

    /// <summary>The proxy that deliveries go through cannot be reached, refuses, or answers nonsense; the destination may be
    /// well.</summary>
    ProxyFailed,

    /// <summary>The TLS handshake failed; the message gives the reason.</summary>
    TlsFailed,

    /// <summary>The deadline passed (C1).</summary>
    Timeout,

    /// <summary>The receiver reset the connection.</summary>
    ConnectionReset,

    /// <summary>The receiver closed the connection before the response was complete.</summary>
    ConnectionClosed,

    /// <summary>What came back is not HTTP/1.1.</summary>
    InvalidResponse,

    /// <summary>Status line and headers went over their limit (C4).</summary>
    ResponseHeadersTooLarge,

    /// <summary>The server stopped in mid-attempt; the request may have been sent (C7).</summary>
    Interrupted,

    /// <summary>A fault of Sendoff itself.</summary>
    Internal,

    /// <summary>The server's settings name no mail server or object store, or lack a part. Nothing was dialled.</summary>
    NotConfigured,
}
