using System.Collections.Frozen;
using System.Text.Json;

namespace Sendoff.Engine.Workers;

/// <summary>The program of a worker: one version of one workflow, with its files in <paramref name="Root"/>.</summary>
/// <param name="Key">Identifies this version; workers are shared by key.</param>
/// <param name="Environment">The complete <c>process.env</c> of the steps.</param>
/// <param name="Concurrency">Maximum concurrent runs and workers; null for the limit of the pool.</param>
/// <param name="IsTrial">Only checked, not run.</param>
public sealed record WorkerProgram(
    string Key,
    string WorkflowId,
    string Name,
    int Version,
    string Root,
    IReadOnlyList<ProgramStep> Steps,
    IReadOnlyDictionary<string, string> Environment,
    int MemoryMb,
    int? Concurrency,
    bool IsTrial = false
)
{
    /// <summary>Identifies all that loading it depends on: programs of the same content load alike. The worker in which a trial was loaded
    /// then serves the program that is deployed. If null, the worker of a trial ends after the check.</summary>
    public string? Content { get; init; }

    /// <summary>Accounts for <c>auths</c> and <c>this.app.$auth</c>: fields by app.</summary>
    public IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Accounts { get; init; } =
        FrozenDictionary<string, IReadOnlyDictionary<string, string>>.Empty;

    /// <summary>Whether what answers the steps' calls knows of further accounts.</summary>
    public bool AsksAccounts { get; init; }

    /// <summary>Whether a trigger responds with the run's response (E7): a run that only returns one gets a warning.</summary>
    public bool CustomResponse { get; init; }

    /// <summary>The event source that is its only step (K); null for the steps of a workflow.</summary>
    public ProgramSource? Source { get; init; }

    /// <summary>Data for the URLs of its suspended runs; null if runs cannot be suspended.</summary>
    public FlowAddress? Flow { get; init; }
}

/// <summary>An event source as a program.</summary>
/// <param name="Endpoint">The URL of its HTTP interface; null if it has none.</param>
public sealed record ProgramSource(string Name, string? Endpoint);

/// <summary>The origin of the URLs that resume and cancel suspended runs, and the key that signs them.</summary>
public sealed record FlowAddress(string Origin, ReadOnlyMemory<byte> Key);

public sealed record ProgramStep(string Name, string File, JsonElement? Props, bool Disabled)
{
    /// <summary>The form of its code: <c>imports</c>, <c>component</c> or <c>module</c>; null for a function body (E2).</summary>
    public string? Shape { get; init; }
}

/// <summary>An error that the worker found while it loaded a step, with the user's line and column, both from 1.</summary>
public sealed record StepProblem(string Step, string File, string Name, string Message, int? Line, int? Column, string? SourceLine);

/// <summary>The result of loading a program.</summary>
/// <param name="Props">For a trial, the props of each step's component: a JSON list, or null.</param>
public sealed record ProgramCheck(IReadOnlyList<StepProblem> Problems, IReadOnlyList<JsonElement?> Props)
{
    /// <summary>For the trial of an event source, what its code says (docs/worker-protocol.md).</summary>
    public JsonElement? Source { get; init; }

    /// <summary>Of a trial, what its runs would be warned of (A8), as far as the source shows it.</summary>
    public IReadOnlyList<StepProblem> Warnings { get; init; } = [];
}

/// <summary>One send as the worker reported it, under its step and its index there.</summary>
public readonly record struct StepSend(int Step, int Index, HttpSend Send);

/// <summary>How a run in a worker ended.</summary>
public enum WorkerEnd
{
    /// <summary>Every step came to its end, or <c>$end</c> or <c>$.flow.exit</c> stopped it.</summary>
    Succeeded,

    /// <summary>A step threw.</summary>
    Failed,

    /// <summary>Killed at the timeout.</summary>
    TimedOut,

    /// <summary>Killed at the memory limit, or Node.js gave up for want of memory.</summary>
    OutOfMemory,

    /// <summary>The process ended in mid-run, or broke the protocol.</summary>
    Died,
}

/// <summary>One run's way through a worker: what goes in, and what the worker reported, as it was reported. Whole even when the worker dies
/// (B2).</summary>
public sealed class WorkerRun
{
    public required string Id { get; init; }
    public required ReadOnlyMemory<byte> EventJson { get; init; }

    /// <summary>The body as it came, where the JSON does not tell its bytes; else empty.</summary>
    public ReadOnlyMemory<byte> EventRaw { get; init; }
    public required DateTimeOffset ReceivedAt { get; init; }
    public required TimeSpan Timeout { get; init; }
    public bool Replay { get; init; }

    /// <summary>The hook of an event source that it calls; null for its <c>run</c>, and for steps.</summary>
    public string? Hook { get; init; }

    /// <summary>Null for a run that starts with its first step.</summary>
    public RunResume? Resume { get; init; }

    /// <summary>Called once, on the first <c>$.respond</c> that is immediate.</summary>
    public Action<RunResponse>? OnImmediateResponse { get; init; }

    public WorkerEnd End { get; internal set; }

    /// <summary>When the worker began it.</summary>
    public DateTimeOffset StartedAt { get; internal set; }

    /// <summary>Time in the worker (E6).</summary>
    public TimeSpan Compute { get; internal set; }

    /// <summary>What <c>$end</c> or <c>$.flow.exit</c> was given, or why the worker ended.</summary>
    public string? Message { get; internal set; }
    public RunResponse? Response { get; internal set; }

    /// <summary>Of a run that succeeded as far as it went, and is held there.</summary>
    public RunHold? Hold { get; internal set; }

    /// <summary>Every step in order; those never reached are skipped.</summary>
    public IReadOnlyList<StepResult> Steps { get; internal set; } = [];
    public List<StepSend> Sends { get; } = [];

    /// <summary>The keys of a source's <c>$.service.db</c> that it changed, JSON; empty for a deleted key.</summary>
    public Dictionary<string, ReadOnlyMemory<byte>> Kept { get; } = [];
}

/// <summary>What stands between steps and the rest of the machine.</summary>
/// <param name="IsWhole">All that Sendoff knows to use is in force; else <paramref name="Text"/> says what is not, and how to get
/// it.</param>
public sealed record IsolationState(string Node, string Text, bool IsWhole);

/// <summary>Runs programs in workers. The seam between runs and processes.</summary>
public interface IStepRunner
{
    /// <summary>Null until the first worker was started.</summary>
    IsolationState? InForce { get; }

    /// <summary>Loads a program in a worker and answers what is wrong with it: nothing, when it can run.</summary>
    Task<ProgramCheck> CheckAsync(WorkerProgram program, CancellationToken ct);

    /// <summary>Executes one run and fills in <paramref name="run"/>. Throws only when the server stops or no worker can be had.</summary>
    Task RunAsync(WorkerProgram program, WorkerRun run, CancellationToken ct);

    /// <summary>Ends the workers of a workflow that takes no more runs, each when those that came have ended. Completes when these workers
    /// are gone.</summary>
    Task RetireAsync(string workflowId);
}

/// <summary>No worker can be had: no Node.js, or it does not start. The message says how to mend it.</summary>
public sealed class WorkerUnavailableException(string message, Exception? inner = null) : Exception(message, inner);
