using System.Collections.Frozen;
using System.Text;
using System.Text.RegularExpressions;
using Sendoff.Engine.Secrets;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Runs;

/// <summary>A variable or a secret of the workspace. Only a variable's value is ever told.</summary>
public sealed record SecretEntry(string Name, bool IsSecret, string? Value, DateTimeOffset ChangedAt);

/// <summary>The variables and secrets as they are between two changes.</summary>
/// <param name="Revision">Counts the changes.</param>
/// <param name="Accounts">The accounts of apps: <c>SLACK__API_KEY</c> is the field <c>api_key</c> of the app <c>slack</c>.</param>
public sealed record SecretSet(
    int Revision,
    FrozenDictionary<string, string> Environment,
    IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Accounts
);

/// <summary>The workspace's variables and secrets, in memory as they stand in the store: what steps see as <c>process.env</c>, and what is
/// masked (C8).</summary>
public sealed partial class SecretCatalog(IStore store, Concealment concealment, IdSequence ids, TimeProvider time)
{
    const int LongestName = 128,
        MostBytes = 64 * 1024,
        MostEntries = 1_000;

    readonly SemaphoreSlim changing = new(1);

    SecretSet current = new(0, FrozenDictionary<string, string>.Empty, AppAccounts.From([]));

    /// <summary>What steps see now: another object after every change, which belongs together whenever it is read.</summary>
    public SecretSet Current => Volatile.Read(ref current);

    public FrozenDictionary<string, string> Environment => Current.Environment;

    public IReadOnlyList<SecretEntry> Entries { get; private set; } = [];

    /// <summary>Reads them from the store. Call once, before anything is written.</summary>
    /// <exception cref="StoreUnavailableException">The database is under another key.</exception>
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
        Volatile.Write(ref current, new(current.Revision + 1, environment, AppAccounts.From(environment)));
    }

    /// <summary>What is wrong with a variable or secret, and how to mend it; null when nothing is.</summary>
    public string? FindFault(string name, string value, bool isSecret)
    {
        if (name.Length > LongestName || !NamePattern().IsMatch(name))
            return $"'{name}' cannot be a name. It has letters, digits and '_', does not begin with a digit, "
                + $"and is at most {LongestName} characters long.";
        if (Encoding.UTF8.GetByteCount(value) > MostBytes)
            return $"the value of {name} is over {MostBytes / 1024} KiB.";
        if (isSecret && value.Length < SecretMask.Shortest)
            return $"the value of {name} is shorter than {SecretMask.Shortest} characters: masking it would hide parts of any text. "
                + "Use a variable, or choose a longer value.";
        return Entries.Count >= MostEntries && !Environment.ContainsKey(name)
            ? $"there are {MostEntries:N0} variables and secrets, which is the limit."
            : null;
    }

    /// <summary>Sets a variable or secret that <see cref="FindFault"/> finds nothing wrong with. The next runs see it.</summary>
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
        await changing.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            // Masked before any step can see it.
            if (isSecret)
                concealment.Mask = concealment.Mask.With([value]);
            await store.SaveSecretAsync(secret, ct).ConfigureAwait(false);
            await LoadAsync(CancellationToken.None).ConfigureAwait(false);
        }
        finally
        {
            changing.Release();
        }
    }

    /// <summary>Answers false when there is none of that name. What was secret stays masked as long as there is history that may hold
    /// it.</summary>
    public async Task<bool> DeleteAsync(string name, CancellationToken ct)
    {
        await changing.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            if (!await store.DeleteSecretAsync(WorkspaceId.Default, name, ct).ConfigureAwait(false))
                return false;
            await LoadAsync(CancellationToken.None).ConfigureAwait(false);
            return true;
        }
        finally
        {
            changing.Release();
        }
    }

    [GeneratedRegex("^[A-Za-z_][A-Za-z0-9_]*\\z")]
    private static partial Regex NamePattern();
}
