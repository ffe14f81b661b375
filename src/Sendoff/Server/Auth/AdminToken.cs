using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.WebUtilities;

namespace Sendoff.Server.Auth;

/// <summary>The admin token: setting <c>Auth:Token</c>, otherwise the file <c>admin-token</c> in the data directory, generated at the first
/// start.</summary>
public sealed class AdminToken
{
    public const string FileName = "admin-token";
    const int RandomBytes = 32,
        MinLength = 16;

    readonly byte[] hash;

    AdminToken(string value)
    {
        Value = value;
        hash = SHA256.HashData(Encoding.UTF8.GetBytes(value));
        Mark = HMACSHA256.HashData(hash, "sendoff sessions 2"u8);
    }

    public string Value { get; }

    /// <summary>Identifies the token of a session without revealing it. A session ends when the token changes.</summary>
    internal byte[] Mark { get; }

    /// <exception cref="InvalidDataException">The token is too short. The message names its source.</exception>
    public static AdminToken Load(string? setting, string dataDirectory)
    {
        if (setting is not null)
            return Checked(setting, "the setting Auth:Token");
        string path = Path.Combine(dataDirectory, FileName);
        return Checked(
            PrivateFile.ReadOrCreate(path, static () => WebEncoders.Base64UrlEncode(RandomNumberGenerator.GetBytes(RandomBytes))),
            path
        );
    }

    static AdminToken Checked(string value, string source) =>
        value.Length >= MinLength && value.All(c => c is > ' ' and <= '~')
            ? new(value)
            : throw new InvalidDataException(
                $"The admin token in {source} must have at least {MinLength} visible ASCII characters. Delete it to generate a new one."
            );

    /// <summary>Compares in constant time.</summary>
    public bool Matches(string? candidate) =>
        candidate is not null && CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(candidate)), hash);
}
