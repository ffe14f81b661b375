using System.Text.Json;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Runs;

/// <summary>Makes one attempt for an emitted event (F7): publishes it and starts each listening workflow once.</summary>
/// <remarks>Each part is idempotent, so the delivery continues after a crash without loss or repetition. The response lists the started
/// runs.</remarks>
internal sealed class EmitSender(DeliverySender frame, IStore store, WorkflowCatalog catalog, RunAcceptance runs, EngineLimits limits)
{
    const int Ok = 200,
        TooManyRequests = 429,
        Unavailable = 503,
        LoopDetected = 508,
        MostTries = 20;
    static readonly TimeSpan rest = TimeSpan.FromMilliseconds(150);

    /// <inheritdoc cref="AttemptMaker"/>
    public Task<Attempt> SendAsync(Delivery delivery, int number, double queueMs, CancellationToken shutdown) =>
        frame.AttemptAsync(delivery, number, queueMs, ExchangeAsync, shutdown);

    async Task ExchangeAsync(Delivery delivery, AttemptProgress progress, CancellationToken ct)
    {
        // Events from workers are validated; one stored by an earlier version may not be JSON, and its runs could not start.
        if (!JsonSyntax.IsValue(delivery.Request.Body.Span))
            throw new WireException(AttemptErrorCode.Internal, "the emitted event is not JSON; no workflow was started");
        progress.Enter(AttemptPhase.Write, "");
        bool isOfSource = SendKinds.KindOf(delivery.Request.Url) == SendKind.Source;
        if (!isOfSource)
            await store.PublishAsync(delivery.Id, 0, limits.PublishedKept, CancellationToken.None).ConfigureAwait(false);
        progress.SetWritten();
        string channel = SendKinds.ChannelOf(delivery.Request.Url);
        var listeners = isOfSource ? await OwnAsync(delivery, ct).ConfigureAwait(false) : catalog.ListenersTo(delivery.WorkflowId, channel);
        var content = isOfSource ? SourceEvents.EventOf(delivery.Request.Body) : delivery.Request.Body;
        int hops = 1 + await RetryAsync(() => store.CountHopsAsync(delivery.RunId, CancellationToken.None), ct).ConfigureAwait(false);
        var starts = new List<EmitStart>();
        int status = Ok;
        foreach (var listener in listeners)
        {
            var start =
                hops > limits.EmitHops
                    ? new EmitStart(
                        listener.Name,
                        null,
                        LoopDetected,
                        $"{limits.EmitHops:N0} workflows have started one another by emitting, "
                            + "which looks like a loop, so it ends here (setting Emit:MaxHops)"
                    )
                    : await StartAsync(listener, delivery, content, hops, ct).ConfigureAwait(false);
            starts.Add(start);
            status = Math.Max(status, start.Status);
        }
        byte[] body = Describe(channel, starts);
        progress.Answer = new(status, "", [new("content-type", "application/json")], body, BodyIsText: true, body.Length, Truncated: false);
    }

    // A short outage of the store does not fail an emitted event. Each event starts a run once, even if it is tried several times.
    static async Task<T> RetryAsync<T>(Func<Task<T>> call, CancellationToken ct)
    {
        for (int i = 1; ; i++)
        {
            try
            {
                return await call().ConfigureAwait(false);
            }
            catch (StoreUnavailableException) when (i < MostTries && !ct.IsCancellationRequested)
            {
                await Task.Delay(rest, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    // K2: an event of a source starts the source's workflow, also if it is disabled meanwhile.
    async Task<IReadOnlyList<WorkflowVersion>> OwnAsync(Delivery delivery, CancellationToken ct) =>
        await RetryAsync(() => catalog.FindCurrentAsync(delivery.WorkflowId, CancellationToken.None).AsTask(), ct).ConfigureAwait(false)
            is { } current
            ? [current.Version]
            : [];

    async Task<EmitStart> StartAsync(
        WorkflowVersion listener,
        Delivery delivery,
        ReadOnlyMemory<byte> content,
        int hops,
        CancellationToken ct
    )
    {
        try
        {
            var accepted = await RetryAsync(
                    () =>
                        runs.AcceptAsync(listener, EmitTrigger.TypeName, content, CancellationToken.None, emitted: new(delivery.Id, hops)),
                    ct
                )
                .ConfigureAwait(false);
            return new(
                listener.Name,
                accepted?.Run.Id,
                Ok,
                accepted is null ? "this event has already started it, or it is deleted" : null
            );
        }
        catch (RunQueueFullException x)
        {
            return new(listener.Name, null, TooManyRequests, $"{x.Message}; a resend starts the remaining ones");
        }
        catch (StoreUnavailableException x)
        {
            return new(listener.Name, null, Unavailable, $"{x.Message}; a resend starts the remaining ones");
        }
    }

    sealed record EmitStart(string Workflow, RunId? Run, int Status, string? Message);

    static byte[] Describe(string channel, List<EmitStart> starts)
    {
        var output = new System.Buffers.ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(output, new JsonWriterOptions { Encoder = PlainJsonEncoder.Instance });
        json.WriteStartObject();
        json.WriteString("channel", channel);
        json.WriteStartArray("listeners");
        foreach (var (workflow, run, _, message) in starts)
        {
            json.WriteStartObject();
            json.WriteString("workflow", workflow);
            json.WriteString("run", run?.ToString());
            if (message is not null)
                json.WriteString("message", message);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
        json.Flush();
        return output.WrittenSpan.ToArray();
    }
}
