namespace Sendoff.Engine.Model;

/// <summary>The workflow whose runs are the messages of alerts. It has no version, and a name that no other workflow can have.</summary>
public static class SystemWorkflow
{
    public static readonly WorkflowId Alerts = new(1);
    public const string AlertsName = "sendoff/alerts";

    /// <summary>The trigger of its runs.</summary>
    public const string AlertTrigger = "alert";
}
