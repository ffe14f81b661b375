namespace Sendoff.Engine.Deliveries;

/// <summary>The progress of an attempt: its phase, its times, and the results so far.</summary>
internal sealed class AttemptProgress
{
    readonly TimeProvider time;
    readonly long startedTicks;
    AttemptPhase phase = AttemptPhase.Queue;
    long phaseTicks,
        writtenTicks;
    List<RedirectHop>? redirects;
    Header[]? firstHeaders;
    double? dnsMs,
        connectMs,
        tlsMs,
        writeMs,
        waitMs,
        readMs;

    public AttemptProgress(TimeProvider time)
    {
        this.time = time;
        StartedAt = time.GetUtcNow();
        startedTicks = phaseTicks = time.GetTimestamp();
    }

    public DateTimeOffset StartedAt { get; }

    /// <summary>The current operation, for the message: "timed out after 5,000 ms while …".</summary>
    public string Doing { get; set; } = "starting";

    /// <summary>The header lines of the current request.</summary>
    public Header[] RequestHeaders { get; set; } = [];
    public string? LocalAddress { get; set; }

    /// <summary>The header lines of the delivery's original request.</summary>
    public Header[] FirstHeaders => firstHeaders ?? RequestHeaders;
    public IReadOnlyList<RedirectHop> Redirects => (IReadOnlyList<RedirectHop>?)redirects ?? [];
    public string? RemoteAddress { get; set; }
    public HttpConnection? Connection { get; set; }
    public bool ConnectionReused { get; set; }
    public ResponseHead? Head { get; set; }
    public ResponseBody? Body { get; set; }

    /// <summary>The response of a destination other than HTTP.</summary>
    public AttemptResponse? Answer { get; set; }

    /// <summary>The body to store, decoded if it was encoded.</summary>
    public BodyCapture? Captured { get; set; }
    public long RequestBytes { get; set; }
    public long RequestBytesWritten;

    /// <summary>The request was sent completely before the exchange ended.</summary>
    public bool IsWritten { get; set; }
    public required CancellationTokenSource Deadline { get; init; }

    /// <summary>Set when the server stops, to distinguish this from the deadline.</summary>
    public volatile bool IsShutDown;

    /// <summary>Writing and waiting overlap; the phase changes to wait when everything is written.</summary>
    public AttemptPhase Phase => phase == AttemptPhase.Write && Volatile.Read(ref writtenTicks) != 0 ? AttemptPhase.Wait : phase;

    public void Enter(AttemptPhase next, string doing)
    {
        // Time before the first phase, such as checking the pool, counts towards it, so that the phases add up to the total.
        if (phase != AttemptPhase.Queue)
            Leave();
        (phase, Doing) = (next, doing);
    }

    /// <summary>Marks the request as sent. May be called from another thread, while the response is being read.</summary>
    public void SetWritten() => Volatile.Write(ref writtenTicks, time.GetTimestamp());

    void Leave()
    {
        long now = time.GetTimestamp();
        double ms = Ms(phaseTicks, now);
        switch (phase)
        {
            case AttemptPhase.Dns:
                Add(ref dnsMs, ms);
                break;
            case AttemptPhase.Connect:
                Add(ref connectMs, ms);
                break;
            case AttemptPhase.Tls:
                Add(ref tlsMs, ms);
                break;
            case AttemptPhase.Read:
                Add(ref readMs, ms);
                break;
            case AttemptPhase.Write:
                long written = Math.Min(Volatile.Read(ref writtenTicks), now);
                Add(ref writeMs, Ms(phaseTicks, written == 0 ? now : written));
                if (written != 0 || Head is not null)
                    Add(ref waitMs, written == 0 ? 0 : Ms(written, now));
                break;
        }
        phaseTicks = now;
    }

    /// <summary>Phases are summed over redirects.</summary>
    static void Add(ref double? sum, double ms) => sum = (sum ?? 0) + ms;

    double Ms(long from, long to) => time.GetElapsedTime(from, to).TotalMilliseconds;

    /// <summary>Continues with the redirected request. The received response remains that of the attempt until the next one
    /// arrives.</summary>
    public void Follow(HttpSend answered, HttpSend next)
    {
        (redirects ??= []).Add(new(answered.Method, answered.Url, Head!.Status, Connection!.RemoteAddress, next.Url));
        Enter(AttemptPhase.Queue, "following a redirect");
        firstHeaders ??= RequestHeaders;
        (Connection, LocalAddress, RemoteAddress, ConnectionReused, IsWritten) = (null, null, null, false, false);
        (RequestBytes, RequestBytesWritten, writtenTicks) = (0, 0, 0);
    }

    /// <summary>Adds to an error the redirects before it, by destination only, because a URL may contain secrets.</summary>
    public AttemptError Located(AttemptError error)
    {
        if (redirects is null)
            return error;
        string to = Destination.TryParse(redirects[^1].Location, out var destination, out _) ? destination.Key : "";
        return error with { Message = $"after {redirects.Count} redirect{(redirects.Count == 1 ? "" : "s")}, at {to}: {error.Message}" };
    }

    /// <summary>The waterfall. Call once, at the end.</summary>
    public AttemptTiming Finish(double queueMs)
    {
        Leave();
        return new(queueMs, dnsMs, connectMs, tlsMs, writeMs, waitMs, readMs, Ms(startedTicks, phaseTicks));
    }

    /// <summary>The operation during which the attempt was aborted.</summary>
    public string Describe() =>
        Phase switch
        {
            AttemptPhase.Write => $"writing the request ({RequestBytesWritten:N0} of {RequestBytes:N0} bytes written)",
            AttemptPhase.Wait when Connection?.Unread.Length is > 0 and int count =>
                $"reading the response headers ({count:N0} bytes received)",
            AttemptPhase.Wait => "waiting for the response",
            AttemptPhase.Read => $"reading the response body ({Body?.Received ?? 0:N0} bytes received)",
            _ => Doing,
        };
}
