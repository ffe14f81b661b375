using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Postgres;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Storage;

public sealed class PostgresStoreConformanceTests : StoreConformanceTests
{
    readonly string database = PostgresServer.Shared.NewDatabase();

    protected override async Task<IStore> OpenAsync(IdSequence ids) =>
        await Task.Run(() => PostgresStore.Open(database, new("one", "one", "0"), TestSecrets.Parts(ids, Clock)), Ct);

    // The earlier process is still connected, and its data folder in use by the new one.
    protected override Task<IStore> OpenAfterCrashAsync(IdSequence ids) => OpenAsync(ids);
}
