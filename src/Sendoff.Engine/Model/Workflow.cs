namespace Sendoff.Engine.Model;

/// <summary>A workflow as it stands: its newest version and whether its triggers are on.</summary>
public sealed record Workflow(
    WorkflowId Id,
    string Name,
    int Version,
    bool Enabled,
    DateTimeOffset DeployedAt,
    IReadOnlyList<TriggerAddress> Triggers
);

/// <summary>Where a trigger of a workflow is reached. The key survives redeploys.</summary>
/// <param name="SettledAt">Of a schedule: its due times up to here have started their run, or never will.</param>
public sealed record TriggerAddress(string Type, string Key, DateTimeOffset SettledAt = default);

/// <summary>What starts a run.</summary>
public abstract record Trigger(string Type)
{
    /// <summary>What tells it from others of its type: a trigger that keeps it over a redeploy is the same one and keeps its key.</summary>
    public virtual string Identity => "";
}

/// <summary>Any HTTP request to <c>/hooks/{key}</c> (E7). Without a key one is made at the first deploy and kept.</summary>
public sealed record HttpTrigger(string? Key, TriggerResponse Response) : Trigger("http")
{
    /// <summary>What callers must show; null lets everybody in who knows the key.</summary>
    public TriggerToken? Bearer { get; init; }

    /// <summary>How often it may be called; null is as often as anybody likes.</summary>
    public TriggerRate? Rate { get; init; }
}

/// <summary>What another workflow emits (F7), on one channel or on all.</summary>
public sealed record EmitTrigger(string Workflow, string? Channel) : Trigger(TypeName)
{
    public const string TypeName = "emit";

    public override string Identity => $"{Workflow} {Channel}";

    public bool Hears(string workflow, string channel) => workflow == Workflow && (Channel is null || Channel == channel);
}

/// <summary>A bearer token: a secret of the workspace by its name, or the token itself.</summary>
public sealed record TriggerToken(string? SecretName, string? Value);

/// <summary>Requests in a span of time, all of which may come at once.</summary>
public sealed record TriggerRate(int Count, TimeSpan Per);

/// <summary>How a trigger answers: at once, with a fixed answer, or with the run's own <c>$.respond</c>.</summary>
public sealed record TriggerResponse(bool FromRun, int Status, string? Body)
{
    public static readonly TriggerResponse Default = new(FromRun: false, 200, null);
}
