using System.Collections.Concurrent;
using System.Security.Cryptography;
using Microsoft.AspNetCore.WebUtilities;

namespace Sendoff.Server.Auth;

/// <summary>One-time sign-in links, kept in memory. A restart invalidates them; each start creates a new one.</summary>
internal sealed class SignInLinks(TimeProvider time)
{
    const int RandomBytes = 24,
        Kept = 100;
    static readonly TimeSpan lasts = TimeSpan.FromDays(1);

    readonly ConcurrentDictionary<string, DateTimeOffset> endOf = [];

    public Uri Create(Uri server)
    {
        // A snapshot, because links may be created meanwhile.
        foreach (var (old, _) in endOf.ToArray().OrderByDescending(static link => link.Value).Skip(Kept - 1))
            endOf.TryRemove(old, out _);
        string code = WebEncoders.Base64UrlEncode(RandomNumberGenerator.GetBytes(RandomBytes));
        endOf[code] = time.GetUtcNow() + lasts;
        return new Uri(server, "/signin?link=" + code);
    }

    /// <summary>True for the first use within a day.</summary>
    public bool Use(string code) => endOf.TryRemove(code, out var end) && time.GetUtcNow() < end;
}
