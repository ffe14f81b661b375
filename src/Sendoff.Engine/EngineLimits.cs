namespace Sendoff.Engine;

/// <summary>Every limit and switch of the engine, with its unit and default. Each has a setting of the same name
/// (docs/operating.md).</summary>
public sealed record EngineLimits
{
    /// <summary>The work that this server takes, if several share a database (J8). Setting <c>Servers:Roles</c>.</summary>
    public ServerRoles ServerRoles { get; init; } = ServerRoles.All;

    /// <summary>One attempt, from DNS to the last byte of the response (C1). Setting <c>Delivery:Deadline</c>.</summary>
    public TimeSpan DeliveryDeadline { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Concurrent deliveries over all destinations (B5). Setting <c>Delivery:MaxConcurrent</c>.</summary>
    public int DeliveryMaxConcurrent { get; init; } = 1_000;

    /// <summary>Concurrent deliveries to one destination (B5). Setting <c>Delivery:MaxPerDestination</c>.</summary>
    public int DeliveryMaxPerDestination { get; init; } = 64;

    /// <summary>Queued deliveries kept in memory for one destination; the others wait in the store.</summary>
    public int DeliveryQueuePerDestination { get; init; } = 1_000;

    /// <summary>Bytes of queued deliveries in memory, over all destinations. One destination gets an eighth of the remaining space, but at
    /// least one delivery (B5).</summary>
    public long DeliveryQueueBytes { get; init; } = 64 * 1024 * 1024;

    /// <summary>Destinations whose queued deliveries are read back from the store concurrently.</summary>
    public int DeliveryReaders { get; init; } = 2;

    /// <summary>Attempts without a durable record before sending slows down to the speed of the store.</summary>
    public int DeliveryRecordsOutstanding { get; init; } = 4_096;

    /// <summary>Concurrent name lookups. A lookup blocks a thread and cannot be cancelled.</summary>
    public int DnsLookups { get; init; } = 16;

    /// <summary>Addresses of one name that are tried.</summary>
    public int ConnectAddresses { get; init; } = 16;

    /// <summary>Bytes of a proxy's response.</summary>
    public int ProxyReplyBytes { get; init; } = 16 * 1024;

    /// <summary>Redirects that one attempt follows, up to 10; with 0, a 3xx is the response (C3). Setting
    /// <c>Delivery:MaxRedirects</c>.</summary>
    public int DeliveryMaxRedirects { get; init; }

    /// <summary>Bytes of a response body that are kept (C4). Setting <c>Delivery:BodyCapture</c>.</summary>
    public int DeliveryBodyCapture { get; init; } = 64 * 1024;

    /// <summary>Bytes of a response body that are read, on the wire or decoded, before the connection is dropped (C4).</summary>
    public long DeliveryBodyRead { get; init; } = 10 * 1024 * 1024;

    /// <summary>Bytes of a response's status line and headers (C4).</summary>
    public int ResponseHeaderBytes { get; init; } = 64 * 1024;

    /// <summary>Lines of a response's headers (C4).</summary>
    public int ResponseHeaderLines { get; init; } = 1_000;

    /// <summary>Maximum idle time of a reused connection, shorter than the idle time of receivers (docs/decisions/0003).</summary>
    public TimeSpan ConnectionIdle { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Deliveries have an <c>idempotency-key</c> (F1). Setting <c>Delivery:IdempotencyKey</c>; a workflow's <c>idempotency_key</c>
    /// takes precedence.</summary>
    public bool DeliveryIdempotencyKey { get; init; }

    /// <summary>Deliveries have a <c>traceparent</c> (A7). Setting <c>Delivery:Traceparent</c>.</summary>
    public bool DeliveryTraceparent { get; init; }

    /// <summary>Sends of one run (A9). Setting <c>Sends:MaxPerRun</c>.</summary>
    public int SendsPerRun { get; init; } = 1_000;

    /// <summary>How long the URLs of an event's files work after the event (E7). They also work while a run of it executes. Setting
    /// <c>Triggers:FileUrlAge</c>.</summary>
    public TimeSpan TriggerFileUrlAge { get; init; } = TimeSpan.FromMinutes(30);

    /// <summary>Bytes of one send's body (A9). Setting <c>Sends:MaxBodyBytes</c>.</summary>
    public int SendBodyBytes { get; init; } = 1024 * 1024;

    /// <summary>Bytes of one send's URL (A9). Setting <c>Sends:MaxUrlBytes</c>.</summary>
    public int SendUrlBytes { get; init; } = 8 * 1024;

    /// <summary>Bytes of all header lines of one send (A9). Setting <c>Sends:MaxHeaderBytes</c>.</summary>
    public int SendHeaderBytes { get; init; } = 64 * 1024;

    /// <summary>Bytes of all sends of one run, with their URLs, headers and bodies (A9). Setting <c>Sends:MaxBytesPerRun</c>.</summary>
    public long SendBytesPerRun { get; init; } = 64 * 1024 * 1024;

    /// <summary>Addresses to which steps may send emails, such as <c>*@example.com</c>. If empty, emails go to the setting <c>Smtp:To</c>.
    /// Setting <c>Smtp:AllowTo</c>.</summary>
    public IReadOnlyList<string> EmailAllowTo { get; init; } = [];

    /// <summary>Bytes that a mail server may send during one delivery.</summary>
    public int SmtpReplyBytes { get; init; } = 64 * 1024;

    /// <summary>Number of alerts.</summary>
    public int Alerts { get; init; } = 100;

    /// <summary>Default time after an alert's message during which further failures are only counted. Setting
    /// <c>Alerts:Quiet</c>.</summary>
    public TimeSpan AlertQuiet { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>Default age of a pending delivery that counts as a backlog. Setting <c>Alerts:BacklogAge</c>.</summary>
    public TimeSpan AlertBacklogAge { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Default number of queued runs of one workflow that counts as a backlog. Setting <c>Alerts:BacklogRuns</c>.</summary>
    public int AlertBacklogRuns { get; init; } = 1_000;

    /// <summary>Interval of backlog checks. Setting <c>Alerts:BacklogEvery</c>.</summary>
    public TimeSpan AlertBacklogEvery { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Pending deliveries that one backlog check reads.</summary>
    public int AlertBacklogRead { get; init; } = 10_000;

    /// <summary>Accounts of apps. Setting <c>Accounts:Max</c>.</summary>
    public int Accounts { get; init; } = 500;

    /// <summary>A token that expires within this time is refreshed before a step gets it. A token whose lifetime is less than twice this
    /// value is refreshed after half of its lifetime. Setting <c>Accounts:RefreshBefore</c>.</summary>
    public TimeSpan AccountRefreshBefore { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Timeout of a request to a token endpoint. Setting <c>Accounts:Timeout</c>.</summary>
    public TimeSpan AccountTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Time to sign in at a provider. Setting <c>Accounts:ConnectTimeout</c>.</summary>
    public TimeSpan AccountConnect { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>How long a token that was replaced by a refresh stays masked after it has expired.</summary>
    public TimeSpan AccountTokenMasked { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Maximum number of sign-ins in progress; a further one drops the oldest.</summary>
    public int AccountsConnecting { get; init; } = 100;

    /// <summary>Bytes of a token endpoint's response.</summary>
    public int TokenResponseBytes { get; init; } = 256 * 1024;

    /// <summary>Workflows that may start one another by emitting before a loop is assumed. Setting <c>Emit:MaxHops</c>.</summary>
    public int EmitHops { get; init; } = 10;

    /// <summary>Newest emitted and streamed events kept for each workflow and kind.</summary>
    public int PublishedKept { get; init; } = 100;

    /// <summary>Ids of emitted events that are kept for each event source with dedupe <c>unique</c> (K3). Setting
    /// <c>Sources:MaxIds</c>.</summary>
    public int SourceIdsKept { get; init; } = 10_000;

    /// <summary>How long a deploy, an enabling, a disabling or a deletion waits for the hooks of event sources; they continue
    /// afterwards (K4).</summary>
    public TimeSpan HookWait { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Time until a failed hook is retried; doubled after each failure, up to <see cref="HookRetryMost"/>.</summary>
    public TimeSpan HookRetry { get; init; } = TimeSpan.FromMinutes(1);

    /// <inheritdoc cref="HookRetry"/>
    public TimeSpan HookRetryMost { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Failures after which <c>deactivate</c> is given up.</summary>
    public int HookDeactivations { get; init; } = 8;

    /// <summary>Concurrent readers of streams. Setting <c>Sse:MaxReaders</c>.</summary>
    public int SseReaders { get; init; } = 1_000;

    /// <summary>How long a write to a reader of a stream may take before the reader is disconnected.</summary>
    public TimeSpan SsePatience { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Bytes of console output kept of one run. Setting <c>Runs:MaxLogBytes</c>.</summary>
    public int RunLogBytes { get; init; } = 256 * 1024;

    /// <summary>Bytes of all exports of one run. Setting <c>Runs:MaxExportBytes</c>.</summary>
    public int RunExportBytes { get; init; } = 6 * 1024 * 1024;

    /// <summary>Timeout of a run with an HTTP trigger (E4). Setting <c>Workers:Timeout</c>; a workflow's <c>timeout</c> takes
    /// precedence.</summary>
    public TimeSpan RunTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Timeout of a run without an HTTP trigger, or started by a schedule (E4). Setting <c>Workers:ScheduleTimeout</c>.</summary>
    public TimeSpan ScheduleTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How late a due time still starts its run; older due times are missed.</summary>
    public TimeSpan ScheduleLateness { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>How far a stored time may be in the future before it is corrected as an error of the clock.</summary>
    public TimeSpan ClockTolerance { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Maximum number of missed due times that are counted for one schedule.</summary>
    public int ScheduleMissed { get; init; } = 10_000;

    /// <summary>The longest timeout of a workflow (E4).</summary>
    public TimeSpan RunTimeoutMax { get; init; } = TimeSpan.FromSeconds(750);

    /// <summary>How often a run is started again after server crashes (E1).</summary>
    public int RunRecoveries { get; init; } = 3;

    /// <summary>How long a resume request waits for a run that is still executing.</summary>
    public TimeSpan ReleaseWait { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Compute time per UTC day (E6); 0 is no limit. Setting <c>Quota:ComputePerDay</c>.</summary>
    public TimeSpan QuotaCompute { get; init; }

    /// <summary>Runs started by triggers per UTC day (E6); 0 is no limit. Setting <c>Quota:InvocationsPerDay</c>.</summary>
    public long QuotaInvocations { get; init; }

    /// <summary>Queued runs of one workflow; above this the trigger responds with 429. Setting <c>Runs:MaxQueued</c>.</summary>
    public int RunsQueued { get; init; } = 10_000;

    /// <summary>Runs of one workflow that are given to workers concurrently; the others wait in the workflow's lane.</summary>
    public int RunsExecuting { get; init; } = 256;

    /// <summary>Bytes of queued events in memory, over all workflows; the others wait in the store.</summary>
    public long RunsWaitingBytes { get; init; } = 64 * 1024 * 1024;

    /// <summary>Recovered runs of one workflow in flight. Few, because a start is counted before the run starts (E1).</summary>
    public int RunsRecovering { get; init; } = 8;

    /// <summary>Runs and deliveries in flight before triggers delay responses, so that completing has priority over accepting.</summary>
    public int PacingLoad { get; init; } = 192;

    /// <summary>The longest delay of one trigger response.</summary>
    public TimeSpan PacingMax { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Concurrent worker processes. Setting <c>Workers:Max</c>; 0 is four times the processors, at least 8.</summary>
    public int WorkersMax { get; init; }

    /// <summary>Concurrent worker processes, with the default applied.</summary>
    internal int MostWorkers => WorkersMax > 0 ? WorkersMax : Math.Max(8, 4 * Environment.ProcessorCount);

    /// <summary>Prewarmed worker processes without a workflow.</summary>
    public int WorkersWarm { get; init; } = 1;

    /// <summary>Memory of a worker in MiB (E4). Setting <c>Workers:Memory</c>; a workflow's <c>memory</c> takes precedence.</summary>
    public int WorkerMemoryMb { get; init; } = 256;

    /// <summary>Memory in MiB that Node.js itself uses; a worker is killed if it exceeds this plus its own memory.</summary>
    public int WorkerBaseMemoryMb { get; init; } = 96;

    /// <summary>Time limit for starting a worker and for loading its steps.</summary>
    public TimeSpan WorkerStart { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Runs that a worker gets in advance, behind the executing one, if the workflow's runs are short.</summary>
    public int WorkerDepth { get; init; } = 16;

    /// <summary>How long an idle worker is kept.</summary>
    public TimeSpan WorkerIdle { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Bytes of one frame of the worker protocol.</summary>
    public int FrameBytes { get; init; } = 16 * 1024 * 1024;

    /// <summary>Time limit of npm for the packages of a version (E3). Setting <c>Packages:Timeout</c>.</summary>
    public TimeSpan PackagesTimeout { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>Bytes of a version's installed packages (E3). Setting <c>Packages:MaxBytes</c>.</summary>
    public long PackagesBytes { get; init; } = 500 * 1024 * 1024;

    /// <summary>Bytes of memory of npm and the install scripts of one installation together (E3). Setting <c>Packages:Memory</c>.</summary>
    public long PackagesMemoryBytes { get; init; } = 1024L * 1024 * 1024;

    /// <summary>Processes and threads of npm and the install scripts of one installation (E3).</summary>
    public int PackagesThreads { get; init; } = 512;

    /// <summary>Packages, counted by version, that one workflow may import.</summary>
    public int PackagesImported { get; init; } = 500;

    /// <summary>Hosts and ports, besides the registry, that npm and install scripts can reach from the sandbox (E3). Setting
    /// <c>Packages:Hosts</c>.</summary>
    public IReadOnlyList<string> PackagesHosts { get; init; } = [];

    /// <summary>Packages whose install scripts run (E3). Setting <c>Packages:AllowScripts</c>.</summary>
    public IReadOnlyList<string> PackagesAllowScripts { get; init; } = [];

    /// <summary>Bytes of a trigger's request body (E7). Setting <c>Triggers:MaxBodyBytes</c>.</summary>
    public int TriggerBodyBytes { get; init; } = 512 * 1024;

    /// <summary>Largest body, in bytes, that a run document or a list of deliveries contains. Setting
    /// <c>Documents:MaxBodyBytes</c>.</summary>
    public int DocumentBodyBytes { get; init; } = 64 * 1024;

    /// <summary>Bytes of headers and bodies in such a document; further ones are omitted. Setting <c>Documents:MaxBytes</c>.</summary>
    public int DocumentBytes { get; init; } = 4 * 1024 * 1024;

    /// <summary>History older than this is pruned (G2). Setting <c>Retention:Age</c>.</summary>
    public TimeSpan RetentionAge { get; init; } = TimeSpan.FromDays(7);

    /// <summary>History is pruned above this many bytes of database (G2). Setting <c>Retention:Size</c>; 0 is no limit.</summary>
    public long RetentionBytes { get; init; }

    /// <summary>Free bytes on the database's disk below which new events, deploys and values of data stores are refused (G3); 0 is no
    /// limit. Setting <c>Disk:MinFree</c>.</summary>
    public long DiskMinFree { get; init; } = 128L * 1024 * 1024;

    /// <summary>Bytes of a file that is deleted when the disk is full, so that pruning and work in flight have space (G3); 0 is none.
    /// Setting <c>Disk:Reserve</c>.</summary>
    public long DiskReserve { get; init; } = 64L * 1024 * 1024;

    /// <summary>Bytes of one value of a data store. Setting <c>Stores:MaxValueBytes</c>.</summary>
    public int DataStoreValueBytes { get; init; } = 1024 * 1024;

    /// <summary>Keys of one data store. Setting <c>Stores:MaxKeys</c>.</summary>
    public int DataStoreKeys { get; init; } = 100_000;

    /// <summary>Bytes of the stored values of one data store. Setting <c>Stores:MaxBytes</c>.</summary>
    public long DataStoreBytes { get; init; } = 256L * 1024 * 1024;

    /// <summary>Bytes of the stored values of all data stores. Setting <c>Stores:MaxBytesInAll</c>.</summary>
    public long DataStoreBytesInAll { get; init; } = 1024L * 1024 * 1024;

    /// <summary>Expired keys of data stores deleted in one slice of pruning.</summary>
    public int PruneKeys { get; init; } = 1_000;

    /// <summary>Writes queued for the store; above this callers wait.</summary>
    public int StoreQueue { get; init; } = 10_000;

    /// <summary>Writes in one transaction.</summary>
    public int StoreBatch { get; init; } = 512;

    /// <summary>How long the store waits before it retries a failed write (G3).</summary>
    public TimeSpan StoreRetry { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>How long a closing store retries failed writes.</summary>
    public TimeSpan StoreClosing { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a shutdown waits for requests and runs in flight. Deliveries in flight then have until their deadline. Setting
    /// <c>Shutdown:Timeout</c>.</summary>
    public TimeSpan ShutdownTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>With PostgreSQL: after this time without a renewal, other servers take over the work of a server.</summary>
    public TimeSpan ServerLease { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Concurrent read connections.</summary>
    public int StoreReaders { get; init; } = 4;

    /// <summary>Runs deleted in one slice of pruning, so that other writes proceed in between (G2).</summary>
    public int PruneRuns { get; init; } = 300;

    /// <summary>Pages returned to the disk in one slice of pruning (G2).</summary>
    public int PrunePages { get; init; } = 2_000;
}
