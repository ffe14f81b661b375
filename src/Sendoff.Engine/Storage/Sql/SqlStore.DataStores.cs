using System.Text;

namespace Sendoff.Engine.Storage.Sql;

internal abstract partial class SqlStore
{
    const int MostStores = 1_000;
    const string IsAlive = "(expires_at IS NULL OR expires_at > ?)";

    long Now => SqlTime.From(time.GetUtcNow());

    public Task<StoredValue?> GetValueAsync(StoreName store, string key, CancellationToken ct) =>
        readers.ReadAsync(
            session =>
                FindStore(session, store) is not { } id
                    ? null
                    : session
                        .Sql($"SELECT key, changed_at, expires_at, value FROM store_values WHERE store_id = ? AND key = ? AND {IsAlive}")
                        .Set(id)
                        .Set(Encoding.UTF8.GetBytes(key))
                        .Set(Now)
                        .FirstOrDefault(row => ReadValue(row, store)),
            ct
        );

    public Task<SetOutcome> SetValueAsync(StoreName store, StoredValue value, StoreRoom room, CancellationToken ct)
    {
        byte[] key = Encoding.UTF8.GetBytes(value.Key),
            box = concealment.Cipher.Seal(value.Json.Span, store.Seal(value.Key));
        long changed = SqlTime.From(value.ChangedAt);
        long? expires = value.ExpiresAt is { } at ? SqlTime.From(at) : null;
        return GrowAsync(
            session =>
            {
                if (store.Owner != default && !workflows.Has(session, store.Owner.Value))
                    return SetOutcome.Gone;
                if ((FindStore(session, store) ?? MakeStore(session, store)) is not { } id)
                    return SetOutcome.TooManyStores;
                if (FullOf(session, id, key, box.Length, room) is not SetOutcome.Set and var full)
                    return full;
                Put(session, id, key, changed, expires, box);
                return SetOutcome.Set;
            },
            ct
        );
    }

    internal static void Put(SqlSession session, long store, byte[] key, long changed, long? expires, byte[] box)
    {
        int replaced = session
            .Sql("UPDATE store_values SET changed_at = ?, expires_at = ?, value = ? WHERE store_id = ? AND key = ?")
            .Set(changed)
            .Set(expires)
            .Set(box)
            .Set(store)
            .Set(key)
            .Run();
        if (replaced > 0)
            return;
        session
            .Sql("INSERT INTO store_values(store_id, changed_at, expires_at, key, value) VALUES (?, ?, ?, ?, ?)")
            .Set(store)
            .Set(changed)
            .Set(expires)
            .Set(key)
            .Set(box)
            .Run();
    }

    // Set if the value fits. Expired values of the store make room for it; those of other stores are pruned soon.
    SetOutcome FullOf(SqlSession session, long store, byte[] key, long bytes, StoreRoom room)
    {
        if (FullOf() is SetOutcome.Set)
            return SetOutcome.Set;
        session.Sql("DELETE FROM store_values WHERE expires_at <= ? AND store_id = ?").Set(Now).Set(store).Run();
        return FullOf();

        SetOutcome FullOf()
        {
            const string replacing = "SELECT length(value) FROM store_values WHERE store_id = ? AND key = ?";
            long? replaced = session.Sql(replacing).Set(store).Set(key).Number();
            var (keys, used) = session
                .Sql("SELECT keys, bytes FROM stores WHERE id = ?")
                .Set(store)
                .FirstOrDefault(static row => (row.Long(0), row.Long(1)));
            if (replaced is null && keys >= room.Keys)
                return SetOutcome.Full;
            long growth = bytes - (replaced ?? 0);
            if (growth <= 0)
                return SetOutcome.Set;
            if (used + growth > room.Bytes)
                return SetOutcome.TooManyBytes;
            bool fits = session.Number("SELECT sum(bytes) FROM stores") + growth <= room.BytesInAll;
            return fits ? SetOutcome.Set : SetOutcome.TooManyBytesInAll;
        }
    }

    // Stores of a deleted workflow exist until they are pruned.
    internal static long? FindStore(SqlSession session, StoreName store) =>
        session
            .Sql(
                """
                SELECT id FROM stores WHERE workspace_id = ?1 AND workflow_id = ?2 AND name = ?3 AND (?2 = 0 OR EXISTS (SELECT 1 FROM workflows WHERE id = ?2))
                """
            )
            .Set(WorkspaceId.Default.Value)
            .Set(store.Owner.Value)
            .Set(store.Name)
            .Number();

    internal static long? MakeStore(SqlSession session, StoreName store)
    {
        if (store.Owner == default && session.Number("SELECT count(*) FROM stores WHERE workflow_id = 0") >= MostStores)
            return null;
        return session
            .Sql("INSERT INTO stores(workspace_id, workflow_id, keys, name) VALUES (?, ?, 0, ?) RETURNING id")
            .Set(WorkspaceId.Default.Value)
            .Set(store.Owner.Value)
            .Set(store.Name)
            .Number();
    }

    public Task<bool> ExpireValueAsync(StoreName store, string key, DateTimeOffset? at, CancellationToken ct) =>
        WriteAsync(
            OutageRule.Refuse,
            session =>
                FindStore(session, store) is { } id
                && session
                    .Sql($"UPDATE store_values SET expires_at = ? WHERE store_id = ? AND key = ? AND {IsAlive}")
                    .Set(at is { } some ? SqlTime.From(some) : null)
                    .Set(id)
                    .Set(Encoding.UTF8.GetBytes(key))
                    .Set(Now)
                    .Run() > 0,
            ct
        );

