using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Sqlite;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Storage;

/// <summary>The database as files: who may read them, and that they stay where they are.</summary>
public sealed class SqliteFileTests : IDisposable
{
    const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    readonly StoreFolder folder = new();
    readonly IdSequence ids = new(TimeProvider.System);

    static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => folder.Dispose();

    Task<SqliteStore> OpenAsync(string? path = null) =>
        SqliteStore.OpenAsync(
            path ?? folder.Database,
            TestSecrets.Concealment(),
            ids,
            new EngineLimits(),
            TimeProvider.System,
            NullLogger<SqliteStore>.Instance,
            Ct
        );

    static Task<Workflow> DeployAsync(SqliteStore store) =>
        store.DeployAsync("orders", new Dictionary<string, string> { ["a"] = "b" }, [], Ct);

    QueuedRun NewRun(Workflow workflow) =>
        new(
            new(ids.Next()),
            new(new(ids.Next()), WorkspaceId.Default, workflow.Id, "http", TimeProvider.System.GetUtcNow(), "{}"u8.ToArray()),
            1
        );

    [Fact]
    [System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
    public async Task Only_the_servers_user_can_read_what_is_beside_the_database()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "files have no mode on Windows");
        await using var store = await OpenAsync();
        await DeployAsync(store);

        string[] files = Directory.GetFiles(Path.GetDirectoryName(folder.Database)!);

        Assert.Equal(
            ["reserve", "sendoff.db", "sendoff.db-shm", "sendoff.db-wal", "sendoff.db.lock"],
            files.Select(Path.GetFileName).Order()
        );
        Assert.All(files, file => Assert.Equal((file, OwnerOnly), (file, File.GetUnixFileMode(file))));
    }

    [Fact]
    [System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
    public async Task Files_that_others_could_read_are_made_private_at_a_start_copies_too()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "files have no mode on Windows");
        await (await OpenAsync()).DisposeAsync();
        string backup = folder.Database + ".before-update";
        File.Copy(folder.Database, backup);
        File.Copy(folder.Database, folder.Database + "-wal.old");
        foreach (string file in Directory.GetFiles(Path.GetDirectoryName(folder.Database)!, "sendoff.db*"))
            File.SetUnixFileMode(file, OwnerOnly | UnixFileMode.GroupRead | UnixFileMode.OtherRead);

        await using var store = await OpenAsync();
        await DeployAsync(store);

        Assert.All(
            Directory.GetFiles(Path.GetDirectoryName(folder.Database)!, "sendoff.db*"),
            file => Assert.Equal((file, OwnerOnly), (file, File.GetUnixFileMode(file)))
        );
    }

    [Fact]
    public async Task A_database_that_is_deleted_while_it_is_served_is_noticed_and_takes_no_events()
    {
        await using var store = await OpenAsync();
        var workflow = await DeployAsync(store);
        await store.CheckAsync(Ct);
        File.Delete(folder.Database);

        await AssertNoticedAsync(store, workflow, "was deleted or emptied");
    }

    [Fact]
    public async Task A_database_that_is_emptied_while_it_is_served_is_noticed_and_takes_no_events()
    {
        await using var store = await OpenAsync();
        var workflow = await DeployAsync(store);
        using (var file = new FileStream(folder.Database, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
            file.SetLength(0);

        await AssertNoticedAsync(store, workflow, "was deleted or emptied");
    }

    [Fact]
    public async Task A_database_that_another_file_replaces_while_it_is_served_is_noticed()
    {
        string other = folder.CopyAsAfterCrash();
        await (await OpenAsync(other)).DisposeAsync();
        await using var store = await OpenAsync();
        await store.CheckAsync(Ct);
        File.Move(other, folder.Database, overwrite: true);

        var noticed = await Assert.ThrowsAsync<StoreUnavailableException>(() => store.CheckAsync(Ct));

        Assert.Contains($"the database {folder.Database} was replaced by another file", noticed.Message);
    }

    async Task AssertNoticedAsync(SqliteStore store, Workflow workflow, string says)
    {
        var noticed = await Assert.ThrowsAsync<StoreUnavailableException>(() => store.CheckAsync(Ct));
        Assert.Contains(says, noticed.Message);
        // It is looked at once a second.
        StoreUnavailableException? refused = null;
        for (long until = Environment.TickCount64 + 20_000; refused is null && Environment.TickCount64 < until; )
        {
            try
            {
                await store.AcceptAsync(NewRun(workflow), Ct);
            }
            catch (StoreUnavailableException x)
            {
                refused = x;
            }
        }
        Assert.Contains(says, refused?.Message);
    }

    [Fact]
    public async Task A_database_is_looked_at_without_being_changed_while_it_is_served_too()
    {
        string directory = Path.GetDirectoryName(folder.Database)!;
        Assert.Equal(new DatabaseState(false, 0, null, null), DatabaseState.In(directory));
        await using (var store = await OpenAsync())
        {
            Assert.Null(DatabaseState.In(directory).KeyFingerprint);
            await store.KeepFingerprintAsync(77, Ct);
            Assert.Equal((false, 77L), DatabaseState.In(directory) is var served ? (served.IsEmpty, served.KeyFingerprint) : default);
        }
        Assert.Equal(77, DatabaseState.In(directory).KeyFingerprint);
        await File.WriteAllTextAsync(folder.Database, new string('x', 5_000), Ct);
        Assert.Contains("is not a SQLite database", DatabaseState.In(directory).Fault);
        await File.WriteAllTextAsync(folder.Database, "", Ct);
        Assert.Equal(new DatabaseState(true, 0, null, null), DatabaseState.In(directory));
    }
}
