using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Sendoff.Engine.Secrets;

namespace Sendoff.Engine.Storage;

/// <summary>Masks records before they are written (C8), and encrypts the originals that are needed for sending and replaying. Every driver
/// writes through it. Only <see cref="Open(Event)"/> and <see cref="Open(Delivery)"/> decrypt.</summary>
public sealed class Concealment(SecretCipher cipher)
{
    readonly Lock changing = new();
    volatile SecretMask mask = SecretMask.None;
    SecretMask ofSecrets = SecretMask.None;
    IReadOnlyCollection<string> ofAccounts = [];

    /// <summary>Masks the workspace's secrets and the values of its accounts. The setter sets the secrets.</summary>
    public SecretMask Mask
    {
        get => mask;
        set
        {
            lock (changing)
                mask = (ofSecrets = value).With(ofAccounts);
        }
    }

    /// <summary>The masked values of accounts.</summary>
    public void MaskAccounts(IReadOnlyCollection<string> values)
    {
        lock (changing)
            mask = ofSecrets.With(ofAccounts = values);
    }

    public SecretCipher Cipher => cipher;

    internal Event Conceal(Event received)
    {
        var masked = received.Masked(mask);
        return ReferenceEquals(masked, received) ? received : masked with { Sealed = cipher.Seal(Original(received), received.Id.Value) };
    }

    internal SecretMask MaskOf(Run run, IReadOnlyList<Delivery> deliveries) => MaskedRecords.MaskOf(run, deliveries, mask);

    /// <param name="mask">The mask of its run.</param>
    internal Delivery Conceal(Delivery delivery, SecretMask mask)
    {
        var masked = delivery.Masked(mask);
        return ReferenceEquals(masked.Request, delivery.Request)
            ? masked
            : masked with
            {
                Sealed = cipher.Seal(Original(delivery, masked.Request), delivery.Id.Value),
            };
    }

    internal Attempt Conceal(Attempt attempt) => attempt.Masked(mask);

    internal AttemptError Conceal(AttemptError error) => error.Masked(mask);

    /// <summary>Decrypts the original of an event.</summary>
    /// <exception cref="SealedException">It was encrypted with another key.</exception>
    public Event Open(Event stored) =>
        stored.Sealed.IsEmpty ? stored : WithOriginal(stored with { Sealed = default }, cipher.Open(stored.Sealed.Span, stored.Id.Value));

    /// <summary>Decrypts the original of a delivery.</summary>
    /// <exception cref="SealedException">It was encrypted with another key.</exception>
    public Delivery Open(Delivery stored) =>
        stored.Sealed.IsEmpty ? stored : WithOriginal(stored with { Sealed = default }, cipher.Open(stored.Sealed.Span, stored.Id.Value));

    /// <summary>Decrypts the state for the next segment of a suspended run.</summary>
    /// <exception cref="SealedException">It was encrypted with another key.</exception>
    public Resumption Open(Suspension stored) =>
        StoredResumption.Read(
            cipher.Open(stored.State.Span, stored.RunId.Value),
            stored is { Callback.IsEmpty: false, ContinuedBy: { } next } ? cipher.Open(stored.Callback.Span, next.Value) : default
        );

    // Either only the JSON, which never begins with 0; or 0, the length and bytes of the JSON, and the raw body.
    static ReadOnlySpan<byte> Original(Event received)
    {
        if (received.Raw.IsEmpty)
            return received.Json.Span;
        byte[] both = new byte[1 + sizeof(int) + received.Bytes];
        BinaryPrimitives.WriteInt32LittleEndian(both.AsSpan(1), received.Json.Length);
        received.Json.CopyTo(both.AsMemory(1 + sizeof(int)));
        received.Raw.CopyTo(both.AsMemory(1 + sizeof(int) + received.Json.Length));
        return both;
    }

    static Event WithOriginal(Event stored, ReadOnlyMemory<byte> original)
    {
        if (original.Span is not [0, ..])
            return stored with { Json = original };
        int length = BinaryPrimitives.ReadInt32LittleEndian(original.Span[1..]);
        var both = original[(1 + sizeof(int))..];
        return stored with { Json = both[..length], Raw = both[length..] };
    }

    // Length and bytes of the URL, of the headers, of the body, of the credentials, of the method; a length of -1 means that the record has
    // the original.
    static ReadOnlySpan<byte> Original(Delivery delivery, HttpSend masked)
    {
        var original = delivery.Request;
        var output = new ArrayBufferWriter<byte>();
        Write(output, !ReferenceEquals(original.Url, masked.Url), Encoding.UTF8.GetBytes(original.Url));
        Write(output, !ReferenceEquals(original.Headers, masked.Headers), StoredJson.Headers(original.Headers));
        Write(output, !original.Body.Equals(masked.Body), original.Body.Span);
        Write(output, delivery.Credentials.Count > 0, Encoding.UTF8.GetBytes(string.Join('\0', delivery.Credentials)));
        Write(output, !ReferenceEquals(original.Method, masked.Method), Encoding.UTF8.GetBytes(original.Method));
        return output.WrittenSpan;
    }

    static Delivery WithOriginal(Delivery delivery, ReadOnlyMemory<byte> parts)
    {
        var masked = delivery.Request;
        var url = Read(ref parts);
        var headers = Read(ref parts);
        var body = Read(ref parts);
        var credentials = Read(ref parts);
        // Earlier versions did not mask methods.
        var method = parts.IsEmpty ? null : Read(ref parts);
        return delivery with
        {
            Request = masked with
            {
                Method = method is { } m ? Encoding.UTF8.GetString(m.Span) : masked.Method,
                Url = url is { } u ? Encoding.UTF8.GetString(u.Span) : masked.Url,
                Headers = headers is { } h ? StoredJson.ReadHeaders(h.Span) : masked.Headers,
                Body = body ?? masked.Body,
            },
            Credentials = credentials is { } c ? Encoding.UTF8.GetString(c.Span).Split('\0') : [],
        };
    }

    static void Write(ArrayBufferWriter<byte> output, bool differs, ReadOnlySpan<byte> part)
    {
        BinaryPrimitives.WriteInt32LittleEndian(output.GetSpan(sizeof(int)), differs ? part.Length : -1);
        output.Advance(sizeof(int));
        if (differs)
            output.Write(part);
    }

    static ReadOnlyMemory<byte>? Read(ref ReadOnlyMemory<byte> parts)
    {
        int length = BinaryPrimitives.ReadInt32LittleEndian(parts.Span);
        parts = parts[sizeof(int)..];
        if (length < 0)
            return null;
        var part = parts[..length];
        parts = parts[length..];
        return part;
    }
}
