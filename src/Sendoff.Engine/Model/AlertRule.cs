namespace Sendoff.Engine.Model;

/// <summary>What an alert tells of.</summary>
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

/// <summary>How a message is sent: as an email, as JSON to a URL, or as <c>{ "text": … }</c> to a URL, which Slack and its likes
/// take.</summary>
/// <remarks>The numbers are stored.</remarks>
public enum AlertKind
{
    Email = 2,
    Webhook = 3,
    Slack = 4,
}

/// <summary>Whom to tell what goes wrong.</summary>
/// <param name="Workflow">Its name; null for all.</param>
/// <param name="Target">Addresses of an email, none for <c>Smtp:To</c>; else one URL.</param>
/// <param name="Quiet">After a message, how long further failures of the same workflow are counted before they are told in one
/// message.</param>
/// <param name="Recovered">Tell when it is over, too.</param>
/// <param name="BacklogAge">How long a delivery may be pending; null for <see cref="EngineLimits.AlertBacklogAge"/>.</param>
/// <param name="BacklogRuns">How many runs of a workflow may be queued; null for <see cref="EngineLimits.AlertBacklogRuns"/>.</param>
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
    /// <summary>The URL without what lets one post there (C8): Slack's path, and any query. Null of an email.</summary>
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

/// <summary>What a rule has told of a workflow, and what it has counted since.</summary>
/// <param name="QuietUntil">Until then further failures are counted.</param>
/// <param name="ToldAt">When it was told something last; <see cref="DateTimeOffset.UnixEpoch"/> is never.</param>
/// <param name="Failing">What was told and is not over.</param>
/// <param name="Over">What is over, and was not told to be.</param>
/// <param name="Runs">Failed runs that were not told.</param>
/// <param name="Deliveries">Failed deliveries that were not told.</param>
/// <param name="Backlogs">Backlogs that were not told.</param>
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
    /// <summary>What has happened and was not told.</summary>
    public AlertCauses Counted =>
        (Runs > 0 ? AlertCauses.RunFailed : 0)
        | (Deliveries > 0 ? AlertCauses.DeliveryFailed : 0)
        | (Backlogs > 0 ? AlertCauses.Backlog : 0);

    /// <summary>Nothing happened yet.</summary>
    public static AlertState Of(AlertId alert, WorkflowId workflow) =>
        new(alert, workflow, DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch);

    /// <summary>With failures counted. What fails again is not over.</summary>
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

    /// <summary>With a cause that is over, where it was told or is to be.</summary>
    public AlertState WithOver(AlertCauses cause) => ((Failing | Counted) & cause) == 0 ? this : this with { Over = Over | cause };

    /// <summary>Whether something is to be told now: what was counted once the quiet time is over, and that it is over at once, unless more
    /// was counted.</summary>
    public bool IsDue(DateTimeOffset now) =>
        now >= QuietUntil ? Counted != 0 || (Failing & Over) != 0 : Counted == 0 && (Failing & Over) != 0;

    /// <summary>After a message of all of it.</summary>
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

/// <summary>What waits of a workflow's deliveries for longer than it should.</summary>
/// <param name="Deliveries">How many, of those that were looked at.</param>
public sealed record PendingBacklog(WorkflowId Workflow, int Deliveries, DeliveryId Oldest);
