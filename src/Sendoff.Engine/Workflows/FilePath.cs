using System.Text;

namespace Sendoff.Engine.Workflows;

/// <summary>Rules for the paths of a workflow's files. All code that accepts files uses them, because the files are written to disk
/// later.</summary>
public static class FilePath
{
    /// <summary>Maximum length of a path in characters, and of one of its names in bytes of UTF-8, which file systems limit.</summary>
    const int MostCharacters = 400,
        MostBytesOfName = 255;

    /// <summary>The error of a path, as the end of a sentence; null if it is valid.</summary>
    public static string? FindFault(string path)
    {
        string[] parts = path.Split('/');
        if (
            path.Length is 0 or > MostCharacters
            || path.Any(static c => c is '\\' or ':' || char.IsControl(c))
            || parts.Any(static part => part is "" or "." or "..")
        )
            return "is not inside the folder. Paths must be relative, with forward slashes and without '..', "
                + $"and have at most {MostCharacters} characters.";
        return parts.Any(static part => Encoding.UTF8.GetByteCount(part) > MostBytesOfName)
            ? $"has a name with more than {MostBytesOfName} bytes."
            : null;
    }

    /// <summary>A path that is a file and also the folder of another file; null if there is none.</summary>
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
