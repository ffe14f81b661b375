using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Sendoff.Engine;
using Sendoff.Engine.Storage;

namespace Sendoff.Server.Auth;

/// <summary>A valid browser session.</summary>
/// <param name="Ended">Fires when the session is ended manually, but not when it expires.</param>
internal sealed record Session(StoredSession Stored, CancellationTokenSource Ended);

/// <summary>Sessions of signed-in browsers. The cookie contains a random value, and the store its hash. They are cached in memory for fast
/// checks.</summary>
internal sealed class Sessions(IStore store, AdminToken token, IdSequence ids, TimeProvider time, ServerOptions options) : IStoreCache
{
    const int RandomBytes = 32,
        LongestClient = 200;

    readonly SemaphoreSlim changing = new(1);
    ConcurrentDictionary<string, Session>? byHash;

    /// <summary>The session for a cookie's value; null if it has ended or never existed.</summary>
    public async ValueTask<Session?> FindAsync(string? value, CancellationToken ct)
    {
        if (string.IsNullOrEmpty(value))
            return null;
        var known = byHash ?? await LoadAsync(ct);
        return known.TryGetValue(KeyOf(HashOf(value)), out var session) && time.GetUtcNow() < session.Stored.ExpiresAt ? session : null;
    }

    /// <summary>Sessions that have not expired, oldest first.</summary>
    public async Task<IReadOnlyList<StoredSession>> ListAsync(CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var known = byHash ?? await LoadAsync(ct);
        return
        [
            .. known
                .Values.Select(static session => session.Stored)
                .Where(stored => now < stored.ExpiresAt)
                .OrderBy(static stored => stored.Id.Value),
        ];
    }

    /// <summary>Creates a session and returns the value for its cookie.</summary>
    /// <param name="client">The <c>user-agent</c> of the browser.</param>
    public async Task<string> BeginAsync(string client, CancellationToken ct)
    {
        var known = byHash ?? await LoadAsync(ct);
        string value = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(RandomBytes));
        var now = time.GetUtcNow();
        var stored = new StoredSession(
            new(ids.Next()),
            WorkspaceId.Default,
            Short(client),
            HashOf(value),
            token.Mark,
            now,
            now + options.SessionAge
        );
        await store.SaveSessionAsync(stored, ct);
        known[KeyOf(stored.Hash)] = new(stored, new());
        var all = known.Values.Select(static session => session.Stored).OrderByDescending(static one => one.Id.Value).ToList();
        foreach (var old in all.Skip(options.SessionsMax).Concat(all.Where(one => one.ExpiresAt <= now)).DistinctBy(static one => one.Id))
            await EndAsync(old.Id, ct);
        return value;
    }

    /// <summary>Ends a session: its cookie is refused, and its open sockets and streams are closed. Returns false if it does not
    /// exist.</summary>
    public async Task<bool> EndAsync(SessionId id, CancellationToken ct)
    {
        var known = byHash ?? await LoadAsync(ct);
        bool isEnded = await store.DeleteSessionAsync(id, ct);
        foreach (var (key, session) in known.Where(one => one.Value.Stored.Id == id))
        {
            known.TryRemove(key, out _);
            await session.Ended.CancelAsync();
        }
        return isEnded;
    }

    public Cached Content => Cached.Sessions;

    /// <summary>Reads the sessions again, and closes the open sockets and streams of ended ones.</summary>
    public async Task RefreshAsync(CancellationToken ct)
    {
        if (byHash is not { } known)
            return;
        // A session that is created meanwhile is not in the list.
        string[] before = [.. known.Keys];
        var stored = (await store.ListSessionsAsync(ct)).ToDictionary(static one => KeyOf(one.Hash));
        foreach (var (key, one) in stored)
            if (one.Mark.Span.SequenceEqual(token.Mark))
                known.TryAdd(key, new(one, new()));
        foreach (string key in before)
            if (!stored.ContainsKey(key) && known.TryRemove(key, out var session))
                await session.Ended.CancelAsync();
    }

    async Task<ConcurrentDictionary<string, Session>> LoadAsync(CancellationToken ct)
    {
        using var entry = await changing.EnterAsync(ct);
        if (byHash is { } loaded)
            return loaded;
        var known = new ConcurrentDictionary<string, Session>(StringComparer.Ordinal);
        foreach (var stored in await store.ListSessionsAsync(ct))
        {
            if (stored.Mark.Span.SequenceEqual(token.Mark) && time.GetUtcNow() < stored.ExpiresAt)
                known[KeyOf(stored.Hash)] = new(stored, new());
            else
                await store.DeleteSessionAsync(stored.Id, ct);
        }
        return byHash = known;
    }

    static string Short(string client)
    {
        string text = new([.. client.Where(static c => c is >= ' ' and <= '~').Take(LongestClient)]);
        return text.Length == 0 ? "unknown" : text;
    }

    static string KeyOf(ReadOnlyMemory<byte> hash) => Convert.ToHexString(hash.Span);

    static byte[] HashOf(string value) => SHA256.HashData(Encoding.UTF8.GetBytes(value));
}
