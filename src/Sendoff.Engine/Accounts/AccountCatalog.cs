using System.Collections.Immutable;
using System.Text;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Accounts;

/// <summary>The accounts of the workspace, cached from the store. Values are masked before a step can see them (C8).</summary>
public sealed class AccountCatalog(IStore store, Concealment concealment, IdSequence ids, EngineLimits limits, TimeProvider time)
    : IStoreCache
{
    readonly SemaphoreSlim changing = new(1);
    ImmutableDictionary<AccountId, Row> rows = ImmutableDictionary<AccountId, Row>.Empty;

    /// <summary>Earlier values of accounts, and until when they are masked.</summary>
    ImmutableList<(string Value, DateTimeOffset Until)> replaced = [];

    /// <param name="Number">The number of its row in the store, in the order of creation.</param>
    sealed record Row(long Number, Account Account);

    /// <summary>All accounts in the order of creation.</summary>
    public IReadOnlyList<Account> All => [.. rows.Values.OrderBy(static row => row.Number).Select(static row => row.Account)];

    public Account? Find(AccountId id) => rows.GetValueOrDefault(id)?.Account;

    /// <summary>The account for a name: an id, or an app with its oldest account.</summary>
    public Account? Find(string name) =>
        AccountId.TryParse(name, out var id) && Find(id) is { } named
            ? named
            : All.FirstOrDefault(account => account.App.Equals(name, StringComparison.OrdinalIgnoreCase));

    /// <summary>Reads the accounts from the store. Call once, before the first run.</summary>
    public async Task LoadAsync(CancellationToken ct)
    {
        rows = (await store.ListAccountsAsync(ct).ConfigureAwait(false)).ToImmutableDictionary(
            static stored => stored.Id,
            stored => new Row(stored.Row, AccountContent.Read(concealment.Cipher.Open(stored.Sealed.Span, stored.Row)))
        );
        concealment.MaskAccounts([.. Masked()]);
    }

    Cached IStoreCache.Content => Cached.Accounts;

    /// <summary>Reads the accounts again, if other servers can have changed them.</summary>
    internal Task FollowAsync(CancellationToken ct) => store.Servers.IsShared ? RefreshAsync(ct) : Task.CompletedTask;

    /// <inheritdoc/>
    public async Task RefreshAsync(CancellationToken ct)
    {
        using var entry = await changing.EnterAsync(ct).ConfigureAwait(false);
        await LoadAsync(ct).ConfigureAwait(false);
    }

    /// <summary>The errors of an account, as sentences that explain how to fix them.</summary>
    public IReadOnlyList<string> FindFaults(Account account) =>
        Find(account.Id) is null && rows.Count >= limits.Accounts
            ? [$"there are {limits.Accounts:N0} accounts, which is the limit (setting Accounts:Max)."]
            : AccountRules.FindFaults(account);

    /// <summary>A new unique id.</summary>
    public AccountId NewId() => AccountId.From(ids.Next());

    /// <summary>Stores a valid account (see <see cref="FindFaults"/>), and replaces the one with the same id.</summary>
    public Task SaveAsync(Account account, CancellationToken ct) =>
        ChangeAsync(account.Id, _ => account, untilDurable: false, maskedUntil: null, ct);

    /// <summary>Changes an account durably and returns the changed account; null if <paramref name="change"/> returns null.</summary>
    /// <param name="untilDurable">See <see cref="IAccountStore.SaveAccountAsync"/>.</param>
    /// <param name="maskedUntil">When the removed values become worthless; null keeps them masked until the history is pruned.</param>
    internal async Task<Account?> ChangeAsync(
        AccountId id,
        Func<Account?, Account?> change,
        bool untilDurable,
        DateTimeOffset? maskedUntil,
        CancellationToken ct
    )
    {
        using var entry = await changing.EnterAsync(ct).ConfigureAwait(false);
        var before = rows.GetValueOrDefault(id);
        if (change(before?.Account) is not { } after)
            return null;
        var row = new Row(before?.Number ?? ids.Next(), after);
        string[] gone = before is null
            ? []
            : [.. AccountContent.SecretsOf(before.Account).Except(AccountContent.SecretsOf(after), StringComparer.Ordinal)];
        Mask(gone, maskedUntil, AccountContent.SecretsOf(after));
        byte[] content = concealment.Cipher.Seal(AccountContent.Write(after), row.Number);
        var stored = new StoredAccount(id, row.Number, WorkspaceId.Default, time.GetUtcNow(), content);
        await store.SaveAccountAsync(stored, Sealed(id, gone, maskedUntil), untilDurable, ct).ConfigureAwait(false);
        rows = rows.SetItem(id, row);
        return after;
    }

    /// <summary>Returns false if it does not exist. Its values stay masked until the history that may contain them is pruned.</summary>
    public async Task<bool> RemoveAsync(AccountId id, CancellationToken ct)
    {
        using var entry = await changing.EnterAsync(ct).ConfigureAwait(false);
        if (Find(id) is not { } account)
            return false;
        string[] gone = [.. AccountContent.SecretsOf(account)];
        Mask(gone, null, []);
        await store.DeleteAccountAsync(id, Sealed(id, gone, null), ct).ConfigureAwait(false);
        rows = rows.Remove(id);
        return true;
    }

    // Pruning deletes a replaced secret that is older than the history. One that becomes worthless earlier gets an earlier time.
    StoredSecret[] Sealed(AccountId id, string[] values, DateTimeOffset? maskedUntil)
    {
        var now = time.GetUtcNow();
        var replacedAt = maskedUntil is { } until && until < now + limits.RetentionAge ? until - limits.RetentionAge : now;
        return
        [
            .. values.Select(value =>
            {
                long row = ids.Next();
                byte[] box = concealment.Cipher.Seal(Encoding.UTF8.GetBytes(value), row);
                return new StoredSecret(row, WorkspaceId.Default, id.Value, true, box, now, replacedAt);
            }),
        ];
    }

    /// <summary>Called before the store has the new values and before a step can see them.</summary>
    void Mask(string[] gone, DateTimeOffset? maskedUntil, IEnumerable<string> added)
    {
        var now = time.GetUtcNow();
        replaced = replaced
            .RemoveAll(one => one.Until <= now)
            .AddRange(gone.Select(value => (value, maskedUntil ?? now + limits.RetentionAge)));
        concealment.MaskAccounts([.. Masked(), .. added]);
    }

    IEnumerable<string> Masked() =>
        rows.Values.SelectMany(static row => AccountContent.SecretsOf(row.Account)).Concat(replaced.Select(static one => one.Value));
}
