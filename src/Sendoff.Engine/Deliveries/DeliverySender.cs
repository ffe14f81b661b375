using System.Buffers;
using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Sendoff.Engine.Secrets;

namespace Sendoff.Engine.Deliveries;

/// <summary>One exchange of an attempt: records its results, and throws on errors.</summary>
internal delegate Task AttemptExchange(Delivery delivery, AttemptProgress progress, CancellationToken ct);

/// <summary>Makes one attempt of a delivery over HTTP and returns the result. Does not throw for network errors.</summary>
/// <remarks>
/// (1) resolve and check egress, (2) connect, or reuse a connection that was checked when it was opened, (3) write the request,
/// (4) read the head, (5) read the body, bounded, (6) classify and record. One absolute deadline applies to all steps (C1): it closes the
/// connection, so that pending operations fail. A request is written once, on one connection: no code writes it again (C2). If a setting
/// allows redirects, (1) to (5) are repeated for the redirected request (C3).
/// </remarks>
public sealed class DeliverySender : IDisposable
{
    const int MaxInterimResponses = 16,
        WriteSize = 64 * 1024;

    readonly EngineLimits limits;
    readonly TimeProvider time;
    readonly EgressOptions egress;
    readonly Func<WorkflowId, string?> nameOf;
    readonly ConnectionDialer dialer;
    readonly ConnectionPool pool;
    readonly ConcurrentBag<CancellationTokenSource> deadlines = [];
    readonly AttemptExchange exchangeHttp;

    /// <summary>The error of a delivery with a URL that the harness does not accept.</summary>
    internal static readonly AttemptError UnusableUrl = new(
        AttemptErrorCode.Internal,
        AttemptPhase.Queue,
        "the URL is not one that can be sent; no connection was made"
    );

    /// <param name="nameOf">A workflow's name, for its own egress rules (D2); null if it is deleted.</param>
    public DeliverySender(EgressOptions egress, EngineLimits limits, TimeProvider time, Func<WorkflowId, string?>? nameOf = null)
        : this(egress, limits, time, roots: egress.Authorities, nameOf: nameOf) { }

    /// <param name="roots">Additional trusted certificates.</param>
    /// <param name="names">Null uses the system's resolver.</param>
    internal DeliverySender(
        EgressOptions egress,
        EngineLimits limits,
        TimeProvider time,
        X509Certificate2Collection? roots,
        NameResolver? names = null,
        Func<WorkflowId, string?>? nameOf = null
    )
    {
        (this.egress, this.limits, this.time, this.nameOf) = (egress, limits, time, nameOf ?? (static _ => ""));
        exchangeHttp = limits.DeliveryMaxRedirects > 0 ? ExchangeAndFollowAsync : ExchangeAsync;
        pool = new ConnectionPool(limits, time);
        Tls = new TlsHandshake(roots);
        dialer = new ConnectionDialer(names ?? new NameResolver(limits), egress.Proxy, Tls, limits, time);
    }

    /// <summary>Creates TLS sessions.</summary>
    internal TlsHandshake Tls { get; }

    /// <param name="number">The attempt's number, from 1.</param>
    /// <param name="queueMs">Time in the queue before this call.</param>
    /// <param name="shutdown">Aborts the attempt, which ends as interrupted.</param>
    public Task<Attempt> SendAsync(Delivery delivery, int number, double queueMs, CancellationToken shutdown) =>
        AttemptAsync(delivery, number, queueMs, exchangeHttp, shutdown);

    /// <summary>The common part of all kinds of exchanges: deadline, errors and record.</summary>
    internal async Task<Attempt> AttemptAsync(
        Delivery delivery,
        int number,
        double queueMs,
        AttemptExchange exchange,
        CancellationToken shutdown
    )
    {
        var deadline = StartDeadline();
        var progress = new AttemptProgress(time) { Deadline = deadline };
        AttemptError? error = null;
        using (shutdown.UnsafeRegister(static progress => CutOff((AttemptProgress)progress!), progress))
        {
            try
            {
                await exchange(delivery, progress, deadline.Token).ConfigureAwait(false);
            }
            catch (Exception e)
            {
                error = progress.Located(Classify(e, progress, deadline.IsCancellationRequested));
            }
        }
        Release(progress, error is null && !deadline.IsCancellationRequested);
        EndDeadline(deadline);
        return Record(delivery, number, queueMs, progress, error);
    }