    public Task<bool> DeleteValueAsync(StoreName store, string key, CancellationToken ct) =>
        WriteAsync(
            OutageRule.Refuse,
            session =>
                FindStore(session, store) is { } id
                && session
                    .Sql($"DELETE FROM store_values WHERE store_id = ? AND key = ? AND {IsAlive}")
                    .Set(id)
                    .Set(Encoding.UTF8.GetBytes(key))
                    .Set(Now)
                    .Run() > 0,
            ct
        );

    public Task ClearValuesAsync(StoreName store, CancellationToken ct) =>
        WriteAsync(
            OutageRule.Refuse,
            session => FindStore(session, store) is { } id ? session.Sql("DELETE FROM store_values WHERE store_id = ?").Set(id).Run() : 0,
            ct
        );

    public Task<IReadOnlyList<string>> ListKeysAsync(StoreName store, string? after, int limit, CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<string>>(
            session =>
                FindStore(session, store) is not { } id
                    ? []
                    : session
                        .Sql($"SELECT key FROM store_values WHERE store_id = ? AND key > ? AND {IsAlive} ORDER BY key LIMIT ?")
                        .Set(id)
                        .Set(After(after))
                        .Set(Now)
                        .Set(limit)
                        .All(static row => Encoding.UTF8.GetString(row.Blob(0))),
            ct
        );

    public Task<IReadOnlyList<StoredValue>> ListValuesAsync(
        StoreName store,
        string? after,
        int limit,
        long mostBytes,
        CancellationToken ct
    ) =>
        readers.ReadAsync<IReadOnlyList<StoredValue>>(
            session =>
                FindStore(session, store) is not { } id
                    ? []
                    : session
                        .Sql(
                            $"""
                            SELECT key, changed_at, expires_at, value FROM (
                                SELECT key, changed_at, expires_at, value, sum(length(value)) OVER (ORDER BY key ROWS UNBOUNDED PRECEDING) AS bytes, row_number() OVER (ORDER BY key) AS place
                                FROM (SELECT * FROM store_values WHERE store_id = ? AND key > ? AND {IsAlive} ORDER BY key LIMIT ?) AS page) AS summed
                            WHERE bytes <= ? OR place = 1 ORDER BY key
                            """
                        )
                        .Set(id)
                        .Set(After(after))
                        .Set(Now)
                        .Set(limit)
                        .Set(mostBytes)
                        .All(row => ReadValue(row, store)),
            ct
        );

    public Task<IReadOnlyList<StoredKey>> ListKeysAsync(StoreName store, string contains, string? after, int limit, CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<StoredKey>>(
            session =>
            {
                if (FindStore(session, store) is not { } id)
                    return [];
                bool isAll = contains.Length == 0;
                var sql = session
                    .Sql(
                        $"""
                        SELECT key, length(value), changed_at, expires_at FROM store_values
                        WHERE store_id = ? AND key > ? AND {IsAlive}{(
                            isAll ? "" : $" AND {session.Dialect.Contains("key", "?")}"
                        )} ORDER BY key LIMIT ?
                        """
                    )
                    .Set(id)
                    .Set(After(after))
                    .Set(Now);
                if (!isAll)
                    sql.Set(Encoding.UTF8.GetBytes(contains));
                return sql.Set(limit)
                    .All(static row => new StoredKey(
                        Encoding.UTF8.GetString(row.Blob(0)),
                        row.Long(1),
                        SqlTime.Moment(row.Long(2)),
                        row.LongOrNull(3) is { } expires ? SqlTime.Moment(expires) : null
                    ));
            },
            ct
        );

    // A single byte 0 is below every key and is not a valid key.
    static byte[] After(string? key) => string.IsNullOrEmpty(key) ? [0] : Encoding.UTF8.GetBytes(key);

    public Task<long> CountKeysAsync(StoreName store, CancellationToken ct) =>
        readers.ReadAsync(session => FindStore(session, store) is { } id ? CountAlive(session, id) : 0, ct);

    // Expired keys are deleted soon, so there are few.
    long CountAlive(SqlSession session, long store) =>
        session
            .Sql(
                """
                SELECT keys - (SELECT count(*) FROM store_values WHERE expires_at <= ? AND store_id = stores.id) FROM stores WHERE id = ?
                """
            )
            .Set(Now)
            .Set(store)
            .Number()
        ?? 0;

    public Task<IReadOnlyList<StoreSummary>> ListStoresAsync(CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<StoreSummary>>(
            session =>
                [
                    .. session
                        .Sql("SELECT id, name FROM stores WHERE workflow_id = 0 ORDER BY name")
                        .All(static row => (Id: row.Long(0), Name: row.Text(1)))
                        .Select(store => new StoreSummary(store.Name, CountAlive(session, store.Id))),
                ],
            ct
        );

    public Task<int> PruneValuesAsync(int limit, CancellationToken ct) =>
        WriteAsync(
            OutageRule.Probe,
            session =>
            {
                int keys = session
                    .Sql("DELETE FROM store_values WHERE id IN (SELECT id FROM store_values WHERE expires_at <= ? LIMIT ?)")
                    .Set(Now)
                    .Set(limit)
                    .Run();
                session.Sql("DELETE FROM stores WHERE keys = 0").Run();
                return keys;
            },
            ct
        );

    StoredValue ReadValue(SqlStatement row, StoreName store)
    {
        string key = Encoding.UTF8.GetString(row.Blob(0));
        return new(
            key,
            concealment.Cipher.Open(row.Blob(3), store.Seal(key)),
            SqlTime.Moment(row.Long(1)),
            row.LongOrNull(2) is { } expires ? SqlTime.Moment(expires) : null
        );
    }
}
