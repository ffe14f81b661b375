using System.IO.Compression;

namespace Sendoff;

/// <summary>What an archive says about its entries, beyond their names.</summary>
internal static class ZipEntries
{
    // The upper half of the attributes is the mode of Unix: the type of the file is in its first four bits.
    const int UnixMode = 16, TypeOfFile = 0xF000, SymbolicLink = 0xA000;

    /// <summary>The entry is a symbolic link: its content is the path that it points to.</summary>
    public static bool IsLink(ZipArchiveEntry entry) => ((entry.ExternalAttributes >> UnixMode) & TypeOfFile) == SymbolicLink;
}