    /// <summary>The attempt of a delivery whose original cannot be decrypted. No connection is made.</summary>
    public Attempt Unreadable(Delivery delivery, int number, double queueMs, SealedException reason)
    {
        using var none = new CancellationTokenSource();
        var error = new AttemptError(
            AttemptErrorCode.Internal,
            AttemptPhase.Queue,
            $"the content of this delivery is encrypted: {reason.Message} and resend it"
        );
        return Record(delivery, number, queueMs, new AttemptProgress(time) { Deadline = none }, error);
    }

    static void CutOff(AttemptProgress progress)
    {
        progress.IsShutDown = true;
        progress.Deadline.Cancel();
    }

    async Task ExchangeAndFollowAsync(Delivery delivery, AttemptProgress progress, CancellationToken ct)
    {
        await ExchangeAsync(delivery, progress, ct).ConfigureAwait(false);
        await FollowAsync(delivery, progress, ct).ConfigureAwait(false);
    }

    async Task ExchangeAsync(Delivery delivery, AttemptProgress progress, CancellationToken ct)
    {
        var send = delivery.Request;
        if (!Destination.TryParse(send.Url, out var destination, out int target))
            throw new WireException(UnusableUrl.Code, UnusableUrl.Message);

        // (1) and (2)
        var connection = await ConnectAsync(destination, delivery.WorkflowId, progress, ct).ConfigureAwait(false);
        using var abort = ct.UnsafeRegister(static state => ((HttpConnection)state!).Abort(), connection);

        // (3) Reading begins before writing has ended, because a receiver may reject a large body without reading it.
        progress.RequestHeaders = RequestWriter.BuildHeaders(send, destination);
        var (rented, head, length) = RequestWriter.Serialize(send, target, progress.RequestHeaders);
        progress.RequestBytes = head + send.Body.Length;
        progress.Enter(AttemptPhase.Write, "");
        var writing = WriteAsync(connection, rented, length, length == head ? send.Body : default, progress);

        // (4)
        progress.Head = await ReadHeadAsync(connection, writing).ConfigureAwait(false);

        // (5)
        progress.Enter(AttemptPhase.Read, "");
        progress.Body = new ResponseBody(connection, progress.Head, send.Method, limits);
        try
        {
            await ReadBodyAsync(progress).ConfigureAwait(false);
        }
        finally
        {
            // An early response ends the exchange; the rest of the request is not written.
            progress.IsWritten = writing.IsCompletedSuccessfully && writing.Result is null;
            if (!writing.IsCompleted)
                connection.Abort();
            await writing.ConfigureAwait(false);
        }
    }

    /// <summary>A connection to a destination, with the workflow's rules and the next local address: an idle one or a new one.</summary>
    async ValueTask<HttpConnection> ConnectAsync(Destination to, WorkflowId workflow, AttemptProgress progress, CancellationToken ct)
    {
        var route = new Route(to, egress.Policies.Of(nameOf(workflow)), egress.Addresses.Next(to.Key));
        var connection = pool.Take(route);
        progress.ConnectionReused = connection is not null;
        return progress.Connection = connection ?? await dialer.DialAsync(route, progress, ct).ConfigureAwait(false);
    }

    /// <summary>A new connection for an exchange other than HTTP, closed at the end of the attempt.</summary>
    internal async Task<HttpConnection> DialAsync(Destination to, WorkflowId workflow, AttemptProgress progress, CancellationToken ct)
    {
        var route = new Route(to, egress.Policies.Of(nameOf(workflow)), egress.Addresses.Next(to.Key));
        return progress.Connection = await dialer.DialAsync(route, progress, ct).ConfigureAwait(false);
    }

    /// <summary>C3: each hop is checked, sent and recorded like the first request, with the same deadline. The last 3xx is the
    /// response.</summary>
    async Task FollowAsync(Delivery delivery, AttemptProgress progress, CancellationToken ct)
    {
        for (int left = limits.DeliveryMaxRedirects; left > 0 && Redirect.Next(delivery.Request, progress.Head!) is { } next; left--)
        {
            Release(progress, !ct.IsCancellationRequested);
            progress.Follow(delivery.Request, next);
            delivery = delivery with { Request = next };
            await ExchangeAsync(delivery, progress, ct).ConfigureAwait(false);
        }
    }

