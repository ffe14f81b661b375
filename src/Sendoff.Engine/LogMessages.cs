using Microsoft.Extensions.Logging;

namespace Sendoff.Engine;

/// <summary>All log messages of the engine, by area. They never contain a body, a header value or a secret.</summary>
static partial class LogMessages
{
    // Runs: 1000-1099

    [LoggerMessage(1000, LogLevel.Information, "Queued {Count} unfinished runs of the previous server again")]
    public static partial void RecoveredRuns(this ILogger log, int count);

    [LoggerMessage(1001, LogLevel.Error, "The result of run {Run} could not be stored; it runs again after the next start")]
    public static partial void RunLost(this ILogger log, Exception exception, RunId run);

    [LoggerMessage(1002, LogLevel.Error, "No worker is available, runs are waiting: {Reason}")]
    public static partial void RunsWaitForWorker(this ILogger log, string reason);

    [LoggerMessage(1003, LogLevel.Information, "Pruned {Rows} runs")]
    public static partial void HistoryPruned(this ILogger log, long rows);

    [LoggerMessage(1004, LogLevel.Warning, "Pruning is postponed: {Reason}")]
    public static partial void PruningPostponed(this ILogger log, string reason);

    [LoggerMessage(1005, LogLevel.Error, "Pruning failed and will be retried")]
    public static partial void PruningFailed(this ILogger log, Exception exception);

    [LoggerMessage(1006, LogLevel.Error, "Run {Run} failed because of an internal error")]
    public static partial void RunFaulted(this ILogger log, Exception exception, RunId run);

    [LoggerMessage(1007, LogLevel.Warning, "Run {Run} cannot start yet and will be retried: {Reason}")]
    public static partial void RunPutOff(this ILogger log, RunId run, string reason);

    [LoggerMessage(1008, LogLevel.Warning, "Unfinished runs of the previous server cannot be read yet: {Reason}")]
    public static partial void RecoveryPutOff(this ILogger log, string reason);

    [LoggerMessage(
        1009,
        LogLevel.Information,
        "Shutting down: waiting for {Runs} runs and {Deliveries} deliveries in flight, up to {Seconds} s"
    )]
    public static partial void ShuttingDown(this ILogger log, int runs, int deliveries, double seconds);

    [LoggerMessage(
        1010,
        LogLevel.Warning,
        "Runs that did not end within {Seconds} s: {Count}. They were stopped and will run again from the beginning after the next server "
            + "start"
    )]
    public static partial void RunsCutOff(this ILogger log, double seconds, int count);

    [LoggerMessage(
        1011,
        LogLevel.Error,
        "{Count} stopped runs will count as crashed, because the store did not accept the correction: {Reason}"
    )]
    public static partial void StartsNotTakenBack(this ILogger log, int count, string reason);

    [LoggerMessage(
        1020,
        LogLevel.Warning,
        "The schedule {Schedule} of {Workflow} skipped {Count} due times after {Since:u}; missed runs are not replayed"
    )]
    public static partial void DueTimesMissed(this ILogger log, string workflow, string schedule, int count, DateTimeOffset since);

    [LoggerMessage(1021, LogLevel.Warning, "The run of {Workflow} due at {Due:u} cannot start yet and will be retried: {Reason}")]
    public static partial void DueTimePutOff(this ILogger log, string workflow, DateTimeOffset due, string reason);

    [LoggerMessage(1030, LogLevel.Warning, "The hook {Hook} of the source {Source} of {Workflow} failed: {Reason}")]
    public static partial void HookFailed(this ILogger log, string workflow, string hook, string source, string reason);

    [LoggerMessage(1031, LogLevel.Error, "The hooks of the sources of {Workflow} cannot be called; retrying: {Reason}")]
    public static partial void HooksPutOff(this ILogger log, WorkflowId workflow, string reason);

    [LoggerMessage(1022, LogLevel.Warning, "Suspended or held runs cannot be continued yet; retrying: {Reason}")]
    public static partial void HeldRunsPutOff(this ILogger log, string reason);

    [LoggerMessage(
        1023,
        LogLevel.Warning,
        "The schedule {Schedule} of {Workflow} was processed up to {Until:u}, which is in the future: the clock was ahead. "
            + "It continues from now"
    )]
    public static partial void DueTimesAhead(this ILogger log, string workflow, string schedule, DateTimeOffset until);

    [LoggerMessage(1024, LogLevel.Warning, "The clock was set back by {Seconds:0} s")]
    public static partial void ClockSetBack(this ILogger log, double seconds);

    [LoggerMessage(1025, LogLevel.Warning, "Run {Run} is due but cannot be resumed yet; retrying: {Reason}")]
    public static partial void SuspendedRunPutOff(this ILogger log, RunId run, string reason);

    // Deliveries: 2000-2099

