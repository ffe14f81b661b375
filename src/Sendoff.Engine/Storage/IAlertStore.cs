namespace Sendoff.Engine.Storage;

/// <summary>Alert rules and their state.</summary>
public interface IAlertStore
{
    /// <summary>Lists rules by name.</summary>
    Task<IReadOnlyList<AlertRule>> ListAlertsAsync(CancellationToken ct);

    /// <summary>Stores a rule, and replaces the one with the same id.</summary>
    Task SaveAlertAsync(AlertRule rule, CancellationToken ct);

    /// <summary>Deletes a rule and its state. Returns false if it does not exist.</summary>
    Task<bool> DeleteAlertAsync(AlertId alert, CancellationToken ct);

    /// <summary>Lists the states, without those of deleted workflows.</summary>
    Task<IReadOnlyList<AlertState>> ListAlertStatesAsync(CancellationToken ct);
    Task SaveAlertStatesAsync(IReadOnlyList<AlertState> states, CancellationToken ct);

    /// <summary>Commits a message as the event, the run and the delivery of <see cref="SystemWorkflow.Alerts"/>, together with the new
    /// state of its rule: all or nothing. Returns false and stores nothing if the rule is deleted.</summary>
    /// <param name="told">Null for a test.</param>
    Task<bool> TellAsync(AlertState? told, Event received, Run run, IReadOnlyList<Delivery> deliveries, CancellationToken ct);

    /// <summary>Deliveries that are pending below an id, by workflow, without those of alerts. Reads at most <paramref name="limit"/>
    /// deliveries.</summary>
    Task<IReadOnlyList<PendingBacklog>> ListBacklogAsync(DeliveryId before, int limit, CancellationToken ct);
}
