namespace Sendoff.Engine.Deliveries;

/// <summary>How far an attempt has come: its phase, its clock, and what it has seen so far.</summary>
internal sealed class AttemptProgress
{
    readonly TimeProvider time;
    readonly long startedTicks;
    AttemptPhase phase = AttemptPhase.Queue;
    long phaseTicks, writtenTicks;
    double? dnsMs, connectMs, tlsMs, writeMs, waitMs, readMs;

    public AttemptProgress(TimeProvider time)
    {
        this.time = time;
        StartedAt = time.GetUtcNow();
        startedTicks = phaseTicks = time.GetTimestamp();
    }

    public DateTimeOffset StartedAt { get; }
    /// <summary>What is being done, for the message: "timed out after 5,000 ms while …".</summary>
    public string Doing { get; set; } = "starting";
    public Header[] RequestHeaders { get; set; } = [];
    public string? RemoteAddress { get; set; }
    public HttpConnection? Connection { get; set; }
    public bool ConnectionReused { get; set; }
    public ResponseHead? Head { get; set; }
    public ResponseBody? Body { get; set; }
    /// <summary>The body as it is to be stored: decoded, where it is encoded.</summary>
    public BodyCapture? Captured { get; set; }
    public long RequestBytes { get; set; }
    public long RequestBytesWritten;
    /// <summary>The request went out whole before the exchange ended.</summary>
    public bool IsWritten { get; set; }
    public required CancellationTokenSource Deadline { get; init; }
    /// <summary>Set when the server stops, so that it is not taken for the deadline.</summary>
    public volatile bool IsShutDown;

    /// <summary>Writing and waiting overlap; the attempt waits when all is written.</summary>
    public AttemptPhase Phase => phase == AttemptPhase.Write && Volatile.Read(ref writtenTicks) != 0 ? AttemptPhase.Wait : phase;

    public void Enter(AttemptPhase next, string doing)
    {
        // What comes before the first phase, such as a look into the pool, counts with it: the phases add up to the total.
        if (phase != AttemptPhase.Queue) Leave();
        (phase, Doing) = (next, doing);
    }

    /// <summary>The request is on its way. May come from another thread than the rest, while the response is being read.</summary>
    public void SetWritten() => Volatile.Write(ref writtenTicks, time.GetTimestamp());

    void Leave()
    {
        long now = time.GetTimestamp();
        double ms = Ms(phaseTicks, now);
        switch (phase)
        {
            case AttemptPhase.Dns: dnsMs = ms; break;
            case AttemptPhase.Connect: connectMs = ms; break;
            case AttemptPhase.Tls: tlsMs = ms; break;
            case AttemptPhase.Read: readMs = ms; break;
            case AttemptPhase.Write:
                long written = Math.Min(Volatile.Read(ref writtenTicks), now);
                writeMs = Ms(phaseTicks, written == 0 ? now : written);
                if (written != 0 || Head is not null) waitMs = written == 0 ? 0 : Ms(written, now);
                break;
        }
        phaseTicks = now;
    }

    double Ms(long from, long to) => time.GetElapsedTime(from, to).TotalMilliseconds;

    /// <summary>The waterfall. Call once, at the end.</summary>
    public AttemptTiming Finish(double queueMs)
    {
        Leave();
        return new(queueMs, dnsMs, connectMs, tlsMs, writeMs, waitMs, readMs, Ms(startedTicks, phaseTicks));
    }

    /// <summary>What was being done when the attempt was cut off.</summary>
    public string Describe() => Phase switch
    {
        AttemptPhase.Write => $"writing the request ({RequestBytesWritten:N0} of {RequestBytes:N0} bytes written)",
        AttemptPhase.Wait when Connection?.Unread.Length is > 0 and int count => $"reading the response headers ({count:N0} bytes received)",
        AttemptPhase.Wait => "waiting for the response",
        AttemptPhase.Read => $"reading the response body ({Body?.Received ?? 0:N0} bytes received)",
        _ => Doing,
    };
}
