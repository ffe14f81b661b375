using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Secrets;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workers;
using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Runs;

/// <summary>A finished run that is not committed yet, with its sends in call order.</summary>
public sealed record ExecutedRun(Run Run, Delivery[] Deliveries);

/// <summary>Executes one run in a worker, and converts the worker's report into the run's record and deliveries.</summary>
public sealed class RunExecutor(IStepRunner runner, Concealment concealment, IdSequence ids, EngineLimits limits, TimeProvider time)
{
    /// <summary>Executes a run. It stores nothing and opens no connection. Failures of user code are results, not exceptions.</summary>
    /// <param name="onImmediateResponse">Called with the first immediate <c>$.respond</c>.</param>
    public async Task<ExecutedRun> ExecuteAsync(
        QueuedRun queued,
        WorkflowVersion version,
        WorkerProgram program,
        Action<RunResponse>? onImmediateResponse,
        CancellationToken ct
    )
    {
        var settings = version.Definition.Settings;
        var resume = queued.Resumption is { } resumption ? RunResume.Of(resumption) : null;
        // The bytes are written into the worker's frame unchanged, so they must be JSON.
        if (!JsonSyntax.IsValue(queued.Event.Json.Span) || resume is not null && !JsonSyntax.IsValue(resume.Json.Span))
            return new(NotJson(queued), []);
        var work = new WorkerRun
        {
            Id = queued.Id.ToString(),
            EventJson = queued.Event.Json,
            EventRaw = queued.Event.Raw,
            ReceivedAt = queued.Event.ReceivedAt,
            Timeout = settings.Timeout ?? DefaultTimeout(queued.Event.Trigger, version.Definition),
            Replay = queued.Replay,
            Hook = SourceCall.Of(queued.Event.Trigger)?.Hook,
            Resume = resume,
            OnImmediateResponse = onImmediateResponse,
        };
        await runner.RunAsync(program, work, ct).ConfigureAwait(false);

        var run = ToRun(queued, version.WorkflowId, work);
        // B2: a run with several segments has succeeded if its last segment has.
        run = run with
        {
            ReleasesCaptured =
                settings.DeliverOnlyOnSuccess
                && run is { IsContinuation: true, Status: RunStatus.Succeeded, Trigger: not QueuedRun.TestTrigger },
        };
        var deliveries = ToDeliveries(run, work.Sends, settings);
        return new(run with { Source = CommitOf(queued, version.Definition, program, work) }, deliveries);
    }

    // K2: a test stores nothing, so that it does not drop the events of the source's next run.
    static SourceCommit? CommitOf(QueuedRun queued, WorkflowDefinition definition, WorkerProgram program, WorkerRun work) =>
        program.Source is not { } source || queued.Trigger == QueuedRun.TestTrigger
            ? null
            : new(
                queued.Hook ?? new(source.Name),
                definition.FindSource(source.Name)?.Facts?.Dedupe ?? SourceDedupe.None,
                [
                    .. work.Sends.Select(static send =>
                        SendKinds.KindOf(send.Send.Url) == SendKind.Source ? SourceEvents.IdOf(send.Send.Body) : null
                    ),
                ],
                work.Kept
            );

    // E4: a caller waits for the response of an HTTP trigger.
    TimeSpan DefaultTimeout(string trigger, WorkflowDefinition definition) =>
        trigger != ScheduleTrigger.TypeName && SourceCall.Of(trigger) is null && definition.Triggers.Any(static t => t is HttpTrigger)
            ? limits.RunTimeout
            : limits.ScheduleTimeout;

    /// <summary>The end of a run that is not started again, because server crashes interrupted it too often (E1).</summary>
    public Run GiveUp(QueuedRun queued, int starts) =>
        Failed(
            queued,
            "RecoveryError",
            "recovered_too_often",
            $"the server stopped during this run {starts - 1} times, so the run is not started again; none of its sends were delivered. "
                + "Replay it after fixing the cause"
        );

    /// <summary>The end of a run whose stored version cannot be read by this server.</summary>
    public Run Unreadable(QueuedRun queued) =>
        Failed(
            queued,
            "VersionError",
            "version_unreadable",
            $"version {queued.Version} of the workflow cannot be read by this version of Sendoff; "
                + "deploy the workflow again and replay the run"
        );

    /// <summary>The end of a run whose data was deleted from the store.</summary>
    public Run Gone(QueuedRun queued, string what) =>
        Failed(
            queued,
            "StoreError",
            "not_stored",
            $"{what} is no longer stored, so the run cannot start; none of its sends were delivered. "
                + "Start it again on the current version"
        );

    /// <summary>The end of a run of an event source that its version does not have.</summary>
    public Run NoSource(QueuedRun queued) =>
        Failed(
            queued,
            "VersionError",
            "no_such_source",
            $"version {queued.Version} of the workflow has no event source that '{queued.Event.Trigger}' could call"
        );

    /// <summary>The end of a run whose stored event is encrypted with another key (C8).</summary>
    public Run Sealed(QueuedRun queued, SealedException reason) =>
        Failed(queued, "KeyError", "event_sealed", $"the event is encrypted: {reason.Message} and replay the run");

    Run NotJson(QueuedRun queued) =>
        Failed(
            queued,
            "EventError",
            "event_not_json",
            "the stored event is not JSON, so no step was started. Events are checked when they arrive: "
                + "this one was stored by an earlier version of Sendoff, or the database is damaged"
        );

    /// <summary>The end of a run that failed because of an internal error.</summary>
    public Run Fault(QueuedRun queued, Exception fault) =>
        Failed(
            queued,
            "InternalError",
            "internal",
            $"the server could not end the run ({fault.GetType().Name}: {fault.Message}); none of its sends were delivered. "
                + "Replay it after fixing the cause"
        );

