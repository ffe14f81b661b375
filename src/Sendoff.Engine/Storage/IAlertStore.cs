namespace Sendoff.Engine.Storage;

/// <summary>Whom to tell what goes wrong, and what was told.</summary>
public interface IAlertStore
{
    /// <summary>By name.</summary>
    Task<IReadOnlyList<AlertRule>> ListAlertsAsync(CancellationToken ct);

    /// <summary>Stores a rule, in place of the one with its id.</summary>
    Task SaveAlertAsync(AlertRule rule, CancellationToken ct);

    /// <summary>Removes a rule and what it has told. Returns false if there is none.</summary>
    Task<bool> DeleteAlertAsync(AlertId alert, CancellationToken ct);

    /// <summary>Without those of deleted workflows.</summary>
    Task<IReadOnlyList<AlertState>> ListAlertStatesAsync(CancellationToken ct);
    Task SaveAlertStatesAsync(IReadOnlyList<AlertState> states, CancellationToken ct);

    /// <summary>Commits a message as the event, the run and the delivery of <see cref="SystemWorkflow.Alerts"/>, together with what its
    /// rule has told by it: all or nothing. Returns false if the rule is gone; then nothing is stored.</summary>
    /// <param name="told">Null is a test.</param>
    Task<bool> TellAsync(AlertState? told, Event received, Run run, IReadOnlyList<Delivery> deliveries, CancellationToken ct);

    /// <summary>Deliveries that are pending below an id, by workflow, without those of alerts. It looks at <paramref name="limit"/>
    /// deliveries at most.</summary>
    Task<IReadOnlyList<PendingBacklog>> ListBacklogAsync(DeliveryId before, int limit, CancellationToken ct);
}
