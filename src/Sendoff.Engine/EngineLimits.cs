namespace Sendoff.Engine;

/// <summary>Every limit and switch of the engine, with its unit and default. Each has a setting of the same name
/// (docs/operating.md).</summary>
public sealed record EngineLimits
{
    /// <summary>One attempt, from DNS to the last byte of the response (C1). Setting <c>Delivery:Deadline</c>.</summary>
    public TimeSpan DeliveryDeadline { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Deliveries on the wire at once, over all destinations (B5). Setting <c>Delivery:MaxConcurrent</c>.</summary>
    public int DeliveryMaxConcurrent { get; init; } = 1_000;

    /// <summary>Deliveries on the wire at once to one destination (B5). Setting <c>Delivery:MaxPerDestination</c>.</summary>
    public int DeliveryMaxPerDestination { get; init; } = 64;

    /// <summary>Waiting deliveries held in memory for one destination; the rest wait in the store.</summary>
    public int DeliveryQueuePerDestination { get; init; } = 1_000;

    /// <summary>Bytes of waiting deliveries in memory, over all destinations; one destination gets an eighth of what is left, and one
    /// delivery in any case (B5).</summary>
    public long DeliveryQueueBytes { get; init; } = 64 * 1024 * 1024;

    /// <summary>Destinations whose waiting deliveries are read back from the store at once.</summary>
    public int DeliveryReaders { get; init; } = 2;

    /// <summary>Attempts whose record is not durable yet, before sending slows down to the store's pace.</summary>
    public int DeliveryRecordsOutstanding { get; init; } = 4_096;

    /// <summary>Names that are looked up at once. A lookup holds a thread and cannot be cancelled.</summary>
    public int DnsLookups { get; init; } = 16;

    /// <summary>Addresses of one name that are tried.</summary>
    public int ConnectAddresses { get; init; } = 16;

    /// <summary>Bytes of a proxy's answer.</summary>
    public int ProxyReplyBytes { get; init; } = 16 * 1024;

    /// <summary>Redirects of one attempt that are followed, up to 10; with 0 a 3xx is the response (C3). Setting
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

    /// <summary>How long an idle connection may be used again. Shorter than receivers keep theirs open (docs/decisions/0003).</summary>
    public TimeSpan ConnectionIdle { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Deliveries carry an <c>idempotency-key</c> (F1). Setting <c>Delivery:IdempotencyKey</c>; a workflow's
    /// <c>idempotency_key</c> wins.</summary>
    public bool DeliveryIdempotencyKey { get; init; }

    /// <summary>Deliveries carry a <c>traceparent</c> (A7). Setting <c>Delivery:Traceparent</c>.</summary>
    public bool DeliveryTraceparent { get; init; }

    /// <summary>Sends of one run (A9). Setting <c>Sends:MaxPerRun</c>.</summary>
    public int SendsPerRun { get; init; } = 1_000;

    /// <summary>How long the URLs of an event's files work after it has come (E7). They also do while a run of it executes. Setting
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

    /// <summary>Receivers that a step may choose for its emails, such as <c>*@example.com</c>; none leaves them to the setting
    /// <c>Smtp:To</c>. Setting <c>Smtp:AllowTo</c>.</summary>
    public IReadOnlyList<string> EmailAllowTo { get; init; } = [];

    /// <summary>Bytes that a mail server may say during one delivery.</summary>
    public int SmtpReplyBytes { get; init; } = 64 * 1024;

    /// <summary>Alerts at once.</summary>
    public int Alerts { get; init; } = 100;

    /// <summary>After a message of an alert, how long further failures are counted, unless the alert says otherwise. Setting
    /// <c>Alerts:Quiet</c>.</summary>
    public TimeSpan AlertQuiet { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>How long a delivery may be pending before that is a backlog, unless the alert says otherwise. Setting
    /// <c>Alerts:BacklogAge</c>.</summary>
    public TimeSpan AlertBacklogAge { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Runs of one workflow that may be queued before that is a backlog, unless the alert says otherwise. Setting
    /// <c>Alerts:BacklogRuns</c>.</summary>
    public int AlertBacklogRuns { get; init; } = 1_000;

    /// <summary>How often alerts look for a backlog. Setting <c>Alerts:BacklogEvery</c>.</summary>
    public TimeSpan AlertBacklogEvery { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Pending deliveries that one look for a backlog reads.</summary>
    public int AlertBacklogRead { get; init; } = 10_000;

    /// <summary>Accounts of apps. Setting <c>Accounts:Max</c>.</summary>
    public int Accounts { get; init; } = 500;

    /// <summary>A token that expires within this time is refreshed before a step gets it. A token that lasts less than twice as long is
    /// refreshed at half of its time. Setting <c>Accounts:RefreshBefore</c>.</summary>
    public TimeSpan AccountRefreshBefore { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Timeout of a request to a token endpoint. Setting <c>Accounts:Timeout</c>.</summary>
    public TimeSpan AccountTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Time to sign in at a provider. Setting <c>Accounts:ConnectTimeout</c>.</summary>
    public TimeSpan AccountConnect { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>Sign-ins at providers in progress; above it the oldest is dropped.</summary>
    public int AccountsConnecting { get; init; } = 100;

    /// <summary>Bytes of a token endpoint's response.</summary>
    public int TokenResponseBytes { get; init; } = 256 * 1024;

    /// <summary>Workflows that an event may start one after the other by emitting, before a loop is assumed. Setting
    /// <c>Emit:MaxHops</c>.</summary>
    public int EmitHops { get; init; } = 10;

    /// <summary>Emitted and streamed events kept, the newest, of each workflow and kind.</summary>
    public int PublishedKept { get; init; } = 100;

    /// <summary>Readers of streams at once. Setting <c>Sse:MaxReaders</c>.</summary>
    public int SseReaders { get; init; } = 1_000;

    /// <summary>How long a reader of a stream may take to take what it is sent; then it is cut off.</summary>
    public TimeSpan SsePatience { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Bytes of console output kept of one run. Setting <c>Runs:MaxLogBytes</c>.</summary>
    public int RunLogBytes { get; init; } = 256 * 1024;

    /// <summary>Bytes of all exports of one run. Setting <c>Runs:MaxExportBytes</c>.</summary>
    public int RunExportBytes { get; init; } = 6 * 1024 * 1024;

    /// <summary>How long a run may take when its trigger is HTTP (E4). Setting <c>Workers:Timeout</c>; a workflow's <c>timeout</c>
    /// wins.</summary>
    public TimeSpan RunTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a run may take when its workflow has no HTTP trigger, or a schedule started it (E4). Setting
    /// <c>Workers:ScheduleTimeout</c>.</summary>
    public TimeSpan ScheduleTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How late a due time still starts its run; one that is older was missed.</summary>
    public TimeSpan ScheduleLateness { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>How far a stored time may be ahead of the clock before it is taken for one of a clock that was wrong.</summary>
    public TimeSpan ClockTolerance { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Due times that are counted as missed, at most, of one schedule at once.</summary>
    public int ScheduleMissed { get; init; } = 10_000;

    /// <summary>The longest timeout that a workflow may ask for (E4).</summary>
    public TimeSpan RunTimeoutMax { get; init; } = TimeSpan.FromSeconds(750);

    /// <summary>How often a run that crashes of the server cut off is started again (E1).</summary>
    public int RunRecoveries { get; init; } = 3;

    /// <summary>How long a call that lets a held run go on waits for a run that still executes.</summary>
    public TimeSpan ReleaseWait { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Time in workers on a UTC day (E6); 0 is no limit. Setting <c>Quota:ComputePerDay</c>.</summary>
    public TimeSpan QuotaCompute { get; init; }

    /// <summary>Runs that triggers start on a UTC day (E6); 0 is no limit. Setting <c>Quota:InvocationsPerDay</c>.</summary>
    public long QuotaInvocations { get; init; }

    /// <summary>Accepted runs of one workflow that may wait; then the trigger answers 429. Setting <c>Runs:MaxQueued</c>.</summary>
    public int RunsQueued { get; init; } = 10_000;

    /// <summary>Runs of one workflow that are handed to the workers at once; the others wait in its lane.</summary>
    public int RunsExecuting { get; init; } = 256;

    /// <summary>Bytes of events that wait in memory, over all workflows; the others wait in the store.</summary>
    public long RunsWaitingBytes { get; init; } = 64 * 1024 * 1024;

    /// <summary>Runs of one workflow that an earlier server left and that are under way at once. Few, because a start is noted before it is
    /// sure to come (E1).</summary>
    public int RunsRecovering { get; init; } = 8;

    /// <summary>Runs and deliveries under way before triggers slow their answers, so that completing goes before accepting.</summary>
    public int PacingLoad { get; init; } = 192;

    /// <summary>The longest that a trigger slows one answer.</summary>
    public TimeSpan PacingMax { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Worker processes at once. Setting <c>Workers:Max</c>; 0 is four times the processors, at least 8.</summary>
    public int WorkersMax { get; init; }

    /// <summary>Worker processes at once, as it is in force.</summary>
    internal int MostWorkers => WorkersMax > 0 ? WorkersMax : Math.Max(8, 4 * Environment.ProcessorCount);

    /// <summary>Worker processes started ahead of need, bound to no workflow yet.</summary>
    public int WorkersWarm { get; init; } = 1;

    /// <summary>Memory of a worker in MiB (E4). Setting <c>Workers:Memory</c>; a workflow's <c>memory</c> wins.</summary>
    public int WorkerMemoryMb { get; init; } = 256;

    /// <summary>Memory in MiB that Node.js itself takes; a worker is killed above this and its own memory together.</summary>
    public int WorkerBaseMemoryMb { get; init; } = 96;

    /// <summary>How long a worker may take to start, and to load its steps.</summary>
    public TimeSpan WorkerStart { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Runs handed to a worker ahead of the one that executes, when the workflow's runs are short.</summary>
    public int WorkerDepth { get; init; } = 16;

    /// <summary>How long a worker without work is kept.</summary>
    public TimeSpan WorkerIdle { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Bytes of one frame of the worker protocol.</summary>
    public int FrameBytes { get; init; } = 16 * 1024 * 1024;

    /// <summary>How long npm may take to install a version's packages (E3). Setting <c>Packages:Timeout</c>.</summary>
    public TimeSpan PackagesTimeout { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>Bytes of a version's installed packages (E3). Setting <c>Packages:MaxBytes</c>.</summary>
    public long PackagesBytes { get; init; } = 500 * 1024 * 1024;

    /// <summary>Bytes of memory of npm and the install scripts of one installation together (E3). Setting <c>Packages:Memory</c>.</summary>
    public long PackagesMemoryBytes { get; init; } = 1024L * 1024 * 1024;

    /// <summary>Processes and threads of npm and the install scripts of one installation (E3).</summary>
    public int PackagesThreads { get; init; } = 512;

    /// <summary>Packages, counted by version, that one workflow may import.</summary>
    public int PackagesImported { get; init; } = 500;

    /// <summary>Hosts with their ports that npm and install scripts reach beside the registry (E3), where they run in the sandbox. Setting
    /// <c>Packages:Hosts</c>.</summary>
    public IReadOnlyList<string> PackagesHosts { get; init; } = [];

    /// <summary>Packages whose install scripts run (E3). Setting <c>Packages:AllowScripts</c>.</summary>
    public IReadOnlyList<string> PackagesAllowScripts { get; init; } = [];

    /// <summary>Bytes of a trigger's request body (E7). Setting <c>Triggers:MaxBodyBytes</c>.</summary>
    public int TriggerBodyBytes { get; init; } = 512 * 1024;

    /// <summary>Bytes of a body that a document of a run, or a list of deliveries, still shows. Setting
    /// <c>Documents:MaxBodyBytes</c>.</summary>
    public int DocumentBodyBytes { get; init; } = 64 * 1024;

    /// <summary>Bytes of headers and bodies in such a document; those behind are left out. Setting <c>Documents:MaxBytes</c>.</summary>
    public int DocumentBytes { get; init; } = 4 * 1024 * 1024;

    /// <summary>History older than this is pruned (G2). Setting <c>Retention:Age</c>.</summary>
    public TimeSpan RetentionAge { get; init; } = TimeSpan.FromDays(7);

    /// <summary>History is pruned above this many bytes of database (G2). Setting <c>Retention:Size</c>; 0 is no limit.</summary>
    public long RetentionBytes { get; init; }

    /// <summary>Free bytes on the database's disk below which new events, deploys and values of data stores are refused (G3); 0 is none.
    /// Setting <c>Disk:MinFree</c>.</summary>
    public long DiskMinFree { get; init; } = 128L * 1024 * 1024;

    /// <summary>Bytes of a file that is deleted when the disk is full, so that pruning and work in flight have space (G3); 0 is none.
    /// Setting <c>Disk:Reserve</c>.</summary>
    public long DiskReserve { get; init; } = 64L * 1024 * 1024;

    /// <summary>Bytes of one value of a data store. Setting <c>Stores:MaxValueBytes</c>.</summary>
    public int DataStoreValueBytes { get; init; } = 1024 * 1024;

    /// <summary>Keys of one data store. Setting <c>Stores:MaxKeys</c>.</summary>
    public int DataStoreKeys { get; init; } = 100_000;

    /// <summary>Keys of data stores deleted in one slice of pruning, when their time is over.</summary>
    public int PruneKeys { get; init; } = 1_000;

    /// <summary>Writes that wait for the store; then callers wait.</summary>
    public int StoreQueue { get; init; } = 10_000;

    /// <summary>Writes in one transaction.</summary>
    public int StoreBatch { get; init; } = 512;

    /// <summary>How long the store waits before it tries again what it could not write (G3).</summary>
    public TimeSpan StoreRetry { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>How long a closing store goes on trying what it cannot write.</summary>
    public TimeSpan StoreClosing { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a shutdown waits for the requests and runs in flight. Deliveries in flight then have their deadline. Setting
    /// <c>Shutdown:Timeout</c>.</summary>
    public TimeSpan ShutdownTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Connections that read at once.</summary>
    public int StoreReaders { get; init; } = 4;

    /// <summary>Runs deleted in one slice of pruning, so that serving goes on in between (G2).</summary>
    public int PruneRuns { get; init; } = 300;

    /// <summary>Pages given back to the disk in one slice of pruning (G2).</summary>
    public int PrunePages { get; init; } = 2_000;
}
