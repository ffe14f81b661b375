using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;
using Sendoff.Engine;
using Sendoff.Engine.Storage;

namespace Sendoff.Server.Auth;

/// <summary>A valid token for the API.</summary>
/// <param name="Revoked">Fires when the token is revoked.</param>
internal sealed record ApiToken(StoredToken Stored, CancellationTokenSource Revoked);

/// <summary>Tokens for the API in addition to the admin token. The store has only their hashes; they are cached in memory for fast
/// checks.</summary>
internal sealed class ApiTokens(IStore store, IdSequence ids, TimeProvider time) : IStoreCache
{
    const int RandomCharacters = 40; // 206 bits
    const string Prefix = "sendoff_",
        Characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    readonly SemaphoreSlim changing = new(1);
    FrozenDictionary<string, ApiToken>? byHash;

    /// <summary>The owner of the credential; null if it is unknown or revoked.</summary>
    public async ValueTask<ApiToken?> FindAsync(string presented, CancellationToken ct)
    {
        var known = byHash ?? await ReadAsync(ct);
        return known.GetValueOrDefault(Convert.ToHexString(HashOf(presented)));
    }

    public async Task<IReadOnlyList<StoredToken>> ListAsync(CancellationToken ct) => await store.ListTokensAsync(ct);

    /// <summary>Returns the token, which is shown only once.</summary>
    public async Task<(StoredToken Token, string Value)> CreateAsync(string name, TokenScope scope, CancellationToken ct)
    {
        string value = Prefix + RandomNumberGenerator.GetString(Characters, RandomCharacters);
        var token = new StoredToken(new(ids.Next()), WorkspaceId.Default, name, scope, HashOf(value), time.GetUtcNow());
        await store.SaveTokenAsync(token, ct);
        await ReadAsync(CancellationToken.None);
        return (token, value);
    }

    /// <summary>When this completes, the token is refused, and its open streams are closed. Returns false if it does not exist.</summary>
    public async Task<bool> RevokeAsync(TokenId token, CancellationToken ct)
    {
        bool isThere = await store.DeleteTokenAsync(token, ct);
        await RefreshAsync(CancellationToken.None);
        return isThere;
    }

    public Cached Content => Cached.Tokens;

    /// <summary>Reads the tokens again, and closes the open streams of revoked ones.</summary>
    public async Task RefreshAsync(CancellationToken ct)
    {
        var before = byHash;
        var now = await ReadAsync(ct);
        foreach (var (hash, revoked) in before ?? FrozenDictionary<string, ApiToken>.Empty)
            if (!now.ContainsKey(hash))
                await revoked.Revoked.CancelAsync();
    }

    // One read at a time, so that an older list never replaces a newer one.
    async Task<FrozenDictionary<string, ApiToken>> ReadAsync(CancellationToken ct)
    {
        using var entry = await changing.EnterAsync(ct);
        var before = byHash ?? FrozenDictionary<string, ApiToken>.Empty;
        return byHash = (await store.ListTokensAsync(ct)).ToFrozenDictionary(
            static token => Convert.ToHexString(token.Hash.Span),
            token => before.GetValueOrDefault(Convert.ToHexString(token.Hash.Span)) ?? new(token, new())
        );
    }

    static byte[] HashOf(string value) => SHA256.HashData(Encoding.UTF8.GetBytes(value));
}
