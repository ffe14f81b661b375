namespace Sendoff.Engine.Storage;

/// <summary>The accounts of apps.</summary>
public interface IAccountStore
{
    /// <summary>Lists accounts in the order of creation.</summary>
    Task<IReadOnlyList<StoredAccount>> ListAccountsAsync(CancellationToken ct);

    /// <summary>Stores an account, and replaces the one with the same id.</summary>
    /// <param name="replaced">Removed values. They stay masked until the history that may contain them is pruned.</param>
    /// <param name="untilDurable">Retries until the store accepts it: a new refresh token cannot be requested again.</param>
    Task SaveAccountAsync(StoredAccount account, IReadOnlyList<StoredSecret> replaced, bool untilDurable, CancellationToken ct);

    /// <summary>Returns false if it does not exist.</summary>
    Task<bool> DeleteAccountAsync(AccountId account, IReadOnlyList<StoredSecret> replaced, CancellationToken ct);
}

/// <param name="Row">The id to which <paramref name="Sealed"/> is bound.</param>
/// <param name="Sealed">All data of the account, encrypted.</param>
public sealed record StoredAccount(AccountId Id, long Row, WorkspaceId WorkspaceId, DateTimeOffset ChangedAt, ReadOnlyMemory<byte> Sealed);