    Run Failed(QueuedRun queued, string name, string code, string message) =>
        new(
            queued.Id,
            queued.Event.Id,
            queued.Event.WorkspaceId,
            queued.Event.WorkflowId,
            queued.Version,
            queued.Trigger,
            RunStatus.Failed,
            time.GetUtcNow(),
            TimeSpan.Zero,
            TimeSpan.Zero,
            queued.Recovered,
            queued.Replay,
            new(name, message, code, null, null, null),
            message,
            null,
            []
        );

    Run ToRun(QueuedRun queued, WorkflowId workflow, WorkerRun work)
    {
        var steps = Steps(queued.Resumption, work);
        var credentials = queued.Resumption?.Credentials ?? Credentials.Of(queued.Event.Json);
        if (FileLinks.FindSign(concealment, queued.Event) is { } sign)
            credentials = [.. credentials, sign];
        // B3: a reader of the record could use the step's URLs to resume or cancel the run.
        if (work.Hold is not null)
            credentials = [.. credentials, .. FlowLinks.SignsOf(concealment, workflow, queued.Id)];
        var error = work.Steps.FirstOrDefault(s => s.Error is not null)?.Error;
        return new(
            queued.Id,
            queued.Event.Id,
            queued.Event.WorkspaceId,
            workflow,
            queued.Version,
            queued.Trigger,
            work.Hold is null ? Status(work.End) : RunStatus.Suspended,
            work.StartedAt,
            work.Compute,
            work.Compute,
            queued.Recovered,
            queued.Replay,
            error,
            work.Message ?? error?.Message,
            work.Response,
            steps
        )
        {
            Credentials = credentials,
            IsContinuation = queued.Continues is not null,
            Continues = queued.Continues?.Run,
            Suspension = work.Hold is { } hold ? Held(queued, workflow, work, hold, steps, credentials) : null,
        };
    }

    // A resumed run has the steps of its earlier segments; a suspended run has not reached the later steps.
    static IReadOnlyList<StepResult> Steps(Resumption? resumption, WorkerRun work)
    {
        if (resumption is null && work.Hold is null)
            return work.Steps;
        int from = resumption?.From ?? 0,
            to = work.Hold is { } hold ? hold.Step + 1 : work.Steps.Count;
        return [.. resumption?.Steps ?? [], .. work.Steps.Take(to).Skip(from)];
    }

    // B3
    Suspension Held(
        QueuedRun queued,
        WorkflowId workflow,
        WorkerRun work,
        RunHold hold,
        IReadOnlyList<StepResult> steps,
        IReadOnlyList<string> credentials
    )
    {
        int before = queued.Resumption is { } resumption && resumption.From == hold.Step ? resumption.Sends : 0;
        int sends = work.Sends.Where(send => send.Step == hold.Step).Select(static send => send.Index + 1).Append(before).Max();
        byte[] state = StoredResumption.State(hold, sends, queued.Resumption?.Trace ?? queued.Id.ToString(), steps, credentials);
        return new(queued.Id, workflow, hold.Kind, hold.Step, time.GetUtcNow() + hold.For, state);
    }

    static RunStatus Status(WorkerEnd end) =>
        end switch
        {
            WorkerEnd.Succeeded => RunStatus.Succeeded,
            WorkerEnd.TimedOut => RunStatus.TimedOut,
            WorkerEnd.OutOfMemory => RunStatus.OutOfMemory,
            _ => RunStatus.Failed,
        };

    // B2: sends are delivered whatever the run's status, unless the workflow delivers only on success.
    Delivery[] ToDeliveries(Run run, List<StepSend> sends, WorkflowSettings settings)
    {
        if (sends.Count == 0)
            return [];
        bool isHeldBack = run.Trigger == QueuedRun.TestTrigger || settings.DeliverOnlyOnSuccess && run.Status != RunStatus.Succeeded;
        var status = isHeldBack ? DeliveryStatus.Captured : DeliveryStatus.Pending;
        long first = ids.NextBlock(sends.Count);
        var deliveries = new Delivery[sends.Count];
        for (int i = 0; i < deliveries.Length; i++)
        {
            var (step, index, send) = sends[i];
            var id = new DeliveryId(first + i * IdSequence.Stride);
            if (SendKinds.KindOf(send.Url) == SendKind.S3)
                send = send with { Url = S3Object.Named(send.Url, id) };
            string to = Destination.Of(send.Url, run.WorkflowId);
            bool isPossible = to != Destination.None;
            deliveries[i] = new(
                id,
                run.Id,
                run.WorkspaceId,
                run.WorkflowId,
                step,
                index,
                concealment.Mask.Url(to),
                WithHeaders(send, run.Id, id, settings),
                isPossible ? status : DeliveryStatus.Failed,
                isPossible ? null : DeliverySender.UnusableUrl
            )
            {
                Credentials = run.Credentials,
            };
        }
        return deliveries;
    }

    // Created with the delivery as part of its request, so that all attempts have the same key (F1). A header set by the step takes
    // precedence.
    HttpSend WithHeaders(HttpSend send, RunId run, DeliveryId delivery, WorkflowSettings settings)
    {
        if (SendKinds.KindOf(send.Url) != SendKind.Http)
            return send;
        if (settings.IdempotencyKey ?? limits.DeliveryIdempotencyKey)
            send = send.WithDefault("idempotency-key", delivery.ToString());
        if (limits.DeliveryTraceparent)
            send = send.WithDefault("traceparent", $"00-{run.Value:x32}-{delivery.Value:x16}-01");
        return send;
    }
}
