using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Runs;

/// <summary>URLs of the files of an event (E7): <c>/files/EVENT/SIGNATURE/NUMBER/NAME</c>. The signature grants access and is masked in
/// records (C8).</summary>
public sealed class FileLinks(Concealment concealment, IdSequence ids)
{
    /// <summary>132 of the signature's 256 bits are sufficient.</summary>
    const int SignLength = 22;

    /// <summary>The id of an event with files; their URLs contain it.</summary>
    public EventId NewEvent() => new(ids.Next());

    /// <summary>The prefix of the paths of its files.</summary>
    public string FolderOf(EventId received) => $"/files/{received}/{SignOf(concealment, received)}";

    public bool IsOwn(EventId received, string sign) =>
        CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(SignOf(concealment, received)), Encoding.UTF8.GetBytes(sign));

    /// <summary>The signature in the URLs of an event's files; null if it has no files.</summary>
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
