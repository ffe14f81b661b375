namespace Sendoff.Engine.Model;

/// <summary>A workflow with its newest version and whether its triggers are enabled.</summary>
public sealed record Workflow(
    WorkflowId Id,
    string Name,
    int Version,
    bool Enabled,
    DateTimeOffset DeployedAt,
    IReadOnlyList<TriggerAddress> Triggers
);

/// <summary>A trigger of a workflow with its key, which is kept at redeploys.</summary>
/// <param name="SettledAt">For a schedule: due times up to this time have started their run, or never will.</param>
public sealed record TriggerAddress(string Type, string Key, DateTimeOffset SettledAt = default);

/// <summary>A trigger of a workflow.</summary>
public abstract record Trigger(string Type)
{
    /// <summary>The event source whose interface it is (K); null for a trigger that starts the steps.</summary>
    public string? Source { get; init; }

    /// <summary>Identifies it among triggers of its type: a trigger with the same value after a redeploy keeps its key.</summary>
    public virtual string Identity => Source is null ? "" : $"source {Source}";

    /// <summary>The trigger in the records of its events and runs.</summary>
    public string RecordedAs => Source is null ? Type : new SourceCall(Source).ToString();
}

/// <summary>Any HTTP request to <c>/hooks/{key}</c> (E7). Without a key, one is created at the first deploy and kept.</summary>
public sealed record HttpTrigger(string? Key, TriggerResponse Response) : Trigger("http")
{
    /// <summary>The token that callers must send; null if the key is sufficient.</summary>
    public TriggerToken? Bearer { get; init; }

    /// <summary>The rate limit; null if there is none.</summary>
    public TriggerRate? Rate { get; init; }
}

/// <summary>Events that another workflow emits (F7), on one channel or all.</summary>
public sealed record EmitTrigger(string Workflow, string? Channel) : Trigger(TypeName)
{
    public const string TypeName = "emit";

    public override string Identity => $"{Workflow} {Channel}";

    public bool Hears(string workflow, string channel) => workflow == Workflow && (Channel is null || Channel == channel);
}

/// <summary>A bearer token: the name of a secret of the workspace, or the token itself.</summary>
public sealed record TriggerToken(string? SecretName, string? Value);

/// <summary>Requests per time span, which may arrive all at the same time.</summary>
public sealed record TriggerRate(int Count, TimeSpan Per);

/// <summary>How a trigger responds: immediately, with a fixed response, or with the run's <c>$.respond</c>.</summary>
public sealed record TriggerResponse(bool FromRun, int Status, string? Body)
{
    public static readonly TriggerResponse Default = new(FromRun: false, 200, null);
}
