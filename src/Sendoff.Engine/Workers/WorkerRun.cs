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
    /// <summary>Identifies everything that loading depends on: programs with the same content load in the same way. The worker of a trial
    /// is then used for the deployed version. If null, the worker of a trial ends after the check.</summary>
    public string? Content { get; init; }

    /// <summary>Accounts for <c>auths</c> and <c>this.app.$auth</c>: fields by app.</summary>
    public IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Accounts { get; init; } =
        FrozenDictionary<string, IReadOnlyDictionary<string, string>>.Empty;

    /// <summary>Whether the handler of the steps' calls provides further accounts.</summary>
    public bool AsksAccounts { get; init; }

    /// <summary>Whether a trigger responds with the run's response (E7). A run that only returns one gets a warning.</summary>
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

/// <summary>A send from the worker, with its step and its index.</summary>
public readonly record struct StepSend(int Step, int Index, HttpSend Send);

/// <summary>How a run in a worker ended.</summary>
public enum WorkerEnd
{
    /// <summary>Every step ended, or <c>$end</c> or <c>$.flow.exit</c> stopped the run.</summary>
    Succeeded,

    /// <summary>A step threw.</summary>
    Failed,

    /// <summary>Killed at the timeout.</summary>
    TimedOut,

    /// <summary>Killed at the memory limit, or Node.js ran out of memory.</summary>
    OutOfMemory,

    /// <summary>The process ended during the run, or violated the protocol.</summary>
    Died,
}

/// <summary>A run in a worker: its input, and the worker's reports. Complete even if the worker dies (B2).</summary>
public sealed class WorkerRun
{
    public required string Id { get; init; }
    public required ReadOnlyMemory<byte> EventJson { get; init; }

    /// <summary>The raw body, if it cannot be derived from the JSON; otherwise empty.</summary>
    public ReadOnlyMemory<byte> EventRaw { get; init; }
    public required DateTimeOffset ReceivedAt { get; init; }
    public required TimeSpan Timeout { get; init; }
    public bool Replay { get; init; }

    /// <summary>The hook of an event source that it calls; null for its <c>run</c>, and for steps.</summary>
    public string? Hook { get; init; }

    /// <summary>Null for a run that starts with its first step.</summary>
    public RunResume? Resume { get; init; }

    /// <summary>Called once, for the first immediate <c>$.respond</c>.</summary>
    public Action<RunResponse>? OnImmediateResponse { get; init; }

    public WorkerEnd End { get; internal set; }

    /// <summary>When the worker started it.</summary>
    public DateTimeOffset StartedAt { get; internal set; }

    /// <summary>Time in the worker (E6).</summary>
    public TimeSpan Compute { get; internal set; }

    /// <summary>The argument of <c>$end</c> or <c>$.flow.exit</c>, or why the worker ended.</summary>
    public string? Message { get; internal set; }
    public RunResponse? Response { get; internal set; }

    /// <summary>The request of a step to suspend the run; null if there was none.</summary>
    public RunHold? Hold { get; internal set; }

    /// <summary>All steps in order; steps that were not reached are skipped.</summary>
    public IReadOnlyList<StepResult> Steps { get; internal set; } = [];
    public List<StepSend> Sends { get; } = [];

    /// <summary>The keys of a source's <c>$.service.db</c> that it changed, JSON; empty for a deleted key.</summary>
    public Dictionary<string, ReadOnlyMemory<byte>> Kept { get; } = [];
}

/// <summary>The isolation of steps from the machine.</summary>
/// <param name="IsWhole">Whether all supported isolation is in force; otherwise <paramref name="Text"/> says what is missing and how to get
/// it.</param>
public sealed record IsolationState(string Node, string Text, bool IsWhole);

/// <summary>Runs programs in workers. The interface between runs and processes.</summary>
public interface IStepRunner
{
    /// <summary>Null until the first worker was started.</summary>
    IsolationState? InForce { get; }

    /// <summary>Loads a program in a worker and returns its problems; none if it can run.</summary>
    Task<ProgramCheck> CheckAsync(WorkerProgram program, CancellationToken ct);

    /// <summary>Executes one run and fills in <paramref name="run"/>. Throws only if the server is stopping or no worker is
    /// available.</summary>
    Task RunAsync(WorkerProgram program, WorkerRun run, CancellationToken ct);

    /// <summary>Ends the workers of a workflow that gets no more runs, each after its runs have ended. Completes when these workers have
    /// ended.</summary>
    Task RetireAsync(string workflowId);
}

/// <summary>No worker is available: there is no Node.js, or it does not start. The message says how to fix it.</summary>
public sealed class WorkerUnavailableException(string message, Exception? inner = null) : Exception(message, inner);