    [LoggerMessage(
        2000,
        LogLevel.Warning,
        "Deliveries in flight when the server stopped: {Count}. They are marked as interrupted, because they may have been sent, "
            + "and are not retried automatically"
    )]
    public static partial void DeliveriesInterrupted(this ILogger log, int count);

    [LoggerMessage(2001, LogLevel.Error, "The result of delivery {Delivery} could not be recorded")]
    public static partial void DeliveryNotRecorded(this ILogger log, Exception exception, DeliveryId delivery);

    [LoggerMessage(2002, LogLevel.Warning, "Pending deliveries to {Destination} cannot be loaded yet: {Reason}")]
    public static partial void PendingNotRead(this ILogger log, string destination, string reason);

    [LoggerMessage(2003, LogLevel.Error, "Deliveries to {Destination} could not be marked as sending; retrying")]
    public static partial void DeliveriesNotMarked(this ILogger log, Exception exception, string destination);

    // Storage: 3000-3099

    [LoggerMessage(
        3000,
        LogLevel.Warning,
        "The store does not accept writes: {Reason}. New events are refused. Runs and deliveries in flight are kept, "
            + "and their writes are retried."
    )]
    public static partial void StoreUnavailable(this ILogger log, string reason);

    [LoggerMessage(3001, LogLevel.Information, "The store accepts writes again.")]
    public static partial void StoreRestored(this ILogger log);

    [LoggerMessage(3002, LogLevel.Information, "Opened {Path}: schema {Schema}, {Unfinished} unfinished runs.")]
    public static partial void StoreOpened(this ILogger log, string path, int schema, int unfinished);

    [LoggerMessage(3050, LogLevel.Information, "Joined {Database}: schema {Schema}, slot {Slot}, epoch {Epoch}")]
    public static partial void ServerJoined(this ILogger log, string database, int schema, int slot, long epoch);

    [LoggerMessage(3051, LogLevel.Warning, "Server {Name} did not renew its lease. Its work is taken over")]
    public static partial void ServerEnded(this ILogger log, string name);

    [LoggerMessage(
        3052,
        LogLevel.Information,
        "Took over {Runs} runs, pending deliveries to {Destinations} destinations, and {Interrupted} interrupted deliveries"
    )]
    public static partial void WorkTakenOver(this ILogger log, int runs, int destinations, int interrupted);

    [LoggerMessage(3053, LogLevel.Warning, "The lease of this server cannot be renewed now: {Reason}")]
    public static partial void ClusterUnreachable(this ILogger log, string reason);

    [LoggerMessage(3055, LogLevel.Warning, "The turn {Turn} could not be passed on yet: {Reason}")]
    public static partial void TurnNotPassed(this ILogger log, long turn, string reason);

    [LoggerMessage(3056, LogLevel.Warning, "Work waits: {Reason}")]
    public static partial void WorkWaits(this ILogger log, string reason);

    [LoggerMessage(
        3054,
        LogLevel.Error,
        "Other servers have taken over the work of this server, because its lease expired. It joins again"
    )]
    public static partial void ServerRemoved(this ILogger log);

    [LoggerMessage(
        3010,
        LogLevel.Information,
        "Upgrading the database {Path} from schema {From} to {To}; it may take minutes, and an earlier version cannot open it afterwards"
    )]
    public static partial void SchemaUpgrade(this ILogger log, string path, int from, int to);

    [LoggerMessage(3900, LogLevel.Error, "{Work}: internal error; continuing")]
    public static partial void BackgroundFailed(this ILogger log, string work, Exception error);

    [LoggerMessage(
        3003,
        LogLevel.Warning,
        "{File} can be read by others, and its mode cannot be changed: {Reason}. Run chmod 600 as its owner"
    )]
    public static partial void FileNotProtected(this ILogger log, string file, string reason);

    [LoggerMessage(3004, LogLevel.Warning, "New events are refused: {Reason}")]
    public static partial void EventsRefused(this ILogger log, string reason);

    [LoggerMessage(3005, LogLevel.Information, "New events are accepted again: {Free} MB are free")]
    public static partial void EventsAcceptedAgain(this ILogger log, long free);

    [LoggerMessage(
        3006,
        LogLevel.Warning,
        "Deleted the reserve {File} to free {Megabytes} MB for pruning and for work in flight. "
            + "It is created again when enough space is free"
    )]
    public static partial void ReserveGivenUp(this ILogger log, string file, long megabytes);

    [LoggerMessage(3007, LogLevel.Warning, "The reserve {File} of {Megabytes} MB could not be created: {Reason}")]
    public static partial void ReserveNotMade(this ILogger log, string file, long megabytes, string reason);

    [LoggerMessage(
        3008,
        LogLevel.Warning,
        "{Count} stored times were in the future, because the clock was ahead when they were stored. They were set to the current time"
    )]
    public static partial void TimesCorrected(this ILogger log, long count);

