using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Sendoff.Engine.Secrets;

/// <summary>Encrypts the originals of masked records that sending needs (C8), with a key outside the database. AES-256-GCM.</summary>
public sealed class SecretCipher
{
    public const int KeyBytes = 32;

    /// <summary>The sources of a server's key.</summary>
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

    /// <summary>A fingerprint that identifies a key without revealing it: a database stores the fingerprint of its key.</summary>
    public long Fingerprint => BinaryPrimitives.ReadInt64LittleEndian(HMACSHA256.HashData(key, "sendoff key fingerprint 1"u8));

    /// <summary>Derives a key for another purpose, which does not reveal this one.</summary>
    public byte[] Derive(string purpose) => HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(purpose));

    /// <param name="record">The id of its row: it cannot be decrypted for another one.</param>
    public byte[] Seal(ReadOnlySpan<byte> plain, long record)
    {
        byte[] box = new byte[NonceBytes + plain.Length + TagBytes];
        var nonce = box.AsSpan(0, NonceBytes);
        RandomNumberGenerator.Fill(nonce);
        using var aes = new AesGcm(key, TagBytes);
        aes.Encrypt(nonce, plain, box.AsSpan(NonceBytes, plain.Length), box.AsSpan(NonceBytes + plain.Length), Binding(record));
        return box;
    }

    /// <exception cref="SealedException">It was encrypted with another key or for another record, or is damaged.</exception>
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

/// <summary>Encrypted data cannot be decrypted.</summary>
public sealed class SealedException(Exception? inner)
    : Exception($"it cannot be decrypted with the key that this server has ({SecretCipher.KeySources}); restore the key", inner);
