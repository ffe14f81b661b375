namespace Sendoff.Engine.Model;

public enum StepStatus
{
    Succeeded,
    Failed,
    Skipped,
    TimedOut,
}

/// <summary>The result of a step (E5). <paramref name="Exports"/> and <paramref name="Inputs"/> are JSON objects as UTF-8.</summary>
public sealed record StepResult(
    string Name,
    int Index,
    StepStatus Status,
    double DurationMs,
    ReadOnlyMemory<byte> Exports,
    ReadOnlyMemory<byte> Inputs,
    IReadOnlyList<LogLine> Logs,
    IReadOnlyList<StepWarning> Warnings,
    StepError? Error
);

/// <summary>A line of console output; the level is <c>log info warn error debug</c>.</summary>
public sealed record LogLine(string Level, string Text, DateTimeOffset At);

/// <summary>A warning, which does not fail the step (A8, E8), with the user's line and column, both from 1.</summary>
public sealed record StepWarning(string Code, string Message, int? Line, int? Column);

/// <summary>The error that failed a step, with the user's line and column, both from 1.</summary>
public sealed record StepError(string Name, string Message, string? Code, string? Stack, int? Line, int? Column);

/// <summary>The response passed to <c>$.respond</c> (E7).</summary>
public sealed record RunResponse(int Status, IReadOnlyList<Header> Headers, ReadOnlyMemory<byte> Body);
