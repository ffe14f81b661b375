using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Sendoff.Engine.Secrets;

/// <summary>Encrypts what records must not show and sending still needs (C8), under a key that is not in the database.
/// AES-256-GCM.</summary>
public sealed class SecretCipher
{
    public const int KeyBytes = 32;

    /// <summary>Where a server has its key from.</summary>
    public const string KeySources = "the file secret-key in the data directory, or the setting Secrets:Key";
    const int NonceBytes = 12,
        TagBytes = 16;

    readonly byte[] key;

    public SecretCipher(ReadOnlySpan<byte> key)
    {
        if (key.Length != KeyBytes)
            throw new ArgumentException($"a key has {KeyBytes} bytes", nameof(key));
        this.key = key.ToArray();
    }

    /// <summary>A number that tells keys apart and nothing about them: a database remembers with it which key it is under.</summary>
    public long Fingerprint => BinaryPrimitives.ReadInt64LittleEndian(HMACSHA256.HashData(key, "sendoff key fingerprint 1"u8));

    /// <summary>A key for something else, which tells nothing about this one.</summary>
    public byte[] Derive(string purpose) => HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(purpose));

    /// <param name="record">The id of the row that it belongs to: it opens nowhere else.</param>
    public byte[] Seal(ReadOnlySpan<byte> plain, long record)
    {
        byte[] box = new byte[NonceBytes + plain.Length + TagBytes];
        var nonce = box.AsSpan(0, NonceBytes);
        RandomNumberGenerator.Fill(nonce);
        using var aes = new AesGcm(key, TagBytes);
        aes.Encrypt(nonce, plain, box.AsSpan(NonceBytes, plain.Length), box.AsSpan(NonceBytes + plain.Length), Binding(record));
        return box;
    }

    /// <exception cref="SealedException">It was sealed under another key or for another record, or is damaged.</exception>
    public byte[] Open(ReadOnlySpan<byte> box, long record)
    {
        if (box.Length < NonceBytes + TagBytes)
            throw new SealedException(null);
        byte[] plain = new byte[box.Length - NonceBytes - TagBytes];
        try
        {
            using var aes = new AesGcm(key, TagBytes);
            aes.Decrypt(box[..NonceBytes], box[NonceBytes..^TagBytes], box[^TagBytes..], plain, Binding(record));
            return plain;
        }
        catch (CryptographicException x)
        {
            throw new SealedException(x);
        }
    }

    static byte[] Binding(long record)
    {
        byte[] bytes = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, record);
        return bytes;
    }
}

/// <summary>What was sealed cannot be opened.</summary>
public sealed class SealedException(Exception? inner)
    : Exception($"it cannot be decrypted with the key that this server has ({SecretCipher.KeySources}); restore the key", inner);
