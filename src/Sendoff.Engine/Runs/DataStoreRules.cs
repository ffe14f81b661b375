using System.Text;
using Sendoff.Engine.Secrets;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Runs;

/// <summary>An error in the input of a data store, and how to fix it.</summary>
public sealed record DataStoreFault(string Code, string Message);

/// <summary>Validation of the input of data stores. Each method returns null if the input is valid.</summary>
public static class DataStoreRules
{
    const int LongestName = 128,
        MostKeyBytes = 1_024;
    const double LongestTtl = 100.0 * 365 * 24 * 3600;

    public static DataStoreFault? FaultOfName(string name) =>
        name.Length is >= 1 and <= LongestName
        && name.Trim().Length == name.Length
        && name[0] != '$'
        && !name.Any(c => char.IsControl(c) || c is '/' or '\\')
            ? null
            : new(
                "SENDOFF_STORE_NAME",
                $"'{name}' is not valid as a data store's name. Use 1 to {LongestName} characters without slashes and control characters, "
                    + "without spaces at its ends, and not beginning with '$'."
            );

    /// <param name="secrets">Keys are stored and listed unmasked, so they must not contain a secret (C8).</param>
    public static DataStoreFault? FaultOfKey(string key, SecretMask secrets)
    {
        int bytes = Encoding.UTF8.GetByteCount(key);
        if (bytes is < 1 or > MostKeyBytes || key[0] == '\0')
            return new("SENDOFF_STORE_KEY", $"a key must have 1 to {MostKeyBytes:N0} bytes; this one has {bytes:N0}.");
        return secrets.Finds(Encoding.UTF8.GetBytes(key))
            ? new("SENDOFF_STORE_KEY", "the key contains a secret of the workspace, and keys are not masked. Use a hash of it.")
            : null;
    }

    public static DataStoreFault? FaultOfValue(ReadOnlyMemory<byte> json, EngineLimits limits) =>
        json.Length <= limits.DataStoreValueBytes
            ? null
            : new(
                "SENDOFF_STORE_VALUE",
                $"the value has {json.Length:N0} bytes of JSON, over the limit of {limits.DataStoreValueBytes:N0} (setting "
                    + "Stores:MaxValueBytes)."
            );

    /// <param name="seconds">The time to live of the key.</param>
    public static DataStoreFault? FaultOfTtl(double seconds) =>
        seconds is > 0 and <= LongestTtl
            ? null
            : new(
                "SENDOFF_STORE_TTL",
                "a time to live must be a number of seconds above 0; omit it, or pass null, for a key that does not expire."
            );

    public static StoreRoom RoomOf(EngineLimits limits) => new(limits.DataStoreKeys, limits.DataStoreBytes, limits.DataStoreBytesInAll);

    public static DataStoreFault? FaultOf(SetOutcome outcome, string store, EngineLimits limits) =>
        outcome switch
        {
            SetOutcome.Full => new(
                "SENDOFF_STORE_FULL",
                $"the data store '{store}' has {limits.DataStoreKeys:N0} keys, which is the limit (setting Stores:MaxKeys)."
            ),
            SetOutcome.TooManyBytes => new(
                "SENDOFF_STORE_FULL",
                $"the values of the data store '{store}' would have more than {limits.DataStoreBytes:N0} bytes, which is the limit "
                    + "(setting Stores:MaxBytes). Delete keys, or set a time to live."
            ),
            SetOutcome.TooManyBytesInAll => new(
                "SENDOFF_STORE_FULL",
                $"the values of all data stores would have more than {limits.DataStoreBytesInAll:N0} bytes, which is the limit "
                    + "(setting Stores:MaxBytesInAll). Delete keys, or set a time to live."
            ),
            SetOutcome.TooManyStores => new("SENDOFF_STORE_FULL", $"there are too many data stores to create '{store}'."),
            _ => null,
        };
}
