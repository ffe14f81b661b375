using System.IO.Compression;
using System.IO.Hashing;

namespace Sendoff;

/// <summary>Properties of an archive's entries.</summary>
internal static class ZipEntries
{
    // The upper 16 bits of the attributes are the Unix mode. Its first four bits are the file type.
    const int UnixMode = 16,
        TypeOfFile = 0xF000,
        SymbolicLink = 0xA000;

    /// <summary>Whether the entry is a symbolic link. Its content is the target path.</summary>
    public static bool IsLink(ZipArchiveEntry entry) => ((entry.ExternalAttributes >> UnixMode) & TypeOfFile) == SymbolicLink;

    /// <summary>Reads an entry, and stops above the limit, because the sizes in an archive cannot be trusted.</summary>
    /// <exception cref="InvalidDataException">The content does not match its checksum. .NET does not check this, so a damaged archive would
    /// be accepted, and one with a password would be read as random bytes.</exception>
    public static byte[] Read(ZipArchiveEntry entry, long most)
    {
        using var stream = entry.Open();
        using var all = new MemoryStream();
        byte[] piece = new byte[64 * 1024];
        var sum = new Crc32();
        while (all.Length <= most && stream.Read(piece) is > 0 and int count)
        {
            all.Write(piece, 0, count);
            sum.Append(piece.AsSpan(0, count));
        }
        return all.Length > most || sum.GetCurrentHashAsUInt32() == entry.Crc32
            ? all.ToArray()
            : throw new InvalidDataException($"'{entry.FullName}' is damaged or encrypted.");
    }
}
