using System.Collections.Frozen;
using System.Text;
using System.Text.RegularExpressions;
using Sendoff.Engine.Secrets;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Runs;

/// <summary>A variable or a secret of the workspace. Only the value of a variable is ever shown.</summary>
public sealed record SecretEntry(string Name, bool IsSecret, string? Value, DateTimeOffset ChangedAt);

/// <summary>A snapshot of the variables and secrets.</summary>
/// <param name="Revision">The number of changes.</param>
/// <param name="Accounts">The accounts of apps: <c>SLACK__API_KEY</c> is the field <c>api_key</c> of the app <c>slack</c>.</param>
public sealed record SecretSet(
    int Revision,
    FrozenDictionary<string, string> Environment,
    IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Accounts
);

/// <summary>The workspace's variables and secrets, cached from the store: the <c>process.env</c> of steps, and the values to mask
/// (C8).</summary>
public sealed partial class SecretCatalog(IStore store, Concealment concealment, IdSequence ids, TimeProvider time) : IStoreCache
{
    const int LongestName = 128,
        MostBytes = 64 * 1024,
        MostEntries = 1_000;

    readonly SemaphoreSlim changing = new(1);

    SecretSet current = new(0, FrozenDictionary<string, string>.Empty, AppAccounts.From([]));

    /// <summary>The current snapshot. Every change creates a new object, so that it is always consistent.</summary>
    public SecretSet Current => Volatile.Read(ref current);

    public FrozenDictionary<string, string> Environment => Current.Environment;

    public IReadOnlyList<SecretEntry> Entries { get; private set; } = [];

    /// <summary>Reads them from the store. Call once, before anything is written.</summary>
    /// <exception cref="StoreUnavailableException">The database is encrypted with another key.</exception>
    public async Task LoadAsync(CancellationToken ct)
    {
        if (await store.KeepFingerprintAsync(concealment.Cipher.Fingerprint, ct).ConfigureAwait(false) != concealment.Cipher.Fingerprint)
            throw new StoreUnavailableException(
                $"the database is encrypted with another key than that of this server ({SecretCipher.KeySources}); "
                    + "restore the key of this database"
            );
        var stored = await store.ListSecretsAsync(ct).ConfigureAwait(false);
        var values = stored.Select(s => (Secret: s, Value: Encoding.UTF8.GetString(concealment.Cipher.Open(s.Sealed.Span, s.Id)))).ToList();
        var inForce = values.Where(static v => v.Secret.ReplacedAt is null).ToList();
        concealment.Mask = new SecretMask(values.Where(static v => v.Secret.IsSecret).Select(static v => v.Value));
        Entries =
        [
            .. inForce.Select(static v => new SecretEntry(
                v.Secret.Name,
                v.Secret.IsSecret,
                v.Secret.IsSecret ? null : v.Value,
                v.Secret.ChangedAt
            )),
        ];
        var environment = inForce.ToFrozenDictionary(static v => v.Secret.Name, static v => v.Value, StringComparer.Ordinal);
        // Workers keep their environment, so an equal one must stay the same.
        if (!IsEqual(environment, current.Environment) || current.Revision == 0)
            Volatile.Write(ref current, new(current.Revision + 1, environment, AppAccounts.From(environment)));
    }

    static bool IsEqual(FrozenDictionary<string, string> one, FrozenDictionary<string, string> other) =>
        one.Count == other.Count && one.All(pair => other.TryGetValue(pair.Key, out string? value) && value == pair.Value);

    Cached IStoreCache.Content => Cached.Secrets;

    async Task IStoreCache.RefreshAsync(CancellationToken ct)
    {
        using var entry = await changing.EnterAsync(ct).ConfigureAwait(false);
        await LoadAsync(ct).ConfigureAwait(false);
    }

    /// <summary>The error in a variable or secret, and how to fix it; null if it is valid.</summary>
    public string? FindFault(string name, string value, bool isSecret)
    {
        if (name.Length > LongestName || !NamePattern().IsMatch(name))
            return $"'{name}' is not a valid name. Use letters, digits and '_', not beginning with a digit, "
                + $"and at most {LongestName} characters.";
        if (Encoding.UTF8.GetByteCount(value) > MostBytes)
            return $"the value of {name} is over {MostBytes / 1024} KiB.";
        if (isSecret && value.Length < SecretMask.Shortest)
            return $"the value of {name} is shorter than {SecretMask.Shortest} characters: masking it would hide parts of any text. "
                + "Use a variable, or choose a longer value.";
        return Entries.Count >= MostEntries && !Environment.ContainsKey(name)
            ? $"there are {MostEntries:N0} variables and secrets, which is the limit."
            : null;
    }

    /// <summary>Sets a valid variable or secret (see <see cref="FindFault"/>) for the next runs.</summary>
    public async Task SetAsync(string name, string value, bool isSecret, CancellationToken ct)
    {
        long id = ids.Next();
        var secret = new StoredSecret(
            id,
            WorkspaceId.Default,
            name,
            isSecret,
            concealment.Cipher.Seal(Encoding.UTF8.GetBytes(value), id),
            time.GetUtcNow()
        );
        using var entry = await changing.EnterAsync(ct).ConfigureAwait(false);
        // Masked before any step can read it.
        if (isSecret)
            concealment.Mask = concealment.Mask.With([value]);
        await store.SaveSecretAsync(secret, ct).ConfigureAwait(false);
        await LoadAsync(CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Returns false if the name does not exist. A deleted secret stays masked as long as the history may contain it.</summary>
    public async Task<bool> DeleteAsync(string name, CancellationToken ct)
    {
        using var entry = await changing.EnterAsync(ct).ConfigureAwait(false);
        if (!await store.DeleteSecretAsync(WorkspaceId.Default, name, ct).ConfigureAwait(false))
            return false;
        await LoadAsync(CancellationToken.None).ConfigureAwait(false);
        return true;
    }

    [GeneratedRegex("^[A-Za-z_][A-Za-z0-9_]*\\z")]
    private static partial Regex NamePattern();
}
