namespace Sendoff.Engine.Workflows;

/// <summary>Keys of <c>workflow.yaml</c>. Keys in <c>…Elsewhere</c> are Pipedream's: they are accepted but ignored, so that a synced folder
/// deploys unchanged.</summary>
public static class WorkflowKeys
{
    public static readonly IReadOnlyList<string> Workflow = ["name", "tags", "triggers", "settings", "steps"];
    public static readonly IReadOnlyList<string> WorkflowElsewhere = ["schema", "inactive", "description", "org_id", "project_id"];
    public static readonly IReadOnlyList<string> Triggers = ["http", ScheduleTrigger.TypeName, EmitTrigger.TypeName];
    public static readonly IReadOnlyList<string> HttpTrigger = ["type", "key", "response", "bearer", "rate"];
    public static readonly IReadOnlyList<string> Schedule = ["type", "cron", "every", "timezone"];
    public static readonly IReadOnlyList<string> Emit = ["type", "workflow", "channel"];
    public static readonly IReadOnlyList<string> Source = ["uses", "name", "props"];
    public static readonly IReadOnlyList<string> TriggerElsewhere = ["id", "disabled"];
    public static readonly IReadOnlyList<string> Response = ["status", "body"];
    public static readonly IReadOnlyList<string> Settings =
    [
        "timeout",
        "memory",
        "concurrency",
        "deliver",
        "idempotency_key",
        "lambda_timeout",
        "lambda_memory",
    ];
    public static readonly IReadOnlyList<string> SettingsElsewhere = ["error_notification", "notify_on_error", "auto_retry"];
    public static readonly IReadOnlyList<string> Step = ["namespace", "uses", "props", "disabled", "runtime"];
    public static readonly IReadOnlyList<string> StepElsewhere = ["note", "notes", "_props_cursor", "lang", "auth"];

    /// <summary>Unsupported languages of steps, by the start of a runtime's name or by the file's extension.</summary>
    internal static readonly IReadOnlyList<(string Start, string Name)> Languages =
    [
        ("python", "Python"),
        (".py", "Python"),
        ("go", "Go"),
        (".go", "Go"),
        ("bash", "Bash"),
        (".sh", "Bash"),
    ];
}
