using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.WebUtilities;

namespace Sendoff.Server.Auth;

/// <summary>The admin token: setting <c>Auth:Token</c>, else the file <c>admin-token</c> in the data directory,
/// made at the first start.</summary>
public sealed class AdminToken
{
    public const string FileName = "admin-token";
    const int RandomBytes = 32, MinLength = 16;

    readonly byte[] hash;

    AdminToken(string value)
    {
        Value = value;
        hash = SHA256.HashData(Encoding.UTF8.GetBytes(value));
        // The cookie is derived, so that the token itself never lies in a browser.
        Session = WebEncoders.Base64UrlEncode(HMACSHA256.HashData(hash, "sendoff session 1"u8));
    }

    public string Value { get; }

    /// <summary>The value of the session cookie. It stays the same as long as the token does.</summary>
    internal string Session { get; }

    /// <exception cref="InvalidDataException">The token is too short to be one; the message says where it came from.</exception>
    public static AdminToken Load(string? setting, string dataDirectory)
    {
        if (setting is not null) return Checked(setting, "the setting Auth:Token");
        string path = Path.Combine(dataDirectory, FileName);
        return Checked(PrivateFile.ReadOrCreate(path, static () => WebEncoders.Base64UrlEncode(RandomNumberGenerator.GetBytes(RandomBytes))), path);
    }

    static AdminToken Checked(string value, string source) =>
        value.Length >= MinLength && value.All(c => c is > ' ' and <= '~')
            ? new(value)
            : throw new InvalidDataException(
                $"The admin token in {source} must have at least {MinLength} visible ASCII characters. Delete it to have one made.");

    /// <summary>Compares in constant time.</summary>
    public bool Matches(string? candidate) =>
        candidate is not null && CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(candidate)), hash);

    internal bool MatchesSession(string? candidate) =>
        candidate is not null && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(candidate), Encoding.UTF8.GetBytes(Session));
}
