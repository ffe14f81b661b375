using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Sendoff.Engine.Storage;

/// <summary>
/// What steps keep between runs: stores of keys with JSON values. A store is made with its first key. A write completes when it is durable;
/// a key whose time is over is gone at once. One suite, DataStoreConformanceTests, states what every driver does.
/// </summary>
public interface IDataStores
{
    /// <summary>Null when there is no such key.</summary>
    Task<StoredValue?> GetValueAsync(StoreName store, string key, CancellationToken ct);

    /// <summary>Sets a key's value, and when it expires, in place of what they were.</summary>
    /// <param name="mostKeys">A key that is new is refused when the store has as many.</param>
    Task<SetOutcome> SetValueAsync(StoreName store, StoredValue value, int mostKeys, CancellationToken ct);

    /// <summary>Changes when a key expires; null is never. Answers false when there is no such key.</summary>
    Task<bool> ExpireValueAsync(StoreName store, string key, DateTimeOffset? at, CancellationToken ct);

    /// <summary>Answers false when there is no such key.</summary>
    Task<bool> DeleteValueAsync(StoreName store, string key, CancellationToken ct);

    Task ClearValuesAsync(StoreName store, CancellationToken ct);

    /// <summary>In the order of their UTF-8 bytes, from above <paramref name="after"/>.</summary>
    Task<IReadOnlyList<string>> ListKeysAsync(StoreName store, string? after, int limit, CancellationToken ct);

    /// <summary>In the same order, with their values; no more than come to <paramref name="mostBytes"/>, and one in any case.</summary>
    Task<IReadOnlyList<StoredValue>> ListValuesAsync(StoreName store, string? after, int limit, long mostBytes, CancellationToken ct);

    /// <summary>In the same order, without their values.</summary>
    /// <param name="contains">Only keys with this text in them; empty for all.</param>
    Task<IReadOnlyList<StoredKey>> ListKeysAsync(StoreName store, string contains, string? after, int limit, CancellationToken ct);

    Task<long> CountKeysAsync(StoreName store, CancellationToken ct);

    /// <summary>The workspace's stores by name.</summary>
    Task<IReadOnlyList<StoreSummary>> ListStoresAsync(CancellationToken ct);

    /// <summary>Deletes up to <paramref name="limit"/> keys whose time is over, and stores without any. Answers how many keys.</summary>
    Task<int> PruneValuesAsync(int limit, CancellationToken ct);
}

/// <param name="Owner">The workflow whose own it is, and with which it goes; default for the workspace's.</param>
public readonly record struct StoreName(WorkflowId Owner, string Name)
{
    /// <summary>A value is sealed for the place that it is kept at, so that it opens at no other.</summary>
    internal long Seal(string key) =>
        BinaryPrimitives.ReadInt64LittleEndian(
            SHA256.HashData(Encoding.UTF8.GetBytes($"store\0{WorkspaceId.Default.Value}\0{Owner.Value}\0{Name}\0{key}"))
        );
}

/// <param name="Json">As the step gave it.</param>
public sealed record StoredValue(string Key, ReadOnlyMemory<byte> Json, DateTimeOffset ChangedAt, DateTimeOffset? ExpiresAt = null);

/// <param name="Bytes">Of the value, as it is kept.</param>
public sealed record StoredKey(string Key, long Bytes, DateTimeOffset ChangedAt, DateTimeOffset? ExpiresAt);

public sealed record StoreSummary(string Name, long Keys);

public enum SetOutcome
{
    Set,

    /// <summary>The store has as many keys as it may.</summary>
    Full,

    /// <summary>There are as many stores as there may be.</summary>
    TooManyStores,

    /// <summary>The workflow whose own it is was deleted.</summary>
    Gone,
}
