using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Sendoff.Engine;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Sqlite;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Storage;

/// <summary>A disk of 64 MB that is filled to its last byte (G3).</summary>
public sealed class SqliteDiskTests : IDisposable
{
    const int Megabyte = 1024 * 1024;

    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("sendoff-disk-");
    readonly FakeTimeProvider clock = new(DateTimeOffset.Parse("2026-11-23T08:00:00Z"));
    readonly EngineLimits limits = new()
    {
        DiskMinFree = 8 * Megabyte,
        DiskReserve = 16 * Megabyte,
        StoreRetry = TimeSpan.FromMilliseconds(20),
        StoreClosing = TimeSpan.FromMilliseconds(500),
    };
    readonly IdSequence ids;

    public SqliteDiskTests()
    {
        ids = new(clock);
        Assert.SkipUnless(
            OperatingSystem.IsLinux()
                && Environment.UserName == "root"
                && Run("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder.FullName) == 0,
            "needs the right to mount a tmpfs: run it as root, in a container with --cap-add SYS_ADMIN"
        );
    }

    static CancellationToken Ct => TestContext.Current.CancellationToken;
    string Database => Path.Combine(folder.FullName, "sendoff.db");
    string Reserve => Path.Combine(folder.FullName, "reserve");
    string Filler => Path.Combine(folder.FullName, "filler");
    long Free => new DriveInfo(folder.FullName).AvailableFreeSpace;

    public void Dispose()
    {
        Run("umount", "-l", folder.FullName);
        folder.Delete(recursive: true);
    }

    static int Run(string command, params string[] args)
    {
        using var process = Process.Start(new ProcessStartInfo(command, args) { RedirectStandardError = true })!;
        process.WaitForExit();
        return process.ExitCode;
    }

    Task<SqliteStore> OpenAsync() =>
        SqliteStore.OpenAsync(Database, TestSecrets.Concealment(), ids, limits, clock, NullLogger<SqliteStore>.Instance, Ct);

    void Fill(long leave)
    {
        using var file = new FileStream(Filler, FileMode.Append, FileAccess.Write, FileShare.None, bufferSize: 0);
        try
        {
            while (Free > leave)
                file.Write(new byte[Math.Clamp(Free - leave, 1, 64 * 1024)]);
        }
        catch (IOException)
        {
            // Full.
        }
    }

    static Task<Workflow> DeployAsync(SqliteStore store) =>
        store.DeployAsync("orders", new Dictionary<string, string> { ["a"] = "b" }, [], Ct);

    QueuedRun NewRun(Workflow workflow, int bytes = 1_000) =>
        new(new(ids.Next()), new(new(ids.Next()), WorkspaceId.Default, workflow.Id, "http", clock.GetUtcNow(), new byte[bytes]), 1);

    Task<bool> FinishAsync(SqliteStore store, QueuedRun run, int bytes = 1_000) =>
        store.FinishRunAsync(
            new(
                run.Id,
                run.Event.Id,
                WorkspaceId.Default,
                run.Event.WorkflowId,
                1,
                "http",
                RunStatus.Succeeded,
                clock.GetUtcNow(),
                default,
                default,
                false,
                false,
                null,
                null,
                null,
                []
            ),
            [
                new(
                    new(ids.Next()),
                    run.Id,
                    WorkspaceId.Default,
                    run.Event.WorkflowId,
                    0,
                    0,
                    "https://sink.example:443",
                    new("POST", "https://sink.example/", [], new byte[bytes]),
                    DeliveryStatus.Captured
                ),
            ],
            Ct
        );

    async Task<QueuedRun> AcceptAsync(SqliteStore store, Workflow workflow, int bytes = 1_000)
    {
        var run = NewRun(workflow, bytes);
        Assert.True(await store.AcceptAsync(run, Ct));
        return run;
    }

    // The disk is looked at once a second.
    void LookAgain() => clock.Advance(TimeSpan.FromSeconds(1));

    [Fact]
    public async Task Below_the_floor_what_is_new_is_refused_what_is_under_way_ends_and_space_brings_events_back()
    {
        await using var store = await OpenAsync();
        var workflow = await DeployAsync(store);
        var running = await AcceptAsync(store, workflow);
        Fill(leave: limits.DiskMinFree - 64 * 1024);
        LookAgain();

        var refused = await Assert.ThrowsAsync<StoreUnavailableException>(() => store.AcceptAsync(NewRun(workflow), Ct));
        Assert.Contains("7 MB free, and 8 MB is the minimum for new events (setting Disk:MinFree)", refused.Message);
        await Assert.ThrowsAsync<StoreUnavailableException>(() => store.KeepEventAsync(NewRun(workflow).Event, Ct));
        await Assert.ThrowsAsync<StoreUnavailableException>(() => DeployAsync(store));
        await Assert.ThrowsAsync<StoreUnavailableException>(() =>
            store.SaveDraftAsync(workflow.Id, new Dictionary<string, string> { ["a"] = "c" }, false, Ct)
        );
        await Assert.ThrowsAsync<StoreUnavailableException>(() =>
            store.SetValueAsync(new(default, "data"), new("k", "1"u8.ToArray(), clock.GetUtcNow()), new(10, 1_000, 1_000), Ct)
        );
        await Assert.ThrowsAsync<StoreUnavailableException>(() => store.CheckAsync(Ct));
        Assert.True(await FinishAsync(store, running));
        Assert.True(await store.SetEnabledAsync("orders", true, Ct));

        File.Delete(Filler);
        LookAgain();
        await AcceptAsync(store, workflow);
        await store.CheckAsync(Ct);
    }

    [Fact]
    public async Task Events_that_were_refused_come_back_when_there_is_an_eighth_more_than_the_floor()
    {
        await using var store = await OpenAsync();
        var workflow = await DeployAsync(store);
        Fill(leave: limits.DiskMinFree - 64 * 1024);
        LookAgain();
        await Assert.ThrowsAsync<StoreUnavailableException>(() => store.AcceptAsync(NewRun(workflow), Ct));

        File.Delete(Filler);
        Fill(leave: limits.DiskMinFree + limits.DiskMinFree / 8 - 256 * 1024);
        LookAgain();
        await Assert.ThrowsAsync<StoreUnavailableException>(() => store.AcceptAsync(NewRun(workflow), Ct));

        File.Delete(Filler);
        Fill(leave: limits.DiskMinFree + limits.DiskMinFree / 8 + 256 * 1024);
        LookAgain();
        await AcceptAsync(store, workflow);
    }

    [Fact]
    public async Task On_a_full_disk_the_reserve_ends_what_is_under_way_and_pruning_brings_events_back()
    {
        await using var store = await OpenAsync();
        Assert.Equal(limits.DiskReserve, new FileInfo(Reserve).Length);
        var workflow = await DeployAsync(store);
        for (int i = 0; i < 120; i++)
            await FinishAsync(store, await AcceptAsync(store, workflow, 100_000));
        var running = await AcceptAsync(store, workflow);
        Fill(leave: 0);

        Assert.True(await FinishAsync(store, running, 10 * Megabyte).WithinLimitAsync());
        Assert.False(File.Exists(Reserve));
        LookAgain();
        await Assert.ThrowsAsync<StoreUnavailableException>(() => store.AcceptAsync(NewRun(workflow), Ct));

        while ((await store.PruneAsync(clock.GetUtcNow().AddDays(1), 0, Ct)).More) { }
        LookAgain();
        await AcceptAsync(store, workflow);

        File.Delete(Filler);
        LookAgain();
        await AcceptAsync(store, workflow);
        Assert.Equal(limits.DiskReserve, new FileInfo(Reserve).Length);
    }

    [Fact]
    public async Task A_start_on_a_full_disk_gives_up_the_reserve_and_prunes()
    {
        await using (var store = await OpenAsync())
        {
            var workflow = await DeployAsync(store);
            for (int i = 0; i < 120; i++)
                await FinishAsync(store, await AcceptAsync(store, workflow, 100_000));
        }
        Fill(leave: 0);

        await using var after = await OpenAsync();

        Assert.False(File.Exists(Reserve));
        long size = new FileInfo(Database).Length;
        while ((await after.PruneAsync(clock.GetUtcNow().AddDays(1), 0, Ct)).More) { }
        Assert.InRange(new FileInfo(Database).Length, 1, size / 2);
        await AcceptAsync(after, (await after.GetWorkflowAsync("orders", Ct))!);
    }

    [Fact]
    public async Task Without_space_for_it_there_is_no_reserve()
    {
        Fill(leave: limits.DiskMinFree + 2 * limits.DiskReserve - Megabyte);
        await using var store = await OpenAsync();
        Assert.False(File.Exists(Reserve));
        await AcceptAsync(store, await DeployAsync(store));
    }
}
