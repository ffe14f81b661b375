using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Sqlite;

namespace Sendoff.Tests.Storage;

/// <summary>A folder for one test, gone after it.</summary>
internal sealed class StoreFolder : IDisposable
{
    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("sendoff-store-");

    public string Database => Path.Combine(folder.FullName, "sendoff.db");

    /// <summary>The files as a crash would leave them now.</summary>
    public string CopyAsAfterCrash()
    {
        string copy = Path.Combine(folder.CreateSubdirectory(Path.GetRandomFileName()).FullName, "sendoff.db");
        // The log first: what a checkpoint moves into the database meanwhile is then in both.
        foreach (string suffix in new[] { "-wal", "" })
            if (File.Exists(Database + suffix)) File.Copy(Database + suffix, copy + suffix);
        return copy;
    }

    public void Dispose() => folder.Delete(recursive: true);
}

public sealed class SqliteStoreConformanceTests : StoreConformanceTests
{
    readonly StoreFolder folder = new();

    async Task<IStore> OpenAsync(string path, IdSequence ids) =>
        await SqliteStore.OpenAsync(path, ids, new EngineLimits(), Clock, NullLogger<SqliteStore>.Instance, Ct);

    protected override Task<IStore> OpenAsync(IdSequence ids) => OpenAsync(folder.Database, ids);

    protected override Task<IStore> OpenAfterCrashAsync(IdSequence ids) => OpenAsync(folder.CopyAsAfterCrash(), ids);

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        folder.Dispose();
    }
}
