using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Runs;

/// <summary>The addresses of the files that came with an event (E7): <c>/files/EVENT/SIGNATURE/NUMBER/NAME</c>. The signature is the
/// permission, and records do not show it (C8).</summary>
public sealed class FileLinks(Concealment concealment, IdSequence ids)
{
    /// <summary>Of 256 bits of the signature, 132 are enough.</summary>
    const int SignLength = 22;

    /// <summary>The id of an event whose files have addresses: these hold it.</summary>
    public EventId NewEvent() => new(ids.Next());

    /// <summary>The path that the addresses of its files begin with.</summary>
    public string FolderOf(EventId received) => $"/files/{received}/{SignOf(concealment, received)}";

    public bool IsOwn(EventId received, string sign) =>
        CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(SignOf(concealment, received)), Encoding.UTF8.GetBytes(sign));

    /// <summary>The signature in the addresses of an event's files; null when it has none.</summary>
    internal static string? FindSign(Concealment concealment, Event received) =>
        !received.Raw.IsEmpty
        && SignOf(concealment, received.Id) is var sign
        && received.Json.Span.IndexOf(Encoding.UTF8.GetBytes(sign)) >= 0
            ? sign
            : null;

    static string SignOf(Concealment concealment, EventId received) =>
        Base64Url.EncodeToString(
            HMACSHA256.HashData(concealment.Cipher.Derive("sendoff files 1"), Encoding.UTF8.GetBytes(received.ToString()))
        )[..SignLength];
}
