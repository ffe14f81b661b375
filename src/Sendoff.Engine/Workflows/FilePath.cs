using System.Text;

namespace Sendoff.Engine.Workflows;

/// <summary>What the files of a workflow may be called: whatever takes files in asks here, since they are laid on a disk later.</summary>
public static class FilePath
{
    /// <summary>Characters of a path; bytes of one of its names in UTF-8, which file systems take.</summary>
    const int MostCharacters = 400,
        MostBytesOfName = 255;

    /// <summary>What is wrong with a path, as the end of a sentence; null when nothing is.</summary>
    public static string? FindFault(string path)
    {
        string[] parts = path.Split('/');
        if (
            path.Length is 0 or > MostCharacters
            || path.Any(static c => c is '\\' or ':' || char.IsControl(c))
            || parts.Any(static part => part is "" or "." or "..")
        )
            return "is not inside the folder. Paths are relative, with forward slashes and without '..', "
                + $"and have {MostCharacters} characters at most.";
        return parts.Any(static part => Encoding.UTF8.GetByteCount(part) > MostBytesOfName)
            ? $"has a name of more than {MostBytesOfName} bytes."
            : null;
    }

    /// <summary>A path that is a file, and the folder of another file as well; null when there is none.</summary>
    public static string? FindFolder(IReadOnlyDictionary<string, string> files)
    {
        foreach (string path in files.Keys)
        {
            for (int at = path.IndexOf('/'); at >= 0; at = path.IndexOf('/', at + 1))
                if (files.ContainsKey(path[..at]))
                    return path[..at];
        }
        return null;
    }
}
