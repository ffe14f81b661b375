using System.Diagnostics;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Secrets;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Sqlite;

namespace Sendoff.Benchmarks;

/// <summary>A store in a separate folder, with events as in S1: a 300-byte body, one step, one 200-byte send.</summary>
internal sealed class StoreLoad(SqliteStore store, IdSequence ids, string folder) : IAsyncDisposable
{
    SqliteStore store = store;

    static readonly byte[] eventJson = Encoding.UTF8.GetBytes(
        """{"method":"POST","path":"/","query":{},"headers":{"content-type":"application/json","user-agent":"load/1.0"},"body":{"order":"A-1000","text":"""
            + $"\"{new string('x', 300)}\""
            + """},"client_ip":"127.0.0.1","url":"http://127.0.0.1/hooks/abc"}"""
    );
    static readonly byte[] sendBody = Encoding.UTF8.GetBytes($$"""{"text":"{{new string('y', 190)}}"}""");
    static readonly byte[] exports = """{"$return_value":{"ok":true}}"""u8.ToArray();
    static readonly Header[] sendHeaders = [new("content-type", "application/json"), new("user-agent", "sendoff/0.1.0")];
    static readonly Header[] sentHeaders = [new("host", "127.0.0.1:9000"), .. sendHeaders, new("content-length", "201")];
    static readonly Header[] gotHeaders =
    [
        new("content-type", "text/plain; charset=utf-8"),
        new("date", "Mon, 23 Nov 2026 08:00:00 GMT"),
        new("server", "Kestrel"),
        new("content-length", "2"),
    ];
    static readonly byte[] gotBody = "ok"u8.ToArray();

    public SqliteStore Store => store;

    public static async Task<StoreLoad> OpenAsync(string? parent)
    {
        string folder = Path.Combine(parent ?? Path.GetTempPath(), "sendoff-bench-" + Path.GetRandomFileName());
        var ids = new IdSequence(TimeProvider.System);
        var store = await SqliteStore.OpenAsync(
            Path.Combine(folder, "sendoff.db"),
            NewConcealment(),
            ids,
            new EngineLimits(),
            TimeProvider.System,
            NullLogger<SqliteStore>.Instance,
            CancellationToken.None
        );
        return new(store, ids, folder);
    }

    internal static Concealment NewConcealment() => new(new SecretCipher(new byte[SecretCipher.KeyBytes]));

    /// <summary>Opens a copy of the state after a crash now, and returns the time that this took.</summary>
    public async Task<TimeSpan> CrashAsync()
    {
        string copy = Path.Combine(folder, "crashed", "sendoff.db");
        Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
        foreach (string suffix in new[] { "-wal", "" })
            File.Copy(Path.Combine(folder, "sendoff.db") + suffix, copy + suffix);
        await store.DisposeAsync();
        long start = Stopwatch.GetTimestamp();
        store = await SqliteStore.OpenAsync(
            copy,
            NewConcealment(),
            ids,
            new EngineLimits(),
            TimeProvider.System,
            NullLogger<SqliteStore>.Instance,
            CancellationToken.None
        );
        return Stopwatch.GetElapsedTime(start);
    }

    public async Task<WorkflowId> DeployAsync(string name) =>
        (await store.DeployAsync(name, new Dictionary<string, string> { ["a"] = "b" }, [], CancellationToken.None)).Id;

    public async Task RunAsync(
        WorkflowId workflow,
        bool mark,
        RunStatus status = RunStatus.Succeeded,
        string destination = "http://127.0.0.1:9000"
    )
    {
        var now = TimeProvider.System.GetUtcNow();
        var run = new QueuedRun(new(ids.Next()), new Event(new(ids.Next()), WorkspaceId.Default, workflow, "http", now, eventJson), 1);
        await store.AcceptAsync(run, CancellationToken.None);
        var delivery = new Delivery(
            new(ids.Next()),
            run.Id,
            WorkspaceId.Default,
            workflow,
            0,
            0,
            destination,
            new("POST", destination + "/in/path", sendHeaders, sendBody),
            mark ? DeliveryStatus.Pending : DeliveryStatus.Sending
        );
        await store.FinishRunAsync(End(run, status, now), [delivery], CancellationToken.None);
        if (mark)
            await store.MarkSendingAsync([delivery.Id], CancellationToken.None);
        await store.RecordAttemptAsync(AttemptOf(delivery, status, now), CancellationToken.None);
    }

    static Run End(QueuedRun run, RunStatus status, DateTimeOffset now) =>
        new(
            run.Id,
            run.Event.Id,
            WorkspaceId.Default,
            run.Event.WorkflowId,
            1,
            "http",
            status,
            now,
            TimeSpan.FromMilliseconds(2),
            TimeSpan.FromMilliseconds(1),
            false,
            false,
            null,
            null,
            null,
            [new("step", 0, StepStatus.Succeeded, 1.25, exports, default, [new("log", "hello from the step", now)], [], null)]
        );

    static Attempt AttemptOf(Delivery delivery, RunStatus status, DateTimeOffset now) =>
        new(
            delivery.Id,
            1,
            now,
            status == RunStatus.Succeeded ? DeliveryStatus.Succeeded : DeliveryStatus.Failed,
            sentHeaders,
            new(200, "1.1", gotHeaders, gotBody, true, 2, false),
            null,
            new(0.2, null, null, null, 0.05, 1.2, 0.1, 1.4),
            "127.0.0.1:50000",
            "127.0.0.1:9000",
            true
        );

    public async ValueTask DisposeAsync()
    {
        await store.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }
}