    /// <summary>Writes head and body. Returns an error instead of throwing, because a response may make it irrelevant.</summary>
    static async Task<Exception?> WriteAsync(
        HttpConnection connection,
        byte[] rented,
        int length,
        ReadOnlyMemory<byte> rest,
        AttemptProgress progress
    )
    {
        try
        {
            await connection.WriteAsync(rented.AsMemory(0, length)).ConfigureAwait(false);
            progress.RequestBytesWritten = length;
            for (; !rest.IsEmpty; rest = rest[Math.Min(WriteSize, rest.Length)..])
            {
                await connection.WriteAsync(rest[..Math.Min(WriteSize, rest.Length)]).ConfigureAwait(false);
                progress.RequestBytesWritten += Math.Min(WriteSize, rest.Length);
            }
            progress.SetWritten();
            return null;
        }
        catch (Exception e)
        {
            return e;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    async ValueTask<ResponseHead> ReadHeadAsync(HttpConnection connection, Task<Exception?> writing)
    {
        try
        {
            return await ReadHeadAsync(connection).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // A TLS 1.3 alert after the handshake is the cause of all later errors.
            bool isRefused = TlsFault.ReasonOf(e) is not null;
            bool stillWriting = !writing.IsCompleted;
            if (stillWriting)
                connection.Abort();
            // If a write failed first, it is the cause of the missing response.
            bool isMissing = e is not WireException { Code: not AttemptErrorCode.ConnectionClosed };
            // A reset is reported to only one of reader and writer; the other sees the end of the stream.
            if (await writing.ConfigureAwait(false) is { } fault && !isRefused && isMissing && (!stillWriting || IsReset(fault)))
                throw fault;
            throw;
        }
    }

    async ValueTask<ResponseHead> ReadHeadAsync(HttpConnection connection)
    {
        int interim = 0;
        while (true)
        {
            if (!connection.Unread.IsEmpty && ResponseHead.TryParse(connection.Unread.Span, limits, out var head, out int used))
            {
                connection.Take(used);
                if (head!.Status >= 200)
                    return head;
                // 100, 102 and 103 are interim responses; 101 would be another protocol, which was not requested.
                if (head.Status == 101 || ++interim > MaxInterimResponses)
                    throw new WireException(
                        AttemptErrorCode.InvalidResponse,
                        head.Status == 101
                            ? "the receiver switched protocols without being asked"
                            : "the receiver sent too many interim responses"
                    );
                continue;
            }
            if (await connection.ReadAsync(limits.ResponseHeaderBytes).ConfigureAwait(false) == 0)
            {
                string when = connection.Unread.IsEmpty
                    ? "before it responded"
                    : $"in the middle of the headers ({connection.Unread.Length:N0} bytes received)";
                throw new WireException(AttemptErrorCode.ConnectionClosed, $"the receiver closed the connection {when}");
            }
        }
    }

    async ValueTask ReadBodyAsync(AttemptProgress progress)
    {
        var body = progress.Body!;
        string[]? codings = BodyDecoder.CodingsOf(progress.Head!.ContentEncoding);
        var raw = progress.Captured = new BodyCapture(limits.DeliveryBodyCapture, body.DeclaredLength);
        if (codings is { Length: > 0 } && !body.IsComplete)
        {
            var wire = new ResponseBodyStream(body, raw);
            progress.Captured = new BodyCapture(limits.DeliveryBodyCapture);
            // C4: a body that does not decode is stored raw and still counted to its end.
            if (
                !await BodyDecoder
                    .DecodeAsync(codings, wire, progress.Captured, limits.DeliveryBodyRead, progress.Deadline.Token)
                    .ConfigureAwait(false)
            )
                progress.Captured = raw;
            if (wire.Fault is { } fault)
                throw fault;
            if (progress.Captured.Total >= limits.DeliveryBodyRead)
            {
                body.Abandon();
                return;
            }
        }
        while (!body.IsSpent)
        {
            var piece = await body.NextAsync().ConfigureAwait(false);
            if (piece.IsEmpty)
                return;
            raw.Add(piece.Span);
        }
    }

    /// <summary>Keeps the connection if the exchange is complete in both directions; otherwise closes it.</summary>
    void Release(AttemptProgress progress, bool isWell)
    {
        if (progress.Connection is not { } connection)
            return;
        bool keep = isWell && progress is { IsWritten: true, Head.KeepAlive: true, Body: { IsComplete: true, EndsConnection: false } };
        if (keep)
            pool.Return(connection, progress.Head!.KeepAliveSeconds);
        else
            connection.Dispose();
    }

    AttemptError Classify(Exception e, AttemptProgress progress, bool isCutOff)
    {
        var phase = progress.Phase;
        if (isCutOff)
        {
            return progress.IsShutDown
                ? new(
                    AttemptErrorCode.Interrupted,
                    phase,
                    $"the server stopped while {progress.Describe()}; the request may have been sent"
                )
                : new(
                    AttemptErrorCode.Timeout,
                    phase,
                    $"timed out after {limits.DeliveryDeadline.TotalMilliseconds:N0} ms while {progress.Describe()}"
                );
        }
        string reused = progress.ConnectionReused ? " on a kept-alive connection" : "";
        return e switch
        {
            WireException wire => new(wire.Code, phase, wire.Message + (wire.Code == AttemptErrorCode.ConnectionClosed ? reused : "")),
            IOException when TlsFault.ReasonOf(e) is { } reason => new(
                AttemptErrorCode.TlsFailed,
                phase,
                $"the receiver ended the TLS session while {progress.Describe()}: {reason}"
            ),
            IOException { InnerException: SocketException socket } => FromSocket(socket, reused, progress),
            SocketException socket => FromSocket(socket, reused, progress),
            IOException => new(
                AttemptErrorCode.ConnectionClosed,
                phase,
                $"the connection broke{reused} while {progress.Describe()}: {e.Message}"
            ),
            _ => new(AttemptErrorCode.Internal, phase, $"{e.GetType().Name} while {progress.Describe()}: {e.Message}"),
        };
    }

    static AttemptError FromSocket(SocketException e, string reused, AttemptProgress progress) =>
        IsReset(e)
            ? new(
                AttemptErrorCode.ConnectionReset,
                progress.Phase,
                $"the receiver reset the connection{reused} while {progress.Describe()}"
            )
            : new(
                AttemptErrorCode.ConnectionClosed,
                progress.Phase,
                $"the connection broke{reused} while {progress.Describe()}: {e.Message}"
            );

    static bool IsReset(Exception e) =>
        (e as SocketException ?? e.InnerException as SocketException)?.SocketErrorCode
            is SocketError.ConnectionReset
                or SocketError.ConnectionAborted
                or SocketError.Shutdown;

    /// <summary>(6)</summary>
    static Attempt Record(Delivery delivery, int number, double queueMs, AttemptProgress progress, AttemptError? error)
    {
        var response = ResponseOf(progress, error);
        var status = error?.Code switch
        {
            // Blocked means that nothing was sent; after a redirect, a request was sent.
            AttemptErrorCode.BlockedByEgressPolicy when progress.Redirects.Count == 0 => DeliveryStatus.Blocked,
            AttemptErrorCode.NotConfigured => DeliveryStatus.Blocked,
            AttemptErrorCode.Interrupted => DeliveryStatus.Interrupted,
            // C3: a status other than 2xx is a failure without an error.
            null when response!.Status is >= 200 and < 300 => DeliveryStatus.Succeeded,
            _ => DeliveryStatus.Failed,
        };
        return new Attempt(
            delivery.Id,
            number,
            progress.StartedAt,
            status,
            progress.FirstHeaders,
            response,
            error,
            progress.Finish(queueMs),
            progress.Connection?.LocalAddress ?? progress.LocalAddress,
            progress.Connection?.RemoteAddress ?? progress.RemoteAddress,
            progress.ConnectionReused
        )
        {
            Redirects = progress.Redirects,
            Credentials = delivery.Credentials,
        };
    }

    static AttemptResponse? ResponseOf(AttemptProgress progress, AttemptError? error)
    {
        if (progress is not { Head: { } head, Body: { } body })
            return progress.Answer;
        bool isPartial = error is not null || !body.IsComplete;
        var (bytes, isText, isCut) = progress.Captured?.ToStored(head.ContentType, isPartial) ?? (default, true, false);
        bool truncated = isCut || (error is null && !body.IsComplete);
        return new(head.Status, head.HttpVersion, head.Headers, bytes, isText, body.Received, truncated);
    }

    CancellationTokenSource StartDeadline()
    {
        if (!deadlines.TryTake(out var deadline))
            return new(limits.DeliveryDeadline, time);
        deadline.CancelAfter(limits.DeliveryDeadline);
        return deadline;
    }

    void EndDeadline(CancellationTokenSource deadline)
    {
        if (deadline.TryReset())
            deadlines.Add(deadline);
        else
            deadline.Dispose();
    }

    public void Dispose() => pool.Dispose();
}
