using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Runs;

namespace Sendoff.Engine.Storage;

// The writes of the straight line, as every driver gets them. JSON is made by the caller's thread, not by the one writer.

internal sealed class AcceptWrite(QueuedRun run) : StoreWrite(OutageRule.Refuse)
{
    public QueuedRun Run => run;
    /// <summary>False when the workflow is deleted; known after the commit.</summary>
    public bool IsStored { get; set; }
}

internal sealed class FinishRunWrite(Run run, IReadOnlyList<Delivery> deliveries) : StoreWrite(OutageRule.Keep)
{
    public Run Run => run;
    /// <inheritdoc cref="AcceptWrite.IsStored"/>
    public bool IsStored { get; set; }
    public IReadOnlyList<Delivery> Deliveries => deliveries;
    public byte[] Steps { get; } = StoredJson.Steps(run.Steps);
    public byte[]? Error { get; } = StoredJson.StepError(run.Error);
    public byte[]? Response { get; } = StoredJson.Response(run.Response);
    public byte[]?[] Headers { get; } = [.. deliveries.Select(static delivery => StoredJson.Headers(delivery.Request.Headers))];
}

internal sealed class MarkSendingWrite(IReadOnlyList<DeliveryId> deliveries) : StoreWrite(OutageRule.Keep)
{
    public IReadOnlyList<DeliveryId> Deliveries => deliveries;
    /// <summary>Those that were pending; made anew when a batch is tried again.</summary>
    public IReadOnlyList<DeliveryId> Marked { get; set; } = [];
}

internal sealed class RecordAttemptWrite(Attempt attempt) : StoreWrite(OutageRule.Keep)
{
    public Attempt Attempt => attempt;
    public byte[]? RequestHeaders { get; } = StoredJson.Headers(attempt.RequestHeaders);
    public byte[]? ResponseHeaders { get; } = attempt.Response is { } response ? StoredJson.Headers(response.Headers) : null;
    public byte[]? Error { get; } = StoredJson.AttemptError(attempt.Error);
}

internal sealed class RecordBlockedWrite(DeliveryId delivery, AttemptError error) : StoreWrite(OutageRule.Keep)
{
    public DeliveryId Delivery => delivery;
    public byte[]? Error { get; } = StoredJson.AttemptError(error);
}
