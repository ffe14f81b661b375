using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Secrets;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Alerts;

/// <summary>Sends the messages of alerts: each is a delivery of a run of <see cref="SystemWorkflow.Alerts"/>, recorded and sent like any
/// other.</summary>
public sealed class AlertSender(IStore store, DeliveryDispatcher dispatcher, EngineContext engine, Concealment concealment, string origin)
{
    internal string Origin => origin;

    /// <summary>Sends a message to a rule's target regardless of its state. Returns the run of the message.</summary>
    public async Task<RunId> TestAsync(AlertRule rule, CancellationToken ct) =>
        (await SendAsync(AlertMessage.Test(rule, origin), null, ct).ConfigureAwait(false))!.Value;

    /// <summary>Commits a message with the new state of its rule, and sends it. Returns null and sends nothing if the rule is
    /// deleted.</summary>
    internal async Task<RunId?> SendAsync(AlertMessage message, AlertState? told, CancellationToken ct)
    {
        var now = engine.Time.GetUtcNow();
        var received = new Event(
            new(engine.Ids.Next()),
            WorkspaceId.Default,
            SystemWorkflow.Alerts,
            SystemWorkflow.AlertTrigger,
            now,
            message.Fields(now)
        );
        var run = new Run(
            new(engine.Ids.Next()),
            received.Id,
            WorkspaceId.Default,
            SystemWorkflow.Alerts,
            0,
            SystemWorkflow.AlertTrigger,
            RunStatus.Succeeded,
            now,
            TimeSpan.Zero,
            TimeSpan.Zero,
            false,
            false,
            null,
            message.Subject,
            null,
            [new("message", 0, StepStatus.Succeeded, 0, default, default, [], [], null)]
        )
        {
            Credentials = CredentialsOf(message.Rule),
        };
        Delivery[] deliveries = [DeliveryOf(message, run)];
        if (!await dispatcher.CommitAsync(deliveries, () => store.TellAsync(told, received, run, deliveries, ct)).ConfigureAwait(false))
            return null;
        engine.Changes.Publish(run);
        return run.Id;
    }

    Delivery DeliveryOf(AlertMessage message, Run run)
    {
        var id = new DeliveryId(engine.Ids.Next());
        byte[] body = message.Body(run.StartedAt);
        var send =
            message.Rule.Kind == AlertKind.Email
                ? new HttpSend("SEND", "email:", [], body)
                : new HttpSend("POST", message.Rule.Target[0], [new("content-type", "application/json")], body);
        string to = Destination.Of(send.Url, run.WorkflowId);
        return new(id, run.Id, run.WorkspaceId, run.WorkflowId, 0, 0, concealment.Mask.Url(to), send, DeliveryStatus.Pending)
        {
            Credentials = run.Credentials,
        };
    }

    // C8: such a URL gives permission to post: the path of a Slack URL, and the query of any.
    static IReadOnlyList<string> CredentialsOf(AlertRule rule)
    {
        if (rule.Kind == AlertKind.Email)
            return [];
        var url = new Uri(rule.Target[0]);
        string[] parts = rule.Kind == AlertKind.Slack ? [url.AbsolutePath.Trim('/'), url.Query.TrimStart('?')] : [url.Query.TrimStart('?')];
        return [.. parts.Where(static part => part.Length >= SecretMask.Shortest)];
    }
}
