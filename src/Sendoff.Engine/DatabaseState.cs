using Sendoff.Engine.Storage.Sqlite;

namespace Sendoff.Engine;

/// <summary>The state of the database file.</summary>
/// <param name="Exists">The file exists, and may be empty.</param>
/// <param name="Bytes">Its size without the log.</param>
/// <param name="KeyFingerprint">Fingerprint of its key; null if nothing has been encrypted.</param>
/// <param name="Fault">The reason why it cannot be read, and the remedy.</param>
public sealed record DatabaseState(bool Exists, long Bytes, long? KeyFingerprint, string? Fault)
{
    /// <summary>The database has no history.</summary>
    public bool IsEmpty => Bytes == 0;

    /// <summary>The database's file in a data directory.</summary>
    public static string PathIn(string dataDirectory) => Path.Combine(Path.GetFullPath(dataDirectory), "sendoff.db");

    /// <summary>Reads the state of the database, also while a server uses it.</summary>
    public static DatabaseState In(string dataDirectory) => DatabaseFiles.Look(PathIn(dataDirectory));
}
