using System.IO.Compression;
using System.IO.Hashing;

namespace Sendoff;

/// <summary>Data of an archive's entries besides their names.</summary>
internal static class ZipEntries
{
    // The upper half of the attributes is the mode of Unix: the type of the file is in its first four bits.
    const int UnixMode = 16,
        TypeOfFile = 0xF000,
        SymbolicLink = 0xA000;

    /// <summary>The entry is a symbolic link: its content is the path that it points to.</summary>
    public static bool IsLink(ZipArchiveEntry entry) => ((entry.ExternalAttributes >> UnixMode) & TypeOfFile) == SymbolicLink;

    /// <summary>Reads an entry and stops above the limit, because sizes in an archive cannot be trusted.</summary>
    /// <exception cref="InvalidDataException">The content is not the one that was packed. .NET does not look: a damaged archive would be
    /// taken for whole, and one with a password is noise.</exception>
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
