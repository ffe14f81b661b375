using System.Text;

namespace Sendoff.Server.Auth;

/// <summary>A line of text in the data directory, readable only by the server's user, and generated at the first start.</summary>
static class PrivateFile
{
    const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    public static string ReadOrCreate(string path, Func<string> make)
    {
        if (Directory.Exists(path))
            throw new InvalidDataException($"{path} is a folder but must be a file; move the folder.");
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        return TryCreate(path, make) ?? Read(path);
    }

    static string Read(string path)
    {
        Protect(path);
        return File.ReadAllText(path).Trim();
    }

    static void Protect(string path)
    {
        if (OperatingSystem.IsWindows() || File.GetUnixFileMode(path) == OwnerOnly)
            return;
        try
        {
            File.SetUnixFileMode(path, OwnerOnly);
        }
        catch (UnauthorizedAccessException)
        {
            // The file belongs to another user, who made it readable. `sendoff doctor` reports this.
        }
    }

    /// <summary>Null if the file already exists, perhaps created by another process at the same time.</summary>
    static string? TryCreate(string path, Func<string> make)
    {
        if (File.Exists(path))
            return null;
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = OwnerOnly;
        try
        {
            using var file = new FileStream(path, options);
            string text = make();
            file.Write(Encoding.ASCII.GetBytes(text + "\n"));
            return text;
        }
        catch (IOException) when (File.Exists(path))
        {
            return null;
        }
    }
}