    [LoggerMessage(
        3009,
        LogLevel.Warning,
        "The newest id in {Path} was created at {At:u}, which is in the future: the clock was ahead, or is behind now. "
            + "New ids continue above it. Check the clock"
    )]
    public static partial void IdsAhead(this ILogger log, string path, DateTimeOffset at);

    // Workers: 4000-4099

    [LoggerMessage(4000, LogLevel.Information, "Downloading Node.js {Version} (npm package {Package}) into {Folder}")]
    public static partial void NodeFetched(this ILogger log, Version version, string package, string folder);

    [LoggerMessage(4001, LogLevel.Warning, "Workers use Node.js {Version} from the PATH ({Path}), not {Pinned}: {Reason}. {Lost}")]
    public static partial void NodeFromPath(this ILogger log, Version version, string path, string pinned, string reason, string lost);

    [LoggerMessage(4002, LogLevel.Debug, "Worker {Pid} is ready in {Milliseconds} ms")]
    public static partial void WorkerReady(this ILogger log, int pid, long milliseconds);

    [LoggerMessage(4003, LogLevel.Error, "Workers cannot be started: {Reason}")]
    public static partial void WorkerUnavailable(this ILogger log, string reason);

    [LoggerMessage(4004, LogLevel.Warning, "Worker {Pid} of {Program} exited during a run ({Cause}): {Reason}")]
    public static partial void WorkerDied(this ILogger log, int pid, string program, string cause, string reason);

    [LoggerMessage(4005, LogLevel.Error, "Worker {Pid} was stopped because of an internal error")]
    public static partial void WorkerFailed(this ILogger log, int pid, Exception error);

    [LoggerMessage(4006, LogLevel.Warning, "If the server is killed, its workers keep running: {Reason}")]
    public static partial void WorkersUnguarded(this ILogger log, string reason);

    [LoggerMessage(4008, LogLevel.Error, "A step's call to {Method} failed")]
    public static partial void StepCallFailed(this ILogger log, string method, Exception error);

    [LoggerMessage(4007, LogLevel.Error, "{Count} worker tasks did not stop within {Seconds} s; shutting down anyway")]
    public static partial void WorkersNotEnded(this ILogger log, int count, double seconds);

    [LoggerMessage(4010, LogLevel.Information, "Workers run on Node.js {Version} ({Path}): {State}")]
    public static partial void WorkersIsolated(this ILogger log, Version version, string path, string state);

    [LoggerMessage(
        4009,
        LogLevel.Warning,
        "Steps are not isolated from the server: {State}. Deploy only code that you trust (docs/operating.md, Isolation). "
            + "Workers run on Node.js {Version} ({Path})"
    )]
    public static partial void WorkersWithoutSandbox(this ILogger log, Version version, string path, string state);

    // Alerts: 6000-6099

    [LoggerMessage(6000, LogLevel.Warning, "Alerts are postponed: {Reason}")]
    public static partial void AlertsPutOff(this ILogger log, string reason);

    [LoggerMessage(6001, LogLevel.Error, "Alert {Alert} could not be sent; retrying")]
    public static partial void AlertsFailed(this ILogger log, string alert, Exception error);

    // Accounts: 7000-7099

    [LoggerMessage(7000, LogLevel.Information, "Refreshed the token of account {Account}")]
    public static partial void AccountRefreshed(this ILogger log, AccountId account);

    [LoggerMessage(7001, LogLevel.Warning, "The token of account {Account} could not be refreshed: {Reason}")]
    public static partial void AccountNotRefreshed(this ILogger log, AccountId account, string reason);

    [LoggerMessage(7002, LogLevel.Error, "The token of account {Account} could not be refreshed because of an internal error")]
    public static partial void AccountFaulted(this ILogger log, Exception exception, AccountId account);

    // Packages: 5000-5099

    [LoggerMessage(5000, LogLevel.Information, "npm installed {Count} packages into {Folder}")]
    public static partial void PackagesInstalled(this ILogger log, int count, string folder);

    [LoggerMessage(
        5001,
        LogLevel.Warning,
        "The install scripts of {Packages} were not run. To run them, add the packages to Packages:AllowScripts and deploy again"
    )]
    public static partial void PackageScriptsLeftOut(this ILogger log, string packages);

    [LoggerMessage(
        5002,
        LogLevel.Error,
        "The packages of workflow {Workflow} version {Version} are missing and cannot be installed, so its steps do not load: {Reason}"
    )]
    public static partial void PackagesMissing(this ILogger log, string workflow, int version, string reason);

    [LoggerMessage(
        5003,
        LogLevel.Warning,
        "npm installs packages without a sandbox, with the server's permissions and network access: {Reason} (docs/operating.md, Isolation)"
    )]
    public static partial void NpmWithoutSandbox(this ILogger log, string reason);
}
