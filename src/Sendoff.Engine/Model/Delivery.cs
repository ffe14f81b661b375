namespace Sendoff.Engine.Model;

/// <summary>pending -> sending -> succeeded | failed | interrupted; pending -> blocked. Captured deliveries are recorded and not sent:
/// those of a dry run, or of a failed run of a workflow that delivers only on success.</summary>
/// <remarks>The numbers are stored. They start at 2 because SQLite stores 0 and 1 without a byte, and rows of the same size are updated in
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

/// <summary>A header line. Names keep their original case.</summary>
public readonly record struct Header(string Name, string Value)
{
    /// <summary>Bytes of header lines, each with its colon, space and line ending.</summary>
    internal static int BytesOf(IReadOnlyList<Header> headers)
    {
        int bytes = 0;
        for (int i = 0; i < headers.Count; i++)
            bytes += headers[i].Name.Length + headers[i].Value.Length + 4;
        return bytes;
    }
}

/// <summary>A validated send with the final method, URL, headers and body from the harness (A4-A7). <paramref name="Url"/> is absolute http
/// or https, without userinfo and fragment, or names another kind of destination (<see cref="SendKind"/>).</summary>
public sealed record HttpSend(string Method, string Url, IReadOnlyList<Header> Headers, ReadOnlyMemory<byte> Body)
{
    /// <summary>Size of the body, if this copy of the record omits it.</summary>
    public int BodyLeftOut { get; init; }

    /// <summary>This copy of the record omits headers and body.</summary>
    public bool HeadersLeftOut { get; init; }

    /// <summary>Bytes of method, URL, headers and body, counted as in the harness (A9).</summary>
    internal int Bytes => Method.Length + Url.Length + Header.BytesOf(Headers) + Body.Length;

    /// <summary>Adds a header line, unless the name exists.</summary>
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
/// <param name="Destination">Scheme, host and port, such as <c>https://example.com:443</c>; for other kinds the kind, such as
/// <c>email:</c>.</param>
/// <param name="Error">The reason for blocking it, or the error of the last attempt.</param>
/// <param name="Attempts">Number of earlier attempts; set when pending deliveries are read.</param>
/// <param name="Sealed">The encrypted original of a masked <paramref name="Request"/> (C8); set when pending deliveries are read.</param>
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
    /// <summary>Credentials of its run's event, which are masked in the response. Encrypted together with the request (C8).</summary>
    public IReadOnlyList<string> Credentials { get; init; } = [];
}

/// <summary>One attempt of a delivery, as sent and received (C6).</summary>
/// <param name="Number">From 1; a resend continues the numbering.</param>
/// <param name="RequestHeaders">The header lines that were sent, in order. The body is that of the delivery.</param>
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
    /// <summary>Followed redirects, in order (C3). The attempt's request is the first one, its response and addresses are the last ones,
    /// and its timing is the sum.</summary>
    public IReadOnlyList<RedirectHop> Redirects { get; init; } = [];

    /// <summary>Copied from the delivery; not stored.</summary>
    public IReadOnlyList<string> Credentials { get; init; } = [];

    /// <summary>This copy of the record omits the headers of request and response, and the response's body.</summary>
    public bool ContentLeftOut { get; init; }
}

/// <summary>A followed redirect: the request, the status and address of its response, and the new location.</summary>
/// <param name="Location">Absolute, without userinfo and fragment.</param>
public sealed record RedirectHop(string Method, string Url, int Status, string? RemoteAddress, string Location);

/// <summary>The response, complete or not. Header names are lower-case. The body is decoded and truncated (C4).</summary>
/// <param name="BodyIsText">True if the body is valid UTF-8, converted from its declared charset; false for raw bytes.</param>
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
    /// <summary>Stored bytes of the body, if this copy of the record omits them.</summary>
    public int BodyLeftOut { get; init; }
}

/// <summary>The waterfall, in ms; null for phases that did not happen. <paramref name="TotalMs"/> does not include
/// <paramref name="QueueMs"/>.</summary>
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

/// <summary>The error code, its phase, and a message that says what happened and where (C5).</summary>
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

/// <summary>The reasons why an attempt can end without a complete response (C5). The list is complete.</summary>
public enum AttemptErrorCode
{
    /// <summary>The egress policy blocks the address (D1, D2). No connection was made.</summary>
    BlockedByEgressPolicy,

    /// <summary>The name does not exist.</summary>
    DnsNotFound,

    /// <summary>The resolver failed or gave no usable answer.</summary>
    DnsFailed,

    /// <summary>Nothing is listening on that port.</summary>
    ConnectRefused,

    /// <summary>No route to that host or network.</summary>
    ConnectUnreachable,

    /// <summary>The connection could not be made for another reason.</summary>
    ConnectFailed,

    /// <summary>The proxy cannot be reached, refuses the connection, or responds with invalid data. The destination may be
    /// available.</summary>
    ProxyFailed,

    /// <summary>The TLS handshake failed; the message gives the reason.</summary>
    TlsFailed,

    /// <summary>The deadline passed (C1).</summary>
    Timeout,

    /// <summary>The receiver reset the connection.</summary>
    ConnectionReset,

    /// <summary>The receiver closed the connection before the response was complete.</summary>
    ConnectionClosed,

    /// <summary>The response is not HTTP/1.1.</summary>
    InvalidResponse,

    /// <summary>Status line and headers exceeded their limit (C4).</summary>
    ResponseHeadersTooLarge,

    /// <summary>The server stopped during the attempt; the request may have been sent (C7).</summary>
    Interrupted,

    /// <summary>An internal error of Sendoff.</summary>
    Internal,

    /// <summary>The settings of the mail server or object store are missing or incomplete. No connection was made.</summary>
    NotConfigured,
}
