using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workers;

namespace Sendoff.Engine.Runs;

/// <summary>The result of a request to resume or cancel a run.</summary>
/// <param name="Status">Null if the run does not exist.</param>
/// <param name="Next">The run that continues it.</param>
public sealed record Release(RunStatus? Status, RunId? Next = null, bool IsDone = false);

/// <summary>Resumes suspended runs when they are due, and on request (B3).</summary>
/// <remarks>
/// (1) end runs whose suspension timed out, resume those that are due  (2) wait for the next one, or for another run to be suspended. The
/// store decides which request is first: a run is resumed once, also after a restart and with several servers.
/// </remarks>
public sealed class Suspensions(
    IStore store,
    RunAcceptance runs,
    RunCompletion completion,
    EngineContext engine,
    ServerHold hold,
    ILogger<Suspensions> log
)
{
    const int ReadAtOnce = 100;

    // A timer is limited to 49 days, and a change of the clock must be noticed soon.
    static readonly TimeSpan longestWait = TimeSpan.FromMinutes(1),
        retry = TimeSpan.FromSeconds(5);

    readonly CancellationTokenSource stop = new();
    Task running = Task.CompletedTask;

    /// <summary>Raised when all due runs have been resumed and the wait begins.</summary>
    internal event Action? Looked;

    /// <summary>Starts. Call once, after the workflows are loaded.</summary>
    public void Start() => running = RunAsync();

    /// <summary>After completion, no run is resumed automatically.</summary>
    public async Task StopAsync()
    {
        await stop.CancelAsync().ConfigureAwait(false);
        await running.ConfigureAwait(false);
    }

    /// <summary>Resumes a suspended run. Waits for an executing run, which may be suspended soon.</summary>
    /// <param name="callback">The resume request as event JSON.</param>
    public Task<Release> ResumeAsync(RunId run, ReadOnlyMemory<byte> callback, CancellationToken ct) =>
        DecideAsync(
            run,
            async () =>
                await runs.ResumeAsync(run, callback, CancellationToken.None).ConfigureAwait(false) is { } next
                    ? new(RunStatus.Suspended, next.Run.Id, true)
                    : null,
            ct
        );

    /// <summary>Ends a suspended run as failed.</summary>
    /// <inheritdoc cref="ResumeAsync" path="/summary"/>
    public Task<Release> CancelAsync(RunId run, CancellationToken ct) =>
        DecideAsync(
            run,
            async () =>
                await EndAsync(run, "canceled", "the run was canceled while it was suspended").ConfigureAwait(false)
                    ? new(RunStatus.Suspended, null, true)
                    : null,
            ct
        );

    async Task<Release> DecideAsync(RunId run, Func<Task<Release?>> decide, CancellationToken ct)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(ct);
        timeout.CancelAfter(engine.Limits.ReleaseWait);
        await using var changes = engine.Changes.ListenAsync(timeout.Token).GetAsyncEnumerator(CancellationToken.None);
        Task<bool> next = Task.FromResult(true);
        try
        {
            while (true)
            {
                // Subscribe before reading the store, so that no change is missed.
                next = changes.MoveNextAsync().AsTask();
                var status = (await store.FindRunAsync(run, ct).ConfigureAwait(false))?.Status;
                if (status == RunStatus.Suspended && await decide().ConfigureAwait(false) is { } done)
                    return done;
                if (status is not (RunStatus.Queued or RunStatus.Running or RunStatus.Suspended))
                    return new(status);
                while (await HasNextAsync(next).ConfigureAwait(false) && changes.Current.Run != run)
                    next = changes.MoveNextAsync().AsTask();
                if (timeout.IsCancellationRequested)
                    return new(status);
            }
        }
        finally
        {
            // A listener that still waits cannot be closed and would never end.
            await timeout.CancelAsync().ConfigureAwait(false);
            await HasNextAsync(next).ConfigureAwait(false);
        }
    }

    static async Task<bool> HasNextAsync(Task<bool> next)
    {
        try
        {
            return await next.ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    async Task<bool> EndAsync(RunId run, string code, string message)
    {
        bool isEnded = await store
            .CancelAsync(run, new("Canceled", message, code, null, null, null), CancellationToken.None)
            .ConfigureAwait(false);
        if (isEnded)
            engine.Changes.Publish(run, RunStatus.Failed);
        return isEnded;
    }

    async Task RunAsync()
    {
        await hold.Released.WaitAsync(stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        while (!stop.IsCancellationRequested)
        {
            var suspended = completion.NextSuspended;
            // (1)
            var wake = engine.Time.GetUtcNow() + await ResumeDueAsync().ConfigureAwait(false);
            // (2)
            var wait = wake - engine.Time.GetUtcNow();
            var timer = Task.Delay(wait > TimeSpan.Zero ? wait : TimeSpan.Zero, engine.Time, stop.Token);
            Looked?.Invoke();
            await Task.WhenAny(timer, suspended).ConfigureAwait(false);
        }
    }

    /// <summary>Returns the time until the next check.</summary>
    async Task<TimeSpan> ResumeDueAsync()
    {
        // Workflows with a run that cannot be resumed now. Other workflows do not wait for them.
        var putOff = new HashSet<WorkflowId>();
        try
        {
            while (true)
            {
                var first = await store.ListSuspendedAsync(ReadAtOnce, putOff, stop.Token).ConfigureAwait(false);
                foreach (var one in first.Where(one => !putOff.Contains(one.WorkflowId)))
                {
                    var longest = putOff.Count > 0 ? retry : longestWait;
                    if (one.Until - engine.Time.GetUtcNow() is var wait && wait > TimeSpan.Zero)
                        return wait < longest ? wait : longest;
                    if (!await TryResumeAsync(one).ConfigureAwait(false))
                        putOff.Add(one.WorkflowId);
                }
                if (first.Count < ReadAtOnce)
                    return putOff.Count > 0 ? retry : longestWait;
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return TimeSpan.Zero;
        }
        catch (Exception x)
        {
            // The store does not accept writes.
            log.HeldRunsPutOff(x.Message);
            return retry;
        }
    }

    // Returns false if it must be retried.
    async Task<bool> TryResumeAsync(SuspensionHead suspension)
    {
        try
        {
            if (suspension.Kind == HoldKind.Suspend)
            {
                bool isEnded = await EndAsync(suspension.RunId, "suspension_timed_out", "the run's resume_url was not called in time")
                    .ConfigureAwait(false);
                if (isEnded)
                    engine.Changes.Ends?.Ended(suspension.WorkflowId, suspension.RunId, RunStatus.Failed);
            }
            else
                await runs.ResumeAsync(suspension.RunId, default, stop.Token).ConfigureAwait(false);
            return true;
        }
        catch (Exception x) when (x is not (StoreUnavailableException or OperationCanceledException))
        {
            log.SuspendedRunPutOff(suspension.RunId, x.Message);
            return false;
        }
    }
}

/// <summary>The URLs that resume or cancel a suspended run. They are signed and do not disclose the key.</summary>
public sealed class FlowLinks(Concealment concealment, string origin)
{
    /// <summary>The origin of all URLs for callers.</summary>
    public string Origin => origin;

    public const string Resume = "resume",
        Cancel = "cancel";

    /// <summary>132 of the signature's 256 bits are sufficient.</summary>
    const int SignLength = 22;

    /// <summary>The data with which a workflow's workers sign URLs, only for runs of that workflow.</summary>
    public FlowAddress For(WorkflowId workflow) => new(origin, KeyOf(concealment, workflow));

    /// <summary>Whether the signature is valid.</summary>
    public bool IsOwn(WorkflowId workflow, RunId run, string what, string sign) =>
        CryptographicOperations.FixedTimeEquals(
            Encoding.UTF8.GetBytes(SignOf(concealment, workflow, run, what)),
            Encoding.UTF8.GetBytes(sign)
        );

    /// <summary>The signatures of a run's URLs. They grant access to the run, so they are masked in records (C8).</summary>
    internal static IReadOnlyList<string> SignsOf(Concealment concealment, WorkflowId workflow, RunId run) =>
        [SignOf(concealment, workflow, run, Resume), SignOf(concealment, workflow, run, Cancel)];

    static string SignOf(Concealment concealment, WorkflowId workflow, RunId run, string what) =>
        Base64Url.EncodeToString(HMACSHA256.HashData(KeyOf(concealment, workflow), Encoding.UTF8.GetBytes($"{what} {run}")))[..SignLength];

    static byte[] KeyOf(Concealment concealment, WorkflowId workflow) => concealment.Cipher.Derive($"sendoff flow 1 {workflow}");
}
