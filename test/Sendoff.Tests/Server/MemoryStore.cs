using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Events;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workflows;

namespace Sendoff.Tests.Server;

/// <summary>A store in memory, for what the server reads. Durability is no concern here.</summary>
sealed class MemoryStore(IdSequence ids, TimeProvider time) : IStore
{
    readonly SortedDictionary<long, Event> events = [];
    readonly SortedDictionary<long, QueuedRun> queued = [];
    readonly SortedDictionary<long, Run> runs = [];
    readonly SortedDictionary<long, StoredDelivery> deliveries = [];
    readonly Dictionary<string, (Workflow Workflow, List<StoredVersion> Versions)> workflows = [];

    /// <summary>Thrown by every call, when set.</summary>
    public Exception? Broken { get; set; }

    public Task AcceptAsync(QueuedRun run, CancellationToken ct)
    {
        events[run.Event.Id.Value] = run.Event;
        queued[run.Id.Value] = run;
        return Task.CompletedTask;
    }

    public Task FinishRunAsync(Run run, IReadOnlyList<Delivery> sends, CancellationToken ct)
    {
        runs[run.Id.Value] = run;
        foreach (var send in sends) deliveries[send.Id.Value] = new(send, Name(send.WorkflowId), []);
        return Task.CompletedTask;
    }

    public Task<IReadOnlyList<DeliveryId>> MarkSendingAsync(IReadOnlyList<DeliveryId> deliveries, CancellationToken ct) => Task.FromResult(deliveries);

    public Task RecordAttemptAsync(Attempt attempt, CancellationToken ct)
    {
        var old = deliveries[attempt.DeliveryId.Value];
        deliveries[attempt.DeliveryId.Value] = new(old.Delivery with { Status = attempt.Status, Error = attempt.Error }, old.WorkflowName, [.. old.Attempts, attempt]);
        return Task.CompletedTask;
    }

    public Task<Delivery?> RequeueAsync(DeliveryId delivery, CancellationToken ct) => throw new NotSupportedException();
    public Task RecordBlockedAsync(DeliveryId delivery, AttemptError error, CancellationToken ct)
    {
        var old = deliveries[delivery.Value];
        deliveries[delivery.Value] = old with { Delivery = old.Delivery with { Status = DeliveryStatus.Blocked, Error = error } };
        return Task.CompletedTask;
    }

    public Task<Workflow> DeployAsync(string name, IReadOnlyDictionary<string, string> files, IReadOnlyList<Trigger> triggers, CancellationToken ct)
    {
        var versions = workflows.TryGetValue(name, out var old) ? old.Versions : [];
        var id = old.Workflow?.Id ?? new WorkflowId(ids.Next());
        versions.Add(new(id, name, versions.Count + 1, time.GetUtcNow(), files));
        var workflow = new Workflow(id, name, versions.Count, true, time.GetUtcNow(), [.. triggers.OfType<HttpTrigger>().Select(t => new TriggerAddress("http", t.Key ?? name))]);
        workflows[name] = (workflow, versions);
        return Task.FromResult(workflow);
    }

    public Task<IReadOnlyList<Workflow>> ListWorkflowsAsync(CancellationToken ct) => Read<IReadOnlyList<Workflow>>([.. workflows.Values.Select(w => w.Workflow)]);
    public Task<Workflow?> GetWorkflowAsync(string name, CancellationToken ct) => Read<Workflow?>(workflows.GetValueOrDefault(name).Workflow);
    public Task<StoredVersion?> GetVersionAsync(WorkflowId workflow, int version, CancellationToken ct) =>
        Read(workflows.Values.First(w => w.Workflow.Id == workflow).Versions.FirstOrDefault(v => v.Number == version));
    public Task<IReadOnlyList<StoredVersion>> ListVersionsAsync(WorkflowId workflow, CancellationToken ct) =>
        Read<IReadOnlyList<StoredVersion>>(workflows.Values.First(w => w.Workflow.Id == workflow).Versions);

    public Task<bool> SetEnabledAsync(string name, bool enabled, CancellationToken ct)
    {
        if (!workflows.TryGetValue(name, out var found)) return Read(false);
        workflows[name] = found with { Workflow = found.Workflow with { Enabled = enabled } };
        return Read(true);
    }

    public Task<bool> DeleteWorkflowAsync(string name, CancellationToken ct) => Read(workflows.Remove(name));

    public Task<StoredRun?> GetRunAsync(RunId run, CancellationToken ct)
    {
        if (runs.TryGetValue(run.Value, out var ended)) return Read<StoredRun?>(new(ended, Name(ended.WorkflowId), [.. deliveries.Values.Where(d => d.Delivery.RunId == run)]));
        return Read(queued.TryGetValue(run.Value, out var waiting) ? new StoredRun(Waiting(waiting), Name(waiting.Event.WorkflowId), []) : null);
    }

