namespace Sendoff.Engine.Model;

/// <summary>The causes of an alert.</summary>
/// <remarks>The numbers are stored.</remarks>
[Flags]
public enum AlertCauses
{
    None = 0,

    /// <summary>A run failed, timed out or ran out of memory.</summary>
    RunFailed = 1,

    /// <summary>A delivery failed or was blocked.</summary>
    DeliveryFailed = 2,

    /// <summary>Deliveries have been pending for too long, or too many runs are queued.</summary>
    Backlog = 4,
}

/// <summary>How a message is sent: as an email, as JSON to a URL, or as <c>{ "text": … }</c> to a Slack-compatible URL.</summary>
/// <remarks>The numbers are stored.</remarks>
public enum AlertKind
{
    Email = 2,
    Webhook = 3,
    Slack = 4,
}

/// <summary>An alert rule: what to watch, and where to send messages.</summary>
/// <param name="Workflow">Name of the workflow; null for all workflows.</param>
/// <param name="Target">Email addresses (empty for <c>Smtp:To</c>), or one URL.</param>
/// <param name="Quiet">Time after a message during which further failures of the same workflow are counted, to be reported in one
/// message.</param>
/// <param name="Recovered">Also send a message on recovery.</param>
/// <param name="BacklogAge">A delivery that is pending for longer is a backlog; null for <see
/// cref="EngineLimits.AlertBacklogAge"/>.</param>
/// <param name="BacklogRuns">More queued runs of a workflow are a backlog; null for <see cref="EngineLimits.AlertBacklogRuns"/>.</param>
public sealed record AlertRule(
    AlertId Id,
    string Name,
    string? Workflow,
    AlertCauses Causes,
    AlertKind Kind,
    IReadOnlyList<string> Target,
    TimeSpan Quiet,
    bool Recovered,
    TimeSpan? BacklogAge = null,
    int? BacklogRuns = null
)
{
    /// <summary>The URL without its secret parts (C8): the path of a Slack URL, and any query. Null for an email.</summary>
    public string? ShownUrl
    {
        get
        {
            if (Kind == AlertKind.Email || Target.Count == 0)
                return null;
            var url = new Uri(Target[0]);
            string shown = url.GetLeftPart(Kind == AlertKind.Slack ? UriPartial.Authority : UriPartial.Path);
            return shown == Target[0] ? shown : shown + "…";
        }
    }
}

/// <summary>The state of a rule for a workflow: reported failures and later counts.</summary>
/// <param name="QuietUntil">Failures until this time are only counted.</param>
/// <param name="ToldAt">Time of the last message; <see cref="DateTimeOffset.UnixEpoch"/> if there was none.</param>
/// <param name="Failing">Reported causes that have not ended.</param>
/// <param name="Over">Causes that have ended without a recovery message yet.</param>
/// <param name="Runs">Failed runs that were not reported.</param>
/// <param name="Deliveries">Failed deliveries that were not reported.</param>
/// <param name="Backlogs">Backlogs that were not reported.</param>
/// <param name="Run">The last run that failed.</param>
/// <param name="Delivery">The last delivery that failed.</param>
public sealed record AlertState(
    AlertId Alert,
    WorkflowId Workflow,
    DateTimeOffset QuietUntil,
    DateTimeOffset ToldAt,
    AlertCauses Failing = AlertCauses.None,
    AlertCauses Over = AlertCauses.None,
    int Runs = 0,
    int Deliveries = 0,
    int Backlogs = 0,
    RunId? Run = null,
    DeliveryId? Delivery = null
)
{
    /// <summary>Failures that were not reported.</summary>
    public AlertCauses Counted =>
        (Runs > 0 ? AlertCauses.RunFailed : 0)
        | (Deliveries > 0 ? AlertCauses.DeliveryFailed : 0)
        | (Backlogs > 0 ? AlertCauses.Backlog : 0);

    /// <summary>The initial state, without failures.</summary>
    public static AlertState Of(AlertId alert, WorkflowId workflow) =>
        new(alert, workflow, DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch);

    /// <summary>Adds failures. A cause that fails again has not ended.</summary>
    public AlertState With(AlertCauses cause, int count, RunId? run, DeliveryId? delivery) =>
        this with
        {
            Runs = Runs + (cause == AlertCauses.RunFailed ? count : 0),
            Deliveries = Deliveries + (cause == AlertCauses.DeliveryFailed ? count : 0),
            Backlogs = Backlogs + (cause == AlertCauses.Backlog ? count : 0),
            Run = cause == AlertCauses.RunFailed ? run : Run,
            Delivery = cause == AlertCauses.DeliveryFailed ? delivery : Delivery,
            Over = Over & ~cause,
        };

    /// <summary>Marks a cause as ended, if it was or will be reported.</summary>
    public AlertState WithOver(AlertCauses cause) => ((Failing | Counted) & cause) == 0 ? this : this with { Over = Over | cause };

    /// <summary>Whether a message is due: counted failures after the quiet time, and recovery immediately unless failures were
    /// counted.</summary>
    public bool IsDue(DateTimeOffset now) =>
        now >= QuietUntil ? Counted != 0 || (Failing & Over) != 0 : Counted == 0 && (Failing & Over) != 0;

    /// <summary>The state after a message that reports everything.</summary>
    public AlertState Told(DateTimeOffset now, TimeSpan quiet) =>
        this with
        {
            QuietUntil = Counted != 0 ? now + quiet : QuietUntil,
            ToldAt = now,
            Failing = (Failing | Counted) & ~Over,
            Over = AlertCauses.None,
            Runs = 0,
            Deliveries = 0,
            Backlogs = 0,
        };
}

/// <summary>A workflow's deliveries that have been pending for too long.</summary>
/// <param name="Deliveries">Their number, among the deliveries that were read.</param>
public sealed record PendingBacklog(WorkflowId Workflow, int Deliveries, DeliveryId Oldest);
