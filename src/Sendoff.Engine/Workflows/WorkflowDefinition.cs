using System.Text.Json;

namespace Sendoff.Engine.Workflows;

/// <summary>An immutable deployed snapshot of a workflow: its files and their definition.</summary>
public sealed record WorkflowVersion(
    WorkflowId WorkflowId,
    string Name,
    int Number,
    DateTimeOffset DeployedAt,
    IReadOnlyDictionary<string, string> Files,
    WorkflowDefinition Definition
);

/// <summary>The definition in a workflow folder, created by <see cref="WorkflowReader"/>.</summary>
public sealed record WorkflowDefinition(string Name, IReadOnlyList<Trigger> Triggers, WorkflowSettings Settings, IReadOnlyList<Step> Steps)
{
    /// <summary>Tags for grouping workflows.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>Its event sources (K).</summary>
    public IReadOnlyList<Source> Sources { get; init; } = [];

    /// <summary>All code: its steps and its event sources.</summary>
    public IEnumerable<Step> Code => Steps.Concat(Sources.Select(static source => source.Code));

    public Source? FindSource(string name) => Sources.FirstOrDefault(source => source.Name == name);
}

/// <summary>An event source: a component that emits events, which start the workflow.</summary>
/// <param name="Facts">What its code says; null before it was loaded.</param>
public sealed record Source(Step Code, SourceFacts? Facts)
{
    public string Name => Code.Name;
}

/// <summary>One code step. <paramref name="File"/> is relative to the folder; the worker detects its style (E2).</summary>
public sealed record Step(string Name, string File, JsonElement? Props, bool Disabled)
{
    /// <summary>The <c>uses</c> of a component in an npm package, such as <c>npm:@scope/name@1.2.3/actions/x/x.mjs</c>; otherwise
    /// null.</summary>
    public string? Component { get; init; }
}

/// <summary>Settings of a workflow; null for the server's default.</summary>
public sealed record WorkflowSettings(TimeSpan? Timeout, int? MemoryMb, int? Concurrency, bool DeliverOnlyOnSuccess)
{
    public static readonly WorkflowSettings Default = new(null, null, null, DeliverOnlyOnSuccess: false);

    /// <summary>Deliveries have an <c>idempotency-key</c> (F1).</summary>
    public bool? IdempotencyKey { get; init; }
}

/// <summary>An error in a workflow's files, with its position and a hint.</summary>
/// <param name="SourceLine">Null if the line is too long to show.</param>
public sealed record WorkflowProblem(
    string Message,
    string? File = null,
    int? Line = null,
    int? Column = null,
    string? SourceLine = null,
    string? Hint = null
)
{
    const int MaxMessageChars = 1_000,
        MaxSourceChars = 1_000;

    // Both may repeat text of the file, which may have a megabyte on one line.
    public string Message { get; init; } = Message.Length <= MaxMessageChars ? Message : Message[..MaxMessageChars] + "…";
    public string? SourceLine { get; init; } = SourceLine?.Length > MaxSourceChars ? null : SourceLine;
}
