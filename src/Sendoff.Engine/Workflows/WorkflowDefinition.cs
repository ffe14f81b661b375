using System.Text.Json;

namespace Sendoff.Engine.Workflows;

/// <summary>An immutable deployed snapshot of a workflow: its files, and what they say.</summary>
public sealed record WorkflowVersion(
    WorkflowId WorkflowId,
    string Name,
    int Number,
    DateTimeOffset DeployedAt,
    IReadOnlyDictionary<string, string> Files,
    WorkflowDefinition Definition
);

/// <summary>What a workflow folder says. Made by <see cref="WorkflowReader"/> only.</summary>
public sealed record WorkflowDefinition(string Name, IReadOnlyList<Trigger> Triggers, WorkflowSettings Settings, IReadOnlyList<Step> Steps)
{
    /// <summary>What people group workflows by.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];
}

/// <summary>One code step. <paramref name="File"/> is relative to the folder; its style is chosen by its content, in the worker
/// (E2).</summary>
public sealed record Step(string Name, string File, JsonElement? Props, bool Disabled)
{
    /// <summary>What <c>uses</c> says of a component in an npm package, such as <c>npm:@scope/name@1.2.3/actions/x/x.mjs</c>; else
    /// null.</summary>
    public string? Component { get; init; }
}

/// <summary>Settings of a workflow; null is the server's default.</summary>
public sealed record WorkflowSettings(TimeSpan? Timeout, int? MemoryMb, int? Concurrency, bool DeliverOnlyOnSuccess)
{
    public static readonly WorkflowSettings Default = new(null, null, null, DeliverOnlyOnSuccess: false);

    /// <summary>Deliveries carry an <c>idempotency-key</c> (F1).</summary>
    public bool? IdempotencyKey { get; init; }
}

/// <summary>A mistake in a workflow's files: what, where, and how to mend it.</summary>
/// <param name="SourceLine">Null when the line is longer than is worth showing.</param>
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

    // Both repeat what the file says, which may be a megabyte on one line.
    public string Message { get; init; } = Message.Length <= MaxMessageChars ? Message : Message[..MaxMessageChars] + "…";
    public string? SourceLine { get; init; } = SourceLine?.Length > MaxSourceChars ? null : SourceLine;
}
