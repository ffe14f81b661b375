using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Sendoff.Engine.Storage;

/// <summary>Data stores, in which steps keep keys with JSON values between runs. A store is created with its first key. A write completes
/// when it is durable. Expired keys are hidden immediately. DataStoreConformanceTests specifies the behaviour of all drivers.</summary>
public interface IDataStores
{
    /// <summary>Returns null if the key does not exist.</summary>
    Task<StoredValue?> GetValueAsync(StoreName store, string key, CancellationToken ct);

    /// <summary>Sets a key's value and expiry. A full store still accepts changes that do not need more space.</summary>
    Task<SetOutcome> SetValueAsync(StoreName store, StoredValue value, StoreRoom room, CancellationToken ct);

    /// <summary>Changes the expiry of a key; null for never. Returns false if the key does not exist.</summary>
    Task<bool> ExpireValueAsync(StoreName store, string key, DateTimeOffset? at, CancellationToken ct);

    /// <summary>Returns false if the key does not exist.</summary>
    Task<bool> DeleteValueAsync(StoreName store, string key, CancellationToken ct);

    Task ClearValuesAsync(StoreName store, CancellationToken ct);

    /// <summary>Lists keys after <paramref name="after"/>, in the order of their UTF-8 bytes.</summary>
    Task<IReadOnlyList<string>> ListKeysAsync(StoreName store, string? after, int limit, CancellationToken ct);

    /// <summary>Lists entries in the same order, up to <paramref name="mostBytes"/> in total, but at least one.</summary>
    Task<IReadOnlyList<StoredValue>> ListValuesAsync(StoreName store, string? after, int limit, long mostBytes, CancellationToken ct);

    /// <summary>Lists keys in the same order, without values.</summary>
    /// <param name="contains">Only keys that contain this text; empty for all.</param>
    Task<IReadOnlyList<StoredKey>> ListKeysAsync(StoreName store, string contains, string? after, int limit, CancellationToken ct);

    Task<long> CountKeysAsync(StoreName store, CancellationToken ct);

    /// <summary>The workspace's stores by name.</summary>
    Task<IReadOnlyList<StoreSummary>> ListStoresAsync(CancellationToken ct);

    /// <summary>Deletes up to <paramref name="limit"/> expired keys, and empty stores. Returns the number of keys.</summary>
    Task<int> PruneValuesAsync(int limit, CancellationToken ct);
}

/// <param name="Owner">The workflow that owns the store; default for a store of the workspace.</param>
public readonly record struct StoreName(WorkflowId Owner, string Name)
{
    /// <summary>The <c>$.service.db</c> of an event source.</summary>
    public static StoreName OfSource(WorkflowId workflow, string source) => new(workflow, $"$source/{source}");

    /// <summary>A value is encrypted for its store and key, and cannot be decrypted for another.</summary>
    internal long Seal(string key) =>
        BinaryPrimitives.ReadInt64LittleEndian(
            SHA256.HashData(Encoding.UTF8.GetBytes($"store\0{WorkspaceId.Default.Value}\0{Owner.Value}\0{Name}\0{key}"))
        );
}

/// <param name="Json">The value from the step.</param>
public sealed record StoredValue(string Key, ReadOnlyMemory<byte> Json, DateTimeOffset ChangedAt, DateTimeOffset? ExpiresAt = null);

/// <param name="Bytes">Size of the stored value.</param>
public sealed record StoredKey(string Key, long Bytes, DateTimeOffset ChangedAt, DateTimeOffset? ExpiresAt);

public sealed record StoreSummary(string Name, long Keys);

/// <summary>The limits of a data store.</summary>
/// <param name="Bytes">Size of the stored values of the store.</param>
/// <param name="BytesInAll">Size of the stored values of all stores.</param>
public readonly record struct StoreRoom(int Keys, long Bytes, long BytesInAll);

public enum SetOutcome
{
    Set,

    /// <summary>The store has its maximum number of keys.</summary>
    Full,

    /// <summary>The values of the store have their maximum size.</summary>
    TooManyBytes,

    /// <summary>The values of all stores have their maximum size.</summary>
    TooManyBytesInAll,

    /// <summary>The maximum number of stores is reached.</summary>
    TooManyStores,

    /// <summary>The workflow that owns the store was deleted.</summary>
    Gone,
}
