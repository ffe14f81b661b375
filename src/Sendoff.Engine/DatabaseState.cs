using Sendoff.Engine.Storage.Sqlite;

namespace Sendoff.Engine;

/// <summary>What is where the database should be.</summary>
/// <param name="Exists">There is a file, perhaps an empty one.</param>
/// <param name="Bytes">Its size without the log.</param>
/// <param name="KeyFingerprint">Of the key that its secrets and masked originals are encrypted under; null when nothing was encrypted
/// yet.</param>
/// <param name="Fault">Why it cannot be read, and how to mend it.</param>
public sealed record DatabaseState(bool Exists, long Bytes, long? KeyFingerprint, string? Fault)
{
    /// <summary>There is no history in it.</summary>
    public bool IsEmpty => Bytes == 0;

    /// <summary>The database's file in a data directory.</summary>
    public static string PathIn(string dataDirectory) => Path.Combine(Path.GetFullPath(dataDirectory), "sendoff.db");

    /// <summary>Looks at the database of a data directory, also while a server has it open.</summary>
    public static DatabaseState In(string dataDirectory) => DatabaseFiles.Look(PathIn(dataDirectory));
}
