namespace Sendoff.Engine.Storage;

/// <summary>The accounts of apps.</summary>
public interface IAccountStore
{
    /// <summary>In the order in which they were made.</summary>
    Task<IReadOnlyList<StoredAccount>> ListAccountsAsync(CancellationToken ct);

    /// <summary>Stores an account in place of the one with its id.</summary>
    /// <param name="replaced">Values that it no longer has. They stay masked until the history that may contain them is
    /// pruned.</param>
    /// <param name="untilDurable">Retries until the store accepts it: a new refresh token cannot be requested again.</param>
    Task SaveAccountAsync(StoredAccount account, IReadOnlyList<StoredSecret> replaced, bool untilDurable, CancellationToken ct);

    /// <summary>Returns false if it does not exist.</summary>
    Task<bool> DeleteAccountAsync(AccountId account, IReadOnlyList<StoredSecret> replaced, CancellationToken ct);
}

/// <param name="Row">What <paramref name="Sealed"/> is sealed for.</param>
/// <param name="Sealed">All that is known of it.</param>
public sealed record StoredAccount(AccountId Id, long Row, WorkspaceId WorkspaceId, DateTimeOffset ChangedAt, ReadOnlyMemory<byte> Sealed);