    public Task<Page<RunSummary>> ListRunsAsync(RunFilter filter, CancellationToken ct) => Read(Slice(
        queued.Values.Select(q => runs.TryGetValue(q.Id.Value, out var run) ? run : Waiting(q))
            .Where(r => (filter.Workflow is null || Name(r.WorkflowId) == filter.Workflow) && (filter.Status is null || r.Status == filter.Status)),
        r => r.Id.Value, filter.Before, filter.Limit, Summary));

    public Task<StoredDelivery?> GetDeliveryAsync(DeliveryId delivery, CancellationToken ct) => Read(deliveries.GetValueOrDefault(delivery.Value));

    public Task<Page<StoredDelivery>> ListDeliveriesAsync(DeliveryFilter filter, CancellationToken ct) => Read(Slice(
        deliveries.Values.Where(d => (filter.Status is null || d.Delivery.Status == filter.Status) && (filter.Text is null || d.Delivery.Request.Url.Contains(filter.Text))),
        d => d.Delivery.Id.Value, filter.Before, filter.Limit, d => d));

    public Task<Event?> GetEventAsync(EventId id, CancellationToken ct) => Read(events.GetValueOrDefault(id.Value));
    public Task<Page<Event>> ListEventsAsync(EventFilter filter, CancellationToken ct) => Read(Slice(events.Values, e => e.Id.Value, filter.Before, filter.Limit, e => e));
    public Task<IReadOnlyList<UsageRow>> ListUsageAsync(DateOnly since, CancellationToken ct) => Read<IReadOnlyList<UsageRow>>(
        [.. runs.Values.GroupBy(r => r.WorkflowId).Select(g => new UsageRow(since, Name(g.Key), g.Count(), g.Sum(r => r.Compute.TotalMilliseconds), 0, 0))]);
    public Task CheckAsync(CancellationToken ct) => Read(true);

    public Task<int> InterruptSendingAsync(CancellationToken ct) => throw new NotSupportedException();
    public Task<IReadOnlyList<QueuedRun>> ListUnfinishedRunsAsync(int limit, RunId? after, CancellationToken ct) => throw new NotSupportedException();
    public Task<int> StartRecoveredRunAsync(RunId run, CancellationToken ct) => throw new NotSupportedException();
    public Task<IReadOnlyList<string>> ListPendingDestinationsAsync(CancellationToken ct) => throw new NotSupportedException();
    public Task<IReadOnlyList<Delivery>> ListPendingAsync(string destination, DeliveryId? after, int limit, CancellationToken ct) => throw new NotSupportedException();
    public Task<PruneResult> PruneAsync(DateTimeOffset before, long maxBytes, CancellationToken ct) => throw new NotSupportedException();
    public Task<long> SizeBytesAsync(CancellationToken ct) => throw new NotSupportedException();
    public Task<long> HighestIdAsync(CancellationToken ct) => throw new NotSupportedException();
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    Task<T> Read<T>(T value) => Broken is null ? Task.FromResult(value) : Task.FromException<T>(Broken);

    string Name(WorkflowId id) => workflows.Values.First(w => w.Workflow.Id == id).Workflow.Name;

    static Page<TOut> Slice<T, TOut>(IEnumerable<T> all, Func<T, long> key, long? before, int limit, Func<T, TOut> map)
    {
        var rows = all.Where(r => before is null || key(r) < before).OrderByDescending(key).Take(limit + 1).ToList();
        return new([.. rows.Take(limit).Select(map)], rows.Count > limit ? key(rows[limit - 1]) : null);
    }

    static Run Waiting(QueuedRun q) => new(
        q.Id, q.Event.Id, q.Event.WorkspaceId, q.Event.WorkflowId, q.Version, q.Event.Trigger, RunStatus.Queued, q.Event.ReceivedAt, default, default,
        q.Recovered, q.Replay, null, null, null, []);

    RunSummary Summary(Run r)
    {
        var mine = deliveries.Values.Where(d => d.Delivery.RunId == r.Id).ToList();
        return new(r.Id, r.EventId, Name(r.WorkflowId), r.Version, r.Trigger, r.Status, r.StartedAt, r.Duration, r.Message ?? r.Error?.Message, mine.Count,
            mine.Count(d => d.Delivery.Status == DeliveryStatus.Succeeded), mine.Count(d => d.Delivery.Status is DeliveryStatus.Failed or DeliveryStatus.Blocked or DeliveryStatus.Interrupted));
    }
}
