using System.Text;

namespace Sendoff.Engine.Storage;

// The writes of runs and deliveries for every driver: masked (C8), and serialized by the caller's thread instead of the writer.

internal sealed class AcceptWrite(QueuedRun run, Concealment concealment) : StoreWrite(OutageRule.Refuse)
{
    // The event of a replay or of a resumed run is already stored.
    public QueuedRun Run { get; } =
        run.Replay || run.Continues is not null || concealment.Conceal(run.Event) is var received && ReferenceEquals(received, run.Event)
            ? run
            : run with
            {
                Event = received,
            };

    /// <summary>The encrypted resume request.</summary>
    public byte[]? Callback { get; } =
        run.Continues is { Callback.IsEmpty: false } link ? concealment.Cipher.Seal(link.Callback.Span, run.Id.Value) : null;

    /// <summary>False if the workflow is deleted or the due time is claimed; set again when a batch is retried.</summary>
    public bool IsClaimed { get; set; }

    /// <summary>False if the workflow is deleted or the due time is claimed; valid after the commit.</summary>
    public bool IsStored { get; set; }
}

internal sealed class FinishRunWrite : StoreWrite
{
    public FinishRunWrite(Run run, IReadOnlyList<Delivery> deliveries, Concealment concealment)
        : base(OutageRule.Keep)
    {
        var mask = concealment.MaskOf(run, deliveries);
        Steps = StoredJson.Steps(run.Steps);
        bool withSteps = mask.Finds(Steps);
        Run = run.Masked(mask, withSteps);
        if (withSteps)
            Steps = StoredJson.Steps(Run.Steps);
        Error = StoredJson.StepError(Run.Error);
        Response = StoredJson.Response(Run.Response);
        if (run.Source is { } source)
            Kept =
            [
                .. source.Kept.Select(kept =>
                    Seal(StoreName.OfSource(run.WorkflowId, source.Call.Source), kept.Key, kept.Value, concealment)
                ),
            ];
        if (run.Suspension is { } held)
            State = concealment.Cipher.Seal(held.State.Span, held.RunId.Value);
        Deliveries = [.. deliveries.Select(delivery => concealment.Conceal(delivery, mask))];
        Headers = [.. Deliveries.Select(static delivery => StoredJson.Headers(delivery.Request.Headers))];
    }

    static (byte[], byte[]?) Seal(StoreName store, string key, ReadOnlyMemory<byte> json, Concealment concealment) =>
        (Encoding.UTF8.GetBytes(key), json.IsEmpty ? null : concealment.Cipher.Seal(json.Span, store.Seal(key)));

    public Run Run { get; }

    /// <summary>The changed keys of a source's <c>$.service.db</c>, with their encrypted values; null for a deleted key.</summary>
    public (byte[] Key, byte[]? Box)[] Kept { get; } = [];

    /// <summary>False if the workflow is deleted or another server has taken the run over; set again when a batch is retried.</summary>
    public bool IsApplied { get; set; }

    /// <inheritdoc cref="AcceptWrite.IsStored"/>
    public bool IsStored { get; set; }
    public Delivery[] Deliveries { get; }
    public byte[] Steps { get; }
    public byte[]? Error { get; }
    public byte[]? Response { get; }

    /// <summary>The encrypted state of a suspended run.</summary>
    public byte[]? State { get; }
    public byte[]?[] Headers { get; }
}

internal sealed class MarkSendingWrite(IReadOnlyList<DeliveryId> deliveries) : StoreWrite(OutageRule.Keep)
{
    public IReadOnlyList<DeliveryId> Deliveries => deliveries;

    /// <summary>The deliveries that were pending; set again when a batch is retried.</summary>
    public IReadOnlyList<DeliveryId> Marked { get; set; } = [];
}

internal sealed class RecordAttemptWrite : StoreWrite
{
    public RecordAttemptWrite(Attempt attempt, Concealment concealment)
        : base(OutageRule.Keep)
    {
        Attempt = concealment.Conceal(attempt);
        RequestHeaders = StoredJson.Headers(Attempt.RequestHeaders);
        ResponseHeaders = Attempt.Response is { } response ? StoredJson.Headers(response.Headers) : null;
        Error = StoredJson.AttemptError(Attempt.Error);
        Redirects = StoredJson.Redirects(Attempt.Redirects);
    }

    public Attempt Attempt { get; }
    public byte[]? RequestHeaders { get; }
    public byte[]? ResponseHeaders { get; }
    public byte[]? Error { get; }
    public byte[]? Redirects { get; }
}

internal sealed class RecordBlockedWrite(DeliveryId delivery, AttemptError error, Concealment concealment) : StoreWrite(OutageRule.Keep)
{
    public DeliveryId Delivery => delivery;
    public byte[]? Error { get; } = StoredJson.AttemptError(concealment.Conceal(error));
}
