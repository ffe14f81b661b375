using System.Security.Cryptography;
using Sendoff.Engine;
using Sendoff.Engine.Secrets;

namespace Sendoff.Server.Auth;

/// <summary>The key that encrypts secrets and unmasked originals: setting <c>Secrets:Key</c>, otherwise the file <c>secret-key</c> in the
/// data directory, generated at the first start. It is never in the database.</summary>
static class SecretKey
{
    public const string FileName = "secret-key";

    /// <exception cref="InvalidDataException">The key is invalid, or it is missing although the database is encrypted. The message says how
    /// to fix it.</exception>
    public static SecretCipher Load(string? setting, string dataDirectory)
    {
        string path = Path.Combine(dataDirectory, FileName);
        // A new key could not decrypt the existing data, and would look valid in the next backup.
        if (setting is null && !File.Exists(path) && DatabaseState.In(dataDirectory) is { KeyFingerprint: not null })
            throw new InvalidDataException(
                $"{path} is missing, and the database {DatabaseState.PathIn(dataDirectory)} is encrypted with that key. "
                    + "Restore the file from a backup, or set Secrets:Key. To start without the history, move the database away."
            );
        string text =
            setting
            ?? PrivateFile.ReadOrCreate(path, static () => Convert.ToBase64String(RandomNumberGenerator.GetBytes(SecretCipher.KeyBytes)));
        return Read(text)
            ?? throw new InvalidDataException(
                $"{(setting is null ? path : "the setting Secrets:Key")} is not a key: expected {SecretCipher.KeyBytes} bytes in Base64. "
                    + "Restore the key of this database."
            );
    }

    public static SecretCipher? Read(string text)
    {
        byte[] key = new byte[text.Length];
        return Convert.TryFromBase64String(text, key, out int length) && length == SecretCipher.KeyBytes
            ? new(key.AsSpan(0, length))
            : null;
    }
}
