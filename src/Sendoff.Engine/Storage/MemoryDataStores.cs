namespace Sendoff.Engine.Storage;

/// <summary>Data stores in memory, for a run without a server.</summary>
public sealed class MemoryDataStores(TimeProvider time) : IDataStores
{
    readonly Lock gate = new();
    readonly SortedDictionary<string, SortedDictionary<string, StoredValue>> workspace = new(StringComparer.Ordinal);
    readonly Dictionary<StoreName, SortedDictionary<string, StoredValue>> owned = [];

    public Task<StoredValue?> GetValueAsync(StoreName store, string key, CancellationToken ct) =>
        Do(store, values => values.GetValueOrDefault(key));

    public Task<SetOutcome> SetValueAsync(StoreName store, StoredValue value, StoreRoom room, CancellationToken ct) =>
        Do(
            store,
            values =>
            {
                var replaced = values.GetValueOrDefault(value.Key);
                if (replaced is null && values.Count >= room.Keys)
                    return SetOutcome.Full;
                int growth = value.Json.Length - (replaced?.Json.Length ?? 0);
                if (growth > 0 && BytesOf(values) + growth > room.Bytes)
                    return SetOutcome.TooManyBytes;
                if (growth > 0 && workspace.Values.Concat(owned.Values).Sum(BytesOf) + growth > room.BytesInAll)
                    return SetOutcome.TooManyBytesInAll;
                values[value.Key] = value;
                return SetOutcome.Set;
            }
        );

    static long BytesOf(SortedDictionary<string, StoredValue> values) => values.Values.Sum(static value => (long)value.Json.Length);

    public Task<bool> ExpireValueAsync(StoreName store, string key, DateTimeOffset? at, CancellationToken ct) =>
        Do(
            store,
            values =>
            {
                if (!values.TryGetValue(key, out var value))
                    return false;
                values[key] = value with { ExpiresAt = at };
                return true;
            }
        );

    public Task<bool> DeleteValueAsync(StoreName store, string key, CancellationToken ct) => Do(store, values => values.Remove(key));

    public Task ClearValuesAsync(StoreName store, CancellationToken ct) =>
        Do(
            store,
            values =>
            {
                values.Clear();
                return true;
            }
        );

    public Task<IReadOnlyList<string>> ListKeysAsync(StoreName store, string? after, int limit, CancellationToken ct) =>
        Do<IReadOnlyList<string>>(store, values => [.. From(values, after).Take(limit).Select(static value => value.Key)]);

    public Task<IReadOnlyList<StoredValue>> ListValuesAsync(
        StoreName store,
        string? after,
        int limit,
        long mostBytes,
        CancellationToken ct
    ) =>
        Do<IReadOnlyList<StoredValue>>(
            store,
            values =>
            {
                long bytes = 0;
                return
                [
                    .. From(values, after).Take(limit).TakeWhile((value, place) => (bytes += value.Json.Length) <= mostBytes || place == 0),
                ];
            }
        );

    public Task<IReadOnlyList<StoredKey>> ListKeysAsync(StoreName store, string contains, string? after, int limit, CancellationToken ct) =>
        Do<IReadOnlyList<StoredKey>>(
            store,
            values =>
                [
                    .. From(values, after)
                        .Where(value => value.Key.Contains(contains, StringComparison.Ordinal))
                        .Take(limit)
                        .Select(static value => new StoredKey(value.Key, value.Json.Length, value.ChangedAt, value.ExpiresAt)),
                ]
        );

    public Task<long> CountKeysAsync(StoreName store, CancellationToken ct) => Do(store, values => (long)values.Count);

    public Task<IReadOnlyList<StoreSummary>> ListStoresAsync(CancellationToken ct)
    {
        lock (gate)
        {
            foreach (var values in workspace.Values)
                Expire(values);
            return Task.FromResult<IReadOnlyList<StoreSummary>>([
                .. workspace.Where(store => store.Value.Count > 0).Select(store => new StoreSummary(store.Key, store.Value.Count)),
            ]);
        }
    }

    public Task<int> PruneValuesAsync(int limit, CancellationToken ct)
    {
        lock (gate)
            return Task.FromResult(workspace.Values.Concat(owned.Values).Sum(Expire));
    }

    static IEnumerable<StoredValue> From(SortedDictionary<string, StoredValue> values, string? after) =>
        values.Values.SkipWhile(value => after is not null && string.CompareOrdinal(value.Key, after) <= 0);

    Task<T> Do<T>(StoreName store, Func<SortedDictionary<string, StoredValue>, T> act)
    {
        lock (gate)
        {
            SortedDictionary<string, StoredValue>? values;
            if (store.Owner != default)
            {
                if (!owned.TryGetValue(store, out values))
                    owned[store] = values = new(StringComparer.Ordinal);
            }
            else if (!workspace.TryGetValue(store.Name, out values))
                workspace[store.Name] = values = new(StringComparer.Ordinal);
            Expire(values);
            return Task.FromResult(act(values));
        }
    }

    int Expire(SortedDictionary<string, StoredValue> values)
    {
        var now = time.GetUtcNow();
        var over = values.Values.Where(value => value.ExpiresAt <= now).Select(static value => value.Key).ToList();
        foreach (string key in over)
            values.Remove(key);
        return over.Count;
    }
}
